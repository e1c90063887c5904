//! Files into a folder that the far end watches, as if they had appeared at once.
//!
//! ```text
//! for each file: write under a name nobody looks at, fsync; rename, in order, the index last; fsync the folder
//! ```
//!
//! The far end waits for the last file: until that one has its name, nothing was received. A file that is there already with the same bytes is
//! what a crash between renaming and remembering leaves: it counts as written. One with other bytes is never written over.

use super::beside::{Beside, NotDone};
use super::file_set::{FileSet, NamedFile, Outcome, Receipt};
use super::{Exchange, NotSent, Sent, Unsure};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where files go, and how.
#[derive(Debug, Clone)]
pub struct FolderSettings {
    pub path: PathBuf,
    /// Permission bits of every file, e.g. 0o640.
    pub file_mode: u32,
    /// For the whole of one set.
    pub write_timeout: Duration,
}

/// One endpoint's folder; clones share it.
#[derive(Debug, Clone)]
pub struct Folder {
    settings: std::sync::Arc<FolderSettings>,
    closed: std::sync::Arc<std::sync::atomic::AtomicBool>,
    /// Tries so far: each has unfinished names of its own, so that one that hangs and wakes again gives no other's half file a name.
    tries: std::sync::Arc<std::sync::atomic::AtomicU64>,
    beside: Beside,
}

/// A folder that was there a moment ago.
#[derive(Debug)]
pub struct OpenFolder {
    settings: std::sync::Arc<FolderSettings>,
    try_number: u64,
    beside: Beside,
}

/// Before its time a file has this beginning: watchers are told to look for other names, and it is never ours to send.
pub const UNFINISHED: &str = ".ips-unfinished-";

impl Folder {
    pub fn new(settings: FolderSettings) -> Self {
        Self {
            settings: std::sync::Arc::new(settings),
            closed: Default::default(),
            tries: Default::default(),
            beside: Beside::default(),
        }
    }

    /// # Errors
    /// There is no folder at the path just now, or it is closed.
    pub async fn open(&self) -> Result<OpenFolder, NotSent> {
        if self.closed.load(std::sync::atomic::Ordering::Acquire) {
            return Err(NotSent::PoolClosed);
        }
        let settings = self.settings.clone();
        let try_number = self.tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = settings.path.clone();
        let look = move || match fs::metadata(&path) {
            Ok(m) if m.is_dir() => {
                if try_number == 0 {
                    sweep(&path);
                }
                Ok(())
            }
            Ok(_) => Err(io::ErrorKind::NotADirectory),
            Err(e) => Err(e.kind()),
        };
        match self.beside.run(settings.write_timeout, look).await {
            Ok(Ok(())) => Ok(OpenFolder { settings, try_number, beside: self.beside.clone() }),
            Ok(Err(kind)) => Err(NotSent::Folder { what: "cannot be looked into", kind }),
            Err(NotDone::NotBegun | NotDone::Hangs) => Err(hangs()),
        }
    }

    pub fn close(&self) {
        self.closed.store(true, std::sync::atomic::Ordering::Release);
    }
}

impl OpenFolder {
    /// Writes one set of files. Its reply is a [`Receipt`].
    pub async fn send(&self, bytes: &[u8]) -> Exchange {
        let settings = self.settings.clone();
        let set = match FileSet::decode(bytes) {
            Ok(set) => set,
            Err(e) => return Exchange::not_sent(NotSent::Files(e), Vec::new()),
        };
        let (within, try_number) = (settings.write_timeout, self.try_number);
        let sent = match self.beside.run(within, move || write(&settings, &set, try_number)).await {
            Ok(sent) => sent,
            Err(NotDone::NotBegun) => Sent::NotSent(hangs()),
            // It may go on and end well: the same files again are no second copy.
            Err(NotDone::Hangs) => Sent::Unsure(Unsure::SendTimeout(within)),
        };
        Exchange { sent, strays: Vec::new() }
    }
}

fn hangs() -> NotSent {
    NotSent::Folder { what: "does not answer", kind: io::ErrorKind::TimedOut }
}

fn write(settings: &FolderSettings, set: &FileSet, try_number: u64) -> Sent {
    let receipt = |outcome| Sent::Reply(Receipt { id: set.id.clone(), outcome }.encode());
    let cannot = |what, e: &io::Error| Sent::NotSent(NotSent::Folder { what, kind: e.kind() });
    let mut missing: Vec<&NamedFile> = Vec::new();
    for file in &set.files {
        match there(&settings.path.join(&file.name), &file.bytes) {
            Ok(There::No) => missing.push(file),
            Ok(There::Same) => {}
            Ok(There::Other) => return receipt(Outcome::NameTaken),
            Err(e) => return cannot("has a file of that name that cannot be read", &e),
        }
    }
    if missing.is_empty() {
        return receipt(Outcome::AlreadyThere);
    }
    let mut unfinished = Unfinished(Vec::new());
    for file in &missing {
        let path = settings.path.join(format!("{UNFINISHED}{}-{try_number}-{}", std::process::id(), file.name));
        unfinished.0.push(path.clone());
        if let Err(e) = put(&path, &file.bytes, settings.file_mode) {
            return cannot("cannot be written into", &e);
        }
    }
    let last = set.files.last().map(|f| f.name.as_str());
    for (file, from) in missing.iter().zip(&unfinished.0) {
        if let Err(e) = fs::rename(from, settings.path.join(&file.name)) {
            // Renaming the index may have happened on a folder over the network even when it says not.
            return if Some(file.name.as_str()) == last {
                Sent::Unsure(Unsure::WriteFailed(e.kind()))
            } else {
                cannot("takes no name for a file", &e)
            };
        }
    }
    match sync_folder(&settings.path) {
        Ok(()) => receipt(Outcome::Written),
        Err(e) => Sent::Unsure(Unsure::WriteFailed(e.kind())),
    }
}

/// Removed whatever happens, those that were renamed apart.
struct Unfinished(Vec<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in &self.0 {
            // One that cannot be removed is swept away at the next start.
            let _ = fs::remove_file(path);
        }
    }
}

/// What a crash left unfinished. Whose bytes these were nobody knows any more.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // One that cannot be removed disturbs nobody: no name is used twice.
            let _ = fs::remove_file(entry.path());
        }
    }
}

enum There {
    No,
    Same,
    Other,
}

/// Whether a file is there, and the same. Links and folders of that name are other files.
fn there(path: &Path, bytes: &[u8]) -> io::Result<There> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(There::No),
        Err(e) => return Err(e),
    };
    if !found.is_file() || found.len() != bytes.len() as u64 {
        return Ok(There::Other);
    }
    let mut read = Vec::with_capacity(bytes.len());
    // One byte more than wanted shows a file that grew meanwhile.
    match File::open(path).and_then(|f| f.take(bytes.len() as u64 + 1).read_to_end(&mut read)) {
        Ok(_) if read == bytes => Ok(There::Same),
        Ok(_) => Ok(There::Other),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(There::No),
        Err(e) => Err(e),
    }
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name is on disk when its folder is.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
