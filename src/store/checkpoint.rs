//! SQLite's log is copied into the record's file beside the writer. By default the commit that finds the log full does that: everybody who waits for it
//! waits for the copying, and it tells nobody when the file could not be fsync'd.
//!
//! The log begins anew when all of it is copied, the file is fsync'd and nobody is at it, which never happens while commits keep coming: when it is full
//! the writer does that, between two batches. Little is left to copy then, because two copies go before it, and more would cost more than they spare: a
//! page that changes with every commit is copied each time.

use super::commit::stop_at_failed_fsync;
use super::error::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pages of 4 KiB at which the log is full: 64 MiB. While its file still grows every fsync costs more, and after a crash all of it is read at the next start.
const LOG_MAX: i64 = 16_384;
/// So many are copied at once.
const PART: i64 = 7_168;
/// Between two looks, while there are commits.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Until the next look, when one has failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(10);

/// What writer and copier tell each other.
#[derive(Default)]
struct Told {
    committed: Notify,
    /// The writer is to copy what is left.
    is_full: AtomicBool,
    over: CancellationToken,
}

pub(super) struct Checkpoints {
    told: Arc<Told>,
    copier: tokio::task::JoinHandle<()>,
}

impl Checkpoints {
    /// Its copier has a connection of its own.
    pub fn start(options: SqliteConnectOptions) -> Self {
        let told = Arc::new(Told::default());
        // What an earlier run left.
        told.committed.notify_one();
        let copier = tokio::spawn(run(options.create_if_missing(false), told.clone()));
        Self { told, copier }
    }

    /// There was a commit. `true`: the writer is to copy what is left.
    pub fn committed(&self) -> bool {
        self.told.committed.notify_one();
        self.told.is_full.swap(false, Ordering::Relaxed) || self.copier.is_finished()
    }

    /// When the copier has closed its connection.
    pub async fn end(self) {
        self.told.over.cancel();
        // However it ended, it is over.
        let _ = self.copier.await;
    }
}

async fn run(options: SqliteConnectOptions, told: Arc<Told>) {
    let mut kept = None;
    while told.over.run_until_cancelled(told.committed.notified()).await.is_some() {
        let wait = match look(&options, kept.take()).await {
            Ok((connection, is_full)) => {
                kept = Some(connection);
                told.is_full.store(is_full, Ordering::Relaxed);
                LOOK_EVERY
            }
            Err(e) => {
                trouble(e);
                // How full it is nobody knows now.
                told.is_full.store(true, Ordering::Relaxed);
                AFTER_TROUBLE
            }
        };
        told.over.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    if let Some(connection) = kept {
        // Nothing is left to be said over it.
        let _ = connection.close().await;
    }
}

/// Copies what is in the log, if it is enough. `true`: it is full, and little is left to copy. A reader who stays holds that up, and what has gathered
/// meanwhile is no work for the writer.
async fn look(
    options: &SqliteConnectOptions,
    kept: Option<SqliteConnection>,
) -> Result<(SqliteConnection, bool), sqlx::Error> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    let (mut pages, mut copied) = pages_and_copied(&mut connection).await?;
    if pages - copied >= PART {
        copy(&mut connection).await?;
        (pages, copied) = pages_and_copied(&mut connection).await?;
    }
    Ok((connection, pages >= LOG_MAX && pages - copied < 2 * PART))
}

async fn pages_and_copied(connection: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    let (_, pages, copied): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(connection).await?;
    Ok((pages, copied))
}

/// All that can be copied now. By the writer between two batches it is everything, and the next commit begins the log anew.
async fn copy(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(connection).await.map(drop)
}

/// The writer's part.
pub(super) async fn copy_what_is_left(connection: &mut SqliteConnection) {
    if let Err(e) = copy(connection).await {
        trouble(e);
    }
}

/// What could not be copied stays in the log. But a page that was written and not fsync'd may be in neither.
fn trouble(e: sqlx::Error) {
    stop_at_failed_fsync(&e);
    tracing::warn!(reason = %StoreError::from(e), "SQLite's log could not be copied into the record's file; it grows until it can: look at the disk's room and quota");
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::SqliteJournalMode;

    async fn a_record(folder: &std::path::Path) -> (SqliteConnectOptions, SqliteConnection) {
        let options = SqliteConnectOptions::new().filename(folder.join("record.db")).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).pragma("wal_autocheckpoint", "0");
        let mut writer = options.connect().await.expect("SQLite opens");
        sqlx::raw_sql("CREATE TABLE t (b BLOB)").execute(&mut writer).await.expect("a table");
        (options, writer)
    }

    async fn write(writer: &mut SqliteConnection, pages: i64) {
        sqlx::query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) INSERT INTO t SELECT zeroblob(4000) FROM n")
            .bind(pages)
            .execute(writer)
            .await
            .expect("written");
    }

    async fn now(connection: &mut SqliteConnection) -> (i64, i64) {
        pages_and_copied(connection).await.expect("asked")
    }

    #[tokio::test]
    async fn what_is_in_the_log_is_copied_while_the_writer_is_at_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (options, mut writer) = a_record(folder.path()).await;
        write(&mut writer, PART / 2).await;
        let (copier, is_full) = look(&options, None).await.expect("looked");
        assert!(!is_full);
        assert_eq!(now(&mut writer).await.1, 0, "not enough yet");
        write(&mut writer, PART / 2).await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut writer).await.expect("at it");
        let (mut copier, _) = look(&options, Some(copier)).await.expect("copied");
        let (pages, copied) = now(&mut copier).await;
        assert!(copied >= PART && copied == pages, "{copied} of {pages}");
    }

    #[tokio::test]
    async fn what_a_reader_holds_up_is_no_work_for_the_writer() {
        let folder = tempfile::tempdir().expect("a folder");
        let (options, mut writer) = a_record(folder.path()).await;
        let mut reader = options.connect().await.expect("SQLite opens");
        sqlx::raw_sql("BEGIN; SELECT * FROM t").execute(&mut reader).await.expect("it reads, and stays");
        write(&mut writer, LOG_MAX + PART).await;
        let (copier, is_full) = look(&options, None).await.expect("looked");
        assert!(!is_full, "all of it is left");
        sqlx::raw_sql("ROLLBACK").execute(&mut reader).await.expect("it goes");
        assert!(look(&options, Some(copier)).await.expect("copied").1);
    }

    #[tokio::test]
    async fn a_full_log_begins_anew_once_the_writer_has_copied_what_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let (options, mut writer) = a_record(folder.path()).await;
        let checkpoints = Checkpoints::start(options);
        let mut is_full = false;
        // As a busy bridge does: one commit after another, for as long as it takes.
        for _ in 0..400 {
            write(&mut writer, 150).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            is_full = checkpoints.committed();
            if is_full {
                break;
            }
        }
        let (pages, copied) = now(&mut writer).await;
        assert!(is_full && pages >= LOG_MAX && copied >= PART, "{copied} of {pages}");
        copy_what_is_left(&mut writer).await;
        write(&mut writer, 1).await;
        assert!(now(&mut writer).await.0 < 100);
        checkpoints.end().await;
    }

    /// Before 3.51.3 a commit that begins the log anew beside a checkpoint could damage the file.
    #[tokio::test]
    async fn the_sqlite_that_is_built_in_can_do_both_at_once() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.expect("SQLite opens");
        let version: String =
            sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut db).await.expect("a version");
        let numbers: Vec<u32> = version.split('.').map(|n| n.parse().expect("a number")).collect();
        assert!(numbers >= vec![3, 51, 3], "{version}");
    }
}
