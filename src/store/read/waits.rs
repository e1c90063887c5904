//! What of an endpoint waits, and what a person should look at: each found by the index of what is open, so that whoever watches an endpoint need not list
//! its deliveries.

use super::super::Store;
use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::micros;
use crate::domain::delivery::State;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use uuid::Uuid;

/// Named at most, the oldest: a person begins with these.
const NAMED_MAX: usize = 20;

statement!(
    PARKED_BY_REASON,
    "SELECT park_reason, COUNT(*) FROM delivery WHERE endpoint_id = $1 AND state NOT IN ('FILED', 'CANCELLED') AND state = 'PARKED' GROUP BY park_reason"
);
/// One that is open and whose turn was before `$2`, and whose lane nobody works on: no lease, or one that ended five minutes ago (workers that are gone are
/// looked for all the time).
const LONG_DUE: &str = "SELECT d.created_at, d.id FROM delivery d \
     WHERE d.endpoint_id = $1 AND d.state NOT IN ('FILED', 'CANCELLED') AND d.created_at < $2 AND d.due_at < $2 \
       AND (SELECT COUNT(*) FROM lane l WHERE l.endpoint_id = d.endpoint_id AND l.patient_id = d.patient_id AND l.lease_token IS NOT NULL AND l.next_at > {due} - 300000000) = 0";
// Counted, not NOT EXISTS: a planner that makes a join of that may read the other side whole for the few rows that are wanted.
statement!(
    QUEUED_UNEXPLAINED,
    &format!(
        "{LONG_DUE} AND d.state = 'QUEUED' AND d.blocked = 0 \
           AND (SELECT COUNT(*) FROM delivery h WHERE h.endpoint_id = d.endpoint_id AND h.patient_id = d.patient_id AND h.blocked = 0 AND h.state = 'BACKING_OFF') = 0 \
         ORDER BY d.created_at LIMIT {NAMED_MAX}"
    )
);
statement!(SENDING_UNEXPLAINED, &format!("{LONG_DUE} AND d.state = 'SENDING' ORDER BY d.created_at LIMIT {NAMED_MAX}"));
// $3: the state, one at a time, so that the oldest of each stand in the index in that order.
statement!(
    UNSETTLED_SINCE,
    &format!(
        "SELECT d.created_at, d.id FROM delivery d \
         WHERE d.endpoint_id = $1 AND d.state NOT IN ('FILED', 'CANCELLED') AND d.state = $3 AND d.created_at < $2 \
           AND (d.release_at IS NULL OR d.release_at < $2) AND d.blocked = 0 \
           AND (SELECT COUNT(*) FROM step s WHERE s.delivery_id = d.id AND s.at >= $2 AND s.state = 'QUEUED' AND s.who <> 'bridge') = 0 \
         ORDER BY d.created_at LIMIT {NAMED_MAX}"
    )
);

type Row = (i64, Uuid);

/// The oldest of several lists.
fn oldest(mut rows: Vec<Row>) -> Vec<DeliveryId> {
    rows.sort_unstable();
    rows.truncate(NAMED_MAX);
    rows.into_iter().map(|(_, id)| DeliveryId(id)).collect()
}

impl Store {
    /// How many of the endpoint's deliveries are parked, by the reason's code.
    pub async fn parked_by_reason(&self, id: &EndpointId) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = PARKED_BY_REASON.for_pool(&self.readers);
        let rows: Vec<(Option<String>, i64)> =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.as_str()).fetch_all(p).await)?;
        let mut rows: Vec<(String, i64)> = rows.into_iter().map(|(code, n)| (code.unwrap_or_default(), n)).collect();
        rows.sort_unstable();
        Ok(rows)
    }

    /// The oldest 20 whose turn was before `before` and that nothing in the record holds: no version before them, no lane that is being worked on, nothing
    /// that backs off in it. Whether the endpoint takes anything at all its caller knows.
    pub async fn unexplained(
        &self,
        id: &EndpointId,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let mut found: Vec<Row> = Vec::new();
        for statement in [&QUEUED_UNEXPLAINED, &SENDING_UNEXPLAINED] {
            let sql = statement.for_pool(&self.readers);
            let rows: Vec<Row> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
                .bind(id.as_str())
                .bind(micros(before))
                .bind(micros(now))
                .fetch_all(p)
                .await)?;
            found.extend(rows);
        }
        Ok(oldest(found))
    }

    /// The oldest 20 that are on their way since before `since`: written, released, and last put back to work by a person before then. What waits for the
    /// version before it is not among them.
    pub async fn unsettled_since(&self, id: &EndpointId, since: Timestamp) -> Result<Vec<DeliveryId>, StoreError> {
        let mut found: Vec<Row> = Vec::new();
        for state in [State::Queued, State::Sending, State::BackingOff] {
            let sql = UNSETTLED_SINCE.for_pool(&self.readers);
            let rows: Vec<Row> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
                .bind(id.as_str())
                .bind(micros(since))
                .bind(state.word())
                .fetch_all(p)
                .await)?;
            found.extend(rows);
        }
        Ok(oldest(found))
    }
}
