//! Packs that were activated, and what waits to be sent with the one that is.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::{Scope, Store};
use super::{DeliveryFilter, Page};
use crate::domain::delivery::State;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;

statement!(CONTENT, "SELECT bytes FROM pack_content WHERE endpoint_id = $1 AND fingerprint = $2");

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
    /// Deliveries in one page, and pages looked at.
    const PAGE: u32 = 1000;
    const PAGES: usize = 50;
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
        let filter = DeliveryFilter {
            endpoint: Some(endpoint.clone()),
            states: vec![State::Queued, State::BackingOff],
            ..DeliveryFilter::default()
        };
        let mut waiting = Waiting::default();
        let mut after = None;
        for _ in 0..Waiting::PAGES {
            let page = self.deliveries(scope, &filter, Page { size: Waiting::PAGE, after }).await?;
            for d in &page {
                match (d.may_have_been_received(), d.rendering) {
                    (true, _) => waiting.seen.push(d.id),
                    (false, Some(_)) => waiting.unseen += 1,
                    (false, None) => waiting.unmade += 1,
                }
            }
            if page.len() < Waiting::PAGE as usize {
                return Ok(waiting);
            }
            after = page.last().map(|d| d.id.0);
        }
        waiting.more = true;
        Ok(waiting)
    }
}
