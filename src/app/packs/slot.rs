//! One endpoint, as far as its pack is concerned.

use super::{Keeper, PackFolder, named};
use crate::adapter::{Fault, Fitted, InUse, NotKept, Pack, check};
use crate::api::{Candidate, EndpointPacks, PackStanding, Tried};
use crate::app::{endpoints, in_force};
use crate::config::{Endpoint, Trust};
use crate::domain::organisation::PackId;
use crate::domain::policy::Environment;
use crate::store::record::{PackKept, Raw};
use crate::verdict::verdict;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub struct Slot {
    pub endpoint: Endpoint,
    pub trust: Trust,
    pub in_use: InUse,
    /// A digest of all that decides where and how is sent there ([`in_force::digest`]).
    pub config: Arc<str>,
    told: Mutex<Told>,
}

/// What people are to know.
#[derive(Default)]
struct Told {
    /// Why what the folder holds was not taken.
    faults: Vec<Fault>,
    /// Why nothing is sent.
    held: Option<String>,
    /// Why another bridge sends, and this one nothing.
    outdated: Option<String>,
    /// The activation that could not be taken up, and when that was tried.
    failed: Option<(i64, Instant)>,
}

/// How long until an activation that could not be taken up is tried again: reading a pack is work, and little changes from one second to the next.
const TRY_AGAIN: Duration = Duration::from_secs(30);

impl Slot {
    /// `refused`: why what the folder holds was not taken at start.
    pub fn new(endpoint: Endpoint, trust: Trust, in_use: InUse, refused: Vec<Fault>) -> Self {
        let config = Arc::from(in_force::digest(&endpoint, &trust));
        Self { endpoint, trust, in_use, config, told: Mutex::new(Told { faults: refused, ..Told::default() }) }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn failed(&self, activation: i64) {
        self.told().failed = Some((activation, Instant::now()));
    }

    pub fn failed_lately(&self, activation: i64) -> bool {
        self.told().failed.is_some_and(|(number, at)| number == activation && at.elapsed() < TRY_AGAIN)
    }

    /// Whether that is news.
    pub fn hold(&self, why: Option<String>) -> bool {
        let mut told = self.told();
        let news = told.held != why;
        told.held = why;
        news
    }

    /// Why another bridge sends, and this one nothing. Whether that is news.
    pub fn outdated(&self, why: Option<String>) -> bool {
        let mut told = self.told();
        let news = told.outdated.is_some() != why.is_some();
        told.outdated = why;
        news
    }

    /// What works stays, and this is why. None: nothing is wrong.
    pub fn refuse(&self, faults: Vec<Fault>) {
        let mut told = self.told();
        if !faults.is_empty() && told.faults != faults {
            let works = named(&self.in_use.now().pack);
            let shown = faults.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
            tracing::warn!(endpoint = %self.endpoint.id, faults = faults.len(), %works, "the pack that was saved is not taken; the one that works stays:\n  {shown}");
        }
        told.faults = faults;
    }

    /// Whether a pack may take the place of the one that works: its version, its check, and the endpoint's config.
    pub async fn acceptable(&self, pack: &Arc<Pack>, version: Option<&str>) -> Result<(), Vec<Fault>> {
        if let Some(wanted) = version.filter(|v| *v != pack.manifest.version) {
            let what = format!("the packs' folder holds {}, and version {wanted} is wanted", pack.pin());
            return Err(vec![Fault::new(
                "adapter.toml",
                0,
                what,
                "name the version the folder holds, or put the other one there",
            )]);
        }
        self.fits(pack)?;
        let checked = pack.clone();
        let report = tokio::task::spawn_blocking(move || check::check_loaded(&checked, verdict)).await;
        match report {
            Ok(report) if report.is_good() => Ok(()),
            Ok(report) => Err(report.faults),
            Err(_) => Err(vec![Fault::new(
                "adapter.toml",
                0,
                "the check broke off",
                "run `ips-bridge adapter check` on the pack",
            )]),
        }
    }

    fn fits(&self, pack: &Arc<Pack>) -> Result<(), Vec<Fault>> {
        self.fit(&self.endpoint, pack).map(|_| ())
    }

    fn fit(&self, endpoint: &Endpoint, pack: &Arc<Pack>) -> Result<Fitted, Vec<Fault>> {
        let as_faults = |said: Vec<String>| {
            let place = format!("endpoint {}", self.endpoint.id);
            said.into_iter().map(|what| Fault::new(&place, 0, what, "")).collect()
        };
        endpoints::fit(endpoint, &self.trust, pack, 0).map_err(as_faults)
    }

    /// The endpoint with another pack, to see what that would do: a draft, or one of another name, may be looked at anywhere.
    fn tried(&self, pack: &Arc<Pack>, settings: toml::Table) -> Result<Fitted, Vec<Fault>> {
        let mut endpoint = self.endpoint.clone();
        endpoint.environment = Environment::Test;
        if let Ok(id) = PackId::parse(&pack.manifest.id) {
            endpoint.adapter = id;
        }
        for (name, value) in settings {
            endpoint.settings.entry(name).or_insert(value);
        }
        self.fit(&endpoint, pack)
    }

    fn standing(&self, folder: &PackFolder) -> PackStanding {
        let (pack, mut faults) = folder.seen(self.endpoint.adapter.as_str());
        let told = self.told();
        faults.extend(told.faults.iter().cloned());
        PackStanding {
            in_folder: pack.as_deref().map(named),
            faults,
            pinned: self.endpoint.pack_version.clone(),
            held: told.outdated.clone().or_else(|| told.held.clone()),
            reloads: self.endpoint.reload_on_save,
        }
    }
}

/// The edge's side of a slot.
pub struct Desk {
    pub keeper: Arc<Keeper>,
    pub slot: Arc<Slot>,
}

impl EndpointPacks for Desk {
    fn standing(&self) -> PackStanding {
        self.slot.standing(&self.keeper.folder)
    }

    fn in_folder(&self, version: Option<String>) -> BoxFuture<'_, Result<Candidate, Vec<Fault>>> {
        Box::pin(async move {
            let pack = self.keeper.folder.read(self.slot.endpoint.adapter.as_str()).await?;
            self.slot.acceptable(&pack, version.as_deref()).await?;
            Ok(Candidate { kept: named(&pack), bytes: Raw(pack.keep()?) })
        })
    }

    fn fits(&self, kept: PackKept, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Vec<Fault>>> {
        Box::pin(async move {
            let pack = Pack::kept(&bytes, &kept.fingerprint)
                .map_err(|e| vec![Fault::new(&kept.to_string(), 0, e.to_string(), "")])?;
            self.slot.fits(&Arc::new(pack))
        })
    }

    fn tried(&self, bytes: Vec<u8>, settings: toml::Table) -> BoxFuture<'_, Result<Tried, Vec<Fault>>> {
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || Pack::sent(&bytes)).await;
            let unreadable = |what: String| vec![Fault::new("pack", 0, what, "send it with `ips-bridge adapter diff`")];
            let pack = match read {
                Ok(Ok(pack)) => Arc::new(pack),
                Ok(Err(NotKept::Faults(faults))) => return Err(faults),
                Ok(Err(other)) => return Err(unreadable(other.to_string())),
                Err(_) => return Err(unreadable("the pack could not be read".into())),
            };
            Ok(Tried { fitted: self.slot.tried(&pack, settings)?, judge: verdict })
        })
    }

    fn take_up(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.keeper.catch_up(&self.slot))
    }
}
