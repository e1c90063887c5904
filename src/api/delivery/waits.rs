//! What of an endpoint's deliveries a person should look at. It is judged here, where gates, lanes and the versions before are known: whoever watches an
//! endpoint lists nothing for it, and nobody's data is read.

use super::super::edge::Caller;
use super::super::error::Error;
use crate::adapter::form::codes::Code;
use crate::domain::delivery::ParkReason;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use crate::wire::{count, v1};
use std::time::Duration;

/// What could go and has not gone for so long wants an explanation.
const UNEXPLAINED_AFTER: Duration = Duration::from_secs(5 * 60);
/// Of what has not got through for so long a person should know: each try may have its reason.
const SLOW_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The endpoint's status, and beside its counts what is parked for whom, what nobody can explain, and what is on its way for over a day.
pub async fn with_waits(
    c: &Caller,
    id: &EndpointId,
    mut status: v1::EndpointStatus,
) -> Result<v1::EndpointStatus, Error> {
    let ago = |wait: Duration| c.now.checked_sub(wait).unwrap_or(jiff::Timestamp::MIN);
    let store = c.store();
    if status.parked > 0 {
        status.parked_by_reason = store.parked_by_reason(id).await?.iter().map(parked).collect();
    }
    if [status.queued, status.sending, status.backing_off] == [0; 3] {
        return Ok(status);
    }
    if !status.in_maintenance {
        status.over_a_day_delivery_ids = named(store.unsettled_since(id, ago(SLOW_AFTER)).await?);
    }
    if !explains_all(&status) {
        status.unexplained_delivery_ids = named(store.unexplained(id, ago(UNEXPLAINED_AFTER), c.now).await?);
    }
    Ok(status)
}

/// Whether the endpoint itself is why nothing goes.
fn explains_all(status: &v1::EndpointStatus) -> bool {
    let held = status.pack.as_ref().is_some_and(|p| !p.held_because.is_empty());
    status.gate != i32::from(v1::EndpointGate::Open) || status.paused || status.in_maintenance || held
}

/// A reason that this version does not know, of a newer one on the same store, is counted all the same.
fn parked((code, n): &(String, i64)) -> v1::ParkedCount {
    let reason = v1::ParkReason::from_str_name(&format!("PARK_REASON_{code}")).map_or(0, i32::from);
    let waiting_for = ParkReason::from_wire(reason).ok().flatten().map(ParkReason::waiting_for);
    v1::ParkedCount { park_reason: reason, waiting_for: waiting_for.map_or(0, Code::wire), count: count(*n) }
}

fn named(ids: Vec<DeliveryId>) -> Vec<String> {
    ids.iter().map(DeliveryId::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::WaitingFor;

    #[test]
    fn an_endpoint_that_takes_nothing_explains_what_waits_for_it() {
        let open = v1::EndpointStatus { gate: v1::EndpointGate::Open.into(), ..Default::default() };
        assert!(!explains_all(&open));
        let held = v1::AdapterInUse { held_because: "its pack does not load".into(), ..Default::default() };
        for away in [
            v1::EndpointStatus { gate: v1::EndpointGate::Closed.into(), ..open.clone() },
            v1::EndpointStatus { gate: v1::EndpointGate::Probing.into(), ..open.clone() },
            v1::EndpointStatus { paused: true, ..open.clone() },
            v1::EndpointStatus { in_maintenance: true, ..open.clone() },
            v1::EndpointStatus { pack: Some(held), ..open.clone() },
        ] {
            assert!(explains_all(&away));
        }
    }

    #[test]
    fn what_is_parked_is_told_with_who_has_to_act_and_counted_whatever_its_reason_is_called() {
        for number in 1..=22 {
            let reason = ParkReason::from_wire(number).expect("known").expect("not unspecified");
            let told = parked(&(reason.code().to_owned(), 3));
            assert_eq!((told.park_reason, told.waiting_for, told.count), (number, reason.waiting_for().wire(), 3));
        }
        assert_eq!(parked(&("REFUSED".into(), 1)).waiting_for, WaitingFor::Integrator.wire());
        let unknown = parked(&("OF_A_NEWER_BRIDGE".into(), 2));
        assert_eq!((unknown.park_reason, unknown.waiting_for, unknown.count), (0, 0, 2));
    }
}
