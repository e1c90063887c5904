//! Every call, once, with the generated clients, over both stores: from a referral to its filed note and its measures.

use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, SPARE};
use crate::support::stores;
use ips_bridge::wire::v1::{
    self, adapter_service_client::AdapterServiceClient, delivery_service_client::DeliveryServiceClient,
    outcome_service_client::OutcomeServiceClient, patient_service_client::PatientServiceClient,
    progress_note_service_client::ProgressNoteServiceClient, referral_service_client::ReferralServiceClient,
};

#[tokio::test]
async fn a_referral_lives_from_receipt_to_close() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let mut referrals = ReferralServiceClient::new(bridge.channel("worker").await);
        let mut patients = PatientServiceClient::new(bridge.channel("worker").await);

        let made = referrals.create_referral(create("RXX", "REF-1")).await.unwrap().into_inner().referral.unwrap();
        assert_eq!((made.state(), made.version), (v1::ReferralState::Received, 1));
        assert_eq!(made.received_at, at("2026-02-20T09:00:00Z"));

        let by_id = v1::GetReferralRequest { by: Some(v1::get_referral_request::By::ReferralId(made.id.clone())) };
        assert_eq!(referrals.get_referral(by_id).await.unwrap().into_inner().referral, Some(made.clone()));
        let external = v1::ExternalReferral {
            trust_ods: "RXX".into(),
            external_id: Some(v1::ExternalId { system: "urn:test".into(), value: "REF-1".into() }),
        };
        let by_external = v1::GetReferralRequest { by: Some(v1::get_referral_request::By::External(external)) };
        assert_eq!(referrals.get_referral(by_external).await.unwrap().into_inner().referral, Some(made.clone()));

        let patient = patients
            .get_patient(v1::GetPatientRequest { patient_id: made.patient_id.clone() })
            .await
            .unwrap()
            .into_inner()
            .patient
            .unwrap();
        assert_eq!(patient.details, Some(patient_details()));
        for by in [
            v1::find_patients_request::By::NhsNumber("999-000-0018".into()),
            v1::find_patients_request::By::LocalIdentifier(patient_details().local_identifiers[0].clone()),
            v1::find_patients_request::By::NameAndBirth(v1::NameAndBirth {
                family_name: "testPATIENT".into(),
                date_of_birth: "1985-04-12".into(),
            }),
        ] {
            let find = v1::FindPatientsRequest {
                trust_ods: "RXX".into(),
                by: Some(by),
                page_size: 0,
                page_token: String::new(),
            };
            let found = patients.find_patients(find).await.unwrap().into_inner();
            assert_eq!((found.patients, found.next_page_token.as_str()), (vec![patient.clone()], ""));
        }
        let details = v1::PatientDetails { phone: Some("01632 960000".into()), ..patient_details() };
        let update = v1::UpdatePatientRequest {
            request_id: request_id(),
            patient_id: patient.id.clone(),
            version_seen: 1,
            details: Some(details.clone()),
            reason: "new number".into(),
        };
        let updated = patients.update_patient(update).await.unwrap().into_inner().patient.unwrap();
        assert_eq!((updated.version, updated.details), (2, Some(details)));

        let accept = v1::AcceptReferralRequest {
            request_id: request_id(),
            referral_id: made.id.clone(),
            assigned_to: author(),
            author: author(),
        };
        let accepted = referrals.accept_referral(accept).await.unwrap().into_inner();
        assert!(accepted.delivery_ids.is_empty(), "it came by API: nobody to tell");
        let accepted = accepted.referral.unwrap();
        assert_eq!((accepted.state(), accepted.assigned_to), (v1::ReferralState::Accepted, author()));
        let other = v1::Author { staff_id: "ES-043".into(), ..author().unwrap() };
        let assign = v1::AssignReferralRequest {
            request_id: request_id(),
            referral_id: made.id.clone(),
            assigned_to: Some(other.clone()),
        };
        let assigned = referrals.assign_referral(assign).await.unwrap().into_inner().referral.unwrap();
        assert_eq!(assigned.assigned_to, Some(other));
        let list = v1::ListReferralsRequest {
            team: "ips-north".into(),
            assigned_to_staff_id: "ES-043".into(),
            ..Default::default()
        };
        let listed = referrals.list_referrals(list).await.unwrap().into_inner().referrals;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].details.as_ref().unwrap().reason, None, "lists leave clinical text out");
        let close = v1::CloseReferralRequest {
            request_id: request_id(),
            referral_id: made.id.clone(),
            reason: v1::CloseReason::Completed.into(),
            closed_at: None,
        };
        let closed = referrals.close_referral(close).await.unwrap().into_inner().referral.unwrap();
        assert_eq!((closed.state(), closed.version), (v1::ReferralState::Closed, 4));

        let second = v1::CreateReferralRequest {
            patient: Some(v1::create_referral_request::Patient::PatientId(patient.id.clone())),
            ..create("RXX", "REF-2")
        };
        let second = referrals.create_referral(second).await.unwrap().into_inner().referral.unwrap();
        assert_eq!(second.patient_id, patient.id);
        let decline = v1::DeclineReferralRequest {
            request_id: request_id(),
            referral_id: second.id,
            reason: v1::DeclineReason::Duplicate.into(),
            reason_text: Some("known already".into()),
            author: author(),
        };
        let declined = referrals.decline_referral(decline).await.unwrap().into_inner().referral.unwrap();
        assert_eq!(
            (declined.state(), declined.decline_reason()),
            (v1::ReferralState::Declined, v1::DeclineReason::Duplicate)
        );
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_note_is_written_filed_replaced_and_withdrawn() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let mut notes = ProgressNoteServiceClient::new(bridge.channel("worker").await);
        let mut deliveries = DeliveryServiceClient::new(bridge.channel("auditor").await);

        let written =
            notes.write_progress_note(write(&referral.id, "Met at\r\nthe library.")).await.unwrap().into_inner();
        let note = written.note.unwrap();
        let version = &note.versions[0];
        assert_eq!(version.content.as_ref().unwrap().text, "Met at\nthe library.");
        assert_eq!(
            (version.submitted_by.as_str(), version.activity_type()),
            ("worker", v1::ActivityType::DirectContact)
        );
        let [delivery] = &written.deliveries[..] else { panic!("one endpoint") };
        assert_eq!(
            (delivery.state(), delivery.endpoint_id.as_str(), delivery.version),
            (v1::DeliveryState::Queued, RIO, 1)
        );
        assert_eq!(delivery.waiting_for(), v1::WaitingFor::Nobody);

        bridge.send_all(Outcome::Positive).await;
        let get = v1::GetDeliveryRequest { delivery_id: delivery.id.clone() };
        let filed = deliveries.get_delivery(get).await.unwrap().into_inner().delivery.unwrap();
        assert_eq!((filed.state(), filed.record_id.as_str(), filed.attempts), (v1::DeliveryState::Filed, "DOC-1", 1));
        assert_eq!(filed.author_sentence, "In RiO: the record itself acknowledged it.");
        assert_eq!(filed.evidence[0].kind(), v1::EvidenceKind::ApplicationAck);
        let timeline: Vec<_> = filed.timeline.iter().map(|s| (s.state(), s.by.as_str())).collect();
        use v1::DeliveryState::{Filed, Queued, Sending};
        assert_eq!(timeline, [(Queued, "worker"), (Sending, "bridge"), (Sending, "bridge"), (Filed, "bridge")]);
        let attempts = v1::ListAttemptsRequest { delivery_id: delivery.id.clone(), include_bytes: true };
        let attempts = deliveries.list_attempts(attempts).await.unwrap().into_inner().attempts;
        let [attempt] = &attempts[..] else { panic!("one try") };
        assert_eq!((attempt.verdict(), attempt.result.as_str()), (v1::VerdictKind::Positive, "AA"));
        assert!(attempt.sent.as_ref().is_some_and(|b| b.starts_with(b"MSH")));
        assert_eq!(attempt.replies[0].id, filed.evidence[0].reply_id);
        assert!(attempt.replies[0].received.as_ref().is_some_and(|b| b.starts_with(b"MSA")));

        let replaced =
            notes.replace_progress_note(replace(&note, "Met at the job centre.")).await.unwrap().into_inner();
        let second = replaced.note.unwrap();
        assert_eq!((second.version, second.versions.len(), second.versions[0].reason.as_str()), (2, 1, "wrong day"));
        assert_eq!(replaced.deliveries[0].predecessor_delivery_id.as_ref(), Some(&delivery.id));
        bridge.send_all(Outcome::Positive).await;
        let withdrawn = notes.withdraw_progress_note(withdraw(&second)).await.unwrap().into_inner();
        let third = withdrawn.note.unwrap();
        assert!(third.withdrawn && third.versions[0].content.is_none());
        assert_eq!(third.versions[0].withdraw_reason(), v1::WithdrawReason::WrittenInError);
        assert_eq!(withdrawn.deliveries[0].entry_action(), v1::EntryAction::Withdraw);

        let got = notes
            .get_progress_note(v1::GetProgressNoteRequest { note_id: note.id.clone() })
            .await
            .unwrap()
            .into_inner();
        assert_eq!((got.note.unwrap().versions.len(), got.deliveries.len()), (3, 3));
        for view in [v1::EntryView::Basic, v1::EntryView::Full] {
            let list = v1::ListProgressNotesRequest {
                of: Some(v1::list_progress_notes_request::Of::ReferralId(referral.id.clone())),
                view: view.into(),
                ..Default::default()
            };
            let listed = notes.list_progress_notes(list).await.unwrap().into_inner().notes;
            assert_eq!(listed[0].versions.len(), 1, "lists show the newest version");
        }
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_job_is_started_kept_and_counted() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let mut outcomes = OutcomeServiceClient::new(bridge.channel("worker").await);
        let recorded = outcomes.record_outcome(record(&referral.id, job_start())).await.unwrap().into_inner();
        let job = recorded.outcome.unwrap();
        assert_eq!((job.versions[0].hours_band(), recorded.deliveries.len()), (v1::HoursBand::HoursBand16To29, 1));
        let Some(v1::outcome_content::Kind::JobStart(mut start)) = job_start().unwrap().kind else {
            panic!("a job start")
        };
        start.weekly_minutes = 600;
        let correct = v1::CorrectOutcomeRequest {
            request_id: request_id(),
            outcome_id: job.id.clone(),
            version_seen: 1,
            expected_patient: expected(),
            author: author(),
            content: Some(v1::OutcomeContent { remark: None, kind: Some(v1::outcome_content::Kind::JobStart(start)) }),
            reason: "fewer hours".into(),
        };
        let corrected = outcomes.correct_outcome(correct).await.unwrap().into_inner().outcome.unwrap();
        assert_eq!((corrected.version, corrected.versions[1].hours_band()), (2, v1::HoursBand::HoursBand5To15));
        bridge.note(&referral.id, "First day.").await;

        let period = v1::GetServiceMeasuresRequest {
            trust_ods: "RXX".into(),
            from: "2026-03-01".into(),
            to: "2026-03-31".into(),
            team: String::new(),
        };
        let measures = outcomes.get_service_measures(period).await.unwrap().into_inner().measures;
        assert_eq!(measures.len(), 16);
        let of = |kind: v1::MeasureKind| measures.iter().find(|m| m.kind() == kind).unwrap();
        assert_eq!(of(v1::MeasureKind::JobStarts).numerator, 1);
        assert_eq!(of(v1::MeasureKind::AccessedNhse).numerator, 1);
        assert_eq!(of(v1::MeasureKind::EmploymentRate).denominator, Some(1));
        let list = |kind: v1::MeasureKind| v1::ListMeasureReferralsRequest {
            trust_ods: "RXX".into(),
            from: "2026-03-01".into(),
            to: "2026-03-31".into(),
            kind: kind.into(),
            side: v1::MeasureSide::Numerator.into(),
            ..Default::default()
        };
        let behind =
            outcomes.list_measure_referrals(list(v1::MeasureKind::JobStarts)).await.unwrap().into_inner().referrals;
        let [one] = &behind[..] else { panic!("one job") };
        assert_eq!((one.job_id.as_ref(), one.on.as_str()), (Some(&job.id), "2026-03-02"));
        // Another team's numbers do not hold it.
        let east = v1::ListMeasureReferralsRequest { team: "ips-east".into(), ..list(v1::MeasureKind::JobStarts) };
        assert!(outcomes.list_measure_referrals(east).await.unwrap().into_inner().referrals.is_empty());

        let withdraw = v1::WithdrawOutcomeRequest {
            request_id: request_id(),
            outcome_id: job.id.clone(),
            version_seen: 2,
            author: author(),
            reason: v1::WithdrawReason::Incorrect.into(),
            explanation: None,
        };
        assert!(outcomes.withdraw_outcome(withdraw).await.unwrap().into_inner().outcome.unwrap().withdrawn);
        let got =
            outcomes.get_outcome(v1::GetOutcomeRequest { outcome_id: job.id.clone() }).await.unwrap().into_inner();
        assert_eq!(got.outcome.unwrap().versions.len(), 3);
        let list = v1::ListOutcomesRequest {
            of: Some(v1::list_outcomes_request::Of::PatientId(referral.patient_id.clone())),
            ..Default::default()
        };
        assert_eq!(outcomes.list_outcomes(list).await.unwrap().into_inner().outcomes.len(), 1);
        bridge.end().await;
    }
}

#[tokio::test]
async fn an_endpoint_shows_how_it_does_and_can_be_paused() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        bridge.note(&referral.id, "One.").await;
        let mut deliveries = DeliveryServiceClient::new(bridge.channel("integrator").await);
        let all = deliveries
            .get_endpoint_status(v1::GetEndpointStatusRequest::default())
            .await
            .unwrap()
            .into_inner()
            .endpoints;
        assert_eq!(all.iter().map(|e| e.endpoint_id.as_str()).collect::<Vec<_>>(), [RIO, SPARE]);
        let rio = &all[0];
        assert_eq!((rio.queued, rio.written_last_day, rio.filed_last_day), (1, 1, 0));
        assert_eq!((rio.name.as_str(), rio.environment.as_str(), rio.gate()), ("RiO", "test", v1::EndpointGate::Open));
        assert_eq!((rio.filed_by.as_str(), rio.in_maintenance), ("application_ack from the record", false));
        assert_eq!(rio.oldest_unfiled_at, Some(bridge.now().into()));
        let pause =
            v1::PauseEndpointRequest { request_id: request_id(), endpoint_id: RIO.into(), reason: "upgrade".into() };
        let paused = deliveries.pause_endpoint(pause).await.unwrap().into_inner().endpoint.unwrap();
        assert_eq!(
            (paused.paused, paused.paused_by.as_str(), paused.paused_because.as_str()),
            (true, "integrator", "upgrade")
        );
        assert!(bridge.claim().await.is_empty(), "a paused endpoint is sent nothing");
        let resume =
            v1::ResumeEndpointRequest { request_id: request_id(), endpoint_id: RIO.into(), reason: "done".into() };
        assert!(!deliveries.resume_endpoint(resume).await.unwrap().into_inner().endpoint.unwrap().paused);
        assert_eq!(bridge.claim().await.len(), 1);
        bridge.end().await;
    }
}

#[tokio::test]
async fn packs_are_listed_and_messages_previewed_without_sending_or_storing() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let written = bridge.note(&referral.id, "Wants to bake.").await;
    let mut by_integrator = AdapterServiceClient::new(bridge.channel("integrator").await);
    let packs = by_integrator.list_adapters(v1::ListAdaptersRequest {}).await.unwrap().into_inner().adapters;
    let pack = packs.iter().find(|p| p.id == "hl7v2-uk").unwrap();
    assert_eq!(
        (pack.format.as_str(), pack.endpoint_ids.as_slice()),
        ("hl7v2", &[RIO.to_owned(), SPARE.to_owned()][..])
    );
    assert!(pack.renders.iter().any(|r| r == "note.create") && pack.parses.iter().any(|p| p == "REF^I12"));

    let stored = v1::PreviewEntryRequest {
        endpoint_id: RIO.into(),
        what: Some(v1::preview_entry_request::What::DeliveryId(written.deliveries[0].id.clone())),
        with_input: false,
    };
    let mut by_worker = AdapterServiceClient::new(bridge.channel("worker").await);
    let whole = by_worker.preview_entry(stored.clone()).await.unwrap().into_inner();
    let text = String::from_utf8(whole.message.to_vec()).unwrap();
    assert!(
        whole.faults.is_empty() && text.starts_with("MSH|") && text.contains("Wants to bake."),
        "{:?}",
        whole.faults.first().map(|f| &f.what)
    );
    let masked = by_integrator.preview_entry(stored).await.unwrap().into_inner();
    assert!(masked.message.is_empty() && masked.faults.is_empty());
    let invented = v1::PreviewEntryRequest {
        endpoint_id: RIO.into(),
        what: Some(v1::preview_entry_request::What::Input(v1::RenderInput::default())),
        with_input: false,
    };
    let faults = by_integrator.preview_entry(invented.clone()).await.unwrap().into_inner().faults;
    assert!(!faults.is_empty());
    assert_eq!(bridge.reason("worker", "AdapterService/PreviewEntry", &invented).await, "ROLE_MISSING");

    let example =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk/examples/parse-ref/message.hl7");
    let message = std::fs::read_to_string(example).unwrap().replace('\n', "\r");
    let preview = v1::PreviewMessageRequest { endpoint_id: RIO.into(), message: message.into_bytes() };
    let parsed = by_integrator.preview_message(preview).await.unwrap().into_inner();
    assert!(
        parsed.faults.is_empty(),
        "{}",
        parsed.faults.iter().map(|f| format!("{} {}; ", f.file, f.what)).collect::<String>()
    );
    assert!(parsed.parsed.unwrap().fields.contains_key("details"));
    let garbage = v1::PreviewMessageRequest { endpoint_id: RIO.into(), message: b"hello".to_vec() };
    assert_eq!(by_integrator.preview_message(garbage).await.unwrap().into_inner().faults.len(), 1);
    // Nothing was sent or stored by any of it.
    assert_eq!(bridge.delivery("auditor", &written.deliveries[0].id).await.version, 1);
}
