//! Keeps the record in a file, so that an EPR that was stopped comes back with what it had acknowledged.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

/// How far the file has come.
#[derive(Debug, Clone, Copy)]
struct Saved {
    version: u64,
    failed: bool,
}

/// Writes the record whenever it changed; changes that come while it writes go into the next write together.
#[derive(Debug)]
pub(super) struct Keeper {
    saved: watch::Receiver<Saved>,
}

impl Keeper {
    /// Runs until `changed` has no sender. `snapshot` gives a version and the record at it.
    pub(super) fn start<F>(path: PathBuf, mut changed: watch::Receiver<u64>, snapshot: F) -> Self
    where
        F: Fn() -> Option<(u64, String)> + Send + 'static,
    {
        let (sender, saved) = watch::channel(Saved { version: 0, failed: false });
        tokio::spawn(async move {
            while changed.changed().await.is_ok() {
                let Some((version, json)) = snapshot() else { return };
                let to = path.clone();
                let written = tokio::task::spawn_blocking(move || write(&to, &json)).await;
                let failed = !matches!(written, Ok(Ok(())));
                if failed {
                    tracing::error!(file = %path.display(), "the record file cannot be written; its messages are not answered");
                }
                sender.send_replace(Saved { version, failed });
            }
        });
        Self { saved }
    }

    /// Waits until what the record was at `version` stands in the file; `false` when it cannot be written.
    pub(super) async fn has_kept(&self, version: u64) -> bool {
        let mut saved = self.saved.clone();
        let reached = saved.wait_for(|s| s.version >= version).await;
        reached.is_ok_and(|s| !s.failed)
    }
}

/// The file is whole at every moment: written beside, then put in its place. Survives the end of the process, not that
/// of the machine.
pub(super) fn write(path: &Path, json: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, json)?;
    std::fs::rename(&beside, path)
}
