//! When an EPR was heard of last, and how often: for the measures. Names of endpoints and numbers only, so not limited by a scope.

use super::super::Store;
use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::record::InboundState;
use crate::domain::ambient::from_micros;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use uuid::Uuid;

statement!(LAST, "SELECT received_at FROM inbound WHERE endpoint_id = $1 AND state = $2 ORDER BY id DESC LIMIT 1");
statement!(ARRIVED, "SELECT COUNT(*) FROM inbound WHERE endpoint_id = $1 AND state = $2 AND id >= $3 AND id < $4");

impl Store {
    /// When the endpoint's last message in this state arrived.
    pub async fn last_inbound(&self, endpoint: &EndpointId, state: InboundState) -> Result<Option<Timestamp>, StoreError> {
        let sql = LAST.for_pool(&self.readers);
        let row: Option<(i64,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(endpoint.as_str()).bind(state.word()).fetch_optional(p).await)?;
        Ok(row.map(|(at,)| from_micros(at)))
    }

    /// How many messages in this state arrived from `from` on and before `to`, to the millisecond. Costs what it counts.
    pub async fn inbound_arrived(&self, endpoint: &EndpointId, state: InboundState, from: Timestamp, to: Timestamp) -> Result<i64, StoreError> {
        let sql = ARRIVED.for_pool(&self.readers);
        let (n,): (i64,) = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(endpoint.as_str())
            .bind(state.word())
            .bind(first_id_at(from))
            .bind(first_id_at(to))
            .fetch_one(p)
            .await)?;
        Ok(n)
    }
}

/// Below every id made at this instant or later: ids are UUIDv7.
fn first_id_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::try_from(at.as_millisecond()).unwrap_or(0) << 80)
}
