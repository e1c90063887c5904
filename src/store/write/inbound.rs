//! What an EPR sent us, kept raw, in the same commit as what it changed.

use super::super::error::{Refusal, StoreError, WriteError};
use super::super::record::{Actor, Answer, Answered, Inbound, InboundState, Raw};
use super::super::rows::{ControlKey, Keys, View};
use super::super::rowset::as_stored;
use super::super::writer::{Ctx, Write};
use super::referral::CreateReferral;
use super::told::ReceivedTold;
use super::{About, Call, audit};
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
        // It was sent again and looked at while a person had it run: what was made of it stands.
        if let Some(applied) = view.inbound.get(&self.inbound.id).filter(|kept| kept.state == InboundState::Applied) {
            return Ok(applied.reply.0.clone());
        }
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

const OTHERWISE: &str = "this referral came before from the same sender, and this message says something else of it; it is not taken for a repeat. A change comes as one (REF^I13), or a person makes it here";

impl ReceivedReferral {
    /// The same sender's referral again, with other content, and no change of it was told in between.
    fn says_otherwise(&self, known: &Referral) -> bool {
        let sender = self.referral.received_from.as_ref().map(|(endpoint, _)| endpoint);
        known.as_received
            && known.received_from.as_ref() == sender
            && known.told_at.is_none()
            && known.details != self.referral.details
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
                self.referral.known_already(view, id).and_then(|known| {
                    if self.says_otherwise(&known) {
                        return Err(Refusal::WrongState(OTHERWISE.into()));
                    }
                    inbound.referral_id = Some(id);
                    inbound.state = InboundState::Applied;
                    inbound.reason = "the referral was known already".into();
                    self.referral.shield(view, ctx, known.patient_id);
                    self.answers_to(view, ctx, known);
                    Ok(id)
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

/// A message as it is to be taken in, whatever it is about.
pub enum Received {
    Kept(Box<Receive>),
    Referral(Box<ReceivedReferral>),
    Told(Box<ReceivedTold>),
}

impl From<Receive> for Received {
    fn from(kept: Receive) -> Self {
        Self::Kept(Box::new(kept))
    }
}

impl From<ReceivedReferral> for Received {
    fn from(referral: ReceivedReferral) -> Self {
        Self::Referral(Box::new(referral))
    }
}

impl From<ReceivedTold> for Received {
    fn from(told: ReceivedTold) -> Self {
        Self::Told(Box::new(told))
    }
}

impl Received {
    pub fn inbound(&self) -> &Inbound {
        match self {
            Self::Kept(kept) => &kept.inbound,
            Self::Referral(referral) => &referral.inbound,
            Self::Told(told) => &told.inbound,
        }
    }
}

impl Write for Received {
    type Answer = Vec<u8>;

    fn needs(&self, view: &View, keys: &mut Keys) {
        match self {
            Self::Kept(kept) => kept.needs(view, keys),
            Self::Referral(referral) => referral.needs(view, keys),
            Self::Told(told) => told.needs(view, keys),
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Vec<u8>, WriteError> {
        match self {
            Self::Kept(kept) => kept.decide(view, ctx),
            Self::Referral(referral) => referral.decide(view, ctx),
            Self::Told(told) => told.decide(view, ctx),
        }
    }
}

/// A message that is taken for new: it is taken in where nothing came under its id from its sender before. Looked for with everything else that has
/// to be known, so that a new one, as nearly all are, costs no look of its own.
pub struct TakenForNew(Received);

impl TakenForNew {
    pub fn new(mut received: Received) -> Self {
        // Its id says whether it is a repeat.
        if let Received::Referral(referral) = &mut received {
            referral.referral.call.request = None;
        }
        Self(received)
    }

    fn key(&self) -> ControlKey {
        let inbound = self.0.inbound();
        let text = |text: &str| as_stored(text).into_owned();
        (inbound.endpoint.clone(), text(&inbound.source), text(&inbound.control_id))
    }
}

impl Write for TakenForNew {
    /// The acknowledgement; `None`: something did, and nothing was written.
    type Answer = Option<Vec<u8>>;

    fn needs(&self, view: &View, keys: &mut Keys) {
        keys.inbound_by_control.insert(self.key());
        self.0.needs(view, keys);
        // Its own id was made for it: nothing is there under it.
        keys.inbound.remove(&self.0.inbound().id);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Option<Vec<u8>>, WriteError> {
        let key = self.key();
        if view.inbound_by_control.get(&key).is_some() {
            return Ok(None);
        }
        let answer = self.0.decide(view, ctx)?;
        view.inbound_by_control.found(key, ());
        Ok(Some(answer))
    }
}

/// A parked message that a person has run again. `more` of the answer is the message as it is then.
pub struct Reprocess {
    pub call: Call,
    /// What it is taken as now, under its own id and with the time it came.
    pub again: Received,
    pub reason: String,
}

/// Said of a referral that made a patient by a message run again.
const NEW_PATIENT: &str =
    "the patient is new here; what the EPR told of them since the message came was not for us then: check it";

impl Write for Reprocess {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        self.again.needs(view, keys);
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let id = self.again.inbound().id;
        let before = view.inbound.get(&id).filter(|i| self.call.scope.has_endpoint(&i.trust, &i.endpoint));
        let before = before.ok_or(Refusal::NotFound("inbound message"))?.clone();
        // Somebody else, or its sender, may have run it again meanwhile: it is never applied twice.
        if before.state != InboundState::Parked {
            let what = format!("the message is {}; only one that is PARKED can be run again", before.state.word());
            return Err(Refusal::WrongState(what).into());
        }
        self.again.decide(view, ctx)?;
        let lost = || StoreError::Inconsistent { table: "inbound", what: "a message run again that is gone".into() };
        let mut after = view.inbound.get(&id).ok_or_else(lost)?.clone();
        let patient = after.referral_id.and_then(|r| view.referrals.get(&r)).map(|r| r.patient_id);
        let new =
            patient.and_then(|p| view.patients.get(&p)).is_some_and(|p| p.version == 1 && p.created_at == ctx.now);
        if new && after.state == InboundState::Applied {
            after.reason = NEW_PATIENT.into();
            view.inbound.put(id, after.clone());
        }
        let why = format!("{} ({})", self.reason, after.state.word());
        let about = About {
            trust: &after.trust,
            action: "inbound.reprocess",
            kind: "inbound message",
            id: id.0,
            patient,
            why: &why,
        };
        audit(view, &self.call.actor, ctx.now, &about);
        let more = serde_json::to_value(&after).map_err(|_| lost())?;
        Ok(self.call.answer(view, Answer { subject: id.0, version: 0, deliveries: Vec::new(), more }))
    }
}
