//! An entry: one version of a note, an outcome or a referral reply, as it must stand in the record.

use super::ids::{EntryId, NoteId, OutcomeId, PatientId, ReferralId};
use super::note::{Action, NoteContent, NoteVersion};
use super::organisation::OdsCode;
use super::outcome::{OutcomeContent, OutcomeVersion};
use super::person::{Author, Identity};
use super::referral::DeclineReason;
use super::text::Private;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    Note,
    Outcome,
    ReferralReply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryAction {
    Create,
    Replace,
    Withdraw,
}

/// The note, outcome or referral an entry is a version of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    Note(NoteId),
    Outcome(OutcomeId),
    Referral(ReferralId),
}

impl Subject {
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Note(id) => id.0,
            Self::Outcome(id) => id.0,
            Self::Referral(id) => id.0,
        }
    }

    pub fn kind(self) -> EntryKind {
        match self {
            Self::Note(_) => EntryKind::Note,
            Self::Outcome(_) => EntryKind::Outcome,
            Self::Referral(_) => EntryKind::ReferralReply,
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::ids::crockford(*self.uuid().as_bytes()))
    }
}

/// The answer to a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralReply {
    pub accepted: bool,
    pub decline_reason: Option<DeclineReason>,
    pub reason_text: Option<Private<String>>,
    pub assigned_to: Option<Author>,
    pub answered_at: Timestamp,
    /// Control id of the message it answers.
    pub in_reply_to: Option<String>,
}

/// What the version says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    Note(Action<NoteContent>),
    Outcome(Action<OutcomeContent>),
    ReferralReply(ReferralReply),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: EntryId,
    pub trust: OdsCode,
    pub patient_id: PatientId,
    pub referral_id: ReferralId,
    pub subject: Subject,
    /// The version of the subject, from 1.
    pub version: i64,
    pub body: Body,
    /// When it happened. A withdrawal keeps the time of what it withdraws.
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
    pub author: Author,
    /// The principal that submitted it.
    pub submitted_by: String,
    /// Who the patient was when it was written.
    pub identity: Identity,
}

impl Entry {
    pub fn action(&self) -> EntryAction {
        match &self.body {
            Body::Note(Action::Create(_)) | Body::Outcome(Action::Create(_)) | Body::ReferralReply(_) => {
                EntryAction::Create
            }
            Body::Note(Action::Replace { .. }) | Body::Outcome(Action::Replace { .. }) => EntryAction::Replace,
            Body::Note(Action::Withdraw { .. }) | Body::Outcome(Action::Withdraw { .. }) => EntryAction::Withdraw,
        }
    }

    /// The note version it is; `None` for another kind.
    pub fn note_version(&self) -> Option<NoteVersion> {
        let Body::Note(action) = &self.body else { return None };
        Some(self.as_version(action.clone()))
    }

    /// The outcome version it is; `None` for another kind.
    pub fn outcome_version(&self) -> Option<OutcomeVersion> {
        let Body::Outcome(action) = &self.body else { return None };
        Some(self.as_version(action.clone()))
    }

    fn as_version<C>(&self, action: Action<C>) -> super::note::Version<C> {
        super::note::Version {
            number: self.version,
            action,
            author: self.author.clone(),
            submitted_by: self.submitted_by.clone(),
            recorded_at: self.recorded_at,
            entry_id: self.id,
        }
    }
}
