//! The end of a batch: everything it writes goes to the database, and is on disk, or is not there.

use super::dialect::{Kept, Tx};
use super::error::{StoreError, reason};
use super::rowset::{Argument, bound};
use super::writer::Failed;
use futures::task::noop_waker_ref;
use futures::{FutureExt, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Either, Executor, Sqlite, SqliteConnection};
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

/// One commit of `steps`, in their order. Within a step PostgreSQL's statements do not see what the others write. `ending` is told by SQLite
/// that it has come to the COMMIT. Gives the connection back.
pub(super) async fn commit(tx: Tx, steps: Vec<Texts>, ending: &Notify) -> Result<Kept, Failed> {
    match tx {
        Tx::Sqlite(connection) => at_once(connection, steps, ending).await.map(Kept::Sqlite),
        Tx::Postgres(mut t) => {
            for step in steps {
                // It takes one statement with parameters at a time: the others become its common table expressions.
                let Some((last, before)) = step.sql.split_last() else { continue };
                let named: Vec<String> = before.iter().enumerate().map(|(n, sql)| format!("w{n} AS ({sql})")).collect();
                let with = if named.is_empty() { String::new() } else { format!("WITH {} ", named.join(", ")) };
                let query = bound!(sqlx::query(AssertSqlSafe(format!("{with}{last}"))), step.arguments);
                let done = t.ask(async move |connection| query.execute(connection).await).await;
                done.map_err(|e| Failed::Before(e.into()))?;
            }
            t.end("COMMIT").await.map_err(at_commit)
        }
    }
}

/// Nothing is to be written. Gives the connection back.
pub(super) async fn leave(tx: Tx) -> Result<Kept, Failed> {
    match tx {
        Tx::Sqlite(connection) => Ok(Kept::Sqlite(connection)),
        Tx::Postgres(t) => t.end("ROLLBACK").await.map_err(|e| Failed::Before(e.into())),
    }
}

/// On SQLite the transaction begins here: nobody else writes, so what was read before is still so. It takes any number of statements at a time,
/// and each time it is asked costs a way to its thread and back.
async fn at_once(
    mut connection: PoolConnection<Sqlite>,
    steps: Vec<Texts>,
    ending: &Notify,
) -> Result<PoolConnection<Sqlite>, Failed> {
    let mut sql = vec!["BEGIN IMMEDIATE".to_owned()];
    let mut arguments = Vec::new();
    for step in steps {
        let others = arguments.len();
        sql.extend(step.sql.iter().map(|text| super::dialect::renumbered(text, others)));
        arguments.extend(step.arguments);
    }
    sql.push("COMMIT".to_owned());
    let (count, text) = (sql.len(), sql.join("; "));
    let (done, result) = in_one(&mut connection, text, arguments, ending, |_| ()).await;
    let e = match result {
        Ok(()) if done == count => return Ok(connection),
        // SQLite's thread ended in between, and what it was at nobody knows.
        Ok(()) => {
            let _ = connection.close().await;
            return Err(at_commit(sqlx::Error::WorkerCrashed));
        }
        Err(e) => e,
    };
    stop_at_failed_fsync(&e);
    let failed = match done {
        0 => Failed::Away(e.into()),
        done if done + 1 == count => at_commit(e),
        _ => Failed::Before(e.into()),
    };
    if !is_taken_back(&mut connection).await {
        // Whatever state it is in: the next one is new.
        let _ = connection.close().await;
    }
    Err(failed)
}

/// No transaction is open any more. Where the statement that failed has taken it back already, there is none to take back, and one can begin.
async fn is_taken_back(connection: &mut SqliteConnection) -> bool {
    if sqlx::query("ROLLBACK").execute(&mut *connection).await.is_ok() {
        return true;
    }
    for sql in ["BEGIN", "ROLLBACK"] {
        if sqlx::query(sql).execute(&mut *connection).await.is_err() {
            return false;
        }
    }
    true
}

/// Rows of one `SELECT`, in a transaction of their own: its end can be told.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    sql: &str,
    arguments: Vec<Argument>,
    ending: &Notify,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut rows = Vec::new();
    let (done, result) =
        in_one(connection, format!("BEGIN; {sql}; ROLLBACK"), arguments, ending, |row| rows.push(row)).await;
    match result {
        // BEGIN, SELECT, ROLLBACK; fewer, and SQLite's thread ended before all rows were there.
        Ok(()) if done == 3 => Ok(rows),
        Ok(()) => Err(sqlx::Error::WorkerCrashed),
        Err(e) => {
            let _ = sqlx::query("ROLLBACK").execute(connection).await;
            Err(e)
        }
    }
}

/// Several statements on one way to SQLite's thread and back. Each row and each statement's end is sent here, and would wake this thread to learn
/// nothing yet, while the next one wants the processor: until `ending` says that the last statement is there nobody listens. Gives how many
/// statements came to their end.
async fn in_one(
    connection: &mut SqliteConnection,
    text: String,
    arguments: Vec<Argument>,
    ending: &Notify,
    mut each: impl FnMut(SqliteRow),
) -> (usize, Result<(), sqlx::Error>) {
    let query = bound!(sqlx::query(AssertSqlSafe(text)), arguments);
    let mut results = connection.fetch_many(query);
    let _ = ending.notified().now_or_never();
    let mut at_hand = match results.poll_next_unpin(&mut Context::from_waker(noop_waker_ref())) {
        Poll::Ready(item) => Some(item),
        Poll::Pending => {
            let _ = tokio::time::timeout(LOOK_AFTER, ending.notified()).await;
            None
        }
    };
    let mut done = 0;
    loop {
        let item = match at_hand.take() {
            Some(item) => item,
            None => results.next().await,
        };
        match item {
            Some(Ok(Either::Left(_))) => done += 1,
            Some(Ok(Either::Right(row))) => each(row),
            Some(Err(e)) => return (done, Err(e)),
            None => return (done, Ok(())),
        }
    }
}

/// Nobody knows what became of it.
fn at_commit(e: sqlx::Error) -> Failed {
    // SQLITE_IOERR and its kinds (low byte 10); PostgreSQL's own panics end its connection instead.
    if sqlite_code(&e).is_some_and(|code| code & 255 == 10) {
        stop();
    }
    Failed::AtCommit(StoreError::CommitUnknown(reason(&e)))
}

/// Where what could not be written is still in the log.
pub(super) fn stop_at_failed_fsync(e: &sqlx::Error) {
    // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC
    if matches!(sqlite_code(e), Some(1034 | 1290)) {
        stop();
    }
}

/// Log lines are written by a thread of its own, which may need so long.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// After a failed fsync the page cache may lie about what is on disk. Only a restart reads the truth again.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing may be written any more, so the writer's thread is to stand still"
)]
fn stop() -> ! {
    tracing::error!(
        "the disk refused to store the record (fsync failed); the bridge stops now so that nothing is lost: check the disk, then start it again"
    );
    std::thread::sleep(LAST_WORDS);
    std::process::abort();
}

pub(super) fn sqlite_code(e: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(d) = e else { return None };
    let of_sqlite = d.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    sqlx::error::DatabaseError::code(of_sqlite)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Row};

    async fn few_at_hand() -> SqliteConnection {
        SqliteConnectOptions::new().row_buffer_size(3).connect().await.expect("SQLite opens")
    }

    #[tokio::test]
    async fn whether_or_not_a_statement_has_taken_its_transaction_back_the_next_one_can_begin() {
        let mut connection = few_at_hand().await;
        sqlx::raw_sql("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
            .execute(&mut connection)
            .await
            .expect("a table");
        for or in ["ROLLBACK", "FAIL"] {
            let sql = AssertSqlSafe(format!("BEGIN; INSERT INTO t VALUES (2); INSERT OR {or} INTO t VALUES (1)"));
            assert!(sqlx::raw_sql(sql).execute(&mut connection).await.is_err());
            assert!(is_taken_back(&mut connection).await, "{or}");
            let rows: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM t").fetch_one(&mut connection).await.expect("read");
            assert_eq!(rows, 1, "{or}");
            assert!(sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut connection).await.is_ok(), "{or}");
        }
    }

    const HUNDRED: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)";

    #[tokio::test]
    async fn more_rows_than_are_kept_at_hand_are_all_read() {
        let mut connection = few_at_hand().await;
        for _ in 0..3 {
            let sql = format!("{HUNDRED} SELECT i FROM n");
            let rows = read(&mut connection, &sql, Vec::new(), &Notify::new()).await.expect("read");
            let read: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(read, Vec::from_iter(1..=100));
        }
    }

    #[tokio::test]
    async fn a_read_that_fails_half_way_gives_nothing_and_leaves_no_transaction_open() {
        let mut connection = few_at_hand().await;
        // No number has the other sign of the smallest.
        let sql = format!("{HUNDRED} SELECT CASE WHEN i < 50 THEN i ELSE abs(-9223372036854775807 - 1) END FROM n");
        assert!(read(&mut connection, &sql, Vec::new(), &Notify::new()).await.is_err());
        // Nothing begins within a transaction.
        assert!(sqlx::query("BEGIN").execute(&mut connection).await.is_ok());
    }
}
