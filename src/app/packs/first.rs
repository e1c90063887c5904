//! What each endpoint begins with: what the record says is active; at a first start what the packs' folder holds, which is recorded and audited as
//! activated by the bridge.

use super::slot::Slot;
use super::{PackFolder, by_bridge, named};
use crate::adapter::{Fault, InUse, Pack};
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

/// Another bridge may record its own first start at the same time; then this one looks again.
const TRIES: usize = 5;

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

/// Every endpoint, ready with the pack that is active for it and recorded as such; and why what the folder holds was not taken, where it was not.
pub async fn begin(
    config: &Config,
    folder: &PackFolder,
    store: &Store,
    ambient: &Ambient,
) -> Result<Vec<(Ready, Vec<Fault>)>, StartError> {
    for _ in 0..TRIES {
        let chosen = choose(config, folder, store).await.map_err(StartError)?;
        let of = |endpoint: &Endpoint| {
            let chosen = chosen.get(&endpoint.id).ok_or_else(|| vec!["has no pack".to_owned()])?;
            Ok((chosen.pack.clone(), chosen.seen + i64::from(chosen.because.is_some())))
        };
        let ready = endpoints::ready_with(config, &of, ambient).map_err(StartError)?;
        if record(config, &chosen, store).await? {
            let refused = |e: &EndpointId| chosen.get(e).map(|c| c.refused.clone()).unwrap_or_default();
            return Ok(ready.into_iter().map(|r| (refused(&r.config.id), r)).map(|(why, r)| (r, why)).collect());
        }
    }
    Err(StartError::one("other bridges on this record change its packs all the time; start again when they are done"))
}

/// `false`: somebody else recorded something meanwhile.
async fn record(config: &Config, chosen: &BTreeMap<EndpointId, Chosen>, store: &Store) -> Result<bool, StartError> {
    for endpoint in &config.endpoints {
        let Some(Chosen { pack, seen, because: Some(why), .. }) = chosen.get(&endpoint.id) else { continue };
        let in_words =
            |list: Vec<Fault>| StartError(list.iter().map(|f| format!("endpoint {}: {f}", endpoint.id)).collect());
        match store.change_pack(by_bridge(endpoint, *seen, pack, why).map_err(in_words)?).await {
            Ok(_) => {
                tracing::info!(endpoint = %endpoint.id, pack = %named(pack), why, "a pack was activated");
            }
            Err(WriteError::Refused(Refusal::VersionConflict { .. })) => return Ok(false),
            Err(e) => {
                return Err(StartError::one(format!("endpoint {}: its pack could not be recorded: {e}", endpoint.id)));
            }
        }
    }
    Ok(true)
}

async fn choose(
    config: &Config,
    folder: &PackFolder,
    store: &Store,
) -> Result<BTreeMap<EndpointId, Chosen>, Vec<String>> {
    let ids: Vec<EndpointId> = config.endpoints.iter().map(|e| e.id.clone()).collect();
    let states = store.endpoint_states(&ids).await.map_err(|e| vec![e.to_string()])?;
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
    if faults.is_empty() { Ok(chosen) } else { Err(faults) }
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
        let pack = good(endpoint, trust, folder).await?;
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
        Some(pack) => pack.clone(),
        None => from_record(store, &endpoint.id, &active.now).await.map_err(|e| vec![e])?,
    };
    if let Err(unfit) = endpoints::fit(endpoint, trust, &kept, seen) {
        // Config was changed so that what is active cannot be used: what the folder holds may be what it was changed for.
        let because = Some("what was active does not fit the endpoint's config any more");
        return match good(endpoint, trust, folder).await {
            Ok(pack) => Ok(Chosen { pack, seen, because, refused: Vec::new() }),
            Err(_) => {
                Err(unfit.into_iter().map(|f| format!("the active pack {} does not fit: {f}", active.now)).collect())
            }
        };
    }
    tell(endpoint, active, other, in_folder.is_some());
    Ok(Chosen { pack: kept, seen, because: None, refused })
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

/// What the folder holds, at the version that config pins and fit for the endpoint. For a live one it must pass its check too.
async fn good(endpoint: &Endpoint, trust: &Trust, folder: &PackFolder) -> Result<Arc<Pack>, Vec<String>> {
    let (_, faults) = folder.seen(endpoint.adapter.as_str());
    if !faults.is_empty() {
        return Err(faults.iter().map(|f| format!("the pack {}: {f}", endpoint.adapter)).collect());
    }
    let pack = endpoints::from_folder(endpoint, &folder.packs()).map_err(|f| vec![f.to_string()])?;
    let slot = slot(endpoint, trust, &pack)?;
    if endpoint.environment == Environment::Live {
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
