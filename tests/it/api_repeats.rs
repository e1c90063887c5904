//! A repeated call gets the same answer, to the byte, whatever has become of what it made.

use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, reason_of};
use crate::support::stores;
use ips_bridge::domain::delivery::ParkReason;
use ips_bridge::wire::v1;
use prost::Message;
use tonic::Code;

impl Bridge {
    async fn twice(&self, who: &str, rpc: &str, request: &impl Message, meanwhile: impl AsyncFnOnce(&Self)) {
        let first =
            self.bytes(who, rpc, request).await.unwrap_or_else(|s| panic!("{rpc}: {}", crate::api_support::told(&s)));
        assert!(!first.is_empty(), "{rpc}");
        meanwhile(self).await;
        self.clock.advance(std::time::Duration::from_secs(60));
        assert!(self.bytes(who, rpc, request).await.unwrap() == first, "{rpc} answers otherwise the second time");
    }
}

#[tokio::test]
async fn a_repeated_call_gets_the_same_bytes_even_after_the_delivery_was_filed() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let writing = write(&referral.id, "One.");
        let file = async |b: &Bridge| assert_eq!(b.send_all(Outcome::Positive).await.len(), 1);
        bridge.twice("worker", "ProgressNoteService/WriteProgressNote", &writing, file).await;
        let note: v1::WriteProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WriteProgressNote", &writing).await;
        let note = note.note.unwrap();
        let replacing = replace(&note, "Two.");
        bridge.twice("worker", "ProgressNoteService/ReplaceProgressNote", &replacing, file).await;
        let second: v1::ReplaceProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/ReplaceProgressNote", &replacing).await;
        // The first call's answer did not change when a second version came.
        let first: v1::WriteProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WriteProgressNote", &writing).await;
        assert_eq!(first.note.unwrap(), note);
        bridge
            .twice("worker", "ProgressNoteService/WithdrawProgressNote", &withdraw(&second.note.unwrap()), file)
            .await;

        let recording = record(&referral.id, job_start());
        bridge.twice("worker", "OutcomeService/RecordOutcome", &recording, file).await;
        let outcome: v1::RecordOutcomeResponse =
            bridge.done("worker", "OutcomeService/RecordOutcome", &recording).await;
        let correcting = v1::CorrectOutcomeRequest {
            request_id: request_id(),
            outcome_id: outcome.outcome.unwrap().id,
            version_seen: 1,
            expected_patient: expected(),
            author: author(),
            content: job_start(),
            reason: "again".into(),
        };
        bridge.twice("worker", "OutcomeService/CorrectOutcome", &correcting, file).await;
        let withdrawing = v1::WithdrawOutcomeRequest {
            request_id: request_id(),
            outcome_id: correcting.outcome_id.clone(),
            version_seen: 2,
            author: author(),
            reason: v1::WithdrawReason::Incorrect.into(),
            explanation: None,
        };
        bridge.twice("worker", "OutcomeService/WithdrawOutcome", &withdrawing, file).await;
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_referral_and_a_patient_are_answered_at_the_version_they_had() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let creating = create("RXX", "REF-1");
        let made: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &creating).await;
        let made = made.referral.unwrap();
        let accepting = v1::AcceptReferralRequest {
            request_id: request_id(),
            referral_id: made.id.clone(),
            assigned_to: author(),
            author: author(),
        };
        let accept = async |b: &Bridge| {
            let _: v1::AcceptReferralResponse = b.done("worker", "ReferralService/AcceptReferral", &accepting).await;
        };
        bridge.twice("worker", "ReferralService/CreateReferral", &creating, accept).await;
        let again: v1::CreateReferralResponse =
            bridge.done("worker", "ReferralService/CreateReferral", &creating).await;
        assert_eq!(again.referral.unwrap().version, 1);
        let assigning =
            v1::AssignReferralRequest { request_id: request_id(), referral_id: made.id.clone(), assigned_to: author() };
        let note = async |b: &Bridge| drop(b.note(&made.id, "One.").await);
        bridge.twice("worker", "ReferralService/AssignReferral", &assigning, note).await;
        let updating = v1::UpdatePatientRequest {
            request_id: request_id(),
            patient_id: made.patient_id.clone(),
            version_seen: 1,
            details: Some(v1::PatientDetails { phone: Some("1".into()), ..patient_details() }),
            reason: "x".into(),
        };
        let later = v1::UpdatePatientRequest {
            request_id: request_id(),
            version_seen: 2,
            details: Some(v1::PatientDetails { phone: Some("2".into()), ..patient_details() }),
            ..updating.clone()
        };
        let update = async |b: &Bridge| {
            drop(b.done::<v1::UpdatePatientResponse>("worker", "PatientService/UpdatePatient", &later).await)
        };
        bridge.twice("worker", "PatientService/UpdatePatient", &updating, update).await;
        let closing = v1::CloseReferralRequest {
            request_id: request_id(),
            referral_id: made.id.clone(),
            reason: 2,
            closed_at: None,
        };
        bridge.twice("worker", "ReferralService/CloseReferral", &closing, async |_| ()).await;
        bridge.end().await;
    }
}

#[tokio::test]
async fn an_operation_is_answered_as_the_delivery_stood_right_after_it() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let delivery = bridge.note(&referral.id, "One.").await.deliveries.remove(0);
        let parking = v1::ParkDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: delivery.id.clone(),
            reason: "wait".into(),
        };
        let rendering = v1::RerenderDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: delivery.id.clone(),
            reason: "go on".into(),
            acknowledge_may_be_in_record: false,
        };
        let rerender = async |b: &Bridge| {
            drop(
                b.done::<v1::RerenderDeliveryResponse>("integrator", "DeliveryService/RerenderDelivery", &rendering)
                    .await,
            )
        };
        bridge.twice("integrator", "DeliveryService/ParkDelivery", &parking, rerender).await;
        let file = async |b: &Bridge| drop(b.send_all(Outcome::Positive).await);
        bridge.twice("integrator", "DeliveryService/RerenderDelivery", &rendering, file).await;
        assert_eq!(bridge.delivery("worker", &delivery.id).await.state(), v1::DeliveryState::Filed);
        let second = bridge.note(&referral.id, "Two.").await.deliveries.remove(0);
        let cancelling = v1::CancelDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: second.id.clone(),
            reason: "the ward asked".into(),
            acknowledge_may_be_in_record: false,
        };
        bridge.twice("integrator", "DeliveryService/CancelDelivery", &cancelling, async |_| ()).await;
        let told: v1::CancelDeliveryResponse =
            bridge.done("integrator", "DeliveryService/CancelDelivery", &cancelling).await;
        let sentence = told.delivery.unwrap().author_sentence;
        assert!(sentence.contains("integrator") && sentence.contains("the ward asked"), "{sentence}");
        bridge.end().await;
    }
}

/// Nobody can name the document of a withdrawal while two may be the current one: its delivery begins PARKED, and a repeat says so for ever.
#[tokio::test]
async fn a_withdrawal_that_began_parked_is_answered_as_parked_again() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let note = bridge.note(&referral.id, "One.").await.note.unwrap();
        bridge.send_all(Outcome::Positive).await;
        let second: v1::ReplaceProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/ReplaceProgressNote", &replace(&note, "Two.")).await;
        bridge.send_all(Outcome::Silence).await;
        let withdrawing = withdraw(&second.note.unwrap());
        let answer: v1::WithdrawProgressNoteResponse =
            bridge.done("worker", "ProgressNoteService/WithdrawProgressNote", &withdrawing).await;
        let parked = &answer.deliveries[0];
        assert_eq!(
            (parked.state(), parked.park_reason()),
            (v1::DeliveryState::Parked, v1::ParkReason::WithdrawalCannotNameDocument)
        );
        let cancelling = v1::CancelDeliveryRequest {
            dry_run: false,
            request_id: request_id(),
            delivery_id: parked.id.clone(),
            reason: "taken out by hand".into(),
            acknowledge_may_be_in_record: true,
        };
        let cancel = async |b: &Bridge| {
            drop(
                b.done::<v1::CancelDeliveryResponse>("integrator", "DeliveryService/CancelDelivery", &cancelling).await,
            )
        };
        bridge.twice("worker", "ProgressNoteService/WithdrawProgressNote", &withdrawing, cancel).await;
        let timeline = bridge.delivery("worker", &parked.id).await.timeline;
        assert_eq!(timeline[0].state(), v1::DeliveryState::Parked);
        assert_eq!(timeline.last().unwrap().state(), v1::DeliveryState::Cancelled);
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_request_id_belongs_to_its_caller_call_and_content() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let rpc = "ProgressNoteService/WriteProgressNote";
    let request = write(&referral.id, "One.");
    let first: v1::WriteProgressNoteResponse = bridge.done("worker", rpc, &request).await;
    let changed = v1::WriteProgressNoteRequest { content: content("Two."), ..request.clone() };
    let reused = bridge.bytes("worker", rpc, &changed).await.unwrap_err();
    assert_eq!((reused.code(), reason_of(&reused).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    // Content is what was sent: a default that is written out, or another case, says the same and is not the same.
    let written_out = v1::WriteProgressNoteRequest { release_after: Some(Default::default()), ..request.clone() };
    let mut lower = request.clone();
    lower.referral_id.make_ascii_lowercase();
    for other in [written_out, lower] {
        assert_eq!(bridge.reason("worker", rpc, &other).await, "REQUEST_ID_REUSED");
    }
    // The same id spelt otherwise is the same id; a field nobody knows is no content.
    let mut bytes = v1::WriteProgressNoteRequest { request_id: request.request_id.to_uppercase(), ..request.clone() }
        .encode_to_vec();
    bytes.extend([0xf8, 0x07, 0x01]);
    let again =
        v1::WriteProgressNoteResponse::decode(&bridge.call_bytes("worker", rpc, bytes).await.unwrap()[..]).unwrap();
    assert_eq!(again, first);
    // Another caller's same id is another request, and so is the same id for another call.
    let theirs: v1::WriteProgressNoteResponse = bridge.done("worker2", rpc, &request).await;
    assert_ne!(theirs.note.unwrap().id, first.note.as_ref().unwrap().id);
    let other_call = v1::WithdrawProgressNoteRequest {
        request_id: request.request_id.clone(),
        ..withdraw(first.note.as_ref().unwrap())
    };
    assert!(bridge.bytes("worker", "ProgressNoteService/WithdrawProgressNote", &other_call).await.is_ok());
}

#[tokio::test]
async fn an_error_is_not_remembered() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let request = write(&referral.id, "One.");
    let wrong = v1::WriteProgressNoteRequest {
        expected_patient: Some(v1::ExpectedPatient { family_name: "Else".into(), ..expected().unwrap() }),
        ..request.clone()
    };
    assert_eq!(bridge.reason("worker", "ProgressNoteService/WriteProgressNote", &wrong).await, "PATIENT_MISMATCH");
    assert!(bridge.bytes("worker", "ProgressNoteService/WriteProgressNote", &request).await.is_ok());
}

#[tokio::test]
async fn a_bulk_retry_is_done_once_and_told_the_same_again() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        // More than one part of a bulk retry.
        for i in 0..230 {
            bridge.note(&referral.id, &format!("Note {i}.")).await;
            assert_eq!(bridge.send_all(Outcome::Held(ParkReason::NotRenderable)).await.len(), 1);
        }
        let retry = v1::RetryDeliveriesRequest {
            request_id: request_id(),
            selection: Some(v1::DeliverySelection {
                delivery_ids: vec![],
                endpoint_id: RIO.into(),
                park_reason: v1::ParkReason::NotRenderable.into(),
            }),
            reason: "the pack is mended".into(),
            dry_run: true,
            acknowledge_may_be_in_record: true,
        };
        let rpc = "DeliveryService/RetryDeliveries";
        let would: v1::RetryDeliveriesResponse = bridge.done("integrator", rpc, &retry).await;
        assert_eq!((would.matched, would.retried), (230, 230));
        let retry = v1::RetryDeliveriesRequest { dry_run: false, ..retry };
        let park = async |b: &Bridge| assert_eq!(b.send_all(Outcome::Held(ParkReason::NotRenderable)).await.len(), 1);
        bridge.twice("integrator", rpc, &retry, park).await;
        let told: v1::RetryDeliveriesResponse = bridge.done("integrator", rpc, &retry).await;
        assert_eq!((told.matched, told.retried, told.delivery_ids.len(), told.not_retried.len()), (230, 230, 230, 0));
        // What was parked again since then was not touched by the repeats.
        let list = v1::ListDeliveriesRequest { states: vec![v1::DeliveryState::Parked.into()], ..Default::default() };
        let parked: v1::ListDeliveriesResponse =
            bridge.done("integrator", "DeliveryService/ListDeliveries", &list).await;
        assert_eq!(parked.deliveries.len(), 1);
        bridge.end().await;
    }
}
