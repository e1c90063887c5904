//! How far the record in SQLite has come, kept in a file beside it, by which a start finds out that an older database stands in its place.
//!
//! A database that came back from a backup looks like any other; what is open in it would go again, although it may have gone since. The file
//! tells two things: which database it speaks of, by a number that stands in the database too (`user_version`), and how many batches that one had
//! committed (`feed.commits`). It is never ahead of what is on disk, so that no crash makes a start look like a restore; behind it by [`EVERY`] at
//! most, and after a clean stop not at all. Commits do not wait for it.
//!
//! A start that is told of a restore gives the database another number before anything else, and the file follows once what was open is
//! parked. Until then the two disagree: a start that breaks off half way is not taken for one that is through.

use super::error::OpenError;
use super::writer::Signals;
use crate::domain::ambient::micros;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, SqlitePool};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks whether there were commits.
const EVERY: Duration = Duration::from_secs(2);

const COMMENT: &str = "\
# How far the bridge has come with the database beside this file. When the database is put back from a backup leave this file as it is:
# by it the next start finds out that the database is older than what was done. Deleted, it is made anew, and nothing is found out.
";

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    database: u32,
    commits: i64,
}

impl Mark {
    fn text(self) -> String {
        format!("{COMMENT}database {}\ncommits {}\n", self.database, self.commits)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let (database, commits) = (value("database")?.parse().ok()?, value("commits")?.parse().ok()?);
        lines.next().is_none().then_some(Self { database, commits })
    }
}

/// The file beside one database, in the hands of the bridge that has it open.
pub(super) struct Reached {
    file: PathBuf,
    database: u32,
    stands: Mutex<Stands>,
}

struct Stands {
    /// So many commits stand in the file.
    commits: i64,
    /// What came back is not parked yet.
    is_held_back: bool,
    /// It could not be written when it was last tried.
    is_in_trouble: bool,
}

impl Reached {
    /// Holds the database against what stands beside it, and says how many commits it has. Nothing may be written there meanwhile.
    ///
    /// # Errors
    /// It is not the one that was worked on here last, or an older one ([`OpenError::Older`]); never where `restored` says that this is known.
    pub async fn open(
        database: &Path,
        writer: &SqlitePool,
        restored: bool,
        now: Timestamp,
    ) -> Result<(Self, i64), OpenError> {
        let mut file = database.as_os_str().to_owned();
        file.push(".reached");
        let file = PathBuf::from(file);
        let number: u32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(writer).await?;
        let commits: i64 = sqlx::query_scalar("SELECT commits FROM feed WHERE id = 1").fetch_one(writer).await?;
        let before = Mark { database: number, commits };
        let known = read(&file);
        if let Some(known) = known.filter(|k| !restored && (k.database != number || k.commits > commits)) {
            let (path, file) = (database.display().to_string(), file.display().to_string());
            let is_another = known.database != number;
            return Err(OpenError::Older { path, file, is_another, commits, reached: known.commits });
        }
        if restored && known.is_none() {
            // Nothing would tell the next start that this one broke off.
            write(&file, before)?;
        }
        let mark = if number == 0 || restored { Mark { database: another(number, now), ..before } } else { before };
        // Also where it stays the same: this commit brings to disk what one before it left with the system when the process was killed, and
        // nothing that is noted may be lost with the power.
        let name = format!("PRAGMA user_version = {}", mark.database);
        sqlx::query(AssertSqlSafe(name)).execute(writer).await?;
        let stands = Stands { commits: -1, is_held_back: restored, is_in_trouble: false };
        let reached = Self { file, database: mark.database, stands: Mutex::new(stands) };
        reached.note(commits);
        Ok((reached, commits))
    }

    /// So many commits are on disk. Waits for the disk, where there is something new to say.
    pub fn note(&self, commits: i64) {
        let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        if stands.is_held_back || commits <= stands.commits {
            return;
        }
        match write(&self.file, Mark { database: self.database, commits }) {
            Ok(()) => *stands = Stands { commits, is_in_trouble: false, ..*stands },
            Err(e) if !stands.is_in_trouble => {
                stands.is_in_trouble = true;
                tracing::warn!(file = %self.file.display(), reason = %e, "how far the record has come could not be noted beside it: a database that is put back from a backup would not be found out; mend the folder's rights, or make room");
            }
            Err(_) => {}
        }
    }

    /// What came back from a backup is parked, and that is on disk.
    pub fn settled(&self, commits: i64) {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner).is_held_back = false;
        self.note(commits);
    }
}

/// Another number for a database than it had. Made of the time: no two databases of one place are made in the same microsecond. SQLite's is signed, and
/// 0 means that it has none.
fn another(before: u32, now: Timestamp) -> u32 {
    let mut of = Sha256::new();
    of.update(micros(now).to_le_bytes());
    of.update(before.to_le_bytes());
    let [a, b, c, d, ..]: [u8; 32] = of.finalize().into();
    (u32::from_le_bytes([a, b, c, d]) >> 1).max(1)
}

/// `None`: there is none, or none that says anything. That must not keep a bridge from starting whose record is whole.
fn read(file: &Path) -> Option<Mark> {
    let unclear = |why: String| {
        tracing::warn!(file = %file.display(), reason = %why, "how far the record had come cannot be read beside it and is noted anew: if the database was put back from a backup, stop the bridge and start it with --restored");
        None
    };
    match std::fs::read_to_string(file) {
        Ok(text) => Mark::parse(&text).or_else(|| unclear("it was changed or cut off".into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => unclear(e.to_string()),
    }
}

/// Whole or not at all, and on disk.
fn write(file: &Path, mark: Mark) -> io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut to = File::create(&new)?;
    to.write_all(mark.text().as_bytes())?;
    to.sync_all()?;
    std::fs::rename(&new, file)?;
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Notes beside the writer, every now and then, how far it has come.
pub(super) struct Noting {
    reached: Arc<Reached>,
    signals: Arc<Signals>,
    over: CancellationToken,
    noting: tokio::task::JoinHandle<()>,
}

impl Noting {
    pub fn start(reached: Arc<Reached>, signals: Arc<Signals>) -> Self {
        let over = CancellationToken::new();
        let noting = tokio::spawn(run(reached.clone(), signals.clone(), over.clone()));
        Self { reached, signals, over, noting }
    }

    /// There are no more commits. When the last one is noted.
    pub async fn end(self) {
        self.over.cancel();
        // However it ended, it is over.
        let _ = self.noting.await;
        note(self.reached, &self.signals).await;
    }
}

async fn run(reached: Arc<Reached>, signals: Arc<Signals>, over: CancellationToken) {
    while over.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        note(reached.clone(), &signals).await;
    }
}

/// On a thread on which nobody waits for anything else.
async fn note(reached: Arc<Reached>, signals: &Signals) {
    let commits = signals.commits.load(Ordering::Relaxed);
    // A panic is logged by its place, and the next time comes.
    let _ = tokio::task::spawn_blocking(move || reached.note(commits)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_reads_back_and_what_was_cut_off_says_nothing() {
        let mark = Mark { database: 7, commits: 1234 };
        let text = mark.text();
        assert_eq!(Mark::parse(&text), Some(mark));
        for cut in COMMENT.len()..text.len() - "4\n".len() {
            let read = Mark::parse(&text[..cut]);
            assert!(read.is_none_or(|m| m.commits < mark.commits), "{read:?}");
        }
        for other in
            ["", "database 7\n", "commits 5\ndatabase 7\n", "database 7\ncommits x\n", "database 7\ncommits 1\nmore\n"]
        {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_never_goes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("record.db.reached");
        let stands = Stands { commits: -1, is_held_back: false, is_in_trouble: false };
        let reached = Reached { file: file.clone(), database: 7, stands: Mutex::new(stands) };
        for (commits, stands) in [(3, 3), (2, 3), (5, 5)] {
            reached.note(commits);
            assert_eq!(read(&file), Some(Mark { database: 7, commits: stands }));
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 1, "nothing else is left there");
    }

    #[test]
    fn while_what_came_back_is_not_settled_the_file_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("record.db.reached");
        write(&file, Mark { database: 6, commits: 9 }).expect("written");
        let stands = Stands { commits: -1, is_held_back: true, is_in_trouble: false };
        let reached = Reached { file: file.clone(), database: 7, stands: Mutex::new(stands) };
        reached.note(4);
        assert_eq!(read(&file), Some(Mark { database: 6, commits: 9 }));
        reached.settled(5);
        assert_eq!(read(&file), Some(Mark { database: 7, commits: 5 }));
    }
}
