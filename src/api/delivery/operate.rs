//! What people do to deliveries: retry, re-render, park, cancel.

use super::super::edge::{Caller, whole};
use super::super::error::Error;
use super::super::request::{Changing, part};
use super::show;
use crate::adapter::form::request;
use crate::domain::decide::{Happened, decide};
use crate::domain::delivery::{Delivery, ParkReason};
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use crate::domain::policy::EndpointPolicy;
use crate::domain::rule::Violations;
use crate::domain::text::Private;
use crate::store::Refusal;
use crate::store::record::{Answer, RequestKey};
use crate::store::write::{NotDone, NotDoneKind, Operate, Operation, unserved};
use crate::wire::{count, v1};
use std::sync::Arc;

/// Named in one call at most.
const IDS_MAX: usize = 1000;
/// Done in one commit: others' writes wait behind it.
const BATCH: u32 = 200;
/// Listed in one answer.
const LISTED_MAX: usize = 1000;

/// Which parked deliveries.
enum Selection {
    Ids(Vec<DeliveryId>),
    Parked(EndpointId, ParkReason),
}

pub async fn retry_deliveries(c: Caller, m: v1::RetryDeliveriesRequest) -> Result<v1::RetryDeliveriesResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let selection = match &m.selection {
        Some(selection) => read_selection(selection, &mut broken),
        None => {
            broken.add("selection", "is required");
            None
        }
    };
    let reason = request::because(&m.reason, "reason", &mut broken);
    whole!(broken; key, selection, reason);
    if let Selection::Parked(endpoint, _) = &selection {
        c.endpoint_or_retired(endpoint)?;
    }
    let mut chosen = Chosen { selection, after: None };
    if m.dry_run {
        return would_retry(&c, &mut chosen, m.acknowledge_may_be_in_record).await;
    }
    let mut told = v1::RetryDeliveriesResponse::default();
    for number in 0.. {
        // Each part is answered under its own key: a repeated call is told of the parts that were done, and does those that were not. The part
        // that found nothing more ends them.
        let key = part(&key, number);
        let before = c.store().answered(&key).await?;
        let deliveries = if before.is_some() { chosen.skip() } else { chosen.next(&c).await? };
        let operate = Operate {
            call: c.write(key),
            deliveries,
            operation: Operation::Retry { may_be_in_record_acknowledged: m.acknowledge_may_be_in_record },
            reason: reason.0.clone(),
            single: false,
        };
        let answered = c.store().operate(operate).await?;
        let Answer { deliveries, more, .. } = answered.answer();
        let not = NotDone::all(more).ok_or_else(|| Error::Internal("an answer that cannot be read".into()))?;
        if deliveries.is_empty() && not.is_empty() {
            break;
        }
        told.matched += count(deliveries.len() + not.len());
        told.retried += count(deliveries.len());
        told.delivery_ids.extend(deliveries.iter().map(DeliveryId::to_string));
        told.not_retried.extend(not.into_iter().map(not_retried));
        told.delivery_ids.truncate(LISTED_MAX);
        told.not_retried.truncate(LISTED_MAX);
    }
    Ok(told)
}

fn not_retried(not: NotDone) -> v1::NotRetried {
    let reason = match not.kind {
        NotDoneKind::NotFound => v1::ErrorReason::NotFound,
        NotDoneKind::MayBeInRecord => v1::ErrorReason::MayBeInRecord,
        NotDoneKind::WrongState => v1::ErrorReason::WrongState,
    };
    v1::NotRetried { delivery_id: not.delivery.to_string(), reason: reason.into(), why: not.why }
}

/// What would happen now.
async fn would_retry(
    c: &Caller,
    chosen: &mut Chosen,
    acknowledged: bool,
) -> Result<v1::RetryDeliveriesResponse, Error> {
    let mut told = v1::RetryDeliveriesResponse::default();
    loop {
        let ids = chosen.next(c).await?;
        if ids.is_empty() {
            return Ok(told);
        }
        let there = c.store().deliveries_by_id(&c.scope, &ids).await?;
        told.matched += count(ids.len());
        for id in ids {
            match there.iter().find(|d| d.id == id) {
                Some(d) => match could(c, d, &Operation::Retry { may_be_in_record_acknowledged: acknowledged }) {
                    Ok(()) => {
                        told.retried += 1;
                        told.delivery_ids.push(id.to_string());
                    }
                    Err(refusal) => told.not_retried.push(not_retried(NotDone::new(id, &refusal))),
                },
                None => told.not_retried.push(not_retried(NotDone::new(id, &Refusal::NotFound("delivery")))),
            }
        }
        told.delivery_ids.truncate(LISTED_MAX);
        told.not_retried.truncate(LISTED_MAX);
    }
}

/// The selection, part by part and oldest first: each part is a commit of its own, and what it puts back may be sent before the next one is chosen. A
/// patient's older notes must not be left behind by their newer ones.
struct Chosen {
    selection: Selection,
    after: Option<DeliveryId>,
}

impl Chosen {
    /// A part that was done before. Of named deliveries it is passed over; parked ones that are still there are for a part to come.
    fn skip(&mut self) -> Vec<DeliveryId> {
        match &mut self.selection {
            Selection::Ids(ids) => first(ids),
            Selection::Parked(..) => Vec::new(),
        }
    }

    /// The next part; empty when there is no more.
    async fn next(&mut self, c: &Caller) -> Result<Vec<DeliveryId>, Error> {
        match &mut self.selection {
            Selection::Ids(ids) => Ok(first(ids)),
            Selection::Parked(endpoint, reason) => {
                let found = c.store().parked_oldest_first(&c.scope, endpoint, *reason, self.after, BATCH).await?;
                self.after = found.last().copied().or(self.after);
                Ok(found)
            }
        }
    }
}

fn first(ids: &mut Vec<DeliveryId>) -> Vec<DeliveryId> {
    let rest = ids.split_off(ids.len().min(BATCH as usize));
    std::mem::replace(ids, rest)
}

fn read_selection(m: &v1::DeliverySelection, broken: &mut Violations) -> Option<Selection> {
    let by_endpoint = !m.endpoint_id.is_empty() || m.park_reason != 0;
    match (m.delivery_ids.is_empty(), by_endpoint) {
        (true, false) | (false, true) => {
            broken.add("selection", "is required: either delivery_ids, or endpoint_id and park_reason");
            None
        }
        (false, false) if m.delivery_ids.len() > IDS_MAX => {
            broken.add("selection.delivery_ids", "at most 1000");
            None
        }
        (false, false) => {
            let read = |(i, id): (usize, &String)| request::id(id, &format!("selection.delivery_ids[{i}]"), broken);
            let mut ids = m
                .delivery_ids
                .iter()
                .enumerate()
                .map(read)
                .collect::<Vec<_>>()
                .into_iter()
                .collect::<Option<Vec<DeliveryId>>>()?;
            // Lists show the newest first, and whoever names what a list showed means no order by it.
            ids.sort_unstable();
            ids.dedup();
            Some(Selection::Ids(ids))
        }
        (true, true) => {
            let endpoint = broken.check("selection.endpoint_id", EndpointId::parse(&m.endpoint_id));
            let reason = request::code::<ParkReason>(m.park_reason, "selection.park_reason", broken);
            Some(Selection::Parked(endpoint?, reason?))
        }
    }
}

/// One delivery by name: read the request, do it, and show the delivery as it was right after. `dry_run`: only see whether it could be done.
async fn single<Q: Changing>(
    c: &Caller,
    m: &Q,
    (id, reason, dry_run): (&str, &str, bool),
    operation: Operation,
) -> Result<v1::Delivery, Error> {
    let mut broken = Violations::default();
    let key: Option<RequestKey> = c.key(m, &mut broken);
    let id = request::id::<DeliveryId>(id, "delivery_id", &mut broken);
    let reason = request::because(reason, "reason", &mut broken);
    whole!(broken; key, id, reason);
    if dry_run {
        let there = c.store().deliveries_by_id(&c.scope, &[id]).await?.pop();
        let delivery = there.ok_or_else(|| Error::not_found("delivery"))?;
        could(c, &delivery, &operation)?;
        let shown = show::with_timeline(c, &delivery).await?;
        c.audit("delivery.read", [&delivery]).await?;
        return Ok(shown);
    }
    let operate = Operate { call: c.write(key), deliveries: vec![id], operation, reason: reason.0, single: true };
    let answered = c.store().operate(operate).await?;
    let then: Delivery = serde_json::from_value(answered.answer().more.clone())
        .map_err(|_| Error::Internal("an answer that cannot be read".into()))?;
    c.audit_repeat(&answered, "delivery.read", &then).await?;
    show::with_timeline(c, &then).await
}

/// Asks the one decision, as the write would, and keeps nothing of what it says.
fn could(c: &Caller, delivery: &Delivery, operation: &Operation) -> Result<(), Refusal> {
    let why = Private::default();
    let sends_again = matches!(operation, Operation::Retry { .. } | Operation::Rerender { .. });
    if sends_again && c.rules.policies.get(&delivery.endpoint).is_none_or(|policy| policy.trust != delivery.trust) {
        return Err(unserved());
    }
    let happened = match *operation {
        Operation::Retry { may_be_in_record_acknowledged } => Happened::Retried { may_be_in_record_acknowledged },
        Operation::Rerender { may_be_in_record_acknowledged } => {
            Happened::Rerendered { may_be_in_record_acknowledged, identity_now: None, for_others: false }
        }
        Operation::Park => Happened::Stopped { why },
        Operation::Cancel { may_be_in_record_acknowledged } => {
            Happened::CancelledBy { by: String::new(), why, may_be_in_record_acknowledged }
        }
        Operation::ParkRestored => Happened::Restored,
    };
    let retired = || Arc::new(EndpointPolicy::retired(delivery.endpoint.clone(), delivery.trust.clone()));
    let policy = c.rules.policies.get(&delivery.endpoint).cloned().unwrap_or_else(retired);
    decide(delivery, &policy, &happened, c.now, 0)?;
    Ok(())
}

pub async fn rerender_delivery(
    c: Caller,
    m: v1::RerenderDeliveryRequest,
) -> Result<v1::RerenderDeliveryResponse, Error> {
    let operation = Operation::Rerender { may_be_in_record_acknowledged: m.acknowledge_may_be_in_record };
    let delivery = single(&c, &m, (&m.delivery_id, &m.reason, m.dry_run), operation).await?;
    Ok(v1::RerenderDeliveryResponse { delivery: Some(delivery) })
}

pub async fn park_delivery(c: Caller, m: v1::ParkDeliveryRequest) -> Result<v1::ParkDeliveryResponse, Error> {
    let delivery = single(&c, &m, (&m.delivery_id, &m.reason, m.dry_run), Operation::Park).await?;
    Ok(v1::ParkDeliveryResponse { delivery: Some(delivery) })
}

pub async fn cancel_delivery(c: Caller, m: v1::CancelDeliveryRequest) -> Result<v1::CancelDeliveryResponse, Error> {
    let operation = Operation::Cancel { may_be_in_record_acknowledged: m.acknowledge_may_be_in_record };
    let delivery = single(&c, &m, (&m.delivery_id, &m.reason, m.dry_run), operation).await?;
    Ok(v1::CancelDeliveryResponse { delivery: Some(delivery) })
}
