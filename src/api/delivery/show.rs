//! Deliveries, their timelines and attempts as the contract shows them.

use super::super::edge::Caller;
use super::super::error::Error;
use crate::adapter::form::codes::{Code, wire_or_unspecified};
use crate::domain::delivery::{Delivery, Evidence, Park, State, WaitingFor};
use crate::domain::ids::DeliveryId;
use crate::status::{Began, began, sentence, timeline};
use crate::store::read::AttemptRead;
use crate::store::record::{Reply, Step};
use crate::wire::v1;

/// Without its timeline.
pub fn delivery(c: &Caller, d: &Delivery) -> v1::Delivery {
    v1::Delivery {
        id: d.id.to_string(),
        entry_id: d.entry_id.to_string(),
        entry_kind: d.kind().wire(),
        entry_action: d.action.wire(),
        subject_id: d.subject.to_string(),
        subject_version: d.subject_version,
        trust_ods: d.trust.as_str().to_owned(),
        patient_id: d.patient_id.to_string(),
        referral_id: d.referral_id.to_string(),
        endpoint_id: d.endpoint.as_str().to_owned(),
        state: d.state.wire(),
        version: d.version,
        author_sentence: sentence(d, c.epr(&d.endpoint)),
        waiting_for: waiting_for(c, d).wire(),
        park_reason: wire_or_unspecified(d.park.as_ref().map(|p| p.reason)),
        evidence: d.evidence.iter().map(evidence).collect(),
        may_have_been_received: d.may_have_been_received(),
        document_id: d.document_id(),
        record_id: d.record_id.clone().unwrap_or_default(),
        predecessor_delivery_id: d.predecessor.map(|p| p.to_string()),
        attempts: i32::try_from(d.attempts).unwrap_or(i32::MAX),
        created_at: Some(d.created_at.into()),
        release_at: d.release_at.map(Into::into),
        next_attempt_at: d.next_attempt_at.map(Into::into),
        accepted_at: d.accepted_at.map(Into::into),
        filed_at: d.filed_at.map(Into::into),
        timeline: Vec::new(),
    }
}

/// What waits for an endpoint that is served no more waits for the integration team.
fn waiting_for(c: &Caller, d: &Delivery) -> WaitingFor {
    let unserved = d.state.is_open() && d.park.is_none() && !c.rules.policies.contains_key(&d.endpoint);
    if unserved { WaitingFor::Integrator } else { d.waiting_for() }
}

fn evidence(e: &Evidence) -> v1::Evidence {
    let reply_id = e.reply_id.map(|r| r.to_string()).unwrap_or_default();
    v1::Evidence { kind: e.kind.wire(), at: Some(e.at.into()), reply_id }
}

/// With its timeline up to its version.
pub async fn with_timeline(c: &Caller, d: &Delivery) -> Result<v1::Delivery, Error> {
    let entry = c.store().entry(&c.scope, d.entry_id).await?;
    let steps: Vec<Step> = c.store().steps(d).await?.into_iter().filter(|s| s.version <= d.version).collect();
    // A delivery younger than its entry was made by a backfill: the audit names who asked for it.
    let by =
        entry.filter(|e| e.recorded_at == d.created_at).map_or_else(|| "a backfill".to_owned(), |e| e.submitted_by);
    let timeline = timeline(d, steps, &by).into_iter().map(|s| v1::TimelineStep {
        at: Some(s.at.into()),
        state: s.state.wire(),
        what: s.what.0,
        by: s.by,
    });
    Ok(v1::Delivery { timeline: timeline.collect(), ..delivery(c, d) })
}

/// As they stood when the call that made them was first answered, whatever has become of them: so a repeated call gets the same answer.
pub async fn as_first_answered(c: &Caller, ids: &[DeliveryId]) -> Result<Vec<v1::Delivery>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut shown = Vec::with_capacity(ids.len());
    let mut there = c.store().deliveries_by_id(&c.scope, ids).await?;
    // In the order they were made in, as they were told then.
    there.sort_by_key(|d| ids.iter().position(|id| *id == d.id));
    for d in there {
        let steps = c.store().steps(&d).await?;
        shown.push(delivery(c, &newborn(d, began(&steps))));
    }
    Ok(shown)
}

/// The delivery before anything happened to it.
pub fn newborn(d: Delivery, began: Began) -> Delivery {
    let (state, park) = match began {
        Began::Queued => (State::Queued, None),
        Began::Parked(reason) => (State::Parked, Some(Park::new(reason, ""))),
    };
    Delivery {
        state,
        park,
        version: 1,
        evidence: Vec::new(),
        rendering: None,
        begun: false,
        unresolved: 0,
        attempts: 0,
        refused_retries: 0,
        unknown_resends: 0,
        asking: None,
        not_there: None,
        may_go_again: false,
        overridden: Vec::new(),
        approved: None,
        sent_for_others: false,
        record_id: None,
        next_attempt_at: None,
        accepted_at: None,
        filed_at: None,
        cancelled: None,
        ..d
    }
}

/// `bytes`: only for those who may see them.
pub fn attempt(read: &AttemptRead, bytes: bool) -> v1::Attempt {
    let a = &read.attempt;
    let rendering = read.rendering.as_ref();
    v1::Attempt {
        id: a.id.to_string(),
        delivery_id: a.delivery_id.to_string(),
        rendering_id: a.rendering_id.to_string(),
        number: i32::try_from(a.number).unwrap_or(i32::MAX),
        control_id: rendering.map(|r| r.control_id.clone()).unwrap_or_default(),
        began_at: Some(a.began_at.into()),
        ended_at: a.ended_at.map(Into::into),
        verdict: wire_or_unspecified(a.verdict.as_ref().map(|v| v.meaning)),
        result: a.result.clone(),
        sent: rendering.filter(|_| bytes).map(|r| r.bytes.0.clone()),
        replies: read.replies.iter().map(|r| reply(r, bytes)).collect(),
        adapter: rendering.map(|r| r.pack.clone()).unwrap_or_default(),
    }
}

fn reply(r: &Reply, bytes: bool) -> v1::Reply {
    v1::Reply {
        id: r.id.to_string(),
        received_at: Some(r.received_at.into()),
        verdict: r.verdict.meaning.wire(),
        codes: r.verdict.code.clone(),
        received: bytes.then(|| r.bytes.0.clone()),
        unmatched: r.unmatched,
    }
}
