//! An endpoint's messages as the API handles them: one that is given over gRPC rather than at the listener, and a parked one that a person has
//! run again.
//!
//! Only messages of their own are run again. An acknowledgement or a result file is a word about a delivery: it was weighed against what was
//! sent when it came, is kept with that delivery, and a person acts on the delivery instead.

use super::super::answer::{Caller, Taken, Wrong, unpack_frames};
use super::super::fhir::{is_resource, mailbox_of, receive_fhir, weigh_again};
use super::super::xml::{self, is_xml, receive_xml};
use super::super::{Source, weigh};
use super::{CUT_OFF, NO_MESSAGE, weighed};
use crate::adapter::Format;
use crate::adapter::fhir::json::without_bom;
use crate::adapter::hl7::{Batch, Envelope};
use crate::domain::organisation::EndpointId;
use crate::store::record::{Answered, Inbound, InboundState, Raw};
use crate::store::write::{Call, Receive, Received, Reprocess};
use crate::store::{Refusal, StoreError, WriteError};
use crate::transport::http_message::Reply;
use crate::transport::https::Arrived;

/// Said of a frame of several messages.
const BATCH_AGAIN: &str = "a frame of several messages is taken whole or not at all; have its sender send it again";

/// Said of what a mailbox sent that is not the endpoint's: it makes nothing here, however often it is run.
const ANOTHER_MAILBOX: &str = "it came by MESH from another mailbox than mesh.to_mailbox; nothing of it is taken in";

/// What an HTTP caller would send again is not answered over gRPC either.
fn stored(reply: Reply) -> Result<Told, WriteError> {
    match reply.status {
        503 => Err(StoreError::Unavailable("the message could not be stored".into()).into()),
        _ => Ok(Told::Http(reply)),
    }
}

/// One endpoint's way in.
pub struct WayIn {
    source: Source,
    format: Format,
    /// The one mailbox whose messages count, where the endpoint is one.
    their_mailbox: Option<String>,
}

/// A message that came over gRPC.
pub enum Submitted {
    Hl7v2(Vec<u8>),
    /// The body, and what `X-Request-Id` is over HTTPS.
    Fhir(Vec<u8>, Option<String>),
    Xml(Vec<u8>),
}

/// What is answered.
pub enum Told {
    Hl7v2(Vec<Vec<u8>>),
    Http(Reply),
}

impl WayIn {
    pub fn new(source: Source, format: Format) -> Self {
        Self { source, format, their_mailbox: None }
    }

    /// Of what came by MESH only this mailbox's can be run again.
    pub fn for_mailbox(self, their_mailbox: Option<String>) -> Self {
        Self { their_mailbox, ..self }
    }

    pub fn endpoint(&self) -> &EndpointId {
        &self.source.endpoint
    }

    /// Whether the endpoint's present pack reads anything.
    pub fn reads(&self) -> bool {
        !self.source.in_use.now().pack.parses().is_empty()
    }

    /// In which form.
    pub fn format(&self) -> Format {
        self.format
    }

    /// As the listener would take it.
    ///
    /// # Errors
    /// It could not be stored: the sender sends it again.
    pub async fn submit(&self, message: Submitted) -> Result<Told, WriteError> {
        match message {
            Submitted::Hl7v2(bytes) => Ok(Told::Hl7v2(super::taken(&self.source, bytes).await?)),
            Submitted::Fhir(body, request_id) => {
                let resource: Option<serde_json::Value> = serde_json::from_slice(without_bom(&body)).ok();
                let named = resource.as_ref().and_then(|r| r["resourceType"].as_str()).unwrap_or("Bundle").to_owned();
                let content_type = "application/fhir+json".into();
                let arrived = Arrived { method: "POST".into(), path: named, content_type, request_id, body };
                stored(receive_fhir(&self.source, arrived).await)
            }
            Submitted::Xml(body) => {
                let content_type = "application/xml".into();
                let (method, path) = ("POST".into(), String::new());
                let arrived = Arrived { method, path, content_type, request_id: None, body };
                stored(receive_xml(&self.source, arrived).await)
            }
        }
    }

    /// Runs a parked message again, through the present pack, settings and rules. What it came with stays: its id, its time.
    ///
    /// # Errors
    /// The store's; it is not parked.
    pub async fn reprocess(&self, call: Call, kept: Inbound, reason: String) -> Result<Answered, WriteError> {
        let store = &self.source.store;
        if let Some(request) = &call.request
            && let Some(answer) = store.answered(request).await?
        {
            return Ok(Answered::Repeated(answer));
        }
        if kept.state != InboundState::Parked {
            let what = format!("the message is {}; only one that is PARKED can be run again", kept.state.word());
            return Err(Refusal::WrongState(what).into());
        }
        let again = self.again(kept).await?;
        let refused = weigh::Refused::of(&again);
        let answered = store.reprocess(Reprocess { call, again, reason }).await?;
        refused.inspect(|refused| refused.tell(&self.source));
        Ok(answered)
    }

    async fn again(&self, kept: Inbound) -> Result<Received, StoreError> {
        let source = &self.source;
        if let Some(mailbox) = mailbox_of(&kept)
            && !self.their_mailbox.as_ref().is_some_and(|theirs| theirs.eq_ignore_ascii_case(mailbox))
        {
            let inbound = Inbound { state: InboundState::Parked, reason: ANOTHER_MAILBOX.into(), ..kept };
            return Ok(Receive { inbound }.into());
        }
        if kept.reason == CUT_OFF {
            return Ok(Receive { inbound: Inbound { state: InboundState::Parked, ..kept } }.into());
        }
        if is_resource(&kept) {
            return weigh_again(source, kept).await;
        }
        if is_xml(&kept) {
            return xml::weigh_again(source, kept).await;
        }
        let Some(envelope) = Envelope::peek(&kept.bytes.0) else {
            let reason = if Batch::is_one(&kept.bytes.0) { BATCH_AGAIN } else { NO_MESSAGE };
            let inbound = Inbound { state: InboundState::Parked, reason: reason.into(), reply: Raw::default(), ..kept };
            return Ok(Receive { inbound }.into());
        };
        if Batch::is_one(&kept.bytes.0) {
            return Ok(weigh::refuse(source, Caller::Hl7(&envelope), kept, Taken::No, &[Wrong::new(207, BATCH_AGAIN)]));
        }
        weighed(source, &envelope, kept).await
    }

    /// The answers that are kept with a message, one by one.
    pub fn answers(kept: &Inbound) -> Vec<Vec<u8>> {
        match (is_resource(kept) || is_xml(kept), kept.reply.0.is_empty()) {
            (_, true) => Vec::new(),
            (true, false) => vec![kept.reply.0.clone()],
            (false, false) => unpack_frames(&kept.reply.0),
        }
    }
}
