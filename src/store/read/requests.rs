//! Calls answered before, and how far the feed has come.

use super::super::Store;
use super::super::dialect::{on, statement};
use super::super::error::{Refusal, StoreError, WriteError};
use super::super::record::{Answer, RequestKey};
use super::parse;

statement!(REQUEST, "SELECT content, answer FROM request WHERE key = $1");

impl Store {
    /// What this request was answered before, if it was. Other content under the same key is refused, as it is when writing.
    pub async fn answered(&self, request: &RequestKey) -> Result<Option<Answer>, WriteError> {
        let sql = REQUEST.for_pool(&self.readers);
        let key = request.key.to_vec();
        let row: Result<Option<(Vec<u8>, String)>, sqlx::Error> =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(key).fetch_optional(p).await);
        match row.map_err(StoreError::from)? {
            None => Ok(None),
            Some((content, answer)) if content == request.content => Ok(Some(parse(&answer, "request")?)),
            Some(_) => Err(Refusal::RequestIdReused.into()),
        }
    }

    /// The newest feed position that any bridge on this record has committed.
    pub async fn feed_position(&self) -> Result<i64, StoreError> {
        let sql = super::FEED.for_pool(&self.readers);
        let (position, _): (i64, i64) = on!(Pool, &self.readers, p => sqlx::query_as(sql).fetch_one(p).await)?;
        Ok(position)
    }
}
