//! Valid messages to break, show and read back.

use crate::domain::ids::OutcomeId;
use crate::wire::{
    Timestamp,
    v1::{self, note_content::Kind as Note, outcome_content::Kind as Outcome},
};
use uuid::Uuid;

pub const NOW: &str = "2026-03-03T15:00:00Z";

pub fn now() -> jiff::Timestamp {
    NOW.parse().expect("a time")
}

pub fn today() -> jiff::civil::Date {
    jiff::civil::date(2026, 3, 3)
}

pub fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse::<jiff::Timestamp>().expect("a time").into())
}

/// As GB has it, without a time zone database.
pub fn london() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").expect("a POSIX time zone")
}

pub fn author() -> v1::Author {
    v1::Author {
        staff_id: "ES-042".into(),
        display_name: "Grace Okafor".into(),
        role_title: "Employment Specialist".into(),
        organisation_ods: "A8JX".into(),
    }
}

pub fn expected_patient() -> v1::ExpectedPatient {
    v1::ExpectedPatient {
        nhs_number: "9990000018".into(),
        date_of_birth: "1985-04-12".into(),
        family_name: "Testpatient".into(),
    }
}

pub fn local_identifier(value: &str) -> v1::LocalIdentifier {
    v1::LocalIdentifier { assigning_authority: "RXX".into(), value: value.into(), r#type: "MR".into() }
}

pub fn patient_details() -> v1::PatientDetails {
    v1::PatientDetails {
        nhs_number: Some("9990000018".into()),
        nhs_number_status: v1::NhsNumberStatus::Verified.into(),
        local_identifiers: vec![local_identifier("H123")],
        name: Some(v1::PersonName { family: "Testpatient".into(), given: "Sam Ann".into(), prefix: Some("Ms".into()) }),
        date_of_birth: "1985-04-12".into(),
        gender: v1::Gender::Female.into(),
        address: Some(v1::Address {
            lines: vec!["1 Test Street".into()],
            city: Some("Testham".into()),
            county: None,
            postcode: Some("ZZ99 9ZZ".into()),
        }),
        phone: Some("01632 960000".into()),
    }
}

pub fn external_id(value: &str) -> v1::ExternalId {
    v1::ExternalId { system: "urn:trust:referrals".into(), value: value.into() }
}

pub fn referral_details() -> v1::ReferralDetails {
    v1::ReferralDetails {
        external_ids: vec![external_id("REF-1")],
        source_code: "P1".into(),
        priority: v1::ReferralPriority::Routine.into(),
        referrer_name: "Dr Test Referrer".into(),
        referrer_role: Some("Consultant".into()),
        referrer_ods: Some("RXX".into()),
        referring_team: Some("North CMHT".into()),
        team: "ips-north".into(),
        site_ods: Some("RXX01".into()),
        reason: Some("Wants paid work.\nNo readiness test.".into()),
        employment_status: v1::EmploymentStatus::SeekingWork.into(),
        job_retention: false,
        months_out_of_work: Some(14),
    }
}

pub fn contact() -> v1::Contact {
    v1::Contact {
        mechanism: v1::ContactMechanism::FaceToFace.into(),
        attendance: v1::Attendance::AttendedOnTime.into(),
        mode: v1::ContactMode::Individual.into(),
        duration_minutes: Some(45),
        location_code: Some("N01".into()),
        others_present: Some("her support worker".into()),
    }
}

pub fn disclosure_decision() -> v1::DisclosureDecision {
    v1::DisclosureDecision {
        choice: v1::DisclosureChoice::Some.into(),
        employer_approach: v1::EmployerApproachConsent::Given.into(),
        scope: Some("that she has a health condition, to retail employers".into()),
        decided_on: "2026-03-02".into(),
    }
}

pub fn employer_contact(share: bool, client_present: bool) -> v1::EmployerContact {
    v1::EmployerContact {
        purpose: v1::EmployerContactPurpose::JobDevelopment.into(),
        employer_name: "Test Bakery Ltd".into(),
        share_in_record: share,
        face_to_face: true,
        in_clients_name: true,
        client_present,
    }
}

/// Every kind of note, each with a name for its tests.
pub fn note_kinds() -> Vec<(&'static str, Note)> {
    vec![
        ("general_contact", Note::GeneralContact(v1::GeneralContact {})),
        (
            "vocational_profile",
            Note::VocationalProfile(v1::VocationalProfile {
                stage: v1::ProfileStage::Started.into(),
                client_committed: true,
            }),
        ),
        (
            "action_plan",
            Note::ActionPlan(v1::ActionPlan { client_engaged: true, review_on: Some("2026-04-01".into()) }),
        ),
        (
            "benefits_advice",
            Note::BenefitsAdvice(v1::BenefitsAdvice {
                receives_benefits: Some(true),
                calculation_made: true,
                benefits: Some("Universal Credit".into()),
            }),
        ),
        ("disclosure_decision", Note::DisclosureDecision(disclosure_decision())),
        ("cv_and_applications", Note::CvAndApplications(v1::CvAndApplications { applications_sent: 3 })),
        ("job_club", Note::JobClub(v1::JobClub {})),
        ("job_search", Note::JobSearch(v1::JobSearch {})),
        ("employer_contact_shared", Note::EmployerContact(employer_contact(true, true))),
        ("employer_contact_not_shared", Note::EmployerContact(employer_contact(false, false))),
        ("interview_preparation", Note::InterviewPreparation(v1::InterviewPreparation {})),
        ("in_work_support", Note::InWorkSupport(v1::InWorkSupport { on_boarding: true })),
        ("stay_in_work_plan", Note::StayInWorkPlan(v1::StayInWorkPlan { shared_with_employer: true })),
        ("job_retention_support", Note::JobRetentionSupport(v1::JobRetentionSupport {})),
        ("team_discussion", Note::TeamDiscussion(v1::TeamDiscussion { team: Some("North CMHT".into()) })),
        (
            "support_network_contact",
            Note::SupportNetworkContact(v1::SupportNetworkContact { with_whom: "her mother".into() }),
        ),
        ("work_placement_support", Note::WorkPlacementSupport(v1::WorkPlacementSupport {})),
    ]
}

pub fn note(kind: Note) -> v1::NoteContent {
    let alone = match &kind {
        Note::TeamDiscussion(_) | Note::SupportNetworkContact(_) => true,
        Note::EmployerContact(c) => !c.client_present,
        _ => false,
    };
    v1::NoteContent {
        occurred_at: at("2026-03-02T10:30:00Z"),
        text: "Met at the library.\n\tTalked about the next steps.".into(),
        contact: (!alone).then(contact),
        sensitivity: Some(v1::Sensitivity::default()),
        risk_disclosed: None,
        kind: Some(kind),
    }
}

pub fn risk() -> v1::RiskDisclosed {
    v1::RiskDisclosed { told_whom: "Dr Test, duty clinician".into(), told_at: at("2026-03-02T11:05:00Z") }
}

pub fn job_id() -> OutcomeId {
    OutcomeId(Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001))
}

pub fn employer(share: bool) -> Option<v1::Employer> {
    Some(v1::Employer { name: "Test Bakery Ltd".into(), post: "Baker's assistant".into(), share_in_record: share })
}

pub fn job_start(share: bool) -> v1::JobStart {
    v1::JobStart {
        employer: employer(share),
        started_on: "2026-03-01".into(),
        four_paid_hours_on: Some("2026-03-02".into()),
        competitive: true,
        fixed_term: true,
        fixed_term_ends_on: Some("2026-09-30".into()),
        weekly_minutes: 990,
        self_employed: false,
        variable_hours: true,
    }
}

/// Every kind of outcome, each with a name for its tests.
pub fn outcome_kinds() -> Vec<(&'static str, Outcome)> {
    let started_on = || "2026-02-02".to_owned();
    let job_id = job_id().to_string();
    vec![
        (
            "job_offer",
            Outcome::JobOffer(v1::JobOffer { employer: employer(true), offered_on: started_on(), accepted: None }),
        ),
        ("job_start_shared", Outcome::JobStart(job_start(true))),
        (
            "job_start_not_shared_not_counted",
            Outcome::JobStart(v1::JobStart {
                four_paid_hours_on: None,
                competitive: false,
                fixed_term: false,
                fixed_term_ends_on: None,
                weekly_minutes: 0,
                self_employed: true,
                ..job_start(false)
            }),
        ),
        (
            "job_retained",
            Outcome::JobRetained(v1::JobRetained {
                employer: employer(false),
                retained_on: started_on(),
                weekly_minutes: 1800,
            }),
        ),
        (
            "still_in_work",
            Outcome::StillInWork(v1::StillInWork {
                job_id: job_id.clone(),
                on: "2026-03-02".into(),
                confirmed_by: v1::ConfirmedBy::PaySlip.into(),
            }),
        ),
        ("job_end_shared", Outcome::JobEnd(job_end(true))),
        ("job_end_not_shared", Outcome::JobEnd(job_end(false))),
        ("hours_changed", Outcome::HoursChanged(v1::HoursChanged { job_id, from: started_on(), weekly_minutes: 600 })),
        (
            "work_placement",
            Outcome::WorkPlacement(v1::WorkPlacement {
                host: employer(true),
                started_on: started_on(),
                ended_on: Some("2026-02-27".into()),
            }),
        ),
        (
            "voluntary_work",
            Outcome::VoluntaryWork(v1::VoluntaryWork { host: employer(false), started_on: started_on() }),
        ),
        (
            "education",
            Outcome::Education(v1::Education { course: "Food hygiene level 2".into(), started_on: started_on() }),
        ),
        (
            "status_recorded",
            Outcome::StatusRecorded(v1::StatusRecorded {
                status: v1::EmploymentStatus::Employed.into(),
                recorded_on: started_on(),
                weekly_minutes: Some(1200),
            }),
        ),
    ]
}

pub fn job_end(share: bool) -> v1::JobEnd {
    v1::JobEnd {
        job_id: job_id().to_string(),
        ended_on: "2026-03-02".into(),
        reason: v1::JobEndReason::Health.into(),
        share_in_record: share,
    }
}

pub fn outcome(kind: Outcome) -> v1::OutcomeContent {
    v1::OutcomeContent { remark: Some("Told us by telephone.".into()), kind: Some(kind) }
}
