//! What would wait where nobody sends any more.

use super::Store;
use super::dialect::{on, statement};
use super::error::{StoreError, WriteError};
use super::write::ParkUnserved;
use super::writer::Priority;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use uuid::Uuid;

/// Parked in one commit.
const PART: i64 = 500;

statement!(
    WAITING,
    "SELECT id FROM delivery WHERE endpoint_id = $1 AND state IN ('QUEUED', 'BACKING_OFF') AND state NOT IN ('FILED', 'CANCELLED') LIMIT $2"
);

impl Store {
    /// Puts in front of a person whatever waits to be sent to `endpoint`, which config does not have; what it does have stays as it is. How many there were.
    pub async fn park_unserved(&self, endpoint: &EndpointId) -> Result<u64, WriteError> {
        let mut parked = 0;
        loop {
            let sql = WAITING.for_pool(&self.readers);
            let found: Vec<Uuid> = on!(Pool, &self.readers, p => sqlx::query_scalar(sql).bind(endpoint.as_str()).bind(PART).fetch_all(p).await)
                .map_err(StoreError::from)?;
            let deliveries = found.into_iter().map(DeliveryId).collect();
            match self.writer.write(ParkUnserved { deliveries }, Priority::Settle).await? {
                0 => return Ok(parked),
                n => parked += n,
            }
        }
    }
}
