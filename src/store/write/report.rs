//! What the far end says of documents outside any attempt: result files, and lists of what the record holds. Both name a document by an id of
//! ours; whoever calls has looked the delivery up, because which delivery an id belongs to never changes.

use super::super::error::WriteError;
use super::super::record::{Actor, Answer, Answered, Raw, Reply};
use super::super::rows::{Keys, RecordName, View, record_name};
use super::super::writer::{Ctx, Write};
use super::accept::happen;
use super::names;
use super::{About, Call, audit};
use crate::domain::decide::Happened;
use crate::domain::delivery::{Delivery, EvidenceKind, State};
use crate::domain::ids::{DeliveryId, PatientId, ReplyId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::policy::{EndpointPolicy, Names};
use crate::domain::verdict::{Level, Meaning, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// One report about one document.
pub struct Report {
    pub endpoint: EndpointId,
    /// `None`: it names no document of ours and is kept as unmatched.
    pub delivery: Option<DeliveryId>,
    /// What a positive report proves.
    pub evidence: EvidenceKind,
    pub reply: Reply,
}

pub(super) fn needs_delivery(view: &View, keys: &mut Keys, id: DeliveryId) {
    keys.deliveries.insert(id);
    if let Some(d) = view.deliveries.get(&id) {
        keys.chains.insert(d.subject.uuid());
        keys.lanes.insert((d.endpoint.clone(), d.patient_id));
    }
}

/// A list and a result file name a document by its id, which every message of it shares. Where one was for somebody else, nobody can tell which of
/// them the record holds: a person looks. What is filed already is not touched by that.
pub(super) fn may_mean_another(d: &Delivery) -> bool {
    d.sent_for_others && d.state != State::Filed
}

/// What came of a report. Its bytes are kept in every case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// The delivery as it is now.
    Told(Box<Delivery>),
    /// The delivery it speaks of, which it did not move: it gives it the record's id of another patient's document.
    AnotherPatients(Box<Delivery>),
    Unmatched,
}

impl Reported {
    /// The delivery that the report moved, or confirmed.
    pub fn told(self) -> Option<Delivery> {
        match self {
            Self::Told(d) => Some(*d),
            Self::AnotherPatients(_) | Self::Unmatched => None,
        }
    }
}

/// What a reply is called that was kept and moved nothing for that reason.
const ANOTHER_PATIENTS: &str = "another's record id";

impl Write for Report {
    type Answer = Reported;

    fn needs(&self, view: &View, keys: &mut Keys) {
        if let Some(id) = self.delivery {
            needs_delivery(view, keys, id);
            names::needs(view, keys, id, self.reply.verdict.record_id.as_deref());
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Reported, WriteError> {
        let delivery = self.delivery.and_then(|id| view.deliveries.get(&id)).filter(|d| d.endpoint == self.endpoint);
        // Nobody can speak of a document that never left.
        let Some(before) = delivery.filter(|d| d.may_have_gone()).cloned() else {
            view.replies.push(Reply { unmatched: true, delivery_id: None, ..self.reply.clone() });
            return Ok(Reported::Unmatched);
        };
        let policy = ctx.rules.policies.get(&self.endpoint).map(AsRef::as_ref);
        let record_id = self.reply.verdict.record_id.as_deref();
        if record_id.is_some_and(|id| names::is_another_patients(view, policy, (&before, id), Delivery::may_bear)) {
            let verdict = Verdict {
                meaning: Meaning::Unknown,
                code: ANOTHER_PATIENTS.into(),
                record_id: None,
                ..self.reply.verdict.clone()
            };
            view.replies.push(Reply { delivery_id: Some(before.id), unmatched: false, verdict, ..self.reply.clone() });
            return Ok(Reported::AnotherPatients(Box::new(before)));
        }
        view.replies.push(Reply { delivery_id: Some(before.id), unmatched: false, ..self.reply.clone() });
        let verdict = self.reply.verdict.clone();
        let evidence = (verdict.meaning == Meaning::Positive).then_some(self.evidence);
        let happened = match evidence {
            Some(_) if may_mean_another(&before) => Happened::EarlierConfirmed { verdict },
            evidence => Happened::Late { verdict, evidence, reply: self.reply.id },
        };
        let after = happen(view, ctx, &before, &happened, "bridge")?;
        let why = format!("{} ({})", self.evidence.words(), self.reply.verdict.code);
        let about = About {
            trust: &after.trust,
            action: "delivery.report",
            kind: "delivery",
            id: after.id.0,
            patient: Some(after.patient_id),
            why: &why,
        };
        audit(view, &Actor::bridge(), ctx.now, &about);
        Ok(Reported::Told(Box::new(after)))
    }
}

/// One document that the record's own list has.
#[derive(Debug, Clone)]
pub struct InList {
    pub delivery: DeliveryId,
    /// 1 to 100 characters.
    pub record_id: Option<String>,
    /// As the list has it.
    pub row: Raw,
}

/// Some documents that the record's own list has. `more` of the answer: which of its deliveries were filed by that, by their places.
pub struct Reconcile {
    pub call: Call,
    pub trust: OdsCode,
    pub endpoint: EndpointId,
    pub documents: Vec<InList>,
    /// Where the list came from, for the audit: 1 to 200 characters, no patient data.
    pub source: String,
}

impl Reconcile {
    fn seen<'v>(&self, view: &'v View, document: &InList) -> Option<&'v Delivery> {
        view.deliveries.get(&document.delivery).filter(|d| {
            d.endpoint == self.endpoint && self.call.scope.has_endpoint(&d.trust, &d.endpoint) && d.may_have_gone()
        })
    }

    /// The record's ids that this list gives to documents of more than one patient. Where messages name documents by them, that is weighed as any other
    /// evidence is: all of them come into doubt.
    fn shared(&self, view: &View, policy: Option<&EndpointPolicy>) -> BTreeSet<RecordName> {
        let mut whose: BTreeMap<RecordName, BTreeSet<PatientId>> = BTreeMap::new();
        if policy.is_some_and(|p| p.names == Names::RecordId) {
            return BTreeSet::new();
        }
        for document in &self.documents {
            if let Some((d, id)) = self.seen(view, document).zip(document.record_id.as_ref()) {
                whose.entry(record_name(d, id)).or_default().insert(d.patient_id);
            }
        }
        whose.into_iter().filter(|(_, patients)| patients.len() > 1).map(|(name, _)| name).collect()
    }
}

impl Write for Reconcile {
    type Answer = Answered;

    fn needs(&self, view: &View, keys: &mut Keys) {
        self.call.needs(keys);
        for document in &self.documents {
            needs_delivery(view, keys, document.delivery);
            names::needs(view, keys, document.delivery, document.record_id.as_deref());
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Answered, WriteError> {
        if let Some(repeated) = self.call.repeated(view)? {
            return Ok(repeated);
        }
        let mut done = Vec::new();
        let mut filed = Vec::new();
        let policy = ctx.rules.policies.get(&self.endpoint).cloned();
        let shared = self.shared(view, policy.as_deref());
        for document in &self.documents {
            let Some(before) = self.seen(view, document).cloned() else { continue };
            // One id for documents of two patients: the list is wrong about one of them at least, and nobody can tell which.
            let another_patients = |id: &String| {
                shared.contains(&record_name(&before, id))
                    || names::is_another_patients(view, policy.as_deref(), (&before, id), Delivery::bears)
            };
            let is_doubtful = document.record_id.as_ref().is_some_and(another_patients);
            let contradicts = |id: &String| before.was_named_otherwise(EvidenceKind::Reconciled, id);
            // One that is filed stays so, unless an earlier list told another id of it: then two lists contradict each other, whoever else has that id.
            if is_doubtful && !(before.state == State::Filed && document.record_id.as_ref().is_some_and(contradicts)) {
                continue;
            }
            let verdict = Verdict {
                meaning: Meaning::Positive,
                level: Level::Application,
                code: "listed".into(),
                duplicate: false,
                untold: false,
                misplaced: false,
                record_id: document.record_id.clone(),
            };
            let reply = Reply {
                id: ReplyId::new(ctx.now, ctx.entropy),
                endpoint: self.endpoint.clone(),
                delivery_id: Some(before.id),
                attempt_id: None,
                received_at: ctx.now,
                verdict: verdict.clone(),
                unmatched: false,
                bytes: document.row.clone(),
            };
            let happened = if may_mean_another(&before) {
                Happened::EarlierConfirmed { verdict }
            } else {
                Happened::Late { verdict, evidence: Some(EvidenceKind::Reconciled), reply: reply.id }
            };
            let after = happen(view, ctx, &before, &happened, &self.call.actor.principal)?;
            if after.state == State::Filed && before.state != State::Filed {
                filed.push(done.len());
            }
            done.push(after.id);
            // The same list every night adds nothing to what it said before.
            if after == before {
                continue;
            }
            view.replies.push(reply);
            let about = About {
                trust: &after.trust,
                action: "delivery.reconcile",
                kind: "delivery",
                id: after.id.0,
                patient: Some(after.patient_id),
                why: &self.source,
            };
            audit(view, &self.call.actor, ctx.now, &about);
        }
        let why = format!("{}: {} listed documents, {}", self.endpoint, self.documents.len(), self.source);
        let about = About {
            trust: &self.trust,
            action: "endpoint.reconcile",
            kind: "endpoint",
            id: uuid::Uuid::nil(),
            patient: None,
            why: &why,
        };
        audit(view, &self.call.actor, ctx.now, &about);
        let more = serde_json::json!(filed);
        Ok(self.call.answer(view, Answer { subject: uuid::Uuid::nil(), version: 0, deliveries: done, more }))
    }
}
