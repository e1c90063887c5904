//! What the database itself refuses, because somebody else's commit came between, fails at most its own caller.

use super::*;
use futures::future::join_all;
use ips_bridge::domain::ids::{PatientId, ReferralId};
use ips_bridge::domain::person::Patient;
use ips_bridge::domain::referral::ExternalId;
use ips_bridge::domain::text::Private;
use ips_bridge::store::record::Answered;
use ips_bridge::store::write::{Begin, BeginWith, CreateReferral};
use ips_bridge::store::{Refusal, Scope, StoreError, WriteError};
use sqlx::Connection;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_write_the_database_refuses_fails_its_caller_only() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let (one, other) = (bridge.episode().await, bridge.episode().await);
        bridge.write(&one, "One.").await;
        bridge.write(&other, "Other.").await;
        let claimed = bridge.claim(&epr(), 2).await;
        bridge.begin(&claimed[0]).await;
        // The same control id once more at this endpoint: unique in the tables, unknown to the writer.
        let mut twin = bridge.rendering(&claimed[1]);
        twin.control_id = bridge.control_id(claimed[0].delivery.id).await;
        let with = BeginWith::New { rendering: Box::new(twin), anew: false };
        let begin = Begin { with, ..bridge.beginning(&claimed[1]) };
        let notes = (0..40).map(|n| {
            let (store, write) = (bridge.store.clone(), bridge.note(&one, note(&format!("Note {n}"))));
            tokio::spawn(async move { store.write_note(write).await })
        });
        let reads = ips_bridge::store::record::Audit {
            at: bridge.now(),
            trust: rx9(),
            actor: call(&rx9()).actor,
            action: "patient.read",
            subject_kind: "patient",
            subject_id: None,
            patient_id: None,
            why: Default::default(),
            outcome: "done",
        };
        let (begun, notes, audited) = tokio::join!(
            bridge.store.begin(begin),
            join_all(notes.collect::<Vec<_>>()),
            bridge.store.audit_reads(ips_bridge::store::write::ReadAudit(vec![reads]))
        );
        assert!(matches!(begun, Err(WriteError::Store(StoreError::Conflict(_)))), "{begun:?}");
        assert!(notes.into_iter().all(|n| matches!(n, Ok(Ok(Answered::Fresh(_))))));
        audited.unwrap();
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 42);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM audit WHERE action = 'patient.read'").await, 1);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM attempt").await, 1);
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn two_bridges_that_create_the_same_at_once_make_it_once() {
    for test in both().filter(|t| t.kind == "postgres") {
        let (a, b) = (Bridge::on(&test.url).await, Bridge::on(&test.url).await);
        for round in 0..10 {
            let external = ExternalId { system: "ers".into(), value: Private(format!("R{round}")) };
            let with_external = |bridge: &Bridge| {
                let mut create = bridge.referral(&rx9(), numbered("9990000018"), "east");
                create.details.external_ids.push(external.clone());
                create
            };
            // The same patient, the same external id.
            let (x, y) =
                tokio::join!(a.store.create_referral(with_external(&a)), b.store.create_referral(with_external(&b)));
            let (made, refused) = if x.is_ok() { (x, y) } else { (y, x) };
            let id = ReferralId(made.unwrap().answer().subject);
            assert_eq!(refused, Err(Refusal::ExternalIdTaken(id).into()));
            // The same patient, referrals of their own.
            let create = |bridge: &Bridge| bridge.referral(&rx9(), numbered("9990000026"), "east");
            let (x, y) = tokio::join!(a.store.create_referral(create(&a)), b.store.create_referral(create(&b)));
            x.unwrap();
            y.unwrap();
            // The same request id.
            let key = unique();
            let same = |bridge: &Bridge| CreateReferral { call: call_of(&rx9(), key, 1), ..create(bridge) };
            let (x, y) = tokio::join!(a.store.create_referral(same(&a)), b.store.create_referral(same(&b)));
            assert_eq!(x.unwrap().answer(), y.unwrap().answer());
        }
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM patient").await, 2);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM referral_external").await, 10);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM referral").await, 40);
        a.close().await;
        b.close().await;
    }
}

#[tokio::test]
async fn a_conflict_at_the_last_moment_is_looked_at_again_and_answered() {
    for test in both().filter(|t| t.kind == "postgres") {
        let bridge = Bridge::on(&test.url).await;
        let details = numbered("9990000018");
        let patient = Patient {
            id: PatientId::new(bridge.now(), &*bridge.entropy),
            trust: rx9(),
            version: 1,
            details: details.clone(),
            created_at: bridge.now(),
            updated_at: bridge.now(),
            standing: Default::default(),
        };
        // Somebody outside the bridge has the same patient in a transaction that the writer cannot see yet.
        let mut outside = sqlx::PgConnection::connect(&test.url).await.unwrap();
        sqlx::query("BEGIN").execute(&mut outside).await.unwrap();
        sqlx::query("INSERT INTO patient (id, trust, nhs_number, folded_family, date_of_birth, payload) VALUES ($1, 'RX9', '9990000018', 'llyrjones', '1985-04-12', $2)")
            .bind(patient.id.0)
            .bind(serde_json::to_string(&patient).unwrap())
            .execute(&mut outside)
            .await
            .unwrap();
        let store = bridge.store.clone();
        let create = bridge.referral(&rx9(), details, "east");
        let waiting = tokio::spawn(async move { store.create_referral(create).await });
        let blocked = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
        crate::support::wait_until(std::time::Duration::from_secs(10), "the writer to wait for the row", async || {
            raw::number(&test.url, blocked).await > 0
        })
        .await;
        sqlx::query("COMMIT").execute(&mut outside).await.unwrap();
        let made = ReferralId(waiting.await.unwrap().unwrap().answer().subject);
        let referral = bridge.store.referral(&Scope::system(), made).await.unwrap().unwrap();
        assert_eq!(referral.patient_id, patient.id, "recognised at the second look");
        bridge.close().await;
    }
}

#[tokio::test]
async fn two_bridges_that_settle_withdraw_and_claim_in_the_same_lanes_never_disagree() {
    for test in both().filter(|t| t.kind == "postgres") {
        let (a, b) = (Bridge::on(&test.url).await, Bridge::on(&test.url).await);
        let mut all = BTreeSet::new();
        for round in 0..12 {
            let of = a.episode().await;
            let written = a.write(&of, "First.").await;
            let claimed = a.claim_only(&epr(), written.delivery()).await;
            let attempt = a.begin(&claimed).await;
            let sent = [Sent::Filed, Sent::Refused, Sent::Accepted, Sent::Silence][round % 4];
            // One settles while the other takes the note back.
            let (settled, withdrawn) = tokio::join!(a.settle(&claimed, attempt, sent), b.withdraw(&of, written.note));
            all.insert(settled.id);
            for withdrawal in withdrawn.unwrap() {
                all.insert(withdrawal);
                let state = b.state(withdrawal).await;
                if state == "QUEUED" {
                    b.send(withdrawal, Sent::Filed).await;
                } else {
                    assert_eq!(state, "CANCELLED");
                }
            }
            gate::open_again(&a, &epr()).await;
            a.check_columns().await;
        }
        assert!(a.claim(&epr(), 100).await.is_empty());
        a.close().await;
        b.close().await;
    }
}

#[tokio::test]
async fn what_a_bridge_remembers_of_a_batch_that_wrote_nothing_is_forgotten_when_another_bridge_has_written() {
    for test in both().filter(|t| t.kind == "postgres") {
        let (a, b) = (Bridge::on(&test.url).await, Bridge::on(&test.url).await);
        let of = a.episode().await;
        let delivery = a.write(&of, "First.").await.delivery();
        // It looks, and its own first write is refused: nothing of it is committed.
        gate::pause(&a, &epr(), true).await;
        assert!(b.claim(&epr(), 10).await.is_empty());
        let mut wrong = b.note(&of, note("Second."));
        wrong.expected.family.0 = "Somebody-Else".into();
        assert!(b.store.write_note(wrong).await.is_err());
        gate::pause(&a, &epr(), false).await;
        b.claim_only(&epr(), delivery).await;
        a.close().await;
        b.close().await;
    }
}
