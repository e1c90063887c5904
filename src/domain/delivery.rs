//! A delivery: one entry to one endpoint, and everything that is known about its filing.

use super::ask::{Asking, NotThere};
use super::decide::later;
use super::entry::{EntryAction, EntryKind, Subject};
use super::ids::{DeliveryId, EntryId, PatientId, ReferralId, RenderingId, ReplyId};
use super::organisation::{EndpointId, OdsCode};
use super::person::Identity;
use super::policy::{AcknowledgedBy, EndpointPolicy, FiledBy};
use super::text::Private;
use super::verdict::{Level, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    Queued,
    Sending,
    BackingOff,
    Accepted,
    Filed,
    Parked,
    Cancelled,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sending => "SENDING",
            Self::BackingOff => "BACKING_OFF",
            Self::Accepted => "ACCEPTED",
            Self::Filed => "FILED",
            Self::Parked => "PARKED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Neither filed nor cancelled.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Filed | Self::Cancelled)
    }
}

/// What a newer version, filed itself, did to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    Replaced,
    Withdrawn,
}

/// Why a delivery waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParkReason {
    IdentityChanged,
    IdentityChangedAfterSend,
    EndpointChangedAfterSend,
    NhsNumberUnverified,
    ReferralClosed,
    TextNotCarriable,
    TextTooLong,
    NoMappedStaffId,
    PredecessorUnresolved,
    Refused,
    RetriesExhausted,
    OutcomeUnknown,
    MayAlreadyBeFiled,
    FilingContradicted,
    NotRenderable,
    ByPerson,
    WithdrawalCannotNameDocument,
    Deceased,
    Merged,
    LookupUnclear,
    Misfiled,
    EndpointRetired,
}

impl ParkReason {
    pub fn code(self) -> &'static str {
        match self {
            Self::IdentityChanged => "IDENTITY_CHANGED",
            Self::IdentityChangedAfterSend => "IDENTITY_CHANGED_AFTER_SEND",
            Self::EndpointChangedAfterSend => "ENDPOINT_CHANGED_AFTER_SEND",
            Self::NhsNumberUnverified => "NHS_NUMBER_UNVERIFIED",
            Self::ReferralClosed => "REFERRAL_CLOSED",
            Self::TextNotCarriable => "TEXT_NOT_CARRIABLE",
            Self::TextTooLong => "TEXT_TOO_LONG",
            Self::NoMappedStaffId => "NO_MAPPED_STAFF_ID",
            Self::PredecessorUnresolved => "PREDECESSOR_UNRESOLVED",
            Self::Refused => "REFUSED",
            Self::RetriesExhausted => "RETRIES_EXHAUSTED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::MayAlreadyBeFiled => "MAY_ALREADY_BE_FILED",
            Self::FilingContradicted => "FILING_CONTRADICTED",
            Self::NotRenderable => "NOT_RENDERABLE",
            Self::ByPerson => "BY_PERSON",
            Self::WithdrawalCannotNameDocument => "WITHDRAWAL_CANNOT_NAME_DOCUMENT",
            Self::Deceased => "DECEASED",
            Self::Merged => "MERGED",
            Self::LookupUnclear => "LOOKUP_UNCLEAR",
            Self::Misfiled => "MISFILED",
            Self::EndpointRetired => "ENDPOINT_RETIRED",
        }
    }

    /// Who has to act.
    pub fn waiting_for(self) -> WaitingFor {
        match self {
            Self::TextNotCarriable | Self::TextTooLong => WaitingFor::Author,
            Self::IdentityChanged
            | Self::IdentityChangedAfterSend
            | Self::ReferralClosed
            | Self::NhsNumberUnverified
            | Self::Deceased
            | Self::Merged => WaitingFor::TeamLead,
            _ => WaitingFor::Integrator,
        }
    }

    /// The far end said that it did not take it.
    pub fn says_it_is_not_there(self) -> bool {
        matches!(self, Self::Refused | Self::RetriesExhausted)
    }

    /// A person who re-renders says: I have looked, this hold need not stop it. The other reasons are mended elsewhere and checked again.
    pub fn can_be_overridden(self) -> bool {
        matches!(
            self,
            Self::IdentityChanged
                | Self::IdentityChangedAfterSend
                | Self::EndpointChangedAfterSend
                | Self::NhsNumberUnverified
                | Self::ReferralClosed
                | Self::Deceased
                | Self::Merged
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WaitingFor {
    Nobody,
    Author,
    TeamLead,
    Integrator,
}

/// Parked: why, for whom, and what the far end or the check said (codes only).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Park {
    pub reason: ParkReason,
    pub detail: Private<String>,
    /// Evidence that it is there settles nothing: the record shows what was sent, and that is not the document that it was about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_by_a_person: bool,
}

impl Park {
    pub fn new(reason: ParkReason, detail: &str) -> Self {
        Self { reason, detail: detail.into(), only_by_a_person: false }
    }
}

/// What is known about filing, from weak to strong; the order is the strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceKind {
    TransportAck,
    ApplicationAck,
    ReadBack,
    VendorReport,
    Reconciled,
}

impl EvidenceKind {
    /// What a positive reply proves. An integration engine's AA proves only that the engine has the bytes.
    pub fn of(verdict: &Verdict, by: AcknowledgedBy) -> Self {
        match (verdict.level, by) {
            (Level::Application, AcknowledgedBy::Record) => Self::ApplicationAck,
            _ => Self::TransportAck,
        }
    }

    /// Whether it is at least what the trust said files an entry.
    pub fn files(self, filed_by: FiledBy) -> bool {
        self >= match filed_by {
            FiledBy::TransportAck => Self::TransportAck,
            FiledBy::ApplicationAck => Self::ApplicationAck,
            FiledBy::ReadBack => Self::ReadBack,
            FiledBy::VendorReport => Self::VendorReport,
            FiledBy::Reconciled => Self::Reconciled,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub at: Timestamp,
    pub reply_id: Option<ReplyId>,
    /// The record's own id of the document, where this evidence named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
}

/// Who cancelled, and why. Kept even when late evidence files the delivery after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub at: Timestamp,
    pub by: String,
    /// A person typed it, and it may say more than it should.
    pub why: Private<String>,
}

impl Cancelled {
    /// Who cancels by the rules of the chain, no person asked.
    pub const BRIDGE: &'static str = "bridge";

    pub fn by_a_person(&self) -> bool {
        self.by != Self::BRIDGE
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub id: DeliveryId,
    pub entry_id: EntryId,
    pub subject: Subject,
    pub subject_version: i64,
    pub action: EntryAction,
    pub trust: OdsCode,
    pub patient_id: PatientId,
    pub referral_id: ReferralId,
    pub endpoint: EndpointId,
    /// Place in the lane: order of acceptance.
    pub lane_seq: i64,
    pub state: State,
    /// Rises with each change.
    pub version: i64,
    /// The version before it at this endpoint that must be settled first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<DeliveryId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub park: Option<Park>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The present rendering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering: Option<RenderingId>,
    /// An attempt with the present lease has begun: bytes may be leaving this moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Attempts whose outcome nobody knows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unresolved: u32,
    /// Attempts that sent bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Refused-but-retryable replies since the last person looked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_retries: u32,
    /// Resends after unknown outcomes since the last person looked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_resends: u32,
    /// Turns that came to nothing because of this very one, since the last person looked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_now: u32,
    /// At its next turn the record is asked whether it has it; nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
    /// The record said that it does not have it, so that the same bytes may go again; gone once they go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_there: Option<NotThere>,
    /// Of its attempts of unknown outcome a person has said that they may stand there and it goes all the same, or the record that they do not.
    /// Until the next such attempt, whatever `after_unknown` says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_go_again: bool,
    /// Holds that a person has looked at and overridden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<ParkReason>,
    /// Who the patient was when a person last approved a change of identity: that one may be sent, and no later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Box<Identity>>,
    /// A message made for another identity or another far end may stand there, under the same document id: what names the document by that id alone
    /// may mean the other one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sent_for_others: bool,
    /// The EPR's own id of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// Where its messages went when the record told that id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_place: Option<String>,
    /// Where the endpoint led when it was last sent ([`EndpointPolicy::place`]); `None`: never sent, or by a release that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_at: Option<Timestamp>,
    /// A clock that was ahead wrote it, and it has been put right ([`Self::put_right`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_ahead: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Cancelled>,
    /// What a newer version did to it in the record since it was filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// W3C traceparent of the call that wrote it, so that the trace goes on after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Clocks that are less apart are in step: nothing is late by more for it.
pub const IN_STEP: Duration = Duration::from_secs(60);

impl Delivery {
    pub fn kind(&self) -> EntryKind {
        self.subject.kind()
    }

    /// Whether any byte may have reached the endpoint in a way that was not definitely refused.
    pub fn may_have_been_received(&self) -> bool {
        self.begun
            || self.unresolved > 0
            || !self.evidence.is_empty()
            || matches!(self.state, State::Accepted | State::Filed)
    }

    /// Bytes of it left us, or may have: by a record that was put back from a backup nobody knows. What the far end says of it is about it.
    pub fn may_have_gone(&self) -> bool {
        self.attempts > 0 || self.may_have_been_received()
    }

    /// Whether it was sent to another record than the one that the endpoint leads to now: nothing is known there of what it says here.
    pub fn was_sent_elsewhere(&self, policy: &EndpointPolicy) -> bool {
        !policy.knows_ids_of(self.sent_to.as_deref())
    }

    /// The same bytes would go again, and nobody was asked whether they may: that only `after_unknown` says, as it is now. It may have been less strict
    /// when this one was put back to wait.
    pub fn goes_again_by_itself(&self) -> bool {
        let is_cleared = self.may_go_again || self.not_there.is_some() || self.asking.is_some();
        self.unresolved > 0 && self.rendering.is_some() && !is_cleared
    }

    /// The id under which its document stands in the record: the entry's own.
    pub fn document_id(&self) -> String {
        self.entry_id.to_string()
    }

    /// Nobody holds it, and no person need do anything: it goes by itself.
    pub fn waits_to_be_sent(&self) -> bool {
        matches!(self.state, State::Queued | State::BackingOff)
    }

    /// When the outbox may send it: not before its release, not before its back-off is over.
    pub fn due_at(&self) -> Timestamp {
        let release = self.release_at.unwrap_or(self.created_at);
        self.next_attempt_at.map_or(release, |next| next.max(release))
    }

    /// Put right where it was written, or last tried, by a clock that was ahead of `now`, so that it need not wait until that time comes; `None`: nothing
    /// is wrong with it. `longest` is the longest wait between two tries.
    pub fn put_right(&self, now: Timestamp, longest: Duration) -> Option<Self> {
        let mut right = self.clone();
        if !self.was_ahead && self.created_at > later(now, IN_STEP) {
            // The author's time to take it back begins anew, once.
            let own = self.release_at.map_or(jiff::SignedDuration::ZERO, |at| at.duration_since(self.created_at));
            right.release_at = Some(now.checked_add(own).unwrap_or(now));
            right.was_ahead = true;
        }
        right.next_attempt_at = self.next_attempt_at.map(|at| if at > later(now, longest) { now } else { at });
        (right != *self).then_some(right)
    }

    /// When the record is asked about what was received; it is in the way of nothing in its lane.
    pub fn ask_at(&self) -> Option<Timestamp> {
        self.next_attempt_at.filter(|_| self.state == State::Accepted && self.asking.is_some())
    }

    /// A withdrawal that nobody can render yet: two documents may be the current one. Releases itself once the answer is known.
    pub fn waits_for_a_name(&self) -> bool {
        self.state == State::Parked
            && self.park.as_ref().is_some_and(|p| p.reason == ParkReason::WithdrawalCannotNameDocument)
    }

    /// Perhaps seen already, it names a document by an id of the record's that came into doubt. Releases itself once the record's list, or a report,
    /// has said what holds: which name that is, the holds look at again.
    pub fn waits_for_its_name_again(&self) -> bool {
        let unresolved = self.park.as_ref().is_some_and(|p| p.reason == ParkReason::PredecessorUnresolved);
        self.state == State::Parked && unresolved && self.may_have_been_received()
    }

    /// The same source said another id of the record's before: perhaps there are two copies. Ids of different sources (an acknowledgement, a list) may be
    /// written otherwise and mean the same.
    pub fn was_named_otherwise(&self, kind: EvidenceKind, record_id: &str) -> bool {
        let mut before = self.evidence.iter().filter(|e| e.kind == kind).filter_map(|e| e.record_id.as_deref());
        kind >= EvidenceKind::VendorReport && before.any(|known| known != record_id)
    }

    /// What the record means by this id now, as far as anybody knows.
    pub fn bears(&self, record_id: &str) -> bool {
        self.record_id.as_deref() == Some(record_id) && matches!(self.state, State::Filed | State::Accepted)
    }

    /// The same, or in doubt: whoever looks at it is shown this id as its own.
    pub fn may_bear(&self, record_id: &str) -> bool {
        self.record_id.as_deref() == Some(record_id) && (self.bears(record_id) || self.state == State::Parked)
    }

    pub fn waiting_for(&self) -> WaitingFor {
        self.park.as_ref().map_or(WaitingFor::Nobody, |p| p.reason.waiting_for())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::{at, delivery};

    #[test]
    fn what_a_clock_wrote_that_was_ahead_is_due_now_and_an_author_keeps_the_time_to_take_it_back() {
        let (now, day) = (at(1_000), Duration::from_secs(86_400));
        let queued = |created: i64| Delivery { created_at: at(created), ..delivery(1, EntryAction::Create) };
        assert_eq!(queued(1_000).put_right(now, day), None);
        let right = queued(5_000).put_right(now, day).expect("ahead");
        assert_eq!(right.due_at(), now);
        assert_eq!(right.put_right(at(1_060), day), None, "once");
        let held = Delivery { release_at: Some(at(5_600)), ..queued(5_000) };
        let right = held.put_right(now, day).expect("ahead");
        assert_eq!(right.due_at(), at(1_600));
        assert_eq!(right.put_right(at(1_060), day), None, "once");
        // Ahead by less than that time.
        let little = Delivery { release_at: Some(at(1_900)), ..queued(1_300) };
        let right = little.put_right(now, day).expect("ahead");
        assert_eq!((right.due_at(), right.put_right(at(1_060), day)), (at(1_600), None));
        assert_eq!(queued(1_060).put_right(now, day), None, "in step");
        let backs_off = |next: i64| Delivery { next_attempt_at: Some(at(next)), ..queued(0) };
        assert_eq!(backs_off(80_000).put_right(now, day), None);
        assert_eq!(backs_off(900_000).put_right(now, day).map(|d| d.due_at()), Some(now));
    }
}
