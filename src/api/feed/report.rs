//! What the far end says of a document: received, filed, refused.

use super::super::edge::{Caller, whole};
use super::super::error::Error;
use super::{endpoint_id, feed};
use crate::adapter::form::request;
use crate::api::delivery::show;
use crate::domain::delivery::{Delivery, EvidenceKind, State};
use crate::domain::ids::{EntryId, ReplyId};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::EndpointId;
use crate::domain::policy::Names;
use crate::domain::rule::Violations;
use crate::domain::text;
use crate::domain::verdict::{Level, Meaning, Verdict};
use crate::store::record::{Answered, Raw, Reply, RequestKey};
use crate::store::write::Said;
use crate::wire::v1::{self, report_filed_request, report_refused_request};
use serde::Serialize;

/// The longest control id, in characters.
const ID_CHARS_MAX: usize = 100;
const CODE_CHARS_MAX: usize = 20;
const TEXT_CHARS_MAX: usize = 500;

/// Which document.
#[derive(Clone)]
enum Named {
    ControlId(String),
    Document(EntryId),
}

/// What is said of it, read and whole.
struct Statement {
    key: RequestKey,
    endpoint: EndpointId,
    named: Named,
    evidence: EvidenceKind,
    action: &'static str,
    verdict: Verdict,
    /// As it came.
    bytes: Vec<u8>,
}

fn verdict(meaning: Meaning, level: Level, code: &str, record_id: Option<String>) -> Verdict {
    Verdict { meaning, level, code: code.to_owned(), duplicate: false, untold: false, misplaced: false, record_id }
}

/// The call as it is kept: readable, and without what makes each one different.
fn as_kept(m: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(m).map_err(|_| Error::Internal("a request that is no JSON".into()))
}

fn control_id(value: &str, broken: &mut Violations) -> Option<Named> {
    broken.check("control_id", text::token(value, ID_CHARS_MAX)).map(|id| Named::ControlId(id.0))
}

fn document_id(c: &Caller, endpoint: Option<&EndpointId>, value: &str, broken: &mut Violations) -> Option<Named> {
    let policy = endpoint.and_then(|e| c.store().rules().policies.get(e).cloned());
    if policy.is_some_and(|p| p.names == Names::FirstId) {
        broken.add(
            "document_id",
            "does not say which version here, where replacements keep the first one's; name the control_id",
        );
        return None;
    }
    // As HL7 messages carry it, with our namespace behind it.
    let id = value.strip_suffix("^IPS").unwrap_or(value);
    request::id::<EntryId>(id, "document_id", broken).map(Named::Document)
}

pub async fn confirm_received(c: Caller, m: v1::ConfirmReceivedRequest) -> Result<v1::ConfirmReceivedResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    let named = control_id(&m.control_id, &mut broken);
    whole!(broken; key, endpoint, named);
    feed(&c, &endpoint)?;
    let said = Statement {
        key,
        endpoint,
        named,
        evidence: EvidenceKind::TransportAck,
        action: "delivery.confirm",
        verdict: verdict(Meaning::Positive, Level::Transport, "confirmed", None),
        bytes: as_kept(&m)?,
    };
    Ok(v1::ConfirmReceivedResponse { delivery: Some(say(&c, said).await?) })
}

pub async fn report_filed(c: Caller, m: v1::ReportFiledRequest) -> Result<v1::ReportFiledResponse, Error> {
    use report_filed_request::Document;
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    let named = match &m.document {
        Some(Document::ControlId(id)) => control_id(id, &mut broken),
        Some(Document::DocumentId(id)) => document_id(&c, endpoint.as_ref(), id, &mut broken),
        None => unnamed(&mut broken),
    };
    let record_id = request::record_id(&m.record_id, "record_id", &mut broken);
    whole!(broken; key, endpoint, named, record_id);
    let said = Statement {
        key,
        endpoint,
        named,
        evidence: EvidenceKind::VendorReport,
        action: "delivery.report_filed",
        verdict: verdict(Meaning::Positive, Level::Application, "filed", Some(record_id)),
        bytes: as_kept(&m)?,
    };
    Ok(v1::ReportFiledResponse { delivery: Some(say(&c, said).await?) })
}

pub async fn report_refused(c: Caller, m: v1::ReportRefusedRequest) -> Result<v1::ReportRefusedResponse, Error> {
    use report_refused_request::Document;
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    let named = match &m.document {
        Some(Document::ControlId(id)) => control_id(id, &mut broken),
        Some(Document::DocumentId(id)) => document_id(&c, endpoint.as_ref(), id, &mut broken),
        None => unnamed(&mut broken),
    };
    let code = code(&m.code, &mut broken);
    if !m.text.trim().is_empty() {
        broken.check("text", text::paragraphs(&m.text, TEXT_CHARS_MAX));
    }
    whole!(broken; key, endpoint, named, code);
    let said = Statement {
        key,
        endpoint,
        named,
        evidence: EvidenceKind::VendorReport,
        action: "delivery.report_refused",
        verdict: verdict(Meaning::Refused, Level::Application, &code, None),
        bytes: as_kept(&m)?,
    };
    Ok(v1::ReportRefusedResponse { delivery: Some(say(&c, said).await?) })
}

fn unnamed(broken: &mut Violations) -> Option<Named> {
    broken.add("document", "is required: control_id or document_id");
    None
}

/// A code is shown to everybody: nothing that could be a person's.
fn code(value: &str, broken: &mut Violations) -> Option<String> {
    let good = (1..=CODE_CHARS_MAX).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !good {
        broken.add("code", "must be 1 to 20 letters, figures, points, hyphens and underscores");
        return None;
    }
    // With an underscore between its groups as well, or with hyphens anywhere.
    if NhsNumber::stands_in(&value.replace('_', "-")) || NhsNumber::parse(value).is_ok() {
        broken.add("code", "holds an NHS number, and everybody sees the code; write a code of yours");
        return None;
    }
    Some(value.to_owned())
}

/// The delivery that is spoken of. One that never left cannot be.
async fn spoken_of(c: &Caller, said: &Statement) -> Result<Delivery, Error> {
    let found = match &said.named {
        Named::ControlId(id) => c.store().delivery_of_control_id(&c.scope, &said.endpoint, id).await?,
        Named::Document(id) => c.store().deliveries_of_documents(&c.scope, &said.endpoint, [*id]).await?.pop(),
    };
    found.filter(|d| d.may_have_gone()).ok_or_else(|| Error::not_found("document"))
}

/// The statement is written first, whichever bridge has the message in hand; then the stream it was handed out on need wait no longer.
async fn say(c: &Caller, said: Statement) -> Result<v1::Delivery, Error> {
    c.endpoint(&said.endpoint)?;
    let answered = match c.store().answered(&said.key).await? {
        Some(answer) => Answered::Repeated(answer),
        None => {
            let delivery = spoken_of(c, &said).await?;
            let answered = c.store().said(written(c, &said, &delivery)).await?;
            if delivery.state == State::Sending {
                confirm_in_hand(c, &said, &delivery).await?;
            }
            answered
        }
    };
    let delivery: Delivery = serde_json::from_value(answered.answer().more.clone())
        .map_err(|_| Error::Internal("an answer that cannot be read".into()))?;
    c.audit_repeat(&answered, "delivery.read", &delivery).await?;
    Ok(show::delivery(c, &delivery))
}

async fn confirm_in_hand(c: &Caller, said: &Statement, delivery: &Delivery) -> Result<(), Error> {
    let Some(feed) = &c.endpoint(&said.endpoint)?.feed else { return Ok(()) };
    let named = match &said.named {
        Named::ControlId(id) => Some(id.clone()),
        Named::Document(_) => c.store().rendering_of(delivery).await?.map(|r| r.control_id),
    };
    if let Some(id) = named {
        feed.confirm(&id);
    }
    Ok(())
}

fn written(c: &Caller, said: &Statement, delivery: &Delivery) -> Said {
    Said {
        call: c.write(said.key.clone()),
        endpoint: said.endpoint.clone(),
        delivery: delivery.id,
        control_id: match &said.named {
            Named::ControlId(id) => Some(id.clone()),
            Named::Document(_) => None,
        },
        evidence: said.evidence,
        action: said.action,
        reply: Reply {
            id: ReplyId::new(c.now, c.edge.entropy.as_ref()),
            endpoint: said.endpoint.clone(),
            delivery_id: Some(delivery.id),
            attempt_id: None,
            received_at: c.now,
            verdict: said.verdict.clone(),
            unmatched: false,
            bytes: Raw(said.bytes.clone()),
        },
    }
}
