//! One test for each rule and trap, from notes and outcomes to the number. Here: a service to measure.

mod access;
mod caseload;
mod periods;
mod sustained;
mod work;

use super::*;
use crate::domain::ids::OutcomeId;
use crate::domain::note::{
    Attendance, Contact, ContactMechanism, ContactMode, EmployerContact, EmployerContactPurpose, NoteContent, NoteKind,
    ProfileStage, Sensitivity,
};
use crate::domain::organisation::TeamId;
use crate::domain::outcome::{ConfirmedBy, Employer, JobEndReason, JobStart, Outcome, OutcomeContent, OutcomeKind};
use crate::domain::person::Author;
use crate::domain::referral::{
    EmploymentStatus, Referral, ReferralDetails, ReferralPriority, ReferralState, SourceCode,
};
use jiff::civil::date;
use uuid::Uuid;

/// As GB has it, without a time zone database.
fn london() -> TimeZone {
    TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").expect("a POSIX time zone")
}

fn ods() -> OdsCode {
    OdsCode::parse("RXX").expect("an ODS code")
}

fn text(t: &str) -> Private<String> {
    Private(t.into())
}

/// Noon in London.
fn noon(day: Date) -> Timestamp {
    day.at(12, 0, 0, 0).to_zoned(london()).expect("noon exists").timestamp()
}

fn march() -> Period {
    Period::new(date(2026, 3, 1), date(2026, 3, 31)).expect("a period")
}

fn specialist(staff_id: &str) -> Author {
    Author {
        staff_id: StaffId::parse(staff_id).expect("a staff id"),
        display_name: text(staff_id),
        role_title: text("Employment Specialist"),
        organisation: ods(),
    }
}

/// A service: referrals with their notes and outcomes.
#[derive(Default)]
struct Service {
    referrals: Vec<Referral>,
    /// How they stood before, oldest first.
    earlier: Vec<Referral>,
    notes: Vec<(ReferralId, NoteContent)>,
    outcomes: Vec<Outcome>,
}

impl Service {
    /// Received and accepted on 2 February 2026 by an out-of-work client of its own.
    fn referral(&mut self) -> ReferralId {
        let n = self.referrals.len() as u128 + 1;
        let id = ReferralId(Uuid::from_u128(n));
        let received_at = noon(date(2026, 2, 2));
        self.referrals.push(Referral {
            id,
            trust: ods(),
            version: 1,
            patient_id: PatientId(Uuid::from_u128(100 + n)),
            state: ReferralState::Accepted,
            details: ReferralDetails {
                external_ids: vec![],
                source: SourceCode::parse("P1").expect("a source"),
                priority: ReferralPriority::Routine,
                referrer_name: text("x"),
                referrer_role: None,
                referrer_ods: None,
                referring_team: None,
                team: TeamId::parse("ips").expect("a team"),
                site: None,
                reason: None,
                employment_status: Some(EmploymentStatus::SeekingWork),
                job_retention: false,
                months_out_of_work: None,
            },
            received_at,
            accepted_at: Some(received_at),
            declined_at: None,
            closed_at: None,
            decline_reason: None,
            decline_text: None,
            close_reason: None,
            assigned_to: Some(specialist("ES-1")),
            received_from: None,
            received_control_id: None,
            touched_at: received_at,
            employer_approach: None,
            approach_decisions: Vec::new(),
            close_text: None,
            told_at: None,
            as_received: false,
        });
        id
    }

    fn change(&mut self, id: ReferralId, change: impl FnOnce(&mut Referral)) {
        change(self.referrals.iter_mut().find(|r| r.id == id).expect("made before"));
    }

    fn assign(&mut self, id: ReferralId, at: Timestamp, to: Author) {
        let referral = self.referrals.iter_mut().find(|r| r.id == id).expect("made before");
        let next = referral.assign(to, at).expect("it is accepted");
        self.earlier.push(std::mem::replace(referral, next));
    }

    fn note(&mut self, id: ReferralId, on: Date, kind: NoteKind) {
        self.contact(id, noon(on), kind, ContactMechanism::FaceToFace, Attendance::AttendedOnTime);
    }

    fn contact(&mut self, id: ReferralId, at: Timestamp, kind: NoteKind, m: ContactMechanism, a: Attendance) {
        let alone = matches!(&kind, NoteKind::TeamDiscussion { .. })
            || matches!(&kind, NoteKind::EmployerContact(c) if !c.client_present);
        let contact = Contact {
            mechanism: m,
            attendance: a,
            mode: ContactMode::Individual,
            duration_minutes: Some(30),
            location: None,
            others_present: None,
        };
        let content = NoteContent {
            occurred_at: at,
            text: text("x"),
            contact: (!alone).then_some(contact),
            sensitivity: Sensitivity::default(),
            risk_disclosed: None,
            kind,
        };
        self.notes.push((id, content));
    }

    fn outcome(&mut self, id: ReferralId, kind: OutcomeKind) -> OutcomeId {
        let of = self.referrals.iter().find(|r| r.id == id).expect("made before");
        let outcome_id = OutcomeId(Uuid::from_u128(1000 + self.outcomes.len() as u128));
        self.outcomes.push(Outcome {
            id: outcome_id,
            trust: ods(),
            patient_id: of.patient_id,
            referral_id: id,
            version: 1,
            withdrawn: false,
            current: Some(OutcomeContent { remark: None, kind }),
        });
        outcome_id
    }

    /// A job whose four paid hours were worked on its first day.
    fn job(&mut self, id: ReferralId, on: Date) -> OutcomeId {
        self.outcome(id, start(on, Some(on)))
    }

    fn still_in_work(&mut self, id: ReferralId, job_id: OutcomeId, on: Date) {
        self.outcome(id, OutcomeKind::StillInWork { job_id, on, confirmed_by: ConfirmedBy::PaySlip });
    }

    fn job_end(&mut self, id: ReferralId, job_id: OutcomeId, ended_on: Date) {
        let reason = JobEndReason::NotKnown;
        self.outcome(id, OutcomeKind::JobEnd { job_id, ended_on, reason, share_in_record: false });
    }

    fn measure(&self, kind: MeasureKind, period: Period) -> Measured {
        self.measure_on(date(2026, 12, 31), kind, period)
    }

    fn measure_on(&self, today: Date, kind: MeasureKind, period: Period) -> Measured {
        measure(kind, &self.facts(), period, &london(), today)
    }

    fn facts(&self) -> Vec<ReferralFacts> {
        let mut facts = Gathering::default();
        self.referrals.iter().for_each(|r| facts.referral(r));
        self.earlier.iter().chain(&self.referrals).for_each(|r| facts.version(r));
        self.notes.iter().for_each(|(of, content)| facts.note(*of, content));
        self.outcomes.iter().for_each(|o| facts.outcome(o));
        facts.finish()
    }

    /// Numerator and denominator in March 2026.
    fn in_march(&self, kind: MeasureKind) -> (usize, Option<usize>) {
        let m = self.measure(kind, march());
        (m.numerator.len(), m.denominator.map(|d| d.len()))
    }
}

fn host() -> Employer {
    Employer { name: text("x"), post: text("y"), share_in_record: false }
}

fn start(started_on: Date, four_paid_hours_on: Option<Date>) -> OutcomeKind {
    OutcomeKind::JobStart(JobStart {
        employer: host(),
        started_on,
        four_paid_hours_on,
        competitive: true,
        fixed_term_ends_on: None,
        weekly_minutes: 600,
        self_employed: false,
        variable_hours: false,
    })
}

fn profile(stage: ProfileStage, client_committed: bool) -> NoteKind {
    NoteKind::VocationalProfile { stage, client_committed }
}

fn plan(client_engaged: bool) -> NoteKind {
    NoteKind::ActionPlan { client_engaged, review_on: None }
}

fn employer(face_to_face: bool, client_present: bool) -> NoteKind {
    NoteKind::EmployerContact(EmployerContact {
        purpose: EmployerContactPurpose::JobDevelopment,
        employer_name: text("x"),
        share_in_record: false,
        face_to_face,
        in_clients_name: false,
        client_present,
    })
}
