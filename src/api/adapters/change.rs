//! Another pack for an endpoint, or the former one again: looked at first, then one commit, then taken up.

use super::super::edge::{Caller, whole};
use super::super::endpoint::{Candidate, EndpointFacts};
use super::super::error::Error;
use super::{read_endpoint, show_fault, show_version};
use crate::adapter::Fault;
use crate::adapter::form::request;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use crate::domain::rule::Violations;
use crate::store::Refusal;
use crate::store::read::Waiting;
use crate::store::record::{ActivePack, Answer, EndpointState, PackKept, RequestKey};
use crate::store::write::{ChangePack, PackChange};
use crate::wire::{count, v1};
use serde::{Deserialize, Serialize};

/// Held deliveries that are named.
const NAMED_MAX: usize = 100;
const VERSION_CHARS_MAX: usize = 20;

/// What the answer says beside the packs, kept for a repeat of the call.
#[derive(Serialize, Deserialize, Default)]
struct Told {
    unmade: u64,
    anew: u64,
    held: usize,
    named: Vec<DeliveryId>,
    more: bool,
}

/// What the store keeps of a change.
#[derive(Deserialize)]
struct Kept {
    from: Option<PackKept>,
    to: PackKept,
    number: i64,
    told: Told,
}

/// What both calls ask for.
struct Asked {
    key: RequestKey,
    endpoint: EndpointId,
    reason: String,
    version: Option<String>,
}

fn asked(
    key: Option<RequestKey>,
    endpoint: &str,
    reason: &str,
    version: &str,
    mut broken: Violations,
) -> Result<Asked, Error> {
    let endpoint = read_endpoint(endpoint, &mut broken);
    let reason = request::because(reason, "reason", &mut broken);
    if version.len() > VERSION_CHARS_MAX {
        broken.add("version", "at most 20 characters, such as 1.4.2");
    }
    whole!(broken; key, endpoint, reason);
    Ok(Asked { key, endpoint, reason: reason.0, version: Some(version.to_owned()).filter(|v| !v.is_empty()) })
}

pub async fn activate_adapter(c: Caller, m: v1::ActivateAdapterRequest) -> Result<v1::ActivateAdapterResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let asked = asked(key, &m.endpoint_id, &m.reason, &m.version, broken)?;
    let facts = c.endpoint(&asked.endpoint)?;
    if let Some(before) = c.store().answered(&asked.key).await? {
        return Ok(v1::ActivateAdapterResponse { change: Some(shown(&asked.endpoint, &before)?) });
    }
    // As it stands before the folder is looked at: whoever changes the pack meanwhile wins, and this call is told.
    let state = state(&c, &asked.endpoint).await?;
    // Without a version, the one that config pins: what goes live is what somebody named, here or there.
    let version = asked.version.clone().or_else(|| facts.packs.standing().pinned);
    let Candidate { kept, bytes } = facts.packs.in_folder(version).await.map_err(refused)?;
    if let Some(twin) = state.pack.as_ref().and_then(|active| twin(active, &kept)) {
        let reloads = facts.packs.standing().reloads;
        if !m.same_version && !reloads {
            return Err(refused(vec![same_version(twin)]));
        }
        tracing::warn!(endpoint = %asked.endpoint, pack = %kept, before = %twin, "a pack is activated under a version that it had here with other bytes");
    }
    let change = change(&c, facts, &asked, &state, PackChange::Activate(bytes), kept).await?;
    Ok(v1::ActivateAdapterResponse { change: Some(change) })
}

pub async fn rollback_adapter(c: Caller, m: v1::RollbackAdapterRequest) -> Result<v1::RollbackAdapterResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let asked = asked(key, &m.endpoint_id, &m.reason, &m.version, broken)?;
    let facts = c.endpoint(&asked.endpoint)?;
    if let Some(before) = c.store().answered(&asked.key).await? {
        return Ok(v1::RollbackAdapterResponse { change: Some(shown(&asked.endpoint, &before)?) });
    }
    let state = state(&c, &asked.endpoint).await?;
    let to = former(state.pack.as_ref(), asked.version.as_deref())?;
    let bytes = c.store().pack_content(&asked.endpoint, &to.fingerprint).await?;
    let bytes = bytes.ok_or_else(|| Error::Internal(format!("the bytes of {to} are not kept")))?;
    facts.packs.fits(to.clone(), bytes).await.map_err(refused)?;
    let change = change(&c, facts, &asked, &state, PackChange::RollBack, to).await?;
    Ok(v1::RollbackAdapterResponse { change: Some(change) })
}

/// What the endpoint worked with under the same name and version, and with other bytes. What it works with already is no other.
fn twin<'p>(active: &'p ActivePack, kept: &PackKept) -> Option<&'p PackKept> {
    let same = |p: &&PackKept| (&p.id, &p.version) == (&kept.id, &kept.version) && p.fingerprint != kept.fingerprint;
    std::iter::once(&active.now).chain(&active.former).find(same).filter(|_| active.now != *kept)
}

fn same_version(twin: &PackKept) -> Fault {
    let what = format!("the endpoint worked with {twin} before, and the folder holds other bytes under that version");
    let hint = "raise version in the manifest; or activate it with --same-version (same_version) and say why";
    Fault::new("adapter.toml", 0, what, hint)
}

async fn state(c: &Caller, endpoint: &EndpointId) -> Result<EndpointState, Error> {
    let states = c.store().endpoint_states(std::slice::from_ref(endpoint)).await?;
    Ok(states.into_iter().next().unwrap_or_else(|| EndpointState::new(endpoint.clone())))
}

fn former(pack: Option<&ActivePack>, version: Option<&str>) -> Result<PackKept, Error> {
    let former = pack.map(|p| p.former.as_slice()).unwrap_or_default();
    let found = former.iter().find(|p| version.is_none_or(|v| p.version == v));
    let none = || {
        let what = match version {
            Some(version) => {
                format!(
                    "the endpoint did not work with version {version} before what it works with now (what was rolled back is activated again)"
                )
            }
            None => "the endpoint has worked with no other pack before".to_owned(),
        };
        let there: Vec<&str> = former.iter().map(|p| p.version.as_str()).collect();
        let there = match there.as_slice() {
            [] => "there is none to go back to".to_owned(),
            some => format!("it can go back to {}", some.join(", ")),
        };
        Error::Refused(Refusal::WrongState(format!("{what}; {there}")))
    };
    found.cloned().ok_or_else(none)
}

pub(super) fn refused(faults: Vec<Fault>) -> Error {
    let mut broken = Violations::default();
    for fault in faults.iter().map(show_fault) {
        let place = if fault.line == 0 { fault.file } else { format!("{}:{}", fault.file, fault.line) };
        let hint = if fault.hint.is_empty() { String::new() } else { format!("; {}", fault.hint) };
        broken.add(place, format!("{}{hint}", fault.what));
    }
    Error::PackRefused(broken)
}

async fn change(
    c: &Caller,
    facts: &EndpointFacts,
    asked: &Asked,
    state: &EndpointState,
    change: PackChange,
    to: PackKept,
) -> Result<v1::AdapterChange, Error> {
    let same = state.pack.as_ref().is_some_and(|p| p.now == to);
    let waiting = if same { Waiting::default() } else { c.store().waiting(&c.scope, &asked.endpoint).await? };
    let told = Told {
        unmade: waiting.unmade,
        anew: waiting.unseen,
        held: waiting.seen.len(),
        named: waiting.seen.into_iter().take(NAMED_MAX).collect(),
        more: waiting.more,
    };
    let write = ChangePack {
        call: Some(c.write(asked.key.clone())),
        trust: facts.trust.clone(),
        endpoint: asked.endpoint.clone(),
        seen: state.activation(),
        change,
        to,
        folder: facts.packs.standing().in_folder.map(|p| p.fingerprint).unwrap_or_default(),
        reason: asked.reason.clone(),
        told: serde_json::to_value(told).map_err(|e| Error::Internal(e.to_string()))?,
    };
    let answered = c.store().change_pack(write).await?;
    facts.packs.take_up().await;
    shown(&asked.endpoint, answered.answer())
}

fn shown(endpoint: &EndpointId, answer: &Answer) -> Result<v1::AdapterChange, Error> {
    let kept: Kept = serde_json::from_value(answer.more.clone())
        .map_err(|_| Error::Internal("an answer that cannot be read".into()))?;
    Ok(v1::AdapterChange {
        endpoint_id: endpoint.as_str().to_owned(),
        changed: kept.from.as_ref() != Some(&kept.to),
        from: kept.from.as_ref().map(show_version),
        to: Some(show_version(&kept.to)),
        activation: kept.number,
        waiting_unmade: count(kept.told.unmade),
        made_anew: count(kept.told.anew),
        held: count(kept.told.held),
        held_delivery_ids: kept.told.named.iter().map(ToString::to_string).collect(),
        more: kept.told.more,
    })
}
