//! One id of the record's for two documents: a withdrawal that names its document by such an id could take back somebody else's.

use super::*;
use ips_bridge::domain::ask::Answer;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::{EvidenceKind, ParkReason};
use ips_bridge::domain::ids::DeliveryId;
use ips_bridge::domain::policy::{EndpointPolicy, Names};
use ips_bridge::domain::verdict::{Level, Meaning, Verdict};
use ips_bridge::store::write::{Feeling, Operation, Report, Settle};
use std::sync::Arc;
use std::time::Duration;

fn filed_as(record_id: &str) -> Verdict {
    Verdict { record_id: Some(record_id.into()), ..verdict(Meaning::Positive, Level::Application, "201") }
}

/// An endpoint whose messages name documents by the record's ids.
pub fn by_record_id() -> ips_bridge::store::Rulebook {
    let mut rules = rulebook();
    for policy in rules.policies.values_mut() {
        *policy = Arc::new(EndpointPolicy { names: Names::RecordId, ..policy.as_ref().clone() });
    }
    rules
}

async fn send(bridge: &Bridge, delivery: DeliveryId, verdict: Verdict) {
    let claimed = bridge.claim_only(&epr(), delivery).await;
    let attempt = bridge.begin(&claimed).await;
    bridge.store.settle(bridge.answered(&claimed, attempt, verdict)).await.unwrap();
}

async fn in_doubt(bridge: &Bridge, delivery: DeliveryId) {
    let now = bridge.delivery(delivery).await;
    assert_eq!(bridge.parked(delivery).await, Some(ParkReason::FilingContradicted), "{now:?}");
    assert_eq!(now.record_id, None, "the id names nothing any more");
    assert!(now.may_have_been_received());
}

#[tokio::test]
async fn one_record_id_for_two_documents_files_neither() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let first = bridge.write(&of, "Of one patient.").await;
        send(&bridge, first.delivery(), filed_as("17")).await;
        assert_eq!(bridge.state(first.delivery()).await, "FILED");
        let second = bridge.write(&other, "Of another.").await;
        send(&bridge, second.delivery(), filed_as("17")).await;
        in_doubt(&bridge, first.delivery()).await;
        in_doubt(&bridge, second.delivery()).await;
        // What would name a document by that id is not sent.
        for (of, written) in [(&of, &first), (&other, &second)] {
            let withdrawal = bridge.withdraw(of, written.note).await.unwrap()[0];
            assert_eq!(bridge.parked(withdrawal).await, Some(ParkReason::WithdrawalCannotNameDocument));
        }
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// Also when one commit settles both.
#[tokio::test]
async fn two_documents_settled_together_under_one_id_are_both_in_doubt() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let (first, second) = (bridge.write(&of, "One.").await, bridge.write(&other, "Two.").await);
        let mut settles = vec![];
        for claimed in bridge.claim(&epr(), 2).await {
            let attempt = bridge.begin(&claimed).await;
            settles.push(bridge.store.settle(bridge.answered(&claimed, attempt, filed_as("17"))));
        }
        for settled in futures::future::join_all(settles).await {
            settled.unwrap();
        }
        in_doubt(&bridge, first.delivery()).await;
        in_doubt(&bridge, second.delivery()).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn versions_of_one_document_may_share_its_id_and_kinds_number_apart() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await;
        send(&bridge, first.delivery(), filed_as("17")).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        send(&bridge, second, filed_as("17")).await;
        let withdrawal = bridge.withdraw(&of, first.note).await.unwrap()[0];
        send(&bridge, withdrawal, filed_as("17")).await;
        for delivery in [first.delivery(), second, withdrawal] {
            assert_eq!(bridge.state(delivery).await, "FILED");
        }
        bridge.close().await;
    }
}

/// Where we name documents by ids of our own, the record's may be whatever it likes (the number of a folder, say).
#[tokio::test]
async fn where_our_own_id_names_a_document_the_records_is_only_told() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        for (of, text) in [(&of, "One."), (&other, "Two.")] {
            let written = bridge.write(of, text).await;
            send(&bridge, written.delivery(), filed_as("17")).await;
            assert_eq!(bridge.state(written.delivery()).await, "FILED");
        }
        bridge.close().await;
    }
}

/// A person looks; what the record's own list says of the document then holds.
#[tokio::test]
async fn stronger_evidence_under_an_id_of_its_own_files_it() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let first = bridge.write(&of, "One.").await;
        send(&bridge, first.delivery(), filed_as("17")).await;
        let second = bridge.write(&other, "Two.").await;
        send(&bridge, second.delivery(), filed_as("17")).await;
        let report = |delivery, evidence, record_id| Report {
            endpoint: epr(),
            delivery: Some(delivery),
            evidence,
            reply: bridge.reply(&epr(), filed_as(record_id)),
        };
        bridge.store.report(report(second.delivery(), EvidenceKind::Reconciled, "18")).await.unwrap();
        bridge.store.report(report(first.delivery(), EvidenceKind::Reconciled, "17")).await.unwrap();
        for (written, id) in [(&first, "17"), (&second, "18")] {
            let now = bridge.delivery(written.delivery()).await;
            assert_eq!((now.state.word(), now.record_id.as_deref()), ("FILED", Some(id)));
        }
        // And it can be withdrawn by that id.
        let withdrawal = bridge.withdraw(&other, second.note).await.unwrap()[0];
        assert_eq!(bridge.state(withdrawal).await, "QUEUED");
        bridge.close().await;
    }
}

/// A record that was kept before ids were looked after.
#[tokio::test]
async fn ids_that_were_told_before_are_looked_after_too() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let first = bridge.write(&bridge.episode().await, "One.").await;
        send(&bridge, first.delivery(), filed_as("17")).await;
        bridge.close().await;
        raw::execute(&test.url, "DROP TABLE record_name").await;
        raw::execute(&test.url, "DELETE FROM _sqlx_migrations WHERE version = 6").await;
        let bridge = Bridge::seeded(&bridge::settings(&test.url), by_record_id(), 2).await;
        let other = bridge.refer(&rx9(), numbered("9990000026"), "east").await;
        let second = bridge.write(&other, "Two.").await;
        send(&bridge, second.delivery(), filed_as("17")).await;
        in_doubt(&bridge, first.delivery()).await;
        in_doubt(&bridge, second.delivery()).await;
        bridge.close().await;
    }
}

/// What a list said wrongly the next one puts right, whoever of the two has the id.
#[tokio::test]
async fn a_list_that_was_wrong_is_put_right_by_the_next_one() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let first = bridge.write(&of, "One.").await;
        send(&bridge, first.delivery(), filed_as("17")).await;
        let second = bridge.write(&other, "Two.").await;
        send(&bridge, second.delivery(), filed_as("18")).await;
        let list = async |delivery, record_id: &str| {
            let reply = bridge.reply(&epr(), filed_as(record_id));
            let report =
                Report { endpoint: epr(), delivery: Some(delivery), evidence: EvidenceKind::Reconciled, reply };
            bridge.store.report(report).await.unwrap();
        };
        list(first.delivery(), "17").await;
        list(second.delivery(), "17").await;
        in_doubt(&bridge, first.delivery()).await;
        // The second has it, and the first another one.
        list(second.delivery(), "17").await;
        list(first.delivery(), "16").await;
        for (written, id) in [(&first, "16"), (&second, "17")] {
            let now = bridge.delivery(written.delivery()).await;
            assert_eq!((now.state.word(), now.record_id.as_deref()), ("FILED", Some(id)));
        }
        bridge.close().await;
    }
}

/// How an answer about a message that was made for another identity reaches us.
#[derive(Debug, Clone, Copy)]
enum Tells {
    Late,
    Asked,
    Reported,
}

/// Filed or not, what it names may be another's document, written over with what was meant for somebody else again.
#[tokio::test]
async fn an_answer_to_an_earlier_message_that_tells_anothers_id_puts_both_in_doubt() {
    for (tells, test) in
        [Tells::Late, Tells::Asked, Tells::Reported].into_iter().flat_map(|t| both().map(move |b| (t, b)))
    {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let theirs = bridge.write(&other, "Of another.").await;
        send(&bridge, theirs.delivery(), filed_as("17")).await;
        let delivery = bridge.write(&of, "Of one patient.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        let control_id = bridge.control_id(delivery).await;
        bridge.operate(delivery, Operation::Retry { may_be_in_record_acknowledged: true }).await.unwrap();
        let asked = bridge.claim_for(&epr(), 1, Duration::from_secs(1)).await.remove(0);
        bridge.pass(Duration::from_secs(2)).await;
        let again = bridge.claim_only(&epr(), delivery).await;
        bridge.put_back(&again).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        super::people::update(&bridge, &of, 1, numbered("9990000034")).await.unwrap();
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        match tells {
            Tells::Late => assert_eq!(bridge.late(&epr(), &control_id, filed_as("17")).await, Some(delivery)),
            Tells::Asked => {
                let mut found = bridge.reply(&epr(), filed_as("17"));
                found.delivery_id = Some(delivery);
                let answer = Answer::Found { record_id: Some("17".into()) };
                let happened = Happened::Asked { answer, reply: Some(found.id) };
                let settle = Settle {
                    asked_about: asked.rendering.as_ref().map(|r| r.id),
                    replies: vec![found],
                    ..bridge.settling(&asked, None, happened, Feeling::Reached)
                };
                bridge.store.settle(settle).await.unwrap();
            }
            Tells::Reported => {
                let reply = bridge.reply(&epr(), filed_as("17"));
                let evidence = EvidenceKind::Reconciled;
                bridge
                    .store
                    .report(Report { endpoint: epr(), delivery: Some(delivery), evidence, reply })
                    .await
                    .unwrap();
            }
        }
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::MayAlreadyBeFiled), "{tells:?}");
        in_doubt(&bridge, theirs.delivery()).await;
        let withdrawal = bridge.withdraw(&other, theirs.note).await.unwrap()[0];
        assert_eq!(bridge.parked(withdrawal).await, Some(ParkReason::WithdrawalCannotNameDocument));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// And the other way round: the id is taken by the message that was given up, whoever is answered with it next.
#[tokio::test]
async fn an_id_that_an_earlier_message_was_given_is_not_anothers_afterwards() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let delivery = bridge.write(&of, "Of one patient.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        let control_id = bridge.control_id(delivery).await;
        super::people::update(&bridge, &of, 1, numbered("9990000034")).await.unwrap();
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        bridge.late(&epr(), &control_id, filed_as("17")).await;
        assert_eq!(bridge.delivery(delivery).await.record_id, None, "no name of what it is now");
        let theirs = bridge.write(&other, "Of another.").await;
        send(&bridge, theirs.delivery(), filed_as("17")).await;
        in_doubt(&bridge, theirs.delivery()).await;
        bridge.close().await;
    }
}

/// What may have taken back the right document, or another's, waits; once the record says that the name holds, it goes on by itself.
#[tokio::test]
async fn a_withdrawal_that_waits_for_its_name_goes_on_once_a_list_gives_it_back() {
    for test in both() {
        let bridge = Bridge::with(&bridge::settings(&test.url), by_record_id()).await;
        let (of, other) = (bridge.episode().await, bridge.refer(&rx9(), numbered("9990000026"), "east").await);
        let first = bridge.write(&of, "Of one patient.").await;
        send(&bridge, first.delivery(), filed_as("17")).await;
        let withdrawal = bridge.withdraw(&of, first.note).await.unwrap()[0];
        bridge.send(withdrawal, Sent::Silence).await;
        bridge.operate(withdrawal, Operation::Park).await.unwrap();
        bridge.operate(withdrawal, Operation::Retry { may_be_in_record_acknowledged: true }).await.unwrap();
        let rendering = bridge.delivery(withdrawal).await.rendering;
        let held = bridge.claim_only(&epr(), withdrawal).await;
        let theirs = bridge.write(&other, "Of another.").await;
        send(&bridge, theirs.delivery(), filed_as("17")).await;
        in_doubt(&bridge, first.delivery()).await;
        let unresolved = Happened::Held { reason: ParkReason::PredecessorUnresolved, detail: String::new() };
        bridge.store.settle(bridge.settling(&held, None, unresolved, Feeling::Nothing)).await.unwrap();
        assert_eq!(bridge.parked(withdrawal).await, Some(ParkReason::PredecessorUnresolved));
        let list = async |delivery, record_id: &str| {
            let reply = bridge.reply(&epr(), filed_as(record_id));
            let evidence = EvidenceKind::Reconciled;
            bridge.store.report(Report { endpoint: epr(), delivery: Some(delivery), evidence, reply }).await.unwrap();
        };
        // What the other document is called says nothing of this one.
        list(theirs.delivery(), "18").await;
        assert_eq!(bridge.state(withdrawal).await, "PARKED");
        list(first.delivery(), "17").await;
        let goes = bridge.delivery(withdrawal).await;
        assert!(goes.park.is_none() && matches!(goes.state.word(), "QUEUED" | "BACKING_OFF"), "{goes:?}");
        assert_eq!(goes.rendering, rendering, "the same bytes; the holds look at them again");
        // Held once more, it waits for a person: nothing goes round for ever.
        let held = bridge.claim_only(&epr(), withdrawal).await;
        let unresolved = Happened::Held { reason: ParkReason::PredecessorUnresolved, detail: String::new() };
        bridge.store.settle(bridge.settling(&held, None, unresolved, Feeling::Nothing)).await.unwrap();
        list(first.delivery(), "17").await;
        assert_eq!(bridge.parked(withdrawal).await, Some(ParkReason::PredecessorUnresolved));
        bridge.check_columns().await;
        bridge.close().await;
    }
}
