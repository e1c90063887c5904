//! What the far end says of a document by a call of its own: received, filed, refused. Whoever calls has looked the delivery up.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Answer, Answered, Reply};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::accept::happen;
use super::names;
use super::operate::as_answered;
use super::outbox::made_for_others;
use super::report::{may_mean_another, needs_delivery};
use super::{About, Call, audit};
use crate::domain::decide::Happened;
use crate::domain::delivery::{Delivery, EvidenceKind, State};
use crate::domain::entry::EntryAction;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use crate::domain::verdict::{Level, Meaning, Verdict};

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
        names::needs(view, keys, self.delivery, self.reply.verdict.record_id.as_deref());
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
                && d.may_have_gone()
                && (self.control_id.is_none() || answered.and_then(|r| view.renderings.get(&r)).is_some_and(|r| r.delivery_id == d.id))
        });
        let before = seen.ok_or(Refusal::NotFound("document"))?.clone();
        self.names_one(view, &before)?;
        let seen_version = Some(before.version);
        let verdict = self.reply.verdict.clone();
        let positive = verdict.meaning == Meaning::Positive;
        let policy = ctx.rules.policies.get(&self.endpoint).map(AsRef::as_ref);
        let of_another = |id: &str| names::is_another_patients(view, policy, (&before, id), Delivery::may_bear);
        if verdict.record_id.as_deref().is_some_and(of_another) {
            let what = "a document of another patient stands under this record id here; look which of the two the record means, and report that one under an id of its own";
            return Err(Refusal::WrongState(what.into()).into());
        }
        let (meant_for_others, in_hand) = match &self.control_id {
            Some(_) => (made_for_others(view, ctx, &before, answered), answered == before.rendering),
            None => (may_mean_another(&before), !may_mean_another(&before)),
        };
        // Whoever speaks of what is on its way has it: that answers the attempt, in whichever bridge's hand it is. Then this counts for what it says.
        let before = if before.state == State::Sending && before.begun && in_hand {
            let happened = Happened::Replied { verdict: received(), reply: self.reply.id };
            happen(view, ctx, &before, &happened, &self.call.actor.principal)?
        } else {
            before
        };
        let happened = if positive && meant_for_others {
            Happened::EarlierConfirmed { verdict }
        } else {
            Happened::Late { verdict, evidence: positive.then_some(self.evidence), reply: self.reply.id }
        };
        let after = happen(view, ctx, &before, &happened, &self.call.actor.principal)?;
        // Said again, that it was received adds nothing.
        if Some(after.version) != seen_version || self.evidence != EvidenceKind::TransportAck {
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
    /// A withdrawal that went bears the id of the document it takes back: by that id nobody can tell which of the two is meant.
    fn names_one(&self, view: &View, d: &Delivery) -> Result<(), Refusal> {
        let chain = view.chain(d.subject.uuid(), &self.endpoint);
        let taken_back =
            |o: &Delivery| o.lane_seq > d.lane_seq && o.action == EntryAction::Withdraw && o.may_have_gone();
        if self.control_id.is_none() && chain.iter().any(taken_back) {
            let what = "the document was withdrawn, and its id may mean the withdrawal too; say by control_id which message you speak of";
            return Err(Refusal::WrongState(what.into()));
        }
        Ok(())
    }
}

/// The far end has the message.
fn received() -> Verdict {
    Verdict {
        meaning: Meaning::Positive,
        level: Level::Transport,
        code: "confirmed".into(),
        duplicate: false,
        untold: false,
        misplaced: false,
        record_id: None,
    }
}
