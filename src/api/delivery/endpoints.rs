//! How endpoints do; pausing them and letting them go on.

use super::super::adapters::in_use;
use super::super::edge::{Caller, whole};
use super::super::endpoint::EndpointFacts;
use super::super::error::Error;
use super::super::request::Changing;
use super::waits::with_waits;
use super::{endpoint_id, optional_endpoint};
use crate::adapter::form::codes::Code;
use crate::adapter::form::request;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::policy::Environment;
use crate::domain::rule::Violations;
use crate::store::read::{EndpointCounts, InboundCounts};
use crate::store::record::{EndpointState, Gate};
use crate::store::write::SetPaused;
use crate::wire::{count, v1};
use std::collections::BTreeMap;
use std::time::Duration;

/// Why nothing goes to an endpoint whose EPR pulls.
const NOBODY_PULLS: &str = "nobody pulls: the EPR has no stream open to this bridge (StreamEntries)";

const NO_SUCH_ENDPOINT: &str = "config does not have this endpoint: nothing is sent to it, and what waits there waits for a person. Put the endpoint back, or see to each of them in the record by hand and cancel it";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub async fn get_endpoint_status(
    c: Caller,
    m: v1::GetEndpointStatusRequest,
) -> Result<v1::GetEndpointStatusResponse, Error> {
    let mut broken = Violations::default();
    let only = optional_endpoint(&m.endpoint_id, &mut broken);
    whole!(broken; only);
    let mut unserved = unserved(&c).await?;
    unserved.retain(|(id, _)| only.as_ref().is_none_or(|only| only == id));
    let facts: Vec<&EndpointFacts> = match &only {
        Some(_) if !unserved.is_empty() => Vec::new(),
        Some(id) => vec![c.endpoint(id)?],
        None => c.edge.endpoints.values().filter(|e| c.scope.has_endpoint(&e.trust, &e.id)).collect(),
    };
    let mut endpoints = Vec::with_capacity(facts.len() + unserved.len());
    for facts in facts {
        endpoints.push(status(&c, facts).await?);
    }
    for (id, trust) in &unserved {
        endpoints.push(status_of_unserved(&c, id, trust).await?);
    }
    Ok(v1::GetEndpointStatusResponse { endpoints, bridge_troubles: troubles(&c) })
}

/// What an operator has to know of the bridge itself: its callers are refused, and every endpoint looks well.
fn troubles(c: &Caller) -> Vec<String> {
    let store = c.store();
    let mut troubles = Vec::new();
    if store.full().disk {
        troubles
            .push("new notes are refused: the store's disk has less room than limits.min_free_disk_bytes".to_owned());
    }
    if store.is_queue_full() {
        let open = store.open_deliveries();
        troubles.push(format!(
            "new notes are refused: {open} deliveries are open, and limits.max_open_deliveries allows no more"
        ));
    }
    troubles.extend(store.writing().trouble(c.edge.clock.steady()).map(|t| t.sentence().to_owned()));
    troubles
}

/// Endpoints that config does not have and at which something waits: nobody would see it otherwise.
async fn unserved(c: &Caller) -> Result<Vec<(EndpointId, OdsCode)>, Error> {
    let waiting = c.store().endpoints_with_waiting().await?;
    let read = |(id, trust): (String, String)| Some((EndpointId::parse(&id).ok()?, OdsCode::parse(&trust).ok()?));
    // Each once, whether something waits to go out there or came in.
    let waiting: BTreeMap<EndpointId, OdsCode> = waiting.into_iter().filter_map(read).collect();
    let unseen =
        |(id, trust): &(EndpointId, OdsCode)| !c.edge.endpoints.contains_key(id) && c.scope.has_endpoint(trust, id);
    Ok(waiting.into_iter().filter(unseen).collect())
}

async fn status_of_unserved(c: &Caller, id: &EndpointId, trust: &OdsCode) -> Result<v1::EndpointStatus, Error> {
    let since = c.now.checked_sub(DAY).unwrap_or(jiff::Timestamp::MIN);
    let counts = c.store().endpoint_counts(id, since, jiff::Timestamp::MIN).await?;
    let inbound = c.store().inbound_counts(id, since).await?;
    let told = v1::EndpointStatus {
        endpoint_id: id.as_str().to_owned(),
        trust_ods: trust.as_str().to_owned(),
        name: "retired".to_owned(),
        gate: Gate::Closed.wire(),
        closed_because: NO_SUCH_ENDPOINT.to_owned(),
        ..counted(&counts, inbound)
    };
    with_waits(c, id, told).await
}

/// What is the same to tell whether or not anything is sent there.
fn counted(counts: &EndpointCounts, inbound: InboundCounts) -> v1::EndpointStatus {
    let ignored = inbound.ignored.into_iter().map(|(rule, n)| v1::IgnoredMessages { rule, count: count(n) });
    v1::EndpointStatus {
        queued: count(counts.queued),
        sending: count(counts.sending),
        backing_off: count(counts.backing_off),
        accepted: count(counts.accepted),
        parked: count(counts.parked),
        filed_last_day: count(counts.filed_since),
        written_last_day: count(counts.written_since),
        oldest_unfiled_at: counts.oldest_unfiled.map(Into::into),
        inbound_applied_last_day: count(inbound.applied),
        inbound_parked_last_day: count(inbound.parked),
        inbound_ignored_last_day: ignored.collect(),
        inbound_parked: count(inbound.waiting),
        ..v1::EndpointStatus::default()
    }
}

async fn status(c: &Caller, facts: &EndpointFacts) -> Result<v1::EndpointStatus, Error> {
    let ago = |wait: Duration| c.now.checked_sub(wait).unwrap_or(jiff::Timestamp::MIN);
    let states = c.store().endpoint_states(std::slice::from_ref(&facts.id)).await?;
    let state = states.into_iter().next().unwrap_or_else(|| EndpointState::new(facts.id.clone()));
    let counts = c.store().endpoint_counts(&facts.id, ago(DAY), ago(facts.evidence_overdue_after)).await?;
    let inbound = c.store().inbound_counts(&facts.id, ago(DAY)).await?;
    let paused = state.paused.as_ref();
    // Where the EPR pulls from us, nothing goes while it does not: the endpoint is as good as closed.
    let nobody = facts.feed.as_ref().is_some_and(|f| !f.is_attached());
    let (gate, because) = match state.gate {
        _ if nobody => (Gate::Closed, NOBODY_PULLS.to_owned()),
        Gate::Open => (Gate::Open, String::new()),
        gate => (gate, state.because.clone()),
    };
    let told = v1::EndpointStatus {
        endpoint_id: facts.id.as_str().to_owned(),
        trust_ods: facts.trust.as_str().to_owned(),
        name: facts.name.clone(),
        environment: match facts.environment {
            Environment::Test => "test".to_owned(),
            Environment::Live => "live".to_owned(),
        },
        adapter: facts.rendering.in_use.now().pack.pin(),
        gate: gate.wire(),
        closed_until: state.until.filter(|_| state.gate == Gate::Closed).map(Into::into),
        closed_because: because,
        paused: paused.is_some(),
        paused_by: paused.map(|p| p.by.clone()).unwrap_or_default(),
        paused_because: paused.map(|p| p.why.0.clone()).unwrap_or_default(),
        in_maintenance: (facts.in_maintenance)(c.now),
        evidence_overdue: count(counts.overdue),
        filed_by: facts.filed_by.clone(),
        pack: Some(in_use(facts, state.pack.as_ref())),
        full: c.store().full().endpoints.contains_key(&facts.id),
        ..counted(&counts, inbound)
    };
    with_waits(c, &facts.id, told).await
}

async fn set_paused(
    c: &Caller,
    m: &impl Changing,
    id: &str,
    reason: &str,
    paused: bool,
) -> Result<v1::EndpointStatus, Error> {
    let mut broken = Violations::default();
    let key = c.key(m, &mut broken);
    let endpoint: Option<EndpointId> = endpoint_id(id, &mut broken);
    let reason = request::because(reason, "reason", &mut broken);
    whole!(broken; key, endpoint, reason);
    let facts = c.endpoint(&endpoint)?;
    let set = SetPaused { call: c.write(key), trust: facts.trust.clone(), endpoint, paused, reason: reason.0 };
    c.store().set_paused(set).await?;
    status(c, facts).await
}

pub async fn pause_endpoint(c: Caller, m: v1::PauseEndpointRequest) -> Result<v1::PauseEndpointResponse, Error> {
    let endpoint = set_paused(&c, &m, &m.endpoint_id, &m.reason, true).await?;
    Ok(v1::PauseEndpointResponse { endpoint: Some(endpoint) })
}

pub async fn resume_endpoint(c: Caller, m: v1::ResumeEndpointRequest) -> Result<v1::ResumeEndpointResponse, Error> {
    let endpoint = set_paused(&c, &m, &m.endpoint_id, &m.reason, false).await?;
    Ok(v1::ResumeEndpointResponse { endpoint: Some(endpoint) })
}
