//! A FHIR resource that an EPR posts: kept raw in the same commit as what it changes, answered after it, a repeat answered the same.

use super::answer::Wrong;
use super::{Source, referral};
use crate::adapter::{ParseError, Parsed};
use crate::domain::ids::{InboundId, ReferralId};
use crate::store::record::{Inbound, InboundState, Raw};
use crate::store::write::{MakeReply, Receive, Received};
use crate::store::{Refusal, WriteError};
use crate::transport::http_message::Reply;
use crate::transport::https::Arrived;
use serde_json::json;
use sha2::{Digest, Sha256};

/// What may be posted, and what is read from it.
const TYPES: &[&str] = &["ServiceRequest", "Bundle", "Patient"];
/// The FHIR operation for message bundles, which is kept and not understood.
const PROCESS_MESSAGE: &str = "$process-message";
/// Longest request id kept as such, in characters.
const ID_CHARS_MAX: usize = 200;
/// Where all come from: HTTP names no sender, the endpoint's listener does.
const SOURCE: &str = "fhir";
/// Before the mailbox that sent it.
const MESH: &str = "mesh ";

/// One endpoint's FHIR listener.
pub struct FhirSource {
    pub source: Source,
    /// The pack's map: bytes into our words.
    pub parse: Parse,
}

/// The one way from a body to what it says.
pub type Parse = Box<dyn Fn(&[u8]) -> Result<Parsed, ParseError> + Send + Sync>;

/// The reply. What could not be kept is answered 503, so that the sender sends it again.
pub async fn receive_fhir(fhir: &FhirSource, arrived: Arrived) -> Reply {
    if let Some(refused) = no_message(&arrived) {
        return refused;
    }
    match take(fhir, arrived, SOURCE).await {
        Ok(reply) => Reply::parse(&reply)
            .unwrap_or_else(|_| outcome(500, "exception", &["the stored answer cannot be read".into()])),
        Err(e) => {
            tracing::error!(endpoint = %fhir.source.endpoint, reason = %e, "a resource could not be stored; the sender is told to send it again");
            outcome(503, "transient", &["it could not be stored; send it again".into()])
        }
    }
}

/// Requests that bring no message: nothing is kept of them.
fn no_message(arrived: &Arrived) -> Option<Reply> {
    let known = TYPES.contains(&arrived.path.as_str()) || arrived.path == PROCESS_MESSAGE;
    match (known, arrived.method.as_str()) {
        (false, _) => Some(outcome(404, "not-found", &["post to ServiceRequest, Patient or Bundle".into()])),
        (true, "POST") => None,
        (true, _) => Some(outcome(405, "not-supported", &["only POST is taken here".into()])),
    }
}

/// One resource, whichever way it came; `from` says who sent it, as far as the way knows. The answer is what an HTTP caller gets.
pub(super) async fn take(fhir: &FhirSource, arrived: Arrived, from: &str) -> Result<Vec<u8>, WriteError> {
    let source = &fhir.source;
    let mut inbound = kept(source, &arrived, from);
    let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
    match before.iter().find(|b| b.content == inbound.content) {
        // What was refused may be taken now, when what it was refused for has been mended.
        Some(same) if same.state == InboundState::Parked => inbound.id = same.id,
        Some(same) => {
            tracing::info!(endpoint = %source.endpoint, "a repeat; answered as before");
            return Ok(same.reply.0.clone());
        }
        // Same id, other bytes: not a repeat. Processed, flagged and counted.
        None => inbound.reused_control_id = !before.is_empty(),
    }
    source.store.take_in(weigh(fhir, &arrived, inbound)).await
}

/// What a resource is taken as: by the present pack, settings and rules, as of the time it came.
fn weigh(fhir: &FhirSource, arrived: &Arrived, mut inbound: Inbound) -> Received {
    let source = &fhir.source;
    let now = inbound.received_at;
    let read = parsed(fhir, arrived).and_then(|parsed| {
        referral::read(source, &parsed, &inbound, now).map_err(|wrong| Refused::of(422, "invalid", &wrong))
    });
    match read {
        Ok(create) => referral::write(inbound, create, made()).into(),
        Err(refused) => {
            inbound.state = InboundState::Parked;
            inbound.reason = refused.why.join("; ");
            inbound.reply = Raw(outcome(refused.status, refused.code, &refused.why).to_bytes());
            tracing::warn!(endpoint = %source.endpoint, message_type = %inbound.message_type, reason = %inbound.reason, "a resource was refused; kept");
            Receive { inbound }.into()
        }
    }
}

/// A resource that was kept, run again. Under which media type it came is not kept: as JSON, which is all that can be read here.
pub(super) fn weigh_again(fhir: &FhirSource, kept: Inbound) -> Received {
    let arrived = Arrived {
        method: "POST".into(),
        path: kept.message_type.clone(),
        content_type: JSON.1.into(),
        request_id: Some(kept.control_id.clone()),
        body: kept.bytes.0.clone(),
    };
    weigh(fhir, &arrived, kept)
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
    kept.source.strip_prefix(MESH)
}

/// What cannot even be looked at: kept and shown with the reason. The same once more is the same.
pub(super) async fn keep_unread(source: &Source, arrived: &Arrived, from: &str, why: &str) -> Result<(), WriteError> {
    let mut inbound = kept(source, arrived, from);
    let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
    if before.iter().any(|b| b.content == inbound.content) {
        return Ok(());
    }
    inbound.reason = why.to_owned();
    tracing::warn!(endpoint = %source.endpoint, reason = why, "a message cannot be read; kept");
    source.store.receive(Receive { inbound }).await.map(drop)
}

/// Why it is not taken as it is: an HTTP status, a code of FHIR's issue types, and sentences without patient data.
struct Refused {
    status: u16,
    code: &'static str,
    why: Vec<String>,
}

impl Refused {
    fn new(status: u16, code: &'static str, why: impl Into<String>) -> Self {
        Self { status, code, why: vec![why.into()] }
    }

    fn of(status: u16, code: &'static str, wrong: &[Wrong]) -> Self {
        Self { status, code, why: wrong.iter().map(|w| w.what.clone()).collect() }
    }
}

fn parsed(fhir: &FhirSource, arrived: &Arrived) -> Result<Parsed, Refused> {
    if arrived.path == PROCESS_MESSAGE {
        return Err(Refused::new(
            501,
            "not-supported",
            "$process-message is not taken in yet; post the ServiceRequest",
        ));
    }
    if !arrived.content_type.to_ascii_lowercase().contains("json") {
        return Err(Refused::new(415, "not-supported", "only application/fhir+json is read here"));
    }
    let body: serde_json::Value = serde_json::from_slice(&arrived.body)
        .map_err(|e| Refused::new(400, "structure", format!("no JSON: line {}, column {}", e.line(), e.column())))?;
    if body["resourceType"].as_str() != Some(arrived.path.as_str()) {
        return Err(Refused::new(400, "invalid", format!("the body is no {}", arrived.path)));
    }
    let parsed = (fhir.parse)(&arrived.body).map_err(|e| match &e {
        ParseError::Unreadable(_) => Refused::new(400, "structure", e.to_string()),
        ParseError::NoMap(_) => Refused::new(422, "not-supported", e.to_string()),
        ParseError::Settings(_) => Refused::new(500, "exception", "the endpoint's settings do not fit its pack"),
        ParseError::Fields(faults) => {
            Refused { status: 422, code: "invalid", why: faults.iter().map(ToString::to_string).collect() }
        }
    })?;
    match parsed.makes.as_str() {
        "CreateReferralRequest" => Ok(parsed),
        other => {
            let why = format!("the pack's map makes {other}, which this release cannot take in");
            Err(Refused::new(422, "not-supported", why))
        }
    }
}

fn kept(source: &Source, arrived: &Arrived, from: &str) -> Inbound {
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

/// The answer for what became of a referral; it is stored with the resource.
fn made() -> MakeReply {
    Box::new(|result| {
        let reply = match result {
            Ok(ReferralId(id)) => {
                let location = format!("ServiceRequest/{}", ReferralId(id));
                let body = said("information", "informational", &["taken as a referral".to_owned()]);
                Reply::new(201, [("location", location.as_str()), JSON], body)
            }
            Err(Refusal::PatientMismatch) => outcome(
                422,
                "business-rule",
                &["the patient's number is known here with another date of birth or family name".into()],
            ),
            Err(_) => outcome(
                422,
                "business-rule",
                &["the referral could not be taken; it is kept and the integration team is shown why".into()],
            ),
        };
        reply.to_bytes()
    })
}

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

fn outcome(status: u16, code: &str, why: &[String]) -> Reply {
    Reply::new(status, [JSON], said("error", code, why))
}

/// An OperationOutcome with one issue for each sentence.
fn said(severity: &str, code: &str, why: &[String]) -> Vec<u8> {
    let issue = |text: &String| json!({ "severity": severity, "code": code, "details": { "text": text } });
    let issues: Vec<_> = why.iter().map(issue).collect();
    json!({ "resourceType": "OperationOutcome", "issue": issues }).to_string().into_bytes()
}
