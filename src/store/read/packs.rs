//! Packs that were activated, and what waits to be sent with the one that is.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::{Scope, Store};
use super::all;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;

statement!(CONTENT, "SELECT bytes FROM pack_content WHERE endpoint_id = $1 AND fingerprint = $2");
// As its index says it: an endpoint's queue, whatever was filed there before.
statement!(
    WAITING,
    "SELECT payload FROM delivery WHERE endpoint_id = $1 AND state NOT IN ('FILED', 'CANCELLED') AND state = $2 ORDER BY created_at LIMIT $3"
);

/// What a change of the pack means for what waits to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Never made yet: made with the new pack.
    pub unmade: u64,
    /// Made, and no byte can have been seen: made anew.
    pub unseen: u64,
    /// Perhaps received already: nothing is made anew in silence, a person decides.
    pub seen: Vec<DeliveryId>,
    /// There are more than were looked at.
    pub more: bool,
}

impl Waiting {
    /// Deliveries of one state.
    const LOOKED_AT: i64 = 20_000;
}

impl Store {
    /// A pack's bytes, as they were activated at this endpoint.
    pub async fn pack_content(&self, endpoint: &EndpointId, fingerprint: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = CONTENT.for_pool(&self.readers);
        let row: Option<(Vec<u8>,)> = on!(Pool, &self.readers, p => {
            sqlx::query_as(sql).bind(endpoint.as_str()).bind(fingerprint).fetch_optional(p).await
        })?;
        Ok(row.map(|(bytes,)| bytes))
    }

    /// What goes to this endpoint by itself and has not gone yet.
    pub async fn waiting(&self, scope: &Scope, endpoint: &EndpointId) -> Result<Waiting, StoreError> {
        let mut waiting = Waiting::default();
        for state in [State::Queued, State::BackingOff] {
            let sql = WAITING.for_pool(&self.readers);
            let rows: Vec<(String,)> = on!(Pool, &self.readers, p => {
                sqlx::query_as(sql).bind(endpoint.as_str()).bind(state.word()).bind(Waiting::LOOKED_AT + 1).fetch_all(p).await
            })?;
            let deliveries: Vec<Delivery> = all(rows, "delivery")?;
            waiting.more |= i64::try_from(deliveries.len()).unwrap_or(i64::MAX) > Waiting::LOOKED_AT;
            for d in deliveries.iter().filter(|d| scope.has_endpoint(&d.trust, &d.endpoint)) {
                match (d.may_have_been_received(), d.rendering) {
                    (true, _) => waiting.seen.push(d.id),
                    (false, Some(_)) => waiting.unseen += 1,
                    (false, None) => waiting.unmade += 1,
                }
            }
        }
        Ok(waiting)
    }
}
