//! The bridge is killed at random moments while an EPR pulls: every note reaches it, once under its document id, in its patient's order.

use crate::e2e_feed::{Entries, Vendor, fed};
use crate::e2e_kill::{Accepted, caller, kills, write_until};
use crate::e2e_support::{Client, PATIENCE, Process, Stage, is_connection_fault};
use ips_bridge::wire::v1::report_filed_request::Document;
use ips_bridge::wire::v1::{self, DeliveryState as State};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::sync::watch;

const PATIENTS: usize = 12;
/// Looked at so often whether there is a bridge again.
const AGAIN: Duration = Duration::from_millis(20);

/// What an EPR that pulls has: every arrival in its order, and what it has told of each document.
#[derive(Default)]
struct Held {
    arrivals: Vec<v1::FeedEntry>,
    /// By control id: documents that it has put into its record and could not say so yet.
    unreported: BTreeMap<String, String>,
    resume_token: String,
}

impl Held {
    /// Takes what comes while the stream lives. Of ten documents seven are reported as filed at once, one is confirmed first, and two (the very first
    /// among them) are lost, as by an EPR that falls over: they have to come again.
    async fn take(&mut self, vendor: &Vendor, entries: &mut Entries, stop: &watch::Receiver<bool>) {
        while let Ok(Ok(Some(response))) = tokio::time::timeout(Duration::from_secs(1), entries.message()).await {
            self.resume_token.clone_from(&response.resume_token);
            let entry = response.entry.expect("an entry");
            #[expect(clippy::disallowed_methods, reason = "what an EPR does, nobody chose")]
            let dice = if *stop.borrow() { 9 } else { rand::random::<u64>() % 10 };
            let dice = if self.arrivals.is_empty() { 0 } else { dice };
            if dice > 1 {
                self.unreported.insert(entry.control_id.clone(), format!("R-{}", entry.document_id));
            }
            let alive = match dice {
                0 | 1 => true,
                2 => vendor.try_confirm(&entry.control_id).await.is_ok(),
                _ => self.report(vendor, &entry.control_id).await,
            };
            self.arrivals.push(entry);
            if !alive || *stop.borrow() && !self.report_all(vendor).await {
                return;
            }
        }
    }

    async fn report(&mut self, vendor: &Vendor, control_id: &str) -> bool {
        let Some(record_id) = self.unreported.get(control_id) else { return true };
        match vendor.try_filed(Document::ControlId(control_id.to_owned()), record_id).await {
            Ok(_) => self.unreported.remove(control_id).is_some(),
            Err(status) if is_connection_fault(&status) => false,
            Err(status) => panic!("a report of a document that was handed out was refused: {status}"),
        }
    }

    async fn report_all(&mut self, vendor: &Vendor) -> bool {
        for control_id in self.unreported.keys().cloned().collect::<Vec<_>>() {
            if !self.report(vendor, &control_id).await {
                return false;
            }
        }
        true
    }
}

/// Pulls from whatever bridge lives, with the token of what it had last, until it is let go. `stop`: everything is reported from now on.
async fn pull(
    mut bridge: watch::Receiver<Option<Client>>,
    stop: watch::Receiver<bool>,
    let_go: watch::Receiver<bool>,
) -> Held {
    let mut held = Held::default();
    while !*let_go.borrow() {
        let client = bridge.wait_for(Option::is_some).await.expect("the test goes on").clone().expect("just seen");
        let vendor = Vendor::of(&client, "epr");
        if *stop.borrow() && !held.report_all(&vendor).await {
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        match vendor.try_pull(&held.resume_token).await {
            Ok(mut entries) => held.take(&vendor, &mut entries, &stop).await,
            // The stream of the connection before is not gone yet, or there is no bridge.
            Err(status) if is_connection_fault(&status) || status.code() == tonic::Code::ResourceExhausted => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(status) => panic!("a stream was refused: {status}"),
        }
    }
    held
}

async fn play(stage: Stage, kills: usize) {
    let mut process = Process::start(&stage).await;
    let client = caller(process.grpc);
    let people = client.people(0..PATIENTS, "epr").await;
    let (tell, bridge) = watch::channel(Some(client));
    let (stop, stopped) = watch::channel(false);
    let (let_go, gone) = watch::channel(false);
    let vendor = tokio::spawn(pull(bridge.clone(), stopped.clone(), gone));
    let write = |(n, person)| tokio::spawn(write_until(stopped.clone(), bridge.clone(), person, n));
    let writers: Vec<_> = people.into_iter().enumerate().map(write).collect();
    for _ in 0..kills {
        #[expect(clippy::disallowed_methods, reason = "kills come at moments that nobody chose")]
        let alive = Duration::from_millis(300 + rand::random::<u64>() % 1500);
        tokio::time::sleep(alive).await;
        process.kill().await;
        tell.send_replace(None);
        process = Process::start(&stage).await;
        tell.send_replace(Some(caller(process.grpc)));
    }
    stop.send_replace(true);
    let mut accepted: Accepted = Vec::new();
    for writer in writers {
        accepted.push(writer.await.expect("a writer ends"));
    }
    let deliveries = caller(process.grpc).settled(PATIENCE * 3, |d| d.state() == State::Filed).await;
    let_go.send_replace(true);
    let held = vendor.await.expect("the EPR ends");
    told_once_and_in_order(&held, &accepted, &deliveries);
    process.stop().await;
}

fn told_once_and_in_order(held: &Held, accepted: &Accepted, deliveries: &[v1::Delivery]) {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut bytes: HashMap<&str, HashSet<&[u8]>> = HashMap::new();
    for (at, arrival) in held.arrivals.iter().enumerate() {
        first.entry(&arrival.document_id).or_insert(at);
        bytes.entry(&arrival.document_id).or_default().insert(&arrival.message);
    }
    let all: Vec<&str> = accepted.iter().flatten().map(|id| id.trim_end_matches("^IPS")).collect();
    println!("{} notes, {} arrivals", all.len(), held.arrivals.len());
    assert!(!all.is_empty() && held.arrivals.len() > all.len(), "nothing came twice: the test shows nothing");
    assert!(all.iter().all(|id| first.contains_key(id)), "an accepted note that the EPR never got");
    assert_eq!((first.len(), deliveries.len()), (all.len(), all.len()), "documents, deliveries and accepted notes");
    assert!(bytes.values().all(|b| b.len() == 1), "a document came again as another message");
    for d in deliveries {
        assert_eq!(d.record_id, format!("R-{}", d.document_id), "filed as what the EPR said");
    }
    for of_one in accepted {
        let arrived: Vec<usize> =
            of_one.iter().filter_map(|id| first.get(id.trim_end_matches("^IPS")).copied()).collect();
        assert!(arrived.is_sorted(), "one patient's notes arrived in another order than they were accepted");
    }
}

const OWN: &str = "max_unknown_resends = 1000\n[feed]\nconfirm_timeout = \"1s\"\nmax_unconfirmed = 16";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_an_epr_pulls_every_note_reaches_it_once_and_in_order() {
    play(Stage::sqlite([fed("epr", OWN)]), kills(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_over_postgresql_while_an_epr_pulls_every_note_reaches_it_once_and_in_order() {
    play(Stage::postgres([fed("epr", OWN)]), kills(2).min(10)).await;
}
