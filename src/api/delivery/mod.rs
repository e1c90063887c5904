//! DeliveryService: what became of every entry, and the levers to mend it.

mod backfill;
mod codes;
mod endpoints;
mod export;
mod operate;
mod reconcile;
pub(super) mod show;
mod waits;

use super::edge::{Caller, Streamed, service, whole};
use super::error::Error;
use super::principal::Role;
use super::token::{Binding, cut, page_size};
use super::watch;
use crate::adapter::form::request;
use crate::domain::delivery::{Delivery, ParkReason, State, WaitingFor};
use crate::domain::ids::{DeliveryId, NoteId, OutcomeId, PatientId, ReferralId, from_crockford};
use crate::domain::organisation::EndpointId;
use crate::domain::rule::Violations;
use crate::store::read::{DeliveryFilter, Page};
use crate::wire::v1;
use backfill::backfill_deliveries;
use endpoints::{get_endpoint_status, pause_endpoint, resume_endpoint};
use export::export_deliveries;
use operate::{cancel_delivery, park_delivery, rerender_delivery, retry_deliveries};
use reconcile::reconcile_documents;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

service! {
    delivery_service_server::DeliveryService for Deliveries {
        get_delivery(GetDeliveryRequest) -> GetDeliveryResponse = GET_DELIVERY;
        list_deliveries(ListDeliveriesRequest) -> ListDeliveriesResponse = LIST_DELIVERIES;
        list_attempts(ListAttemptsRequest) -> ListAttemptsResponse = LIST_ATTEMPTS;
        retry_deliveries(RetryDeliveriesRequest) -> RetryDeliveriesResponse = RETRY_DELIVERIES;
        rerender_delivery(RerenderDeliveryRequest) -> RerenderDeliveryResponse = RERENDER_DELIVERY;
        park_delivery(ParkDeliveryRequest) -> ParkDeliveryResponse = PARK_DELIVERY;
        cancel_delivery(CancelDeliveryRequest) -> CancelDeliveryResponse = CANCEL_DELIVERY;
        backfill_deliveries(BackfillDeliveriesRequest) -> BackfillDeliveriesResponse = BACKFILL_DELIVERIES;
        reconcile_documents(ReconcileDocumentsRequest) -> ReconcileDocumentsResponse = RECONCILE_DOCUMENTS;
        get_endpoint_status(GetEndpointStatusRequest) -> GetEndpointStatusResponse = GET_ENDPOINT_STATUS;
        pause_endpoint(PauseEndpointRequest) -> PauseEndpointResponse = PAUSE_ENDPOINT;
        resume_endpoint(ResumeEndpointRequest) -> ResumeEndpointResponse = RESUME_ENDPOINT;
    }
    streams {
        WatchDeliveriesStream: watch_deliveries(WatchDeliveriesRequest) -> WatchDeliveriesResponse = WATCH_DELIVERIES;
        ExportDeliveriesStream: export_deliveries(ExportDeliveriesRequest) -> ExportDeliveriesResponse = EXPORT_DELIVERIES;
    }
}

/// A delivery that the caller may see.
async fn seen(c: &Caller, id: DeliveryId) -> Result<Delivery, Error> {
    c.store().delivery(&c.scope, id).await?.ok_or_else(|| Error::not_found("delivery"))
}

async fn get_delivery(c: Caller, m: v1::GetDeliveryRequest) -> Result<v1::GetDeliveryResponse, Error> {
    let mut broken = Violations::default();
    let id = request::id(&m.delivery_id, "delivery_id", &mut broken);
    whole!(broken; id);
    let delivery = seen(&c, id).await?;
    let shown = show::with_timeline(&c, &delivery).await?;
    c.audit("delivery.read", [&delivery]).await?;
    Ok(v1::GetDeliveryResponse { delivery: Some(shown) })
}

/// `Some(None)`: left out. `None`: broken.
fn optional_endpoint(id: &str, broken: &mut Violations) -> Option<Option<EndpointId>> {
    if id.is_empty() { Some(None) } else { endpoint_id(id, broken).map(Some) }
}

fn endpoint_id(id: &str, broken: &mut Violations) -> Option<EndpointId> {
    if id.is_empty() {
        broken.add("endpoint_id", "is required");
        return None;
    }
    broken.check("endpoint_id", EndpointId::parse(id))
}

async fn list_deliveries(c: Caller, m: v1::ListDeliveriesRequest) -> Result<v1::ListDeliveriesResponse, Error> {
    let mut broken = Violations::default();
    let endpoint = optional_endpoint(&m.endpoint_id, &mut broken);
    let states = request::codes::<State>(&m.states, "states", &mut broken);
    let reasons = request::codes::<ParkReason>(&m.park_reasons, "park_reasons", &mut broken);
    let patient = match m.patient_id.as_str() {
        "" => Some(None),
        id => request::id::<PatientId>(id, "patient_id", &mut broken).map(Some),
    };
    let subject = match m.subject_id.as_str() {
        "" => Some(None),
        id => broken.check("subject_id", from_crockford(id)).map(|b| Some(Uuid::from_bytes(b))),
    };
    let waiting_for = request::optional_code::<WaitingFor>(m.waiting_for, "waiting_for", &mut broken);
    if waiting_for == Some(Some(WaitingFor::Nobody)) {
        broken.add(
            "waiting_for",
            "NOBODY cannot be asked for: what nobody has to act on is what is not PARKED, by states",
        );
    }
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; endpoint, states, reasons, patient, subject, waiting_for, size);
    if let Some(endpoint) = &endpoint {
        c.endpoint_or_retired(endpoint)?;
    }
    if let Some(patient) = patient {
        c.store().patient(&c.scope, patient).await?.ok_or_else(|| Error::not_found("patient"))?;
    }
    if let Some(subject) = subject {
        subject_exists(&c, subject).await?;
    }
    let filter = v1::ListDeliveriesRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let page = Page { size: size + 1, after: binding.after(&m.page_token)? };
    let filter = DeliveryFilter { endpoint, states, reasons, patient, subject, waiting_for };
    let mut deliveries = c.store().deliveries(&c.scope, &filter, page).await?;
    let next_page_token = cut(&mut deliveries, size, |d: &Delivery| binding.token(d.id.0.as_bytes()));
    c.audit("delivery.list", &deliveries).await?;
    Ok(v1::ListDeliveriesResponse {
        deliveries: deliveries.iter().map(|d| show::delivery(&c, d)).collect(),
        next_page_token,
    })
}

async fn subject_exists(c: &Caller, id: Uuid) -> Result<(), Error> {
    let (store, scope) = (c.store(), &c.scope);
    let there = store.note(scope, NoteId(id)).await?.is_some()
        || store.outcome(scope, OutcomeId(id)).await?.is_some()
        || store.referral(scope, ReferralId(id)).await?.is_some();
    if there { Ok(()) } else { Err(Error::not_found("note, outcome or referral")) }
}

async fn list_attempts(c: Caller, m: v1::ListAttemptsRequest) -> Result<v1::ListAttemptsResponse, Error> {
    const SEE_BYTES: &[Role] = &[Role::IpsWorker, Role::Auditor];
    let mut broken = Violations::default();
    let id = request::id(&m.delivery_id, "delivery_id", &mut broken);
    whole!(broken; id);
    if m.include_bytes && !SEE_BYTES.contains(&c.role) {
        return Err(Error::RoleMissing(SEE_BYTES));
    }
    let delivery = seen(&c, id).await?;
    let attempts = c.store().attempts(&delivery).await?;
    let action = if m.include_bytes { "delivery.read_bytes" } else { "delivery.read_attempts" };
    c.audit(action, [&delivery]).await?;
    let mut shown: Vec<v1::Attempt> = attempts.iter().map(|a| show::attempt(a, m.include_bytes)).collect();
    // A resend is the same bytes: told again and again they would outgrow an answer.
    let mut told = HashSet::new();
    for attempt in &mut shown {
        if !told.insert(attempt.control_id.clone()) {
            attempt.sent = None;
        }
    }
    Ok(v1::ListAttemptsResponse { attempts: shown })
}

async fn watch_deliveries(
    c: Caller,
    m: v1::WatchDeliveriesRequest,
) -> Result<Streamed<v1::WatchDeliveriesResponse>, Error> {
    let mut broken = Violations::default();
    let endpoint = optional_endpoint(&m.endpoint_id, &mut broken);
    whole!(broken; endpoint);
    if let Some(endpoint) = &endpoint {
        c.endpoint_or_retired(endpoint)?;
    }
    let filter = v1::WatchDeliveriesRequest { resume_token: String::new(), ..m.clone() };
    let binding = Arc::new(Binding::new(c.rpc, &c.principal, &filter));
    let position = watch::begin(&c, &binding, &m.resume_token).await?;
    Ok(watch::changes(c, position, move |c, position| changed(c, endpoint.clone(), binding.clone(), position)))
}

async fn changed(
    c: Caller,
    endpoint: Option<EndpointId>,
    binding: Arc<Binding>,
    position: i64,
) -> Result<Vec<(i64, v1::WatchDeliveriesResponse)>, Error> {
    let read = c.store().deliveries_since(&c.scope, endpoint.as_ref(), position, watch::BATCH).await?;
    c.audit("delivery.watch", read.iter().map(|(_, d)| d)).await?;
    let responses = read.iter().map(|(position, d)| {
        let resume_token = binding.token(&position.to_be_bytes());
        (*position, v1::WatchDeliveriesResponse { delivery: Some(show::delivery(&c, d)), resume_token })
    });
    Ok(responses.collect())
}
