//! What each endpoint begins with: what the record says is active; at a first start what the packs' folder holds, which is recorded and audited as
//! activated by the bridge.

use super::slot::Slot;
use super::{Keeper, PackFolder, by_bridge, named};
use crate::adapter::{Fault, Fitted, InUse, Pack};
use crate::app::endpoints::{self, Ready};
use crate::app::serve::StartError;
use crate::config::{Config, Endpoint, Trust};
use crate::domain::organisation::EndpointId;
use crate::domain::policy::Environment;
use crate::store::record::{ActivePack, PackKept};
use crate::store::{Refusal, Store, WriteError};
use crate::transport::https::Ambient;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pack for one endpoint.
struct Chosen {
    pack: Arc<Pack>,
    /// What was recorded when it was chosen.
    seen: i64,
    /// Why it has to be recorded as another one than before.
    because: Option<&'static str>,
    /// Why what the folder holds was not taken.
    refused: Vec<Fault>,
}

/// An endpoint, ready with the pack it begins with.
pub struct Begun {
    pub ready: Ready,
    /// Why what the folder holds was not taken, where it was not.
    pub refused: Vec<Fault>,
    /// Why that pack has yet to be recorded as the active one: [`Keeper::record`].
    pub because: Option<&'static str>,
}

/// Every endpoint with its pack. Nothing is recorded: a start that fails for another reason changes nothing for the bridges that work.
pub async fn begin(
    config: &Config,
    folder: &PackFolder,
    store: &Store,
    ambient: &Ambient,
) -> Result<Vec<Begun>, StartError> {
    let mut chosen = choose(config, folder, store).await?;
    let of = |endpoint: &Endpoint| {
        let chosen = chosen.get(&endpoint.id).ok_or_else(|| vec!["has no pack".to_owned()])?;
        Ok((chosen.pack.clone(), chosen.seen))
    };
    let ready = endpoints::ready_with(config, &of, ambient).map_err(StartError::all)?;
    let begun = |ready: Ready| {
        let (refused, because) = chosen.remove(&ready.config.id).map(|c| (c.refused, c.because)).unwrap_or_default();
        Begun { ready, refused, because }
    };
    Ok(ready.into_iter().map(begun).collect())
}

impl Keeper {
    /// What an endpoint begins with becomes the active one, unless another bridge has activated one meanwhile: then that is taken up.
    pub async fn record(&self, slot: &Slot, why: &'static str) -> Result<(), StartError> {
        let (endpoint, now) = (&slot.endpoint, slot.in_use.now());
        let in_words =
            |list: Vec<Fault>| StartError::all(list.iter().map(|f| format!("endpoint {}: {f}", endpoint.id)).collect());
        match self.store.change_pack(by_bridge(endpoint, now.activation, &now.pack, why).map_err(in_words)?).await {
            Ok(_) => {
                slot.in_use.take_up(Fitted { activation: now.activation + 1, ..(*now).clone() });
                tracing::info!(endpoint = %endpoint.id, pack = %named(&now.pack), why, "a pack was activated");
            }
            Err(WriteError::Refused(Refusal::PackChanged { .. })) => self.catch_up(slot).await,
            Err(e) => {
                let may_pass = matches!(&e, WriteError::Store(e) if e.may_pass());
                let what = format!("endpoint {}: its pack could not be recorded: {e}", endpoint.id);
                return Err(StartError { may_pass, ..StartError::one(what) });
            }
        }
        Ok(())
    }
}

async fn choose(
    config: &Config,
    folder: &PackFolder,
    store: &Store,
) -> Result<BTreeMap<EndpointId, Chosen>, StartError> {
    let ids: Vec<EndpointId> = config.endpoints.iter().map(|e| e.id.clone()).collect();
    let states = store.endpoint_states(&ids).await?;
    let (mut chosen, mut faults) = (BTreeMap::new(), Vec::new());
    for endpoint in &config.endpoints {
        let Some(trust) = config.trust(&endpoint.trust) else { continue };
        let state = states.iter().find(|s| s.id == endpoint.id);
        let active = state.and_then(|s| s.pack.as_ref());
        match one(endpoint, trust, active, folder, store).await {
            Ok(pack) => drop(chosen.insert(endpoint.id.clone(), pack)),
            Err(list) => faults.extend(list.into_iter().map(|f| format!("endpoint {}: {f}", endpoint.id))),
        }
    }
    if faults.is_empty() { Ok(chosen) } else { Err(StartError::all(faults)) }
}

async fn one(
    endpoint: &Endpoint,
    trust: &Trust,
    active: Option<&ActivePack>,
    folder: &PackFolder,
    store: &Store,
) -> Result<Chosen, Vec<String>> {
    let seen = active.map_or(0, |a| a.number);
    let Some(active) = active.filter(|a| a.now.id == endpoint.adapter.as_str()) else {
        let because = if active.is_some() {
            "config names another adapter"
        } else {
            "the endpoint's first start with this record"
        };
        let pack = good(endpoint, trust, folder, endpoint.environment == Environment::Live).await?;
        return Ok(Chosen { pack, seen, because: Some(because), refused: Vec::new() });
    };
    let in_folder = folder.pack(&active.now.id);
    let other = in_folder.as_ref().filter(|p| p.fingerprint() != active.now.fingerprint);
    let mut refused = Vec::new();
    if let Some(pack) = other.filter(|p| endpoint.reload_on_save && p.fingerprint() != active.folder) {
        match saved(endpoint, trust, pack, active).await {
            Ok(()) => {
                let because = Some("the pack was saved while no bridge ran, and passed its check");
                return Ok(Chosen { pack: pack.clone(), seen, because, refused });
            }
            Err(faults) => refused = faults,
        }
    }
    let kept = match in_folder.as_ref().filter(|p| p.fingerprint() == active.now.fingerprint) {
        Some(pack) => Ok(pack.clone()),
        None => from_record(store, &endpoint.id, &active.now).await.map_err(|e| vec![e]),
    };
    let does_not_fit = |list: Vec<String>| {
        list.into_iter().map(|f| format!("the active pack {} does not fit: {f}", active.now)).collect::<Vec<_>>()
    };
    let usable = kept.and_then(|k| endpoints::fit(endpoint, trust, &k, seen).map(|_| k).map_err(does_not_fit));
    match usable {
        Ok(pack) => {
            tell(endpoint, active, other, in_folder.is_some());
            Ok(Chosen { pack, seen, because: None, refused })
        }
        Err(why) => {
            let pack = instead(endpoint, trust, active, folder, why).await?;
            let because = Some("what was active cannot be used any more, by the endpoint's config or by this release");
            Ok(Chosen { pack, seen, because, refused: Vec::new() })
        }
    }
}

/// What the folder holds, in place of what cannot be used any more: for a live endpoint only by name, for a save alone never changes one.
async fn instead(
    endpoint: &Endpoint,
    trust: &Trust,
    active: &ActivePack,
    folder: &PackFolder,
    mut why: Vec<String>,
) -> Result<Arc<Pack>, Vec<String>> {
    let is_named = endpoint.pack_version.as_ref().is_some_and(|pin| *pin != active.now.version);
    if endpoint.environment == Environment::Live && !is_named {
        why.push(format!(
            "a live endpoint takes another pack only by its version: give the one in the packs' folder a new version and pin it in config \
             (pack = \"{}@…\"), or put back what the active one needs",
            endpoint.adapter
        ));
        return Err(why);
    }
    match good(endpoint, trust, folder, true).await {
        Ok(pack) => Ok(pack),
        Err(more) => {
            why.extend(more.into_iter().map(|f| format!("nor can what the packs' folder holds be taken: {f}")));
            Err(why)
        }
    }
}

/// Whether what was saved on a test endpoint while no bridge ran may be taken.
async fn saved(endpoint: &Endpoint, trust: &Trust, pack: &Arc<Pack>, active: &ActivePack) -> Result<(), Vec<Fault>> {
    let unfit = |list: Vec<String>| list.into_iter().map(|what| Fault::new("adapter.toml", 0, what, "")).collect();
    let taken = match slot(endpoint, trust, pack) {
        Ok(slot) => slot.acceptable(pack, endpoint.pack_version.as_deref()).await,
        Err(list) => Err(unfit(list)),
    };
    taken.inspect_err(|faults| {
        let shown = faults.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
        tracing::warn!(endpoint = %endpoint.id, active = %active.now, faults = faults.len(), "the pack that was saved is not taken; the active one stays:\n  {shown}");
    })
}

/// What the folder holds, at the version that config pins and fit for the endpoint; `checked`: it must pass its check too.
async fn good(
    endpoint: &Endpoint,
    trust: &Trust,
    folder: &PackFolder,
    checked: bool,
) -> Result<Arc<Pack>, Vec<String>> {
    let (_, faults) = folder.seen(endpoint.adapter.as_str());
    if !faults.is_empty() {
        return Err(faults.iter().map(|f| format!("the pack {}: {f}", endpoint.adapter)).collect());
    }
    let pack = endpoints::from_folder(endpoint, &folder.packs()).map_err(|f| vec![f.to_string()])?;
    let slot = slot(endpoint, trust, &pack)?;
    if checked {
        let in_words = |list: Vec<Fault>| list.iter().map(|f| format!("{}: {f}", pack.pin())).collect::<Vec<_>>();
        slot.acceptable(&pack, None).await.map_err(in_words)?;
    }
    Ok(pack)
}

fn slot(endpoint: &Endpoint, trust: &Trust, pack: &Arc<Pack>) -> Result<Slot, Vec<String>> {
    let fitted = endpoints::fit(endpoint, trust, pack, 0)?;
    Ok(Slot::new(endpoint.clone(), trust.clone(), InUse::new(fitted), Vec::new()))
}

/// Where folder or config say otherwise than the record: said at every start, changed by nobody but a person.
fn tell(endpoint: &Endpoint, active: &ActivePack, other: Option<&Arc<Pack>>, in_folder: bool) {
    if !in_folder {
        tracing::warn!(endpoint = %endpoint.id, active = %active.now, "the packs' folder holds no such pack that can be loaded; the active one is used");
    }
    if let Some(other) = other {
        tracing::warn!(endpoint = %endpoint.id, active = %active.now, folder = %named(other), "the packs' folder holds another pack than the active one; the active one is used. `ips-bridge adapter activate` takes the other");
    }
    if let Some(pin) = endpoint.pack_version.as_ref().filter(|pin| **pin != active.now.version) {
        tracing::warn!(endpoint = %endpoint.id, active = %active.now, pin, "config pins another version than the active one; the active one is used. Change the pin, or activate that version");
    }
}

/// As it was activated.
pub(super) async fn from_record(store: &Store, endpoint: &EndpointId, kept: &PackKept) -> Result<Arc<Pack>, String> {
    let bytes = store.pack_content(endpoint, &kept.fingerprint).await.map_err(|e| e.to_string())?;
    let bytes = bytes
        .ok_or_else(|| format!("the record does not hold the bytes of its active pack {kept}; restore the record"))?;
    let fingerprint = kept.fingerprint.clone();
    let read = tokio::task::spawn_blocking(move || Pack::kept(&bytes, &fingerprint)).await;
    let read = read.map_err(|_| format!("the bytes of {kept} could not be read"))?;
    read.map(Arc::new).map_err(|e| format!("the kept bytes of {kept}: {e}"))
}
