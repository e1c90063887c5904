//! Recording, correcting and withdrawing outcomes.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Answer, Answered};
use super::super::rows::{Keys, View};
use super::super::rulebook::Rulebook;
use super::super::writer::{Ctx, Write};
use super::accept::{self, Accepting};
use super::note::episode;
use super::{About, Call, audit};
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Body, Entry, Subject};
use crate::domain::ids::{EntryId, OutcomeId, ReferralId};
use crate::domain::note::{Action, WithdrawReason};
use crate::domain::outcome::{Outcome, OutcomeContent, OutcomeKind};
use crate::domain::person::{Author, ExpectedPatient, Patient};
use crate::domain::referral::{ReferralState, WrongReferralState};
use crate::domain::route::RoutedKind;
use crate::domain::rule::Violations;
use crate::domain::text::Private;
use jiff::Timestamp;
use std::mem::discriminant;
use std::sync::Arc;

pub struct RecordOutcome {
    pub call: Call,
    pub rules: Arc<Rulebook>,
    pub referral_id: ReferralId,
    pub expected: ExpectedPatient,
    pub author: Author,
    pub content: OutcomeContent,
    /// Midnight of the outcome's day in the trust's time zone.
    pub occurred_at: Timestamp,
}

pub struct CorrectOutcome {
    pub call: Call,
    pub outcome_id: OutcomeId,
    pub version_seen: i64,
    pub expected: ExpectedPatient,
    pub author: Author,
    pub content: OutcomeContent,
    pub occurred_at: Timestamp,
    pub reason: Private<String>,
}

pub struct WithdrawOutcome {
    pub call: Call,
    pub outcome_id: OutcomeId,
    pub version_seen: i64,
    pub author: Author,
    pub reason: WithdrawReason,
    pub explanation: Option<Private<String>>,
}

/// What is said must fit the person, and whatever else was said of the same job. `this`: the outcome that is corrected.
fn fits(
    view: &View,
    patient: &Patient,
    referral: ReferralId,
    this: Option<OutcomeId>,
    content: &OutcomeContent,
) -> Result<(), Refusal> {
    let mut broken = Violations::default();
    if content.kind.on() < patient.details.date_of_birth.0 {
        broken.add(day_field(content), "must not lie before the client's birth");
    }
    let of_referral = view.outcomes_of.get(&referral).into_iter().flatten().filter(|id| Some(**id) != this);
    let others = of_referral.filter_map(|id| Some((*id, view.outcomes.get(id)?.current.as_ref()?)));
    if let Some((field, rule)) = content.contradicts(this, others) {
        broken.add(field, rule);
    }
    fits_its_job(view, referral, content, &mut broken);
    if broken.is_empty() { Ok(()) } else { Err(Refusal::Broken(broken)) }
}

/// The day it is about, as the calls name it.
fn day_field(content: &OutcomeContent) -> String {
    format!("content.{}", content.kind.day_field())
}

/// What is said of a job must fit the job: of the same referral, begun, and not before its beginning.
fn fits_its_job(view: &View, referral: ReferralId, content: &OutcomeContent, broken: &mut Violations) {
    let Some(job_id) = content.kind.job_id() else { return };
    let job = view.outcomes.get(&job_id).filter(|o| o.referral_id == referral && !o.withdrawn);
    let begun = job.and_then(|o| o.current.as_ref()).and_then(|c| c.kind.begins_job());
    let field = match content.kind {
        OutcomeKind::StillInWork { .. } => "content.still_in_work",
        OutcomeKind::JobEnd { .. } => "content.job_end",
        _ => "content.hours_changed",
    };
    match begun {
        None => broken.add(
            format!("{field}.job_id"),
            "must be the id of a job start or a retained job of this referral that is not withdrawn",
        ),
        Some(day) if content.kind.on() < day => {
            broken.add(day_field(content), "must not lie before the job's beginning")
        }
        Some(_) => {}
    }
}

impl Write for RecordOutcome {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.referrals.insert(self.referral_id);
        keys.outcomes_of.insert(self.referral_id);
        keys.outcomes.extend(self.content.kind.job_id());
        if let Some(referral) = view.referrals.get(&self.referral_id) {
            keys.patients.insert(referral.patient_id);
            accept::lanes_of_trust(&self.rules, referral, keys);
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let (referral, patient) = episode(view, &self.call, self.referral_id)?;
        if !self.expected.agrees_with(&patient.details) {
            return Err(Refusal::PatientMismatch.into());
        }
        if referral.state == ReferralState::Declined {
            return Err(Refusal::WrongState(WrongReferralState::Declined.to_string()).into());
        }
        fits(view, &patient, referral.id, None, &self.content)?;
        let endpoints = accept::routed(ctx, &referral, RoutedKind::Outcome)?;
        let outcome = Outcome {
            id: OutcomeId::new(ctx.now, ctx.entropy),
            trust: referral.trust.clone(),
            patient_id: patient.id,
            referral_id: referral.id,
            version: 1,
            withdrawn: false,
            current: Some(self.content.clone()),
        };
        let entry = entry(
            ctx,
            &self.call,
            &outcome,
            &patient,
            &self.author,
            Action::Create(self.content.clone()),
            self.occurred_at,
        );
        let accepting =
            Accepting { entry: &entry, actor: &self.call.actor, release_at: None, trace: self.call.trace.as_deref() };
        let deliveries = accept::create(view, ctx, &accepting, &endpoints)?;
        Ok(finish(view, ctx, &self.call, outcome, entry, &deliveries, ("outcome.record", "")))
    }
}

impl Write for CorrectOutcome {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.outcomes.extend(self.content.kind.job_id());
        outcome_needs(view, keys, self.outcome_id);
        keys.outcomes_of.extend(view.outcomes.get(&self.outcome_id).map(|o| o.referral_id));
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let outcome = current(view, &self.call, self.outcome_id, self.version_seen)?;
        let (referral, patient) = episode(view, &self.call, outcome.referral_id)?;
        if !self.expected.agrees_with(&patient.details) {
            return Err(Refusal::PatientMismatch.into());
        }
        if outcome.current.as_ref().is_some_and(|c| discriminant(&c.kind) != discriminant(&self.content.kind)) {
            let mut broken = Violations::default();
            broken.add(
                "content.kind",
                "must be the kind it was; withdraw the outcome and record another to change the kind",
            );
            return Err(Refusal::Broken(broken).into());
        }
        fits(view, &patient, referral.id, Some(outcome.id), &self.content)?;
        let outcome = Outcome { version: outcome.version + 1, current: Some(self.content.clone()), ..outcome };
        let action = Action::Replace { content: self.content.clone(), reason: self.reason.clone() };
        let entry = entry(ctx, &self.call, &outcome, &patient, &self.author, action, self.occurred_at);
        let accepting =
            Accepting { entry: &entry, actor: &self.call.actor, release_at: None, trace: self.call.trace.as_deref() };
        let deliveries = accept::succeed(view, ctx, &accepting)?;
        Ok(finish(view, ctx, &self.call, outcome, entry, &deliveries, ("outcome.correct", &self.reason.0)))
    }
}

impl Write for WithdrawOutcome {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        outcome_needs(view, keys, self.outcome_id);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let outcome = current(view, &self.call, self.outcome_id, self.version_seen)?;
        let (_, patient) = episode(view, &self.call, outcome.referral_id)?;
        let occurred_at = last_occurred(view, outcome.id).unwrap_or(ctx.now);
        let outcome = Outcome { version: outcome.version + 1, withdrawn: true, current: None, ..outcome };
        let action = Action::Withdraw { reason: self.reason, explanation: self.explanation.clone() };
        let entry = entry(ctx, &self.call, &outcome, &patient, &self.author, action, occurred_at);
        let accepting =
            Accepting { entry: &entry, actor: &self.call.actor, release_at: None, trace: self.call.trace.as_deref() };
        let deliveries = accept::succeed(view, ctx, &accepting)?;
        Ok(finish(view, ctx, &self.call, outcome, entry, &deliveries, ("outcome.withdraw", self.reason.label())))
    }
}

fn outcome_needs(view: &View, keys: &mut Keys, id: OutcomeId) {
    keys.outcomes.insert(id);
    let Some(outcome) = view.outcomes.get(&id) else { return };
    keys.referrals.insert(outcome.referral_id);
    keys.patients.insert(outcome.patient_id);
    keys.chains.insert(id.0);
    for delivery in view.chains.get(&id.0).into_iter().flatten().filter_map(|d| view.deliveries.get(d)) {
        keys.lanes.insert((delivery.endpoint.clone(), outcome.patient_id));
        keys.entries.insert(delivery.entry_id);
    }
}

/// When what is being withdrawn happened.
fn last_occurred(view: &View, id: OutcomeId) -> Option<Timestamp> {
    let deliveries = view.chains.get(&id.0)?.iter().filter_map(|d| view.deliveries.get(d));
    deliveries.filter_map(|d| view.entries.get(&d.entry_id)).max_by_key(|e| e.version).map(|e| e.occurred_at)
}

fn current(view: &View, call: &Call, id: OutcomeId, seen: i64) -> Result<Outcome, Refusal> {
    let outcome =
        view.outcomes.get(&id).filter(|o| call.scope.has_trust(&o.trust)).ok_or(Refusal::NotFound("outcome"))?;
    if outcome.withdrawn {
        return Err(Refusal::WrongState("the outcome is withdrawn; record a new one".into()));
    }
    if outcome.version != seen {
        return Err(Refusal::VersionConflict { seen, now: outcome.version });
    }
    Ok(outcome.clone())
}

fn entry(
    ctx: &Ctx<'_>,
    call: &Call,
    outcome: &Outcome,
    patient: &Patient,
    author: &Author,
    action: Action<OutcomeContent>,
    occurred_at: Timestamp,
) -> Entry {
    Entry {
        id: EntryId::new(ctx.now, ctx.entropy),
        trust: outcome.trust.clone(),
        patient_id: patient.id,
        referral_id: outcome.referral_id,
        subject: Subject::Outcome(outcome.id),
        version: outcome.version,
        body: Body::Outcome(action),
        occurred_at,
        recorded_at: ctx.now,
        author: author.clone(),
        submitted_by: call.actor.principal.clone(),
        identity: patient.details.identity(),
    }
}

fn finish(
    view: &mut View,
    ctx: &Ctx<'_>,
    call: &Call,
    outcome: Outcome,
    entry: Entry,
    deliveries: &[Delivery],
    did: (&'static str, &str),
) -> Answered {
    let (action, why) = did;
    let about = About {
        trust: &outcome.trust,
        action,
        kind: "outcome",
        id: outcome.id.0,
        patient: Some(outcome.patient_id),
        why,
    };
    audit(view, &call.actor, ctx.now, &about);
    let deliveries = deliveries.iter().map(|d| d.id).collect();
    let answer = Answer { subject: outcome.id.0, version: outcome.version, deliveries, more: serde_json::Value::Null };
    view.entries.put(entry.id, entry);
    view.put_outcome(outcome);
    call.answer(view, answer)
}
