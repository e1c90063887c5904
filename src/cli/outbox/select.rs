//! Which deliveries a command means: by id, or all of an endpoint that have something in common.

use super::pages;
use crate::cli::bridge::Bridge;
use crate::cli::failure::Failure;
use crate::cli::told::{Refused, once};
use crate::cli::words::{park_reasons, states};
use crate::wire::v1::{Delivery, DeliveryState, GetDeliveryRequest, ListDeliveriesRequest, ParkReason};
use std::collections::HashSet;

/// Parked ones.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "which", required = true, multiple = true)]
pub struct Parked {
    /// Deliveries' ids.
    #[arg(value_name = "ID", conflicts_with_all = ["endpoint", "reason"])]
    pub ids: Vec<String>,
    /// All parked ones of this endpoint …
    #[arg(long, value_name = "ID", requires = "reason")]
    pub endpoint: Option<String>,
    /// … for this reason.
    #[arg(long, value_parser = park_reasons(), requires = "endpoint")]
    pub reason: Option<ParkReason>,
}

/// Ones that are not parked yet.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "which", required = true, multiple = true)]
pub struct Moving {
    /// Deliveries' ids.
    #[arg(value_name = "ID", conflicts_with_all = ["endpoint", "state"])]
    pub ids: Vec<String>,
    /// All of this endpoint …
    #[arg(long, value_name = "ID", requires = "state")]
    pub endpoint: Option<String>,
    /// … in this state.
    #[arg(long, value_parser = states(), requires = "endpoint")]
    pub state: Option<DeliveryState>,
}

/// What is common to all that change deliveries.
#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// Why, for the audit and the author: 1 to 200 characters, no patient data.
    #[arg(long, value_name = "TEXT")]
    pub because: String,
    /// Say what would be done, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// As JSON: {"dry_run", "matched", "done_count", "done": [id …], "refused": [{"id", "why", "reason"} …]}; in a dry run, what would be done.
    #[arg(long)]
    pub json: bool,
}

/// One command acts on at most so many; a second run takes the rest.
pub const AT_ONCE_MAX: usize = 10_000;

impl Parked {
    pub async fn find(&self, bridge: &Bridge) -> Result<Found, Failure> {
        let request = ListDeliveriesRequest {
            endpoint_id: self.endpoint.clone().unwrap_or_default(),
            states: vec![DeliveryState::Parked.into()],
            park_reasons: self.reason.into_iter().map(Into::into).collect(),
            ..ListDeliveriesRequest::default()
        };
        find(&self.ids, request, bridge).await
    }
}

impl Moving {
    pub async fn find(&self, bridge: &Bridge) -> Result<Found, Failure> {
        let request = ListDeliveriesRequest {
            endpoint_id: self.endpoint.clone().unwrap_or_default(),
            states: self.state.into_iter().map(Into::into).collect(),
            ..ListDeliveriesRequest::default()
        };
        find(&self.ids, request, bridge).await
    }
}

/// What is meant, and what was named and is not there.
pub struct Found {
    pub deliveries: Vec<Delivery>,
    pub unknown: Vec<Refused>,
}

/// # Errors
/// An id that is none: whoever mistyped it has to look before anything is done.
async fn find(ids: &[String], request: ListDeliveriesRequest, bridge: &Bridge) -> Result<Found, Failure> {
    let mut found = Found { deliveries: Vec::new(), unknown: Vec::new() };
    if ids.is_empty() {
        found.deliveries = pages(bridge, request, AT_ONCE_MAX).await?.deliveries;
        return Ok(found);
    }
    let mut client = bridge.deliveries();
    for id in once(ids) {
        match client.get_delivery(GetDeliveryRequest { delivery_id: id.clone() }).await.map_err(Failure::from) {
            Ok(answer) => found.deliveries.extend(answer.into_inner().delivery),
            Err(e) if e.is_not_found() => found.unknown.push(Refused::new(id, &e)),
            Err(e) => return Err(e.of(&id)),
        }
    }
    // One id can be written in several ways.
    let mut seen = HashSet::new();
    found.deliveries.retain(|d| seen.insert(d.id.clone()));
    Ok(found)
}
