//! Looks every few seconds whether there is room for new work: on the store's disk, and at each endpoint.

use crate::config::{Config, StoreUrl};
use crate::domain::organisation::EndpointId;
use crate::store::{Full, Store, StoreError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const ROUND: Duration = Duration::from_secs(5);

/// What to look at.
pub struct Room {
    endpoints: Vec<EndpointId>,
    per_endpoint: i64,
    /// SQLite's folder; another machine's disk is not ours to look at.
    folder: Option<PathBuf>,
    min_free_bytes: u64,
}

impl Room {
    pub fn new(config: &Config) -> Self {
        let folder = match &config.store.url {
            StoreUrl::Sqlite(path) => {
                let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Some(folder.to_owned())
            }
            StoreUrl::Postgres(_) => None,
        };
        Self {
            endpoints: config.endpoints.iter().map(|e| e.id.clone()).collect(),
            per_endpoint: i64::try_from(config.limits.max_open_deliveries_per_endpoint).unwrap_or(i64::MAX),
            folder,
            min_free_bytes: config.limits.min_free_disk_bytes,
        }
    }

    /// One look.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn look(&self, store: &Store) -> Result<Full, StoreError> {
        let mut full = Full { disk: self.folder.as_deref().is_some_and(|f| self.too_little_on(f)), ..Full::default() };
        for endpoint in &self.endpoints {
            let open = store.open_at(endpoint).await?;
            if open >= self.per_endpoint {
                full.endpoints.insert(endpoint.clone(), open);
            }
        }
        Ok(full)
    }

    /// A disk that cannot be asked is not called full: the store itself will say so.
    fn too_little_on(&self, folder: &Path) -> bool {
        rustix::fs::statvfs(folder).is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) < self.min_free_bytes)
    }
}

/// Looks again and again until `stop`; a change is said once.
pub async fn keep(room: Room, store: Store, stop: CancellationToken) {
    let mut before = Full::default();
    loop {
        match room.look(&store).await {
            Ok(full) => {
                say(&before, &full);
                store.set_full(full.clone());
                before = full;
            }
            Err(e) => tracing::warn!(reason = %e, "the store could not be asked whether there is room; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

fn say(before: &Full, now: &Full) {
    match (before.disk, now.disk) {
        (false, true) => tracing::error!(
            "the store's disk has less room than limits.min_free_disk_bytes: new notes are refused until there is more"
        ),
        (true, false) => tracing::info!("the store's disk has room again"),
        _ => {}
    }
    for (endpoint, open) in now.endpoints.iter().filter(|(e, _)| !before.endpoints.contains_key(e)) {
        tracing::error!(%endpoint, open, "the endpoint is at its limit of open deliveries: new notes to it are refused");
    }
    for endpoint in before.endpoints.keys().filter(|e| !now.endpoints.contains_key(e)) {
        tracing::info!(%endpoint, "the endpoint has room again");
    }
}
