//! A death that the record tells of when it is asked for a patient, before a message is made. It is the patient's, as one that comes by message is: it holds
//! what is queued for them anywhere and what is written later, and ends as that one does.

use super::super::error::WriteError;
use super::super::record::Actor;
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::referral::put_patient;
use super::{About, audit, merge};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::standing::PatientKey;
use crate::domain::text::Private;
use jiff::civil::Date;

pub struct HeardOfDeath {
    /// Which was asked.
    pub endpoint: EndpointId,
    pub trust: OdsCode,
    /// By which it was asked, and which its answer bears.
    pub nhs_number: NhsNumber,
    pub died_on: Option<Private<Date>>,
}

impl Write for HeardOfDeath {
    type Answer = ();

    fn needs(&self, view: &View, keys: &mut Keys) {
        merge::key_needs(view, keys, &self.trust, &[PatientKey::NhsNumber(self.nhs_number)]);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<(), WriteError> {
        let key = PatientKey::NhsNumber(self.nhs_number);
        // Whose number it was before a merge has to be asked for by the number they have now.
        let known = merge::patient(view, &self.trust, &key).filter(|p| p.holds(&key)).cloned();
        let Some(known) = known else { return Ok(()) };
        let dead = known.found_dead(self.died_on, ctx.now);
        if dead.version == known.version {
            // It was known. Only that it was said again now is new, and that makes nobody look at the patient again.
            view.patients.put(dead.id, dead);
            return Ok(());
        }
        put_patient(view, Some(&known), &dead);
        let actor = Actor { principal: format!("endpoint:{}", self.endpoint), role: "epr_system".into() };
        let about = About {
            trust: &self.trust,
            action: "patient.update",
            kind: "patient",
            id: dead.id.0,
            patient: Some(dead.id),
            why: "the record said, when it was asked for the patient, that they have died",
        };
        audit(view, &actor, ctx.now, &about);
        Ok(())
    }
}
