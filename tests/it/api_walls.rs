//! Who may do what, and to whose records: the roles of every call, and the walls between trusts.

use crate::api_samples::*;
use crate::api_support::{Bridge, PARIS, RIO, reason_of};
use ips_bridge::api::CALLS;
use ips_bridge::wire::v1;
use prost::Message;
use std::collections::BTreeSet;
use tonic::Code;

/// From the services' comments in proto/, by hand: W ips_worker, E epr_system, A auditor, I integrator.
const MAY: &[(&str, &str)] = &[
    ("PatientService/GetPatient", "WEAI"),
    ("PatientService/FindPatients", "WEAI"),
    ("PatientService/UpdatePatient", "WE"),
    ("ReferralService/CreateReferral", "WE"),
    ("ReferralService/GetReferral", "WEAI"),
    ("ReferralService/ListReferrals", "WEAI"),
    ("ReferralService/AcceptReferral", "WE"),
    ("ReferralService/DeclineReferral", "WE"),
    ("ReferralService/AssignReferral", "WE"),
    ("ReferralService/CloseReferral", "WE"),
    ("ReferralService/WatchReferrals", "WEAI"),
    ("ProgressNoteService/WriteProgressNote", "WE"),
    ("ProgressNoteService/ReplaceProgressNote", "WE"),
    ("ProgressNoteService/WithdrawProgressNote", "WE"),
    ("ProgressNoteService/GetProgressNote", "WEAI"),
    ("ProgressNoteService/ListProgressNotes", "WEAI"),
    ("OutcomeService/RecordOutcome", "WE"),
    ("OutcomeService/CorrectOutcome", "WE"),
    ("OutcomeService/WithdrawOutcome", "WE"),
    ("OutcomeService/GetOutcome", "WEAI"),
    ("OutcomeService/ListOutcomes", "WEAI"),
    ("OutcomeService/GetServiceMeasures", "WEAI"),
    ("OutcomeService/ListMeasureReferrals", "WEAI"),
    ("DeliveryService/GetDelivery", "WEAI"),
    ("DeliveryService/ListDeliveries", "WEAI"),
    ("DeliveryService/WatchDeliveries", "WEAI"),
    ("DeliveryService/ListAttempts", "WEAI"),
    ("DeliveryService/RetryDeliveries", "I"),
    ("DeliveryService/RerenderDelivery", "I"),
    ("DeliveryService/ParkDelivery", "I"),
    ("DeliveryService/CancelDelivery", "I"),
    ("DeliveryService/BackfillDeliveries", "I"),
    ("DeliveryService/ReconcileDocuments", "I"),
    ("DeliveryService/ExportDeliveries", "WA"),
    ("DeliveryService/GetEndpointStatus", "WEAI"),
    ("DeliveryService/PauseEndpoint", "I"),
    ("DeliveryService/ResumeEndpoint", "I"),
    ("RecordFeedService/StreamEntries", "E"),
    ("RecordFeedService/ConfirmReceived", "E"),
    ("RecordFeedService/ReportFiled", "E"),
    ("RecordFeedService/ReportRefused", "E"),
    ("InboundService/ListInboundMessages", "WEAI"),
    ("InboundService/GetInboundMessage", "WEAI"),
    ("InboundService/ReprocessInboundMessage", "I"),
    ("InboundService/SubmitMessage", "E"),
    ("AdapterService/ListAdapters", "I"),
    ("AdapterService/PreviewEntry", "WI"),
    ("AdapterService/PreviewMessage", "I"),
    ("AdapterService/CompareAdapter", "WI"),
    ("AdapterService/ActivateAdapter", "I"),
    ("AdapterService/RollbackAdapter", "I"),
];

#[tokio::test]
async fn every_call_is_open_to_its_roles_and_to_nobody_else() {
    let bridge = Bridge::start().await;
    let listed: BTreeSet<&str> = MAY.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, CALLS.iter().map(|c| c.name).collect(), "every call stands in the table");
    let mut wrong = Vec::new();
    for (rpc, may) in MAY.iter().filter(|(rpc, _)| !rpc.contains("/Watch")) {
        for (letter, who) in [('W', "worker"), ('E', "epr"), ('A', "auditor"), ('I', "integrator")] {
            // An empty request: whoever may call is told of its fields, or gets an empty list.
            let refused = bridge.bytes(who, rpc, &()).await.err();
            let denied = refused.as_ref().is_some_and(|s| s.code() == Code::PermissionDenied);
            if denied == may.contains(letter) {
                wrong.push(format!("{rpc} by {who}: {:?}", refused.map(|s| s.code())));
            }
        }
        // A good certificate that names nobody we know.
        let stranger = bridge.bytes("stranger", rpc, &()).await.unwrap_err();
        assert_eq!(
            (stranger.code(), reason_of(&stranger).as_str()),
            (Code::Unauthenticated, "NOT_AUTHENTICATED"),
            "{rpc}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let denied = bridge.bytes("worker", "DeliveryService/CancelDelivery", &()).await.unwrap_err();
    assert_eq!(reason_of(&denied), "ROLE_MISSING");
    assert!(denied.message().contains("integrator"), "the message names the roles that may: {}", denied.message());
}

/// Everything RXX has, by id; every call that takes an id, by a caller of RYY with every role.
#[tokio::test]
async fn what_belongs_to_another_trust_does_not_exist() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let note = bridge.note(&referral.id, "Hers.").await;
    let (note, delivery) = (note.note.unwrap(), note.deliveries[0].id.clone());
    let outcome: v1::RecordOutcomeResponse =
        bridge.done("worker", "OutcomeService/RecordOutcome", &record(&referral.id, job_start())).await;
    let outcome = outcome.outcome.unwrap();
    let (patient_id, referral_id) = (referral.patient_id.clone(), referral.id.clone());
    let why = || "x".to_owned();
    let external = v1::ExternalReferral {
        trust_ods: "RXX".into(),
        external_id: Some(v1::ExternalId { system: "urn:test".into(), value: "REF-1".into() }),
    };
    let _ = bridge
        .done::<v1::CreateReferralResponse>("worker", "ReferralService/CreateReferral", &create("RXX", "REF-1"))
        .await;
    let measure = |trust: &str| v1::ListMeasureReferralsRequest {
        trust_ods: trust.into(),
        from: "2026-03-01".into(),
        to: "2026-03-31".into(),
        kind: v1::MeasureKind::JobStarts.into(),
        side: v1::MeasureSide::Numerator.into(),
        ..Default::default()
    };
    let parked = |endpoint: &str| v1::DeliverySelection {
        delivery_ids: vec![],
        endpoint_id: endpoint.into(),
        park_reason: v1::ParkReason::Refused.into(),
    };
    // It was sent, so that the far end could speak of it.
    bridge.send_all(Outcome::Positive).await;
    let document_id = bridge.delivery("worker", &delivery).await.document_id;
    let garbage = v1::SubmitMessageRequest {
        endpoint_id: RIO.into(),
        message: Some(v1::submit_message_request::Message::Hl7v2(b"hello".to_vec())),
        message_id: String::new(),
    };
    let _ = bridge.done::<v1::SubmitMessageResponse>("epr", "InboundService/SubmitMessage", &garbage).await;
    let list = v1::ListInboundMessagesRequest::default();
    let kept: v1::ListInboundMessagesResponse =
        bridge.done("worker", "InboundService/ListInboundMessages", &list).await;
    let inbound = kept.messages[0].id.clone();
    let sent = bridge.delivery("worker", &delivery).await.version;
    let calls: Vec<(&str, Vec<u8>)> = vec![
        ("PatientService/GetPatient", v1::GetPatientRequest { patient_id: patient_id.clone() }.encode_to_vec()),
        (
            "PatientService/FindPatients",
            v1::FindPatientsRequest {
                trust_ods: "RXX".into(),
                by: Some(v1::find_patients_request::By::NhsNumber("9990000018".into())),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "PatientService/UpdatePatient",
            v1::UpdatePatientRequest {
                request_id: request_id(),
                patient_id: patient_id.clone(),
                version_seen: 1,
                details: Some(patient_details()),
                reason: why(),
            }
            .encode_to_vec(),
        ),
        ("ReferralService/CreateReferral", create("RXX", "").encode_to_vec()),
        (
            "ReferralService/CreateReferral",
            v1::CreateReferralRequest {
                patient: Some(v1::create_referral_request::Patient::PatientId(patient_id.clone())),
                ..create("RYY", "")
            }
            .encode_to_vec(),
        ),
        (
            "ReferralService/GetReferral",
            v1::GetReferralRequest { by: Some(v1::get_referral_request::By::ReferralId(referral_id.clone())) }
                .encode_to_vec(),
        ),
        (
            "ReferralService/GetReferral",
            v1::GetReferralRequest { by: Some(v1::get_referral_request::By::External(external)) }.encode_to_vec(),
        ),
        (
            "ReferralService/ListReferrals",
            v1::ListReferralsRequest { trust_ods: "RXX".into(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "ReferralService/ListReferrals",
            v1::ListReferralsRequest { patient_id: patient_id.clone(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "ReferralService/AcceptReferral",
            v1::AcceptReferralRequest {
                request_id: request_id(),
                referral_id: referral_id.clone(),
                assigned_to: author(),
                author: author(),
            }
            .encode_to_vec(),
        ),
        (
            "ReferralService/DeclineReferral",
            v1::DeclineReferralRequest {
                request_id: request_id(),
                referral_id: referral_id.clone(),
                reason: 1,
                reason_text: None,
                author: author(),
            }
            .encode_to_vec(),
        ),
        (
            "ReferralService/AssignReferral",
            v1::AssignReferralRequest {
                request_id: request_id(),
                referral_id: referral_id.clone(),
                assigned_to: author(),
            }
            .encode_to_vec(),
        ),
        (
            "ReferralService/CloseReferral",
            v1::CloseReferralRequest {
                request_id: request_id(),
                referral_id: referral_id.clone(),
                reason: 2,
                closed_at: None,
            }
            .encode_to_vec(),
        ),
        (
            "ReferralService/WatchReferrals",
            v1::WatchReferralsRequest { trust_ods: "RXX".into(), ..Default::default() }.encode_to_vec(),
        ),
        ("ProgressNoteService/WriteProgressNote", write(&referral_id, "Not hers.").encode_to_vec()),
        ("ProgressNoteService/ReplaceProgressNote", replace(&note, "Not hers.").encode_to_vec()),
        ("ProgressNoteService/WithdrawProgressNote", withdraw(&note).encode_to_vec()),
        (
            "ProgressNoteService/GetProgressNote",
            v1::GetProgressNoteRequest { note_id: note.id.clone() }.encode_to_vec(),
        ),
        (
            "ProgressNoteService/ListProgressNotes",
            v1::ListProgressNotesRequest {
                of: Some(v1::list_progress_notes_request::Of::ReferralId(referral_id.clone())),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "ProgressNoteService/ListProgressNotes",
            v1::ListProgressNotesRequest {
                of: Some(v1::list_progress_notes_request::Of::PatientId(patient_id.clone())),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("OutcomeService/RecordOutcome", record(&referral_id, job_start()).encode_to_vec()),
        (
            "OutcomeService/CorrectOutcome",
            v1::CorrectOutcomeRequest {
                request_id: request_id(),
                outcome_id: outcome.id.clone(),
                version_seen: 1,
                expected_patient: expected(),
                author: author(),
                content: job_start(),
                reason: why(),
            }
            .encode_to_vec(),
        ),
        (
            "OutcomeService/WithdrawOutcome",
            v1::WithdrawOutcomeRequest {
                request_id: request_id(),
                outcome_id: outcome.id.clone(),
                version_seen: 1,
                author: author(),
                reason: 1,
                explanation: None,
            }
            .encode_to_vec(),
        ),
        ("OutcomeService/GetOutcome", v1::GetOutcomeRequest { outcome_id: outcome.id.clone() }.encode_to_vec()),
        (
            "OutcomeService/ListOutcomes",
            v1::ListOutcomesRequest {
                of: Some(v1::list_outcomes_request::Of::ReferralId(referral_id.clone())),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "OutcomeService/GetServiceMeasures",
            v1::GetServiceMeasuresRequest {
                trust_ods: "RXX".into(),
                from: "2026-03-01".into(),
                to: "2026-03-31".into(),
                team: String::new(),
            }
            .encode_to_vec(),
        ),
        ("OutcomeService/ListMeasureReferrals", measure("RXX").encode_to_vec()),
        ("DeliveryService/GetDelivery", v1::GetDeliveryRequest { delivery_id: delivery.clone() }.encode_to_vec()),
        (
            "DeliveryService/ListDeliveries",
            v1::ListDeliveriesRequest { endpoint_id: RIO.into(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "DeliveryService/ListDeliveries",
            v1::ListDeliveriesRequest { patient_id: patient_id.clone(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "DeliveryService/ListDeliveries",
            v1::ListDeliveriesRequest { subject_id: note.id.clone(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "DeliveryService/WatchDeliveries",
            v1::WatchDeliveriesRequest { endpoint_id: RIO.into(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "DeliveryService/ListAttempts",
            v1::ListAttemptsRequest { delivery_id: delivery.clone(), include_bytes: true }.encode_to_vec(),
        ),
        (
            "DeliveryService/RetryDeliveries",
            v1::RetryDeliveriesRequest {
                request_id: request_id(),
                selection: Some(parked(RIO)),
                reason: why(),
                dry_run: false,
                acknowledge_may_be_in_record: true,
            }
            .encode_to_vec(),
        ),
        (
            "DeliveryService/RerenderDelivery",
            v1::RerenderDeliveryRequest {
                dry_run: false,
                request_id: request_id(),
                delivery_id: delivery.clone(),
                reason: why(),
                acknowledge_may_be_in_record: true,
            }
            .encode_to_vec(),
        ),
        (
            "DeliveryService/ParkDelivery",
            v1::ParkDeliveryRequest {
                dry_run: false,
                request_id: request_id(),
                delivery_id: delivery.clone(),
                reason: why(),
            }
            .encode_to_vec(),
        ),
        (
            "DeliveryService/CancelDelivery",
            v1::CancelDeliveryRequest {
                dry_run: false,
                request_id: request_id(),
                delivery_id: delivery.clone(),
                reason: why(),
                acknowledge_may_be_in_record: true,
            }
            .encode_to_vec(),
        ),
        (
            "DeliveryService/BackfillDeliveries",
            v1::BackfillDeliveriesRequest {
                request_id: request_id(),
                endpoint_id: RIO.into(),
                recorded_from: at("2026-01-01T00:00:00Z"),
                reason: why(),
                dry_run: false,
            }
            .encode_to_vec(),
        ),
        (
            "DeliveryService/ReconcileDocuments",
            v1::ReconcileDocumentsRequest {
                request_id: request_id(),
                endpoint_id: RIO.into(),
                documents: Vec::new(),
                day: "2026-03-02".into(),
                source: why(),
                dry_run: false,
            }
            .encode_to_vec(),
        ),
        (
            "DeliveryService/ExportDeliveries",
            v1::ExportDeliveriesRequest { endpoint_id: RIO.into(), reason: why() }.encode_to_vec(),
        ),
        ("DeliveryService/GetEndpointStatus", v1::GetEndpointStatusRequest { endpoint_id: RIO.into() }.encode_to_vec()),
        (
            "DeliveryService/PauseEndpoint",
            v1::PauseEndpointRequest { request_id: request_id(), endpoint_id: RIO.into(), reason: why() }
                .encode_to_vec(),
        ),
        (
            "DeliveryService/ResumeEndpoint",
            v1::ResumeEndpointRequest { request_id: request_id(), endpoint_id: RIO.into(), reason: why() }
                .encode_to_vec(),
        ),
        (
            "RecordFeedService/StreamEntries",
            v1::StreamEntriesRequest { endpoint_id: RIO.into(), resume_token: String::new() }.encode_to_vec(),
        ),
        (
            "RecordFeedService/ConfirmReceived",
            v1::ConfirmReceivedRequest { request_id: request_id(), endpoint_id: RIO.into(), control_id: "C1".into() }
                .encode_to_vec(),
        ),
        (
            "RecordFeedService/ReportFiled",
            v1::ReportFiledRequest {
                request_id: request_id(),
                endpoint_id: PARIS.into(),
                document: Some(v1::report_filed_request::Document::DocumentId(document_id.clone())),
                record_id: "D1".into(),
            }
            .encode_to_vec(),
        ),
        (
            "RecordFeedService/ReportRefused",
            v1::ReportRefusedRequest {
                request_id: request_id(),
                endpoint_id: RIO.into(),
                document: Some(v1::report_refused_request::Document::DocumentId(document_id)),
                code: "E1".into(),
                text: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "InboundService/ListInboundMessages",
            v1::ListInboundMessagesRequest { endpoint_id: RIO.into(), ..Default::default() }.encode_to_vec(),
        ),
        (
            "InboundService/GetInboundMessage",
            v1::GetInboundMessageRequest { inbound_message_id: inbound.clone(), include_bytes: false }.encode_to_vec(),
        ),
        (
            "InboundService/ReprocessInboundMessage",
            v1::ReprocessInboundMessageRequest { request_id: request_id(), inbound_message_id: inbound, reason: why() }
                .encode_to_vec(),
        ),
        (
            "InboundService/SubmitMessage",
            v1::SubmitMessageRequest {
                endpoint_id: RIO.into(),
                message: Some(v1::submit_message_request::Message::Hl7v2(b"MSH|".to_vec())),
                message_id: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "AdapterService/PreviewEntry",
            v1::PreviewEntryRequest {
                endpoint_id: PARIS.into(),
                what: Some(v1::preview_entry_request::What::DeliveryId(delivery.clone())),
                with_input: true,
            }
            .encode_to_vec(),
        ),
        (
            "AdapterService/CompareAdapter",
            v1::CompareAdapterRequest { endpoint_id: RIO.into(), pack: b"[]".to_vec(), ..Default::default() }
                .encode_to_vec(),
        ),
        (
            "AdapterService/ActivateAdapter",
            v1::ActivateAdapterRequest {
                same_version: false,
                request_id: request_id(),
                endpoint_id: RIO.into(),
                reason: why(),
                version: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "AdapterService/RollbackAdapter",
            v1::RollbackAdapterRequest {
                request_id: request_id(),
                endpoint_id: RIO.into(),
                reason: why(),
                version: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "AdapterService/PreviewMessage",
            v1::PreviewMessageRequest { endpoint_id: RIO.into(), message: b"MSH|".to_vec() }.encode_to_vec(),
        ),
    ];
    let mut seen = Vec::new();
    for (rpc, request) in &calls {
        match bridge.call_bytes("other", rpc, request.clone()).await {
            Err(status) if status.code() == Code::NotFound => assert_eq!(reason_of(&status), "NOT_FOUND"),
            Err(status) => seen.push(format!("{rpc}: {:?} {}", status.code(), crate::api_support::told(&status))),
            Ok(_) => seen.push(format!("{rpc}: allowed")),
        }
    }
    assert!(seen.is_empty(), "{}", seen.join("\n"));
    // All calls but those that take no id are here.
    let tried: BTreeSet<&str> = calls.iter().map(|(rpc, _)| *rpc).collect();
    let missing: Vec<&str> = CALLS.iter().map(|c| c.name).filter(|name| !tried.contains(name)).collect();
    assert_eq!(missing, ["AdapterService/ListAdapters"]);
    // A named list tells of foreign ids as of ids that are nobody's.
    let foreign = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(v1::DeliverySelection { delivery_ids: vec![delivery.clone()], ..Default::default() }),
        reason: why(),
        dry_run: false,
        acknowledge_may_be_in_record: true,
    };
    let told: v1::RetryDeliveriesResponse = bridge.done("other", "DeliveryService/RetryDeliveries", &foreign).await;
    let why = "there is no such delivery".to_owned();
    let reason = v1::ErrorReason::NotFound.into();
    assert_eq!(told.not_retried, [v1::NotRetried { delivery_id: delivery.clone(), reason, why }]);
    // And lists without an id show nothing of it.
    let list: v1::ListDeliveriesResponse =
        bridge.done("other", "DeliveryService/ListDeliveries", &v1::ListDeliveriesRequest::default()).await;
    assert!(list.deliveries.is_empty());
    let list: v1::ListReferralsResponse =
        bridge.done("other", "ReferralService/ListReferrals", &v1::ListReferralsRequest::default()).await;
    assert!(list.referrals.is_empty());
    let adapters: v1::ListAdaptersResponse =
        bridge.done("other", "AdapterService/ListAdapters", &v1::ListAdaptersRequest {}).await;
    assert_eq!(adapters.adapters.iter().flat_map(|a| &a.endpoint_ids).collect::<Vec<_>>(), [PARIS]);
    assert_eq!(bridge.delivery("worker", &delivery).await.version, sent, "nothing was changed");
}

#[tokio::test]
async fn an_epr_sees_the_deliveries_of_its_own_endpoints_only() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let written = bridge.note(&referral.id, "One.").await;
    let get = v1::GetDeliveryRequest { delivery_id: written.deliveries[0].id.clone() };
    assert!(bridge.bytes("epr", "DeliveryService/GetDelivery", &get).await.is_ok());
    assert_eq!(bridge.reason("epr-spare", "DeliveryService/GetDelivery", &get).await, "NOT_FOUND");
    let note = v1::GetProgressNoteRequest { note_id: written.note.unwrap().id };
    let got: v1::GetProgressNoteResponse = bridge.done("epr-spare", "ProgressNoteService/GetProgressNote", &note).await;
    assert!(got.note.is_some() && got.deliveries.is_empty());
    let status: v1::GetEndpointStatusResponse =
        bridge.done("epr", "DeliveryService/GetEndpointStatus", &v1::GetEndpointStatusRequest::default()).await;
    assert_eq!(status.endpoints.iter().map(|e| e.endpoint_id.as_str()).collect::<Vec<_>>(), [RIO]);
}

#[tokio::test]
async fn an_integrator_operates_without_reading_clinical_text() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let written = bridge.note(&referral.id, "Private matters.").await;
    bridge.send_all(Outcome::Positive).await;
    let note_id = written.note.unwrap().id;
    let outcome: v1::RecordOutcomeResponse =
        bridge.done("worker", "OutcomeService/RecordOutcome", &record(&referral.id, job_start())).await;

    let got: v1::GetProgressNoteResponse =
        bridge.done("integrator", "ProgressNoteService/GetProgressNote", &v1::GetProgressNoteRequest { note_id }).await;
    assert!(got.note.unwrap().versions.iter().all(|v| v.content.is_none() && v.reason.is_empty()));
    let list = v1::ListProgressNotesRequest {
        of: Some(v1::list_progress_notes_request::Of::ReferralId(referral.id.clone())),
        view: v1::EntryView::Full.into(),
        ..Default::default()
    };
    let listed: v1::ListProgressNotesResponse =
        bridge.done("integrator", "ProgressNoteService/ListProgressNotes", &list).await;
    assert!(listed.notes[0].versions[0].content.is_none());
    let listed: v1::ListProgressNotesResponse =
        bridge.done("auditor", "ProgressNoteService/ListProgressNotes", &list).await;
    assert_eq!(listed.notes[0].versions[0].content.as_ref().unwrap().text, "Private matters.");
    let get = v1::GetOutcomeRequest { outcome_id: outcome.outcome.unwrap().id };
    let got: v1::GetOutcomeResponse = bridge.done("integrator", "OutcomeService/GetOutcome", &get).await;
    assert!(got.outcome.unwrap().versions[0].content.is_none());
    let get = v1::GetReferralRequest { by: Some(v1::get_referral_request::By::ReferralId(referral.id)) };
    let got: v1::GetReferralResponse = bridge.done("integrator", "ReferralService/GetReferral", &get).await;
    assert_eq!(got.referral.unwrap().details.unwrap().reason, None);

    let attempts =
        |include_bytes| v1::ListAttemptsRequest { delivery_id: written.deliveries[0].id.clone(), include_bytes };
    let got: v1::ListAttemptsResponse =
        bridge.done("integrator", "DeliveryService/ListAttempts", &attempts(false)).await;
    assert!(got.attempts[0].sent.is_none() && got.attempts[0].replies[0].received.is_none());
    for who in ["integrator", "epr"] {
        assert_eq!(bridge.reason(who, "DeliveryService/ListAttempts", &attempts(true)).await, "ROLE_MISSING");
    }
}
