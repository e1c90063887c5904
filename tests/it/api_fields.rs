//! Field rules at the edge: every broken one at once, under its proto path, and nothing stored.

use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, fields_of, reason_of, told};
use ips_bridge::wire::v1;
use prost::Message;
use tonic::Code;

impl Bridge {
    async fn broken(&self, who: &str, rpc: &str, request: &impl Message) -> Vec<String> {
        let status = self.bytes(who, rpc, request).await.expect_err("some field is broken");
        assert_eq!(reason_of(&status), "FIELD_VIOLATIONS");
        fields_of(&status)
    }
}

#[tokio::test]
async fn every_broken_field_of_a_note_is_named_at_once_and_nothing_is_stored() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let request = v1::WriteProgressNoteRequest {
        request_id: "not a uuid".into(),
        referral_id: "short".into(),
        expected_patient: Some(v1::ExpectedPatient {
            nhs_number: "9990000019".into(),
            date_of_birth: "12/04/1985".into(),
            family_name: String::new(),
        }),
        author: Some(v1::Author {
            staff_id: "a b".into(),
            display_name: "x\ny".into(),
            role_title: String::new(),
            organisation_ods: "a".into(),
        }),
        content: Some(v1::NoteContent {
            occurred_at: at("2026-04-01T00:00:00Z"),
            text: "bell\u{7}".into(),
            contact: None,
            sensitivity: None,
            risk_disclosed: Some(v1::RiskDisclosed { told_whom: String::new(), told_at: None }),
            kind: None,
        }),
        release_after: Some(pbjson_types::Duration { seconds: 3601, nanos: 0 }),
    };
    let fields = bridge.broken("worker", "ProgressNoteService/WriteProgressNote", &request).await;
    for field in [
        "request_id",
        "referral_id",
        "expected_patient.nhs_number",
        "expected_patient.date_of_birth",
        "expected_patient.family_name",
        "author.staff_id",
        "author.display_name",
        "author.role_title",
        "author.organisation_ods",
        "content.occurred_at",
        "content.text",
        "content.kind",
        "content.risk_disclosed.told_whom",
        "content.risk_disclosed.told_at",
        "release_after",
    ] {
        assert!(fields.iter().any(|f| f == field), "{field} is missing in {fields:?}");
    }
    let list = v1::ListProgressNotesRequest {
        of: Some(v1::list_progress_notes_request::Of::ReferralId(referral.id)),
        ..Default::default()
    };
    let listed: v1::ListProgressNotesResponse =
        bridge.done("worker", "ProgressNoteService/ListProgressNotes", &list).await;
    assert!(listed.notes.is_empty());
}

/// Every call with an empty request: what is required is named, each under its own name.
#[tokio::test]
async fn an_empty_request_is_told_everything_that_is_required() {
    let bridge = Bridge::start().await;
    let rules: &[(&str, &str, &[&str])] = &[
        ("worker", "PatientService/GetPatient", &["patient_id"]),
        ("worker", "PatientService/FindPatients", &["trust_ods", "by"]),
        ("worker", "PatientService/UpdatePatient", &["request_id", "patient_id", "version_seen", "details", "reason"]),
        ("worker", "ReferralService/CreateReferral", &["request_id", "trust_ods", "patient", "details"]),
        ("worker", "ReferralService/GetReferral", &["by"]),
        ("worker", "ReferralService/AcceptReferral", &["request_id", "referral_id", "assigned_to", "author"]),
        ("worker", "ReferralService/DeclineReferral", &["request_id", "referral_id", "reason", "author"]),
        ("worker", "ReferralService/AssignReferral", &["request_id", "referral_id", "assigned_to"]),
        ("worker", "ReferralService/CloseReferral", &["request_id", "referral_id", "reason"]),
        (
            "worker",
            "ProgressNoteService/WriteProgressNote",
            &["request_id", "referral_id", "expected_patient", "author", "content"],
        ),
        (
            "worker",
            "ProgressNoteService/ReplaceProgressNote",
            &["request_id", "note_id", "version_seen", "expected_patient", "author", "content", "reason"],
        ),
        (
            "worker",
            "ProgressNoteService/WithdrawProgressNote",
            &["request_id", "note_id", "version_seen", "author", "reason"],
        ),
        ("worker", "ProgressNoteService/GetProgressNote", &["note_id"]),
        ("worker", "ProgressNoteService/ListProgressNotes", &["of"]),
        (
            "worker",
            "OutcomeService/RecordOutcome",
            &["request_id", "referral_id", "expected_patient", "author", "content"],
        ),
        (
            "worker",
            "OutcomeService/CorrectOutcome",
            &["request_id", "outcome_id", "version_seen", "expected_patient", "author", "content", "reason"],
        ),
        ("worker", "OutcomeService/WithdrawOutcome", &["request_id", "outcome_id", "version_seen", "author", "reason"]),
        ("worker", "OutcomeService/GetOutcome", &["outcome_id"]),
        ("worker", "OutcomeService/ListOutcomes", &["of"]),
        ("worker", "OutcomeService/GetServiceMeasures", &["trust_ods", "from", "to"]),
        ("worker", "OutcomeService/ListMeasureReferrals", &["trust_ods", "from", "to", "kind", "side"]),
        ("worker", "DeliveryService/GetDelivery", &["delivery_id"]),
        ("worker", "DeliveryService/ListAttempts", &["delivery_id"]),
        ("integrator", "DeliveryService/RetryDeliveries", &["request_id", "selection", "reason"]),
        ("integrator", "DeliveryService/RerenderDelivery", &["request_id", "delivery_id", "reason"]),
        ("integrator", "DeliveryService/ParkDelivery", &["request_id", "delivery_id", "reason"]),
        ("integrator", "DeliveryService/CancelDelivery", &["request_id", "delivery_id", "reason"]),
        ("integrator", "DeliveryService/BackfillDeliveries", &["request_id", "endpoint_id", "recorded_from", "reason"]),
        ("integrator", "DeliveryService/ReconcileDocuments", &["request_id", "endpoint_id", "source"]),
        ("worker", "DeliveryService/ExportDeliveries", &["endpoint_id", "reason"]),
        ("integrator", "DeliveryService/PauseEndpoint", &["request_id", "endpoint_id", "reason"]),
        ("integrator", "DeliveryService/ResumeEndpoint", &["request_id", "endpoint_id", "reason"]),
        ("integrator", "AdapterService/PreviewEntry", &["endpoint_id", "what"]),
        ("integrator", "AdapterService/PreviewMessage", &["endpoint_id", "message"]),
        ("integrator", "AdapterService/CompareAdapter", &["endpoint_id", "pack"]),
        ("integrator", "AdapterService/ActivateAdapter", &["request_id", "endpoint_id", "reason"]),
        ("integrator", "AdapterService/RollbackAdapter", &["request_id", "endpoint_id", "reason"]),
    ];
    for (who, rpc, required) in rules {
        assert_eq!(bridge.broken(who, rpc, &()).await, *required, "{rpc}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_a_violation_and_one_that_is_nobodys_is_not_found() {
    let bridge = Bridge::start().await;
    let get = |id: &str| v1::GetPatientRequest { patient_id: id.into() };
    for bad in
        ["x", "01KJ0000000000000000000000U", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0198c0de-0000-7000-8000-000000000001"]
    {
        assert_eq!(bridge.broken("worker", "PatientService/GetPatient", &get(bad)).await, ["patient_id"]);
    }
    assert_eq!(
        bridge.reason("worker", "PatientService/GetPatient", &get("01KJ000000000000000000000X")).await,
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn filters_and_lists_name_their_broken_fields_too() {
    let bridge = Bridge::start().await;
    let list = v1::ListReferralsRequest {
        trust_ods: "no".into(),
        patient_id: "x".into(),
        states: vec![1, 0, 99],
        team: "a b".into(),
        assigned_to_staff_id: "é".into(),
        ..Default::default()
    };
    let fields = bridge.broken("worker", "ReferralService/ListReferrals", &list).await;
    assert_eq!(fields, ["trust_ods", "patient_id", "states[1]", "states[2]", "team", "assigned_to_staff_id"]);
    let list = v1::ListDeliveriesRequest {
        endpoint_id: "RIO".into(),
        states: vec![-1],
        park_reasons: vec![99],
        patient_id: "x".into(),
        subject_id: "x".into(),
        waiting_for: 9,
        ..Default::default()
    };
    let fields = bridge.broken("worker", "DeliveryService/ListDeliveries", &list).await;
    assert_eq!(fields, ["endpoint_id", "states[0]", "park_reasons[0]", "patient_id", "subject_id", "waiting_for"]);
    for (selection, field) in [
        (v1::DeliverySelection::default(), "selection"),
        (v1::DeliverySelection { delivery_ids: vec!["x".into()], ..Default::default() }, "selection.delivery_ids[0]"),
        (
            v1::DeliverySelection { delivery_ids: vec!["x".into()], endpoint_id: "rio".into(), ..Default::default() },
            "selection",
        ),
        (v1::DeliverySelection { endpoint_id: "rio".into(), ..Default::default() }, "selection.park_reason"),
        (
            v1::DeliverySelection { delivery_ids: vec!["x".into(); 1001], ..Default::default() },
            "selection.delivery_ids",
        ),
    ] {
        let retry = v1::RetryDeliveriesRequest {
            request_id: request_id(),
            selection: Some(selection),
            reason: "x".into(),
            dry_run: true,
            acknowledge_may_be_in_record: true,
        };
        assert_eq!(bridge.broken("integrator", "DeliveryService/RetryDeliveries", &retry).await, [field]);
    }
}

#[tokio::test]
async fn no_nhs_number_stands_where_no_patient_data_may() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    for held in ["of 999 000 0018", "999.000.0018", "A9990000018"] {
        let update = v1::UpdatePatientRequest {
            request_id: request_id(),
            patient_id: referral.patient_id.clone(),
            version_seen: 1,
            details: Some(patient_details()),
            reason: held.into(),
        };
        assert_eq!(bridge.broken("worker", "PatientService/UpdatePatient", &update).await, ["reason"], "{held}");
        let list = v1::ReconcileDocumentsRequest {
            request_id: request_id(),
            endpoint_id: RIO.into(),
            source: held.into(),
            ..Default::default()
        };
        let rpc = "DeliveryService/ReconcileDocuments";
        assert_eq!(bridge.broken("integrator", rpc, &list).await, ["source"], "{held}");
    }
    for held in
        ["9990000018", "999.000.0018", "999-000-0018", "999_000_0018", "99-90000018", "A9990000018", "E.9990000018"]
    {
        let refused = v1::ReportRefusedRequest {
            request_id: request_id(),
            endpoint_id: RIO.into(),
            document: Some(v1::report_refused_request::Document::ControlId("T1".into())),
            code: held.into(),
            text: String::new(),
        };
        assert_eq!(bridge.broken("epr", "RecordFeedService/ReportRefused", &refused).await, ["code"], "{held}");
    }
}

#[tokio::test]
async fn what_the_comments_say_of_blanks_lists_and_ids_is_so() {
    let bridge = Bridge::start().await;
    let rpc = "ReferralService/CreateReferral";
    let with = |lines: &[&str]| {
        let lines = lines.iter().map(|l| (*l).to_owned()).collect();
        let details =
            v1::PatientDetails { address: Some(v1::Address { lines, ..Default::default() }), ..patient_details() };
        v1::CreateReferralRequest {
            patient: Some(v1::create_referral_request::Patient::PatientDetails(details)),
            ..create("RXX", "")
        }
    };
    assert_eq!(
        bridge.broken("worker", rpc, &with(&["1", "", "2", "3", "4", "5"])).await,
        ["patient_details.address.lines"]
    );
    let tab = bridge.bytes("worker", rpc, &with(&["1", " ", "a\tb"])).await.unwrap_err();
    assert_eq!(fields_of(&tab), ["patient_details.address.lines[2]"]);
    assert!(told(&tab).contains("no control characters are allowed"), "{}", told(&tab));
    let five = v1::CreateReferralRequest {
        other_family_names: [vec![" ".to_owned()], vec!["Former".to_owned(); 20]].concat(),
        ..with(&["1", "", "2", "3", "4"])
    };
    let made: v1::CreateReferralResponse = bridge.done("worker", rpc, &five).await;
    let patient_id = made.referral.unwrap().patient_id;
    let get = v1::GetPatientRequest { patient_id: patient_id.to_lowercase() };
    let got: v1::GetPatientResponse = bridge.done("worker", "PatientService/GetPatient", &get).await;
    assert_eq!(got.patient.unwrap().details.unwrap().address.unwrap().lines, ["1", "2", "3", "4"]);
    // A patient who is named by id is compared with nothing.
    let known = v1::CreateReferralRequest {
        patient: Some(v1::create_referral_request::Patient::PatientId(patient_id)),
        other_family_names: vec!["Former".into()],
        ..create("RXX", "")
    };
    assert_eq!(bridge.broken("worker", rpc, &known).await, ["other_family_names"]);
    for control_id in [" T1", "T1 "] {
        let filed = v1::ReportFiledRequest {
            request_id: request_id(),
            endpoint_id: RIO.into(),
            document: Some(v1::report_filed_request::Document::ControlId(control_id.into())),
            record_id: "DOC-1".into(),
        };
        assert_eq!(bridge.broken("epr", "RecordFeedService/ReportFiled", &filed).await, ["control_id"]);
        let received = v1::ConfirmReceivedRequest {
            request_id: request_id(),
            endpoint_id: RIO.into(),
            control_id: control_id.into(),
        };
        assert_eq!(bridge.broken("epr", "RecordFeedService/ConfirmReceived", &received).await, ["control_id"]);
    }
    let list = |record_id: &str, line: i32, day: &str| v1::ReconcileDocumentsRequest {
        request_id: request_id(),
        endpoint_id: RIO.into(),
        source: "held.csv".into(),
        documents: vec![v1::ListedDocument { document_id: "D1".into(), record_id: record_id.into(), line }],
        day: day.into(),
        dry_run: true,
    };
    let rpc = "DeliveryService/ReconcileDocuments";
    assert!(bridge.bytes("integrator", rpc, &list(" ", 0, "")).await.is_ok(), "a blank record id is none");
    assert_eq!(bridge.broken("integrator", rpc, &list("", -1, "20260302")).await, ["documents[0].line", "day"]);
}

#[tokio::test]
async fn times_stay_within_their_bounds() {
    let bridge = Bridge::start().await;
    for bad in ["2026-03-03T15:06:00Z", "2016-03-01T00:00:00Z"] {
        let late = v1::CreateReferralRequest { received_at: at(bad), ..create("RXX", "") };
        assert_eq!(bridge.broken("worker", "ReferralService/CreateReferral", &late).await, ["received_at"], "{bad}");
    }
    let now = v1::CreateReferralRequest { received_at: None, ..create("RXX", "") };
    let made: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &now).await;
    let referral = made.referral.unwrap();
    assert_eq!(referral.received_at, Some(bridge.now().into()));
    let close = v1::CloseReferralRequest {
        request_id: request_id(),
        referral_id: referral.id.clone(),
        reason: 2,
        closed_at: at("2026-03-03T16:00:00Z"),
    };
    assert_eq!(bridge.broken("worker", "ReferralService/CloseReferral", &close).await, ["closed_at"]);
    let accept = v1::AcceptReferralRequest {
        request_id: request_id(),
        referral_id: referral.id.clone(),
        assigned_to: author(),
        author: author(),
    };
    let _: v1::AcceptReferralResponse = bridge.done("worker", "ReferralService/AcceptReferral", &accept).await;
    let before = v1::CloseReferralRequest { request_id: request_id(), closed_at: at("2026-03-03T14:00:00Z"), ..close };
    assert_eq!(bridge.broken("worker", "ReferralService/CloseReferral", &before).await, ["closed_at"]);
    let period = |from: &str, to: &str| v1::GetServiceMeasuresRequest {
        trust_ods: "RXX".into(),
        from: from.into(),
        to: to.into(),
        team: String::new(),
    };
    for (from, to) in [("2026-03-02", "2026-03-01"), ("2020-01-01", "2026-01-01")] {
        assert_eq!(bridge.broken("worker", "OutcomeService/GetServiceMeasures", &period(from, to)).await, ["to"]);
    }
}

/// A trust's day, not the machine's: in the summer it is tomorrow already for the last hour of the day in UTC.
#[tokio::test]
async fn today_is_the_trusts_own_day() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    bridge.clock.set("2026-06-10T22:30:00Z".parse().unwrap());
    let born = |day: &str| {
        let details = v1::PatientDetails { date_of_birth: day.into(), ..patient_details() };
        v1::UpdatePatientRequest {
            request_id: request_id(),
            patient_id: referral.patient_id.clone(),
            version_seen: 1,
            details: Some(details),
            reason: "x".into(),
        }
    };
    assert_eq!(
        bridge.broken("worker", "PatientService/UpdatePatient", &born("2026-06-11")).await,
        ["details.date_of_birth"]
    );
    bridge.clock.set("2026-06-10T23:30:00Z".parse().unwrap());
    assert!(bridge.bytes("worker", "PatientService/UpdatePatient", &born("2026-06-11")).await.is_ok());
}

#[tokio::test]
async fn what_a_job_is_said_to_be_fits_its_beginning_and_end() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let job: v1::RecordOutcomeResponse =
        bridge.done("worker", "OutcomeService/RecordOutcome", &record(&referral.id, job_start())).await;
    let job_id = job.outcome.unwrap().id;
    let say = |kind| record(&referral.id, Some(v1::OutcomeContent { remark: None, kind: Some(kind) }));
    let still = |on: &str| {
        say(v1::outcome_content::Kind::StillInWork(v1::StillInWork {
            job_id: job_id.clone(),
            on: on.into(),
            confirmed_by: v1::ConfirmedBy::Client.into(),
        }))
    };
    let kept = still("2026-03-02");
    assert!(bridge.bytes("worker", "OutcomeService/RecordOutcome", &kept).await.is_ok());
    assert_eq!(
        bridge.broken("worker", "OutcomeService/RecordOutcome", &still("2026-02-28")).await,
        ["content.still_in_work.on"]
    );
    let end = |on: &str| {
        say(v1::outcome_content::Kind::JobEnd(v1::JobEnd {
            job_id: job_id.clone(),
            ended_on: on.into(),
            reason: v1::JobEndReason::Health.into(),
            share_in_record: false,
        }))
    };
    // The mistaken one of the two is corrected first: they would stand side by side in the record.
    assert_eq!(
        bridge.broken("worker", "OutcomeService/RecordOutcome", &end("2026-03-01")).await,
        ["content.job_end.ended_on"]
    );
    assert!(bridge.bytes("worker", "OutcomeService/RecordOutcome", &end("2026-03-02")).await.is_ok());
    assert_eq!(
        bridge.broken("worker", "OutcomeService/RecordOutcome", &still("2026-03-03")).await,
        ["content.still_in_work.on"]
    );
    // What was answered before the end was known is answered the same again.
    assert!(bridge.bytes("worker", "OutcomeService/RecordOutcome", &kept).await.is_ok());
}

#[tokio::test]
async fn a_day_that_cannot_be_is_named_by_its_field_in_every_kind_of_outcome() {
    use v1::outcome_content::Kind;
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let job: v1::RecordOutcomeResponse =
        bridge.done("worker", "OutcomeService/RecordOutcome", &record(&referral.id, job_start())).await;
    let job_id = job.outcome.unwrap().id;
    let employer = Some(v1::Employer { name: "Test Bakery Ltd".into(), post: "Baker".into(), share_in_record: false });
    let start = v1::JobStart { employer: employer.clone(), ..Default::default() };
    let (by, why) = (v1::ConfirmedBy::Client.into(), v1::JobEndReason::Health.into());
    let kinds: &[(&str, &dyn Fn(String) -> Kind)] = &[
        ("job_offer.offered_on", &|offered_on| {
            Kind::JobOffer(v1::JobOffer { employer: employer.clone(), offered_on, accepted: None })
        }),
        ("job_start.started_on", &|started_on| Kind::JobStart(v1::JobStart { started_on, ..start.clone() })),
        ("job_retained.retained_on", &|retained_on| {
            Kind::JobRetained(v1::JobRetained { employer: employer.clone(), retained_on, weekly_minutes: 60 })
        }),
        ("still_in_work.on", &|on| Kind::StillInWork(v1::StillInWork { job_id: job_id.clone(), on, confirmed_by: by })),
        ("job_end.ended_on", &|ended_on| {
            Kind::JobEnd(v1::JobEnd { job_id: job_id.clone(), ended_on, reason: why, share_in_record: false })
        }),
        ("hours_changed.from", &|from| {
            Kind::HoursChanged(v1::HoursChanged { job_id: job_id.clone(), from, weekly_minutes: 60 })
        }),
        ("work_placement.started_on", &|started_on| {
            Kind::WorkPlacement(v1::WorkPlacement { host: employer.clone(), started_on, ended_on: None })
        }),
        ("voluntary_work.started_on", &|started_on| {
            Kind::VoluntaryWork(v1::VoluntaryWork { host: employer.clone(), started_on })
        }),
        ("education.started_on", &|started_on| Kind::Education(v1::Education { course: "Baking".into(), started_on })),
        ("status_recorded.recorded_on", &|recorded_on| {
            Kind::StatusRecorded(v1::StatusRecorded { status: 1, recorded_on, weekly_minutes: None })
        }),
    ];
    for (field, kind) in kinds {
        let say =
            |day: &str| record(&referral.id, Some(v1::OutcomeContent { remark: None, kind: Some(kind(day.into())) }));
        // Before the birth, in the future, and, of a job, before its beginning.
        for (day, is_wrong) in [
            ("1985-04-11", true),
            ("2026-03-04", true),
            ("2026-02-28", ["still", "job_e", "hours"].contains(&&field[..5])),
        ] {
            if is_wrong {
                let mut fields = bridge.broken("worker", "OutcomeService/RecordOutcome", &say(day)).await;
                fields.dedup();
                assert_eq!(fields, [format!("content.{field}")], "{day}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_record_does_not_allow_is_refused_with_its_reason() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let rpc = "ProgressNoteService/WriteProgressNote";
    let other = v1::ExpectedPatient { family_name: "Somebody".into(), ..expected().unwrap() };
    let wrong = v1::WriteProgressNoteRequest { expected_patient: Some(other), ..write(&referral.id, "x") };
    assert_eq!(bridge.reason("worker", rpc, &wrong).await, "PATIENT_MISMATCH");
    let approach = v1::NoteContent {
        kind: Some(v1::note_content::Kind::EmployerContact(v1::EmployerContact {
            purpose: v1::EmployerContactPurpose::JobDevelopment.into(),
            employer_name: "Test Bakery Ltd".into(),
            in_clients_name: true,
            client_present: true,
            ..Default::default()
        })),
        ..content("Asked the bakery.").unwrap()
    };
    let unasked = v1::WriteProgressNoteRequest { content: Some(approach), ..write(&referral.id, "x") };
    assert_eq!(bridge.reason("worker", rpc, &unasked).await, "CONSENT_MISSING");
    let nowhere = v1::CreateReferralRequest {
        details: Some(v1::ReferralDetails { team: "ips-nowhere".into(), ..referral_details("") }),
        ..create("RXX", "")
    };
    let lost: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &nowhere).await;
    assert_eq!(bridge.reason("worker", rpc, &write(&lost.referral.unwrap().id, "x")).await, "NO_ENDPOINT");
    let note = bridge.note(&referral.id, "One.").await.note.unwrap();
    let _: v1::ReplaceProgressNoteResponse =
        bridge.done("worker", "ProgressNoteService/ReplaceProgressNote", &replace(&note, "Two.")).await;
    let stale =
        bridge.bytes("worker", "ProgressNoteService/ReplaceProgressNote", &replace(&note, "Three.")).await.unwrap_err();
    assert_eq!((stale.code(), reason_of(&stale).as_str()), (Code::Aborted, "VERSION_CONFLICT"), "{}", told(&stale));
    let _: v1::CreateReferralResponse =
        bridge.done("worker", "ReferralService/CreateReferral", &create("RXX", "REF-9")).await;
    let taken = bridge.bytes("worker", "ReferralService/CreateReferral", &create("RXX", "REF-9")).await.unwrap_err();
    assert_eq!(reason_of(&taken), "EXTERNAL_ID_TAKEN");
    let details = tonic_types::StatusExt::get_error_details(&taken);
    assert_eq!(details.error_info().unwrap().metadata["referral_id"].len(), 26);
    let twice = v1::CreateReferralRequest {
        patient: Some(v1::create_referral_request::Patient::PatientDetails(v1::PatientDetails {
            date_of_birth: "1999-01-01".into(),
            ..patient_details()
        })),
        ..create("RXX", "")
    };
    assert_eq!(bridge.reason("worker", "ReferralService/CreateReferral", &twice).await, "PATIENT_MISMATCH");
    let second = v1::CreateReferralRequest {
        patient: Some(v1::create_referral_request::Patient::PatientDetails(another_patient(2))),
        ..create("RXX", "")
    };
    let second: v1::CreateReferralResponse = bridge.done("worker", "ReferralService/CreateReferral", &second).await;
    // All three agree with who has the number; the hospital number beside them is the other one's.
    let theirs = patient_details().local_identifiers;
    let mixed = |details: v1::PatientDetails| v1::CreateReferralRequest {
        patient: Some(v1::create_referral_request::Patient::PatientDetails(v1::PatientDetails {
            local_identifiers: theirs.clone(),
            ..details
        })),
        ..create("RXX", "")
    };
    let taken = bridge.bytes("worker", "ReferralService/CreateReferral", &mixed(another_patient(2))).await.unwrap_err();
    assert_eq!((taken.code(), reason_of(&taken).as_str()), (Code::AlreadyExists, "IDENTIFIER_TAKEN"));
    assert!(!taken.message().contains("do not all agree"), "{}", told(&taken));
    let younger = v1::PatientDetails { date_of_birth: "1999-01-01".into(), ..another_patient(2) };
    assert_eq!(bridge.reason("worker", "ReferralService/CreateReferral", &mixed(younger)).await, "PATIENT_MISMATCH");
    let steal = v1::UpdatePatientRequest {
        request_id: request_id(),
        patient_id: second.referral.unwrap().patient_id,
        version_seen: 1,
        details: Some(patient_details()),
        reason: "x".into(),
    };
    assert_eq!(bridge.reason("worker", "PatientService/UpdatePatient", &steal).await, "IDENTIFIER_TAKEN");
}

#[tokio::test]
async fn a_full_bridge_says_when_to_come_back_and_takes_no_new_work() {
    let store = crate::support::stores().next().unwrap();
    let limits = ips_bridge::store::Limits { max_open_deliveries: 1, ..Default::default() };
    let bridge = Bridge::start_with(&store.url, limits, |_| {}).await;
    let referral = bridge.referral().await;
    bridge.note(&referral.id, "One.").await;
    let full = bridge
        .bytes("worker", "ProgressNoteService/WriteProgressNote", &write(&referral.id, "Two."))
        .await
        .unwrap_err();
    assert_eq!((full.code(), reason_of(&full).as_str()), (Code::ResourceExhausted, "QUEUE_FULL"));
    let details = tonic_types::StatusExt::get_error_details(&full);
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    bridge.send_all(Outcome::Positive).await;
    bridge.note(&referral.id, "Two.").await;
    bridge.end().await;
}
