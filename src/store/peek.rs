//! A look at a record without opening it for work: nothing is migrated, written or locked. For `check-config`.

use super::error::StoreError;
use super::read::{endpoints::OPEN, patients::TRUSTS};
use super::record::EndpointState;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::str::FromStr;

const STATES: &str = "SELECT payload FROM endpoint";

/// Endpoints to which something is still to go. A record that is not there yet, or has no tables yet, knows none.
pub async fn open_endpoints(url: &str) -> Result<Vec<String>, StoreError> {
    let rows = rows(url, OPEN).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Trusts whose patients are in it. A record that is not there yet, or has no tables yet, knows none.
pub async fn trusts(url: &str) -> Result<Vec<String>, StoreError> {
    let rows = rows(url, TRUSTS).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// How endpoints stand in it. A record that is not there yet, or has no tables yet, knows none.
pub async fn endpoints(url: &str) -> Result<Vec<EndpointState>, StoreError> {
    rows(url, STATES).await?.iter().map(|(payload,)| super::batch::parse(payload, "endpoint")).collect()
}

async fn rows(url: &str, sql: &'static str) -> Result<Vec<(String,)>, StoreError> {
    let rows: Result<Vec<(String,)>, sqlx::Error> = if url.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(url)?.read_only(true).create_if_missing(false);
        if !options.get_filename().exists() {
            return Ok(Vec::new());
        }
        let mut connection = options.disable_statement_logging().connect().await?;
        let rows = sqlx::query_as(sql).fetch_all(&mut connection).await;
        connection.close().await?;
        rows
    } else {
        let mut connection = PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await?;
        let rows = sqlx::query_as(sql).fetch_all(&mut connection).await;
        connection.close().await?;
        rows
    };
    match rows {
        // No such table (PostgreSQL says it by code, SQLite by 1).
        Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("42P01" | "1")) => Ok(Vec::new()),
        rows => Ok(rows?),
    }
}
