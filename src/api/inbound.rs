//! InboundService: what EPRs sent, what became of it, and a parked message run again.

use super::edge::{Caller, service, whole};
use super::error::Error;
use super::token::{Binding, page_size};
use crate::adapter::form::codes::{Code, UnknownCode};
use crate::adapter::form::request;
use crate::adapter::{Format, masked_message};
use crate::domain::ids::InboundId;
use crate::domain::organisation::EndpointId;
use crate::domain::rule::Violations;
use crate::domain::text;
use crate::inbound::receive::{Submitted, Told, WayIn};
use crate::store::Refusal;
use crate::store::read::{InboundFilter, Page};
use crate::store::record::{Inbound, InboundState};
use crate::wire::count;
use crate::wire::v1::{self, submit_message_request::Message};
use std::sync::Arc;

service! {
    inbound_service_server::InboundService for InboundMessages {
        list_inbound_messages(ListInboundMessagesRequest) -> ListInboundMessagesResponse = LIST_INBOUND_MESSAGES;
        get_inbound_message(GetInboundMessageRequest) -> GetInboundMessageResponse = GET_INBOUND_MESSAGE;
        reprocess_inbound_message(ReprocessInboundMessageRequest) -> ReprocessInboundMessageResponse = REPROCESS_INBOUND_MESSAGE;
        submit_message(SubmitMessageRequest) -> SubmitMessageResponse = SUBMIT_MESSAGE;
    }
}

/// Messages read at once when they are looked through for a type, and how often for one page.
const LOOKED_THROUGH: u32 = 500;
const LOOKS_MAX: u32 = 20;
/// A submitted message, in bytes: as the listeners' frames.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest type and rule name to look for, and the longest message id, in characters.
const WORD_CHARS_MAX: usize = 200;

impl Code for InboundState {
    fn from_wire(number: i32) -> Result<Option<Self>, UnknownCode> {
        Ok(match v1::InboundState::try_from(number).map_err(|_| UnknownCode)? {
            v1::InboundState::Unspecified => None,
            v1::InboundState::Received => Some(Self::Received),
            v1::InboundState::Applied => Some(Self::Applied),
            v1::InboundState::Ignored => Some(Self::Ignored),
            v1::InboundState::Parked => Some(Self::Parked),
        })
    }

    fn wire(self) -> i32 {
        i32::from(match self {
            Self::Received => v1::InboundState::Received,
            Self::Applied => v1::InboundState::Applied,
            Self::Ignored => v1::InboundState::Ignored,
            Self::Parked => v1::InboundState::Parked,
        })
    }
}

/// Without its bytes.
fn show(i: &Inbound) -> v1::InboundMessage {
    v1::InboundMessage {
        id: i.id.to_string(),
        trust_ods: i.trust.as_str().to_owned(),
        endpoint_id: i.endpoint.as_str().to_owned(),
        received_at: Some(i.received_at.into()),
        source: i.source.clone(),
        control_id: i.control_id.clone(),
        message_type: i.message_type.clone(),
        state: i.state.wire(),
        reason: i.reason.clone(),
        rule: i.rule.clone().unwrap_or_default(),
        referral_id: i.referral_id.map(|r| r.to_string()),
        reused_control_id: i.reused_control_id,
        size_bytes: 0,
        segments_not_read: Vec::new(),
    }
}

/// `Some(None)`: left out. `None`: broken.
fn word(value: &str, at: &str, broken: &mut Violations) -> Option<Option<String>> {
    if value.trim().is_empty() {
        return Some(None);
    }
    broken.check(at, text::line(value, WORD_CHARS_MAX)).map(|w| Some(w.0))
}

async fn list_inbound_messages(
    c: Caller,
    m: v1::ListInboundMessagesRequest,
) -> Result<v1::ListInboundMessagesResponse, Error> {
    let mut broken = Violations::default();
    let endpoint = match m.endpoint_id.as_str() {
        "" => Some(None),
        id => broken.check("endpoint_id", EndpointId::parse(id)).map(Some),
    };
    let states = request::codes::<InboundState>(&m.states, "states", &mut broken);
    let message_type = word(&m.message_type, "message_type", &mut broken);
    let rule = word(&m.rule, "rule", &mut broken);
    let from = request::optional_time(m.received_from.as_ref(), "received_from", &mut broken);
    let before = request::optional_time(m.received_before.as_ref(), "received_before", &mut broken);
    let size = page_size(m.page_size, &mut broken);
    whole!(broken; endpoint, states, message_type, rule, from, before, size);
    if let Some(endpoint) = &endpoint {
        c.endpoint_or_retired(endpoint)?;
    }
    let filter = v1::ListInboundMessagesRequest { page_size: 0, page_token: String::new(), ..m.clone() };
    let binding = Binding::new(c.rpc, &c.principal, &filter);
    let mut after = binding.after(&m.page_token)?;
    let filter = InboundFilter { endpoint, states, message_type, rule, from, before };
    let at_once = if filter.message_type.is_some() { LOOKED_THROUGH } else { size + 1 };
    let size = size as usize;
    let mut messages: Vec<Inbound> = Vec::new();
    for _ in 0..LOOKS_MAX {
        let read = c.store().find_inbound(&c.scope, &filter, Page { size: at_once, after }).await?;
        messages.extend(read.messages);
        after = read.last.map(|id| id.0);
        if after.is_none() || messages.len() > size {
            break;
        }
    }
    if messages.len() > size {
        messages.truncate(size);
        after = messages.last().map(|i| i.id.0);
    }
    c.audit("inbound.list", &messages).await?;
    Ok(v1::ListInboundMessagesResponse {
        messages: messages.iter().map(show).collect(),
        next_page_token: after.map(|id| binding.token(id.as_bytes())).unwrap_or_default(),
    })
}

/// A message that the caller may see, with its bytes.
async fn seen(c: &Caller, id: InboundId) -> Result<Inbound, Error> {
    c.store().inbound(&c.scope, id).await?.ok_or_else(|| Error::not_found("inbound message"))
}

async fn get_inbound_message(
    c: Caller,
    m: v1::GetInboundMessageRequest,
) -> Result<v1::GetInboundMessageResponse, Error> {
    let mut broken = Violations::default();
    let id = request::id::<InboundId>(&m.inbound_message_id, "inbound_message_id", &mut broken);
    whole!(broken; id);
    let inbound = seen(&c, id).await?;
    let action = match (m.include_bytes, c.is_masked()) {
        (false, _) => "inbound.read",
        (true, false) => "inbound.read_bytes",
        (true, true) => "inbound.read_masked",
    };
    c.audit(action, [&inbound]).await?;
    let size_bytes = count(inbound.bytes.0.len());
    let segments_not_read = not_read(&c, &inbound).await;
    let message = Some(v1::InboundMessage { size_bytes, segments_not_read, ..show(&inbound) });
    if !m.include_bytes {
        return Ok(v1::GetInboundMessageResponse { message, ..Default::default() });
    }
    // What we answered says nothing of the patient: our own sentences, the message's ids and our rules' field names.
    let answers = WayIn::answers(&inbound);
    let received = if c.is_masked() { masked_message(&inbound.bytes.0) } else { inbound.bytes.0 };
    Ok(v1::GetInboundMessageResponse { message, received, answers, masked: c.is_masked() })
}

/// Of an endpoint that is gone nobody can say. A message may be large, and reading it takes its time: beside the calls.
async fn not_read(c: &Caller, inbound: &Inbound) -> Vec<String> {
    let Ok(endpoint) = c.endpoint(&inbound.endpoint) else { return Vec::new() };
    let (now, bytes) = (endpoint.rendering.in_use.now(), inbound.bytes.0.clone());
    tokio::task::spawn_blocking(move || now.pack.segments_not_read(&bytes, &now.settings)).await.unwrap_or_default()
}

fn way_in<'a>(c: &'a Caller, endpoint: &EndpointId) -> Result<&'a Arc<WayIn>, Error> {
    let reads_nothing = || Refusal::WrongState(format!("the pack of {endpoint} reads no messages"));
    c.endpoint(endpoint)?.way_in.as_ref().filter(|w| w.reads()).ok_or_else(|| reads_nothing().into())
}

async fn reprocess_inbound_message(
    c: Caller,
    m: v1::ReprocessInboundMessageRequest,
) -> Result<v1::ReprocessInboundMessageResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let id = request::id::<InboundId>(&m.inbound_message_id, "inbound_message_id", &mut broken);
    let reason = request::because(&m.reason, "reason", &mut broken);
    whole!(broken; key, id, reason);
    let kept = seen(&c, id).await?;
    let answered = way_in(&c, &kept.endpoint)?.reprocess(c.write(key), kept, reason.0).await?;
    let inbound: Inbound = serde_json::from_value(answered.answer().more.clone())
        .map_err(|_| Error::Internal("an answer that cannot be read".into()))?;
    c.audit_repeat(&answered, "inbound.read", &inbound).await?;
    Ok(v1::ReprocessInboundMessageResponse { message: Some(show(&inbound)) })
}

async fn submit_message(c: Caller, m: v1::SubmitMessageRequest) -> Result<v1::SubmitMessageResponse, Error> {
    let mut broken = Violations::default();
    let endpoint = if m.endpoint_id.is_empty() {
        broken.add("endpoint_id", "is required");
        None
    } else {
        broken.check("endpoint_id", EndpointId::parse(&m.endpoint_id))
    };
    let message_id = word(&m.message_id, "message_id", &mut broken);
    let (field, bytes) = match &m.message {
        Some(Message::Hl7v2(bytes)) => ("hl7v2", bytes.len()),
        Some(Message::Fhir(bytes)) => ("fhir", bytes.len()),
        Some(Message::Xml(bytes)) => ("xml", bytes.len()),
        None => ("message", 0),
    };
    if bytes == 0 {
        broken.add(field, if m.message.is_none() { "is required: hl7v2, fhir or xml" } else { "is empty" });
    } else if bytes > MESSAGE_BYTES_MAX {
        broken.add(field, "at most 4 MiB");
    }
    if matches!(field, "hl7v2" | "xml") && !m.message_id.is_empty() {
        broken.add("message_id", "only with fhir: an HL7 message has MSH-10, one of XML names itself");
    }
    let message = m.message;
    whole!(broken; endpoint, message_id, message);
    let way_in = way_in(&c, &endpoint)?;
    let (reads, message) = match message {
        Message::Hl7v2(bytes) => (Format::Hl7v2, Submitted::Hl7v2(bytes)),
        Message::Fhir(body) => (Format::Fhir, Submitted::Fhir(body, message_id)),
        Message::Xml(body) => (Format::Xml, Submitted::Xml(body)),
    };
    if way_in.format() != reads {
        let what = format!("the pack of {endpoint} reads {}, not {}", way_in.format().name(), reads.name());
        return Err(Refusal::WrongState(what).into());
    }
    c.audit("inbound.submit", [submitted(&c, &endpoint)?]).await?;
    Ok(match way_in.submit(message).await? {
        Told::Hl7v2(answers) => v1::SubmitMessageResponse { answers, ..Default::default() },
        Told::Http(reply) => v1::SubmitMessageResponse {
            http_status: i32::from(reply.status),
            location: reply.headers.get("location").unwrap_or_default().to_owned(),
            answers: vec![reply.body],
        },
    })
}

/// Who brought it: the message's own audit row names its endpoint.
fn submitted<'a>(c: &'a Caller, endpoint: &EndpointId) -> Result<super::audit::Read<'a>, Error> {
    Ok(super::audit::Read { trust: &c.endpoint(endpoint)?.trust, kind: "inbound message", id: None, patient: None })
}
