//! One version as it must stand in the record: the `Entry` that a template prints, with the lines beside the text that a reader needs.
//!
//! Whoever reads the record was not there and does not know the bridge. So each line says its fact in words, risk first, and names what
//! it does not do (alert anybody). What the client has not agreed to share is left out here, before any pack sees it.

mod headings;
pub mod record;
mod sentences;
#[cfg(test)]
mod tests;
mod words;

pub use headings::{Setting, of_note, of_outcome, of_withdrawal};
pub use sentences::sentences;

use super::codes::{Code, wire_or_unspecified};
use super::note::show_sensitivity;
use super::referral::show_reply;
use crate::domain::ids::EntryId;
use crate::domain::note::{Action, NoteContent, NoteVersion, Version};
use crate::domain::outcome::{OutcomeContent, OutcomeVersion};
use crate::domain::person::Author;
use crate::domain::referral::Referral;
use crate::domain::text::Private;
use crate::wire::v1;
use jiff::Timestamp;

/// A note's version. `content` is its own, or for a withdrawal that of the version withdrawn, of which only kind, time and flags are told.
pub fn note(version: &NoteVersion, content: &NoteContent, setting: &Setting<'_>) -> v1::Entry {
    let title = content.kind.title();
    let entry = v1::Entry {
        occurred_at: Some(content.occurred_at.into()),
        sensitivity: Some(show_sensitivity(content.sensitivity)),
        ..common(version, title, v1::EntryKind::Note)
    };
    match &version.action {
        Action::Withdraw { reason, .. } => v1::Entry {
            headings: of_withdrawal(*reason, title, &version.author, version.recorded_at, setting),
            ..entry
        },
        Action::Create(own) | Action::Replace { content: own, .. } => v1::Entry {
            headings: of_note(own, reason(&version.action), &version.author, version.recorded_at, setting),
            text: own.text.0.clone(),
            activity_type: own.activity().wire(),
            note: Some(record::note(own)),
            ..entry
        },
    }
}

/// An outcome's version. `content` as for [`note`]. `job` is the present content of the job start (or job kept) that it speaks of, if any.
pub fn outcome(
    version: &OutcomeVersion,
    content: &OutcomeContent,
    job: Option<&OutcomeContent>,
    setting: &Setting<'_>,
) -> v1::Entry {
    let title = content.kind.title();
    let midnight = content.kind.on().to_zoned(setting.tz.clone()).ok();
    let entry = v1::Entry {
        // An outcome has a day, no hour: the day's beginning stands for it.
        occurred_at: midnight.map(|z| z.timestamp().into()),
        sensitivity: Some(v1::Sensitivity::default()),
        ..common(version, title, v1::EntryKind::Outcome)
    };
    match &version.action {
        Action::Withdraw { reason, .. } => v1::Entry {
            headings: of_withdrawal(*reason, title, &version.author, version.recorded_at, setting),
            ..entry
        },
        Action::Create(own) | Action::Replace { content: own, .. } => v1::Entry {
            headings: of_outcome(own, reason(&version.action), &version.author, version.recorded_at, setting),
            text: sentences(own, job),
            hours_band: wire_or_unspecified(own.kind.hours_band()),
            outcome: Some(record::outcome(own)),
            ..entry
        },
    }
}

/// The answer to a referral. `None` while it has none.
pub fn referral_reply(id: EntryId, referral: &Referral, author: &Author, setting: &Setting<'_>) -> Option<v1::Entry> {
    let reply = show_reply(referral)?;
    let answered_at = referral.accepted_at.or(referral.declined_at)?;
    Some(v1::Entry {
        id: id.to_string(),
        kind: v1::EntryKind::ReferralReply.into(),
        action: v1::EntryAction::Create.into(),
        version: referral.version,
        occurred_at: Some(answered_at.into()),
        recorded_at: Some(answered_at.into()),
        title: (if reply.accepted { "Referral accepted" } else { "Referral declined" }).to_owned(),
        headings: headings::of_reply(referral, author, answered_at, setting),
        text: sentences::of_reply(referral),
        sensitivity: Some(v1::Sensitivity::default()),
        referral_reply: Some(reply),
        ..v1::Entry::default()
    })
}

/// What notes and outcomes share.
fn common<C>(version: &Version<C>, title: &str, kind: v1::EntryKind) -> v1::Entry {
    let (action, withdraw_label) = match &version.action {
        Action::Create(_) => (v1::EntryAction::Create, ""),
        Action::Replace { .. } => (v1::EntryAction::Replace, ""),
        Action::Withdraw { reason, .. } => (v1::EntryAction::Withdraw, reason.label()),
    };
    v1::Entry {
        id: version.entry_id.to_string(),
        kind: kind.into(),
        action: action.into(),
        version: version.number,
        recorded_at: Some(version.recorded_at.into()),
        reason: reason(&version.action).map(|r| r.0.clone()).unwrap_or_default(),
        withdraw_label: withdraw_label.to_owned(),
        title: title.to_owned(),
        ..v1::Entry::default()
    }
}

/// Why it replaces the version before. A withdrawal's explanation stays in the bridge.
fn reason<C>(action: &Action<C>) -> Option<&Private<String>> {
    match action {
        Action::Replace { reason, .. } => Some(reason),
        Action::Create(_) | Action::Withdraw { .. } => None,
    }
}

/// A version that the record already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    pub number: i64,
    pub recorded_at: Timestamp,
}
