//! Another trust's ids behave as if they did not exist, in every question and every change.

use super::bridge::Episode;
use super::*;
use ips_bridge::domain::ids::{DeliveryId, EntryId, InboundId, NoteId, OutcomeId, ReferralId};
use ips_bridge::domain::outcome::OutcomeContent;
use ips_bridge::domain::referral::ExternalId;
use ips_bridge::domain::text::Private;
use ips_bridge::store::read::{DeliveryFilter, PatientBy, ReferralFilter, SubjectFilter};
use ips_bridge::store::record::{Inbound, InboundState, Raw};
use ips_bridge::store::write::*;
use ips_bridge::store::{Refusal, Scope, WriteError};

/// Everything there is to name at RX9.
struct Known {
    of: Episode,
    note: NoteId,
    outcome: OutcomeId,
    entry: EntryId,
    delivery: DeliveryId,
    inbound: InboundId,
    external: ExternalId,
}

async fn known(bridge: &Bridge) -> Known {
    let external = ExternalId { system: "ers".into(), value: Private("1".into()) };
    let details = numbered("9990000018");
    let mut create = bridge.referral(&rx9(), details.clone(), "east");
    create.details.external_ids.push(external.clone());
    let referral = ReferralId(bridge.store.create_referral(create).await.unwrap().answer().subject);
    let patient = bridge.store.referral(&Scope::system(), referral).await.unwrap().unwrap().patient_id;
    let of = Episode { trust: rx9(), patient, referral, details };
    let written = bridge.write(&of, "Ours.").await;
    let outcome = record(bridge, &of, &rx9(), job_start()).await.unwrap();
    let delivery = bridge.send(written.delivery(), Sent::Accepted).await;
    let inbound = Inbound {
        id: InboundId::new(bridge.now(), &*bridge.entropy),
        trust: rx9(),
        endpoint: epr(),
        received_at: bridge.now(),
        source: "PAS|RX9".into(),
        control_id: "1".into(),
        message_type: "ADT^A31".into(),
        state: InboundState::Received,
        reason: String::new(),
        referral_id: None,
        rule: None,
        reused_control_id: false,
        content: vec![1; 32],
        bytes: Raw(b"MSH|".to_vec()),
        reply: Raw(b"MSA|AA".to_vec()),
    };
    let id = inbound.id;
    bridge.store.receive(Receive { inbound }).await.unwrap();
    Known { of, note: written.note, outcome, entry: delivery.entry_id, delivery: delivery.id, inbound: id, external }
}

async fn record(
    bridge: &Bridge,
    of: &Episode,
    by: &ips_bridge::domain::organisation::OdsCode,
    content: OutcomeContent,
) -> Result<OutcomeId, WriteError> {
    let record = RecordOutcome {
        call: call(by),
        rules: bridge.store.rules().clone(),
        referral_id: of.referral,
        expected: expected(&of.details),
        author: author(),
        content,
        occurred_at: bridge.now(),
    };
    bridge.store.record_outcome(record).await.map(|a| OutcomeId(a.answer().subject))
}

#[tokio::test]
async fn no_question_tells_anything_of_another_trust() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let k = known(&bridge).await;
        let store = &bridge.store;
        let all = lists::page(1000);
        // The same questions, within the trust and from the other one: something, and nothing.
        for (scope, some) in [
            (Scope::trusts([rx9()]), true),
            (Scope::system(), true),
            (Scope::trusts([rx9(), ry9()]), true),
            (Scope::trusts([ry9()]), false),
            (Scope::trusts([]), false),
        ] {
            let scope = &scope;
            let found = [
                ("patient", store.patient(scope, k.of.patient).await.unwrap().is_some()),
                ("patient_at", store.patient_at(scope, k.of.patient, 1).await.unwrap().is_some()),
                ("by number", {
                    let by = PatientBy::NhsNumber(k.of.details.nhs_number.unwrap());
                    !store.find_patients(scope, &rx9(), &by, all).await.unwrap().is_empty()
                }),
                ("by name", {
                    let by =
                        PatientBy::NameAndBirth { family: "LLYR JONES".into(), born: k.of.details.date_of_birth.0 };
                    !store.find_patients(scope, &rx9(), &by, all).await.unwrap().is_empty()
                }),
                ("referral", store.referral(scope, k.of.referral).await.unwrap().is_some()),
                ("referral_at", store.referral_at(scope, k.of.referral, 1).await.unwrap().is_some()),
                ("by external", store.referral_by_external(scope, &rx9(), &k.external).await.unwrap().is_some()),
                ("referrals", !store.referrals(scope, &ReferralFilter::default(), all).await.unwrap().is_empty()),
                ("referrals of", {
                    let filter =
                        ReferralFilter { trust: Some(rx9()), patient: Some(k.of.patient), ..Default::default() };
                    !store.referrals(scope, &filter, all).await.unwrap().is_empty()
                }),
                ("referrals_since", !store.referrals_since(scope, None, 0, 100).await.unwrap().is_empty()),
                ("referrals_since of", !store.referrals_since(scope, Some(&rx9()), 0, 100).await.unwrap().is_empty()),
                ("note", store.note(scope, k.note).await.unwrap().is_some()),
                ("notes", {
                    let of = SubjectFilter::Referral(k.of.referral);
                    !store.notes(scope, of, None, all).await.unwrap().is_empty()
                }),
                ("notes of patient", {
                    let of = SubjectFilter::Patient(k.of.patient);
                    !store.notes(scope, of, None, all).await.unwrap().is_empty()
                }),
                ("outcome", store.outcome(scope, k.outcome).await.unwrap().is_some()),
                ("outcomes", {
                    let of = SubjectFilter::Patient(k.of.patient);
                    !store.outcomes(scope, of, all).await.unwrap().is_empty()
                }),
                ("entry", store.entry(scope, k.entry).await.unwrap().is_some()),
                ("versions", !store.versions(scope, [k.note.0, k.outcome.0]).await.unwrap().is_empty()),
                ("delivery", store.delivery(scope, k.delivery).await.unwrap().is_some()),
                ("deliveries_by_id", !store.deliveries_by_id(scope, &[k.delivery]).await.unwrap().is_empty()),
                ("deliveries_of", !store.deliveries_of(scope, [k.note.0]).await.unwrap().is_empty()),
                ("deliveries", !store.deliveries(scope, &DeliveryFilter::default(), all).await.unwrap().is_empty()),
                ("deliveries of", {
                    let filter =
                        DeliveryFilter { endpoint: Some(epr()), subject: Some(k.note.0), ..Default::default() };
                    !store.deliveries(scope, &filter, all).await.unwrap().is_empty()
                }),
                ("deliveries_since", !store.deliveries_since(scope, None, 0, 100).await.unwrap().is_empty()),
                ("deliveries_since of", !store.deliveries_since(scope, Some(&epr()), 0, 100).await.unwrap().is_empty()),
                ("to_backfill", {
                    let from = bridge.now() - jiff::Span::new().hours(1);
                    !store.to_backfill(scope, &rx9(), &anew(), from, None, 10).await.unwrap().is_empty()
                }),
                ("trust_facts", store.trust_facts(scope, &rx9()).await.unwrap().is_some()),
                ("inbound", store.inbound(scope, k.inbound).await.unwrap().is_some()),
                ("inbound_messages", !store.inbound_messages(scope, None, all).await.unwrap().is_empty()),
                ("inbound_messages of", !store.inbound_messages(scope, Some(&epr()), all).await.unwrap().is_empty()),
            ];
            for (question, found) in found {
                assert_eq!(found, some, "{question} under {scope:?}");
            }
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn an_epr_system_sees_its_own_endpoints_only() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let k = known(&bridge).await;
        let all = lists::page(1000);
        for (endpoints, some) in [(vec![epr()], true), (vec![anew()], false), (vec![], false)] {
            let scope = &Scope::trusts([rx9()]).with_endpoints(endpoints);
            let found = [
                bridge.store.delivery(scope, k.delivery).await.unwrap().is_some(),
                !bridge.store.deliveries_by_id(scope, &[k.delivery]).await.unwrap().is_empty(),
                !bridge.store.deliveries_of(scope, [k.note.0]).await.unwrap().is_empty(),
                !bridge.store.deliveries(scope, &DeliveryFilter::default(), all).await.unwrap().is_empty(),
                !bridge.store.deliveries_since(scope, None, 0, 100).await.unwrap().is_empty(),
                !bridge.store.deliveries_since(scope, Some(&epr()), 0, 100).await.unwrap().is_empty(),
                bridge.store.inbound(scope, k.inbound).await.unwrap().is_some(),
                !bridge.store.inbound_messages(scope, None, all).await.unwrap().is_empty(),
                !bridge.store.inbound_messages(scope, Some(&epr()), all).await.unwrap().is_empty(),
            ];
            assert_eq!(found, [some; 9]);
            assert!(bridge.store.deliveries_since(scope, Some(&endpoint("ry9-epr")), 0, 100).await.unwrap().is_empty());
        }
        bridge.close().await;
    }
}

fn by_another(k: &Known, n: u8) -> Option<Operate> {
    let operation = match n {
        0 => Operation::Retry { may_be_in_record_acknowledged: true },
        1 => Operation::Rerender { may_be_in_record_acknowledged: true },
        2 => Operation::Park,
        3 => Operation::Cancel { may_be_in_record_acknowledged: true },
        _ => return None,
    };
    Some(Operate { call: call(&ry9()), deliveries: vec![k.delivery], operation, reason: "x".into(), single: true })
}

#[tokio::test]
async fn no_change_reaches_another_trust() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let k = known(&bridge).await;
        let store = &bridge.store;
        let theirs = || call(&ry9());
        let tables = ["patient", "referral", "note", "outcome", "entry", "delivery", "endpoint", "audit", "request"];
        let mut before = Vec::new();
        for table in tables {
            before.push(raw::rows(&test.url, table).await);
        }

        let mut refused: Vec<(&str, Result<_, WriteError>)> = Vec::new();
        refused.push((
            "write_note",
            store.write_note(WriteNote { call: theirs(), ..bridge.note(&k.of, note("x")) }).await,
        ));
        let replace = ReplaceNote {
            call: theirs(),
            note_id: k.note,
            version_seen: 1,
            expected: expected(&k.of.details),
            author: author(),
            content: note("x"),
            reason: Private("x".into()),
            release_after: None,
        };
        refused.push(("replace_note", store.replace_note(replace).await));
        let withdraw = WithdrawNote {
            call: theirs(),
            note_id: k.note,
            version_seen: 1,
            author: author(),
            reason: WHY,
            explanation: None,
        };
        refused.push(("withdraw_note", store.withdraw_note(withdraw).await));
        assert_eq!(record(&bridge, &k.of, &ry9(), job_start()).await, Err(Refusal::NotFound("referral").into()));
        let correct = CorrectOutcome {
            call: theirs(),
            outcome_id: k.outcome,
            version_seen: 1,
            expected: expected(&k.of.details),
            author: author(),
            content: job_start(),
            occurred_at: bridge.now(),
            reason: Private("x".into()),
        };
        refused.push(("correct_outcome", store.correct_outcome(correct).await));
        let withdraw = WithdrawOutcome {
            call: theirs(),
            outcome_id: k.outcome,
            version_seen: 1,
            author: author(),
            reason: WHY,
            explanation: None,
        };
        refused.push(("withdraw_outcome", store.withdraw_outcome(withdraw).await));
        let for_known = CreateReferral {
            call: theirs(),
            patient: PatientIs::Known(k.of.patient),
            ..bridge.referral(&ry9(), person(), "east")
        };
        refused.push(("create_referral, their trust, our patient", store.create_referral(for_known).await));
        let in_ours = CreateReferral { call: theirs(), ..bridge.referral(&rx9(), person(), "east") };
        refused.push(("create_referral, our trust", store.create_referral(in_ours).await));
        let answer = AnswerReferral {
            call: theirs(),
            referral_id: k.of.referral,
            author: author(),
            answer: ReferralAnswer::Accept { assigned_to: author() },
        };
        refused.push(("answer_referral", store.answer_referral(answer).await));
        let change =
            ChangeReferral { call: theirs(), referral_id: k.of.referral, change: ReferralChange::Assign(author()) };
        refused.push(("change_referral", store.change_referral(change).await));
        let update = UpdatePatient {
            call: theirs(),
            patient_id: k.of.patient,
            version_seen: 1,
            details: k.of.details.clone(),
            reason: "x".into(),
        };
        refused.push(("update_patient", store.update_patient(update).await));
        for operate in (0..).map_while(|n| by_another(&k, n)) {
            refused.push(("operate", store.operate(operate).await));
        }
        let pause = |trust| SetPaused { call: theirs(), trust, endpoint: epr(), paused: true, reason: "x".into() };
        refused.push(("set_paused, our trust", store.set_paused(pause(rx9())).await));
        refused.push(("set_paused, their trust", store.set_paused(pause(ry9())).await));
        let backfill = Backfill { call: theirs(), endpoint: anew(), entries: vec![k.entry], reason: "x".into() };
        refused.push(("backfill to our endpoint", store.backfill(backfill).await));
        for (what, result) in refused {
            assert!(matches!(result, Err(WriteError::Refused(Refusal::NotFound(_)))), "{what}: {result:?}");
        }
        for (table, before) in tables.iter().zip(before) {
            assert_eq!(raw::rows(&test.url, table).await, before, "{table}");
        }
        // To their own endpoint, entries of ours are passed over as unknown ids are: nothing is made.
        let both_trusts = Call { scope: Scope::trusts([rx9(), ry9()]), ..theirs() };
        for call in [theirs(), both_trusts] {
            let backfill = Backfill { call, endpoint: endpoint("ry9-epr"), entries: vec![k.entry], reason: "x".into() };
            assert!(store.backfill(backfill).await.unwrap().answer().deliveries.is_empty());
        }
        bridge.close().await;
    }
}

#[tokio::test]
async fn a_foreign_id_is_answered_like_one_that_does_not_exist() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let k = known(&bridge).await;
        let mut nobodys = bridge.note(&k.of, note("x"));
        nobodys.call = call(&ry9());
        nobodys.referral_id = ReferralId::new(bridge.now(), &*bridge.entropy);
        let foreign = WriteNote { call: call(&ry9()), ..bridge.note(&k.of, note("x")) };
        assert_eq!(bridge.store.write_note(nobodys).await, bridge.store.write_note(foreign).await);
        bridge.close().await;
    }
}
