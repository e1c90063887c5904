//! A FHIR resource that an EPR posts: kept raw in the same commit as what it changes, answered after it, a repeat answered the same.

use super::answer::{Caller, said};
use super::repeats::told_apart;
use super::{Source, weigh};
use crate::adapter::fhir::json::without_bom;
use crate::adapter::{FieldFault, ParseError, Parsed};
use crate::domain::accept::{Accept, Judged};
use crate::domain::ids::InboundId;
use crate::store::record::{Inbound, InboundState, Raw};
use crate::store::write::{Receive, Received};
use crate::store::{StoreError, WriteError};
use crate::transport::http_message::Reply;
use crate::transport::https::{Arrived, Unheard};
use sha2::{Digest, Sha256};

/// What may be posted.
const TYPES: &[&str] = &["ServiceRequest", "Patient", BUNDLE, PROCESS_MESSAGE];
const BUNDLE: &str = "Bundle";
/// The FHIR operation for message Bundles (FHIR R4, Messaging; BaRS).
const PROCESS_MESSAGE: &str = "$process-message";
/// Longest request id kept as such, in characters.
const ID_CHARS_MAX: usize = 200;
/// Where all come from: HTTP names no sender, the endpoint's listener does.
const SOURCE: &str = "fhir";
/// Before the mailbox that sent it.
const MESH: &str = "mesh ";

/// The reply. What could not be kept is answered 503, so that the sender sends it again.
pub async fn receive_fhir(source: &Source, mut arrived: Arrived) -> Reply {
    if let Some(refused) = no_message(&arrived) {
        return refused;
    }
    if let Some((of, _)) = arrived.path.split_once('/') {
        arrived.path = of.to_owned();
    }
    match take(source, arrived, SOURCE).await {
        Ok(reply) => {
            Reply::parse(&reply).unwrap_or_else(|_| refusal(500, "exception", "the stored answer cannot be read"))
        }
        Err(e) => {
            tracing::error!(endpoint = %source.endpoint, reason = %e, "a resource could not be stored; the sender is told to send it again");
            refusal(503, "transient", "it could not be stored; send it again")
        }
    }
}

/// What a caller is told whose request did not come as far as [`receive_fhir`]: no answer of ours is without an OperationOutcome.
pub fn unheard(why: Unheard) -> Reply {
    let (code, what) = said_unheard(why);
    refusal(why.status(), code, &what)
}

/// A code of FHIR's issue types, and a sentence.
pub(super) fn said_unheard(why: Unheard) -> (&'static str, String) {
    match why {
        Unheard::NotAllowed => ("login", "this needs Authorization: Bearer with the secret that was agreed".to_owned()),
        Unheard::TooLarge { bytes_max } => (
            "too-long",
            format!("the body is longer than the {bytes_max} bytes that are taken here; nothing is kept of it"),
        ),
        Unheard::Packed => (
            "not-supported",
            "the body is packed (Content-Encoding), and only bodies as they are are taken here; send it without"
                .to_owned(),
        ),
        Unheard::BrokenOff => ("structure", "the body ended before its end; send it again".to_owned()),
        Unheard::TooSlow => {
            ("timeout", "it could not be answered in time and may have been taken; send it again, as it was".to_owned())
        }
    }
}

/// Requests that bring no message: nothing is kept of them.
fn no_message(arrived: &Arrived) -> Option<Reply> {
    let known = TYPES.contains(&arrived.path.as_str());
    match (known, arrived.method.as_str()) {
        (true, "POST") => None,
        (true, _) => Some(refusal(405, "not-supported", "POST it, or PUT it under its id")),
        (false, "PUT") if is_put(arrived) => None,
        (false, _) => Some(refusal(404, "not-found", "post to ServiceRequest, Patient, Bundle or $process-message")),
    }
}

/// `PUT Patient/7`: how a subscription sends what has changed (FHIR R4, rest-hook). What the resource says counts, its place in the sender's server
/// does not.
fn is_put(arrived: &Arrived) -> bool {
    let named = arrived.path.split_once('/').filter(|(_, id)| !id.is_empty() && !id.contains('/'));
    named.is_some_and(|(of, _)| of == "Patient" || of == "ServiceRequest")
}

/// One resource, whichever way it came; `from` says who sent it, as far as the way knows. The answer is what an HTTP caller gets.
pub(super) async fn take(source: &Source, arrived: Arrived, from: &str) -> Result<Vec<u8>, WriteError> {
    let inbound = kept(source, &arrived, from);
    let _turn = source.repeats.turn(&inbound).await;
    let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
    let inbound = match told_apart(source, &before, inbound) {
        Ok(inbound) => inbound,
        Err(answer) => return Ok(answer),
    };
    let received = weighed(source, &arrived, inbound).await?;
    weigh::take_in(source, received).await
}

/// What a resource is taken as: by the present pack, settings and rules, as of the time it came.
async fn weighed(source: &Source, arrived: &Arrived, mut inbound: Inbound) -> Result<Received, StoreError> {
    // What a Bundle is about is known when it has been read.
    let judged = |message_type: &str| match source.accept.judge(message_type) {
        Judged::Taken(rule) => Ok(rule),
        Judged::Unlisted => Err((Accept::UNLISTED, weigh::UNLISTED)),
    };
    let is_wrapped = matches!(arrived.path.as_str(), BUNDLE | PROCESS_MESSAGE);
    if let Err((rule, why)) = if is_wrapped { Ok(None) } else { judged(&arrived.path) } {
        return Ok(weigh::ignore(source, Caller::Http, inbound, rule, why));
    }
    let (parsed, faults) = match parsed(source, arrived).await {
        Ok(read) => read,
        Err(Refused { status, code, why }) => {
            inbound.reply = Raw(refusal(status, code, &why).to_bytes());
            inbound.reason = why;
            return Ok(weigh::parked(inbound));
        }
    };
    match judged(&parsed.message_type) {
        Ok(rule) => weigh::message(source, Caller::Http, inbound, rule, &parsed, faults).await,
        Err((rule, why)) => Ok(weigh::ignore(source, Caller::Http, inbound, rule, why)),
    }
}

/// A resource that was kept, run again. Under which media type it came is not kept: as JSON, which is all that can be read here.
pub(super) async fn weigh_again(source: &Source, kept: Inbound) -> Result<Received, StoreError> {
    let arrived = Arrived {
        method: "POST".into(),
        path: kept.message_type.clone(),
        content_type: JSON.into(),
        request_id: Some(kept.control_id.clone()),
        body: kept.bytes.0.clone(),
    };
    weighed(source, &arrived, kept).await
}

/// Whether a kept message came as a resource.
pub(super) fn is_resource(kept: &Inbound) -> bool {
    kept.source == SOURCE || mailbox_of(kept).is_some()
}

/// What a message that came by MESH has as its source.
pub(super) fn from_mailbox(mailbox: &str) -> String {
    format!("{MESH}{mailbox}")
}

/// The mailbox that sent a kept message; empty where nobody could tell.
pub(super) fn mailbox_of(kept: &Inbound) -> Option<&str> {
    // An HL7 sender is written with a bar, which no mailbox has.
    kept.source.strip_prefix(MESH).filter(|mailbox| !mailbox.contains('|'))
}

/// What cannot even be looked at: kept and shown with the reason. The same once more is the same.
pub(super) async fn keep_unread(source: &Source, arrived: &Arrived, from: &str, why: &str) -> Result<(), WriteError> {
    let mut inbound = kept(source, arrived, from);
    let _turn = source.repeats.turn(&inbound).await;
    let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
    if before.iter().any(|b| b.content == inbound.content) {
        return Ok(());
    }
    inbound.reason = why.to_owned();
    tracing::warn!(endpoint = %source.endpoint, reason = why, "a message cannot be read; kept");
    source.store.receive(Receive { inbound }).await.map(drop)
}

/// Why it cannot be read: an HTTP status, a code of FHIR's issue types, and a sentence without patient data.
struct Refused {
    status: u16,
    code: &'static str,
    why: String,
}

impl Refused {
    fn new(status: u16, code: &'static str, why: impl Into<String>) -> Self {
        Self { status, code, why: why.into() }
    }
}

/// What it says in our words, and what of it could not be read.
async fn parsed(source: &Source, arrived: &Arrived) -> Result<(Parsed, Vec<FieldFault>), Refused> {
    if !arrived.content_type.to_ascii_lowercase().contains("json") {
        return Err(Refused::new(415, "not-supported", "only application/fhir+json is read here"));
    }
    let body: serde_json::Value = serde_json::from_slice(without_bom(&arrived.body))
        .map_err(|e| Refused::new(400, "structure", format!("no JSON: line {}, column {}", e.line(), e.column())))?;
    let wanted = if arrived.path == PROCESS_MESSAGE { BUNDLE } else { &arrived.path };
    if body["resourceType"].as_str() != Some(wanted) {
        return Err(Refused::new(400, "invalid", format!("the body is no {wanted}")));
    }
    if arrived.path == PROCESS_MESSAGE && body["type"].as_str() != Some("message") {
        return Err(Refused::new(400, "invalid", "the Bundle is no message: its type is another"));
    }
    if source.is_live && is_for_testing(&body) {
        let what =
            "it is marked as test data (HTEST), and this endpoint is live: nothing of it may reach a person's record";
        return Err(Refused::new(422, "business-rule", what));
    }
    weigh::read(source, &arrived.body).await.map_err(|e| match &e {
        ParseError::Unreadable(_) => Refused::new(400, "structure", e.to_string()),
        ParseError::NoMap(_) => Refused::new(422, "not-supported", e.to_string()),
        ParseError::Settings(_) => Refused::new(500, "exception", "the endpoint's settings do not fit its pack"),
        ParseError::Fields(_) => Refused::new(422, "invalid", e.to_string()),
    })
}

/// Whether a resource, or any within it, is labelled as test data (HL7 v3 ActReason, HTEST). The values of a message are counted when it is read, so
/// that one of too many costs no more than its bytes.
fn is_for_testing(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Array(list) => list.iter().any(is_for_testing),
        Value::Object(members) => {
            let labels = ["security", "tag"].into_iter().filter_map(|key| members.get("meta")?.get(key)?.as_array());
            let mut codes = labels.flatten().filter_map(|label| label.get("code")?.as_str());
            codes.any(|code| code.trim().eq_ignore_ascii_case("HTEST")) || members.values().any(is_for_testing)
        }
        _ => false,
    }
}

pub(super) fn kept(source: &Source, arrived: &Arrived, from: &str) -> Inbound {
    let now = source.clock.now();
    let content = Sha256::digest(&arrived.body).to_vec();
    let sent = arrived.request_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    // Without an id of the sender's own, the same bytes are the same message.
    let of_content = || content.iter().take(16).map(|b| format!("{b:02x}")).collect::<String>();
    Inbound {
        id: InboundId::new(now, source.entropy.as_ref()),
        trust: source.trust.clone(),
        endpoint: source.endpoint.clone(),
        received_at: now,
        source: from.to_owned(),
        control_id: sent.map_or_else(of_content, |id| id.chars().take(ID_CHARS_MAX).collect()),
        message_type: arrived.path.clone(),
        state: InboundState::Parked,
        reason: String::new(),
        referral_id: None,
        rule: None,
        reused_control_id: false,
        content,
        bytes: Raw(arrived.body.clone()),
        reply: Raw::default(),
    }
}

const JSON: &str = "application/fhir+json";

fn refusal(status: u16, code: &str, why: &str) -> Reply {
    said(status, "error", code, [why])
}
