//! Looking at the tables, and meddling with them, behind the store's back.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// The first column of every row, as text.
pub async fn texts(url: &str, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite") {
        let mut db = SqliteConnection::connect(url).await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut db).await.unwrap()
    } else {
        let mut db = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut db).await.unwrap()
    }
}

/// One number.
pub async fn number(url: &str, sql: &str) -> i64 {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite") {
        let mut db = SqliteConnection::connect(url).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    } else {
        let mut db = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    }
}

pub async fn execute(url: &str, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite") {
        let mut db = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut db).await.unwrap();
    } else {
        let mut db = PgConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
}

/// Every row of a table, whole, as text that differs when anything in it does.
pub async fn rows(url: &str, table: &str) -> std::collections::BTreeSet<String> {
    let rows = if url.starts_with("sqlite") {
        let columns = texts(url, &format!("SELECT name FROM pragma_table_info('{table}')")).await;
        let quoted: Vec<String> = columns.iter().map(|c| format!("quote({c})")).collect();
        texts(url, &format!("SELECT {} FROM {table}", quoted.join(" || '|' || "))).await
    } else {
        texts(url, &format!("SELECT t::text FROM {table} t")).await
    };
    let count = rows.len();
    let rows: std::collections::BTreeSet<String> = rows.into_iter().collect();
    assert_eq!(rows.len(), count, "two rows of {table} are the same");
    rows
}

/// What makes every insert into a table fail, as a disk does that is full; and what ends that.
pub fn no_room_in(table: &str, url: &str) -> (Vec<String>, String) {
    if url.starts_with("sqlite") {
        let fill =
            format!("CREATE TRIGGER full_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END");
        return (vec![fill], format!("DROP TRIGGER full_{table}"));
    }
    let function = format!(
        "CREATE FUNCTION full_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"
    );
    let fill =
        format!("CREATE TRIGGER full_{table} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION full_{table}()");
    (vec![function, fill], format!("DROP TRIGGER full_{table} ON {table}"))
}

/// What backs off is due, as if its time had passed.
pub async fn due_now(url: &str) {
    let payload = if url.starts_with("sqlite") {
        "json_set(payload, '$.next_attempt_at', '2026-01-01T00:00:00Z')"
    } else {
        "jsonb_set(payload::jsonb, '{next_attempt_at}', '\"2026-01-01T00:00:00Z\"')::text"
    };
    execute(url, &format!("UPDATE delivery SET due_at = 0, payload = {payload} WHERE state = 'BACKING_OFF'")).await;
    execute(url, "UPDATE lane SET next_at = 0 WHERE EXISTS (SELECT 1 FROM delivery d WHERE d.patient_id = lane.patient_id AND d.state = 'BACKING_OFF')").await;
}
