//! Evidence: what moves a delivery, what is only kept, and what belongs to whom.

use super::*;
use ips_bridge::domain::ask::Answer;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::{EvidenceKind, ParkReason};
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::store::write::{Begin, BeginWith, Feeling, Operation, Settle};
use std::time::Duration;

pub fn aa() -> ips_bridge::domain::verdict::Verdict {
    verdict(Meaning::Positive, Level::Application, "AA")
}

/// Made again for that time, to see what a new pack would change, it must come out as it was.
#[tokio::test]
async fn a_message_keeps_the_time_it_was_made_at_however_long_it_waits_for_its_turn() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        bridge.write(&of, "First.").await;
        let claimed = bridge.claim(&epr(), 1).await;
        let (made, rendering) = (bridge.now(), bridge.rendering(&claimed[0]));
        bridge.clock.advance(Duration::from_secs(2));
        let with = BeginWith::New { rendering: Box::new(rendering), anew: false };
        bridge.store.begin(Begin { with, ..bridge.beginning(&claimed[0]) }).await.unwrap();
        assert_eq!(raw::number(&test.url, "SELECT created_at FROM rendering").await, made.as_microsecond());
        bridge.close().await;
    }
}

#[tokio::test]
async fn late_evidence_counts_by_exact_endpoint_and_control_id_only() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Accepted).await;
        let control_id = bridge.control_id(delivery).await;
        let near = [
            (anew(), control_id.clone()),
            (epr(), control_id.to_lowercase()),
            (epr(), format!("{control_id} ")),
            (epr(), control_id[..control_id.len() - 1].to_owned()),
            (epr(), String::new()),
            (epr(), "%".into()),
            (epr(), "nul\0inside".into()),
        ];
        for (n, (endpoint, id)) in near.iter().enumerate() {
            assert_eq!(bridge.late(endpoint, id, aa()).await, None, "{id:?}");
            let unmatched =
                "SELECT COUNT(*) FROM reply WHERE delivery_id IS NULL AND payload LIKE '%\"unmatched\":true%'";
            assert_eq!(raw::number(&test.url, unmatched).await, i64::try_from(n).unwrap() + 1, "kept as unmatched");
        }
        assert_eq!(bridge.state(delivery).await, "ACCEPTED");
        assert_eq!(bridge.late(&epr(), &control_id, aa()).await, Some(delivery));
        let filed = bridge.delivery(delivery).await;
        assert_eq!(filed.state.word(), "FILED");
        assert_eq!(kinds(&filed.evidence), [EvidenceKind::TransportAck, EvidenceKind::ApplicationAck]);
        bridge.close().await;
    }
}

#[tokio::test]
async fn late_positive_evidence_files_what_was_accepted_backing_off_parked_or_cancelled() {
    for state in ["ACCEPTED", "BACKING_OFF", "PARKED", "CANCELLED"] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let of = bridge.episode().await;
            let delivery = bridge.write(&of, "First.").await.delivery();
            bridge.send(delivery, if state == "ACCEPTED" { Sent::Accepted } else { Sent::Silence }).await;
            let acknowledged = true;
            match state {
                "PARKED" => drop(bridge.operate(delivery, Operation::Park).await.unwrap()),
                "CANCELLED" => {
                    let cancel = Operation::Cancel { may_be_in_record_acknowledged: acknowledged };
                    drop(bridge.operate(delivery, cancel).await.unwrap());
                }
                _ => {}
            }
            assert_eq!(bridge.state(delivery).await, state);
            bridge.late(&epr(), &bridge.control_id(delivery).await, aa()).await;
            let filed = bridge.delivery(delivery).await;
            assert_eq!(filed.state.word(), "FILED");
            assert_eq!(filed.cancelled.is_some(), state == "CANCELLED", "who cancelled is kept");
            bridge.check_columns().await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn late_negative_evidence_after_filing_parks_it_as_contradicted() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Filed).await;
        bridge
            .late(&epr(), &bridge.control_id(delivery).await, verdict(Meaning::Refused, Level::Application, "AR"))
            .await;
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::FilingContradicted));
        assert_eq!(bridge.store.open_deliveries(), 1);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn evidence_that_files_during_sending_leaves_the_lane_to_its_sender() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let next = bridge.write(&of, "Second.").await.delivery();
        let claimed = bridge.claim_only(&epr(), delivery).await;
        let attempt = bridge.begin(&claimed).await;
        bridge.late(&epr(), &bridge.control_id(delivery).await, aa()).await;
        assert_eq!(bridge.state(delivery).await, "FILED");
        assert!(bridge.claim(&epr(), 10).await.is_empty(), "its bytes are on their way still");
        bridge.settle(&claimed, attempt, Sent::Silence).await;
        assert_eq!(bridge.state(delivery).await, "FILED");
        bridge.claim_only(&epr(), next).await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn every_reply_of_an_attempt_is_kept_matched_or_not() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let claimed = bridge.claim_only(&epr(), delivery).await;
        let attempt = bridge.begin(&claimed).await;
        let mut foreign = bridge.reply(&epr(), verdict(Meaning::Positive, Level::Application, "AA"));
        foreign.unmatched = true;
        foreign.bytes.0 = vec![0, 255, 13];
        let mut settle = bridge.answered(&claimed, attempt, verdict(Meaning::Unknown, Level::Application, "X\0Y"));
        settle.replies.push(foreign);
        let settled = bridge.store.settle(settle).await.unwrap();
        assert_eq!(settled.state.word(), "BACKING_OFF");
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM reply").await, 2);
        let steps = bridge.store.steps(&settled).await.unwrap();
        assert_eq!(steps.iter().map(|s| s.state.word()).collect::<Vec<_>>(), ["SENDING", "SENDING", "BACKING_OFF"]);
        assert_eq!(steps.iter().map(|s| s.version).collect::<Vec<_>>(), [2, 3, 4]);
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_answer_to_a_message_made_for_another_identity_files_nothing_and_is_raised() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        let before = bridge.control_id(delivery).await;
        super::people::update(&bridge, &of, 1, numbered("9990000026")).await.unwrap();
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        assert_eq!(bridge.late(&epr(), &before, aa()).await, Some(delivery));
        assert_eq!(bridge.parked(delivery).await, Some(ParkReason::MayAlreadyBeFiled));
        // The person who finds it out sends the new one, and its own answer files it.
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        assert_eq!(bridge.send(delivery, Sent::Filed).await.state.word(), "FILED");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_answer_to_an_earlier_message_for_the_same_person_files_it_without_a_second_copy() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.send(delivery, Sent::Silence).await;
        bridge.operate(delivery, Operation::Park).await.unwrap();
        let before = bridge.control_id(delivery).await;
        bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
        bridge.late(&epr(), &before, aa()).await;
        assert_eq!(bridge.state(delivery).await, "FILED");
        bridge.close().await;
    }
}

/// An answer that comes back after its question's message was given up speaks of that message, for whoever it was made.
#[tokio::test]
async fn what_the_record_says_of_a_message_made_for_another_identity_files_nothing_and_is_raised() {
    for test in both() {
        for (changed, becomes) in [(true, "PARKED"), (false, "FILED")] {
            let bridge = Bridge::on(&test.url).await;
            let of = bridge.episode().await;
            let delivery = bridge.write(&of, "First.").await.delivery();
            bridge.send(delivery, Sent::Silence).await;
            bridge.operate(delivery, Operation::Park).await.unwrap();
            bridge.operate(delivery, Operation::Retry { may_be_in_record_acknowledged: true }).await.unwrap();
            // Taken up to ask, and slow: its lease is over when the answer comes.
            let asked = bridge.claim_for(&epr(), 1, Duration::from_secs(1)).await.remove(0);
            bridge.pass(Duration::from_secs(2)).await;
            let again = bridge.claim_only(&epr(), delivery).await;
            bridge.put_back(&again).await;
            bridge.operate(delivery, Operation::Park).await.unwrap();
            if changed {
                super::people::update(&bridge, &of, 1, numbered("9990000034")).await.unwrap();
            }
            bridge.operate(delivery, Operation::Rerender { may_be_in_record_acknowledged: true }).await.unwrap();
            let mut found = bridge.reply(&epr(), aa());
            found.delivery_id = Some(delivery);
            let happened = Happened::Asked { answer: Answer::Found { record_id: None }, reply: Some(found.id) };
            let settle = Settle {
                asked_about: asked.rendering.as_ref().map(|r| r.id),
                replies: vec![found],
                ..bridge.settling(&asked, None, happened, Feeling::Reached)
            };
            bridge.store.settle(settle).await.unwrap();
            assert_eq!(bridge.state(delivery).await, becomes, "identity changed: {changed}");
            let raised = changed.then_some(ParkReason::MayAlreadyBeFiled);
            assert_eq!(bridge.parked(delivery).await, raised);
            bridge.check_columns().await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn what_was_withdrawn_as_refused_and_is_confirmed_after_that_waits_for_a_person() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let note = bridge.write(&of, "First.").await;
        bridge.send(note.delivery(), Sent::Refused).await;
        let control_id = bridge.control_id(note.delivery()).await;
        assert!(
            bridge.withdraw(&of, note.note).await.unwrap().is_empty(),
            "nothing to take back, as far as it was told"
        );
        assert_eq!(bridge.state(note.delivery()).await, "CANCELLED");
        bridge.late(&epr(), &control_id, verdict(Meaning::Positive, Level::Application, "AA")).await;
        assert_eq!(bridge.parked(note.delivery()).await, Some(ParkReason::FilingContradicted));
        bridge.check_columns().await;
        bridge.close().await;
    }
}
