//! RecordFeedService: an EPR that pulls what is written for it, and what it says of it afterwards.
//!
//! Nothing is decided here. A stream is the far end of an endpoint's transport: it gives what the outbox has checked, made, stored and begun;
//! the word that it was received goes back to the outbox, which settles; and a report goes through the one decision like any other.

mod report;

use super::edge::{Caller, Streamed, service, whole};
use super::error::Error;
use super::token::Binding;
use crate::adapter::Format;
use crate::adapter::form::codes::Code;
use crate::domain::ids::DeliveryId;
use crate::domain::organisation::EndpointId;
use crate::domain::rule::Violations;
use crate::store::Refusal;
use crate::store::write::Knock;
use crate::wire::v1;
use futures::future::BoxFuture;
use futures::stream;
use report::{confirm_received, report_filed, report_refused};

service! {
    record_feed_service_server::RecordFeedService for RecordFeed {
        confirm_received(ConfirmReceivedRequest) -> ConfirmReceivedResponse = CONFIRM_RECEIVED;
        report_filed(ReportFiledRequest) -> ReportFiledResponse = REPORT_FILED;
        report_refused(ReportRefusedRequest) -> ReportRefusedResponse = REPORT_REFUSED;
    }
    streams {
        StreamEntriesStream: stream_entries(StreamEntriesRequest) -> StreamEntriesResponse = STREAM_ENTRIES;
    }
}

/// Where one endpoint's messages are pulled. `app` puts the endpoint's transport behind it.
pub trait Feed: Send + Sync + 'static {
    /// Takes over: a line before this one ends.
    fn attach(&self) -> Box<dyn Line>;

    /// Whether somebody pulls.
    fn is_attached(&self) -> bool;

    /// The far end has this message. `false`: it is not one of those handed out that wait for this.
    fn confirm(&self, control_id: &str) -> bool;
}

/// One puller's messages. Dropped, what it gave and was not confirmed counts as possibly received.
pub trait Line: Send {
    /// The next one; from then on it may have been received. `None`: another line has taken over.
    fn next(&mut self) -> BoxFuture<'_, Option<Offered>>;
}

/// A message to hand out.
pub struct Offered {
    pub control_id: String,
    pub message: Vec<u8>,
}

fn endpoint_id(id: &str, broken: &mut Violations) -> Option<EndpointId> {
    if id.is_empty() {
        broken.add("endpoint_id", "is required");
        return None;
    }
    broken.check("endpoint_id", EndpointId::parse(id))
}

fn feed<'a>(c: &'a Caller, endpoint: &EndpointId) -> Result<&'a dyn Feed, Error> {
    let no_feed = || Refusal::WrongState(format!("nothing is pulled from {endpoint}: its transport is not \"feed\""));
    c.endpoint(endpoint)?.feed.as_deref().ok_or_else(|| no_feed().into())
}

struct Pulling {
    caller: Caller,
    endpoint: EndpointId,
    binding: Binding,
    line: Box<dyn Line>,
    over: bool,
}

async fn stream_entries(c: Caller, m: v1::StreamEntriesRequest) -> Result<Streamed<v1::StreamEntriesResponse>, Error> {
    let mut broken = Violations::default();
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    whole!(broken; endpoint);
    let feed = feed(&c, &endpoint)?;
    let filter = v1::StreamEntriesRequest { resume_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    if let Some(last) = binding.after(&m.resume_token).map_err(|_| Error::BadFeedToken)? {
        let known = c.store().delivery(&c.scope, DeliveryId(last)).await?;
        known.filter(|d| d.endpoint == endpoint).ok_or(Error::BadFeedToken)?;
    }
    let line = feed.attach();
    // Whatever closed the endpoint before, somebody is there now.
    c.store().knock(Knock { endpoint: endpoint.clone() }).await?;
    tracing::info!(%endpoint, principal = %c.principal.name, "a feed is pulled");
    let pulling = Pulling { caller: c, endpoint, binding, line, over: false };
    Ok(Box::pin(stream::unfold(pulling, |mut p| async move {
        let shutdown = p.caller.edge.shutdown.clone();
        if p.over {
            return None;
        }
        let offered = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            offered = p.line.next() => offered,
        };
        let response = match offered {
            Some(offered) => response(&p.caller, &p.endpoint, &p.binding, offered).await,
            None => {
                let what = "another stream of this endpoint has begun, and there is one at a time; run one client";
                Err(Refusal::WrongState(what.into()).into())
            }
        };
        p.over = response.is_err();
        let response = response.map_err(|e| p.caller.edge.refuse(&e));
        Some((response, p))
    })))
}

async fn response(
    caller: &Caller,
    endpoint: &EndpointId,
    binding: &Binding,
    offered: Offered,
) -> Result<v1::StreamEntriesResponse, Error> {
    let mut c = caller.clone();
    c.now = c.edge.clock.now();
    let delivery = c.store().delivery_of_control_id(&c.scope, endpoint, &offered.control_id).await?;
    let d = delivery.ok_or_else(|| Error::Internal("a message handed out that is of no delivery".into()))?;
    c.audit("feed.hand_out", [&d]).await?;
    let format = c.endpoint(endpoint)?.rendering.in_use.now().pack.format();
    let entry = v1::FeedEntry {
        endpoint_id: endpoint.as_str().to_owned(),
        delivery_id: d.id.to_string(),
        document_id: d.document_id(),
        control_id: offered.control_id,
        kind: d.kind().wire(),
        content_type: content_type(format).to_owned(),
        message: offered.message,
        attempt: i32::try_from(d.attempts).unwrap_or(i32::MAX),
        patient_id: d.patient_id.to_string(),
    };
    Ok(v1::StreamEntriesResponse { entry: Some(entry), resume_token: binding.token(d.id.0.as_bytes()) })
}

fn content_type(format: Format) -> &'static str {
    match format {
        Format::Hl7v2 => "application/hl7-v2",
        Format::Fhir | Format::Xml => "application/http",
        // Not served over a feed; its rendering is the envelope of files.
        Format::Document => "application/octet-stream",
    }
}
