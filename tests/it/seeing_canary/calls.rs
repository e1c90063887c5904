//! Calls over the network, panics, and what an operator reads.

use super::*;

/// The same words over the network: calls that are taken, calls that are refused for each reason, and bytes that are no call.
pub(super) async fn exercise_api(bridge: &Bridge, heard: &Heard) {
    let addr = bridge.serve_api().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut patients = PatientServiceClient::new(channel.clone());
    let mut referrals = ReferralServiceClient::new(channel.clone());
    let mut notes = ProgressNoteServiceClient::new(channel.clone());
    let mut outcomes = OutcomeServiceClient::new(channel.clone());
    let mut deliveries = DeliveryServiceClient::new(channel.clone());
    let mut adapters = AdapterServiceClient::new(channel);
    let id = || new_uuid(bridge.now(), &Fresh).to_string();
    let details = form::patient::show_details(&bridge.patient);
    let expected =
        v1::ExpectedPatient { nhs_number: NHS.into(), date_of_birth: BORN.into(), family_name: FAMILY.into() };
    let author = Some(form::person::show_author(&canary_author()));

    let write = v1::WriteProgressNoteRequest {
        request_id: id(),
        referral_id: bridge.referral.to_string(),
        expected_patient: Some(expected.clone()),
        author: author.clone(),
        content: Some(form::note::show_content(&bridge.content(TEXT))),
        release_after: None,
    };
    heard.debug(&write);
    // A caller's own headers may hold anything.
    let mut call = tonic::Request::new(write.clone());
    for name in ["traceparent", "user", "x-patient"] {
        call.metadata_mut().insert(name, FAMILY.parse().unwrap());
    }
    heard.debug(&notes.write_progress_note(call).await.unwrap().into_inner());
    let other_content = Some(form::note::show_content(&bridge.content(&format!("{TEXT}, changed"))));
    heard.refused(
        notes.write_progress_note(v1::WriteProgressNoteRequest { content: other_content, ..write.clone() }).await,
    );
    let wrong = Some(v1::ExpectedPatient { nhs_number: OTHER_NHS.into(), ..expected.clone() });
    heard.refused(
        notes
            .write_progress_note(v1::WriteProgressNoteRequest {
                request_id: id(),
                expected_patient: wrong,
                ..write.clone()
            })
            .await,
    );
    let broken = v1::WriteProgressNoteRequest {
        request_id: TEXT.into(),
        referral_id: LOCAL.into(),
        expected_patient: Some(v1::ExpectedPatient {
            nhs_number: WRONG_NHS.into(),
            date_of_birth: format!("{BORN}T"),
            family_name: FAMILY.repeat(50),
        }),
        author: Some(v1::Author {
            staff_id: format!("{AUTHOR} {AUTHOR}"),
            organisation_ods: AUTHOR.into(),
            ..Default::default()
        }),
        content: Some(v1::NoteContent { text: format!("{TEXT}\u{1c}"), ..Default::default() }),
        release_after: None,
    };
    heard.refused(notes.write_progress_note(broken).await);
    heard.refused(notes.get_progress_note(v1::GetProgressNoteRequest { note_id: FAMILY.into() }).await);

    let find = |by| v1::FindPatientsRequest { trust_ods: "RZ9".into(), by: Some(by), ..Default::default() };
    let found =
        patients.find_patients(find(v1::find_patients_request::By::NhsNumber(NHS.into()))).await.unwrap().into_inner();
    assert_eq!(found.patients.len(), 1, "the patient is found");
    heard.debug(&found);
    heard.refused(patients.find_patients(find(v1::find_patients_request::By::NhsNumber(WRONG_NHS.into()))).await);
    let by_name = v1::NameAndBirth { family_name: FAMILY.into(), date_of_birth: format!("{BORN}!") };
    heard.refused(patients.find_patients(find(v1::find_patients_request::By::NameAndBirth(by_name))).await);
    heard.refused(
        patients
            .find_patients(v1::FindPatientsRequest {
                page_token: FAMILY.into(),
                ..find(v1::find_patients_request::By::NhsNumber(NHS.into()))
            })
            .await,
    );
    let stale = v1::UpdatePatientRequest {
        request_id: id(),
        patient_id: found.patients[0].id.clone(),
        version_seen: 99,
        details: Some(details.clone()),
        reason: WHY.into(),
    };
    heard.refused(patients.update_patient(stale).await);

    let create = v1::CreateReferralRequest {
        request_id: id(),
        trust_ods: "RZ9".into(),
        patient: Some(v1::create_referral_request::Patient::PatientDetails(details)),
        details: Some(form::referral::show_details(&canary_referral())),
        received_at: None,
        other_family_names: Vec::new(),
        location_shielded: false,
        patient_deceased: false,
    };
    heard.refused(referrals.create_referral(create.clone()).await);
    heard.refused(referrals.create_referral(v1::CreateReferralRequest { trust_ods: FAMILY.into(), ..create }).await);
    let external = v1::ExternalReferral {
        trust_ods: "RZ9".into(),
        external_id: Some(v1::ExternalId { system: FAMILY.into(), value: LOCAL.into() }),
    };
    heard.refused(
        referrals
            .get_referral(v1::GetReferralRequest { by: Some(v1::get_referral_request::By::External(external)) })
            .await,
    );

    let outcome = v1::RecordOutcomeRequest {
        request_id: id(),
        referral_id: bridge.referral.to_string(),
        expected_patient: Some(expected),
        author,
        content: Some(form::outcome::show_content(&canary_job(bridge))),
    };
    heard.debug(&outcomes.record_outcome(outcome.clone()).await.unwrap().into_inner());
    let mut unfit = outcome;
    unfit.request_id = id();
    unfit.content = Some(v1::OutcomeContent { remark: Some(format!("{REMARK}\u{7}")), ..Default::default() });
    heard.refused(outcomes.record_outcome(unfit).await);

    heard.debug(&deliveries.list_deliveries(v1::ListDeliveriesRequest::default()).await.unwrap().into_inner());
    heard.refused(
        deliveries
            .list_deliveries(v1::ListDeliveriesRequest {
                endpoint_id: FAMILY.into(),
                patient_id: NHS.into(),
                ..Default::default()
            })
            .await,
    );
    let preview = |message: String| v1::PreviewMessageRequest {
        endpoint_id: endpoint_id().to_string(),
        message: message.into_bytes(),
    };
    heard.debug(&adapters.preview_message(preview(good("P1", ""))).await.unwrap().into_inner());
    for wrong in [TEXT.to_owned(), good("P2", "").replace(OTHER_NHS, WRONG_NHS), good("P3", &format!("{TEXT}\r"))] {
        // Told as faults or as an error: both are said.
        match adapters.preview_message(preview(wrong)).await {
            Ok(shown) => {
                assert!(!shown.get_ref().faults.is_empty(), "a message that is wrong has faults");
                heard.debug(
                    &shown.get_ref().faults.iter().map(|f| serde_json::to_string(f).unwrap()).collect::<Vec<_>>(),
                );
            }
            Err(e) => heard.refused::<(), _>(Err(e)),
        }
    }

    // What is no call at all.
    for bytes in [
        format!("GET /{FAMILY} HTTP/1.1\r\nHost: {NHS}\r\n\r\n"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{TEXT}"),
        TEXT.to_owned(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // However it ends, the far side has read it by then.
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    }
}

/// What operators type as their reason: kept for the audit, and said nowhere else, whether the call is carried out or refused.
pub(super) async fn exercise_reasons(bridge: &Bridge, heard: &Heard) {
    let addr = bridge.serve_api().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut deliveries = DeliveryServiceClient::new(channel.clone());
    let mut adapters = AdapterServiceClient::new(channel.clone());
    let mut inbound = InboundServiceClient::new(channel);
    let id = || new_uuid(bridge.now(), &Fresh).to_string();
    let (epr, soon) = (endpoint_id().to_string(), format!("{WHY} about {FAMILY}"));
    heard.debug(&bridge.try_write(bridge.note(TEXT)).await.unwrap());
    let delivery = newest(bridge).await.to_string();
    let listed = inbound.list_inbound_messages(v1::ListInboundMessagesRequest::default()).await.unwrap().into_inner();
    let message = listed.messages.first().map(|m| m.id.clone()).unwrap_or_default();
    // Carried out; too long; with a number, which is refused and not repeated.
    for reason in [soon.clone(), format!("{WHY} ").repeat(40), format!("{WHY} for {NHS}")] {
        macro_rules! said {
            ($client:ident, $call:ident, $request:ident { $($rest:tt)* }) => {{
                let request = v1::$request { request_id: id(), reason: reason.clone(), $($rest)* };
                match $client.$call(request).await {
                    Ok(_) => assert_eq!(reason, soon, "{} took a reason that it must not", stringify!($call)),
                    Err(e) => {
                        if reason.ends_with(NHS) {
                            let said = format!("{:?}", e.get_error_details().bad_request());
                            assert!(said.contains("must not hold an NHS number"), "{}: {said}", stringify!($call));
                        }
                        heard.refused::<(), _>(Err(e));
                    }
                }
            }};
        }
        said!(deliveries, pause_endpoint, PauseEndpointRequest { endpoint_id: epr.clone() });
        heard.debug(&bridge.store.endpoint_states(&[endpoint_id()]).await.unwrap());
        let (delivery_id, acknowledge_may_be_in_record) = (delivery.clone(), true);
        said!(deliveries, park_delivery, ParkDeliveryRequest { delivery_id, dry_run: false });
        let delivery_id = delivery.clone();
        said!(
            deliveries,
            rerender_delivery,
            RerenderDeliveryRequest { delivery_id, acknowledge_may_be_in_record, dry_run: false }
        );
        let selection = Some(v1::DeliverySelection { delivery_ids: vec![delivery.clone()], ..Default::default() });
        said!(deliveries, retry_deliveries, RetryDeliveriesRequest { selection, ..Default::default() });
        let delivery_id = delivery.clone();
        said!(
            deliveries,
            cancel_delivery,
            CancelDeliveryRequest { delivery_id, acknowledge_may_be_in_record, dry_run: false }
        );
        said!(deliveries, resume_endpoint, ResumeEndpointRequest { endpoint_id: epr.clone() });
        let (endpoint_id_, recorded_from) = (epr.clone(), Some(bridge.now().into()));
        said!(
            deliveries,
            backfill_deliveries,
            BackfillDeliveriesRequest { endpoint_id: endpoint_id_, recorded_from, ..Default::default() }
        );
        said!(
            adapters,
            activate_adapter,
            ActivateAdapterRequest { endpoint_id: epr.clone(), version: String::new(), same_version: false }
        );
        said!(adapters, rollback_adapter, RollbackAdapterRequest { endpoint_id: epr.clone(), version: String::new() });
        let inbound_message_id = message.clone();
        said!(inbound, reprocess_inbound_message, ReprocessInboundMessageRequest { inbound_message_id });
        let export = v1::ExportDeliveriesRequest { endpoint_id: epr.clone(), reason: reason.clone() };
        if let Err(e) = deliveries.export_deliveries(export).await {
            heard.refused::<(), _>(Err(e));
        }
    }
    for delivery in bridge
        .store
        .deliveries(&Scope::system(), &DeliveryFilter::default(), Page { size: 1000, after: None })
        .await
        .unwrap()
    {
        heard.debug(&delivery);
        heard.debug(&bridge.store.steps(&delivery).await.unwrap());
    }
}

/// A fault of ours, with the patient's name in its message.
pub(super) fn exercise_panics() {
    let before = std::panic::take_hook();
    log_panics();
    let ended = std::thread::spawn(|| {
        let nobody: Result<(), String> = Err(format!("{FAMILY} {NHS}"));
        if let Err(who) = nobody {
            panic!("{who} {TEXT}");
        }
    })
    .join();
    std::panic::set_hook(before);
    assert!(ended.is_err());
}

/// Whatever the store gives back could end in a line by its `Debug`.
pub(super) async fn exercise_reads(bridge: &Bridge, heard: &Heard) {
    let (scope, page) = (Scope::trusts([trust()]), Page { size: 1000, after: None });
    let store = &bridge.store;
    let referral = store.referral(&scope, bridge.referral).await.unwrap().unwrap();
    heard.debug(&referral);
    heard.debug(&store.patient(&scope, referral.patient_id).await.unwrap());
    let by = PatientBy::NhsNumber(NhsNumber::parse(NHS).unwrap());
    heard.debug(&by);
    heard.debug(&store.find_patients(&scope, &trust(), &by, page).await.unwrap());
    heard.debug(&PatientBy::NameAndBirth { family: FAMILY.into(), born: BORN.parse().unwrap() });
    let of = SubjectFilter::Referral(bridge.referral);
    for note in store.notes(&scope, of, None, page).await.unwrap() {
        heard.debug(&note);
        heard.debug(&store.versions(&scope, [note.id.0]).await.unwrap());
    }
    for outcome in store.outcomes(&scope, of, page).await.unwrap() {
        heard.debug(&outcome);
        heard.debug(&store.versions(&scope, [outcome.id.0]).await.unwrap());
    }
    for delivery in store.deliveries(&scope, &DeliveryFilter::default(), page).await.unwrap() {
        heard.debug(&delivery);
        heard.debug(&store.steps(&delivery).await.unwrap());
        heard.debug(&store.attempts(&delivery).await.unwrap());
        heard.debug(&store.rendering_of(&delivery).await.unwrap());
    }
    heard.debug(&store.endpoint_states(&[endpoint_id()]).await.unwrap());
    heard.debug(&store.trust_facts(&scope, &trust()).await.unwrap());
}

/// No room for more.
pub(super) async fn exercise_full(url: &str, heard: &Heard) {
    let limits = Limits { max_open_deliveries: 0, ..Limits::default() };
    let tweaks = Tweaks {
        patient: canary_patient(NHS),
        author: canary_author(),
        limits,
        without_outbox: true,
        ..Tweaks::default()
    };
    let bridge = Bridge::start(url, crate::support::free_addr(), tweaks).await;
    heard.refused(bridge.try_write(bridge.note(TEXT)).await);
    bridge.stop().await;
}
