//! What the far end says of a document by a call of its own: received, filed, refused. Whoever calls has looked the delivery up.

use super::super::error::{Refusal, StoreError, WriteError};
use super::super::record::{Answer, Answered, Reply};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::accept::happen;
use super::operate::as_answered;
use super::outbox::made_for_others;
use super::report::{may_mean_another, needs_delivery};
use super::{About, Call, audit};
use crate::domain::decide::Happened;
use crate::domain::delivery::{Delivery, EvidenceKind, State};
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use crate::domain::verdict::Meaning;

/// One statement about one document. `more` of the answer is the delivery as it was then.
pub struct Said {
    pub call: Call,
    pub endpoint: EndpointId,
    pub delivery: DeliveryId,
    /// The message that is meant; `None`: the document, whichever message brought it.
    pub control_id: Option<String>,
    /// What a positive one proves.
    pub evidence: EvidenceKind,
    /// As the audit calls it.
    pub action: &'static str,
    pub reply: Reply,
}

impl Write for Said {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        needs_delivery(view, keys, self.delivery);
        keys.patients.extend(view.deliveries.get(&self.delivery).map(|d| d.patient_id));
        if let Some(control_id) = &self.control_id {
            let key = (self.endpoint.clone(), control_id.clone());
            keys.renderings.extend(view.renderings_by_control.get(&key));
            keys.renderings_by_control.insert(key);
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let answered = self
            .control_id
            .as_ref()
            .and_then(|c| view.renderings_by_control.get(&(self.endpoint.clone(), c.clone())).copied());
        let seen = view.deliveries.get(&self.delivery).filter(|d| {
            d.endpoint == self.endpoint
                && self.call.scope.has_endpoint(&d.trust, &d.endpoint)
                // Nobody can speak of a document that never left.
                && d.attempts > 0
                && (self.control_id.is_none() || answered.and_then(|r| view.renderings.get(&r)).is_some_and(|r| r.delivery_id == d.id))
        });
        let before = seen.ok_or(Refusal::NotFound("document"))?.clone();
        // The answer to the bytes on their way decides first; then this one counts for what it says.
        if before.state == State::Sending {
            return Err(StoreError::Conflict("the document is on its way this moment".into()).into());
        }
        let verdict = self.reply.verdict.clone();
        self.same_record(&before)?;
        let positive = verdict.meaning == Meaning::Positive;
        let meant_for_others = match &self.control_id {
            Some(_) => made_for_others(view, ctx, &before, answered),
            None => may_mean_another(&before),
        };
        let happened = if positive && meant_for_others {
            Happened::EarlierConfirmed { verdict }
        } else {
            Happened::Late { verdict, evidence: positive.then_some(self.evidence), reply: self.reply.id }
        };
        let after = happen(view, ctx, &before, &happened, &self.call.actor.principal)?;
        // That it was received was the answer to the attempt itself, and is kept there.
        if after != before || self.evidence != EvidenceKind::TransportAck {
            view.replies.push(Reply { delivery_id: Some(before.id), unmatched: false, ..self.reply.clone() });
        }
        let about = About {
            trust: &after.trust,
            action: self.action,
            kind: "delivery",
            id: after.id.0,
            patient: Some(after.patient_id),
            why: &self.reply.verdict.code,
        };
        audit(view, &self.call.actor, ctx.now, &about);
        let more = as_answered(&after)?;
        Ok(self
            .call
            .answer(view, Answer { subject: after.id.0, version: after.version, deliveries: vec![after.id], more }))
    }
}

impl Said {
    /// Two ids of the record's for one document are perhaps two copies of it: whoever says so has to look first.
    fn same_record(&self, d: &Delivery) -> Result<(), Refusal> {
        let reported = d.evidence.iter().any(|e| e.kind == EvidenceKind::VendorReport);
        let said = self.reply.verdict.record_id.as_ref();
        if d.state == State::Filed && reported && said.is_some() && d.record_id.as_ref() != said {
            let what = "the document was reported as filed under another record id; it may stand in the record twice: look there";
            return Err(Refusal::WrongState(what.into()));
        }
        Ok(())
    }
}
