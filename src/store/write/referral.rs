//! Referrals: made (with their patient), answered, assigned, closed.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Answer, Answered};
use super::super::rows::{Keys, View, external_key, leads_to, local_key};
use super::super::rulebook::NOT_A_TEAM;
use super::super::writer::{Ctx, Write};
use super::accept::{self, Accepting};
use super::note::episode;
use super::{About, Call, audit, merge};
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Body, Entry, ReferralReply, Subject};
use crate::domain::ids::{EntryId, PatientId, ReferralId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::person::{Author, Patient, PatientDetails};
use crate::domain::referral::{
    CloseReason, DeclineReason, Referral, ReferralDetails, ReferralState, WrongReferralState,
};
use crate::domain::rule::Violations;
use crate::domain::standing::{Near, PatientKey, Standing};
use crate::domain::text::{Private, folded_name};
use jiff::Timestamp;

/// Whom a new referral is for.
#[derive(Debug, Clone)]
pub enum PatientIs {
    Known(PatientId),
    Described(Box<PatientDetails>),
}

pub struct CreateReferral {
    pub call: Call,
    pub trust: OdsCode,
    pub patient: PatientIs,
    /// Other family names of a described patient: compared, never taken over.
    pub other_families: Vec<Private<String>>,
    /// Nobody may learn where the patient lives.
    pub location_shielded: bool,
    pub details: ReferralDetails,
    pub received_at: Timestamp,
    /// The endpoint and control id it came with, when it came from an EPR.
    pub received_from: Option<(EndpointId, String)>,
}

pub enum ReferralAnswer {
    Accept { assigned_to: Author },
    Decline { reason: DeclineReason, text: Option<Private<String>> },
}

pub struct AnswerReferral {
    pub call: Call,
    pub referral_id: ReferralId,
    pub author: Author,
    pub answer: ReferralAnswer,
}

pub enum ReferralChange {
    Assign(Author),
    Close { reason: CloseReason, at: Option<Timestamp> },
}

pub struct ChangeReferral {
    pub call: Call,
    pub referral_id: ReferralId,
    pub change: ReferralChange,
}

/// The rows by which a described patient is recognised.
pub(super) fn patient_needs(view: &View, keys: &mut Keys, trust: &OdsCode, details: &PatientDetails) {
    if let Some(number) = &details.nhs_number {
        let key = (trust.clone(), number.as_str().to_owned());
        keys.patients.extend(view.patients_by_nhs.get(&key));
        keys.patients_by_nhs.insert(key);
    }
    for id in &details.local_identifiers {
        let key = local_key(trust, id);
        keys.patients.extend(view.patients_by_local.get(&key));
        keys.patients_by_local.insert(key);
    }
    merge::near_needs(view, keys, trust, &nearly(details));
}

/// What the identifiers may be beside what they are called.
fn nearly(details: &PatientDetails) -> Vec<Near> {
    let ids = details.local_identifiers.iter();
    let local = ids.flat_map(|id| Near::of(&id.assigning_authority, &id.kind, &id.value.0));
    details.nhs_number.map(Near::Number).into_iter().chain(local).collect()
}

/// The trust's patient who is meant: found by NHS number, else by a local identifier, and agreeing in birth and name. `None`: unknown yet. Where an
/// identifier of another patient stands beside who does agree, it is that identifier which is wrong, and not who was picked.
fn recognise(
    view: &View,
    trust: &OdsCode,
    details: &PatientDetails,
    others: &[Private<String>],
) -> Result<Option<Patient>, Refusal> {
    let by_number = details.nhs_number.and_then(|n| view.patients_by_nhs.get(&(trust.clone(), n.as_str().to_owned())));
    let by_local = details.local_identifiers.iter().filter_map(|id| view.patients_by_local.get(&local_key(trust, id)));
    let found: Vec<&PatientId> = by_number.into_iter().chain(by_local).collect();
    let Some(first) = found.first() else { return recognise_nearly(view, trust, details, others) };
    // Of local identifiers alone none counts before the others; an NHS number does.
    let meant = if by_number.is_some() { &found[..1] } else { &found[..] };
    let mut agreeing = None;
    for id in meant {
        let patient = view.patients.get(id).ok_or(Refusal::NotFound("patient"))?;
        agreeing = agreeing.or_else(|| Some(patient).filter(|p| agrees(&p.details, details, others)));
    }
    match agreeing {
        None => Err(Refusal::PatientMismatch),
        // One identifier says this patient, another says that one.
        Some(_) if found.iter().any(|id| id != first) => Err(Refusal::IdentifierTaken),
        Some(patient) => Ok(Some(patient.clone())),
    }
}

/// Birth and one of the family names agree, and no NHS number speaks against it: who has married is still known by the name they had.
fn agrees(known: &PatientDetails, details: &PatientDetails, others: &[Private<String>]) -> bool {
    let numbers_clash = matches!((known.nhs_number, details.nhs_number), (Some(a), Some(b)) if a != b);
    let family = folded_name(&known.name.family.0);
    let mut families = std::iter::once(&details.name.family).chain(others);
    known.date_of_birth == details.date_of_birth
        && families.any(|told| folded_name(&told.0) == family)
        && !numbers_clash
}

/// Known by none of the identifiers as they are called. The same value under another type is the same person if birth and name agree, else
/// perhaps another kind of number; an NHS number is one whatever it is called.
fn recognise_nearly(
    view: &View,
    trust: &OdsCode,
    details: &PatientDetails,
    others: &[Private<String>],
) -> Result<Option<Patient>, Refusal> {
    let mut found: Option<&Patient> = None;
    for near in nearly(details) {
        for patient in merge::nearly(view, trust, &near) {
            match (agrees(&patient.details, details, others), &near) {
                (true, _) if found.is_none_or(|f| f.id == patient.id) => found = Some(patient),
                (true, _) => return Err(Refusal::IdentifierTaken),
                (false, Near::Number(_)) => return Err(Refusal::PatientMismatch),
                (false, Near::Value { .. }) => {}
            }
        }
    }
    Ok(found.cloned())
}

impl CreateReferral {
    /// The referral that has this external id already, if it is this one told again: the same patient, and not over.
    pub(super) fn known_already(&self, view: &View, id: ReferralId) -> Result<Referral, Refusal> {
        let known = view.referrals.get(&id).ok_or(Refusal::NotFound("referral"))?;
        let patient = match &self.patient {
            PatientIs::Known(id) => Some(*id),
            PatientIs::Described(details) => recognise(view, &self.trust, details, &self.other_families)?.map(|p| p.id),
        };
        if patient != Some(known.patient_id) {
            return Err(Refusal::PatientMismatch);
        }
        match known.state {
            ReferralState::Received | ReferralState::Accepted => Ok(known.clone()),
            ReferralState::Declined | ReferralState::Closed => Err(Refusal::WrongState(
                "the referral with this id is over; a new one needs an id of its own, or a person takes it up here"
                    .into(),
            )),
        }
    }

    /// Of who is referred neither address nor phone is kept, if that is asked.
    pub(super) fn shield(&self, view: &mut View, ctx: &Ctx<'_>, id: PatientId) {
        let known = view.patients.get(&id).filter(|p| self.location_shielded && !p.standing.location_shielded).cloned();
        let Some(known) = known else { return };
        let mut patient = Patient { version: known.version + 1, updated_at: ctx.now, ..known.clone() };
        patient.shield();
        put_patient(view, Some(&known), &patient);
        self.audit(view, ctx, id, "patient.update", "the referral asks that nobody learns where they live");
    }

    fn audit(&self, view: &mut View, ctx: &Ctx<'_>, patient: PatientId, action: &'static str, why: &str) {
        let about = About { trust: &self.trust, action, kind: "patient", id: patient.0, patient: Some(patient), why };
        audit(view, &self.call.actor, ctx.now, &about);
    }

    fn patient(&self, view: &View, ctx: &Ctx<'_>) -> Result<(Patient, bool), Refusal> {
        match &self.patient {
            PatientIs::Known(id) => {
                let known =
                    view.patients.get(id).filter(|p| p.trust == self.trust && self.call.scope.has_trust(&p.trust));
                let known = known.ok_or(Refusal::NotFound("patient"))?;
                if known.standing.merged_into.is_some() {
                    return Err(Refusal::WrongState(super::patient::MERGED.into()));
                }
                Ok((known.clone(), false))
            }
            PatientIs::Described(details) => match recognise(view, &self.trust, details, &self.other_families)? {
                Some(known) => Ok((known, false)),
                None => {
                    let id = PatientId::new(ctx.now, ctx.entropy);
                    let details = details.as_ref().clone();
                    Ok((
                        Patient {
                            id,
                            trust: self.trust.clone(),
                            version: 1,
                            details,
                            created_at: ctx.now,
                            updated_at: ctx.now,
                            standing: Standing::default(),
                        },
                        true,
                    ))
                }
            },
        }
    }
}

impl Write for CreateReferral {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        match &self.patient {
            PatientIs::Known(id) => {
                keys.patients.insert(*id);
            }
            PatientIs::Described(details) => patient_needs(view, keys, &self.trust, details),
        }
        for key in self.details.external_ids.iter().map(|e| external_key(&self.trust, e)) {
            keys.referrals.extend(view.referrals_by_external.get(&key));
            keys.to_be_made.insert(key.clone());
            keys.referrals_by_external.insert(key);
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        if !self.call.scope.has_trust(&self.trust) {
            return Err(Refusal::NotFound("trust").into());
        }
        if ctx.rules.trusts.get(&self.trust).is_some_and(|t| !t.has_team(&self.details.team)) {
            let mut broken = Violations::default();
            broken.add("details.team", NOT_A_TEAM);
            return Err(Refusal::Broken(broken).into());
        }
        for external in &self.details.external_ids {
            if let Some(id) = view.referrals_by_external.get(&external_key(&self.trust, external)) {
                return Err(Refusal::ExternalIdTaken(*id).into());
            }
        }
        let (patient, new) = self.patient(view, ctx)?;
        let (received_from, received_control_id) = self.received_from.clone().unzip();
        let referral = Referral {
            id: ReferralId::new(ctx.now, ctx.entropy),
            trust: self.trust.clone(),
            version: 1,
            patient_id: patient.id,
            state: ReferralState::Received,
            details: self.details.clone(),
            received_at: self.received_at,
            accepted_at: None,
            declined_at: None,
            closed_at: None,
            decline_reason: None,
            decline_text: None,
            close_reason: None,
            assigned_to: None,
            received_from,
            received_control_id,
            touched_at: ctx.now,
            employer_approach: None,
            approach_decisions: Vec::new(),
            close_text: None,
            told_at: None,
            as_received: self.received_from.is_some(),
        };
        if new {
            put_patient(view, None, &patient);
            self.audit(view, ctx, patient.id, "patient.create", "");
        }
        self.shield(view, ctx, patient.id);
        for external in &self.details.external_ids {
            view.referrals_by_external.put(external_key(&self.trust, external), referral.id);
        }
        Ok(finish(view, ctx, &self.call, referral, &[], ("referral.create", "")))
    }
}

/// Now and formerly; who was merged into another, by nothing.
fn recognised_by(patient: &Patient) -> Vec<PatientKey> {
    if patient.standing.merged_into.is_some() {
        return Vec::new();
    }
    let former = patient.standing.former.iter().map(|f| f.key.clone());
    patient.keys().into_iter().chain(former).collect()
}

/// The patient and the keys by which later writes of the same batch recognise them.
pub(super) fn put_patient(view: &mut View, before: Option<&Patient>, patient: &Patient) {
    // What it was recognised by before may be another's in this very batch.
    for key in before.map(recognised_by).into_iter().flatten() {
        match key {
            PatientKey::NhsNumber(n) => view.patients_by_nhs.unlink((patient.trust.clone(), n.as_str().to_owned())),
            PatientKey::Local(id) => view.patients_by_local.unlink(local_key(&patient.trust, &id)),
        }
    }
    for who in view.patients_by_value.values_mut() {
        who.remove(&patient.id);
    }
    for (trust, authority, _, value) in leads_to(patient) {
        if let Some(who) = view.patients_by_value.get_mut(&(trust, authority, value)) {
            who.insert(patient.id);
        }
    }
    for key in recognised_by(patient) {
        match key {
            PatientKey::NhsNumber(n) => {
                view.patients_by_nhs.put((patient.trust.clone(), n.as_str().to_owned()), patient.id);
            }
            PatientKey::Local(id) => view.patients_by_local.put(local_key(&patient.trust, &id), patient.id),
        }
    }
    view.put_patient(patient.clone());
}

impl Write for AnswerReferral {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.referrals.insert(self.referral_id);
        if let Some(referral) = view.referrals.get(&self.referral_id) {
            keys.patients.insert(referral.patient_id);
            keys.lanes.extend(referral.received_from.clone().map(|e| (e, referral.patient_id)));
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let (referral, patient) = episode(view, &self.call, self.referral_id)?;
        let wrong = |e: WrongReferralState| Refusal::WrongState(e.to_string());
        let (answered, reply, action) = match &self.answer {
            ReferralAnswer::Accept { assigned_to } => {
                let reply = self.reply(&referral, true, None, None, Some(assigned_to.clone()), ctx.now);
                (referral.accept(assigned_to.clone(), ctx.now).map_err(wrong)?, reply, "referral.accept")
            }
            ReferralAnswer::Decline { reason, text } => {
                let reply = self.reply(&referral, false, Some(*reason), text.clone(), None, ctx.now);
                (referral.decline(*reason, text.clone(), ctx.now).map_err(wrong)?, reply, "referral.decline")
            }
        };
        // Answered to where it came from; a referral that came by API has nobody to tell.
        let mut deliveries = Vec::new();
        if let Some(endpoint) = &referral.received_from {
            let entry = Entry {
                id: EntryId::new(ctx.now, ctx.entropy),
                trust: referral.trust.clone(),
                patient_id: patient.id,
                referral_id: referral.id,
                subject: Subject::Referral(referral.id),
                version: answered.version,
                body: Body::ReferralReply(reply),
                occurred_at: ctx.now,
                recorded_at: ctx.now,
                author: self.author.clone(),
                submitted_by: self.call.actor.principal.clone(),
                identity: patient.details.identity(),
            };
            let accepting = Accepting {
                entry: &entry,
                actor: &self.call.actor,
                release_at: None,
                trace: self.call.trace.as_deref(),
            };
            deliveries = accept::create(view, ctx, &accepting, std::slice::from_ref(endpoint))?;
            view.entries.put(entry.id, entry);
        }
        Ok(finish(view, ctx, &self.call, answered, &deliveries, (action, "")))
    }
}

impl AnswerReferral {
    fn reply(
        &self,
        referral: &Referral,
        accepted: bool,
        decline_reason: Option<DeclineReason>,
        reason_text: Option<Private<String>>,
        assigned_to: Option<Author>,
        now: Timestamp,
    ) -> ReferralReply {
        let in_reply_to = referral.received_control_id.clone();
        ReferralReply { accepted, decline_reason, reason_text, assigned_to, answered_at: now, in_reply_to }
    }
}

impl Write for ChangeReferral {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.referrals.insert(self.referral_id);
        keys.patients.extend(view.referrals.get(&self.referral_id).map(|r| r.patient_id));
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let (referral, _) = episode(view, &self.call, self.referral_id)?;
        let (changed, action) = match &self.change {
            ReferralChange::Assign(to) => (referral.assign(to.clone(), ctx.now), "referral.assign"),
            ReferralChange::Close { reason, at } => {
                (referral.close(*reason, at.unwrap_or(ctx.now), ctx.now), "referral.close")
            }
        };
        let changed = changed.map_err(|e| match e {
            WrongReferralState::ClosedBeforeAccepted => {
                let mut broken = Violations::default();
                broken.add("closed_at", e.to_string());
                Refusal::Broken(broken)
            }
            _ => Refusal::WrongState(e.to_string()),
        })?;
        Ok(finish(view, ctx, &self.call, changed, &[], (action, "")))
    }
}

fn finish(
    view: &mut View,
    ctx: &Ctx<'_>,
    call: &Call,
    referral: Referral,
    deliveries: &[Delivery],
    did: (&'static str, &str),
) -> Answered {
    let (action, why) = did;
    let about = About {
        trust: &referral.trust,
        action,
        kind: "referral",
        id: referral.id.0,
        patient: Some(referral.patient_id),
        why,
    };
    audit(view, &call.actor, ctx.now, &about);
    let deliveries = deliveries.iter().map(|d| d.id).collect();
    let answer =
        Answer { subject: referral.id.0, version: referral.version, deliveries, more: serde_json::Value::Null };
    view.put_referral(referral);
    call.answer(view, answer)
}
