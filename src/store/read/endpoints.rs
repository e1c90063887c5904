//! How endpoints do.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::record::EndpointState;
use super::super::{Scope, Store};
use super::{all, micros};
use crate::domain::ambient::from_micros;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;

/// Deliveries of one endpoint by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    pub queued: i64,
    pub sending: i64,
    pub backing_off: i64,
    pub accepted: i64,
    pub parked: i64,
    /// Filed since then, and filed still: what was contradicted is parked, and counts there.
    pub filed_since: i64,
    pub written_since: i64,
    /// The oldest delivery neither filed nor cancelled.
    pub oldest_unfiled: Option<Timestamp>,
    /// ACCEPTED before the time given, and still without the evidence that files.
    pub overdue: i64,
}

statement!(STATES, "SELECT payload FROM endpoint WHERE id IN {texts}");
statement!(
    COUNTS,
    "SELECT state, COUNT(*), MIN(created_at) FROM delivery WHERE endpoint_id = $1 AND state NOT IN ('FILED', 'CANCELLED') GROUP BY state"
);
statement!(FILED_SINCE, "SELECT COUNT(*) FROM delivery WHERE endpoint_id = $1 AND filed_at >= $2 AND state = 'FILED'");
statement!(WRITTEN_SINCE, "SELECT COUNT(*) FROM delivery WHERE endpoint_id = $1 AND created_at >= $2");
statement!(
    OVERDUE,
    "SELECT COUNT(*) FROM delivery WHERE endpoint_id = $1 AND state NOT IN ('FILED', 'CANCELLED') AND state = 'ACCEPTED' AND accepted_at < $2"
);
// Endpoints with parked messages, found by stepping from one endpoint to the next in the index: read whole, it would be as long as all that ever came.
macro_rules! with_parked_messages {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (WITH RECURSIVE of (id) AS (SELECT MIN(endpoint_id) FROM inbound UNION ALL \
             SELECT (SELECT MIN(endpoint_id) FROM inbound WHERE endpoint_id > of.id) FROM of WHERE of.id IS NOT NULL) \
             SELECT id FROM of WHERE id IS NOT NULL AND EXISTS (SELECT 1 FROM inbound WHERE endpoint_id = of.id AND state = 'PARKED')) AS parked"
        )
    };
}

/// Where something waits for what only config can bring: of ENDPOINT_RETIRED a person has been told.
pub(in crate::store) const OPEN: &str = concat!(
    "SELECT DISTINCT endpoint_id FROM delivery WHERE state NOT IN ('FILED', 'CANCELLED') AND (park_reason IS NULL OR park_reason <> 'ENDPOINT_RETIRED') UNION ",
    with_parked_messages!("id")
);
statement!(OPEN_ENDPOINTS, OPEN);
// The same way through what is open: in an outage that may be a million, and whoever watches asks every minute.
statement!(
    WAITING_ANYWHERE,
    concat!(
        "SELECT id, trust FROM (WITH RECURSIVE of (id) AS (SELECT MIN(endpoint_id) FROM delivery WHERE state NOT IN ('FILED', 'CANCELLED') UNION ALL \
         SELECT (SELECT MIN(endpoint_id) FROM delivery WHERE state NOT IN ('FILED', 'CANCELLED') AND endpoint_id > of.id) FROM of WHERE of.id IS NOT NULL) \
         SELECT id, (SELECT trust FROM delivery WHERE endpoint_id = of.id AND state NOT IN ('FILED', 'CANCELLED') \
         AND state IN ('QUEUED', 'SENDING', 'BACKING_OFF', 'PARKED') LIMIT 1) AS trust FROM of WHERE id IS NOT NULL) AS waiting WHERE trust IS NOT NULL UNION ",
        with_parked_messages!(
            "id, (SELECT MIN(trust) FROM inbound WHERE endpoint_id = parked.id AND state = 'PARKED')"
        )
    )
);
statement!(ANY_AT, "SELECT created_at FROM delivery WHERE endpoint_id = $1 LIMIT 1");
statement!(OPEN_AT, "SELECT COUNT(*) FROM delivery WHERE endpoint_id = $1 AND state NOT IN ('FILED', 'CANCELLED')");
statement!(NEXT_DUE, "SELECT MIN(next_at) FROM lane WHERE endpoint_id = $1 AND next_at IS NOT NULL");

impl Store {
    /// Gates and pauses; an endpoint without a row has never failed.
    pub async fn endpoint_states(&self, ids: &[EndpointId]) -> Result<Vec<EndpointState>, StoreError> {
        let sql = STATES.for_pool(&self.readers);
        let ids = serde_json::json!(ids).to_string();
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(ids).fetch_all(p).await)?;
        all(rows, "endpoint")
    }

    /// `since`: for what was filed and written; `overdue_before`: for what waits for evidence too long.
    pub async fn endpoint_counts(
        &self,
        id: &EndpointId,
        since: Timestamp,
        overdue_before: Timestamp,
    ) -> Result<EndpointCounts, StoreError> {
        let pool = &self.readers;
        let sql = COUNTS.for_pool(pool);
        let rows: Vec<(String, i64, Option<i64>)> =
            on!(Pool, pool, p => sqlx::query_as(sql).bind(id.as_str()).fetch_all(p).await)?;
        let of = |state: &str| rows.iter().find(|r| r.0 == state).map_or(0, |r| r.1);
        let mut counts = EndpointCounts {
            queued: of("QUEUED"),
            sending: of("SENDING"),
            backing_off: of("BACKING_OFF"),
            accepted: of("ACCEPTED"),
            parked: of("PARKED"),
            oldest_unfiled: rows.iter().filter_map(|r| r.2).min().map(from_micros),
            ..EndpointCounts::default()
        };
        for (statement, at, into) in [
            (&FILED_SINCE, since, &mut counts.filed_since),
            (&WRITTEN_SINCE, since, &mut counts.written_since),
            (&OVERDUE, overdue_before, &mut counts.overdue),
        ] {
            let sql = statement.for_pool(pool);
            let (n,): (i64,) =
                on!(Pool, pool, p => sqlx::query_as(sql).bind(id.as_str()).bind(micros(at)).fetch_one(p).await)?;
            *into = n;
        }
        Ok(counts)
    }

    /// Endpoints with open deliveries: config must know them all. Not limited by a scope; names only.
    pub async fn endpoints_with_open_deliveries(&self, _system: &Scope) -> Result<Vec<String>, StoreError> {
        let sql = OPEN_ENDPOINTS.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).fetch_all(p).await)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Where anything waits, for us or for a person: the endpoint, and a trust whose it is. Not limited by a scope.
    pub async fn endpoints_with_waiting(&self) -> Result<Vec<(String, String)>, StoreError> {
        let sql = WAITING_ANYWHERE.for_pool(&self.readers);
        Ok(on!(Pool, &self.readers, p => sqlx::query_as(sql).fetch_all(p).await)?)
    }

    /// Whether anything was ever to go there.
    pub async fn has_deliveries(&self, id: &EndpointId) -> Result<bool, StoreError> {
        let sql = ANY_AT.for_pool(&self.readers);
        let row: Option<(i64,)> =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(p).await)?;
        Ok(row.is_some())
    }

    /// Deliveries to one endpoint that are neither filed nor cancelled.
    pub async fn open_at(&self, id: &EndpointId) -> Result<i64, StoreError> {
        let sql = OPEN_AT.for_pool(&self.readers);
        let (n,): (i64,) = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.as_str()).fetch_one(p).await)?;
        Ok(n)
    }

    /// When the endpoint's next lane is due; `None`: nothing waits.
    pub async fn next_due(&self, id: &EndpointId) -> Result<Option<Timestamp>, StoreError> {
        let sql = NEXT_DUE.for_pool(&self.readers);
        let (at,): (Option<i64>,) =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.as_str()).fetch_one(p).await)?;
        Ok(at.map(from_micros))
    }
}
