//! Which pack each endpoint works with: what the record says is active, and never what somebody happened to save.
//!
//! `first` decides at start, `folder` looks at the packs' folder for saves, and [`Keeper`] takes up what is activated, by a call here, by another
//! bridge on the same record, or on a test endpoint by a save that passes the pack's check.

mod first;
mod folder;
mod slot;

pub use first::{Begun, begin};
pub use folder::PackFolder;
pub use slot::{Desk, Slot};

use super::{endpoints, in_force};
use crate::adapter::{Fault, Pack};
use crate::domain::organisation::EndpointId;
use crate::store::record::{EndpointState, PackKept, Raw};
use crate::store::write::{ChangePack, PackChange};
use crate::store::{Store, WriteError};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How soon what another bridge activated is taken up here. Until then nothing is sent with the former pack either: the record refuses it.
const LOOK_AT_RECORD: Duration = Duration::from_secs(1);

/// What all endpoints share.
pub struct Keeper {
    pub folder: Arc<PackFolder>,
    pub store: Store,
    pub slots: Vec<Arc<Slot>>,
    pub look_every: Duration,
    /// One change is taken up after the other.
    pub turn: Mutex<()>,
}

/// As the record calls a pack.
pub fn named(pack: &Pack) -> PackKept {
    PackKept {
        id: pack.manifest.id.clone(),
        version: pack.manifest.version.clone(),
        fingerprint: pack.fingerprint().to_owned(),
    }
}

/// A change that the bridge itself makes.
fn by_bridge(
    slot_endpoint: &crate::config::Endpoint,
    seen: i64,
    pack: &Pack,
    why: &str,
) -> Result<ChangePack, Vec<Fault>> {
    Ok(ChangePack {
        call: None,
        trust: slot_endpoint.trust.clone(),
        endpoint: slot_endpoint.id.clone(),
        seen,
        change: PackChange::Activate(Raw(pack.keep()?)),
        to: named(pack),
        folder: pack.fingerprint().to_owned(),
        reason: why.to_owned(),
        told: Value::default(),
    })
}

/// `false`: it is over.
async fn waited(wait: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(wait) => true,
    }
}

impl Keeper {
    /// Looks until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        // Each at its own pace: a long check of what was saved must not delay what another bridge activated.
        let record = async {
            while waited(LOOK_AT_RECORD, &stop).await {
                self.look_at_record().await;
            }
        };
        let folder = async {
            while waited(self.look_every, &stop).await {
                self.look_at_folder().await;
            }
        };
        tokio::join!(record, folder);
    }

    async fn look_at_record(&self) {
        let ids: Vec<EndpointId> = self.slots.iter().map(|s| s.endpoint.id.clone()).collect();
        match self.store.endpoint_states(&ids).await {
            Ok(states) => {
                for state in states {
                    if let Some(slot) = self.slots.iter().find(|s| s.endpoint.id == state.id) {
                        in_force::look(slot, &state);
                        self.take_up(slot, &state).await;
                    }
                }
            }
            Err(e) => tracing::debug!(reason = %e, "the record could not be asked which packs are active"),
        }
    }

    /// Works with what the record says is active, from the next message on.
    pub async fn catch_up(&self, slot: &Slot) {
        match self.store.endpoint_states(std::slice::from_ref(&slot.endpoint.id)).await {
            Ok(states) => {
                for state in states {
                    self.take_up(slot, &state).await;
                }
            }
            // The next look finds it.
            Err(e) => {
                tracing::warn!(endpoint = %slot.endpoint.id, reason = %e, "the record could not be asked which pack is active")
            }
        }
    }

    async fn take_up(&self, slot: &Slot, state: &EndpointState) {
        let Some(active) = &state.pack else { return };
        let _turn = self.turn.lock().await;
        if slot.in_use.now().activation >= active.number || slot.failed_lately(active.number) {
            return;
        }
        slot.in_use.fell_behind(active.number);
        let fitted = match self.pack_of(&slot.endpoint.id, &active.now).await {
            Ok(pack) => endpoints::fit(&slot.endpoint, &slot.trust, &pack, active.number).map_err(|f| f.join("; ")),
            Err(e) => Err(e),
        };
        match fitted {
            Ok(fitted) => {
                self.store.set_policy(fitted.policy.clone());
                slot.in_use.take_up(fitted);
                slot.hold(None);
                // Why something else was not taken is no longer of interest.
                slot.refuse(Vec::new());
                tracing::info!(endpoint = %slot.endpoint.id, pack = %active.now, activation = active.number, "works with another pack from now on");
            }
            Err(why) => {
                slot.failed(active.number);
                let why = format!("the active pack {} cannot be used by this bridge: {why}", active.now);
                if slot.hold(Some(why.clone())) {
                    tracing::error!(endpoint = %slot.endpoint.id, reason = %why, "nothing is sent until another pack is activated or config is mended");
                }
            }
        }
    }

    /// The folder's, where it is the same to the byte; else as it was kept.
    async fn pack_of(&self, endpoint: &EndpointId, kept: &PackKept) -> Result<Arc<Pack>, String> {
        if let Some(pack) = self.folder.pack(&kept.id).filter(|p| p.fingerprint() == kept.fingerprint) {
            return Ok(pack);
        }
        first::from_record(&self.store, endpoint, kept).await
    }

    async fn look_at_folder(&self) {
        for id in self.folder.saved().await {
            let pack = self.folder.pack(&id);
            for slot in self.slots.iter().filter(|s| s.endpoint.adapter.as_str() == id) {
                slot.refuse(Vec::new());
                match &pack {
                    Some(pack) if slot.endpoint.reload_on_save => self.reload(slot, pack).await,
                    Some(pack) if pack.fingerprint() != slot.in_use.now().pack.fingerprint() => {
                        let (holds, works) = (named(pack), named(&slot.in_use.now().pack));
                        tracing::warn!(endpoint = %slot.endpoint.id, %holds, %works, "the packs' folder holds another pack than the endpoint works with; `ips-bridge adapter activate` takes it");
                    }
                    _ => {}
                }
            }
        }
    }

    /// A save on a test endpoint: taken when it is good, told once when it is not.
    async fn reload(&self, slot: &Slot, pack: &Arc<Pack>) {
        let now = slot.in_use.now();
        if pack.fingerprint() == now.pack.fingerprint() {
            return;
        }
        if pack.pin() == now.pack.pin() {
            tracing::warn!(endpoint = %slot.endpoint.id, saved = %named(pack), works = %named(&now.pack), "a pack was saved under the version that works, with other bytes; raise its version before it goes anywhere else");
        }
        let taken = match slot.acceptable(pack, slot.endpoint.pack_version.as_deref()).await {
            Ok(()) => match by_bridge(&slot.endpoint, now.activation, pack, "the pack was saved, and passed its check")
            {
                Ok(change) => self.store.change_pack(change).await,
                Err(faults) => return slot.refuse(faults),
            },
            Err(faults) => return slot.refuse(faults),
        };
        match taken {
            Ok(_) => self.catch_up(slot).await,
            Err(WriteError::Refused(_)) => self.catch_up(slot).await,
            Err(e) => {
                tracing::warn!(endpoint = %slot.endpoint.id, reason = %e, "a saved pack could not be activated; save it again, or use `ips-bridge adapter activate`")
            }
        }
    }
}
