//! Every page of a list of deliveries, up to a limit.

use crate::cli::bridge::Bridge;
use crate::cli::failure::Failure;
use crate::wire::v1::{Delivery, ListDeliveriesRequest};

/// What was found, and whether there is more.
pub struct Found {
    pub deliveries: Vec<Delivery>,
    /// The next page's token; empty: that was all.
    pub next: String,
}

/// Asks page by page until there are `limit` deliveries or no more.
pub async fn all(bridge: &Bridge, mut request: ListDeliveriesRequest, limit: usize) -> Result<Found, Failure> {
    let mut client = bridge.deliveries();
    let mut deliveries: Vec<Delivery> = Vec::new();
    loop {
        let left = limit.saturating_sub(deliveries.len());
        if left == 0 {
            return Ok(Found { deliveries, next: request.page_token });
        }
        request.page_size = i32::try_from(left.min(200)).unwrap_or(200);
        let page = client.list_deliveries(request.clone()).await?.into_inner();
        deliveries.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            return Ok(Found { deliveries, next: String::new() });
        }
        request.page_token = page.next_page_token;
    }
}
