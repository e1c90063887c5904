//! Opening the record: the database by its URL, its tables, and the checks without which a commit would not be a promise.

use super::commit::sqlite_code;
use super::dialect::{Pool, SAY_WITHIN, in_time, migration};
use super::error::OpenError;
use super::lock::{self, Held};
use super::refold;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor};
use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Forward only; a release adds files, it never changes one.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "record", include_str!("../../migrations/0001_record.sql")),
    (2, "ask", include_str!("../../migrations/0002_ask.sql")),
    (3, "inbound_patients", include_str!("../../migrations/0003_inbound_patients.sql")),
    (4, "commits", include_str!("../../migrations/0004_commits.sql")),
    (5, "packs", include_str!("../../migrations/0005_packs.sql")),
    (6, "record_names", include_str!("../../migrations/0006_record_names.sql")),
    (7, "identifier_values", include_str!("../../migrations/0007_identifier_values.sql")),
    (8, "fewer_pages", include_str!("../../migrations/0008_fewer_pages.sql")),
    (9, "requests_as_they_came", include_str!("../../migrations/0009_requests_as_they_came.sql")),
    (10, "fewer_still", include_str!("../../migrations/0010_fewer_still.sql")),
    (11, "released", include_str!("../../migrations/0011_released.sql")),
    (12, "folded_anew", include_str!("../../migrations/0012_folded_anew.sql")),
];

/// A database that gives the writer no connection for so long is away: its callers are told.
const AWAY_AFTER: Duration = Duration::from_secs(10);

/// A bridge that is stuck or cut off while it writes must not hold up the others for longer than this. All of the writer's statements name their
/// rows by key, some hundreds at a time, so none has reason to read a table whole, whatever the planner knows of it; and a plan that is made
/// once is as good for the next batch, whose messages need not be copied into a plan of their own.
const WRITER_SESSION: &str = "SET idle_in_transaction_session_timeout = '20s'; SET lock_timeout = '30s'; \
     SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// Pages at hand, in KiB when below zero. When a commit has put pages of an index in order SQLite looks through all of the writer's for those behind the
/// end of the file; a reader loses its own with every commit of the writer.
const WRITERS_CACHE: &str = "-16000";
const READERS_CACHE: &str = "-8000";

/// Rows that a batch reads before it looks at the first. With more SQLite's thread waits for it.
const ROWS_AT_HAND: usize = 4096;

const NO_PROBE: &str = "UPDATE endpoint SET payload = json_set(payload, '$.gate', 'Closed', '$.until', NULL) \
     WHERE json_extract(payload, '$.gate') = 'Probing'";

/// The writer's pool (one connection), the readers' pool, and on SQLite what keeps a second bridge out.
pub(super) struct Opened {
    pub writer: Pool,
    pub readers: Pool,
    /// Told at every COMMIT of SQLite's writing connection, before it is on disk, and at every ROLLBACK.
    pub ending: Arc<Notify>,
    /// How SQLite's log is copied beside the writer.
    pub copier: Option<SqliteConnectOptions>,
    /// Goes last: see there.
    pub lock: Option<Held>,
    /// SQLite's file, by its own name.
    pub file: Option<PathBuf>,
}

pub(super) async fn open(url: &str, read_connections: u32) -> Result<Opened, OpenError> {
    if url.starts_with("sqlite:") {
        sqlite(url, read_connections).await.map_err(|e| explained(url, e))
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        postgres(url, read_connections).await
    } else {
        let scheme = url.split(':').next().unwrap_or_default();
        Err(OpenError::UnknownScheme(format!("{scheme}:…")))
    }
}

async fn sqlite(url: &str, read_connections: u32) -> Result<Opened, OpenError> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: every commit is fsync'd before it is answered. NORMAL would lose the last ones with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(true)
        .statement_cache_capacity(200)
        .pragma("cache_size", READERS_CACHE)
        // The log is copied by us (checkpoint.rs).
        .pragma("wal_autocheckpoint", "0")
        .pragma("temp_store", "memory");
    let path = options.get_filename().to_owned();
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let (lock, file) = lock::hold(&path)?;
    if lock::is_anybodys(&file) {
        tracing::warn!(
            "every user of this machine may open the record: take that away (chmod o= on the database and what lies beside it)"
        );
    }
    let ending = Arc::new(Notify::new());
    let tell = ending.clone();
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .after_connect(move |connection, _| {
            let (committing, leaving) = (tell.clone(), tell.clone());
            Box::pin(async move {
                let mut handle = connection.lock_handle().await?;
                handle.set_commit_hook(move || {
                    committing.notify_one();
                    true
                });
                handle.set_rollback_hook(move || leaving.notify_one());
                Ok(())
            })
        })
        // A file does not go away; asking whether it is there costs as much as a statement.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone().row_buffer_size(ROWS_AT_HAND).pragma("cache_size", WRITERS_CACHE))
        .await?;
    migrator(false).run(&writer).await?;
    refold::sqlite(&mut *writer.acquire().await?).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(read_connections)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone().pragma("query_only", "on"))
        .await?;
    // Leases of earlier runs are void at once: nobody else can be holding them.
    sqlx::query("UPDATE lane SET next_at = 0, lease_until = 0 WHERE lease_token IS NOT NULL").execute(&writer).await?;
    // And a probe that was in hand then finds out nothing any more: the next delivery probes, now.
    sqlx::query(NO_PROBE).execute(&writer).await?;
    Ok(Opened {
        writer: Pool::Sqlite(writer),
        readers: Pool::Sqlite(readers),
        ending,
        copier: Some(options),
        lock: Some(lock),
        file: Some(file),
    })
}

/// SQLite says only that it cannot open a file. The system says why: a folder stands there, or too many files are open.
fn explained(url: &str, e: OpenError) -> OpenError {
    // SQLITE_CANTOPEN
    if !matches!(&e, OpenError::Database(e) if sqlite_code(e).is_some_and(|code| code & 255 == 14)) {
        return e;
    }
    let path = SqliteConnectOptions::from_str(url).map(|options| options.get_filename().to_owned());
    match path.map(|path| File::options().read(true).write(true).open(path)) {
        Ok(Err(why)) => OpenError::File(why),
        // Whatever it was has passed, or it was another file.
        Ok(Ok(_)) | Err(_) => e,
    }
}

async fn postgres(url: &str, read_connections: u32) -> Result<Opened, OpenError> {
    let options = PgConnectOptions::from_str(url)?.application_name("ips-bridge").statement_cache_capacity(200);
    let mut first = reached(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(AWAY_AFTER)
        // The writer finds out by beginning, and begins again. It never changes its connection without noticing: what it remembers is of the
        // record behind that one.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|session, _| Box::pin(async move { session.execute(WRITER_SESSION).await.map(|_| ()) }));
    for (setting, safe) in [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")] {
        let (value,): (String,) =
            sqlx::query_as("SELECT current_setting($1)").bind(setting).fetch_one(&mut first).await?;
        let stronger =
            setting == "synchronous_commit" && matches!(value.as_str(), "remote_apply" | "remote_write" | "local");
        if value != safe && !stronger {
            return Err(OpenError::Unsafe { setting, value, wanted: safe });
        }
    }
    migrator(true).run(&mut first).await?;
    refold::postgres(&mut first).await?;
    first.close().await?;
    // Connected by the writer, on whose thread it is to be waited for.
    let writer = pool.connect_lazy_with(options.clone());
    let readers = PgPoolOptions::new()
        .max_connections(read_connections)
        // A connection may be silent for ever, and sqlx would wait for it as long: when it is taken, and with its place taken when it is given back in the
        // middle of a question.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(answers(connection)))
        .after_release(|connection, _| Box::pin(answers(connection)))
        .connect_with(options)
        .await?;
    let ending = Arc::new(Notify::new());
    Ok(Opened {
        writer: Pool::Postgres(writer),
        readers: Pool::Postgres(readers),
        ending,
        copier: None,
        lock: None,
        file: None,
    })
}

/// A connection without a pool, which would keep trying and say in the end only that it waited.
async fn reached(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let away = |why: String| OpenError::Away { place: place.clone(), why };
    match tokio::time::timeout(AWAY_AFTER, options.connect()).await {
        Err(_) => Err(away(format!("no answer within {} s", AWAY_AFTER.as_secs()))),
        Ok(Err(sqlx::Error::Io(e))) => Err(away(e.to_string())),
        // Starting or stopping, or as many connections as it takes.
        Ok(Err(sqlx::Error::Database(e))) if matches!(e.code().as_deref(), Some("57P01" | "57P03" | "53300")) => {
            Err(away(e.message().to_owned()))
        }
        Ok(connected) => Ok(connected?),
    }
}

/// One that does not is closed, and another made.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(in_time(SAY_WITHIN, connection.ping()).await.is_ok())
}

fn migrator(postgres: bool) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, text)| {
        let sql = sqlx::AssertSqlSafe(migration(text, postgres));
        Migration::new(*version, (*name).into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

    #[tokio::test]
    async fn what_stood_in_a_table_that_is_made_anew_stands_there_afterwards() {
        const TABLES: [(&str, &str, &str); 7] = [
            (
                "lane",
                "endpoint_id, patient_id, next_seq, next_at, lease_token, lease_until, delivery_id, moves_to, moves_by",
                "'e', x'01', 2, 3, x'04', 5, x'06', x'07', 8",
            ),
            ("step", "delivery_id, version, at, state, what, who", "x'01', 2, 3, 'FILED', 'a', 'b'"),
            ("request", "key, content, at, answer", "x'01', x'02', 3, 'a'"),
            ("patient_identifier", "trust, authority, kind, value, patient_id", "'t', 'a', 'MR', 'v', x'01'"),
            ("referral_external", "trust, system, value, referral_id", "'t', 's', 'v', x'01'"),
            (
                "audit",
                "seq, at, trust, principal, role, action, subject_kind, subject_id, patient_id, why, outcome",
                "7, 1, 't', 'p', 'r', 'a', 'k', x'01', x'02', 'w', 'done'",
            ),
            ("record_name", "endpoint_id, kind, record_id, subject_id", "'e', 'Note', 'r', x'01'"),
        ];
        let mut db = SqliteConnection::connect("sqlite::memory:").await.expect("SQLite opens");
        let (before, after) = MIGRATIONS.split_at(7);
        for (_, _, text) in before {
            sqlx::raw_sql(AssertSqlSafe(migration(text, false))).execute(&mut db).await.expect("the tables");
        }
        for (table, columns, values) in TABLES {
            let sql = format!("INSERT INTO {table} ({columns}) VALUES ({values})");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap_or_else(|e| panic!("{table}: {e}"));
        }
        for (id, family) in [("x'01'", "smith"), ("x'02'", "nguyễn")] {
            let columns = "id, trust, folded_family, date_of_birth, payload";
            let sql = format!("INSERT INTO patient ({columns}) VALUES ({id}, 't', '{family}', '1985-04-12', '{{}}')");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.expect("a patient");
        }
        for (_, name, text) in after {
            let done = sqlx::raw_sql(AssertSqlSafe(migration(text, false))).execute(&mut db).await;
            done.unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        for (table, columns, values) in TABLES {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE ({columns}) = ({values})");
            let row =
                sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut db).await.unwrap_or_else(|e| panic!("{table}: {e}"));
            assert_eq!(row.get::<i64, _>(0), 1, "{table}");
        }
        // Whose name has other letters than a to z is folded anew.
        let anew: Vec<u8> = sqlx::query_scalar("SELECT id FROM refold").fetch_one(&mut db).await.expect("one");
        assert_eq!(anew, [2]);
    }
}
