//! The endpoint's gate: one that is away is asked now and then, by one delivery at a time, and costs the others nothing.

use super::*;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::ParkReason;
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::domain::policy::BackOff;
use ips_bridge::store::record::{EndpointState, Gate};
use ips_bridge::store::write::{Claimed, Feeling, Knock, SetPaused, Settle};
use std::time::Duration;

/// Short, because on PostgreSQL it is waited for; long beside what a few commits take on a machine that is busy.
const CLOSED: Duration = Duration::from_millis(1200);
const WAITED: Duration = Duration::from_millis(1300);

pub async fn pause(bridge: &Bridge, endpoint: &EndpointId, paused: bool) {
    let trust = bridge.store.rules().policies[endpoint].trust.clone();
    let set = SetPaused { call: call(&trust), trust, endpoint: endpoint.clone(), paused, reason: "maintenance".into() };
    bridge.store.set_paused(set).await.unwrap();
}

/// What an answer to somebody else's message would do.
pub async fn open_again(bridge: &Bridge, endpoint: &EndpointId) {
    let nobody = ips_bridge::domain::ids::PatientId::new(bridge.now(), &*bridge.entropy);
    let any = bridge
        .store
        .deliveries(&ips_bridge::store::Scope::system(), &Default::default(), lists::page(1))
        .await
        .unwrap();
    let settle = Settle {
        token: ips_bridge::domain::ids::LeaseToken::new(bridge.now(), &*bridge.entropy),
        endpoint: endpoint.clone(),
        patient_id: nobody,
        delivery_id: any[0].id,
        attempt: None,
        asked_about: None,
        happened: Happened::NotSent,
        replies: vec![],
        feeling: Feeling::Reached,
        probe: BACK_OFF,
        random: 0,
    };
    bridge.store.settle(settle).await.unwrap();
}

async fn state(bridge: &Bridge) -> EndpointState {
    let mut states = bridge.store.endpoint_states(&[epr()]).await.unwrap();
    states.pop().unwrap_or(EndpointState::new(epr()))
}

async fn lanes(bridge: &Bridge, count: usize) {
    for _ in 0..count {
        let of = bridge.episode().await;
        bridge.write(&of, "Note.").await;
    }
}

async fn fails(bridge: &Bridge, claimed: &Claimed, feeling: Feeling) {
    let attempt = bridge.begin(claimed).await;
    let happened = match &feeling {
        Feeling::Unreachable(_) => Happened::NotSent,
        _ => Happened::NoAnswer { why: "timeout".into() },
    };
    let probe = BackOff { first: CLOSED, cap: CLOSED };
    let settle = Settle { probe, random: u64::MAX, ..bridge.settling(claimed, Some(attempt), happened, feeling) };
    // The full wait: the random part is the remainder of its span.
    bridge.store.settle(settle).await.unwrap();
}

fn unreachable() -> Feeling {
    Feeling::Unreachable("connection refused".into())
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_closed_then_probed_by_one_and_opened_by_an_answer() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 4).await;
        let claimed = bridge.claim(&epr(), 1).await.remove(0);
        fails(&bridge, &claimed, unreachable()).await;
        assert_eq!(state(&bridge).await.gate, Gate::Closed);
        assert!(bridge.claim(&epr(), 10).await.is_empty(), "closed until its time");
        bridge.pass(WAITED).await;
        let probe = bridge.claim(&epr(), 10).await;
        assert_eq!(probe.len(), 1, "one probes");
        assert_eq!(state(&bridge).await.gate, Gate::Probing);
        assert!(bridge.claim(&epr(), 10).await.is_empty(), "and no other while it does");
        let attempt = bridge.begin(&probe[0]).await;
        bridge.settle(&probe[0], attempt, Sent::Filed).await;
        assert_eq!(state(&bridge).await, EndpointState::new(epr()));
        assert_eq!(bridge.claim(&epr(), 10).await.len(), 3, "open for all");
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_far_end_that_comes_by_itself_is_probed_at_once() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 3).await;
        bridge.store.knock(Knock { endpoint: epr() }).await.unwrap();
        assert_eq!(state(&bridge).await, EndpointState::new(epr()), "what is open stays as it is");
        let claimed = bridge.claim(&epr(), 1).await.remove(0);
        fails(&bridge, &claimed, unreachable()).await;
        assert!(bridge.claim(&epr(), 10).await.is_empty(), "closed until its time");
        bridge.store.knock(Knock { endpoint: epr() }).await.unwrap();
        assert_eq!(bridge.claim(&epr(), 10).await.len(), 1, "one probes, not all");
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_probe_that_fails_closes_again_and_lanes_that_fail_together_count_once() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 5).await;
        for claimed in bridge.claim(&epr(), 5).await {
            fails(&bridge, &claimed, unreachable()).await;
        }
        assert_eq!(state(&bridge).await.failures, 1);
        bridge.pass(WAITED).await;
        let probe = bridge.claim(&epr(), 10).await.remove(0);
        fails(&bridge, &probe, unreachable()).await;
        let closed = state(&bridge).await;
        assert_eq!((closed.gate, closed.failures, closed.because.as_str()), (Gate::Closed, 2, "connection refused"));
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_probe_that_was_held_back_leaves_the_probing_to_the_next_at_once() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 3).await;
        let claimed = bridge.claim(&epr(), 1).await.remove(0);
        fails(&bridge, &claimed, unreachable()).await;
        bridge.pass(WAITED).await;
        let probe = bridge.claim(&epr(), 10).await.remove(0);
        let held = Happened::Held { reason: ParkReason::IdentityChanged, detail: String::new() };
        bridge.store.settle(bridge.settling(&probe, None, held, Feeling::Nothing)).await.unwrap();
        let next = bridge.claim(&epr(), 10).await;
        assert_eq!(next.len(), 1);
        assert_ne!(next[0].delivery.id, probe.delivery.id);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_probe_that_never_comes_back_is_given_up_with_its_lease() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 2).await;
        let claimed = bridge.claim(&epr(), 1).await.remove(0);
        fails(&bridge, &claimed, unreachable()).await;
        bridge.pass(WAITED).await;
        assert_eq!(bridge.claim_for(&epr(), 10, CLOSED).await.len(), 1);
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        bridge.pass(WAITED).await;
        assert_eq!(bridge.claim(&epr(), 10).await.len(), 1);
        bridge.close().await;
    }
}

#[tokio::test]
async fn on_sqlite_a_probe_of_an_earlier_run_is_given_up_at_once() {
    for test in both().filter(|t| t.kind == "sqlite") {
        let before = Bridge::on(&test.url).await;
        lanes(&before, 2).await;
        let first = before.claim(&epr(), 1).await.remove(0);
        fails(&before, &first, Feeling::Unreachable("refused".into())).await;
        before.pass(WAITED).await;
        assert_eq!(before.claim(&epr(), 10).await.len(), 1);
        assert_eq!(state(&before).await.gate, Gate::Probing);
        let now = before.now();
        before.close().await;
        let after = Bridge::on(&test.url).await;
        after.clock.set(now);
        assert_eq!(after.claim(&epr(), 10).await.len(), 1, "one probes, without waiting for a lease that nobody holds");
        assert_eq!(state(&after).await.gate, Gate::Probing);
        after.close().await;
    }
}

#[tokio::test]
async fn three_silences_in_a_row_close_the_endpoint_and_an_answer_between_them_does_not() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 6).await;
        let mut claimed = bridge.claim(&epr(), 6).await.into_iter();
        let silent = || Feeling::Silent("no answer in time".into());
        for _ in 0..2 {
            fails(&bridge, &claimed.next().unwrap(), silent()).await;
        }
        let answered = claimed.next().unwrap();
        let attempt = bridge.begin(&answered).await;
        bridge.settle(&answered, attempt, Sent::Refused).await;
        for n in 1..=3 {
            assert_eq!(state(&bridge).await.gate, Gate::Open);
            assert_eq!(state(&bridge).await.silences, n - 1);
            fails(&bridge, &claimed.next().unwrap(), silent()).await;
        }
        assert_eq!(state(&bridge).await.gate, Gate::Closed);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_paused_endpoint_lets_nothing_through_until_it_is_resumed() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 2).await;
        pause(&bridge, &epr(), true).await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        let paused = state(&bridge).await.paused.unwrap();
        assert_eq!((paused.by.as_str(), paused.why.0.as_str()), ("ips-app", "maintenance"));
        // An answer that was on its way does not end the pause.
        open_again(&bridge, &epr()).await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        // It outlives the process.
        bridge.close().await;
        let bridge = Bridge::on(&test.url).await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        pause(&bridge, &epr(), false).await;
        assert_eq!(bridge.claim(&epr(), 10).await.len(), 2);
        bridge.close().await;
    }
}

#[tokio::test]
async fn one_endpoints_trouble_is_no_others() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 1).await;
        let claimed = bridge.claim(&epr(), 1).await.remove(0);
        fails(&bridge, &claimed, unreachable()).await;
        let other = bridge.refer(&rx9(), person(), "anew").await;
        let delivery = bridge.write(&other, "Elsewhere.").await.delivery();
        bridge.claim_only(&anew(), delivery).await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn one_that_is_never_answered_does_not_close_the_endpoint_however_often_it_is_tried() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 1).await;
        let not_now = Happened::NotNow { why: "lookup patient: answered 500".into(), others_pass: false };
        for n in 1..=5 {
            let claimed = bridge.claim(&epr(), 10).await.remove(0);
            let silent = Feeling::Silent("lookup patient: answered 500".into());
            let settle = bridge.settling(&claimed, None, not_now.clone(), silent);
            assert_eq!(bridge.store.settle(settle).await.unwrap().state.word(), "QUEUED");
            let state = state(&bridge).await;
            assert_eq!((state.gate, state.silences), (Gate::Open, 1), "{n}");
            bridge.clock.advance(Duration::from_secs(3600));
        }
        bridge.close().await;
    }
}

/// Others are answered between its turns: whatever is the matter is its own.
#[tokio::test]
async fn one_that_alone_comes_to_nothing_waits_for_a_person_in_the_end() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 1).await;
        let not_now = Happened::NotNow { why: "lookup patient: answered 500".into(), others_pass: false };
        let mut turns = 0;
        let parked = loop {
            let claimed = bridge.claim(&epr(), 10).await.remove(0);
            let silent = Feeling::Silent("lookup patient: answered 500".into());
            let settled = bridge.store.settle(bridge.settling(&claimed, None, not_now.clone(), silent)).await.unwrap();
            turns += 1;
            if settled.state.word() == "PARKED" {
                break settled;
            }
            assert!(turns < 50);
            let of = bridge.episode().await;
            let other = bridge.write(&of, "Note.").await;
            bridge.send(other.delivery(), Sent::Filed).await;
            bridge.clock.advance(Duration::from_secs(3600));
        };
        assert_eq!((turns, parked.attempts), (10, 0));
        assert_eq!(parked.park.map(|p| p.reason), Some(ParkReason::LookupUnclear));
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_asks_to_be_left_alone_is_until_its_time_is_over_or_a_person_says_otherwise() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 4).await;
        let mut claimed = bridge.claim(&epr(), 4).await.into_iter();
        let told = |why: &str, seconds| Feeling::ToldToWait { why: why.into(), wait: Duration::from_secs(seconds) };
        fails(&bridge, &claimed.next().unwrap(), told("for an hour", 3600)).await;
        // A shorter wait, and an answer, that were on their way.
        fails(&bridge, &claimed.next().unwrap(), told("for a moment", 1)).await;
        let closed = state(&bridge).await;
        assert_eq!((closed.gate, closed.because.as_str()), (Gate::Closed, "for an hour"));
        let answered = claimed.next().unwrap();
        let attempt = bridge.begin(&answered).await;
        bridge.settle(&answered, attempt, Sent::Filed).await;
        assert_eq!((state(&bridge).await.gate, state(&bridge).await.until), (Gate::Closed, closed.until));
        let of = bridge.episode().await;
        bridge.write(&of, "Note.").await;
        assert!(bridge.claim(&epr(), 10).await.is_empty());
        pause(&bridge, &epr(), false).await;
        assert_eq!(bridge.claim(&epr(), 10).await.len(), 1, "one finds out");
        bridge.close().await;
    }
}

#[tokio::test]
async fn the_probe_is_not_one_whose_silence_is_known_while_another_can_go() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        lanes(&bridge, 3).await;
        let claimed = bridge.claim(&epr(), 3).await;
        let not_now = || Happened::NotNow { why: "answered 500".into(), others_pass: false };
        let silent = Feeling::Silent("answered 500".into());
        bridge.store.settle(bridge.settling(&claimed[0], None, not_now(), silent)).await.unwrap();
        // The other one comes after it, and its trouble is nobody's.
        bridge.clock.advance(Duration::from_secs(600));
        bridge.store.settle(bridge.settling(&claimed[1], None, not_now(), Feeling::Nothing)).await.unwrap();
        let held = Happened::Held { reason: ParkReason::NotRenderable, detail: String::new() };
        let settle = bridge.settling(&claimed[2], None, held, unreachable());
        let probe = BackOff { first: CLOSED, cap: CLOSED };
        bridge.store.settle(Settle { probe, random: u64::MAX, ..settle }).await.unwrap();
        assert_eq!(state(&bridge).await.gate, Gate::Closed);
        bridge.clock.advance(Duration::from_secs(3600));
        bridge.pass(WAITED).await;
        let probes = bridge.claim(&epr(), 10).await;
        let ids: Vec<_> = probes.iter().map(|c| c.delivery.id).collect();
        assert_eq!(ids, [claimed[1].delivery.id]);
        bridge.close().await;
    }
}
