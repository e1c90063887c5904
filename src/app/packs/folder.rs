//! The packs' folder, as it was when it was last looked at.

use crate::adapter::{Fault, Pack, Packs, Stamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct PackFolder {
    folder: PathBuf,
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// One pack that an endpoint uses.
#[derive(Default)]
struct Seen {
    /// When it was read last.
    read_at: Stamp,
    /// At the last look: a save counts once two looks in a row find the same, for it may be half written.
    last: Stamp,
    /// Itself and what it lies over.
    chain: Vec<String>,
    pack: Option<Arc<Pack>>,
    faults: Vec<Fault>,
}

/// How often a pack is read again because it turns out to lie over others than it did.
const TURNS: usize = 3;

impl Seen {
    /// Stamped before it is read: whoever saves meanwhile is seen at the next look.
    fn read(folder: &Path, id: &str, before: Vec<String>) -> Self {
        let mut chain = if before.is_empty() { vec![id.to_owned()] } else { before };
        let mut turn = 0;
        loop {
            let stamp = Stamp::of(folder, chain.iter().map(String::as_str));
            let seen = |chain, pack, faults| Self { read_at: stamp.clone(), last: stamp.clone(), chain, pack, faults };
            turn += 1;
            match Pack::load(&folder.join(id)) {
                Ok(pack) if pack.chain() == chain || turn == TURNS => {
                    return seen(chain, Some(Arc::new(pack)), Vec::new());
                }
                Ok(pack) => chain = pack.chain(),
                Err(faults) => return seen(chain, None, faults),
            }
        }
    }
}

impl PackFolder {
    /// Reads the packs that endpoints use.
    pub fn read_all(folder: PathBuf, ids: impl IntoIterator<Item = String>) -> Self {
        let seen = ids.into_iter().map(|id| {
            let seen = Seen::read(&folder, &id, Vec::new());
            (id, seen)
        });
        let seen = Mutex::new(seen.collect());
        Self { folder, seen }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pack that can be loaded.
    pub fn pack(&self, id: &str) -> Option<Arc<Pack>> {
        self.lock().get(id).and_then(|s| s.pack.clone())
    }

    /// The same with why it cannot.
    pub fn seen(&self, id: &str) -> (Option<Arc<Pack>>, Vec<Fault>) {
        self.lock().get(id).map(|s| (s.pack.clone(), s.faults.clone())).unwrap_or_default()
    }

    /// All that can be loaded.
    pub fn packs(&self) -> Packs {
        let mut packs = Packs::default();
        self.lock().values().filter_map(|s| s.pack.clone()).for_each(|p| packs.insert(p));
        packs
    }

    /// The pack as it is at this moment, not as it was at the last look.
    pub async fn read(self: &Arc<Self>, id: &str) -> Result<Arc<Pack>, Vec<Fault>> {
        let (this, id) = (self.clone(), id.to_owned());
        let read = move || Pack::load(&this.folder.join(&id)).map(Arc::new);
        let broke_off = |_| Err(vec![Fault::new("adapter.toml", 0, "the pack could not be read", "try again")]);
        tokio::task::spawn_blocking(read).await.unwrap_or_else(broke_off)
    }

    /// Packs in which something was saved since they were read, now read again.
    pub async fn saved(self: &Arc<Self>) -> Vec<String> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.look()).await.unwrap_or_default()
    }

    fn look(&self) -> Vec<String> {
        let watched: Vec<(String, Vec<String>, Stamp, Stamp)> = self
            .lock()
            .iter()
            .map(|(id, s)| (id.clone(), s.chain.clone(), s.last.clone(), s.read_at.clone()))
            .collect();
        let mut saved = Vec::new();
        for (id, chain, last, read_at) in watched {
            let now = Stamp::of(&self.folder, chain.iter().map(String::as_str));
            if now == read_at || now != last {
                if let Some(seen) = self.lock().get_mut(&id) {
                    seen.last = now;
                }
                continue;
            }
            let seen = Seen::read(&self.folder, &id, chain);
            if seen.pack.is_none() {
                let shown = seen.faults.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
                tracing::warn!(
                    pack = id,
                    faults = seen.faults.len(),
                    "a pack was saved and cannot be loaded; what works stays:\n  {shown}"
                );
            }
            self.lock().insert(id.clone(), seen);
            saved.push(id);
        }
        saved
    }
}
