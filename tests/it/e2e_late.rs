//! Enhanced mode: the commit acknowledgement at once, the application's own later, on the endpoint's own listener.

use crate::e2e_support::{Bridge, Client, Stage, details, endpoint, epr, nobody, shown};
use ips_bridge::simulator::record::{LocalId, Patient, Status};
use ips_bridge::simulator::{Settings, Simulator};
use ips_bridge::transport::mllp::ClientSettings;
use ips_bridge::wire::v1;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

const LATER: Duration = Duration::from_millis(300);

/// A bridge with a listener, and an EPR that acknowledges late, over a connection of its own.
async fn enhanced(own: &str, change: impl FnOnce(&mut Settings)) -> (Stage, Bridge, Simulator, SocketAddr) {
    let listen = nobody();
    let epr = epr(|s| {
        s.partner = Some(ClientSettings::new(listen.to_string()));
        s.application_ack_after = LATER;
        change(s);
    })
    .await;
    let stage = Stage::sqlite([endpoint(
        "epr",
        epr.addr(),
        &format!(
            "ack_mode = \"enhanced\"\n{own}\n[listen]\naddress = \"{listen}\"\n[settings]\naccept_ack = \"AL\"\napplication_ack = \"AL\""
        ),
    )]);
    let bridge = Bridge::start(&stage).await;
    (stage, bridge, epr, listen)
}

/// Application acknowledgements that somebody sends to our listener, over one connection: taken in their order.
async fn acknowledge(listen: SocketAddr, answers: &[(&str, &str)]) {
    let mut socket = TcpStream::connect(listen).await.expect("the bridge listens");
    for (n, (code, control_id)) in answers.iter().enumerate() {
        let ack = format!(
            "\x0bMSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302101530||ACK|LATE{n}|T|2.4\rMSA|{code}|{control_id}\r\x1c\r"
        );
        socket.write_all(ack.as_bytes()).await.expect("sent");
    }
    socket.shutdown().await.expect("closed");
}

async fn control_id(client: &Client, delivery: &str) -> String {
    client.attempts(delivery).await.last().expect("an attempt").control_id.clone()
}

fn known(nth: usize) -> Patient {
    let details = details(nth);
    let name = details.name.clone().expect("a name");
    Patient {
        nhs_number: details.nhs_number.map(Into::into),
        mrn: Some(LocalId {
            value: details.local_identifiers[0].value.clone().into(),
            authority: details.local_identifiers[0].assigning_authority.clone(),
        }),
        family: name.family.into(),
        given: name.given.into(),
        date_of_birth: details.date_of_birth.parse().ok(),
        ..Patient::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_received_only_and_the_late_application_answer_files_or_parks() {
    let (_stage, bridge, epr, _) = enhanced("", |s| s.record.patients = Some(vec![known(0)])).await;
    let client = &bridge.client;
    let (known, stranger) = (client.person(0, "epr").await, client.person(1, "epr").await);
    let good = client.write(&known, "Rang a garden centre.").await;
    let bad = client.write(&stranger, "Rang another garden centre.").await;
    for written in [&good, &bad] {
        let d = client.until_state(written.id(), State::Accepted).await;
        assert!(d.author_sentence.contains("not yet confirmed"), "{}", d.author_sentence);
    }
    let d = client.until(good.id(), "FILED", |d| d.state() == State::Filed).await;
    let kinds: Vec<_> = d.evidence.iter().map(v1::Evidence::kind).collect();
    assert_eq!(kinds, [v1::EvidenceKind::TransportAck, v1::EvidenceKind::ApplicationAck]);
    assert_eq!(d.attempts, 1);
    let d = client.until(bad.id(), "the late refusal", |d| d.state() == State::Parked).await;
    assert_eq!((d.park_reason(), d.may_have_been_received), (Reason::Refused, false), "{}", shown(&d));
    assert!(d.author_sentence.starts_with("Not in EPR epr"), "{}", d.author_sentence);
    for written in [&good, &bad] {
        let replies: usize = client.attempts(written.id()).await.iter().map(|a| a.replies.len()).sum();
        assert!(replies >= 1, "the commit acknowledgement is kept");
    }
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_counts_only_by_its_exact_control_id_and_a_contradiction_is_shown() {
    // The EPR itself never says more than CA here.
    let (_stage, bridge, epr, listen) = enhanced("", |s| s.faults = crate::e2e_support::faults(&["commit-only"])).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let first = client.write(&person, "Rang a garden centre.").await;
    client.until_state(first.id(), State::Accepted).await;
    let second = client.write(&person, "Rang another.").await;
    client.until_state(second.id(), State::Accepted).await;
    let id = control_id(client, first.id()).await;
    let (lower, other) = (id.to_lowercase(), control_id(client, second.id()).await);
    // Once the last one is known, the others were looked at.
    acknowledge(
        listen,
        &[("AA", "NOSUCHMESSAGE"), ("AA", &lower), ("AA", &id[..id.len() - 1]), ("AA", ""), ("AA", &other)],
    )
    .await;
    client.until_state(second.id(), State::Filed).await;
    let d = client.delivery(first.id()).await;
    assert_eq!(d.state(), State::Accepted, "an answer to another message counted: {}", shown(&d));
    acknowledge(listen, &[("AA", &id)]).await;
    client.until_state(first.id(), State::Filed).await;
    // Said twice, it changes nothing; contradicted, a person has to look.
    acknowledge(listen, &[("AA", &id), ("AR", &id)]).await;
    let d = client.until_state(first.id(), State::Parked).await;
    assert_eq!(d.park_reason(), Reason::FilingContradicted);
    assert!(d.author_sentence.starts_with("Uncertain whether it is in EPR epr"), "{}", d.author_sentence);
    bridge.stop().await;
    epr.shutdown().await;
}

/// The commit acknowledgement is lost; the application's own still comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_files_what_was_parked_as_unknown() {
    let own = "after_unknown = \"park\"\nmax_unknown_resends = 0\n[mllp]\nreply_timeout = \"300ms\"";
    let (_stage, bridge, epr, listen) = enhanced(own, |s| s.faults = crate::e2e_support::faults(&["drop-ack"])).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    client.parked(written.id(), Reason::OutcomeUnknown).await;
    acknowledge(listen, &[("AA", &control_id(client, written.id()).await)]).await;
    let d = client.until_state(written.id(), State::Filed).await;
    assert_eq!((d.attempts, d.may_have_been_received), (1, true), "{}", shown(&d));
    bridge.stop().await;
    epr.shutdown().await;
}

/// Nobody sends an acknowledgement again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_to_the_listener_outlives_a_store_that_is_away() {
    use crate::store::raw;
    let (stage, bridge, epr, listen) = enhanced("", |s| s.faults = crate::e2e_support::faults(&["commit-only"])).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    client.until_state(written.id(), State::Accepted).await;
    let (full, empty) = raw::no_room_in("reply", stage.store_url());
    for statement in full {
        raw::execute(stage.store_url(), &statement).await;
    }
    acknowledge(listen, &[("AA", &control_id(client, written.id()).await)]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(client.delivery(written.id()).await.state(), State::Accepted);
    raw::execute(stage.store_url(), &empty).await;
    client.until_state(written.id(), State::Filed).await;
    bridge.stop().await;
    epr.shutdown().await;
}

/// A person gave the first version up although it may be there; before the second has gone, the record says that it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_proves_to_stand_there_before_its_replacement_has_gone_is_replaced_and_not_doubled() {
    let (_stage, bridge, epr, listen) = given_up(&["drop-ack@all#1"]).await;
    let client = &bridge.client;
    let (person, first) = given_up_first(client).await;
    epr.set_faults(crate::e2e_support::faults(&["refuse:AE:206"]));
    let second = client.replace(&first, &person, "Rang a garden centre, and a nursery.").await;
    client.until(second.id(), "a refusal for now", |d| d.attempts > 0 && d.state() == State::BackingOff).await;
    acknowledge(listen, &[("AA", &control_id(client, first.id()).await)]).await;
    client.until_state(first.id(), State::Filed).await;
    epr.set_faults(crate::e2e_support::faults(&[]));
    client.filed(second.id()).await;
    epr.ask(|r| {
        let (old, new) = (r.document(&first.document()).expect("it is there"), r.document(&second.document()));
        let new = new.expect("it is there");
        assert_eq!((old.status, new.status), (Status::Obsolete, Status::Current));
        assert_eq!(new.replaces.as_deref(), Some(&*first.document()));
    });
    bridge.stop().await;
    epr.shutdown().await;
}

/// The same, when the second may be there as well: a person has to see which, and the bytes that do not know of the first never go again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_stand_beside_an_older_version_is_never_sent_again_as_it_is() {
    let (_stage, bridge, epr, listen) = given_up(&["drop-ack"]).await;
    let client = &bridge.client;
    let (person, first) = given_up_first(client).await;
    let second = client.replace(&first, &person, "Rang a garden centre, and a nursery.").await;
    client.parked(second.id(), Reason::OutcomeUnknown).await;
    acknowledge(listen, &[("AA", &control_id(client, first.id()).await)]).await;
    client.until(first.id(), "the alarm", |d| d.park_reason() == Reason::FilingContradicted).await;
    let retry = v1::RetryDeliveriesRequest {
        request_id: crate::e2e_support::request_id(),
        selection: Some(v1::DeliverySelection { delivery_ids: vec![second.id().into()], ..Default::default() }),
        reason: "nobody has seen it there".into(),
        acknowledge_may_be_in_record: true,
        ..Default::default()
    };
    let retried = client.deliveries().retry_deliveries(retry).await.expect("retried").into_inner();
    assert_eq!(retried.retried, 1, "{:?}", retried.not_retried);
    let d = client.until(second.id(), "the hold", |d| d.park_reason() == Reason::PredecessorUnresolved).await;
    assert_eq!(
        d.author_sentence,
        "Perhaps in EPR epr: what was sent of it does not name the document that stands there now. The integration team has it and looks in the record. Do not write it again."
    );
    epr.ask(|r| assert_eq!(r.copies(&second.document()), 1, "sent once"));
    bridge.stop().await;
    epr.shutdown().await;
}

async fn given_up(faults: &[&str]) -> (Stage, Bridge, Simulator, SocketAddr) {
    let own = "after_unknown = \"park\"\nmax_unknown_resends = 0\nback_off = { first = \"500ms\", cap = \"1s\" }\n[mllp]\nreply_timeout = \"300ms\"";
    enhanced(own, |s| s.faults = crate::e2e_support::faults(faults)).await
}

async fn given_up_first(client: &Client) -> (crate::e2e_support::Person, crate::e2e_support::Written) {
    let person = client.person(0, "epr").await;
    let first = client.write(&person, "Rang a garden centre.").await;
    client.parked(first.id(), Reason::OutcomeUnknown).await;
    let cancel = v1::CancelDeliveryRequest {
        delivery_id: first.id().into(),
        request_id: crate::e2e_support::request_id(),
        reason: "the EPR has lost it".into(),
        acknowledge_may_be_in_record: true,
        dry_run: false,
    };
    client.deliveries().cancel_delivery(cancel).await.expect("cancelled");
    (person, first)
}
