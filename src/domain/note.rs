//! Progress notes: what they can say, what they count as, and their append-only versions.

use super::ids::{EntryId, NoteId, PatientId, ReferralId};
use super::organisation::OdsCode;
use super::person::Author;
use super::rule::Violations;
use super::text::Private;
use jiff::{Span, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// MHSDS, CONSULTATION MECHANISM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactMechanism {
    FaceToFace,
    Telephone,
    TalkType,
    Email,
    TextMessage,
    InstantMessage,
    Video,
    MessageBoard,
    ChatRoom,
    Other,
}

/// MHSDS, ATTENDANCE STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attendance {
    AttendedOnTime,
    AttendedLate,
    ArrivedTooLate,
    CancelledByClient,
    DidNotAttend,
    CancelledByService,
}

impl Attendance {
    pub fn attended(self) -> bool {
        matches!(self, Self::AttendedOnTime | Self::AttendedLate)
    }
}

/// MHSDS, CARE CONTACT PATIENT THERAPY MODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactMode {
    Individual,
    Couple,
    Group,
}

/// What a note counts as. Worked out, never typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivityType {
    DirectContact,
    OtherContact,
    ContactNotHeld,
    IndirectActivity,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub mechanism: ContactMechanism,
    pub attendance: Attendance,
    pub mode: ContactMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_present: Option<Private<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sensitivity {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub third_party: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serious_harm: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_for_patient: bool,
}

impl Sensitivity {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskDisclosed {
    pub told_whom: Private<String>,
    pub told_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfileStage {
    Started,
    Updated,
    Completed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisclosureChoice {
    None,
    Some,
    Full,
    Undecided,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmployerApproachConsent {
    Given,
    Refused,
    Withdrawn,
    NotDiscussed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmployerContactPurpose {
    JobDevelopment,
    Interview,
    WorkingInterview,
    OnBoarding,
    InWork,
    Retention,
}

/// What the note is about, with what only that kind needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoteKind {
    GeneralContact,
    VocationalProfile {
        stage: ProfileStage,
        client_committed: bool,
    },
    ActionPlan {
        client_engaged: bool,
        review_on: Option<Date>,
    },
    BenefitsAdvice {
        receives_benefits: Option<bool>,
        calculation_made: bool,
        benefits: Option<Private<String>>,
    },
    DisclosureDecision {
        choice: DisclosureChoice,
        employer_approach: EmployerApproachConsent,
        scope: Option<Private<String>>,
        decided_on: Date,
    },
    CvAndApplications {
        applications_sent: i32,
    },
    JobClub,
    JobSearch,
    EmployerContact(EmployerContact),
    InterviewPreparation,
    InWorkSupport {
        on_boarding: bool,
    },
    StayInWorkPlan {
        shared_with_employer: bool,
    },
    JobRetentionSupport,
    TeamDiscussion {
        team: Option<Private<String>>,
    },
    SupportNetworkContact {
        with_whom: Private<String>,
    },
    WorkPlacementSupport,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmployerContact {
    pub purpose: EmployerContactPurpose,
    pub employer_name: Private<String>,
    pub share_in_record: bool,
    pub face_to_face: bool,
    pub in_clients_name: bool,
    pub client_present: bool,
}

impl NoteKind {
    /// The kind in words, as it heads the entry in the record.
    pub fn title(&self) -> &'static str {
        match self {
            Self::GeneralContact => "General contact",
            Self::VocationalProfile { .. } => "Vocational profile",
            Self::ActionPlan { .. } => "Vocational action plan",
            Self::BenefitsAdvice { .. } => "Benefits advice",
            Self::DisclosureDecision { .. } => "Disclosure decision",
            Self::CvAndApplications { .. } => "CV and applications",
            Self::JobClub => "Job club",
            Self::JobSearch => "Job search",
            Self::EmployerContact(_) => "Employer contact",
            Self::InterviewPreparation => "Interview preparation",
            Self::InWorkSupport { .. } => "In-work support",
            Self::StayInWorkPlan { .. } => "Plan to stay in work",
            Self::JobRetentionSupport => "Job retention support",
            Self::TeamDiscussion { .. } => "Team discussion",
            Self::SupportNetworkContact { .. } => "Contact with support network",
            Self::WorkPlacementSupport => "Work placement support",
        }
    }

    /// Whether `contact` must, may or must not stand beside it.
    fn contact_rule(&self) -> ContactRule {
        match self {
            Self::TeamDiscussion { .. } | Self::SupportNetworkContact { .. } => ContactRule::Refused,
            Self::EmployerContact(c) if !c.client_present => ContactRule::Refused,
            _ => ContactRule::Required,
        }
    }
}

#[derive(PartialEq, Eq)]
enum ContactRule {
    Required,
    Refused,
}

/// What the note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteContent {
    pub occurred_at: Timestamp,
    pub text: Private<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    #[serde(default, skip_serializing_if = "Sensitivity::is_none")]
    pub sensitivity: Sensitivity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_disclosed: Option<RiskDisclosed>,
    pub kind: NoteKind,
}

impl NoteContent {
    /// The rules between the fields, and against the clock.
    pub fn check(&self, at: &str, now: Timestamp, broken: &mut Violations) {
        // Five minutes: clocks of two machines differ.
        let soon = now + Span::new().minutes(5);
        let long_ago = now - Span::new().hours(5 * 366 * 24);
        if self.occurred_at > soon || self.occurred_at < long_ago {
            broken.add(format!("{at}.occurred_at"), "must not lie in the future, nor more than 5 years back");
        }
        match (self.kind.contact_rule(), &self.contact) {
            (ContactRule::Required, None) => broken.add(format!("{at}.contact"), "is required for this kind of note"),
            (ContactRule::Refused, Some(_)) => {
                broken.add(format!("{at}.contact"), "must be left out: the client was not there")
            }
            (ContactRule::Required, Some(c)) => c.check(&format!("{at}.contact"), broken),
            (ContactRule::Refused, None) => {}
        }
        if let Some(risk) = &self.risk_disclosed
            && (risk.told_at > soon || risk.told_at < self.occurred_at)
        {
            broken.add(format!("{at}.risk_disclosed.told_at"), "must lie between the contact and now");
        }
        match &self.kind {
            NoteKind::DisclosureDecision { employer_approach: EmployerApproachConsent::Given, scope: None, .. } => {
                broken.add(format!("{at}.disclosure_decision.scope"), "is required when consent is given");
            }
            NoteKind::CvAndApplications { applications_sent } if !(0..=1000).contains(applications_sent) => {
                broken.add(format!("{at}.cv_and_applications.applications_sent"), "must be 0 to 1000");
            }
            _ => {}
        }
        if let NoteKind::DisclosureDecision { decided_on, .. } = &self.kind
            // By British clocks, whichever of the two is in use.
            && *decided_on > soon.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(1))).date()
        {
            broken.add(format!("{at}.disclosure_decision.decided_on"), "must not lie in the future");
        }
    }

    pub fn activity(&self) -> ActivityType {
        use ContactMechanism::{FaceToFace, TalkType, Telephone, Video};
        match &self.contact {
            None => ActivityType::IndirectActivity,
            Some(c) if !c.attendance.attended() => ActivityType::ContactNotHeld,
            Some(c) if matches!(c.mechanism, FaceToFace | Telephone | TalkType | Video) => ActivityType::DirectContact,
            Some(_) => ActivityType::OtherContact,
        }
    }
}

impl Contact {
    fn check(&self, at: &str, broken: &mut Violations) {
        match self.duration_minutes {
            None if self.attendance.attended() => {
                broken.add(format!("{at}.duration_minutes"), "is required when the contact was attended")
            }
            Some(m) if !(0..=1440).contains(&m) => {
                broken.add(format!("{at}.duration_minutes"), "must be 0 to 1440 minutes")
            }
            _ => {}
        }
        let code_ok = |c: &str| matches!(c.as_bytes(), [a, b, d] if a.is_ascii_uppercase() && b.is_ascii_digit() && d.is_ascii_digit());
        if self.location.as_deref().is_some_and(|c| !code_ok(c)) {
            broken.add(
                format!("{at}.location_code"),
                "must be an activity location type: one letter and two digits, e.g. A03",
            );
        }
    }
}

/// Why something was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WithdrawReason {
    WrongPatient,
    WrittenInError,
    Duplicate,
    ThirdPartyContent,
    Incorrect,
}

impl WithdrawReason {
    /// Goes into the record: at most 30 characters (HL7 v2.4 TXA-21).
    pub fn label(self) -> &'static str {
        match self {
            Self::WrongPatient => "Filed to wrong patient",
            Self::WrittenInError => "Written in error",
            Self::Duplicate => "Duplicate entry",
            Self::ThirdPartyContent => "Contains third-party content",
            Self::Incorrect => "Factually incorrect",
        }
    }
}

/// What one version did. `C` is the content: a note's or an outcome's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action<C> {
    Create(C),
    Replace { content: C, reason: Private<String> },
    Withdraw { reason: WithdrawReason, explanation: Option<Private<String>> },
}

impl<C> Action<C> {
    pub fn content(&self) -> Option<&C> {
        match self {
            Self::Create(content) | Self::Replace { content, .. } => Some(content),
            Self::Withdraw { .. } => None,
        }
    }
}

/// One version; appended, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version<C> {
    pub number: i64,
    pub action: Action<C>,
    pub author: Author,
    pub submitted_by: String,
    pub recorded_at: Timestamp,
    pub entry_id: EntryId,
}

/// A progress note's head: everything but its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub id: NoteId,
    pub trust: OdsCode,
    pub patient_id: PatientId,
    pub referral_id: ReferralId,
    /// The newest version's number.
    pub version: i64,
    pub withdrawn: bool,
    pub occurred_at: Timestamp,
}

pub type NoteVersion = Version<NoteContent>;

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(mechanism: ContactMechanism, attendance: Attendance) -> Option<Contact> {
        Some(Contact {
            mechanism,
            attendance,
            mode: ContactMode::Individual,
            duration_minutes: Some(30),
            location: None,
            others_present: None,
        })
    }

    fn content(kind: NoteKind, contact: Option<Contact>) -> NoteContent {
        NoteContent {
            occurred_at: Timestamp::UNIX_EPOCH,
            text: Private("x".into()),
            contact,
            sensitivity: Sensitivity::default(),
            risk_disclosed: None,
            kind,
        }
    }

    #[test]
    fn an_email_and_a_team_meeting_are_told_apart_from_direct_contact() {
        use {Attendance::*, ContactMechanism::*};
        let of = |kind, c| content(kind, c).activity();
        assert_eq!(of(NoteKind::GeneralContact, contact(FaceToFace, AttendedLate)), ActivityType::DirectContact);
        assert_eq!(of(NoteKind::GeneralContact, contact(Video, AttendedOnTime)), ActivityType::DirectContact);
        assert_eq!(of(NoteKind::GeneralContact, contact(Email, AttendedOnTime)), ActivityType::OtherContact);
        assert_eq!(of(NoteKind::GeneralContact, contact(Telephone, DidNotAttend)), ActivityType::ContactNotHeld);
        assert_eq!(of(NoteKind::TeamDiscussion { team: None }, None), ActivityType::IndirectActivity);
    }

    #[test]
    fn a_contact_stands_beside_a_note_exactly_when_the_client_was_there() {
        let broken = |c: &NoteContent| {
            let mut b = Violations::default();
            c.check("content", Timestamp::UNIX_EPOCH, &mut b);
            b.0.into_iter().map(|v| v.field).collect::<Vec<_>>()
        };
        assert_eq!(broken(&content(NoteKind::JobSearch, None)), ["content.contact"]);
        let there = contact(ContactMechanism::FaceToFace, Attendance::AttendedOnTime);
        assert_eq!(broken(&content(NoteKind::TeamDiscussion { team: None }, there.clone())), ["content.contact"]);
        assert!(broken(&content(NoteKind::JobSearch, there)).is_empty());
    }

    #[test]
    fn every_withdrawal_label_fits_the_records_30_characters() {
        use WithdrawReason::*;
        for r in [WrongPatient, WrittenInError, Duplicate, ThirdPartyContent, Incorrect] {
            assert!(r.label().len() <= 30);
        }
    }
}
