//! A merge in one commit: everything that was the losing patient's goes on as the surviving one's, in order, and leases are not broken.

use super::bridge::Episode;
use super::*;
use ips_bridge::domain::decide::Happened;
use ips_bridge::domain::delivery::ParkReason;
use ips_bridge::domain::ids::{InboundId, PatientId};
use ips_bridge::domain::merge::{Merge, MergeKind};
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::domain::person::{Patient, PatientDetails};
use ips_bridge::domain::standing::PatientKey;
use ips_bridge::store::read::{Page, PatientBy};
use ips_bridge::store::record::{Inbound, InboundState, Raw};
use ips_bridge::store::write::{Became, Begun, Feeling, PatientIs, ReceivedTold, Told, UpdatePatient};
use ips_bridge::store::{Refusal, Scope, WriteError};
use std::time::Duration;

/// What the message is answered with here: what became of it, in one word.
fn word(became: &Became) -> Vec<u8> {
    match became {
        Became::Applied(_) => "applied".into(),
        Became::Ignored(..) => "ignored".into(),
        Became::Refused { code, .. } => format!("refused {code}").into(),
        Became::Held { code, .. } => format!("held {code}").into(),
    }
}

async fn tell(bridge: &Bridge, told: Told) -> String {
    let now = bridge.now();
    let inbound = Inbound {
        id: InboundId::new(now, &*bridge.entropy),
        trust: rx9(),
        endpoint: epr(),
        received_at: now,
        source: "EPR|RX9".into(),
        control_id: unique().to_string(),
        message_type: "ADT^A40".into(),
        state: InboundState::Received,
        reason: String::new(),
        rule: None,
        referral_id: None,
        reused_control_id: false,
        content: vec![1],
        bytes: Raw(b"MSH".to_vec()),
        reply: Raw::default(),
    };
    let rules = bridge.store.rules().clone();
    let told = ReceivedTold { inbound, rules, told, rule: None, keeps_ignored: false, reply: Box::new(word) };
    String::from_utf8(bridge.store.take_in(told.into()).await.unwrap()).unwrap()
}

fn merged(bridge: &Bridge, into: &Episode, from: &Episode) -> Merge {
    let keys = |e: &Episode| -> Vec<PatientKey> {
        let number = e.details.nhs_number.map(PatientKey::NhsNumber);
        number.into_iter().chain(e.details.local_identifiers.iter().cloned().map(PatientKey::Local)).collect()
    };
    Merge {
        kind: MergeKind::Merge,
        surviving: keys(into),
        losing: keys(from),
        family: Some(into.details.name.family.clone()),
        date_of_birth: Some(into.details.date_of_birth),
        other_families: vec![],
        birth_year: None,
        surviving_near: vec![],
        losing_near: vec![],
        at: bridge.now(),
        urgent: None,
    }
}

async fn merge(bridge: &Bridge, into: &Episode, from: &Episode) -> String {
    tell(bridge, Told::Merges(vec![merged(bridge, into, from)])).await
}

async fn patient(bridge: &Bridge, id: PatientId) -> Patient {
    bridge.store.patient(&Scope::system(), id).await.unwrap().unwrap()
}

/// What leaves the endpoint's queue, in order, until nothing is to be had.
async fn sent_in_order(bridge: &Bridge, endpoint: &EndpointId) -> Vec<ips_bridge::domain::ids::DeliveryId> {
    let mut order = Vec::new();
    for _ in 0..50 {
        let claimed = bridge.claim(endpoint, 10).await;
        // A round may only bring deliveries to where they belong.
        if claimed.is_empty() && bridge.claim(endpoint, 10).await.is_empty() {
            return order;
        }
        for c in claimed {
            let attempt = bridge.begin(&c).await;
            bridge.settle(&c, attempt, Sent::Filed).await;
            order.push(c.delivery.id);
        }
    }
    panic!("the queue has no end");
}

#[tokio::test]
async fn everything_of_the_losing_patient_goes_on_as_the_surviving_ones_in_its_order() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (loser, survivor) = (bridge.episode().await, bridge.episode().await);
        let mut all = vec![bridge.write(&survivor, "S one.").await.delivery()];
        let first = bridge.write(&loser, "L one.").await;
        all.push(first.delivery());
        for text in ["L two.", "L three."] {
            all.push(bridge.write(&loser, text).await.delivery());
        }
        assert_eq!(merge(&bridge, &survivor, &loser).await, "applied");
        for id in &all {
            assert_eq!(bridge.delivery(*id).await.patient_id, survivor.patient);
        }
        let referral = bridge.store.referral(&Scope::system(), loser.referral).await.unwrap().unwrap();
        let note = bridge.store.note(&Scope::system(), first.note).await.unwrap().unwrap();
        assert_eq!((referral.patient_id, note.patient_id), (survivor.patient, survivor.patient));
        let entry =
            bridge.store.entry(&Scope::system(), bridge.delivery(all[1]).await.entry_id).await.unwrap().unwrap();
        assert_eq!(entry.patient_id, loser.patient, "who it was written for is kept");
        assert_eq!(entry.identity, loser.details.identity());
        bridge.check_columns().await;
        all.push(bridge.write(&Episode { referral: loser.referral, ..survivor.clone() }, "After.").await.delivery());
        let order = sent_in_order(&bridge, &epr()).await;
        assert_eq!(order, all);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn who_was_merged_is_found_by_every_identifier_and_can_be_neither_changed_nor_referred() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let with_both = PatientDetails { local_identifiers: person().local_identifiers, ..numbered("9990000018") };
        let loser = bridge.refer(&rx9(), with_both, "east").await;
        let survivor = bridge.episode().await;
        assert_eq!(merge(&bridge, &survivor, &loser).await, "applied");
        let known = patient(&bridge, loser.patient).await;
        assert_eq!((known.standing.merged_into, known.version), (Some(survivor.patient), 2));
        let page = Page { size: 10, after: None };
        let by = PatientBy::NhsNumber(loser.details.nhs_number.unwrap());
        let found = bridge.store.find_patients(&Scope::system(), &rx9(), &by, page).await.unwrap();
        assert_eq!(found.iter().map(|p| p.id).collect::<Vec<_>>(), [survivor.patient]);
        for id in &loser.details.local_identifiers {
            let by = PatientBy::Local(id.clone());
            let found = bridge.store.find_patients(&Scope::system(), &rx9(), &by, page).await.unwrap();
            assert_eq!(found.iter().map(|p| p.id).collect::<Vec<_>>(), [survivor.patient]);
        }
        let changed = UpdatePatient {
            call: call(&rx9()),
            patient_id: loser.patient,
            version_seen: 2,
            details: loser.details.clone(),
            reason: "x".into(),
        };
        let refused = bridge.store.update_patient(changed).await;
        assert!(matches!(refused, Err(WriteError::Refused(Refusal::WrongState(_)))), "{refused:?}");
        let mut referral = bridge.referral(&rx9(), loser.details.clone(), "east");
        referral.patient = PatientIs::Known(loser.patient);
        let refused = bridge.store.create_referral(referral).await;
        assert!(matches!(refused, Err(WriteError::Refused(Refusal::WrongState(_)))), "{refused:?}");
        // Nobody else becomes the losing patient by its number: a merged number makes no second record.
        let again = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        assert_eq!(again.patient, survivor.patient);
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_chain_of_merges_brings_everything_to_its_end() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (a, b, c) = (bridge.episode().await, bridge.episode().await, bridge.episode().await);
        let mut all = vec![
            bridge.write(&a, "A.").await.delivery(),
            bridge.write(&b, "B.").await.delivery(),
            bridge.write(&c, "C.").await.delivery(),
        ];
        // In one message, one after the other.
        let both = vec![merged(&bridge, &b, &a), merged(&bridge, &c, &b)];
        assert_eq!(tell(&bridge, Told::Merges(both)).await, "applied");
        for id in [a.patient, b.patient] {
            assert_eq!(patient(&bridge, id).await.standing.merged_into, Some(c.patient));
        }
        all.sort();
        let mut order = sent_in_order(&bridge, &epr()).await;
        order.sort();
        assert_eq!(order, all);
        for id in all {
            assert_eq!(bridge.delivery(id).await.patient_id, c.patient);
        }
        assert_eq!(merge(&bridge, &c, &a).await, "applied", "told again, and no harm done");
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_lease_in_hand_is_kept_to_its_end_and_the_lane_follows_then() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (loser, survivor) = (bridge.episode().await, bridge.episode().await);
        let first = bridge.write(&loser, "One.").await;
        let second = bridge.write(&loser, "Two.").await.delivery();
        let claimed = bridge.claim_only(&epr(), first.delivery()).await;
        let attempt = bridge.begin(&claimed).await;
        assert_eq!(merge(&bridge, &survivor, &loser).await, "applied");
        for id in [first.delivery(), second] {
            assert_eq!(bridge.delivery(id).await.patient_id, loser.patient, "the lane waits for its lease");
        }
        assert!(bridge.claim(&epr(), 10).await.is_empty(), "nothing passes what is on its way");
        // A replacement, accepted meanwhile for the surviving patient, waits for the version before it all the same.
        let of = Episode { referral: loser.referral, ..survivor.clone() };
        let newer = bridge.replace(&of, first.note, "One, mended.").await.unwrap()[0];
        let settled = bridge.settle(&claimed, attempt, Sent::Filed).await;
        assert_eq!((settled.state.word(), settled.patient_id), ("FILED", survivor.patient));
        assert_eq!(sent_in_order(&bridge, &epr()).await, [second, newer]);
        assert!(bridge.delivery(newer).await.predecessor == Some(first.delivery()));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_attempt_not_begun_before_a_merge_does_not_begin_after_it() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (loser, survivor) = (bridge.episode().await, bridge.episode().await);
        let delivery = bridge.write(&loser, "One.").await.delivery();
        let claimed = bridge.claim_only(&epr(), delivery).await;
        assert_eq!(merge(&bridge, &survivor, &loser).await, "applied");
        assert_eq!(bridge.store.begin(bridge.beginning(&claimed)).await.unwrap(), Begun::Stale);
        bridge.put_back(&claimed).await;
        let claimed = bridge.claim_only(&epr(), delivery).await;
        assert_eq!((claimed.patient.id, claimed.delivery.patient_id), (survivor.patient, survivor.patient));
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_a_worker_that_is_gone_had_in_hand_follows_too() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (a, b, c) = (bridge.episode().await, bridge.episode().await, bridge.episode().await);
        let delivery = bridge.write(&a, "One.").await.delivery();
        let claimed = bridge.claim_for(&epr(), 1, Duration::from_millis(300)).await.remove(0);
        bridge.begin(&claimed).await;
        assert_eq!(merge(&bridge, &b, &a).await, "applied");
        assert_eq!(merge(&bridge, &c, &b).await, "applied", "and on, before the lease has ended");
        bridge.pass(Duration::from_millis(400)).await;
        for _ in 0..3 {
            assert!(bridge.claim(&epr(), 10).await.is_empty(), "its outcome is unknown: it backs off, and moves");
        }
        let moved = bridge.delivery(delivery).await;
        assert_eq!((moved.patient_id, moved.state.word()), (c.patient, "BACKING_OFF"));
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_merge_that_cannot_be_followed_is_held_and_stops_what_it_may_concern_until_somebody_has_looked() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (a, b) = (bridge.episode().await, bridge.episode().await);
        assert_eq!(merge(&bridge, &a, &a).await, "refused 205", "with itself: nothing happens");
        assert!(patient(&bridge, a.patient).await.standing.doubt.is_none());
        assert_eq!(merge(&bridge, &b, &a).await, "applied");
        bridge.pass(Duration::from_millis(10)).await;
        assert_eq!(merge(&bridge, &a, &b).await, "held 204", "reversed");
        let doubted = patient(&bridge, b.patient).await;
        assert!(doubted.standing.doubt.is_some());
        let confirmed = UpdatePatient {
            call: call(&rx9()),
            patient_id: b.patient,
            version_seen: doubted.version,
            details: doubted.details.clone(),
            reason: "asked the trust".into(),
        };
        bridge.store.update_patient(confirmed).await.unwrap();
        assert!(patient(&bridge, b.patient).await.standing.doubt.is_none());
        let strangers = Merge {
            surviving: vec![PatientKey::Local(person().local_identifiers[0].clone())],
            losing: vec![PatientKey::Local(person().local_identifiers[0].clone())],
            ..merged(&bridge, &a, &b)
        };
        assert_eq!(tell(&bridge, Told::Merges(vec![strangers])).await, "ignored");
        bridge.close().await;
    }
}

#[tokio::test]
async fn parked_deliveries_follow_and_can_be_sent_again_from_where_they_belong() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (loser, survivor) = (bridge.episode().await, bridge.episode().await);
        let delivery = bridge.write(&loser, "One.").await.delivery();
        let claimed = bridge.claim_only(&epr(), delivery).await;
        let held = Happened::Held { reason: ParkReason::NhsNumberUnverified, detail: String::new() };
        bridge.store.settle(bridge.settling(&claimed, None, held, Feeling::Nothing)).await.unwrap();
        assert_eq!(merge(&bridge, &survivor, &loser).await, "applied");
        assert_eq!(bridge.delivery(delivery).await.patient_id, survivor.patient);
        bridge
            .operate(delivery, ips_bridge::store::write::Operation::Retry { may_be_in_record_acknowledged: true })
            .await
            .unwrap();
        assert_eq!(bridge.claim_only(&epr(), delivery).await.patient.id, survivor.patient);
        bridge.close().await;
    }
}

#[tokio::test]
async fn notes_written_in_the_same_moment_as_a_merge_reach_the_surviving_patient() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        for round in 0..5 {
            let (loser, survivor) = (bridge.episode().await, bridge.episode().await);
            let (before, told, after) = tokio::join!(
                bridge.write(&loser, "Just before."),
                merge(&bridge, &survivor, &loser),
                bridge.store.write_note(bridge.note(&loser, note("Just after.")))
            );
            assert_eq!(told, "applied", "round {round}");
            assert_eq!(bridge.delivery(before.delivery()).await.patient_id, survivor.patient);
            // The author meant the losing patient; that is who the surviving one is expected to be.
            if let Ok(after) = after {
                let delivery = super::bridge::written(&after).delivery();
                assert_eq!(bridge.delivery(delivery).await.patient_id, survivor.patient);
            }
        }
        bridge.check_columns().await;
        bridge.close().await;
    }
}
