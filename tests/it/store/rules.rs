//! Two trusts, their endpoints, and what is written in tests.

use ips_bridge::domain::ask::AskRules;
use ips_bridge::domain::delivery::EvidenceKind;
use ips_bridge::domain::ids::OutcomeId;
use ips_bridge::domain::note::{
    DisclosureChoice, EmployerApproachConsent, NoteContent, NoteKind, Sensitivity, WithdrawReason,
};
use ips_bridge::domain::organisation::{EndpointId, OdsCode, StaffId, TeamId};
use ips_bridge::domain::outcome::{ConfirmedBy, Employer, JobStart, OutcomeContent, OutcomeKind};
use ips_bridge::domain::person::{
    Author, ExpectedPatient, Gender, LocalIdentifier, NhsNumberStatus, PatientDetails, PersonName,
};
use ips_bridge::domain::policy::{
    AckMode, AcknowledgedBy, AfterUnknown, BackOff, EndpointPolicy, Environment, FiledBy, Names,
};
use ips_bridge::domain::referral::{ReferralDetails, ReferralPriority, SourceCode};
use ips_bridge::domain::route::{RouteRule, RoutedKind, Routes};
use ips_bridge::domain::text::Private;
use ips_bridge::domain::verdict::{Level, Meaning, Verdict};
use ips_bridge::store::record::{Actor, RequestKey};
use ips_bridge::store::write::Call;
use ips_bridge::store::{Limits, Rulebook, Scope, TrustRules};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub fn trust(code: &str) -> OdsCode {
    OdsCode::parse(code).unwrap()
}

pub fn rx9() -> OdsCode {
    trust("RX9")
}

pub fn ry9() -> OdsCode {
    trust("RY9")
}

pub fn endpoint(id: &str) -> EndpointId {
    EndpointId::parse(id).unwrap()
}

/// Keeps the first document's id when a note is replaced.
pub fn epr() -> EndpointId {
    endpoint("rx9-epr")
}

/// Gives each replacement an id of its own.
pub fn anew() -> EndpointId {
    endpoint("rx9-anew")
}

pub const BACK_OFF: BackOff = BackOff { first: Duration::from_secs(10), cap: Duration::from_secs(60) };

fn policy(id: &str, of: &str, names: Names) -> (EndpointId, Arc<EndpointPolicy>) {
    let policy = EndpointPolicy {
        id: endpoint(id),
        trust: trust(of),
        name: "Pretend EPR".into(),
        environment: Environment::Test,
        filed_by: FiledBy::ApplicationAck,
        acknowledged_by: AcknowledgedBy::Record,
        after_unknown: AfterUnknown::Resend,
        max_unknown_resends: 2,
        max_refused_retries: 2,
        ack_mode: AckMode::Enhanced,
        evidence_overdue_after: Duration::from_secs(3600),
        back_off: BACK_OFF,
        asks: AskRules::default(),
        tracks_after: None,
        require_verified_nhs_number: false,
        require_mapped_staff: false,
        max_text_chars: 100_000,
        names,
        replies_are_documents: false,
        place: "epr.example:2575".into(),
        same_record_as: Vec::new(),
        fingerprint: "pack@1".into(),
    };
    (policy.id.clone(), Arc::new(policy))
}

pub fn rulebook() -> Rulebook {
    let rule = |of: &str, team: Option<&str>, to: &str, copies: &[&str]| RouteRule {
        trust: trust(of),
        kinds: vec![RoutedKind::Note, RoutedKind::Outcome],
        teams: team.iter().map(|t| TeamId::parse(t).unwrap()).collect(),
        sites: vec![],
        referral_sources: vec![],
        endpoint: endpoint(to),
        copies_to: copies.iter().map(|e| endpoint(e)).collect(),
    };
    let routes = Routes::new(vec![
        rule("RX9", None, "rx9-epr", &[]),
        rule("RX9", Some("anew"), "rx9-anew", &[]),
        rule("RX9", Some("copies"), "rx9-epr", &["rx9-anew"]),
        rule("RY9", None, "ry9-epr", &[]),
    ]);
    let trusts = ["RX9", "RY9"].map(|t| {
        let rules = TrustRules {
            name: format!("Trust {t}"),
            release_after: Duration::ZERO,
            untouched_after: Duration::from_secs(30 * 86_400),
            time_zone: jiff::tz::TimeZone::UTC,
            teams: vec![],
        };
        (trust(t), rules)
    });
    Rulebook {
        policies: [
            policy("rx9-epr", "RX9", Names::FirstId),
            policy("rx9-anew", "RX9", Names::OwnId),
            policy("ry9-epr", "RY9", Names::FirstId),
        ]
        .into(),
        routes: routes.unwrap(),
        trusts: trusts.into(),
        limits: Limits::default(),
    }
}

static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A number that nothing else in this process was given.
pub fn unique() -> u64 {
    COUNTER.fetch_add(1, Ordering::SeqCst)
}

/// A request key from a number: the same number, the same request id.
pub fn request(id: u64, content: u64) -> RequestKey {
    let bytes = |n: u64| {
        let mut bytes = [7u8; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        bytes
    };
    RequestKey { key: bytes(id), content: bytes(content) }
}

pub fn call_of(trust: &OdsCode, id: u64, content: u64) -> Call {
    Call {
        actor: Actor { principal: "ips-app".into(), role: "ips_worker".into() },
        scope: Scope::trusts([trust.clone()]),
        request: Some(request(id, content)),
        trace: None,
    }
}

/// A new request by a caller of this trust.
pub fn call(trust: &OdsCode) -> Call {
    let id = unique();
    call_of(trust, id, id)
}

pub fn author() -> Author {
    Author {
        staff_id: StaffId::parse("es1234").unwrap(),
        display_name: Private("Alex Worker".into()),
        role_title: Private("Employment specialist".into()),
        organisation: rx9(),
    }
}

/// Somebody whom only a local identifier tells.
pub fn person() -> PatientDetails {
    PatientDetails {
        nhs_number: None,
        nhs_number_status: NhsNumberStatus::NotPresent,
        local_identifiers: vec![LocalIdentifier {
            assigning_authority: "RX9".into(),
            value: Private(format!("L{}", unique())),
            kind: "MR".into(),
        }],
        name: PersonName { family: Private("Llŷr-Jones".into()), given: Private("Siân".into()), prefix: None },
        date_of_birth: Private(jiff::civil::date(1985, 4, 12)),
        gender: Gender::NotKnown,
        address: None,
        phone: None,
    }
}

pub fn numbered(nhs_number: &str) -> PatientDetails {
    PatientDetails {
        nhs_number: Some(ips_bridge::domain::nhs_number::NhsNumber::parse(nhs_number).unwrap()),
        nhs_number_status: NhsNumberStatus::Verified,
        local_identifiers: vec![],
        ..person()
    }
}

pub fn expected(details: &PatientDetails) -> ExpectedPatient {
    ExpectedPatient {
        nhs_number: details.nhs_number,
        date_of_birth: details.date_of_birth,
        family: details.name.family.clone(),
    }
}

pub fn referred(team: &str) -> ReferralDetails {
    ReferralDetails {
        external_ids: vec![],
        source: SourceCode::parse("P1").unwrap(),
        priority: ReferralPriority::Routine,
        referrer_name: Private("Dr Referrer".into()),
        referrer_role: None,
        referrer_ods: None,
        referring_team: None,
        team: TeamId::parse(team).unwrap(),
        site: None,
        reason: None,
        employment_status: None,
        job_retention: false,
        months_out_of_work: None,
    }
}

pub fn note(text: &str) -> NoteContent {
    NoteContent {
        occurred_at: START.parse().unwrap(),
        text: Private(text.into()),
        contact: None,
        sensitivity: Sensitivity::default(),
        risk_disclosed: None,
        kind: NoteKind::TeamDiscussion { team: None },
    }
}

/// A note that changes its referral too.
pub fn disclosure() -> NoteContent {
    let kind = NoteKind::DisclosureDecision {
        choice: DisclosureChoice::Some,
        employer_approach: EmployerApproachConsent::Given,
        scope: Some(Private("Employers in town".into())),
        decided_on: jiff::civil::date(2025, 3, 1),
    };
    NoteContent { kind, ..note("They decided what employers may be told.") }
}

pub fn job_start() -> OutcomeContent {
    let employer =
        Employer { name: Private("Corner Bakery".into()), post: Private("Baker".into()), share_in_record: false };
    OutcomeContent {
        remark: None,
        kind: OutcomeKind::JobStart(JobStart {
            employer,
            started_on: jiff::civil::date(2025, 2, 1),
            four_paid_hours_on: None,
            competitive: true,
            fixed_term_ends_on: None,
            weekly_minutes: 960,
            self_employed: false,
            variable_hours: false,
        }),
    }
}

pub fn still_in_work(job_id: OutcomeId) -> OutcomeContent {
    let kind =
        OutcomeKind::StillInWork { job_id, on: jiff::civil::date(2025, 3, 1), confirmed_by: ConfirmedBy::PaySlip };
    OutcomeContent { remark: None, kind }
}

pub fn verdict(meaning: Meaning, level: Level, code: &str) -> Verdict {
    Verdict { meaning, level, code: code.into(), duplicate: false, untold: false, misplaced: false, record_id: None }
}

/// Where every test's clock stands at first: in the past, because on PostgreSQL what is due is due by the database's clock.
pub const START: &str = "2025-03-03T09:00:00Z";

pub const WHY: WithdrawReason = WithdrawReason::WrittenInError;

pub fn kinds(evidence: &[ips_bridge::domain::delivery::Evidence]) -> Vec<EvidenceKind> {
    evidence.iter().map(|e| e.kind).collect()
}
