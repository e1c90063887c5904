//! Files that come back into an endpoint's folders: results of single documents, and lists of what the record holds.
//!
//! A file is read when it has stood still for a while, its word is stored with its bytes, and then it is moved to `done/`. When the bridge
//! stops in between, it is read again: the same file makes the same reply, which the store has already.

use super::reconcile::{Reconciling, read_list, reconcile};
use crate::adapter::{InUse, ResultId, Row};
use crate::domain::ambient::Clock;
use crate::domain::decide::later;
use crate::domain::delivery::{Delivery, EvidenceKind};
use crate::domain::ids::{EntryId, ReplyId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::verdict::{Meaning, Verdict};
use crate::store::record::{Actor, Raw, Reply, RequestKey};
use crate::store::write::{Call, Report, Reported};
use crate::store::{Scope, Store, StoreError, WriteError};
use crate::transport::beside::Beside;
use crate::verdict::of_result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Files looked at in one round; the others wait for the next.
const FILES_A_ROUND: usize = 500;
/// Where files go that were taken in, and those that cannot be.
const DONE: &str = "done";
const UNREAD: &str = "unread";

/// One endpoint's folders.
pub struct FolderSource {
    pub store: Store,
    pub scope: Scope,
    pub clock: Arc<dyn Clock>,
    pub endpoint: EndpointId,
    pub trust: OdsCode,
    /// As people know it.
    pub name: String,
    pub time_zone: TimeZone,
    pub in_use: InUse,
    pub results: Option<PathBuf>,
    pub lists: Option<PathBuf>,
    pub poll_interval: Duration,
    pub settle_time: Duration,
    pub max_file_bytes: usize,
}

/// A file that has stood still.
struct Found {
    folder: PathBuf,
    name: String,
    changed: Timestamp,
    /// `None`: larger than the limit.
    bytes: Option<Vec<u8>>,
}

/// Looks until `stop`.
pub async fn watch(source: FolderSource, stop: CancellationToken) {
    let mut results = source.results.clone().map(|folder| Watched::new("results", folder));
    let mut lists = source.lists.clone().map(|folder| Watched::new("lists", folder));
    let rounds = async {
        loop {
            // One that cannot be used is in nobody else's way.
            for watched in results.iter_mut().chain(lists.iter_mut()) {
                if let Err(e) = round(&source, watched).await {
                    tracing::warn!(endpoint = %source.endpoint, folder = watched.key, reason = %e, "a folder could not be taken in; looking again");
                }
            }
            tokio::time::sleep(source.poll_interval).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = rounds => {}
    }
}

/// A folder that files come back into.
struct Watched {
    /// What config calls it: its path may name a person.
    key: &'static str,
    folder: PathBuf,
    beside: Beside,
    /// Taken in, and not to be moved, with when that is tried again: they are not taken in at every look.
    left: HashMap<(String, Timestamp), Timestamp>,
}

impl Watched {
    fn new(key: &'static str, folder: PathBuf) -> Self {
        Self { key, folder, beside: Beside::default(), left: HashMap::new() }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Trouble> {
        Ok(self.beside.run(ANSWERS_WITHIN, work).await.map_err(|_| Trouble::Hangs)??)
    }
}

/// A folder that has not answered by then hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// So long one that could not be moved stays where it is before that is tried again.
const LEFT_FOR: Duration = Duration::from_secs(600);
/// One look reads files for so long, or so much; the others wait for the next.
const LOOK_FOR: Duration = Duration::from_secs(20);
const LOOK_BYTES: usize = 64 * 1024 * 1024;
/// Files that could not be moved, and are remembered: beyond, they are taken in again, which changes nothing.
const LEFT_MAX: usize = 10_000;

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("a folder cannot be used ({0})")]
    Folder(io::ErrorKind),
    #[error("{0}")]
    Store(#[from] WriteError),
    #[error("a folder does not answer")]
    Hangs,
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Self::Folder(e.kind())
    }
}

impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Self {
        Self::Store(e.into())
    }
}

async fn round(source: &FolderSource, watched: &mut Watched) -> Result<(), Trouble> {
    let is_lists = watched.key == "lists";
    let endings: Vec<String> = match is_lists {
        true => vec!["csv".into()],
        false => {
            let fitted = source.in_use.now();
            fitted.pack.manifest.result.iter().flat_map(|r| r.endings.keys().cloned()).collect()
        }
    };
    let mut files = still(source, watched, endings).await?;
    if !is_lists && let Some(rules) = &source.in_use.now().pack.manifest.result {
        // Nobody knows the order of two words of the same moment: a no after a yes is a contradiction, and a yes after a no would be the end of it.
        let is_no = |file: &Found| {
            let (_, ending) = file.name.rsplit_once('.')?;
            Some(rules.says(ending, file.bytes.as_deref()?)?.row != Row::Positive)
        };
        files.sort_by_cached_key(|file| (file.changed, is_no(file)));
    }
    for file in files {
        let place = (file.name.clone(), file.changed);
        let taken = if is_lists { list(source, watched, file).await } else { result(source, watched, file).await };
        match taken {
            Ok(()) => drop(watched.left.remove(&place)),
            // It was taken in; only its folder does not let it go. The next one has nothing to do with that.
            Err(Trouble::Folder(kind)) => {
                tracing::error!(endpoint = %source.endpoint, folder = watched.key, reason = %kind, changed = %place.1, "a file that was taken in cannot be moved into done or unread below its folder; it stays where it is: let the bridge write there");
                if watched.left.len() < LEFT_MAX {
                    watched.left.insert(place, later(source.clock.now(), LEFT_FOR));
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The files with one of these endings that have not changed for the settle time, oldest first and then by name: of two words about one document the later
/// one holds. Others are somebody else's.
async fn still(source: &FolderSource, watched: &Watched, endings: Vec<String>) -> Result<Vec<Found>, Trouble> {
    let (folder, settle, max) = (watched.folder.clone(), source.settle_time, source.max_file_bytes);
    let wait = |again: &Timestamp| *again > source.clock.now();
    let left: HashSet<(String, Timestamp)> =
        watched.left.iter().filter(|(_, again)| wait(again)).map(|(place, _)| place.clone()).collect();
    let endpoint = source.endpoint.clone();
    let now = source.clock.now();
    watched.blocking(move || {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Links are not followed: whoever may write here says nothing about other places.
            let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
            if !name.starts_with('.') && endings.contains(&ending) && entry.file_type()?.is_file() {
                names.push(name);
            }
        }
        names.sort_unstable();
        let begun = std::time::Instant::now();
        let mut stood: Vec<(Timestamp, String, u64)> = Vec::new();
        // By name, so that where a slow folder cuts this short the words about one document are together.
        for name in names {
            if begun.elapsed() > LOOK_FOR && stood.last().is_some_and(|(_, last, _)| stem(last) != stem(&name)) {
                break;
            }
            let meta = match std::fs::symlink_metadata(folder.join(&name)) {
                Ok(meta) => meta,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            let changed = Timestamp::try_from(meta.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
            let age = Duration::try_from(now.duration_since(changed)).unwrap_or(Duration::ZERO);
            if age < settle || left.contains(&(name.clone(), changed)) {
                continue;
            }
            stood.push((changed, name, meta.len()));
        }
        stood.sort_unstable();
        let mut found: Vec<Found> = Vec::new();
        let (begun, mut read) = (std::time::Instant::now(), 0);
        for (changed, name, length) in stood {
            let enough = found.len() >= FILES_A_ROUND || begun.elapsed() > LOOK_FOR || read > LOOK_BYTES;
            let with_the_last = |last: &Found| last.changed == changed && stem(&last.name) == stem(&name);
            if enough && found.last().is_some_and(|last| !with_the_last(last)) {
                break;
            }
            let path = folder.join(&name);
            let bytes = match (length <= max as u64).then(|| std::fs::read(&path)).transpose() {
                Ok(None) => None,
                Ok(Some(bytes)) => {
                    read += bytes.len();
                    Some(bytes)
                }
                // One file that cannot be read holds up no other.
                Err(e) => {
                    let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
                    // Its name could be a patient's.
                    tracing::error!(%endpoint, reason = %e.kind(), %ending, %changed, "a file that came back cannot be read; it stays where it is: look at the permissions of the one of that ending and time");
                    continue;
                }
            };
            found.push(Found { folder: folder.clone(), name, changed, bytes });
        }
        Ok(found)
    })
    .await
}

/// What a result file is called by: the document, or the message.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// One result file: its word, stored; then out of the way.
async fn result(source: &FolderSource, watched: &Watched, file: Found) -> Result<(), Trouble> {
    let fitted = source.in_use.now();
    let Some(rules) = &fitted.pack.manifest.result else { return Ok(()) };
    let Some((stem, ending)) = file.name.rsplit_once('.') else { return Ok(()) };
    let Some(bytes) = file.bytes.clone() else {
        tracing::error!(endpoint = %source.endpoint, limit = source.max_file_bytes, "a result file is larger than the limit; put aside unread");
        return away(watched, file, UNREAD).await;
    };
    // Files of other endings are somebody else's.
    let Some(says) = rules.says(ending, &bytes) else { return Ok(()) };
    let delivery = match rules.id {
        ResultId::DocumentId => match stem.parse::<EntryId>() {
            Ok(id) => source.store.deliveries_of_documents(&source.scope, &source.endpoint, [id]).await?.pop(),
            Err(_) => None,
        },
        ResultId::ControlId => source.store.delivery_of_control_id(&source.scope, &source.endpoint, stem).await?,
    };
    let says = delivery.as_ref().map_or(says.clone(), |d| says.about(d.entry_id));
    let unread = says.unread.clone();
    let reply = reply(source, &file, bytes, of_result(says));
    let (id, understood) = (reply.id, reply.verdict.meaning != Meaning::Unknown);
    let report = Report {
        endpoint: source.endpoint.clone(),
        delivery: delivery.as_ref().map(|d: &Delivery| d.id),
        evidence: EvidenceKind::VendorReport,
        reply,
    };
    match source.store.report(report).await {
        Ok(Reported::AnotherPatients(d)) => {
            tracing::error!(endpoint = %source.endpoint, delivery = %d.id, state = d.state.word(), "a result file gives a document the record id under which one of another patient stands, or may stand, so it changed nothing; it is put aside: look in the record which of the two the id means");
            return away(watched, file, UNREAD).await;
        }
        Ok(Reported::Told(d)) if !understood => {
            let reason = unread
                .as_deref()
                .unwrap_or("it says nothing that the pack's [result] lists; look at it, and list its status");
            tracing::error!(endpoint = %source.endpoint, delivery = %d.id, state = d.state.word(), reason, "a result file changed nothing and is put aside");
        }
        Ok(Reported::Told(d)) => {
            tracing::info!(endpoint = %source.endpoint, delivery = %d.id, state = d.state.word(), "result file");
        }
        Ok(Reported::Unmatched) => {
            tracing::warn!(endpoint = %source.endpoint, "a result file that fits nothing we sent; kept")
        }
        // It was taken in before, and the bridge stopped before it was moved. Any other conflict kept nothing.
        Err(WriteError::Store(StoreError::Conflict(_)))
            if source.store.has_reply(id).await.map_err(WriteError::from)? => {}
        Err(e) => return Err(e.into()),
    }
    away(watched, file, if understood { DONE } else { UNREAD }).await
}

/// The same file gives the same id, whenever it is read: that is how a second reading is noticed.
fn reply(source: &FolderSource, file: &Found, bytes: Vec<u8>, verdict: Verdict) -> Reply {
    let changed = file.changed.as_nanosecond().to_be_bytes();
    let hash = digest(&[source.endpoint.as_str().as_bytes(), file.name.as_bytes(), &changed, &bytes]);
    let mut random = [0u8; 10];
    random.copy_from_slice(&hash[..10]);
    let millis = u64::try_from(file.changed.as_millisecond()).unwrap_or(0);
    Reply {
        id: ReplyId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()),
        endpoint: source.endpoint.clone(),
        delivery_id: None,
        attempt_id: None,
        received_at: source.clock.now(),
        verdict,
        unmatched: false,
        bytes: Raw(bytes),
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// One list of what the record holds. Its sheet is left beside it in `done/`.
async fn list(source: &FolderSource, watched: &Watched, file: Found) -> Result<(), Trouble> {
    if !file.name.to_ascii_lowercase().ends_with(".csv") {
        return Ok(());
    }
    let limit = "larger than the limit".to_owned();
    let read = file.bytes.as_deref().map_or(Err(limit), read_list);
    let listed = match read {
        Ok(listed) => listed,
        Err(what) => {
            tracing::error!(endpoint = %source.endpoint, reason = %what, "a reconciliation list cannot be read; put aside");
            return away(watched, file, UNREAD).await;
        }
    };
    let bytes = file.bytes.as_deref().unwrap_or_default();
    let whole = digest(&[b"list", source.endpoint.as_str().as_bytes(), file.name.as_bytes(), bytes]);
    let call = |number: u32| Call {
        actor: Actor::bridge(),
        scope: source.scope.clone(),
        request: Some(RequestKey { key: digest(&[&whole, &number.to_be_bytes()]), content: whole }),
        trace: None,
    };
    let now = source.clock.now();
    let reconciling = Reconciling {
        store: &source.store,
        scope: &source.scope,
        trust: &source.trust,
        endpoint: &source.endpoint,
        name: &source.name,
        time_zone: source.time_zone.clone(),
        now,
        replies_are_documents: source.in_use.now().policy.replies_are_documents,
        list: &file.name,
    };
    let done = match reconcile(
        &reconciling,
        &listed,
        day_of(&file.name),
        "a list in the endpoint's folder",
        false,
        &call,
    )
    .await
    {
        Ok(done) => done,
        Err(super::reconcile::ReconcileError::Write(e)) => return Err(e.into()),
        Err(e) => {
            tracing::error!(endpoint = %source.endpoint, reason = %e, "a reconciliation list cannot be used; put aside");
            return away(watched, file, UNREAD).await;
        }
    };
    tracing::info!(endpoint = %source.endpoint, listed = done.sheet.listed, filed = done.newly_filed, "reconciled");
    let is_again = watched.left.contains_key(&(file.name.clone(), file.changed));
    let sheet = (file.folder.join(DONE), format!("{}.sheet.txt", file.name), done.paper);
    watched
        .blocking(move || {
            let (folder, name, paper) = sheet;
            std::fs::create_dir_all(&folder)?;
            // Taken in again because it could not be moved: the sheet that may be signed already stays.
            if is_again && folder.join(&name).exists() {
                return Ok(());
            }
            let unfinished = folder.join(format!(".{name}"));
            std::fs::write(&unfinished, paper)?;
            std::fs::rename(unfinished, folder.join(name))
        })
        .await?;
    away(watched, file, DONE).await
}

/// The day a list is of, where its name says one: `held-2026-03-02.csv`.
fn day_of(name: &str) -> Option<Date> {
    (0..name.len().saturating_sub(9)).find_map(|at| name.get(at..at + 10)?.parse().ok())
}

/// Moves a file away in one step. One of the same name that is there already keeps it.
async fn away(watched: &Watched, file: Found, to: &'static str) -> Result<(), Trouble> {
    watched
        .blocking(move || {
            let folder = file.folder.join(to);
            std::fs::create_dir_all(&folder)?;
            let mut target = folder.join(&file.name);
            if target.exists() {
                let short = file.changed.as_nanosecond();
                target = folder.join(format!("{}.{short}", file.name));
            }
            match std::fs::rename(file.folder.join(&file.name), target) {
                // Somebody else has moved it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                moved => moved?,
            }
            for folder in [&folder, &file.folder] {
                // Read again after a crash, it changes nothing.
                if let Err(e) = std::fs::File::open(folder).and_then(|f| f.sync_all()) {
                    tracing::warn!(reason = %e.kind(), "a folder that files are moved in cannot be made safe on disk");
                }
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_its_day_in_its_name() {
        assert_eq!(day_of("held-2026-03-02.csv"), "2026-03-02".parse().ok());
        assert_eq!(day_of("2026-13-02.csv"), None);
        assert_eq!(day_of("held.csv"), None);
        assert_eq!(day_of("ŵŵŵŵŵŵŵŵŵŵ.csv"), None);
    }
}
