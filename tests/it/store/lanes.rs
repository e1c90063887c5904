//! Lanes: the order of acceptance, what holds a lane and what frees it.

use super::bridge::LEASE;
use super::*;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::ids::DeliveryId;
use ips_bridge::store::write::{Feeling, Operation, WriteNote};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn a_lane_is_sent_in_the_order_it_was_accepted_one_at_a_time() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let mut written = Vec::new();
        for n in 0..5 {
            written.push(bridge.write(&of, &format!("Note {n}")).await.delivery());
        }
        for delivery in written {
            let claimed = bridge.claim_only(&epr(), delivery).await;
            // While it is being sent the lane gives nothing else.
            assert!(bridge.claim(&epr(), 100).await.is_empty());
            let attempt = bridge.begin(&claimed).await;
            assert!(bridge.claim(&epr(), 100).await.is_empty());
            bridge.settle(&claimed, attempt, Sent::Filed).await;
            bridge.check_columns().await;
        }
        assert!(bridge.claim(&epr(), 100).await.is_empty());
        bridge.close().await;
    }
}

#[tokio::test]
async fn lanes_of_different_patients_do_not_wait_for_each_other() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (one, other) = (bridge.episode().await, bridge.episode().await);
        let first = bridge.write(&one, "One.").await.delivery();
        bridge.claim_only(&epr(), first).await;
        let second = bridge.write(&other, "Other.").await.delivery();
        bridge.claim_only(&epr(), second).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_claim_takes_at_most_as_many_lanes_as_asked_for_and_brings_all_that_is_needed() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let mut all = BTreeSet::new();
        for _ in 0..7 {
            let of = bridge.episode().await;
            all.insert(bridge.write(&of, "Note.").await.delivery());
        }
        let first = bridge.claim(&epr(), 5).await;
        let second = bridge.claim(&epr(), 5).await;
        assert_eq!((first.len(), second.len()), (5, 2));
        let claimed: BTreeSet<DeliveryId> = first.iter().chain(&second).map(|c| c.delivery.id).collect();
        assert_eq!(claimed, all);
        for c in first {
            assert_eq!(c.entry.id, c.delivery.entry_id);
            assert_eq!(c.patient.id, c.delivery.patient_id);
            assert_eq!(c.referral.id, c.delivery.referral_id);
            assert!(c.rendering.is_none() && c.before.is_empty());
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn no_delivery_is_claimed_twice_however_many_ask_at_once() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let other = if bridge.is_sqlite() { None } else { Some(Bridge::on(&test.url).await) };
        let mut all = Vec::new();
        for _ in 0..60 {
            let of = bridge.episode().await;
            all.push(bridge.write(&of, "Note.").await.delivery());
        }
        let workers: Vec<_> = (0..8)
            .map(|n| {
                let store = other.as_ref().filter(|_| n % 2 == 0).map_or(&bridge.store, |o| &o.store).clone();
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    for _ in 0..20 {
                        let claim = ips_bridge::store::write::Claim {
                            endpoint: epr(),
                            limit: 3,
                            lease: LEASE,
                            config: Default::default(),
                        };
                        mine.extend(store.claim(claim).await.unwrap().into_iter().map(|c| c.delivery.id));
                    }
                    mine
                })
            })
            .collect();
        let mut claimed = Vec::new();
        for worker in workers {
            claimed.extend(worker.await.unwrap());
        }
        claimed.sort();
        all.sort();
        assert_eq!(claimed, all);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn backing_off_holds_the_lane_until_it_is_due() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await.delivery();
        bridge.write(&of, "Second.").await;
        let settled = bridge.send(first, Sent::TryLater).await;
        assert_eq!(bridge.state(first).await, "BACKING_OFF");
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.check_columns().await;
        bridge.clock.set(settled.next_attempt_at.unwrap() - jiff::Span::new().microseconds(1));
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.clock.set(settled.next_attempt_at.unwrap());
        bridge.claim_only(&epr(), first).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_was_not_sent_stays_first() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await.delivery();
        bridge.write(&of, "Second.").await;
        let claimed = bridge.claim_only(&epr(), first).await;
        let back = bridge.put_back(&claimed).await;
        assert_eq!((back.state.word(), back.attempts), ("QUEUED", 0));
        bridge.claim_only(&epr(), first).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn accepted_and_parked_free_the_lane_and_hold_their_chain() {
    for (sent, state) in [(Sent::Accepted, "ACCEPTED"), (Sent::Refused, "PARKED")] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let of = bridge.episode().await;
            let first = bridge.write(&of, "First.").await;
            let second = bridge.write(&of, "Second.").await;
            bridge.send(first.delivery(), sent).await;
            assert_eq!(bridge.state(first.delivery()).await, state);
            if sent == Sent::Accepted {
                // Its own next version waits; another note does not.
                let waits = bridge.replace(&of, first.note, "First, corrected.").await.unwrap()[0];
                bridge.send(second.delivery(), Sent::Filed).await;
                assert!(bridge.claim(&epr(), 10).await.is_empty());
                assert_eq!(bridge.state(waits).await, "QUEUED");
            } else {
                bridge.send(second.delivery(), Sent::Filed).await;
            }
            bridge.check_columns().await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn a_retried_parked_delivery_goes_first_once_the_lane_is_idle() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await.delivery();
        let second = bridge.write(&of, "Second.").await.delivery();
        let third = bridge.write(&of, "Third.").await.delivery();
        bridge.send(first, Sent::Refused).await;
        let busy = bridge.claim_only(&epr(), second).await;
        bridge.operate(first, Operation::Retry { may_be_in_record_acknowledged: true }).await.unwrap();
        // The lane is not idle yet.
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        let attempt = bridge.begin(&busy).await;
        bridge.settle(&busy, attempt, Sent::Filed).await;
        bridge.send(first, Sent::Filed).await;
        bridge.claim_only(&epr(), third).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_note_waits_for_its_release_and_can_be_taken_back_without_a_trace() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let hour = Duration::from_secs(3600);
        let held = WriteNote { release_after: Some(hour), ..bridge.note(&of, note("Held.")) };
        let held = bridge::written(&bridge.store.write_note(held).await.unwrap());
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.check_columns().await;
        bridge.clock.advance(hour - Duration::from_micros(1));
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.clock.advance(Duration::from_micros(1));
        let claimed = bridge.claim_only(&epr(), held.delivery()).await;
        bridge.put_back(&claimed).await;
        assert!(bridge.withdraw(&of, held.note).await.unwrap().is_empty());
        assert_eq!(bridge.state(held.delivery()).await, "CANCELLED");
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_waits_for_its_release_is_in_nobodys_way_and_least_of_all_in_a_withdrawals() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let wrong = bridge.write(&of, "On the wrong record.").await;
        bridge.send(wrong.delivery(), Sent::Filed).await;
        let held = |after: u64, text: &'static str| {
            let release_after = Some(Duration::from_secs(after));
            bridge.store.write_note(WriteNote { release_after, ..bridge.note(&of, note(text)) })
        };
        let late = bridge::written(&held(3600, "Held for an hour.").await.unwrap()).delivery();
        let soon = bridge::written(&held(60, "Held for a minute.").await.unwrap()).delivery();
        bridge.check_columns().await;
        assert_eq!(bridge.store.next_due(&epr()).await.unwrap(), Some(bridge.now() + jiff::Span::new().minutes(1)));
        let withdrawal = bridge.withdraw(&of, wrong.note).await.unwrap()[0];
        let plain = bridge.write(&of, "Not held.").await.delivery();
        bridge.check_columns().await;
        // What is released goes in the order of acceptance.
        bridge.send(withdrawal, Sent::Filed).await;
        bridge.check_columns().await;
        bridge.clock.advance(Duration::from_secs(60));
        bridge.send(soon, Sent::Filed).await;
        bridge.send(plain, Sent::Filed).await;
        bridge.check_columns().await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.clock.advance(Duration::from_secs(3540));
        bridge.send(late, Sent::Filed).await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// One patient's trouble must not set one note after another against the endpoint's gate, nor change their order.
#[tokio::test]
async fn what_is_put_back_for_a_while_holds_its_lane() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await.delivery();
        let second = bridge.write(&of, "Second.").await.delivery();
        let claimed = bridge.claim_only(&epr(), first).await;
        let why = "lookup patient: answered 500";
        let not_now = Happened::NotNow { why: why.into(), others_pass: false };
        let back = bridge.settling(&claimed, None, not_now, Feeling::Silent(why.into()));
        let back = bridge.store.settle(back).await.unwrap();
        assert_eq!(back.state.word(), "QUEUED");
        assert!(bridge.claim(&epr(), 10).await.is_empty(), "the second waits for the first");
        bridge.check_columns().await;
        bridge.clock.set(back.due_at());
        bridge.send(first, Sent::Filed).await;
        bridge.send(second, Sent::Filed).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn next_due_tells_when_the_outbox_must_look_again() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        assert_eq!(bridge.store.next_due(&epr()).await.unwrap(), None);
        let first = bridge.write(&of, "First.").await.delivery();
        assert_eq!(bridge.store.next_due(&epr()).await.unwrap(), Some(bridge.now()));
        let settled = bridge.send(first, Sent::TryLater).await;
        assert_eq!(bridge.store.next_due(&epr()).await.unwrap(), settled.next_attempt_at);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_commit_that_gives_the_outbox_work_rings() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let store = bridge.store.clone();
        let ring = store.lanes_changed(&epr());
        bridge.write(&of, "Ring.").await;
        tokio::time::timeout(Duration::from_secs(5), ring).await.unwrap();
    }
}
