//! Which pack an endpoint works with: activated, or rolled back to the one before. The bytes are kept in the same commit, so that every bridge on
//! this record, now and after a restart, works with what was activated and not with what somebody has saved since.

use super::super::error::{Refusal, WriteError};
use super::super::record::{ActivePack, Actor, Answer, Answered, EndpointState, PackKept, Raw};
use super::super::rows::{Keys, PackRow, View};
use super::super::writer::{Ctx, Write};
use super::{About, Call, audit};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::text::Private;
use serde_json::{Value, json};
use uuid::Uuid;

/// Where the pack comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackChange {
    /// From the packs' folder: these are its bytes.
    Activate(Raw),
    /// One that the endpoint worked with before.
    RollBack,
}

/// From this commit on no attempt begins there with what another pack made.
pub struct ChangePack {
    /// `None`: the bridge itself, at a first start or on a save.
    pub call: Option<Call>,
    pub trust: OdsCode,
    pub endpoint: EndpointId,
    /// [`EndpointState::activation`] when it was looked at; another one by now is a conflict.
    pub seen: i64,
    pub change: PackChange,
    pub to: PackKept,
    /// What the packs' folder holds ([`ActivePack::folder`]).
    pub folder: String,
    pub reason: String,
    /// What a caller is told beside it, kept for a repeat of the call.
    pub told: Value,
}

impl ChangePack {
    fn next(&self, before: Option<&ActivePack>, by: &str, now: jiff::Timestamp) -> Result<ActivePack, Refusal> {
        let former = match (&self.change, before) {
            (_, None) => Vec::new(),
            // Another pack altogether is a new beginning: config says which adapter the endpoint has.
            (PackChange::Activate(_), Some(before)) if before.now.id != self.to.id => Vec::new(),
            (PackChange::Activate(_), Some(before)) => {
                let mut former = vec![before.now.clone()];
                former.extend(before.former.iter().filter(|p| **p != self.to && **p != before.now).cloned());
                former.truncate(ActivePack::FORMER_MAX);
                former
            }
            (PackChange::RollBack, Some(before)) => {
                let at = before.former.iter().position(|p| *p == self.to);
                let at = at.ok_or_else(|| {
                    Refusal::WrongState(format!(
                        "the endpoint did not work with {} before what it works with now",
                        self.to
                    ))
                })?;
                before.former[at + 1..].to_vec()
            }
        };
        Ok(ActivePack {
            number: before.map_or(0, |b| b.number) + 1,
            now: self.to.clone(),
            at: now,
            by: by.to_owned(),
            why: Private(self.reason.clone()),
            folder: self.folder.clone(),
            former,
        })
    }

    fn changed_meanwhile(&self, state: &EndpointState) -> Refusal {
        let active = state.pack.as_ref();
        Refusal::PackChanged {
            endpoint: self.endpoint.clone(),
            seen: self.seen,
            now: state.activation(),
            works: active.map_or_else(|| "no pack".to_owned(), |a| a.now.to_string()),
            by: active.map(|a| a.by.clone()).unwrap_or_default(),
        }
    }

    fn answered(&self, view: &mut View, from: Option<&PackKept>, number: i64) -> Answered {
        let more = json!({ "from": from, "to": self.to, "number": number, "told": self.told });
        let answer = Answer { subject: Uuid::nil(), version: number, deliveries: Vec::new(), more };
        match &self.call {
            Some(call) => call.answer(view, answer),
            None => Answered::Fresh(answer),
        }
    }
}

impl Write for ChangePack {
    type Answer = Answered;

    fn needs(&self, _view: &View, keys: &mut Keys) {
        if let Some(call) = &self.call {
            call.needs(keys);
        }
        keys.endpoints.insert(self.endpoint.clone());
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(call) = &self.call {
            if let Some(repeated) = call.repeated(view)? {
                return Ok(repeated);
            }
            if !call.scope.has_endpoint(&self.trust, &self.endpoint) {
                return Err(Refusal::NotFound("endpoint").into());
            }
        }
        let state =
            view.endpoints.get(&self.endpoint).cloned().unwrap_or_else(|| EndpointState::new(self.endpoint.clone()));
        if state.activation() != self.seen {
            return Err(self.changed_meanwhile(&state).into());
        }
        let before = state.pack.as_ref();
        let from = before.map(|b| b.now.clone());
        if from.as_ref() == Some(&self.to) {
            return Ok(self.answered(view, from.as_ref(), self.seen));
        }
        let actor = self.call.as_ref().map_or_else(Actor::bridge, |c| c.actor.clone());
        let next = self.next(before, &actor.principal, ctx.now)?;
        let number = next.number;
        let new = match &self.change {
            PackChange::Activate(bytes) => Some((self.to.fingerprint.clone(), bytes.clone())),
            PackChange::RollBack => None,
        };
        let kept = std::iter::once(&next.now).chain(&next.former).map(|p| p.fingerprint.clone()).collect();
        view.packs.push(PackRow { endpoint: self.endpoint.clone(), new, kept });
        view.endpoints.put(self.endpoint.clone(), EndpointState { pack: Some(next), ..state });
        let shown = from.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        let about = About {
            trust: &self.trust,
            action: if self.change == PackChange::RollBack { "adapter.rollback" } else { "adapter.activate" },
            kind: "endpoint",
            id: Uuid::nil(),
            patient: None,
            why: &format!("{}: {shown} -> {}: {}", self.endpoint, self.to, self.reason),
        };
        audit(view, &actor, ctx.now, &about);
        Ok(self.answered(view, from.as_ref(), number))
    }
}
