//! Housekeeping: what is old is looked for beside the writer, and taken away by it in small parts.

use super::Store;
use super::dialect::{on, statement};
use super::error::WriteError;
use super::write::Forget;
use super::writer::Priority;
use crate::domain::ambient::micros;
use crate::domain::ids::InboundId;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// Looked for at a time.
const FOUND_MAX: i64 = 5_000;
/// Taken away in one commit.
const PART: usize = 500;

statement!(OLD_REQUESTS, "SELECT key FROM request WHERE at < $1 LIMIT $2");
statement!(
    OLD_IGNORED,
    "SELECT id FROM inbound WHERE endpoint_id = $1 AND state = 'IGNORED' AND received_at < $2 AND rule <> '(older news)' AND length(bytes) > 0 LIMIT $3"
);

impl Store {
    /// Forgets request ids answered before `before`. How many there were.
    pub async fn forget_requests(&self, before: Timestamp) -> Result<u64, WriteError> {
        let sql = OLD_REQUESTS.for_pool(&self.readers);
        let mut forgotten = 0;
        loop {
            let found: Vec<(Vec<u8>,)> = on!(Pool, &self.readers, p => sqlx::query_as(AssertSqlSafe(sql.0)).bind(micros(before)).bind(FOUND_MAX).fetch_all(p).await)
                .map_err(|e| WriteError::from(super::StoreError::from(e)))?;
            if found.is_empty() {
                return Ok(forgotten);
            }
            forgotten += found.len() as u64;
            for part in found.chunks(PART) {
                let keys = part.iter().map(|(key,)| key.clone()).collect();
                self.writer.write(Forget::Requests(keys), Priority::Accept).await?;
            }
        }
    }

    /// Forgets the bytes of what was not for us and came before `before`; the rows stay, and what was only late stays whole. How many had any.
    pub async fn forget_ignored(&self, endpoint: &EndpointId, before: Timestamp) -> Result<u64, WriteError> {
        let sql = OLD_IGNORED.for_pool(&self.readers);
        let mut forgotten = 0;
        loop {
            let found: Vec<(Uuid,)> = on!(Pool, &self.readers, p => sqlx::query_as(AssertSqlSafe(sql.0)).bind(endpoint.as_str()).bind(micros(before)).bind(FOUND_MAX).fetch_all(p).await)
                .map_err(|e| WriteError::from(super::StoreError::from(e)))?;
            if found.is_empty() {
                return Ok(forgotten);
            }
            forgotten += found.len() as u64;
            for part in found.chunks(PART) {
                let ids = part.iter().map(|(id,)| InboundId(*id)).collect();
                self.writer.write(Forget::Ignored(ids), Priority::Accept).await?;
            }
        }
    }
}
