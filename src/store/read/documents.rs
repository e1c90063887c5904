//! Deliveries by what a far end knows of them: the document's id, the message's control id; and those of one day.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::rows::kind_word;
use super::super::rowset::{Argument, RowSet, bound};
use super::super::{Scope, Store};
use super::{all, micros, uuids};
use crate::domain::delivery::Delivery;
use crate::domain::entry::EntryKind;
use crate::domain::ids::{DeliveryId, EntryId};
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

statement!(SUBJECTS_OF, "SELECT subject_id FROM entry WHERE id IN {uuids}");
statement!(
    MADE,
    "SELECT COUNT(*) FROM rendering WHERE (endpoint_id, control_id) IN (SELECT {0:text}, {1:text} FROM {rows})"
);
statement!(
    OF_CONTROL_ID,
    "SELECT d.payload FROM rendering r JOIN delivery d ON d.id = r.delivery_id WHERE r.endpoint_id = $1 AND r.control_id = $2"
);
statement!(
    NAMED_SO,
    "SELECT DISTINCT subject_id FROM record_name WHERE (endpoint_id, kind, record_id) IN (SELECT {0:text}, {1:text}, {2:text} FROM {rows})"
);
statement!(
    MADE_BETWEEN,
    "SELECT payload FROM delivery WHERE endpoint_id = $1 AND created_at >= $2 AND created_at < $3 ORDER BY created_at, id LIMIT $4"
);
statement!(
    COUNT_MADE_BETWEEN,
    "SELECT COUNT(*) FROM delivery WHERE endpoint_id = $1 AND created_at >= $2 AND created_at < $3"
);

impl Store {
    /// The deliveries of these documents (a document's id is its entry's) at one endpoint.
    pub async fn deliveries_of_documents(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        documents: impl IntoIterator<Item = EntryId>,
    ) -> Result<Vec<Delivery>, StoreError> {
        // By way of the subjects: `entry_id` has no index, and a planner that is left to join them would read the whole endpoint.
        let wanted: BTreeSet<EntryId> = documents.into_iter().collect();
        let sql = SUBJECTS_OF.for_pool(&self.readers);
        let ids = uuids(wanted.iter().map(|d| d.0));
        let subjects: Vec<(Uuid,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(ids).fetch_all(p).await)?;
        let mut deliveries = self.deliveries_of(scope, subjects.into_iter().map(|(id,)| id)).await?;
        deliveries.retain(|d| d.endpoint == *endpoint && wanted.contains(&d.entry_id));
        deliveries.sort_by_key(|d| d.id);
        // A subject that was named twice gives its deliveries twice.
        deliveries.dedup_by_key(|d| d.id);
        Ok(deliveries)
    }

    /// The deliveries at the endpoint of whatever the record means by these ids of its own, each for the kind of entry it was told of.
    pub async fn deliveries_of_record_ids(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        ids: impl IntoIterator<Item = (EntryKind, String)>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let wanted: BTreeSet<(String, String)> = ids.into_iter().map(|(kind, id)| (kind_word(kind), id)).collect();
        let mut keys = RowSet::default();
        wanted
            .iter()
            .for_each(|(kind, id)| keys.row(&[endpoint.as_str().into(), kind.as_str().into(), id.as_str().into()]));
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let sql = NAMED_SO.for_pool(&self.readers);
        let subjects: Vec<(Uuid,)> =
            on!(Pool, &self.readers, p => bound!(sqlx::query_as(sql), keys.arguments()).fetch_all(p).await)?;
        let mut deliveries = self.deliveries_of(scope, subjects.into_iter().map(|(id,)| id)).await?;
        deliveries.retain(|d| d.endpoint == *endpoint);
        Ok(deliveries)
    }

    /// The delivery that a message with this control id was made for.
    pub async fn delivery_of_control_id(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        control_id: &str,
    ) -> Result<Option<Delivery>, StoreError> {
        let sql = OF_CONTROL_ID.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(endpoint.as_str())
            .bind(control_id)
            .fetch_all(p)
            .await)?;
        Ok(seen(scope, rows)?.pop())
    }

    /// Whether this very message is one of ours, to whichever of these endpoints it went.
    pub async fn has_made(&self, control_id: &str) -> Result<bool, StoreError> {
        let rules = self.rules();
        let mut keys = RowSet::default();
        rules.policies.keys().for_each(|e| keys.row(&[e.as_str().into(), control_id.into()]));
        if keys.is_empty() {
            return Ok(false);
        }
        let sql = MADE.for_pool(&self.readers);
        let found: (i64,) =
            on!(Pool, &self.readers, p => bound!(sqlx::query_as(sql), keys.arguments()).fetch_one(p).await)?;
        Ok(found.0 > 0)
    }

    /// An endpoint's deliveries made from `from` on and before `until`, oldest first, `limit` at most.
    pub async fn deliveries_made_between(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        (from, until): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = MADE_BETWEEN.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(endpoint.as_str())
            .bind(micros(from))
            .bind(micros(until))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(p)
            .await)?;
        seen(scope, rows)
    }

    /// How many of an endpoint's deliveries were made from `from` on and before `until`.
    pub async fn made_between(
        &self,
        endpoint: &EndpointId,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<usize, StoreError> {
        let sql = COUNT_MADE_BETWEEN.for_pool(&self.readers);
        let (n,): (i64,) = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(endpoint.as_str())
            .bind(micros(from))
            .bind(micros(until))
            .fetch_one(p)
            .await)?;
        Ok(usize::try_from(n).unwrap_or_default())
    }

    /// Every delivery at the endpoint of the notes and outcomes that these are of.
    pub async fn chains_of(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        deliveries: &[Delivery],
    ) -> Result<Vec<Delivery>, StoreError> {
        const PART: usize = 500;
        let mut subjects: Vec<Uuid> = deliveries.iter().map(|d| d.subject.uuid()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut chains = Vec::new();
        for part in subjects.chunks(PART) {
            chains.extend(self.deliveries_of(scope, part.iter().copied()).await?);
        }
        chains.retain(|d: &Delivery| d.endpoint == *endpoint);
        chains.sort_by_key(|d| d.id);
        chains.dedup_by_key(|d: &mut Delivery| -> DeliveryId { d.id });
        Ok(chains)
    }
}

fn seen(scope: &Scope, rows: Vec<(String,)>) -> Result<Vec<Delivery>, StoreError> {
    let mut deliveries: Vec<Delivery> = all(rows, "delivery")?;
    deliveries.retain(|d| scope.has_endpoint(&d.trust, &d.endpoint));
    Ok(deliveries)
}
