//! The end of a batch: everything it writes goes to the database, and is on disk, or is not there.

use super::dialect::Tx;
use super::error::StoreError;
use super::rowset::{Argument, bound};
use super::writer::Failed;
use futures::task::noop_waker_ref;
use futures::{FutureExt, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, Sqlite};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

/// A transaction that has not come to its COMMIT by then is looked after all the same: it may never come to it.
const LOOK_AFTER: Duration = Duration::from_millis(5);

/// Statements that go to the database together.
#[derive(Default)]
pub(super) struct Texts {
    pub sql: Vec<String>,
    pub arguments: Vec<Argument>,
}

/// One commit of `steps`, in their order. Within a step PostgreSQL's statements do not see what the others write. `committing` is told by SQLite
/// that it has come to the COMMIT.
pub(super) async fn commit(tx: Tx, steps: Vec<Texts>, committing: &Notify) -> Result<(), Failed> {
    match tx {
        Tx::Sqlite(connection) => at_once(connection, steps, committing).await,
        Tx::Postgres(mut t) => {
            for step in steps {
                // It takes one statement with parameters at a time: the others become its common table expressions.
                let Some((last, before)) = step.sql.split_last() else { continue };
                let named: Vec<String> = before.iter().enumerate().map(|(n, sql)| format!("w{n} AS ({sql})")).collect();
                let with = if named.is_empty() { String::new() } else { format!("WITH {} ", named.join(", ")) };
                let query = bound!(sqlx::query(AssertSqlSafe(format!("{with}{last}"))), step.arguments);
                query.execute(&mut *t).await.map_err(|e| Failed::Before(e.into()))?;
            }
            t.commit().await.map_err(at_commit)
        }
    }
}

/// Nothing is to be written.
pub(super) async fn leave(tx: Tx) -> Result<(), Failed> {
    match tx {
        Tx::Sqlite(_) => Ok(()),
        Tx::Postgres(t) => t.rollback().await.map_err(|e| Failed::Before(e.into())),
    }
}

/// On SQLite the transaction begins here: nobody else writes, so what was read before is still so. It takes any number of statements at a time,
/// and each time it is asked costs a way to its thread and back.
async fn at_once(mut connection: PoolConnection<Sqlite>, steps: Vec<Texts>, committing: &Notify) -> Result<(), Failed> {
    let mut sql = vec!["BEGIN IMMEDIATE".to_owned()];
    let mut arguments = Vec::new();
    for step in steps {
        let others = arguments.len();
        sql.extend(step.sql.iter().map(|text| super::dialect::renumbered(text, others)));
        arguments.extend(step.arguments);
    }
    sql.push("COMMIT".to_owned());
    let (count, text) = (sql.len(), sql.join("; "));
    let mut done = 0;
    let result = {
        let query = bound!(sqlx::query(AssertSqlSafe(text)), arguments);
        let mut results = connection.fetch_many(query);
        // Each statement's end is sent here, and would wake this thread to learn nothing yet, while the next one wants the processor: until the
        // last of them nobody listens.
        let _ = committing.notified().now_or_never();
        let mut at_hand = match results.poll_next_unpin(&mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(item) => Some(item),
            Poll::Pending => {
                let _ = tokio::time::timeout(LOOK_AFTER, committing.notified()).await;
                None
            }
        };
        loop {
            let item = match at_hand.take() {
                Some(item) => item,
                None => results.next().await,
            };
            match item {
                Some(Ok(_)) => done += 1,
                Some(Err(e)) => break Err(e),
                None => break Ok(()),
            }
        }
    };
    let Err(e) = result else { return Ok(()) };
    let failed = match done {
        0 => Failed::Away(e.into()),
        done if done + 1 == count => at_commit(e),
        _ => Failed::Before(e.into()),
    };
    if sqlx::query("ROLLBACK").execute(&mut *connection).await.is_err() {
        // Whatever state it is in: the next one is new.
        let _ = connection.close().await;
    }
    Err(failed)
}

/// Nobody knows what became of it.
fn at_commit(e: sqlx::Error) -> Failed {
    if is_fsync_error(&e) {
        // After a failed fsync the page cache may lie about what is on disk. Only a restart reads the truth again.
        tracing::error!(
            "the disk refused to store the record (fsync failed); the bridge stops now so that nothing is lost: check the disk, then start it again"
        );
        std::process::abort();
    }
    Failed::AtCommit(StoreError::CommitUnknown(StoreError::from(e).to_string()))
}

/// SQLITE_IOERR and its kinds (low byte 10); PostgreSQL's own panics end its connection instead.
fn is_fsync_error(e: &sqlx::Error) -> bool {
    let sqlx::Error::Database(d) = e else { return false };
    d.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some_and(|s| {
        sqlx::error::DatabaseError::code(s).is_some_and(|c| c.parse::<i32>().is_ok_and(|n| n & 255 == 10))
    })
}
