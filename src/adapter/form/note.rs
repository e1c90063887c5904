//! Progress notes: what they say, and their versions.

use super::codes::{Code, wire_or_unspecified};
use super::field::Fields;
use super::person::{code_or, show_author};
use super::{View, note_kind, whole, whole_and_checked};
use crate::domain::note::{
    Action, Attendance, Contact, ContactMechanism, ContactMode, Note, NoteContent, NoteVersion, RiskDisclosed,
    Sensitivity,
};
use crate::domain::rule::Violations;
use crate::domain::text::NOTE_MAX_CHARS;
use crate::wire::v1;
use jiff::Timestamp;

/// The fields' own rules only; `NoteContent::check` has those between them and against the clock.
pub fn read(message: &v1::NoteContent, at: &str, broken: &mut Violations) -> Option<NoteContent> {
    whole(broken, |b| draft(message, at, b))
}

/// All rules.
pub fn read_and_check(
    message: &v1::NoteContent,
    at: &str,
    now: Timestamp,
    broken: &mut Violations,
) -> Option<NoteContent> {
    whole_and_checked(broken, |b| draft(message, at, b), |c, b| c.check(at, now, b))
}

fn draft(message: &v1::NoteContent, at: &str, broken: &mut Violations) -> NoteContent {
    let mut f = Fields::new(at, broken);
    // Before everything: then no other time is "before the contact".
    let occurred_at = f.time("occurred_at", message.occurred_at.as_ref()).unwrap_or(Timestamp::MIN);
    let text = f.paragraphs("text", &message.text, NOTE_MAX_CHARS);
    let contact = f.optional_part("contact", message.contact.as_ref(), draft_contact);
    let risk_disclosed = f.optional_part("risk_disclosed", message.risk_disclosed.as_ref(), draft_risk);
    let kind = note_kind::draft(message.kind.as_ref(), contact.is_some(), &mut f);
    NoteContent {
        occurred_at,
        text,
        contact,
        sensitivity: message.sensitivity.as_ref().map_or_else(Sensitivity::default, read_sensitivity),
        risk_disclosed,
        kind,
    }
}

fn draft_contact(message: &v1::Contact, at: &str, broken: &mut Violations) -> Contact {
    let mut f = Fields::new(at, broken);
    Contact {
        mechanism: code_or(&mut f, "mechanism", message.mechanism, ContactMechanism::Other),
        // One that asks for no duration.
        attendance: code_or(&mut f, "attendance", message.attendance, Attendance::DidNotAttend),
        mode: code_or(&mut f, "mode", message.mode, ContactMode::Individual),
        duration_minutes: message.duration_minutes,
        location: message.location_code.clone().filter(|c| !c.trim().is_empty()),
        others_present: f.optional_line("others_present", message.others_present.as_deref(), 200),
    }
}

fn draft_risk(message: &v1::RiskDisclosed, at: &str, broken: &mut Violations) -> RiskDisclosed {
    let mut f = Fields::new(at, broken);
    RiskDisclosed {
        told_whom: f.line("told_whom", &message.told_whom, 200),
        told_at: f.time("told_at", message.told_at.as_ref()).unwrap_or(Timestamp::MIN),
    }
}

fn read_sensitivity(message: &v1::Sensitivity) -> Sensitivity {
    Sensitivity {
        third_party: message.third_party,
        serious_harm: message.serious_harm,
        not_for_patient: message.not_for_patient,
    }
}

pub fn show_sensitivity(sensitivity: Sensitivity) -> v1::Sensitivity {
    v1::Sensitivity {
        third_party: sensitivity.third_party,
        serious_harm: sensitivity.serious_harm,
        not_for_patient: sensitivity.not_for_patient,
    }
}

/// All of it: for callers who may read the note. What goes into the record is `entry::record::note`.
pub fn show_content(content: &NoteContent) -> v1::NoteContent {
    v1::NoteContent {
        occurred_at: Some(content.occurred_at.into()),
        text: content.text.0.clone(),
        contact: content.contact.as_ref().map(show_contact),
        sensitivity: Some(show_sensitivity(content.sensitivity)),
        risk_disclosed: content
            .risk_disclosed
            .as_ref()
            .map(|risk| v1::RiskDisclosed { told_whom: risk.told_whom.0.clone(), told_at: Some(risk.told_at.into()) }),
        kind: Some(note_kind::show(&content.kind)),
    }
}

fn show_contact(contact: &Contact) -> v1::Contact {
    v1::Contact {
        mechanism: contact.mechanism.wire(),
        attendance: contact.attendance.wire(),
        mode: contact.mode.wire(),
        duration_minutes: contact.duration_minutes,
        location_code: contact.location.clone(),
        others_present: contact.others_present.as_ref().map(|o| o.0.clone()),
    }
}

/// The note with the versions given: all for GetProgressNote, the newest for lists.
pub fn show(note: &Note, versions: &[NoteVersion], view: View) -> v1::ProgressNote {
    v1::ProgressNote {
        id: note.id.to_string(),
        trust_ods: note.trust.as_str().to_owned(),
        patient_id: note.patient_id.to_string(),
        referral_id: note.referral_id.to_string(),
        version: note.version,
        withdrawn: note.withdrawn,
        versions: versions.iter().map(|v| show_version(v, view)).collect(),
    }
}

pub fn show_version(version: &NoteVersion, view: View) -> v1::NoteVersion {
    let content = version.action.content();
    let Told { action, reason, withdraw_reason } = told(&version.action, view);
    v1::NoteVersion {
        version: version.number,
        action,
        content: content.filter(|_| view == View::Full).map(show_content),
        author: Some(show_author(&version.author)),
        submitted_by: version.submitted_by.clone(),
        reason,
        withdraw_reason,
        recorded_at: Some(version.recorded_at.into()),
        entry_id: version.entry_id.to_string(),
        activity_type: wire_or_unspecified(content.map(NoteContent::activity)),
    }
}

/// What a version did, in the fields that notes and outcomes share.
pub(super) struct Told {
    pub action: i32,
    pub reason: String,
    pub withdraw_reason: i32,
}

/// Reasons are written by people and may name anybody: only in a full view.
pub(super) fn told<C>(action: &Action<C>, view: View) -> Told {
    let (did, reason, withdraw_reason) = match action {
        Action::Create(_) => (v1::EntryAction::Create, None, None),
        Action::Replace { reason, .. } => (v1::EntryAction::Replace, Some(reason), None),
        Action::Withdraw { reason, explanation } => (v1::EntryAction::Withdraw, explanation.as_ref(), Some(*reason)),
    };
    Told {
        action: did.into(),
        reason: reason.filter(|_| view == View::Full).map(|r| r.0.clone()).unwrap_or_default(),
        withdraw_reason: wire_or_unspecified(withdraw_reason),
    }
}
