//! SQLite's log is copied into the record's file beside the writer. By default the commit that finds the log full does that, and everybody who waits
//! for it waits for the copying.
//!
//! The log begins anew when all of it is copied and nobody is at it, which never happens while commits keep coming: the commit that finds
//! [`LOG_MAX`] pages in it copies what is left. The nearer the log comes to that, the less is left to it.

use super::commit::stop_at_fsync_error;
use super::error::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Pages of 4 KiB in the log at which a commit copies: 32 MiB. While the file of the log still grows every fsync costs more, and after a crash all of
/// it is read at the next start.
pub(super) const LOG_MAX: i64 = 8_192;
/// Fewer pages are not worth two fsyncs.
const WORTH_IT: i64 = 256;
/// Between two looks, while there are commits.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Until the next look, when one has failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(60);

/// Runs until it is dropped.
pub(super) struct Checkpoints {
    committed: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Checkpoints {
    pub fn start(options: SqliteConnectOptions) -> Self {
        let committed = Arc::new(Notify::new());
        let task = tokio::spawn(run(options, committed.clone()));
        Self { committed, task }
    }

    pub fn committed(&self) {
        self.committed.notify_one();
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(options: SqliteConnectOptions, committed: Arc<Notify>) {
    let mut kept = None;
    loop {
        committed.notified().await;
        tokio::time::sleep(LOOK_EVERY).await;
        kept = match look(&options, kept.take()).await {
            Ok(connection) => Some(connection),
            Err(e) => {
                stop_at_fsync_error(&e);
                tracing::warn!(reason = %StoreError::from(e), "SQLite's log could not be copied into the record's file beside the writer; nothing is lost, commits copy it");
                tokio::time::sleep(AFTER_TROUBLE).await;
                None
            }
        };
    }
}

/// Copies what is in the log, if that is worth it.
async fn look(options: &SqliteConnectOptions, kept: Option<SqliteConnection>) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    let (_, pages, copied): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&mut connection).await?;
    if is_worth_it(pages, copied) {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection).await?;
    }
    Ok(connection)
}

/// Each time half of what is left to the limit, so that a page that changes with every commit is not copied as often.
fn is_worth_it(pages: i64, copied: i64) -> bool {
    pages - copied >= ((LOG_MAX - pages) / 2).max(WORTH_IT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection;
    use sqlx::sqlite::SqliteJournalMode;

    #[test]
    fn the_commit_that_finds_the_log_full_has_little_left_to_copy() {
        let (mut copied, mut copies) = (0, 0);
        for pages in (0..LOG_MAX).step_by(50) {
            if is_worth_it(pages, copied) {
                copied = pages;
                copies += 1;
            }
        }
        assert!(LOG_MAX - copied <= WORTH_IT + 100, "{} pages are left", LOG_MAX - copied);
        assert!(copies <= 12, "copied {copies} times");
    }

    #[tokio::test]
    async fn what_is_in_the_log_is_copied_while_the_writer_is_at_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteConnectOptions::new().filename(folder.path().join("record.db")).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).pragma("wal_autocheckpoint", "0");
        let mut writer = options.connect().await.expect("SQLite opens");
        sqlx::raw_sql("CREATE TABLE t (b BLOB); BEGIN").execute(&mut writer).await.expect("a table");
        sqlx::query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO t SELECT zeroblob(4000) FROM n")
            .execute(&mut writer)
            .await
            .expect("rows");
        sqlx::raw_sql("COMMIT; BEGIN IMMEDIATE").execute(&mut writer).await.expect("committed, and at it again");
        let mut copier = look(&options, None).await.expect("copied");
        let (busy, pages, copied): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&mut copier).await.expect("asked");
        assert_eq!((busy, pages), (0, copied));
        assert!(copied > 12_000, "{copied}");
        copier.close().await.expect("closed");
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
