//! What people do to deliveries and endpoints.

use super::super::error::{Refusal, StoreError, WriteError};
use super::super::record::{Answer, Answered, EndpointState, Gate, Paused};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::accept::{self, Accepting, happen};
use super::{About, Call, audit};
use crate::domain::decide::Happened;
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Entry, Subject};
use crate::domain::ids::{DeliveryId, EntryId, PatientId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::text::Private;
use serde::{Deserialize, Serialize};

/// One thing done to some deliveries.
#[derive(Debug, Clone)]
pub enum Operation {
    Retry {
        may_be_in_record_acknowledged: bool,
    },
    Rerender {
        may_be_in_record_acknowledged: bool,
    },
    Park,
    Cancel {
        may_be_in_record_acknowledged: bool,
    },
    /// Parks, as of unknown outcome, what would be sent by itself after an older record was put back.
    ParkRestored,
}

/// Done to each on its own: what cannot be done to one does not stop the others.
pub struct Operate {
    pub call: Call,
    pub deliveries: Vec<DeliveryId>,
    pub operation: Operation,
    pub reason: String,
    /// A single delivery asked for by name: its refusal is the call's, and `more` of the answer is the delivery as it was then. Otherwise `more` is
    /// the list of those not done ([`NotDone`]).
    pub single: bool,
}

/// One of many that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotDone {
    pub delivery: DeliveryId,
    pub kind: NotDoneKind,
    /// In words, without patient data.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotDoneKind {
    NotFound,
    MayBeInRecord,
    WrongState,
}

impl NotDone {
    pub fn new(delivery: DeliveryId, refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::NotFound(_) => NotDoneKind::NotFound,
            Refusal::MayBeInRecord => NotDoneKind::MayBeInRecord,
            _ => NotDoneKind::WrongState,
        };
        Self { delivery, kind, why: refusal.to_string() }
    }

    /// Those of an answer. Answers of releases before this one held a line for each: `id: why`.
    pub fn all(more: &serde_json::Value) -> Option<Vec<Self>> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Kept {
            Line(String),
            Whole(NotDone),
        }
        let read = |kept| match kept {
            Kept::Whole(whole) => Some(whole),
            Kept::Line(line) => {
                let (id, why) = line.split_once(": ")?;
                let delivery = id.parse().ok()?;
                Some(Self { delivery, kind: NotDoneKind::WrongState, why: why.to_owned() })
            }
        };
        let kept: Vec<Kept> = serde_json::from_value(more.clone()).ok()?;
        kept.into_iter().map(read).collect()
    }
}

impl Operate {
    fn seen<'v>(&self, view: &'v View, id: DeliveryId) -> Result<&'v Delivery, Refusal> {
        view.deliveries
            .get(&id)
            .filter(|d| self.call.scope.has_endpoint(&d.trust, &d.endpoint))
            .ok_or(Refusal::NotFound("delivery"))
    }

    fn sends_again(&self) -> bool {
        matches!(self.operation, Operation::Retry { .. } | Operation::Rerender { .. })
    }

    fn happened(&self, view: &View, ctx: &Ctx<'_>, id: DeliveryId) -> (Happened, &'static str) {
        match &self.operation {
            Operation::Retry { may_be_in_record_acknowledged: ack } => {
                (Happened::Retried { may_be_in_record_acknowledged: *ack }, "delivery.retry")
            }
            Operation::Rerender { may_be_in_record_acknowledged: ack } => {
                let delivery = view.deliveries.get(&id);
                let patient = delivery.and_then(|d| view.patients.get(&d.patient_id));
                let identity_now = patient.map(|p| Box::new(p.details.identity()));
                let made_from = delivery.and_then(|d| view.renderings.get(&d.rendering?)).map(|r| &r.made_from);
                let policy = delivery.and_then(|d| ctx.rules.policies.get(&d.endpoint));
                let holds = made_from.zip(identity_now.as_ref()).zip(policy).map(|((m, i), p)| m.holds_now(i, p));
                let for_others = made_from.is_some() && holds != Some(true);
                (
                    Happened::Rerendered { may_be_in_record_acknowledged: *ack, identity_now, for_others },
                    "delivery.rerender",
                )
            }
            Operation::Park => (Happened::Stopped { why: Private(self.reason.clone()) }, "delivery.park"),
            Operation::Cancel { may_be_in_record_acknowledged: ack } => {
                let by = self.call.actor.principal.clone();
                (
                    Happened::CancelledBy {
                        by,
                        why: Private(self.reason.clone()),
                        may_be_in_record_acknowledged: *ack,
                    },
                    "delivery.cancel",
                )
            }
            Operation::ParkRestored => (Happened::Restored, "delivery.park_restored"),
        }
    }
}

/// It would wait where nobody ever looks.
pub fn unserved() -> Refusal {
    Refusal::WrongState("nothing is sent to its endpoint: config does not have it for this trust; put the endpoint back first, or see to it in the record by hand and cancel".into())
}

impl Write for Operate {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.deliveries.extend(&self.deliveries);
        for d in self.deliveries.iter().filter_map(|id| view.deliveries.get(id)) {
            keys.chains.insert(d.subject.uuid());
            keys.lanes.insert((d.endpoint.clone(), d.patient_id));
            keys.patients.insert(d.patient_id);
            keys.renderings.extend(d.rendering);
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let (mut done, mut not_done) = (Vec::new(), Vec::new());
        let mut version = 0;
        let mut single = serde_json::Value::Null;
        for id in self.deliveries.clone() {
            let (happened, action) = self.happened(view, ctx, id);
            let seen = self.seen(view, id).cloned().and_then(|d| match self.sends_again() {
                true if !accept::serves(ctx, &d.endpoint, &d.trust) => Err(unserved()),
                _ => Ok(d),
            });
            let result = seen.and_then(|d| happen(view, ctx, &d, &happened, &self.call.actor.principal));
            match result {
                Ok(d) => {
                    let about = About {
                        trust: &d.trust,
                        action,
                        kind: "delivery",
                        id: d.id.0,
                        patient: Some(d.patient_id),
                        why: &self.reason,
                    };
                    audit(view, &self.call.actor, ctx.now, &about);
                    version = d.version;
                    if self.single {
                        single = as_answered(&d)?;
                    }
                    done.push(d.id);
                }
                Err(refusal) if self.single => return Err(refusal.into()),
                Err(refusal) => not_done.push(NotDone::new(id, &refusal)),
            }
        }
        let subject = done.first().map_or(uuid::Uuid::nil(), |d| d.0);
        let more = if self.single { single } else { serde_json::json!(not_done) };
        Ok(self.call.answer(view, Answer { subject, version, deliveries: done, more }))
    }
}

/// A delivery as it was when a call about it was answered, for a repeat of that call: its versions are not kept otherwise.
pub(super) fn as_answered(delivery: &Delivery) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(delivery).map_err(|_| StoreError::Inconsistent {
        table: "request",
        what: "a delivery that cannot be written down".into(),
    })
}

/// Pauses an endpoint, or lets it go on.
pub struct SetPaused {
    pub call: Call,
    pub trust: OdsCode,
    pub endpoint: EndpointId,
    pub paused: bool,
    pub reason: String,
}

impl Write for SetPaused {
    type Answer = Answered;

    fn needs(&self, _view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.endpoints.insert(self.endpoint.clone());
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let of_trust = ctx.rules.policies.get(&self.endpoint).is_some_and(|p| p.trust == self.trust);
        if !of_trust || !self.call.scope.has_endpoint(&self.trust, &self.endpoint) {
            return Err(Refusal::NotFound("endpoint").into());
        }
        let mut state =
            view.endpoints.get(&self.endpoint).cloned().unwrap_or_else(|| EndpointState::new(self.endpoint.clone()));
        let by = self.call.actor.principal.clone();
        if let Some(first) = state.paused.as_ref().filter(|_| self.paused) {
            // One resume would lift both, and nobody would know of the first.
            let (by, at) = (&first.by, first.at.strftime("%Y-%m-%d %H:%M:%SZ"));
            let what =
                format!("the endpoint is paused already, by {by} since {at}; it stays so, and its status says why");
            return Err(Refusal::WrongState(what).into());
        }
        state.paused = self.paused.then(|| Paused { by, why: Private(self.reason.clone()), at: ctx.now });
        // Who resumes it says that it is worth a try now, whatever closed it.
        if !self.paused && state.gate == Gate::Closed {
            (state.until, state.told_until) = (None, None);
        }
        view.endpoints.put(self.endpoint.clone(), state);
        let action = if self.paused { "endpoint.pause" } else { "endpoint.resume" };
        let about = About {
            trust: &self.trust,
            action,
            kind: "endpoint",
            id: uuid::Uuid::nil(),
            patient: None,
            why: &format!("{}: {}", self.endpoint, self.reason),
        };
        audit(view, &self.call.actor, ctx.now, &about);
        Ok(self.call.answer(
            view,
            Answer { subject: uuid::Uuid::nil(), version: 0, deliveries: Vec::new(), more: serde_json::Value::Null },
        ))
    }
}

/// Deliveries to one endpoint for entries written before it was there. Nothing goes to it twice. `more` of the answer is the number of entries asked for.
pub struct Backfill {
    pub call: Call,
    pub endpoint: EndpointId,
    pub entries: Vec<EntryId>,
    pub reason: String,
}

impl Write for Backfill {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        keys.entries.extend(&self.entries);
        for entry in self.entries.iter().filter_map(|e| view.entries.get(e)) {
            keys.chains.insert(entry.subject.uuid());
            keys.lanes.extend(patient_of(view, entry).map(|patient| (self.endpoint.clone(), patient)));
            match entry.subject {
                Subject::Note(id) => drop(keys.notes.insert(id)),
                Subject::Outcome(id) => drop(keys.outcomes.insert(id)),
                Subject::Referral(_) => {}
            }
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let policy = ctx.rules.policies.get(&self.endpoint).filter(|p| self.call.scope.has_endpoint(&p.trust, &p.id));
        let trust = policy.ok_or(Refusal::NotFound("endpoint"))?.trust.clone();
        let mut made = Vec::new();
        for id in self.entries.clone() {
            let Some(mut entry) = view.entries.get(&id).filter(|e| e.trust == trust).cloned() else { continue };
            // Whose it is by now: the entry itself keeps the patient it was written for.
            entry.patient_id = patient_of(view, &entry).unwrap_or(entry.patient_id);
            if !view.chain(entry.subject.uuid(), &self.endpoint).is_empty() || !stands(view, &entry) {
                continue;
            }
            let accepting = Accepting {
                entry: &entry,
                actor: &self.call.actor,
                release_at: None,
                trace: self.call.trace.as_deref(),
            };
            let deliveries = accept::create(view, ctx, &accepting, std::slice::from_ref(&self.endpoint))?;
            let about = About {
                trust: &entry.trust,
                action: "delivery.backfill",
                kind: "entry",
                id: entry.id.0,
                patient: Some(entry.patient_id),
                why: &self.reason,
            };
            audit(view, &self.call.actor, ctx.now, &about);
            made.extend(deliveries.iter().map(|d| d.id));
        }
        Ok(self.call.answer(
            view,
            Answer {
                subject: uuid::Uuid::nil(),
                version: 0,
                deliveries: made,
                more: serde_json::json!(self.entries.len()),
            },
        ))
    }
}

/// Whose note or outcome it is now, after merges. `None` while that is not read.
fn patient_of(view: &View, entry: &Entry) -> Option<PatientId> {
    match entry.subject {
        Subject::Note(id) => view.notes.get(&id).map(|n| n.patient_id),
        Subject::Outcome(id) => view.outcomes.get(&id).map(|o| o.patient_id),
        Subject::Referral(_) => Some(entry.patient_id),
    }
}

/// The entry is what its note or outcome says now: not replaced, not withdrawn since it was listed. Referral replies go where the
/// referral came from, nowhere else.
fn stands(view: &View, entry: &Entry) -> bool {
    match entry.subject {
        Subject::Note(id) => view.notes.get(&id).is_some_and(|n| n.version == entry.version && !n.withdrawn),
        Subject::Outcome(id) => view.outcomes.get(&id).is_some_and(|o| o.version == entry.version && !o.withdrawn),
        Subject::Referral(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_reads_back_also_as_an_older_release_wrote_it() {
        let id = DeliveryId(uuid::Uuid::from_u128(7));
        let not = NotDone::new(id, &Refusal::MayBeInRecord);
        assert_eq!(NotDone::all(&serde_json::json!([not])), Some(vec![not]));
        let line = format!("{id}: the delivery is QUEUED: a retry needs PARKED");
        let read = NotDone::all(&serde_json::json!([line])).unwrap().remove(0);
        assert_eq!((read.delivery, read.kind), (id, NotDoneKind::WrongState));
        assert_eq!(read.why, "the delivery is QUEUED: a retry needs PARKED");
        assert_eq!(NotDone::all(&serde_json::json!({})), None);
    }
}
