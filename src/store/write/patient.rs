//! What the record knows about a person, changed. Deliveries look at it again before every send.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Answer, Answered};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::referral::{patient_needs, put_patient};
use super::told::taken;
use super::{About, Call, audit};
use crate::domain::ids::PatientId;
use crate::domain::person::{Patient, PatientDetails};

/// What cannot be done with a record that lives on in another one.
pub(super) const MERGED: &str =
    "the patient's record was merged into another one; merged_into of GetPatient names it, use that patient";

pub struct UpdatePatient {
    pub call: Call,
    pub patient_id: PatientId,
    pub version_seen: i64,
    pub details: PatientDetails,
    pub reason: String,
}

impl Write for UpdatePatient {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.patients.insert(self.patient_id);
        if let Some(patient) = view.patients.get(&self.patient_id) {
            patient_needs(view, keys, &patient.trust, &self.details);
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let known = view.patients.get(&self.patient_id).filter(|p| self.call.scope.has_trust(&p.trust));
        let known = known.ok_or(Refusal::NotFound("patient"))?.clone();
        if known.version != self.version_seen {
            return Err(Refusal::VersionConflict { seen: self.version_seen, now: known.version }.into());
        }
        if known.standing.merged_into.is_some() {
            return Err(Refusal::WrongState(MERGED.into()).into());
        }
        let mut patient =
            Patient { version: known.version + 1, details: self.details.clone(), updated_at: ctx.now, ..known.clone() };
        // Who is meant is certain again: somebody has looked.
        patient.standing.doubt = None;
        if patient.standing.location_shielded {
            patient.shield();
        }
        if taken(view, &patient) {
            return Err(Refusal::IdentifierTaken.into());
        }
        put_patient(view, Some(&known), &patient);
        let about = About {
            trust: &patient.trust,
            action: "patient.update",
            kind: "patient",
            id: patient.id.0,
            patient: Some(patient.id),
            why: &self.reason,
        };
        audit(view, &self.call.actor, ctx.now, &about);
        let answer = Answer {
            subject: patient.id.0,
            version: patient.version,
            deliveries: Vec::new(),
            more: serde_json::Value::Null,
        };
        Ok(self.call.answer(view, answer))
    }
}
