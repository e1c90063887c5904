//! When and how fast an endpoint is sent to: maintenance windows, so many a minute, paused by a person.

use crate::e2e_support::{Bridge, Client, Stage, endpoint, epr, shown};
use crate::support::SetClock;
use ips_bridge::wire::v1;
use std::sync::Arc;
use std::time::Duration;
use v1::DeliveryState as State;

/// Long enough for a worker to have sent something if it was going to.
const A_WHILE: Duration = Duration::from_millis(1500);

async fn waits(client: &Client, id: &str) {
    tokio::time::sleep(A_WHILE).await;
    let d = client.delivery(id).await;
    assert!(d.state() == State::Queued && d.attempts == 0, "{}", shown(&d));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_maintenance_nothing_is_sent_and_afterwards_everything_goes_by_itself() {
    let clock = Arc::new(SetClock::at("2026-03-02T22:30:00Z"));
    let epr = epr(|_| {}).await;
    let window =
        "maintenance = [{ days = [\"mon\"], from = \"22:00\", to = \"04:00\" }]\ntime_zone = \"Europe/London\"";
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), window)]);
    let bridge = Bridge::start_at(&stage, clock.clone()).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    waits(client, written.id()).await;
    assert!(client.endpoint("epr").await.in_maintenance);
    epr.ask(|r| assert!(r.arrivals().is_empty(), "sent during maintenance"));
    clock.advance(Duration::from_secs(6 * 3600));
    client.filed(written.id()).await;
    assert!(!client.endpoint("epr").await.in_maintenance);
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_so_many_a_minute_are_sent_whatever_waits() {
    const PER_MINUTE: u32 = 600;
    const NOTES: usize = 25;
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), &format!("max_per_minute = {PER_MINUTE}"))]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let people = client.people(0..5, "epr").await;
    client.pause("epr").await;
    let mut written = Vec::new();
    for n in 0..NOTES {
        written.push(client.write(&people[n % people.len()], &format!("Note {n}.")).await);
    }
    client.resume("epr").await;
    for written in &written {
        client.filed(written.id()).await;
    }
    let times: Vec<i64> = epr.ask(|r| r.arrivals().iter().map(|a| a.at.as_millisecond()).collect());
    assert_eq!(times.len(), NOTES);
    // A bucket holds a second's worth: that much at once, then evenly.
    let burst = PER_MINUTE as usize / 60;
    for (first, last) in (0..NOTES).flat_map(|i| (i + burst + 1..NOTES).map(move |j| (i, j))) {
        let (sent, took) = ((last - first - burst) as i64, times[last] - times[first]);
        let least = sent * 60_000 / i64::from(PER_MINUTE);
        // Messages overtake each other between being counted and arriving.
        assert!(took + 250 >= least, "{} messages within {took} ms", last - first + 1);
    }
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_nothing_goes_even_over_a_restart_and_resumed_all_of_it_goes_in_order() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(0, "epr").await;
    bridge.client.pause("epr").await;
    let mut written = Vec::new();
    for n in 0..10 {
        written.push(bridge.client.write(&person, &format!("Note {n}.")).await);
    }
    waits(&bridge.client, written[0].id()).await;
    bridge.stop().await;
    let bridge = Bridge::start(&stage).await;
    waits(&bridge.client, written[0].id()).await;
    let status = bridge.client.endpoint("epr").await;
    assert!(status.paused && status.queued == 10 && !status.paused_because.is_empty(), "{} queued", status.queued);
    epr.ask(|r| assert!(r.arrivals().is_empty(), "sent while paused"));
    bridge.client.resume("epr").await;
    for written in &written {
        bridge.client.filed(written.id()).await;
    }
    let accepted: Vec<String> = written.iter().map(|w| w.document()).collect();
    epr.ask(|r| assert_eq!(r.arrivals().iter().filter_map(|a| a.document_id.as_deref()).collect::<Vec<_>>(), accepted));
    bridge.stop().await;
    epr.shutdown().await;
}
