//! What an EPR sent us, kept raw, in the same commit as what it changed.

use super::super::error::{Refusal, WriteError};
use super::super::record::{Actor, Inbound, InboundState, Raw};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::referral::CreateReferral;
use super::{About, audit};

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
pub type MakeReply = Box<dyn Fn(Result<(), &Refusal>) -> Vec<u8> + Send + Sync>;

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
                inbound.referral_id = Some(crate::domain::ids::ReferralId(answered.answer().subject));
                inbound.state = InboundState::Applied;
                Ok(())
            }
            // The same referral again, by another message or by the API: it is one referral, and we have it.
            Err(WriteError::Refused(Refusal::ExternalIdTaken(id))) => {
                inbound.referral_id = Some(id);
                inbound.state = InboundState::Applied;
                inbound.reason = "the referral was known already".into();
                Ok(())
            }
            Err(WriteError::Refused(refusal)) => {
                inbound.state = InboundState::Parked;
                inbound.reason = refusal.to_string();
                Err(refusal)
            }
            Err(store) => return Err(store),
        };
        let reply = (self.reply)(result.as_ref().map(|_| ()));
        inbound.reply = Raw(reply.clone());
        keep(view, ctx, inbound);
        Ok(reply)
    }
}
