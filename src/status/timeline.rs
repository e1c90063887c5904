//! A delivery's history, from its first moment on.

use crate::domain::delivery::{Delivery, ParkReason, State};
use crate::store::record::Step;

/// How a delivery began: QUEUED, or parked from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Began {
    Queued,
    /// A withdrawal whose document nobody could name yet, or something for an endpoint that nobody sends to.
    Parked(ParkReason),
}

/// The store writes a first step only for a delivery that did not begin QUEUED.
pub fn began(steps: &[Step]) -> Began {
    let retired = ParkReason::EndpointRetired;
    match steps.first().filter(|s| s.version == 1 && s.state == State::Parked) {
        None => Began::Queued,
        Some(first) if first.what.0.ends_with(retired.code()) => Began::Parked(retired),
        Some(_) => Began::Parked(ParkReason::WithdrawalCannotNameDocument),
    }
}

/// Oldest first, the acceptance included. `steps` as the store keeps them; `accepted_by`: who submitted the entry.
pub fn timeline(delivery: &Delivery, steps: Vec<Step>, accepted_by: &str) -> Vec<Step> {
    if began(&steps) != Began::Queued {
        return steps;
    }
    let first = Step {
        delivery_id: delivery.id,
        version: 1,
        at: delivery.created_at,
        state: State::Queued,
        what: "accepted; queued".into(),
        by: accepted_by.to_owned(),
    };
    std::iter::once(first).chain(steps).collect()
}
