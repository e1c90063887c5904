//! What an EPR sent us, kept raw, in the same commit as what it changed.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Actor, Inbound, InboundState, Raw};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::referral::CreateReferral;
use super::{About, audit};
use crate::domain::ids::ReferralId;
use crate::domain::referral::{Referral, ReferralState};

/// A message that changes nothing: unreadable, refused, ignored, or not yet understood.
pub struct Receive {
    pub inbound: Inbound,
}

/// A referral that came as a message. `reply` makes the acknowledgement from what became of it, so that a repeat is answered the same.
pub struct ReceivedReferral {
    pub inbound: Inbound,
    pub referral: CreateReferral,
    pub reply: MakeReply,
}

/// The acknowledgement for what became of a message.
pub type MakeReply = Box<dyn Fn(Result<ReferralId, &Refusal>) -> Vec<u8> + Send + Sync>;

pub(super) fn keep(view: &mut View, ctx: &Ctx<'_>, inbound: Inbound) {
    let action = match inbound.state {
        InboundState::Applied => "inbound.apply",
        InboundState::Ignored => "inbound.ignore",
        InboundState::Parked | InboundState::Received => "inbound.keep",
    };
    let about = About {
        trust: &inbound.trust,
        action,
        kind: "inbound message",
        id: inbound.id.0,
        patient: None,
        why: &inbound.reason,
    };
    let actor = Actor { principal: format!("endpoint:{}", inbound.endpoint), role: "epr_system".into() };
    audit(view, &actor, ctx.now, &about);
    view.inbound.put(inbound.id, inbound);
}

impl Write for Receive {
    type Answer = Vec<u8>;

    fn needs(&self, _view: &View, keys: &mut Keys) {
        keys.inbound.insert(self.inbound.id);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Vec<u8>, WriteError> {
        let reply = self.inbound.reply.0.clone();
        keep(view, ctx, self.inbound.clone());
        Ok(reply)
    }
}

impl ReceivedReferral {
    /// A referral that came by the API first, and was not answered yet: from now on there is somebody to answer.
    fn answers_to(&self, view: &mut View, ctx: &Ctx<'_>, known: Referral) {
        let Some((endpoint, control_id)) = self.referral.received_from.clone() else { return };
        if known.state != ReferralState::Received || known.received_from.is_some() {
            return;
        }
        let told = Referral {
            version: known.version + 1,
            received_from: Some(endpoint),
            received_control_id: Some(control_id),
            touched_at: ctx.now,
            ..known
        };
        view.put_referral(told);
    }
}

impl Write for ReceivedReferral {
    type Answer = Vec<u8>;

    fn needs(&self, view: &View, keys: &mut Keys) {
        keys.inbound.insert(self.inbound.id);
        self.referral.needs(view, keys);
    }

    /// A refusal by our rules is no failure of the write: the message is kept, and answered with the reason.
    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Vec<u8>, WriteError> {
        let mut inbound = self.inbound.clone();
        let result = match self.referral.decide(view, ctx) {
            Ok(answered) => {
                let id = ReferralId(answered.answer().subject);
                inbound.referral_id = Some(id);
                inbound.state = InboundState::Applied;
                Ok(id)
            }
            // The same referral again, by another message or by the API: it is one referral, and we have it.
            Err(WriteError::Refused(Refusal::ExternalIdTaken(id))) => {
                self.referral.known_already(view, id).map(|known| {
                    inbound.referral_id = Some(id);
                    inbound.state = InboundState::Applied;
                    inbound.reason = "the referral was known already".into();
                    self.answers_to(view, ctx, known);
                    id
                })
            }
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(store) => return Err(store),
        };
        if let Err(refusal) = &result {
            inbound.state = InboundState::Parked;
            inbound.reason = match refusal {
                Refusal::Broken(broken) => {
                    broken.0.iter().map(|v| format!("{}: {}", v.field, v.rule)).collect::<Vec<_>>().join("; ")
                }
                other => other.to_string(),
            };
        }
        let reply = (self.reply)(result.as_ref().copied());
        inbound.reply = Raw(reply.clone());
        keep(view, ctx, inbound);
        Ok(reply)
    }
}
