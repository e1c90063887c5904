//! Housekeeping: what is old is looked for beside the writer, and taken away by it in small parts.

use super::Store;
use super::dialect::{on, statement};
use super::error::{StoreError, WriteError};
use super::read::inbound::first_id_at;
use super::write::Forget;
use super::writer::Priority;
use crate::domain::ambient::micros;
use crate::domain::ids::InboundId;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use uuid::Uuid;

/// Looked for at a time.
const FOUND_MAX: i64 = 5_000;
/// Taken away in one commit.
const PART: usize = 500;

// Where a clock was ahead for a while, what came after that is forgotten once what came meanwhile is.
statement!(
    OLD_REQUESTS,
    "SELECT key FROM (SELECT key, at FROM request AS due ORDER BY {came} LIMIT $2) AS due WHERE at < $1"
);
// So many are looked at from $3 on, whether or not they have bytes: a trust's whole feed was ignored for years, and no answer may take long.
statement!(
    OLD_IGNORED,
    "SELECT id, CASE WHEN rule <> '(older news)' AND length(bytes) > 0 THEN 1 ELSE 0 END FROM inbound \
     WHERE endpoint_id = $1 AND state = 'IGNORED' AND id < $2 AND id > $3 ORDER BY id LIMIT $4"
);

impl Store {
    /// Forgets request ids answered before `before`. How many there were.
    pub async fn forget_requests(&self, before: Timestamp) -> Result<u64, WriteError> {
        let mut forgotten = 0;
        loop {
            let sql = OLD_REQUESTS.for_pool(&self.readers);
            let found: Vec<Vec<u8>> = on!(Pool, &self.readers, p => sqlx::query_scalar(sql).bind(micros(before)).bind(FOUND_MAX).fetch_all(p).await)
                .map_err(StoreError::from)?;
            match self.in_parts(found, Forget::Requests).await? {
                0 => return Ok(forgotten),
                n => forgotten += n,
            }
        }
    }

    /// Forgets the bytes of what was not for us and came before `before`; the rows stay, and what was only late stays whole. How many had any.
    pub async fn forget_ignored(&self, endpoint: &EndpointId, before: Timestamp) -> Result<u64, WriteError> {
        let (mut forgotten, mut after) = (0, Uuid::nil());
        loop {
            let sql = OLD_IGNORED.for_pool(&self.readers);
            let seen: Vec<(Uuid, i32)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
                .bind(endpoint.as_str())
                .bind(first_id_at(before))
                .bind(after)
                .bind(FOUND_MAX)
                .fetch_all(p)
                .await)
            .map_err(StoreError::from)?;
            let Some((last, _)) = seen.last() else { return Ok(forgotten) };
            after = *last;
            let with_bytes = seen.iter().filter(|(_, has_bytes)| *has_bytes == 1).map(|(id, _)| InboundId(*id));
            forgotten += self.in_parts(with_bytes.collect(), Forget::Ignored).await?;
        }
    }

    /// How many there were.
    async fn in_parts<T: Clone>(&self, found: Vec<T>, forget: fn(Vec<T>) -> Forget) -> Result<u64, WriteError> {
        for part in found.chunks(PART) {
            self.writer.write(forget(part.to_vec()), Priority::Accept).await?;
        }
        Ok(found.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Pool;
    use super::*;

    /// On SQLite nothing else puts the oldest first: there is no index by age.
    #[tokio::test]
    async fn of_more_requests_than_are_looked_at_the_first_that_came_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("record.db").display());
        let opened = super::super::open::open(&url, 1).await.expect("a record");
        let Pool::Sqlite(writer) = &opened.writer else { panic!("it is SQLite") };
        // Their keys are in no order of time.
        for (key, at) in [(9u8, 1i64), (5, 2), (7, 3)] {
            let add = sqlx::query("INSERT INTO request (key, content, at, answer) VALUES ($1, x'00', $2, '{}')");
            add.bind(vec![key]).bind(at).execute(writer).await.expect("written");
        }
        let sql = OLD_REQUESTS.for_pool(&opened.writer);
        let found: Vec<Vec<u8>> =
            sqlx::query_scalar(sql).bind(10i64).bind(2i64).fetch_all(writer).await.expect("looked");
        assert_eq!(found, [[9], [5]]);
    }
}
