//! Leases: who holds a lane, what becomes of it when the holder is gone, and what a stale holder can still do.

use super::*;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::ParkReason;
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::store::write::{Begin, BeginWith, Begun, Feeling, ReferralChange};
use std::time::Duration;

/// Long enough for a claim and a begin on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(1500);
const PAST: Duration = Duration::from_millis(1600);

#[tokio::test]
async fn a_lease_that_expires_before_anything_was_begun_puts_the_delivery_back() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.claim_for(&epr(), 1, SHORT).await;
        assert!(bridge.claim(&epr(), 1).await.is_empty());
        bridge.pass(PAST).await;
        let again = bridge.claim_only(&epr(), delivery).await;
        assert_eq!((again.delivery.attempts, again.delivery.unresolved), (0, 0));
        assert!(!again.delivery.may_have_been_received());
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn who_takes_nothing_settles_what_a_worker_that_is_gone_left_behind() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let (left, waits) = (bridge.write(&of, "First.").await.delivery(), bridge.episode().await);
        let waits = bridge.write(&waits, "Second.").await.delivery();
        let claimed = bridge.claim_for(&epr(), 1, SHORT).await.remove(0);
        assert_eq!(claimed.delivery.id, left);
        bridge.begin(&claimed).await;
        bridge.pass(PAST).await;
        assert!(bridge.claim(&epr(), 0).await.is_empty());
        assert_eq!(bridge.state(left).await, "BACKING_OFF");
        assert_eq!(bridge.delivery(waits).await.version, 1, "and touches nothing else");
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_lease_that_expires_with_an_attempt_begun_leaves_the_outcome_unknown() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let claimed = bridge.claim_for(&epr(), 1, SHORT).await.remove(0);
        bridge.begin(&claimed).await;
        bridge.pass(PAST).await;
        assert!(bridge.claim(&epr(), 1).await.is_empty(), "it backs off before it is sent again");
        let now = bridge.delivery(delivery).await;
        assert_eq!((now.state.word(), now.unresolved, now.attempts), ("BACKING_OFF", 1, 1));
        assert!(now.may_have_been_received());
        bridge.check_columns().await;
        bridge.clock.set(now.next_attempt_at.unwrap());
        let again = bridge.claim_only(&epr(), delivery).await;
        assert_eq!(again.rendering.map(|r| r.id), now.rendering, "the same bytes");
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_attempt_begins_with_a_whole_lease_before_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let lease = PAST * 2 - Duration::from_millis(200);
        let claimed = bridge.claim_for(&epr(), 1, lease).await.remove(0);
        bridge.pass(PAST).await;
        let begin = Begin { lease, ..bridge.beginning(&claimed) };
        assert!(matches!(bridge.store.begin(begin).await.unwrap(), Begun::Attempt(_)));
        bridge.check_columns().await;
        bridge.pass(PAST).await;
        assert!(bridge.claim(&epr(), 1).await.is_empty());
        assert_eq!(bridge.state(delivery).await, "SENDING", "its bytes may be on their way still");
        bridge.pass(PAST).await;
        assert!(bridge.claim(&epr(), 1).await.is_empty());
        assert_eq!(bridge.state(delivery).await, "BACKING_OFF");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_expired_lease_is_cleared_up_even_while_the_endpoint_is_paused() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.claim_for(&epr(), 1, SHORT).await;
        gate::pause(&bridge, &epr(), true).await;
        bridge.pass(PAST).await;
        assert!(bridge.claim(&epr(), 1).await.is_empty());
        assert_eq!(bridge.state(delivery).await, "QUEUED");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_stale_token_changes_nothing_but_its_reply_is_kept_and_counts_as_late_evidence() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let stale = bridge.claim_for(&epr(), 1, SHORT).await.remove(0);
        let attempt = bridge.begin(&stale).await;
        bridge.pass(PAST).await;
        bridge.claim(&epr(), 1).await;
        let before = bridge.delivery(delivery).await;
        assert_eq!(before.state.word(), "BACKING_OFF");
        // Not sent, held, silence: a stale worker's word moves nothing.
        for happened in [
            Happened::NotSent,
            Happened::NoAnswer { why: "timeout".into() },
            Happened::Held { reason: ParkReason::ReferralClosed, detail: String::new() },
        ] {
            let settle = bridge.settling(&stale, Some(attempt), happened, Feeling::Nothing);
            assert_eq!(bridge.store.settle(settle).await.unwrap(), before);
        }
        let settle = bridge.answered(&stale, attempt, verdict(Meaning::Positive, Level::Application, "AA"));
        let filed = bridge.store.settle(settle).await.unwrap();
        assert_eq!(filed.state.word(), "FILED");
        let attempts = bridge.store.attempts(&filed).await.unwrap();
        assert_eq!(attempts[0].replies.len(), 1);
        assert_eq!(attempts[0].attempt.result, "AA");
        assert_eq!(attempts[0].rendering.as_ref().map(|r| r.id), filed.rendering);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_stale_reply_that_proves_nothing_is_kept_all_the_same() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let stale = bridge.claim_for(&epr(), 1, SHORT).await.remove(0);
        let attempt = bridge.begin(&stale).await;
        bridge.pass(PAST).await;
        bridge.claim(&epr(), 1).await;
        let before = bridge.delivery(delivery).await;
        let settle = bridge.answered(&stale, attempt, verdict(Meaning::Unknown, Level::Application, "ZZ"));
        assert_eq!(bridge.store.settle(settle).await.unwrap(), before);
        assert_eq!(bridge.store.attempts(&before).await.unwrap()[0].replies.len(), 1);
        bridge.close().await;
    }
}

#[tokio::test]
async fn nothing_is_begun_with_a_lease_that_has_run_out_or_is_anothers() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let stale = bridge.claim_for(&epr(), 1, SHORT).await.remove(0);
        bridge.pass(PAST).await;
        assert_eq!(bridge.store.begin(bridge.beginning(&stale)).await, Ok(Begun::Stale), "run out");
        let current = bridge.claim_only(&epr(), delivery).await;
        assert_eq!(bridge.store.begin(bridge.beginning(&stale)).await, Ok(Begun::Stale), "another's");
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM rendering").await, 0);
        let attempt = bridge.begin(&current).await;
        assert_eq!(bridge.store.begin(bridge.beginning(&stale)).await, Ok(Begun::Stale));
        bridge.settle(&current, attempt, Sent::Filed).await;
        assert_eq!(bridge.store.begin(bridge.beginning(&current)).await, Ok(Begun::Stale), "settled");
        bridge.close().await;
    }
}

#[tokio::test]
async fn begin_is_stale_when_patient_referral_or_predecessor_changed_since_the_claim() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await;
        bridge.send(first.delivery(), Sent::Filed).await;
        let second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0];
        let claimed = bridge.claim_only(&epr(), second).await;
        people::update(&bridge, &of, 1, of.details.clone()).await.unwrap();
        assert_eq!(bridge.store.begin(bridge.beginning(&claimed)).await, Ok(Begun::Stale), "patient");
        bridge.put_back(&claimed).await;

        let claimed = bridge.claim_only(&epr(), second).await;
        accept_and(&bridge, &of, ReferralChange::Assign(author())).await;
        assert_eq!(bridge.store.begin(bridge.beginning(&claimed)).await, Ok(Begun::Stale), "referral");
        bridge.put_back(&claimed).await;

        let claimed = bridge.claim_only(&epr(), second).await;
        let control_id = bridge.control_id(first.delivery()).await;
        bridge.late(&epr(), &control_id, verdict(Meaning::Refused, Level::Application, "AR")).await;
        assert_eq!(bridge.store.begin(bridge.beginning(&claimed)).await, Ok(Begun::Stale), "predecessor");
        assert_eq!(bridge.delivery(second).await.rendering, None);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_was_withdrawn_or_stopped_since_it_was_claimed_is_not_begun() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (of, other) = (bridge.episode().await, bridge.episode().await);
        let (withdrawn, stopped) = (bridge.write(&of, "First.").await, bridge.write(&other, "Second.").await);
        let claimed = bridge.claim(&epr(), 2).await;
        let of_note = |written: &bridge::Written| {
            claimed.iter().find(|c| c.delivery.id == written.delivery()).expect("it was claimed")
        };
        bridge.withdraw(&of, withdrawn.note).await.unwrap();
        let begun = bridge.store.begin(bridge.beginning(of_note(&withdrawn))).await;
        assert_eq!(begun, Ok(Begun::Stale), "withdrawn");
        bridge.put_back(of_note(&withdrawn)).await;
        assert_eq!(bridge.state(withdrawn.delivery()).await, "CANCELLED");
        gate::pause(&bridge, &epr(), true).await;
        let begun = bridge.store.begin(bridge.beginning(of_note(&stopped))).await;
        assert_eq!(begun, Ok(Begun::Stale), "the endpoint is paused");
        bridge.put_back(of_note(&stopped)).await;
        gate::pause(&bridge, &epr(), false).await;
        let again = bridge.claim_only(&epr(), stopped.delivery()).await;
        bridge.begin(&again).await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

async fn accept_and(bridge: &Bridge, of: &bridge::Episode, change: ReferralChange) {
    use ips_bridge::store::write::{AnswerReferral, ChangeReferral, ReferralAnswer};
    let accept = AnswerReferral {
        call: call(&of.trust),
        referral_id: of.referral,
        author: author(),
        answer: ReferralAnswer::Accept { assigned_to: author() },
    };
    bridge.store.answer_referral(accept).await.unwrap();
    bridge
        .store
        .change_referral(ChangeReferral { call: call(&of.trust), referral_id: of.referral, change })
        .await
        .unwrap();
}

#[tokio::test]
async fn the_bytes_and_the_attempt_are_on_disk_before_the_first_byte_leaves() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        let claimed = bridge.claim_only(&epr(), delivery).await;
        let mut rendering = bridge.rendering(&claimed);
        rendering.bytes.0 = (0..=255).collect();
        let with = BeginWith::New { rendering: Box::new(rendering.clone()), anew: true };
        let begun = bridge.store.begin(Begin { with, ..bridge.beginning(&claimed) }).await.unwrap();
        let Begun::Attempt(attempt) = begun else { panic!("stale") };
        drop(bridge.store);
        bridge.end.await.unwrap();

        let bridge = Bridge::on(&test.url).await;
        let found = bridge.delivery(delivery).await;
        assert!(found.begun && found.may_have_been_received());
        let attempts = bridge.store.attempts(&found).await.unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].attempt.id, attempts[0].attempt.ended_at), (attempt, None));
        assert_eq!(attempts[0].rendering.as_ref(), Some(&rendering));
        let audited = "SELECT COUNT(*) FROM audit WHERE action = 'delivery.rerender' AND principal = 'bridge'";
        assert_eq!(raw::number(&test.url, audited).await, 1);
        bridge.close().await;
    }
}

#[tokio::test]
async fn on_sqlite_the_leases_of_an_earlier_run_are_void_at_once() {
    for test in both().filter(|t| t.kind == "sqlite") {
        let bridge = Bridge::on(&test.url).await;
        let (one, two) = (bridge.episode().await, bridge.episode().await);
        let queued = bridge.write(&one, "Claimed only.").await.delivery();
        let begun = bridge.write(&two, "Begun.").await.delivery();
        for claimed in bridge.claim(&epr(), 2).await {
            if claimed.delivery.id == begun {
                bridge.begin(&claimed).await;
            }
        }
        bridge.close().await;

        let bridge = Bridge::on(&test.url).await;
        bridge.claim_only(&epr(), queued).await;
        let unknown = bridge.delivery(begun).await;
        assert_eq!((unknown.state.word(), unknown.unresolved), ("BACKING_OFF", 1));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn on_postgresql_the_databases_clock_ends_a_lease_not_a_bridges() {
    for test in both().filter(|t| t.kind == "postgres") {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.claim_for(&epr(), 1, SHORT).await;
        // A bridge whose clock is years ahead takes nobody's lane.
        let fast = Bridge::on(&test.url).await;
        fast.clock.advance(Duration::from_secs(10 * 365 * 86_400));
        assert!(fast.claim(&epr(), 1).await.is_empty());
        // Nor do the lanes that others hold stand in the way of what is due by its own clock.
        let of = fast.refer(&rx9(), numbered("9990000026"), "east").await;
        let own = fast.write(&of, "Of today, as it sees it.").await.delivery();
        let claimed = fast.claim(&epr(), 1).await;
        assert_eq!(claimed.iter().map(|c| c.delivery.id).collect::<Vec<_>>(), [own]);
        // And one whose clock stands still sees it end, in another bridge's hands too.
        tokio::time::sleep(PAST).await;
        bridge.claim_only(&epr(), delivery).await;
        bridge.close().await;
        fast.close().await;
    }
}

#[tokio::test]
async fn what_a_bridge_that_is_ahead_of_its_database_writes_goes_at_once() {
    for test in both() {
        let fast = Bridge::on(&test.url).await;
        fast.clock.advance(Duration::from_secs(10 * 365 * 86_400));
        let of = fast.episode().await;
        let delivery = fast.write(&of, "First.").await.delivery();
        fast.send(delivery, Sent::TryLater).await;
        assert!(fast.claim(&epr(), 1).await.is_empty(), "it backs off by the clock that said until when");
        let back = fast.delivery(delivery).await;
        fast.clock.set(back.due_at());
        fast.send(delivery, Sent::Filed).await;
        fast.check_columns().await;
        fast.close().await;
    }
}

#[tokio::test]
async fn while_one_is_sent_after_an_expiry_the_lane_gives_nothing_else() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await.delivery();
        bridge.write(&of, "Second.").await;
        bridge.claim_for(&epr(), 1, SHORT).await;
        bridge.pass(PAST).await;
        bridge.claim_only(&epr(), first).await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn after_an_expiry_what_was_accepted_first_goes_first() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let first = bridge.write(&of, "First.").await;
        bridge.claim_for(&epr(), 1, SHORT).await;
        let corrected = bridge.replace(&of, first.note, "First, corrected.").await.unwrap()[0];
        bridge.write(&of, "Second.").await;
        bridge.pass(PAST).await;
        // Nothing of the first was sent, so its correction takes its place, before the second.
        bridge.claim_only(&epr(), corrected).await;
        assert_eq!(bridge.state(first.delivery()).await, "CANCELLED");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

/// Where one bridge alone writes, nobody else has to see a claim.
#[tokio::test]
async fn on_sqlite_a_claim_is_on_disk_with_what_is_begun_under_it_and_no_sooner() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let mut deliveries = Vec::new();
        for text in ["First.", "Second.", "Third."] {
            let of = bridge.episode().await;
            deliveries.push(bridge.write(&of, text).await.delivery());
            bridge.pass(Duration::from_millis(1)).await;
        }
        // Those that were taken up and are not written do not stand in the way of the others.
        let mut claimed = Vec::new();
        for delivery in &deliveries {
            let one = bridge.claim(&epr(), 1).await.remove(0);
            assert_eq!(one.delivery.id, *delivery);
            claimed.push(one);
        }
        assert!(bridge.claim(&epr(), 3).await.is_empty(), "each is in somebody's hands");
        let waiting = if bridge.is_sqlite() { "QUEUED" } else { "SENDING" };
        assert_eq!(bridge.state(deliveries[0]).await, waiting);
        bridge.check_columns().await;

        bridge.begin(&claimed[1]).await;
        for delivery in &deliveries {
            assert_eq!(bridge.state(*delivery).await, "SENDING");
        }
        let begun = bridge.delivery(deliveries[1]).await;
        let steps: Vec<i64> = bridge.store.steps(&begun).await.unwrap().iter().map(|s| s.version).collect();
        assert_eq!((steps, begun.version), (vec![2, 3], 3), "its history is whole");
        bridge.check_columns().await;
        for one in [&claimed[0], &claimed[2]] {
            let attempt = bridge.begin(one).await;
            assert_eq!(bridge.settle(one, attempt, Sent::Filed).await.state.word(), "FILED");
        }
        bridge.close().await;
    }
}

/// What cannot be read of one endpoint's is no other's trouble.
#[tokio::test]
async fn a_batch_that_fails_before_it_writes_voids_no_claim_of_another_endpoint() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let ours = bridge.write(&of, "First.").await.delivery();
        let to_anew = bridge.refer(&rx9(), person(), "anew").await;
        let broken = bridge.write(&to_anew, "Second.").await.delivery();
        bridge.close().await;
        let bridge = Bridge::on(&test.url).await;
        let claimed = bridge.claim_only(&epr(), ours).await;
        let id = hex(broken.0.as_bytes());
        let at = if bridge.is_sqlite() { format!("x'{id}'") } else { format!("'{id}'::uuid") };
        raw::execute(&test.url, &format!("UPDATE delivery SET payload = '{{}}' WHERE id = {at}")).await;
        let claim =
            ips_bridge::store::write::Claim { endpoint: anew(), limit: 5, lease: SHORT, config: Default::default() };
        assert!(bridge.store.claim(claim).await.is_err(), "its payload cannot be read");
        let attempt = bridge.begin(&claimed).await;
        assert_eq!(bridge.settle(&claimed, attempt, Sent::Filed).await.state.word(), "FILED");
        bridge.close().await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn a_claim_that_ended_with_its_process_leaves_nothing_behind_on_sqlite() {
    for test in both().filter(|test| test.url.starts_with("sqlite")) {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let delivery = bridge.write(&of, "First.").await.delivery();
        bridge.claim_only(&epr(), delivery).await;
        bridge.close().await;

        let bridge = Bridge::on(&test.url).await;
        let now = bridge.delivery(delivery).await;
        assert_eq!((now.state.word(), now.version), ("QUEUED", 1));
        let claimed = bridge.claim_only(&epr(), delivery).await;
        let attempt = bridge.begin(&claimed).await;
        assert_eq!(bridge.settle(&claimed, attempt, Sent::Filed).await.state.word(), "FILED");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_happens_to_a_delivery_after_its_claim_is_decided_with_the_claim() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let written = bridge.write(&of, "First.").await;
        let claimed = bridge.claim_only(&epr(), written.delivery()).await;
        // In somebody's hands: a newer version waits for what becomes of it, and does not take its place.
        bridge.replace(&of, written.note, "Second.").await.unwrap();
        assert!(bridge.claim(&epr(), 5).await.is_empty());
        let attempt = bridge.begin(&claimed).await;
        assert_eq!(bridge.settle(&claimed, attempt, Sent::Filed).await.state.word(), "FILED");
        let newer = bridge.claim(&epr(), 5).await.remove(0);
        assert_eq!(newer.delivery.predecessor, Some(written.delivery()));
        bridge.check_columns().await;
        bridge.close().await;
    }
}
