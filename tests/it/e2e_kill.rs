//! Killed at random moments under load: nothing accepted is lost, nothing stands twice, the order holds, and nobody pretends to know what nobody knows.

use crate::e2e_support::{
    Client, PATIENCE, Person, Process, Stage, document_id, endpoint, epr, faults, is_connection_fault, shown,
};
use ips_bridge::app::SystemClock;
use ips_bridge::simulator::Simulator;
use ips_bridge::simulator::record::{Became, Record};
use ips_bridge::wire::v1;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use v1::DeliveryState as State;

const PATIENTS: usize = 20;
const CLIENTS: usize = 4;
/// Between two notes of one patient.
const THINK: Duration = Duration::from_millis(250);
/// A debug build on a busy machine; a release build has a second.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// What callers were told: per patient, the document ids in the order in which they were accepted.
pub type Accepted = Vec<Vec<String>>;

struct Played {
    epr: Simulator,
    accepted: Accepted,
    deliveries: Vec<v1::Delivery>,
    client: Client,
    /// The one that was never killed.
    last: Process,
    _stage: Stage,
}

/// `IPS_KILLS=50` plays as many as the release is judged by.
pub fn kills(usually: usize) -> usize {
    std::env::var("IPS_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(usually)
}

/// The address of whatever bridge lives now; none while there is none.
pub fn caller(address: SocketAddr) -> Client {
    Client::new(address, Arc::new(SystemClock))
}

/// One patient's notes, one after the other, each repeated under its request id until it is answered.
pub async fn write_until(
    stop: watch::Receiver<bool>,
    mut bridge: watch::Receiver<Option<Client>>,
    person: Person,
    number: usize,
) -> Vec<String> {
    let mut accepted = Vec::new();
    while !*stop.borrow() {
        let mut request = None;
        loop {
            let client = bridge.wait_for(Option::is_some).await.expect("the test goes on").clone().expect("just seen");
            let text = format!("Note {} of patient {number}: rang two garden centres.", accepted.len());
            let request = request.get_or_insert_with(|| client.note(&person, &text)).clone();
            match client.try_write(request).await {
                Ok(written) => {
                    accepted.push(written.document());
                    break;
                }
                Err(status) if is_connection_fault(&status) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(status) => panic!("a note was refused: {status}"),
            }
        }
        tokio::time::sleep(THINK).await;
    }
    accepted
}

/// Load, `kills` SIGKILLs at random moments, then quiet until everything rests.
async fn play(stage: Stage, epr: Simulator, kills: usize, rests: impl Fn(&v1::Delivery) -> bool) -> Played {
    let mut process = Process::start(&stage).await;
    let client = caller(process.grpc);
    let people = client.people(0..PATIENTS, "epr").await;
    let callers = |address| (0..CLIENTS).map(|_| Some(caller(address))).collect::<Vec<_>>();
    let (bridges, receivers): (Vec<_>, Vec<_>) = callers(process.grpc).into_iter().map(watch::channel).unzip();
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> = people
        .into_iter()
        .enumerate()
        .map(|(n, person)| tokio::spawn(write_until(stopped.clone(), receivers[n % CLIENTS].clone(), person, n)))
        .collect();
    let mut ready = Vec::new();
    for _ in 0..kills {
        #[expect(clippy::disallowed_methods, reason = "kills come at moments that nobody chose")]
        let alive = Duration::from_millis(rand::random::<u64>() % 600);
        tokio::time::sleep(alive).await;
        process.kill().await;
        bridges.iter().for_each(|b| drop(b.send_replace(None)));
        process = Process::start(&stage).await;
        ready.push(process.ready_after);
        for (bridge, caller) in bridges.iter().zip(callers(process.grpc)) {
            bridge.send_replace(caller);
        }
    }
    stop.send_replace(true);
    let mut accepted = Vec::new();
    for writer in writers {
        accepted.push(writer.await.expect("a writer ends"));
    }
    let client = caller(process.grpc);
    let deliveries = client.settled(PATIENCE * 2, rests).await;
    ready.sort_unstable();
    let (half, last) = (ready[ready.len() / 2], ready[ready.len() - 1]);
    println!("{kills} kills, {} notes; ready again after {half:?} (median), {last:?} (at most)", deliveries.len());
    assert!(last < READY_WITHIN, "ready again only after {last:?}");
    Played { epr, accepted, deliveries, client, last: process, _stage: stage }
}

/// Each call that was answered made one delivery, and no delivery is there that nobody was told of.
fn one_delivery_for_each_note(played: &Played) {
    let told: HashSet<&str> = played.accepted.iter().flatten().map(String::as_str).collect();
    let there: Vec<String> = played.deliveries.iter().map(document_id).collect();
    assert_eq!(told.len(), played.accepted.iter().map(Vec::len).sum::<usize>(), "two calls were given the same note");
    assert_eq!(there.len(), told.len(), "notes accepted and deliveries");
    assert!(there.iter().all(|id| told.contains(id.as_str())), "a delivery that nobody was told of");
}

/// The order in which first copies arrived, patient by patient, is the order of acceptance.
fn order_is_kept(record: &Record, accepted: &Accepted) {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (at, arrival) in record.arrivals().iter().enumerate().filter(|(_, a)| a.became == Became::Filed) {
        first.entry(arrival.document_id.as_deref().expect("documents have ids")).or_insert(at);
    }
    for documents in accepted {
        let arrived: Vec<usize> = documents.iter().filter_map(|id| first.get(id.as_str()).copied()).collect();
        assert!(arrived.is_sorted(), "one patient's notes arrived in another order than they were accepted");
    }
}

/// Every message about one document is the same, byte for byte.
fn resends_are_the_same_bytes(record: &Record, accepted: &Accepted) {
    for id in accepted.iter().flatten() {
        let hashes: HashSet<&str> = record.arrivals_of_document(id).into_iter().map(|a| a.sha256.as_str()).collect();
        assert!(hashes.len() <= 1, "{} renderings of one document arrived", hashes.len());
    }
}

async fn exactly_one_copy_each(stage: impl FnOnce(SocketAddr) -> Stage, kills: usize) {
    // Slow enough that a kill finds something on its way.
    let epr =
        epr(|s| s.faults = faults(&["delay:15ms@30%", "late-ack:15ms@30%", "file-and-close@2%", "drop-ack@1%"])).await;
    let played = play(stage(epr.addr()), epr, kills, |d| d.state() == State::Filed).await;
    one_delivery_for_each_note(&played);
    let record = played.epr.record();
    for id in played.accepted.iter().flatten() {
        assert_eq!(record.copies(id), 1, "copies of {id}");
    }
    assert_eq!(
        record.documents().count(),
        played.deliveries.len(),
        "the record holds what was accepted and nothing else"
    );
    order_is_kept(&record, &played.accepted);
    resends_are_the_same_bytes(&record, &played.accepted);
    played.last.stop().await;
    played.epr.shutdown().await;
}

const RESEND: &str = "max_unknown_resends = 1000\n[mllp]\nreply_timeout = \"1s\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_accepted_note_is_filed_once_and_in_order() {
    exactly_one_copy_each(|address| Stage::sqlite([endpoint("epr", address, RESEND)]), kills(8)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_over_postgresql_every_accepted_note_is_filed_once_and_in_order() {
    // What a killed bridge had in hand waits there for its lease to end.
    exactly_one_copy_each(|address| Stage::postgres([endpoint("epr", address, RESEND)]), kills(3).min(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_repeats_are_not_recognised_there_is_no_second_copy_and_parked_is_exactly_what_may_have_been_received() {
    let epr = epr(|s| {
        s.record.recognises_repeats = false;
        s.faults = faults(&["delay:15ms@30%", "late-ack:15ms@30%", "file-and-close@1%", "close@1%"]);
    })
    .await;
    let own = "after_unknown = \"park\"\nmax_unknown_resends = 0\n[mllp]\nreply_timeout = \"1s\"";
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), own)]);
    let played = play(stage, epr, kills(8), |d| matches!(d.state(), State::Filed | State::Parked)).await;
    one_delivery_for_each_note(&played);
    let record = played.epr.record();
    assert!(record.duplicates().is_empty(), "documents that stand twice: {:?}", record.duplicates());
    order_is_kept(&record, &played.accepted);
    let mut parked = 0;
    for d in &played.deliveries {
        let arrivals = record.arrivals_of_document(&document_id(d));
        assert!(arrivals.len() <= 1, "sent {} times: {}", arrivals.len(), shown(d));
        let attempts = played.client.attempts(&d.id).await;
        assert_eq!(attempts.len(), 1, "an attempt that was begun is neither forgotten nor repeated: {}", shown(d));
        let answered = attempts.iter().any(|a| !a.replies.is_empty());
        match d.state() {
            State::Filed => {
                assert!(answered && record.copies(&document_id(d)) == 1, "filed without evidence: {}", shown(d))
            }
            _ => {
                parked += 1;
                assert!(!answered && d.may_have_been_received, "parked although the answer is known: {}", shown(d));
                assert_eq!(d.park_reason(), v1::ParkReason::OutcomeUnknown);
            }
        }
    }
    println!("{parked} of {} parked", played.deliveries.len());
    assert!(parked > 0, "no kill and no fault found anything on its way: the test shows nothing");
    played.last.stop().await;
    played.epr.shutdown().await;
}
