//! What a clock that was ahead would keep waiting: found, and put right.

use super::Store;
use super::dialect::{on, statement};
use super::error::{StoreError, WriteError};
use super::write::PutRight;
use super::writer::Priority;
use crate::domain::ambient::micros;
use crate::domain::decide::later;
use crate::domain::delivery::IN_STEP;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use std::time::Duration;
use uuid::Uuid;

/// No two tries are further apart: config lets waits be of a day at most.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(25 * 60 * 60);
/// Put right in one commit.
const PART: i64 = 500;

// The index of what is open is named by what it is of.
statement!(
    AHEAD,
    "SELECT id FROM delivery WHERE endpoint_id = $1 AND state IN ('QUEUED', 'BACKING_OFF') AND state NOT IN ('FILED', 'CANCELLED') AND created_at > $2 AND due_at > $2 AND id > $5 \
     UNION SELECT id FROM delivery WHERE endpoint_id = $1 AND state = 'BACKING_OFF' AND state NOT IN ('FILED', 'CANCELLED') AND due_at > $3 AND id > $5 ORDER BY id LIMIT $4"
);

impl Store {
    /// Deliveries at `endpoint` that came, or back off, at a time that is yet to come by the clock of `now`, and how many were put right.
    pub async fn put_right(&self, endpoint: &EndpointId, now: Timestamp) -> Result<u64, WriteError> {
        let (ahead, longest) = (micros(later(now, IN_STEP)), micros(later(now, LONGEST_WAIT)));
        let (mut after, mut count) = (Uuid::nil(), 0);
        loop {
            let sql = AHEAD.for_pool(&self.readers);
            let found: Vec<Uuid> = on!(Pool, &self.readers, p => sqlx::query_scalar(sql).bind(endpoint.as_str()).bind(ahead).bind(longest).bind(PART).bind(after).fetch_all(p).await)
                .map_err(StoreError::from)?;
            let Some(last) = found.last() else { return Ok(count) };
            after = *last;
            let deliveries = found.into_iter().map(DeliveryId).collect();
            count += self.writer.write(PutRight { deliveries, longest: LONGEST_WAIT }, Priority::Settle).await?;
        }
    }
}
