//! One IPS episode, from receipt to close.

use super::ambient::micros;
use super::change::Sent;
use super::ids::{NoteId, PatientId, ReferralId};
use super::organisation::{EndpointId, OdsCode, TeamId};
use super::person::Author;
use super::rule::Violations;
use super::text::Private;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReferralState {
    Received,
    Accepted,
    Declined,
    Closed,
}

/// MHSDS, CLINICAL RESPONSE PRIORITY TYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferralPriority {
    Routine,
    Urgent,
    Emergency,
    VeryUrgent,
}

/// MHSDS, REFERRAL CLOSURE REASON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    AdmittedElsewhere,
    Completed,
    MovedAway,
    NoFurtherSupportAppropriate,
    DidNotAttend,
    Died,
    ClientRequest,
    ReferredOn,
    RefusedToBeSeen,
}

/// MHSDS, REFERRAL REJECTION REASON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeclineReason {
    Duplicate,
    Inappropriate,
    Incomplete,
}

/// NHS Data Dictionary, EMPLOYMENT STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmploymentStatus {
    Employed,
    SeekingWork,
    Student,
    LongTermSick,
    LookingAfterHome,
    NotSeeking,
    VoluntaryWork,
    Retired,
    NotStated,
}

/// An identifier that another system gives the same referral.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExternalId {
    pub system: String,
    pub value: Private<String>,
}

/// MHSDS, SOURCE OF REFERRAL FOR MENTAL HEALTH: two characters. J, K and L were retired on 1 April 2020.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceCode([u8; 2]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a current MHSDS source of referral, e.g. P1 (internal); codes beginning with J, K and L were retired in 2020"
)]
pub struct NotASource;

const SOURCES: &str = "A1 A2 A3 A4 B1 B2 C1 C2 C3 D1 D2 E1 E2 E3 E4 E5 E6 F1 F2 F3 G1 G2 G3 G4 H1 H2 I1 I2 M1 M2 M3 M4 M5 M6 M7 M9 N3 P1 Q1 Q2";

impl SourceCode {
    pub fn parse(text: &str) -> Result<Self, NotASource> {
        match text.as_bytes() {
            [a, b] if SOURCES.split(' ').any(|s| s == text) => Ok(Self([*a, *b])),
            _ => Err(NotASource),
        }
    }
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("two ASCII characters")
    }
}
impl TryFrom<String> for SourceCode {
    type Error = NotASource;
    fn try_from(text: String) -> Result<Self, NotASource> {
        Self::parse(&text)
    }
}
impl From<SourceCode> for String {
    fn from(code: SourceCode) -> String {
        code.as_str().to_owned()
    }
}

/// What the referrer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralDetails {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    pub source: SourceCode,
    pub priority: ReferralPriority,
    pub referrer_name: Private<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_role: Option<Private<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_ods: Option<OdsCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referring_team: Option<Private<String>>,
    pub team: TeamId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<OdsCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Private<String>>,
    /// `None`: not known, so the client counts neither as out of work nor as in work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employment_status: Option<EmploymentStatus>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub job_retention: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub months_out_of_work: Option<i32>,
}

impl ReferralDetails {
    /// The rules between the fields.
    pub fn check(&self, at: &str, broken: &mut Violations) {
        if self.external_ids.len() > 10 {
            broken.add(format!("{at}.external_ids"), "at most 10");
        }
        for (i, id) in self.external_ids.iter().enumerate() {
            if self.external_ids[..i].contains(id) {
                broken.add(format!("{at}.external_ids[{i}]"), "stands there twice");
            }
        }
        let employed = self.employment_status == Some(EmploymentStatus::Employed);
        if self.job_retention && !employed {
            broken.add(format!("{at}.job_retention"), "only with employment_status EMPLOYED");
        }
        match self.months_out_of_work {
            Some(_) if employed => {
                broken.add(format!("{at}.months_out_of_work"), "not with employment_status EMPLOYED")
            }
            Some(m) if !(0..=720).contains(&m) => broken.add(format!("{at}.months_out_of_work"), "must be 0 to 720"),
            _ => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    pub id: ReferralId,
    pub trust: OdsCode,
    pub version: i64,
    pub patient_id: PatientId,
    pub state: ReferralState,
    pub details: ReferralDetails,
    pub received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_reason: Option<DeclineReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_text: Option<Private<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<CloseReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Author>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_from: Option<EndpointId>,
    /// Control id of the message it came in, for the reply's MSA-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_control_id: Option<String>,
    pub touched_at: Timestamp,
    /// The latest disclosure decision: when, and whether employers may be approached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employer_approach: Option<EmployerApproach>,
    /// What it is the latest of: the decisions of the notes that stand, in the order they were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approach_decisions: Vec<ApproachDecision>,
    /// What the referrer said when taking it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_text: Option<Private<String>>,
    /// When the referrer last told something new of it, by the EPR's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// Its details are those of the message it came with, and not of a call of the API.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_received: bool,
}

/// What a referrer tells of a referral made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferralTold {
    Modified {
        at: Timestamp,
        priority: Option<ReferralPriority>,
        referrer_name: Option<Private<String>>,
        referrer_role: Sent<Private<String>>,
        referrer_ods: Sent<OdsCode>,
        team: Option<TeamId>,
        reason: Sent<Private<String>>,
    },
    Cancelled {
        at: Timestamp,
        reason: CloseReason,
        text: Option<Private<String>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmployerApproach {
    pub decided_on: Date,
    pub consented: bool,
}

/// What one note's current version decides of approaching employers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproachDecision {
    /// `None`: recorded before each was kept.
    pub note: Option<NoteId>,
    #[serde(flatten)]
    pub approach: EmployerApproach,
}

/// Decisions kept of one referral. Beyond, those of the earliest days go first.
const APPROACH_DECISIONS_MAX: usize = 100;

/// A change of state that the present state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongReferralState {
    #[error("the referral is {}; only one that is RECEIVED can be answered", .0.word())]
    NotReceived(ReferralState),
    #[error("the referral is {}; only an ACCEPTED one can be assigned", .0.word())]
    NotAssignable(ReferralState),
    #[error("the referral is {}; only an ACCEPTED one can be closed", .0.word())]
    NotClosable(ReferralState),
    #[error("must not lie before the referral was accepted")]
    ClosedBeforeAccepted,
    #[error("the referral is DECLINED; nothing more can be written to it")]
    Declined,
    #[error("the referral is {}; it can no longer be modified", .0.word())]
    Ended(ReferralState),
}

impl ReferralState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Closed => "CLOSED",
        }
    }
}

impl Referral {
    /// The same referral one version on.
    fn changed(&self, now: Timestamp) -> Self {
        Self { version: self.version + 1, touched_at: now, ..self.clone() }
    }

    /// The note decides this now, and no longer what it decided before. `was_one`: an earlier version of it was a decision. The latest of those that
    /// stand rules the referral; of one day, the one recorded last. `None`: it decides nothing and never did.
    pub fn with_decision(
        &self,
        note: NoteId,
        decides: Option<EmployerApproach>,
        was_one: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let is_known = self.approach_decisions.iter().any(|d| d.note == Some(note));
        if decides.is_none() && !is_known && !was_one {
            return None;
        }
        let mut referral = self.changed(now);
        let decisions = &mut referral.approach_decisions;
        if decisions.is_empty() {
            decisions.extend(self.employer_approach.map(|approach| ApproachDecision { note: None, approach }));
        }
        // Whose it was nobody kept: what may be taken back allows nothing more.
        let may_be_its_own = was_one && !is_known;
        decisions.retain(|d| d.note.map_or(!may_be_its_own, |of| of != note));
        decisions.extend(decides.map(|approach| ApproachDecision { note: Some(note), approach }));
        if decisions.len() > APPROACH_DECISIONS_MAX
            && let Some(earliest) = (0..decisions.len()).min_by_key(|n| decisions[*n].approach.decided_on)
        {
            decisions.remove(earliest);
        }
        referral.employer_approach = decisions.iter().map(|d| d.approach).max_by_key(|a| a.decided_on);
        Some(referral)
    }

    /// Whether the client lets employers be approached on `day`: by the decision that stood then, of several of one day the one recorded last, or by the
    /// latest of all. What was done with consent is written down however late, also when it has been taken back since.
    pub fn lets_approach_on(&self, day: Date) -> bool {
        let decisions = self.approach_decisions.iter().map(|d| d.approach).chain(self.employer_approach);
        let then = decisions.filter(|a| a.decided_on <= day).max_by_key(|a| a.decided_on);
        self.employer_approach.into_iter().chain(then).any(|a| a.consented)
    }

    pub fn accept(&self, assigned_to: Author, now: Timestamp) -> Result<Self, WrongReferralState> {
        if self.state != ReferralState::Received {
            return Err(WrongReferralState::NotReceived(self.state));
        }
        Ok(Self {
            state: ReferralState::Accepted,
            accepted_at: Some(now),
            assigned_to: Some(assigned_to),
            ..self.changed(now)
        })
    }

    pub fn decline(
        &self,
        reason: DeclineReason,
        text: Option<Private<String>>,
        now: Timestamp,
    ) -> Result<Self, WrongReferralState> {
        if self.state != ReferralState::Received {
            return Err(WrongReferralState::NotReceived(self.state));
        }
        Ok(Self {
            state: ReferralState::Declined,
            declined_at: Some(now),
            decline_reason: Some(reason),
            decline_text: text,
            ..self.changed(now)
        })
    }

    pub fn assign(&self, assigned_to: Author, now: Timestamp) -> Result<Self, WrongReferralState> {
        if self.state != ReferralState::Accepted {
            return Err(WrongReferralState::NotAssignable(self.state));
        }
        Ok(Self { assigned_to: Some(assigned_to), ..self.changed(now) })
    }

    pub fn close(&self, reason: CloseReason, closed_at: Timestamp, now: Timestamp) -> Result<Self, WrongReferralState> {
        if self.state != ReferralState::Accepted {
            return Err(WrongReferralState::NotClosable(self.state));
        }
        // As a caller was told it: times travel to the microsecond.
        if self.accepted_at.is_some_and(|accepted| micros(closed_at) < micros(accepted)) {
            return Err(WrongReferralState::ClosedBeforeAccepted);
        }
        Ok(Self {
            state: ReferralState::Closed,
            closed_at: Some(closed_at),
            close_reason: Some(reason),
            ..self.changed(now)
        })
    }

    /// What its referrer tells of it. `None`: older than what was told before.
    pub fn told(&self, told: &ReferralTold, now: Timestamp) -> Result<Option<Self>, WrongReferralState> {
        let (ReferralTold::Modified { at, .. } | ReferralTold::Cancelled { at, .. }) = told;
        if self.told_at.is_some_and(|newest| *at < newest) {
            return Ok(None);
        }
        let ended = matches!(self.state, ReferralState::Declined | ReferralState::Closed);
        let mut next = Self { told_at: Some(*at), ..self.clone() };
        match told {
            // It has ended already: there is nothing left to take back.
            ReferralTold::Cancelled { .. } if ended => return Ok(Some(self.clone())),
            ReferralTold::Cancelled { reason, text, .. } => {
                next.state = ReferralState::Closed;
                // Not in the future, not before it was accepted.
                next.closed_at = Some((*at).min(now).max(self.accepted_at.unwrap_or(Timestamp::MIN)));
                next.close_reason = Some(*reason);
                next.close_text.clone_from(text);
            }
            ReferralTold::Modified { .. } if ended => return Err(WrongReferralState::Ended(self.state)),
            ReferralTold::Modified { priority, referrer_name, referrer_role, referrer_ods, team, reason, .. } => {
                let d = &mut next.details;
                d.priority = priority.unwrap_or(d.priority);
                d.referrer_name = referrer_name.clone().unwrap_or_else(|| d.referrer_name.clone());
                referrer_role.over(&mut d.referrer_role);
                referrer_ods.over(&mut d.referrer_ods);
                d.team = team.clone().unwrap_or_else(|| d.team.clone());
                reason.over(&mut d.reason);
            }
        }
        Ok(Some(next.changed(now)))
    }

    /// A contact after the close does not belong to this episode.
    pub fn covers(&self, occurred_at: Timestamp) -> bool {
        self.closed_at.is_none_or(|closed| occurred_at <= closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referral_can_be_closed_at_the_moment_it_was_answered_to_be_accepted_at() {
        let id = "01M8F9V1CFFC7BG6XRQPS2W6DE";
        let referral: Referral = serde_json::from_value(serde_json::json!({
            "id": id, "trust": "RZ9", "version": 2, "patient_id": id, "state": "Accepted",
            "details": {"external_ids": [], "source": "P1", "priority": "Routine", "referrer_name": "Dr Adeyemi", "team": "IPS-NORTH"},
            "received_at": "2026-03-01T09:00:00Z", "accepted_at": "2026-03-02T09:00:00.984895170Z", "touched_at": "2026-03-02T09:00:00Z",
        }))
        .expect("a row from when the clock was finer");
        let close = |at: &str| {
            let at = at.parse().expect("a time");
            referral.close(CloseReason::ClientRequest, at, at)
        };
        assert!(close("2026-03-02T09:00:00.984895Z").is_ok());
        assert_eq!(close("2026-03-02T09:00:00.984894Z"), Err(WrongReferralState::ClosedBeforeAccepted));
    }

    #[test]
    fn employers_are_approached_by_the_decision_that_stood_on_the_day_or_by_the_latest() {
        let id = "01M8F9V1CFFC7BG6XRQPS2W6DE";
        let referral: Referral = serde_json::from_value(serde_json::json!({
            "id": id, "trust": "RZ9", "version": 2, "patient_id": id, "state": "Accepted",
            "details": {"external_ids": [], "source": "P1", "priority": "Routine", "referrer_name": "Dr Adeyemi", "team": "IPS-NORTH"},
            "received_at": "2026-03-01T09:00:00Z", "touched_at": "2026-03-02T09:00:00Z",
        }))
        .expect("a referral");
        let day = |text: &str| text.parse::<Date>().expect("a day");
        assert!(!referral.lets_approach_on(day("2026-03-10")), "nobody has decided anything");
        let now = Timestamp::from_second(0).expect("a time");
        let decided = |referral: &Referral, n: u128, on: &str, consented: bool| {
            let approach = EmployerApproach { decided_on: day(on), consented };
            referral.with_decision(NoteId(uuid::Uuid::from_u128(n)), Some(approach), false, now).expect("a decision")
        };
        let given = decided(&referral, 1, "2026-03-10", true);
        assert!(given.lets_approach_on(day("2026-03-10")) && given.lets_approach_on(day("2026-03-09")));
        let taken_back = decided(&given, 2, "2026-03-20", false);
        assert!(taken_back.lets_approach_on(day("2026-03-19")), "what was done with consent");
        for on in ["2026-03-09", "2026-03-20", "2026-03-21"] {
            assert!(!taken_back.lets_approach_on(day(on)), "{on}");
        }
        // Of one day the one recorded last.
        let same_day = decided(&taken_back, 3, "2026-03-10", false);
        assert!(!same_day.lets_approach_on(day("2026-03-15")));
    }

    #[test]
    fn retired_sources_of_referral_are_refused() {
        for ok in ["P1", "A1", "M9", "Q2"] {
            assert!(SourceCode::parse(ok).is_ok());
        }
        for bad in ["J1", "K5", "L2", "", "P", "P10", "p1", "éé"] {
            assert!(SourceCode::parse(bad).is_err());
        }
    }
}
