//! Writing, replacing and withdrawing progress notes.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Answer, Answered};
use super::super::rows::{Keys, View};
use super::super::rulebook::Rulebook;
use super::super::writer::{Ctx, Write};
use super::accept::{self, Accepting};
use super::{About, Call, audit};
use crate::domain::decide::later;
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Body, Entry, Subject};
use crate::domain::ids::{EntryId, NoteId, ReferralId};
use crate::domain::note::{Action, EmployerApproachConsent, Note, NoteContent, NoteKind, WithdrawReason};
use crate::domain::person::{Author, ExpectedPatient, Patient};
use crate::domain::referral::{EmployerApproach, Referral, ReferralState, WrongReferralState};
use crate::domain::route::RoutedKind;
use crate::domain::text::Private;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;

pub struct WriteNote {
    pub call: Call,
    pub rules: Arc<Rulebook>,
    pub referral_id: ReferralId,
    pub expected: ExpectedPatient,
    pub author: Author,
    pub content: NoteContent,
    pub release_after: Option<Duration>,
}

pub struct ReplaceNote {
    pub call: Call,
    pub note_id: NoteId,
    pub version_seen: i64,
    pub expected: ExpectedPatient,
    pub author: Author,
    pub content: NoteContent,
    pub reason: Private<String>,
    pub release_after: Option<Duration>,
}

pub struct WithdrawNote {
    pub call: Call,
    pub note_id: NoteId,
    pub version_seen: i64,
    pub author: Author,
    pub reason: WithdrawReason,
    pub explanation: Option<Private<String>>,
}

/// The referral and its patient, if the caller may touch them.
pub(super) fn episode(view: &View, call: &Call, id: ReferralId) -> Result<(Referral, Patient), Refusal> {
    let referral =
        view.referrals.get(&id).filter(|r| call.scope.has_trust(&r.trust)).ok_or(Refusal::NotFound("referral"))?;
    let patient = view.patients.get(&referral.patient_id).ok_or(Refusal::NotFound("referral"))?;
    Ok((referral.clone(), patient.clone()))
}

/// Something about `occurred_at` can be written into this referral.
pub(super) fn writable(referral: &Referral, occurred_at: Timestamp) -> Result<(), Refusal> {
    if referral.state == ReferralState::Declined {
        return Err(Refusal::WrongState(WrongReferralState::Declined.to_string()));
    }
    if !referral.covers(occurred_at) {
        return Err(Refusal::WrongState(
            "the referral was closed before this took place; only what happened before the close can be written".into(),
        ));
    }
    Ok(())
}

fn consent(ctx: &Ctx<'_>, referral: &Referral, content: &NoteContent) -> Result<(), Refusal> {
    let zone = ctx.rules.trusts.get(&referral.trust).map_or(TimeZone::UTC, |t| t.time_zone.clone());
    let day = content.occurred_at.to_zoned(zone).date();
    if approaches(content) && !referral.lets_approach_on(day) { Err(Refusal::ConsentMissing) } else { Ok(()) }
}

/// An employer, in the client's name.
fn approaches(content: &NoteContent) -> bool {
    matches!(&content.kind, NoteKind::EmployerContact(c) if c.in_clients_name)
}

/// What a note says of approaching employers. Not to have talked about it is no decision.
fn decision(content: &NoteContent) -> Option<EmployerApproach> {
    let NoteKind::DisclosureDecision { employer_approach, decided_on, .. } = &content.kind else { return None };
    let consented = match employer_approach {
        EmployerApproachConsent::NotDiscussed => return None,
        other => *other == EmployerApproachConsent::Given,
    };
    Some(EmployerApproach { decided_on: *decided_on, consented })
}

fn release_at(ctx: &Ctx<'_>, referral: &Referral, asked: Option<Duration>) -> Option<Timestamp> {
    let wait =
        asked.unwrap_or_else(|| ctx.rules.trusts.get(&referral.trust).map_or(Duration::ZERO, |t| t.release_after));
    (!wait.is_zero()).then(|| later(ctx.now, wait))
}

/// What became of a [`WriteNote`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenNote {
    pub answered: Answered,
    /// The note, its first version and its deliveries as they were written; `None` for a call that was answered before.
    pub fresh: Option<Box<(Note, Entry, Vec<Delivery>)>>,
}

impl Write for WriteNote {
    type Answer = WrittenNote;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.referrals.insert(self.referral_id);
        if let Some(referral) = view.referrals.get(&self.referral_id) {
            keys.patients.insert(referral.patient_id);
            accept::lanes_of_trust(&self.rules, referral, keys);
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<WrittenNote, WriteError> {
        if let Some(answered) = self.call.repeated(view)? {
            return Ok(WrittenNote { answered, fresh: None });
        }
        let (referral, patient) = episode(view, &self.call, self.referral_id)?;
        if !self.expected.agrees_with(&patient.details) {
            return Err(Refusal::PatientMismatch.into());
        }
        writable(&referral, self.content.occurred_at)?;
        let id = NoteId::new(ctx.now, ctx.entropy);
        let decided = referral.with_decision(id, decision(&self.content), false, ctx.now);
        consent(ctx, decided.as_ref().unwrap_or(&referral), &self.content)?;
        let endpoints = accept::routed(ctx, &referral, RoutedKind::Note)?;
        let note = Note {
            id,
            trust: referral.trust.clone(),
            patient_id: patient.id,
            referral_id: referral.id,
            version: 1,
            withdrawn: false,
            occurred_at: self.content.occurred_at,
        };
        let entry = entry(ctx, &self.call, &note, &patient, &self.author, Action::Create(self.content.clone()));
        let accepting = Accepting {
            entry: &entry,
            actor: &self.call.actor,
            release_at: release_at(ctx, &referral, self.release_after),
            trace: self.call.trace.as_deref(),
        };
        let deliveries = accept::create(view, ctx, &accepting, &endpoints)?;
        decided.into_iter().for_each(|referral| view.put_referral(referral));
        let fresh = Some(Box::new((note.clone(), entry.clone(), deliveries.clone())));
        let answered = finish(view, ctx, &self.call, note, entry, &deliveries, "progress_note.write", "");
        Ok(WrittenNote { answered, fresh })
    }
}

impl Write for ReplaceNote {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        note_needs(view, keys, self.note_id);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let note = current(view, &self.call, self.note_id, self.version_seen)?;
        let (referral, patient) = episode(view, &self.call, note.referral_id)?;
        if !self.expected.agrees_with(&patient.details) {
            return Err(Refusal::PatientMismatch.into());
        }
        writable(&referral, self.content.occurred_at)?;
        let was_one = was_decision(view, note.id);
        let decided = referral.with_decision(note.id, decision(&self.content), was_one, ctx.now);
        // What stands in the record as such a contact is put right whatever was decided since.
        let was_approach = note.occurred_at == self.content.occurred_at && was(view, note.id, approaches);
        if !was_approach {
            consent(ctx, decided.as_ref().unwrap_or(&referral), &self.content)?;
        }
        let note = Note { version: note.version + 1, occurred_at: self.content.occurred_at, ..note };
        let action = Action::Replace { content: self.content.clone(), reason: self.reason.clone() };
        let entry = entry(ctx, &self.call, &note, &patient, &self.author, action);
        let accepting = Accepting {
            entry: &entry,
            actor: &self.call.actor,
            release_at: release_at(ctx, &referral, self.release_after),
            trace: self.call.trace.as_deref(),
        };
        let deliveries = accept::succeed(view, ctx, &accepting)?;
        decided.into_iter().for_each(|referral| view.put_referral(referral));
        Ok(finish(view, ctx, &self.call, note, entry, &deliveries, "progress_note.replace", &self.reason.0))
    }
}

impl Write for WithdrawNote {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        note_needs(view, keys, self.note_id);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let note = current(view, &self.call, self.note_id, self.version_seen)?;
        let (referral, patient) = episode(view, &self.call, note.referral_id)?;
        let note = Note { version: note.version + 1, withdrawn: true, ..note };
        let action = Action::Withdraw { reason: self.reason, explanation: self.explanation.clone() };
        let entry = entry(ctx, &self.call, &note, &patient, &self.author, action);
        // A withdrawal is never held back for second thoughts.
        let accepting =
            Accepting { entry: &entry, actor: &self.call.actor, release_at: None, trace: self.call.trace.as_deref() };
        let deliveries = accept::succeed(view, ctx, &accepting)?;
        let decided = referral.with_decision(note.id, None, was_decision(view, note.id), ctx.now);
        decided.into_iter().for_each(|referral| view.put_referral(referral));
        Ok(finish(view, ctx, &self.call, note, entry, &deliveries, "progress_note.withdraw", self.reason.label()))
    }
}

/// A version of it that was sent anywhere was a disclosure decision.
fn was_decision(view: &View, note: NoteId) -> bool {
    was(view, note, |content| matches!(content.kind, NoteKind::DisclosureDecision { .. }))
}

/// Whether a version of it was such a one.
fn was(view: &View, note: NoteId, is_one: impl Fn(&NoteContent) -> bool) -> bool {
    view.chains.get(&note.0).into_iter().flatten().filter_map(|d| view.deliveries.get(d)).any(|d| {
        let content = view.entries.get(&d.entry_id).map(|e| &e.body);
        matches!(content, Some(Body::Note(a)) if a.content().is_some_and(&is_one))
    })
}

fn note_needs(view: &View, keys: &mut Keys, id: NoteId) {
    keys.notes.insert(id);
    let Some(note) = view.notes.get(&id) else { return };
    keys.referrals.insert(note.referral_id);
    keys.patients.insert(note.patient_id);
    keys.chains.insert(id.0);
    for delivery in view.chains.get(&id.0).into_iter().flatten().filter_map(|d| view.deliveries.get(d)) {
        keys.lanes.insert((delivery.endpoint.clone(), note.patient_id));
        keys.entries.insert(delivery.entry_id);
    }
}

fn current(view: &View, call: &Call, id: NoteId, seen: i64) -> Result<Note, Refusal> {
    let note =
        view.notes.get(&id).filter(|n| call.scope.has_trust(&n.trust)).ok_or(Refusal::NotFound("progress note"))?;
    if note.withdrawn {
        return Err(Refusal::WrongState("the note is withdrawn; write a new one".into()));
    }
    if note.version != seen {
        return Err(Refusal::VersionConflict { seen, now: note.version });
    }
    Ok(note.clone())
}

fn entry(
    ctx: &Ctx<'_>,
    call: &Call,
    note: &Note,
    patient: &Patient,
    author: &Author,
    action: Action<NoteContent>,
) -> Entry {
    Entry {
        id: EntryId::new(ctx.now, ctx.entropy),
        trust: note.trust.clone(),
        patient_id: patient.id,
        referral_id: note.referral_id,
        subject: Subject::Note(note.id),
        version: note.version,
        body: Body::Note(action),
        occurred_at: note.occurred_at,
        recorded_at: ctx.now,
        author: author.clone(),
        submitted_by: call.actor.principal.clone(),
        identity: patient.details.identity(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one line a fact; a struct would only rename them")]
fn finish(
    view: &mut View,
    ctx: &Ctx<'_>,
    call: &Call,
    note: Note,
    entry: Entry,
    deliveries: &[Delivery],
    action: &'static str,
    why: &str,
) -> Answered {
    let about =
        About { trust: &note.trust, action, kind: "progress note", id: note.id.0, patient: Some(note.patient_id), why };
    audit(view, &call.actor, ctx.now, &about);
    let answer = Answer {
        subject: note.id.0,
        version: note.version,
        deliveries: deliveries.iter().map(|d| d.id).collect(),
        more: serde_json::Value::Null,
    };
    view.entries.put(entry.id, entry);
    view.notes.put(note.id, note);
    call.answer(view, answer)
}
