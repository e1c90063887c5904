//! Replaced and withdrawn, end to end: what the EPR's record finally shows.

use crate::e2e_support::{Bridge, Client, Stage, Written, document_id, endpoint, epr, faults, shown};
use ips_bridge::simulator::Simulator;
use ips_bridge::simulator::record::{Became, Document, Status};
use ips_bridge::wire::v1;
use std::time::Duration;
use v1::DeliveryState as State;

const FIRST: &str = "Wants 16 hours.\nRang two garden centres.";
const SECOND: &str = "Wants 12 hours.\nRang two garden centres.";

/// A bridge and one EPR, spoken to in the way that `own` says.
async fn pair(own: &str) -> (Stage, Bridge, Simulator) {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), own)]);
    let bridge = Bridge::start(&stage).await;
    (stage, bridge, epr)
}

fn document(epr: &Simulator, id: &str) -> Document {
    epr.ask(|r| {
        assert_eq!(r.copies(id), 1, "copies of {id}");
        r.document(id).cloned().expect("it is there")
    })
}

fn says(document: &Document, text: &str) -> bool {
    document.latest().sections.iter().any(|s| s.text == *text)
}

async fn write_and_file(client: &Client, nth: usize) -> (crate::e2e_support::Person, Written) {
    let person = client.person(nth, "epr").await;
    let written = client.write(&person, FIRST).await;
    client.filed(written.id()).await;
    (person, written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_by_t10_makes_the_first_obsolete_and_t11_takes_back_the_last() {
    let (_stage, bridge, epr) = pair("").await;
    let client = &bridge.client;
    let (person, first) = write_and_file(client, 0).await;
    let second = client.replace(&first, &person, SECOND).await;
    client.filed(second.id()).await;
    let (old, new) = (document(&epr, &first.document()), document(&epr, &second.document()));
    assert_eq!((old.status, old.replaced_by.as_deref()), (Status::Obsolete, Some(&*second.document())));
    assert_eq!((new.status, new.replaces.as_deref()), (Status::Current, Some(&*first.document())));
    assert!(says(&old, FIRST) && says(&new, SECOND), "nothing is erased, nothing is mixed up");
    assert!(new.latest().text().contains("Wrong hours"), "the new text says why it replaces the old");
    let withdrawal = client.withdraw(&second).await.expect("there is something to take back");
    client.filed(&withdrawal.id).await;
    let new = document(&epr, &second.document());
    assert_eq!(new.status, Status::Cancelled);
    assert_eq!(document(&epr, &first.document()).status, Status::Obsolete);
    epr.ask(|r| assert!(r.arrivals().iter().all(|a| a.became == Became::Filed)));
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_by_t08_edits_the_one_document_and_t11_takes_it_back() {
    let (_stage, bridge, epr) = pair("[settings]\nreplace_as = \"T08\"").await;
    let client = &bridge.client;
    let (person, first) = write_and_file(client, 0).await;
    let second = client.replace(&first, &person, SECOND).await;
    client.filed(second.id()).await;
    let third = client.replace(&second, &person, "Wants 10 hours.").await;
    client.filed(third.id()).await;
    let held = document(&epr, &first.document());
    assert_eq!((held.status, held.versions.len()), (Status::Current, 3));
    assert!(says(&held, "Wants 10 hours."));
    assert_eq!(epr.ask(|r| r.documents().count()), 1, "it keeps its id");
    let withdrawal = client.withdraw(&third).await.expect("there is something to take back");
    client.filed(&withdrawal.id).await;
    assert_eq!(document(&epr, &first.document()).status, Status::Cancelled);
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_by_notice_takes_the_documents_place() {
    let (_stage, bridge, epr) = pair("[settings]\nwithdraw_as = \"notice\"").await;
    let client = &bridge.client;
    let (_, first) = write_and_file(client, 0).await;
    let withdrawal = client.withdraw(&first).await.expect("there is something to take back");
    client.filed(&withdrawal.id).await;
    let (old, notice) = (document(&epr, &first.document()), document(&epr, &document_id(&withdrawal)));
    assert_eq!((old.status, notice.status), (Status::Obsolete, Status::Current));
    assert!(!notice.latest().text().contains("garden centres"), "a notice does not repeat what it takes back");
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_back_before_its_release_a_note_leaves_no_trace() {
    let (_stage, bridge, epr) = pair("").await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let mut request = client.note(&person, "About the wrong meeting.");
    request.release_after = Some(pbjson_types::Duration { seconds: 60, nanos: 0 });
    let regretted = client.try_write(request).await.expect("written");
    // A later note of the same patient does not wait for it.
    let later = client.write(&person, FIRST).await;
    assert_eq!(regretted.delivery.state(), State::Queued);
    assert!(client.withdraw(&regretted).await.is_none(), "nothing has to be sent for that");
    let d = client.until_state(regretted.id(), State::Cancelled).await;
    assert!(d.attempts == 0 && !d.may_have_been_received, "{}", shown(&d));
    client.filed(later.id()).await;
    epr.ask(|r| {
        assert!(r.arrivals_of_document(&regretted.document()).is_empty(), "the EPR was sent what was taken back");
        assert_eq!(r.documents().count(), 1);
    });
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_and_withdrawn_while_the_epr_is_away_only_what_still_holds_arrives() {
    let (_stage, bridge, epr) = pair("").await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    epr.stop_listening().await;
    let (replaced, withdrawn) = (client.write(&person, FIRST).await, client.write(&person, "A mistake.").await);
    let newer = client.replace(&replaced, &person, SECOND).await;
    // Caught on its way out, the withdrawal waits for the answer; there is none to take back, so it ends as what it withdraws does.
    if let Some(withdrawal) = client.withdraw(&withdrawn).await {
        client.until(&withdrawal.id, "ended", |d| d.state() == State::Cancelled).await;
    }
    epr.resume_listening().await.expect("the port is free");
    client.filed(newer.id()).await;
    for gone in [&replaced, &withdrawn] {
        assert_eq!(client.delivery(gone.id()).await.state(), State::Cancelled);
    }
    epr.ask(|r| {
        let kinds: Vec<&str> = r.arrivals().iter().map(|a| a.kind.as_str()).collect();
        assert_eq!(kinds, ["MDM^T02"], "the replacement of nothing is a create");
    });
    assert!(says(&document(&epr, &newer.document()), SECOND));
    bridge.stop().await;
    epr.shutdown().await;
}

/// The EPR holds it and never said so. A withdrawal does not wait for the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_of_what_may_have_arrived_goes_on_its_own() {
    for own in [
        "after_unknown = \"park\"\nmax_unknown_resends = 0",
        "max_unknown_resends = 100\nback_off = { first = \"30s\", cap = \"60s\" }",
    ] {
        let (_stage, bridge, epr) = pair(&format!("{own}\n[mllp]\nreply_timeout = \"300ms\"")).await;
        let client = &bridge.client;
        epr.set_faults(faults(&["drop-ack@MDM^T02"]));
        let person = client.person(0, "epr").await;
        let written = client.write(&person, FIRST).await;
        client
            .until(written.id(), "an unknown outcome", |d| matches!(d.state(), State::Parked | State::BackingOff))
            .await;
        let withdrawal = client.withdraw(&written).await.expect("it may be there: there is something to take back");
        client.filed(&withdrawal.id).await;
        assert_eq!(document(&epr, &written.document()).status, Status::Cancelled);
        let d = client.delivery(written.id()).await;
        assert_eq!(d.state(), State::Cancelled, "what is withdrawn is not sent again: {}", shown(&d));
        assert!(d.may_have_been_received);
        bridge.stop().await;
        epr.shutdown().await;
    }
}

/// Unknown, then replaced: the replacement waits for the answer, so that it never speaks of a document nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_of_what_may_have_arrived_waits_and_then_follows_in_order() {
    let (_stage, bridge, epr) = pair("[mllp]\nreply_timeout = \"300ms\"").await;
    let client = &bridge.client;
    epr.set_faults(faults(&["drop-ack@all#2"]));
    let person = client.person(0, "epr").await;
    let written = client.write(&person, FIRST).await;
    client.until(written.id(), "an attempt", |d| d.attempts > 0).await;
    let newer = client.replace(&written, &person, SECOND).await;
    client.filed(newer.id()).await;
    assert_eq!(client.delivery(written.id()).await.state(), State::Filed);
    let (old, new) = (document(&epr, &written.document()), document(&epr, &newer.document()));
    assert_eq!((old.status, new.status), (Status::Obsolete, Status::Current));
    assert_eq!(new.replaces.as_deref(), Some(&*written.document()));
    bridge.stop().await;
    epr.shutdown().await;
}

/// A job start, corrected and withdrawn: outcomes follow the same rules, as a document that people read and as coded rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_in_quick_succession_end_with_the_last_one_only() {
    let (_stage, bridge, epr) = pair("").await;
    let client = &bridge.client;
    epr.set_faults(faults(&["delay:40ms"]));
    let person = client.person(0, "epr").await;
    let mut version = client.write(&person, "Version 1.").await;
    for n in 2..=8 {
        version = client.replace(&version, &person, &format!("Version {n}.")).await;
        tokio::time::sleep(Duration::from_millis(n * 9)).await;
    }
    client.filed(version.id()).await;
    let all =
        client.settled(crate::e2e_support::PATIENCE, |d| matches!(d.state(), State::Filed | State::Cancelled)).await;
    epr.ask(|r| {
        let current: Vec<_> = r.documents().filter(|d| d.status == Status::Current).collect();
        assert!(current.len() == 1 && says(current[0], "Version 8."), "{} current documents", current.len());
        let filed = all.iter().filter(|d| d.state() == State::Filed).count();
        assert_eq!(r.documents().count(), filed, "what the bridge calls filed is what the record holds");
        assert!(r.arrivals().iter().all(|a| a.became == Became::Filed));
    });
    bridge.stop().await;
    epr.shutdown().await;
}
