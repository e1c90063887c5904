//! Every read of a patient's data is written down before the data leaves the bridge: who, in which role, what, when.

use super::edge::Caller;
use super::error::Error;
use crate::domain::delivery::Delivery;
use crate::domain::ids::PatientId;
use crate::domain::note::Note;
use crate::domain::organisation::OdsCode;
use crate::domain::outcome::Outcome;
use crate::domain::person::Patient;
use crate::domain::referral::Referral;
use crate::domain::text::Private;
use crate::store::record::{Answered, Audit, Inbound};
use crate::store::write::ReadAudit;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What was read.
pub struct Read<'a> {
    pub trust: &'a OdsCode,
    pub kind: &'static str,
    pub id: Option<Uuid>,
    pub patient: Option<PatientId>,
}

impl<'a> From<&'a Patient> for Read<'a> {
    fn from(p: &'a Patient) -> Self {
        Self { trust: &p.trust, kind: "patient", id: Some(p.id.0), patient: Some(p.id) }
    }
}

impl<'a> From<&'a Referral> for Read<'a> {
    fn from(r: &'a Referral) -> Self {
        Self { trust: &r.trust, kind: "referral", id: Some(r.id.0), patient: Some(r.patient_id) }
    }
}

impl<'a> From<&'a Note> for Read<'a> {
    fn from(n: &'a Note) -> Self {
        Self { trust: &n.trust, kind: "progress note", id: Some(n.id.0), patient: Some(n.patient_id) }
    }
}

impl<'a> From<&'a Outcome> for Read<'a> {
    fn from(o: &'a Outcome) -> Self {
        Self { trust: &o.trust, kind: "outcome", id: Some(o.id.0), patient: Some(o.patient_id) }
    }
}

impl<'a> From<&'a Delivery> for Read<'a> {
    fn from(d: &'a Delivery) -> Self {
        Self { trust: &d.trust, kind: "delivery", id: Some(d.id.0), patient: Some(d.patient_id) }
    }
}

impl<'a> From<&'a Inbound> for Read<'a> {
    fn from(i: &'a Inbound) -> Self {
        Self { trust: &i.trust, kind: "inbound message", id: Some(i.id.0), patient: None }
    }
}

impl Caller {
    /// Call it before anything of what was read is answered. Nothing read, nothing written.
    pub async fn audit<'a, R: Into<Read<'a>>>(
        &self,
        action: &'static str,
        read: impl IntoIterator<Item = R>,
    ) -> Result<(), Error> {
        self.audit_for(action, "", read).await
    }

    /// Of a change that was answered before: what it did was written down then, and what it answers is read now.
    pub async fn audit_repeat<'a, R: Into<Read<'a>>>(
        &self,
        answered: &Answered,
        action: &'static str,
        read: R,
    ) -> Result<(), Error> {
        match answered {
            Answered::Fresh(_) => Ok(()),
            Answered::Repeated(_) => self.audit(action, [read]).await,
        }
    }

    /// With the reason that the caller gave.
    pub async fn audit_for<'a, R: Into<Read<'a>>>(
        &self,
        action: &'static str,
        why: &str,
        read: impl IntoIterator<Item = R>,
    ) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        let rows: Vec<Audit> = read
            .into_iter()
            .map(Into::into)
            .filter(|r: &Read<'_>| r.id.is_none() || seen.insert((r.kind, r.id)))
            .map(|r| Audit {
                at: self.now,
                trust: r.trust.clone(),
                actor: self.actor(),
                action,
                subject_kind: r.kind,
                subject_id: r.id,
                patient_id: r.patient,
                why: Private(why.to_owned()),
                outcome: "done",
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        Ok(self.store().audit_reads(ReadAudit(rows)).await?)
    }
}
