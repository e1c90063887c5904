//! Replace and withdraw (invariant 7), each case with real claims, attempts and answers.

use super::evidence::aa;
use super::*;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::{ParkReason, Since};
use ips_bridge::domain::entry::EntryAction;
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::store::write::{Feeling, Operation};

/// Somebody whose notes go to an endpoint, and one note there.
async fn begin(bridge: &Bridge, team: &str) -> (bridge::Episode, bridge::Written) {
    let of = bridge.refer(&rx9(), person(), team).await;
    let written = bridge.write(&of, "First.").await;
    (of, written)
}

#[tokio::test]
async fn what_cannot_have_arrived_is_cancelled_and_its_replacement_goes_as_a_create() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        assert_eq!(bridge.state(first.delivery()).await, "CANCELLED");
        let claimed = bridge.claim_only(&epr(), second).await;
        assert_eq!((claimed.delivery.predecessor, claimed.before.len()), (None, 1));
        assert_eq!(ips_bridge::domain::chain::speaks_of(&claimed.before, EntryAction::Replace), None);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn the_withdrawal_of_what_cannot_have_arrived_sends_nothing() {
    for parked in [false, true] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let (of, first) = begin(&bridge, "east").await;
            if parked {
                bridge.send(first.delivery(), Sent::Refused).await;
            }
            assert!(bridge.withdraw(&of, first.note).await.unwrap().is_empty());
            assert_eq!(bridge.state(first.delivery()).await, "CANCELLED");
            assert!(bridge.claim(&epr(), 10).await.is_empty());
            let again = bridge.withdraw(&of, first.note).await;
            assert!(matches!(
                again,
                Err(ips_bridge::store::WriteError::Refused(ips_bridge::store::Refusal::WrongState(_)))
            ));
            bridge.check_columns().await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn the_successor_of_what_was_filed_follows_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        bridge.send(first.delivery(), Sent::Filed).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        let claimed = bridge.claim_only(&epr(), second).await;
        assert_eq!(claimed.delivery.predecessor, Some(first.delivery()));
        assert_eq!(claimed.before.iter().map(|d| d.state.word()).collect::<Vec<_>>(), ["FILED"]);
        bridge.put_back(&claimed).await;
        bridge.send(second, Sent::Filed).await;
        let third = bridge.withdraw(&of, first.note).await.unwrap()[0];
        bridge.send(third, Sent::Filed).await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_replacement_waits_for_the_answer_and_goes_when_it_comes() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        let claimed = bridge.claim_only(&epr(), first.delivery()).await;
        let attempt = bridge.begin(&claimed).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        assert_eq!(bridge.state(first.delivery()).await, "SENDING");
        bridge.check_columns().await;
        // Received by the trust is not filed: it still waits.
        bridge.settle(&claimed, attempt, Sent::Accepted).await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        let control_id = bridge.control_id(first.delivery()).await;
        bridge.late(&epr(), &control_id, verdict(Meaning::Positive, Level::Application, "AA")).await;
        bridge.check_columns().await;
        bridge.claim_only(&epr(), second).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_replacement_waits_behind_an_unknown_outcome_and_behind_what_is_parked_for_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        let unknown = bridge.send(first.delivery(), Sent::Silence).await;
        assert_eq!(unknown.state.word(), "BACKING_OFF");
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        assert_eq!(bridge.state(first.delivery()).await, "BACKING_OFF", "the first still has to find out");
        for _ in 0..2 {
            bridge.clock.set(bridge.delivery(first.delivery()).await.next_attempt_at.unwrap());
            bridge.send(first.delivery(), Sent::Silence).await;
            gate::open_again(&bridge, &epr()).await;
        }
        assert_eq!(bridge.parked(first.delivery()).await, Some(ParkReason::OutcomeUnknown));
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        // A person found it in nobody's record.
        let cancel = |acknowledged| Operation::Cancel { may_be_in_record_acknowledged: acknowledged };
        assert!(bridge.operate(first.delivery(), cancel(false)).await.is_err());
        bridge.operate(first.delivery(), cancel(true)).await.unwrap();
        bridge.claim_only(&epr(), second).await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_what_is_definitely_refused_while_it_waited() {
    for sent in [Sent::Refused, Sent::Never, Sent::TryLater] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let (of, first) = begin(&bridge, "east").await;
            let claimed = bridge.claim_only(&epr(), first.delivery()).await;
            let attempt = bridge.begin(&claimed).await;
            let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
            let settled = bridge.settle(&claimed, attempt, sent).await;
            assert_eq!(settled.state.word(), "CANCELLED", "{sent:?}: the answer tells what it is now");
            assert_eq!(bridge.state(first.delivery()).await, "CANCELLED");
            gate::open_again(&bridge, &epr()).await;
            bridge.check_columns().await;
            bridge.claim_only(&epr(), second).await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn a_withdrawal_is_not_held_up_by_an_unknown_outcome() {
    for sent in [Sent::Silence, Sent::Accepted] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let (of, first) = begin(&bridge, "east").await;
            bridge.send(first.delivery(), sent).await;
            let withdrawal = bridge.withdraw(&of, first.note).await.unwrap()[0];
            let claimed = bridge.claim_only(&epr(), withdrawal).await;
            let speaks_of = ips_bridge::domain::chain::speaks_of(&claimed.before, EntryAction::Withdraw);
            assert_eq!(speaks_of.map(|d| d.id), Some(first.delivery()));
            let before = bridge.state(first.delivery()).await;
            assert_eq!(before, if sent == Sent::Silence { "CANCELLED" } else { "ACCEPTED" });
            bridge.check_columns().await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn a_withdrawal_during_sending_goes_after_the_answer_and_not_at_all_if_nothing_arrived() {
    for (sent, goes) in [
        (Sent::Filed, true),
        (Sent::Accepted, true),
        (Sent::Silence, true),
        (Sent::Refused, false),
        (Sent::TryLater, false),
        (Sent::Never, false),
    ] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let (of, first) = begin(&bridge, "east").await;
            let claimed = bridge.claim_only(&epr(), first.delivery()).await;
            let attempt = bridge.begin(&claimed).await;
            let withdrawal = bridge.withdraw(&of, first.note).await.unwrap()[0];
            bridge.check_columns().await;
            bridge.settle(&claimed, attempt, sent).await;
            gate::open_again(&bridge, &epr()).await;
            bridge.check_columns().await;
            let next: Vec<_> = bridge.claim(&epr(), 10).await.iter().map(|c| c.delivery.id).collect();
            if goes {
                assert_eq!(next, [withdrawal], "{sent:?}");
            } else {
                assert!(next.is_empty(), "{sent:?}");
                assert_eq!(bridge.state(withdrawal).await, "CANCELLED", "{sent:?}");
                assert_eq!(bridge.state(first.delivery()).await, "CANCELLED", "{sent:?}");
            }
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn a_withdrawal_that_cannot_name_its_document_is_an_alarm_at_once_and_goes_when_it_can() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "anew").await;
        bridge.send(first.delivery(), Sent::Filed).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        bridge.send(second, Sent::Accepted).await;
        let withdrawal = bridge.withdraw(&of, first.note).await.unwrap()[0];
        assert_eq!(bridge.parked(withdrawal).await, Some(ParkReason::WithdrawalCannotNameDocument));
        assert!(bridge.claim(&anew(), 10).await.is_empty());
        let control_id = bridge.control_id(second).await;
        bridge.late(&anew(), &control_id, verdict(Meaning::Positive, Level::Application, "AA")).await;
        let counted =
            |word: &str| bridge.store.alarms().iter().find(|(_, w, _)| *w == word).map(|(e, _, n)| (e.clone(), *n));
        assert_eq!(counted("withdrawal_cannot_name_document"), Some((anew(), 1)));
        let claimed = bridge.claim_only(&anew(), withdrawal).await;
        // Whatever else holds it, somebody is called as well: what it takes back may be read there.
        assert_eq!(counted("withdrawal_waits"), None);
        let held = Happened::Held { reason: ParkReason::NoMappedStaffId, detail: String::new() };
        bridge.store.settle(bridge.settling(&claimed, None, held, Feeling::Nothing)).await.unwrap();
        assert_eq!((bridge.state(withdrawal).await, counted("withdrawal_waits")), ("PARKED", Some((anew(), 1))));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_a_person_gave_up_although_it_may_be_in_the_record_is_still_withdrawn() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        bridge.send(first.delivery(), Sent::Silence).await;
        bridge.operate(first.delivery(), Operation::Cancel { may_be_in_record_acknowledged: true }).await.unwrap();
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        // Withdrawn while the second one leaves, and that one never arrives: the first may be there all the same.
        let claimed = bridge.claim_only(&epr(), second).await;
        let attempt = bridge.begin(&claimed).await;
        let withdrawal = bridge.withdraw(&of, first.note).await.unwrap()[0];
        bridge.settle(&claimed, attempt, Sent::Never).await;
        gate::open_again(&bridge, &epr()).await;
        let claimed = bridge.claim_only(&epr(), withdrawal).await;
        let speaks_of = ips_bridge::domain::chain::speaks_of(&claimed.before, EntryAction::Withdraw);
        assert_eq!(speaks_of.map(|d| d.id), Some(first.delivery()));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn each_endpoint_has_a_chain_of_its_own() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.refer(&rx9(), person(), "copies").await;
        let first = bridge.write(&of, "First.").await;
        let here = bridge.claim(&epr(), 10).await.remove(0);
        let attempt = bridge.begin(&here).await;
        bridge.settle(&here, attempt, Sent::Filed).await;
        let withdrawals = bridge.withdraw(&of, first.note).await.unwrap();
        // At the one it stands in the record, at the other it never left.
        assert_eq!(withdrawals.len(), 1);
        bridge.claim_only(&epr(), withdrawals[0]).await;
        assert!(bridge.claim(&anew(), 10).await.is_empty());
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// The person who gave it up could not know; nor could the replacement, which went without it.
#[tokio::test]
async fn a_version_that_proves_to_be_in_the_record_beside_a_newer_one_waits_for_a_person() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        bridge.send(first.delivery(), Sent::Silence).await;
        bridge.operate(first.delivery(), Operation::Park).await.unwrap();
        let cancel = Operation::Cancel { may_be_in_record_acknowledged: true };
        bridge.operate(first.delivery(), cancel).await.unwrap();
        let control_id = bridge.control_id(first.delivery()).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        bridge.send(second, Sent::Filed).await;
        assert_eq!(bridge.late(&epr(), &control_id, aa()).await, Some(first.delivery()));
        assert_eq!(bridge.parked(first.delivery()).await, Some(ParkReason::FilingContradicted));
        assert_eq!(bridge.state(second).await, "FILED");
        // The withdrawal takes back what it can name; the other one goes on waiting for a person.
        let third = bridge.withdraw(&of, first.note).await.unwrap()[0];
        bridge.send(third, Sent::Filed).await;
        assert_eq!(bridge.parked(first.delivery()).await, Some(ParkReason::FilingContradicted));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// What withdraws it was sent after it.
#[tokio::test]
async fn a_version_that_proves_to_be_in_the_record_after_its_withdrawal_is_filed() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        bridge.send(first.delivery(), Sent::Silence).await;
        bridge.operate(first.delivery(), Operation::Park).await.unwrap();
        let control_id = bridge.control_id(first.delivery()).await;
        let second = bridge.withdraw(&of, first.note).await.unwrap()[0];
        bridge.send(second, Sent::Filed).await;
        bridge.late(&epr(), &control_id, aa()).await;
        assert_eq!((bridge.state(first.delivery()).await, bridge.state(second).await), ("FILED", "FILED"));
        bridge.close().await;
    }
}

/// Its document's id is known, so nothing that comes later lets it go by itself.
#[tokio::test]
async fn a_withdrawal_that_is_held_because_the_record_moved_stays_held() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        bridge.send(first.delivery(), Sent::Filed).await;
        let second = bridge.withdraw(&of, first.note).await.unwrap()[0];
        let claimed = bridge.claim_only(&epr(), second).await;
        let held = Happened::Held { reason: ParkReason::EndpointChangedAfterSend, detail: String::new() };
        bridge.store.settle(bridge.settling(&claimed, None, held, Feeling::Nothing)).await.unwrap();
        assert_eq!(bridge.parked(second).await, Some(ParkReason::EndpointChangedAfterSend));
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_version_that_was_filed_knows_what_a_newer_one_did_to_it_there() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        bridge.send(first.delivery(), Sent::Filed).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        assert_eq!(bridge.delivery(first.delivery()).await.since, None, "not there yet");
        bridge.send(second, Sent::Filed).await;
        let third = bridge.withdraw(&of, first.note).await.unwrap()[0];
        bridge.send(third, Sent::Filed).await;
        assert_eq!(bridge.delivery(first.delivery()).await.since, Some(Since::Replaced));
        assert_eq!(bridge.delivery(second).await.since, Some(Since::Withdrawn));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// Its author reads why: nobody wrote a newer text.
#[tokio::test]
async fn what_was_on_its_way_when_it_was_withdrawn_is_cancelled_as_withdrawn() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, first) = begin(&bridge, "east").await;
        let claimed = bridge.claim_only(&epr(), first.delivery()).await;
        let attempt = bridge.begin(&claimed).await;
        bridge.withdraw(&of, first.note).await.unwrap();
        bridge.settle(&claimed, attempt, Sent::Silence).await;
        let cancelled = bridge.delivery(first.delivery()).await.cancelled.expect("it gives way");
        assert_eq!(cancelled.why.0, "withdrawn");
        bridge.close().await;
    }
}
