//! Every reply an EPR could give, and what the bridge then says: never FILED without the evidence the trust asked for, and every reply kept.

use crate::e2e_support::{Bridge, Client, PATIENCE, Person, Stage, Written, endpoint, epr, faults, shown};
use crate::support::wait_until;
use ips_bridge::adapter::hl7::AckCode;
use ips_bridge::simulator::faults::{Scripted, When};
use ips_bridge::simulator::{Fault, Faults, Simulator};
use ips_bridge::wire::v1;
use std::time::Duration;
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

/// A reply, what becomes of the delivery, and how the reply is kept.
struct Case {
    fault: &'static str,
    state: State,
    reason: Reason,
    attempts: usize,
    /// Replies kept against each attempt, and whether they are its answer.
    kept: usize,
    unmatched: bool,
    /// Copies that the EPR holds, whatever it answered.
    copies: usize,
}

const fn case(fault: &'static str, state: State, reason: Reason) -> Case {
    Case { fault, state, reason, attempts: 1, kept: 1, unmatched: false, copies: 0 }
}

const fn refused(fault: &'static str) -> Case {
    case(fault, State::Parked, Reason::Refused)
}

const fn retried(fault: &'static str) -> Case {
    // The first and max_refused_retries = 2 more.
    Case { attempts: 3, ..case(fault, State::Parked, Reason::RetriesExhausted) }
}

/// `kept` 0: there was nothing to keep.
const fn unknown(fault: &'static str, kept: usize, copies: usize) -> Case {
    Case { kept, unmatched: true, copies, ..case(fault, State::Parked, Reason::OutcomeUnknown) }
}

/// Where the EPR does not recognise repeats and the trust says `park`.
const CASES: &[Case] = &[
    refused("refuse:AE:101"),
    refused("refuse:AE:204"),
    case("refuse:AE:205", State::Parked, Reason::MayAlreadyBeFiled),
    retried("refuse:AE:206"),
    retried("refuse:AE:207"),
    retried("refuse:AE"),
    refused("refuse:AR"),
    refused("refuse:AR:200"),
    refused("refuse:CE"),
    refused("refuse:CR"),
    Case { copies: 1, ..case("ack-twice", State::Filed, Reason::Unspecified) },
    Case { copies: 1, ..case("delay:150ms", State::Filed, Reason::Unspecified) },
    // A commit acknowledgement is a transport's word.
    Case { copies: 1, ..case("commit-only", State::Accepted, Reason::Unspecified) },
    unknown("silence", 0, 0),
    unknown("drop-ack", 0, 1),
    unknown("late-ack:1500ms", 0, 1),
    unknown("close", 0, 0),
    unknown("file-and-close", 0, 1),
    unknown("close-mid-frame", 0, 1),
    unknown("garbage", 1, 1),
    unknown("wrong-id", 1, 1),
    unknown("noise", 0, 1),
];

const PARK: &str =
    "after_unknown = \"park\"\nmax_unknown_resends = 0\n[mllp]\nreply_timeout = \"500ms\"\nmax_connections = 4";

/// Writes a note of its own for each person while the endpoint is paused, strikes each with its fault, and lets them go.
async fn strike(
    client: &Client,
    epr: &Simulator,
    people: &[Person],
    cases: &[&str],
    at_most: Option<u32>,
) -> Vec<Written> {
    client.pause("epr").await;
    let mut written = Vec::new();
    for (person, fault) in people.iter().zip(cases) {
        written.push(client.write(person, &format!("About {fault}.")).await);
    }
    let script = written.iter().zip(cases).map(|(w, fault)| Scripted {
        when: When::Id(w.document()),
        fault: fault.parse().expect("a fault"),
        at_most,
    });
    epr.set_faults(Faults { script: script.collect(), ..Faults::default() });
    client.resume("epr").await;
    written
}

/// What of the attempts' replies is kept, as (all, unmatched).
fn kept(attempts: &[v1::Attempt]) -> (usize, usize) {
    let replies = attempts.iter().flat_map(|a| &a.replies);
    replies.clone().for_each(|r| assert!(!r.received().is_empty(), "a reply without its bytes"));
    (replies.clone().count(), replies.filter(|r| r.unmatched).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reply_leads_where_the_rules_say_and_is_kept() {
    let epr = epr(|s| s.record.recognises_repeats = false).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), PARK)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let people = client.people(0..CASES.len(), "epr").await;
    let names: Vec<&str> = CASES.iter().map(|c| c.fault).collect();
    let written = strike(client, &epr, &people, &names, None).await;
    for (case, written) in CASES.iter().zip(&written) {
        let ended = |d: &v1::Delivery| d.state() == case.state || matches!(d.state(), State::Filed | State::Parked);
        let d = client.until(written.id(), case.fault, ended).await;
        assert_eq!((d.state(), d.park_reason()), (case.state, case.reason), "{}: {}", case.fault, shown(&d));
        if case.fault == "ack-twice" {
            // The second answer comes with the first, or when nobody waits any more: weighed once the first is settled.
            wait_until(PATIENCE, "both are kept", async || kept(&client.attempts(&d.id).await) == (2, 0)).await;
        }
        let attempts = client.attempts(&d.id).await;
        assert_eq!(attempts.len(), case.attempts, "{}: attempts", case.fault);
        let expected = case.attempts * case.kept;
        let (all, unmatched) = kept(&attempts);
        if case.fault == "ack-twice" {
            assert_eq!(d.evidence.len(), 1, "said twice, it is one word: {}", shown(&d));
        } else {
            // Pieces of a frame are kept as well as whole ones.
            let of_those = if case.unmatched { all } else { 0 };
            assert!(all >= expected && unmatched == of_those, "{}: {all} replies, {unmatched} unmatched", case.fault);
        }
        let copies = epr.ask(|r| r.copies(&written.document()));
        assert_eq!(copies, case.copies, "{}: copies", case.fault);
        match d.state() {
            State::Filed => {
                assert!(d.evidence.iter().any(|e| e.kind() == v1::EvidenceKind::ApplicationAck), "{}", shown(&d))
            }
            State::Accepted => {
                assert!(d.evidence.iter().all(|e| e.kind() == v1::EvidenceKind::TransportAck));
                assert!(d.author_sentence.contains("not yet confirmed"), "{}", d.author_sentence);
            }
            _ => {
                assert!(d.author_sentence.contains("Do not write it again."), "{}", d.author_sentence);
                assert_eq!(
                    d.may_have_been_received,
                    d.park_reason() != Reason::Refused && d.park_reason() != Reason::RetriesExhausted,
                    "{}",
                    shown(&d)
                );
            }
        }
    }
    bridge.stop().await;
    epr.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_repeats_are_recognised_an_unknown_answer_is_sent_again_and_filed_once() {
    let epr = epr(|_| {}).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "[mllp]\nreply_timeout = \"500ms\"")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let once: Vec<&str> = CASES.iter().filter(|c| c.reason == Reason::OutcomeUnknown).map(|c| c.fault).collect();
    let people = client.people(0..once.len(), "epr").await;
    let written = strike(client, &epr, &people, &once, Some(1)).await;
    for (fault, written) in once.iter().zip(&written) {
        let d = client.filed(written.id()).await;
        assert_eq!(d.attempts, 2, "{fault}: {}", shown(&d));
        epr.ask(|r| {
            assert_eq!(r.copies(&written.document()), 1, "{fault}");
            let arrivals = r.arrivals_of_document(&written.document());
            assert!(
                arrivals.len() == 2 && arrivals[0].sha256 == arrivals[1].sha256,
                "{fault}: the resend is another message"
            );
        });
    }
    bridge.stop().await;
    epr.shutdown().await;
}

/// MSA-2 of another message in hand: neither of the two may gain by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_names_another_message_in_hand_is_credited_to_neither() {
    let epr = epr(|s| s.record.recognises_repeats = false).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), PARK)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let people = client.people(0..2, "epr").await;
    // The first is never answered; the second is answered in the first one's name.
    let written = strike(client, &epr, &people, &["drop-ack", "foreign-id"], None).await;
    for written in &written {
        let d = client.parked(written.id(), Reason::OutcomeUnknown).await;
        assert!(d.evidence.is_empty(), "{}", shown(&d));
    }
    let second = client.attempts(written[1].id()).await;
    assert_eq!(kept(&second), (1, 1), "the answer is kept where it came in, as one that answers nothing there");
    bridge.stop().await;
    epr.shutdown().await;
}

/// An engine's AA says that the engine has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_engine_acknowledges_is_received_and_not_filed() {
    let epr = epr(|_| {}).await;
    let own = "acknowledged_by = \"engine\"\nfiled_by = \"reconciled\"";
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), own)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let d = client.until_state(written.id(), State::Accepted).await;
    assert_eq!(
        d.author_sentence,
        "Received by the trust, not yet confirmed in EPR epr. Nothing for you to do. Do not write it again."
    );
    assert!(d.filed_at.is_none() && d.evidence.iter().all(|e| e.kind() == v1::EvidenceKind::TransportAck));
    // It frees the lane.
    let second = client.write(&person, "Rang another.").await;
    client.until_state(second.id(), State::Accepted).await;
    let status = client.endpoint("epr").await;
    assert_eq!((status.accepted, status.filed_last_day), (2, 0));
    bridge.stop().await;
    epr.shutdown().await;
}

/// Refused for a while, then taken: within the bounds that is no trouble for anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_passes_is_waited_out() {
    let epr = epr(|s| s.faults = faults(&["refuse:AE:206@all#2"])).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let d = client.filed(written.id()).await;
    assert_eq!((d.attempts, epr.ask(|r| r.copies(&written.document()))), (3, 1));
    bridge.stop().await;
    epr.shutdown().await;
}

/// The EPR answers in the middle of being told: the code alone decides, and a refusal with 205 is not a proof that it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_already_after_an_unknown_outcome_waits_for_a_person_and_can_be_given_up_only_knowingly() {
    let epr = epr(|s| s.record.recognises_repeats = false).await;
    let stage = Stage::sqlite([endpoint("epr", epr.addr(), "[mllp]\nreply_timeout = \"500ms\"")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    client.pause("epr").await;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let duplicate = Fault::Refuse { code: AckCode::AE, error: Some(205) };
    let at = |n, fault| Scripted { when: When::Nth(n), fault, at_most: Some(1) };
    epr.set_faults(Faults { script: vec![at(1, Fault::DropAck), at(2, duplicate)], ..Faults::default() });
    client.resume("epr").await;
    let d = client.parked(written.id(), Reason::MayAlreadyBeFiled).await;
    assert!(d.author_sentence.starts_with("Probably in EPR epr"), "{}", d.author_sentence);
    let cancel = |knowing| v1::CancelDeliveryRequest {
        dry_run: false,
        request_id: crate::e2e_support::request_id(),
        delivery_id: d.id.clone(),
        reason: "Looked: it is there".into(),
        acknowledge_may_be_in_record: knowing,
    };
    client.deliveries().cancel_delivery(cancel(false)).await.expect_err("it may stand in the record");
    let cancelled = client
        .deliveries()
        .cancel_delivery(cancel(true))
        .await
        .expect("cancelled")
        .into_inner()
        .delivery
        .expect("a delivery");
    assert!(
        cancelled.author_sentence.contains("look there before you write anything again"),
        "{}",
        cancelled.author_sentence
    );
    assert_eq!(epr.ask(|r| r.copies(&written.document())), 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(client.delivery(&d.id).await.state(), State::Cancelled);
    bridge.stop().await;
    epr.shutdown().await;
}
