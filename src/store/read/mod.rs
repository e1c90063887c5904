//! Every kind of question, one file each. All take a [`Scope`]; what lies outside it does not exist.

pub(super) mod deliveries;
pub(super) mod documents;
pub(super) mod endpoints;
pub(super) mod entries;
pub(super) mod facts;
pub(super) mod inbound;
pub(super) mod packs;
pub(super) mod patients;
pub(super) mod referrals;
pub(super) mod requests;
pub(super) mod waits;

pub use deliveries::{AttemptRead, DeliveryFilter};
pub use endpoints::EndpointCounts;
pub use entries::SubjectFilter;
pub use inbound::{InboundCounts, InboundFilter, InboundPage};
pub use packs::Waiting;
pub use patients::PatientBy;
pub use referrals::ReferralFilter;

use super::batch::parse;
use super::dialect::{Pool, Statement, on, statement};
use super::error::{OpenError, StoreError};
use super::scope::Scope;
use serde::de::DeserializeOwned;
use sqlx::{Encode, Type};
use uuid::Uuid;

/// One page of a list that is ordered newest first by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// 1 to 1000.
    pub size: u32,
    /// Go on after this one.
    pub after: Option<Uuid>,
}

/// Later than every id.
const LAST: Uuid = Uuid::max();

impl Page {
    fn below(&self) -> Uuid {
        self.after.unwrap_or(LAST)
    }
}

statement!(FEED, "SELECT position, open FROM feed WHERE id = 1");

/// The last feed position handed out, and the number of open deliveries.
pub(super) async fn feed(pool: &Pool) -> Result<(i64, i64), OpenError> {
    let sql = FEED.for_pool(pool);
    Ok(on!(Pool, pool, p => sqlx::query_as(sql).fetch_one(p).await)?)
}

/// One payload by one key.
async fn one<'q, T, K>(
    pool: &Pool,
    statement: &'static Statement,
    key: K,
    table: &'static str,
) -> Result<Option<T>, StoreError>
where
    T: DeserializeOwned,
    K: Encode<'q, sqlx::Sqlite> + Type<sqlx::Sqlite> + Encode<'q, sqlx::Postgres> + Type<sqlx::Postgres> + Send + 'q,
{
    let sql = statement.for_pool(pool);
    let row: Option<(String,)> = on!(Pool, pool, p => sqlx::query_as(sql).bind(key).fetch_optional(p).await)?;
    row.map(|(payload,)| parse(&payload, table)).transpose()
}

/// All payloads of rows.
fn all<T: DeserializeOwned>(rows: Vec<(String,)>, table: &'static str) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|(payload,)| parse(payload, table)).collect()
}

/// A JSON list for `{texts…}`, or `None` for no limit.
fn list<T: AsRef<str>>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| serde_json::Value::from_iter(items.iter().map(|i| i.as_ref())).to_string())
}

/// A JSON list for `{uuids}`.
fn uuids(ids: impl IntoIterator<Item = Uuid>) -> String {
    serde_json::Value::from_iter(ids.into_iter().map(|i| i.to_string())).to_string()
}

fn micros(at: jiff::Timestamp) -> i64 {
    crate::domain::ambient::micros(at)
}

/// The scope's trusts as `{texts1}` wants them, narrowed to one trust when asked.
fn trusts(scope: &Scope, only: Option<&crate::domain::organisation::OdsCode>) -> Option<String> {
    match only {
        Some(trust) if scope.has_trust(trust) => Some(serde_json::json!([trust]).to_string()),
        Some(_) => Some("[]".into()),
        None => scope.trusts_json(),
    }
}
