//! An endpoint that is down, slow or refusing costs the others nothing; one patient's trouble costs no other patient.

use crate::e2e_support::{Bridge, Client, Person, Process, Stage, Written, endpoint, epr, faults, nobody, shown};
use ips_bridge::app::SystemClock;
use ips_bridge::simulator::faults::{Scripted, When};
use ips_bridge::simulator::{Fault, Faults};
use ips_bridge::wire::v1;
use std::sync::Arc;
use std::time::{Duration, Instant};
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

const NOTES: usize = 8;

/// `NOTES` notes for each, interleaved.
async fn load(client: &Client, people: &[Person]) -> Vec<Written> {
    let mut written = Vec::new();
    for n in 0..NOTES {
        for person in people {
            written.push(client.write(person, &format!("Note {n}.")).await);
        }
    }
    written
}

async fn all_filed(client: &Client, written: &[Written]) {
    for written in written {
        client.filed(written.id()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_gone_slow_silent_or_refusing_costs_a_healthy_one_nothing() {
    let well = epr(|_| {}).await;
    let slow = epr(|s| s.faults = faults(&["delay:2s"])).await;
    let mute = epr(|s| s.faults = faults(&["silence"])).await;
    let refusing = epr(|s| s.faults = faults(&["refuse:AR"])).await;
    let gone = nobody();
    let stage = Stage::sqlite([
        endpoint("well", well.addr(), ""),
        endpoint("gone", gone, ""),
        endpoint("slow", slow.addr(), ""),
        endpoint("mute", mute.addr(), "[mllp]\nreply_timeout = \"60s\""),
        endpoint("refusing", refusing.addr(), ""),
    ]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let mut people = Vec::new();
    for (n, id) in ["well", "gone", "slow", "mute", "refusing"].into_iter().enumerate() {
        people.push(client.people(n * 3..n * 3 + 3, id).await);
    }
    // What it takes while the others are idle …
    let began = Instant::now();
    all_filed(client, &load(client, &people[0]).await).await;
    let alone = began.elapsed();
    // … and while every other endpoint is in trouble with a load of its own.
    let mut troubled = Vec::new();
    for people in &people[1..] {
        troubled.push(load(client, people).await);
    }
    let began = Instant::now();
    all_filed(client, &load(client, &people[0]).await).await;
    let beside = began.elapsed();
    println!("{} notes filed in {alone:?} alone, in {beside:?} beside four endpoints in trouble", 3 * NOTES);
    assert!(beside < alone * 5 + Duration::from_secs(2), "{alone:?} alone, {beside:?} beside the others");

    for written in &troubled[0] {
        let d = client.delivery(written.id()).await;
        assert!(
            d.attempts == 0 && !d.may_have_been_received && d.state() != State::Parked,
            "not sent, and yet: {}",
            shown(&d)
        );
    }
    let status = client.endpoint("gone").await;
    assert!(status.gate() != v1::EndpointGate::Open && !status.closed_because.is_empty(), "{:?}", status.gate());
    for written in &troubled[3] {
        client.parked(written.id(), Reason::Refused).await;
    }
    let status = client.endpoint("well").await;
    assert_eq!((status.gate(), status.parked, status.queued), (v1::EndpointGate::Open, 0, 0));
    // The one that was gone is there now: everything goes, nothing was lost, in its order.
    let back = epr(|s| s.listen = gone).await;
    all_filed(client, &troubled[0]).await;
    for person in &people[1] {
        back.ask(|r| assert_eq!(r.patient(person.nhs_number()).map(|p| p.documents.len()), Some(NOTES)));
    }
    // A bridge that stops waits for the silent one no longer than its own grace.
    drop((slow, mute));
    bridge.stop().await;
    well.shutdown().await;
    back.shutdown().await;
    refusing.shutdown().await;
}

/// One patient's note meets `fault` each time; everybody else's notes are written after it was struck.
async fn poisoned(fault: &str, ends_as: Option<Reason>) {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint(
        "epr",
        epr.addr(),
        "max_unknown_resends = 8\n[mllp]\nreply_timeout = \"200ms\"\nmax_connections = 2",
    )]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let people = client.people(0..4, "epr").await;
    client.pause("epr").await;
    let poison = client.write(&people[0], "This one makes the EPR stumble.").await;
    let after_it = client.write(&people[0], "The same patient's next note.").await;
    let fault: Fault = fault.parse().expect("a fault");
    let script = vec![Scripted { when: When::Id(poison.document()), fault: fault.clone(), at_most: None }];
    epr.set_faults(Faults { script, ..Faults::default() });
    client.resume("epr").await;
    client.until(poison.id(), "a first attempt", |d| d.attempts >= 1).await;
    let others = load(client, &people[1..]).await;
    all_filed(client, &others).await;
    for written in &others {
        let d = client.delivery(written.id()).await;
        assert_eq!(d.attempts, 1, "{fault} of another patient: {}", shown(&d));
    }
    match ends_as {
        Some(reason) => drop(client.parked(poison.id(), reason).await),
        None => drop(client.filed(poison.id()).await),
    }
    // Parked, it frees the lane.
    client.filed(after_it.id()).await;
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_makes_the_epr_close_the_connection_costs_no_other_patient() {
    poisoned("close", Some(Reason::OutcomeUnknown)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_makes_the_epr_fall_silent_costs_no_other_patient() {
    poisoned("silence", Some(Reason::OutcomeUnknown)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_is_answered_with_garbage_costs_no_other_patient() {
    poisoned("garbage", Some(Reason::OutcomeUnknown)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_is_refused_costs_no_other_patient() {
    poisoned("refuse:AE:102", Some(Reason::Refused)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_is_never_taken_now_costs_no_other_patient() {
    poisoned("refuse:AE:206", Some(Reason::RetriesExhausted)).await;
}

/// Away for a while: nothing is counted, nothing parked, and all of it goes when the EPR is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epr_that_goes_and_comes_back_finds_everything_once() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "[mllp]\nreply_timeout = \"500ms\"")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let people = client.people(0..3, "epr").await;
    let mut written = load(client, &people).await;
    epr.stop_listening().await;
    written.extend(load(client, &people).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(client.all().await.iter().all(|d| d.state() != State::Parked), "an outage parks nothing");
    epr.resume_listening().await.expect("the port is free");
    all_filed(client, &written).await;
    epr.ask(|r| {
        assert!(r.duplicates().is_empty());
        assert_eq!(r.documents().count(), written.len());
    });
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_sent_when_its_endpoint_was_retired_is_not_for_ever_on_its_way() {
    let (old, new) = (epr(|s| s.faults = faults(&["silence"])).await, epr(|_| {}).await);
    let mut stage = Stage::sqlite([endpoint("old", old.addr(), ""), endpoint("new", new.addr(), "")]);
    let process = Process::start(&stage).await;
    let client = Client::new(process.grpc, Arc::new(SystemClock));
    let person = client.person(0, "old").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    client.until(written.id(), "an attempt", |d| d.state() == State::Sending && d.attempts > 0).await;
    process.kill().await;
    stage.retire("old");
    let bridge = Bridge::start(&stage).await;
    let d = bridge.client.until(written.id(), "what became of it", |d| d.state() != State::Sending).await;
    assert_eq!(
        (d.park_reason(), d.waiting_for()),
        (Reason::OutcomeUnknown, v1::WaitingFor::Integrator),
        "{}",
        shown(&d)
    );
    bridge.stop().await;
    old.shutdown().await;
    new.shutdown().await;
}
