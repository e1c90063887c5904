//! A request names its document and its patient, or it is not made: repeats, replies and read-backs are judged by those names, and a withdrawal that
//! names nothing leaves what it withdraws in force.

use super::super::pack::Pack;
use super::super::render::{Plan, RenderError};
use super::resource;
use crate::transport::http_message::{Method, Request};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The setting that names the system of our documents' identifiers, where a pack has one.
const IDENTIFIER_SYSTEM: &str = "identifier_system";
/// The status of what should never have been there, in every FHIR R4 resource that an entry can become.
const WITHDRAWN: &str = "entered-in-error";
/// What parts an id from what it stands behind: `Communication/17`, `urn:x:17`.
const BEFORE_AN_ID: &[char] = &['/', '|', ':', '#', '=', '?', '&'];
/// Where a resource says whom it is about.
const SUBJECTS: [&str; 3] = ["subject", "patient", "for"];

type Refuse<'f> = dyn Fn(&str, &str) -> Result<(), RenderError> + 'f;

fn text<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value.pointer(place).and_then(Value::as_str).filter(|t| !t.is_empty())
}

/// Every text in it.
fn texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(list) => list.iter().for_each(|v| texts(v, found)),
        Value::Object(fields) => fields.values().for_each(|v| texts(v, found)),
        _ => {}
    }
}

pub fn check(pack: &Pack, plan: &Plan<'_>, request: &Request, body: &Value, input: &Value) -> Result<(), RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    let refuse = |what: &str, hint: &str| Err(RenderError::one(&file, 0, format!("makes a {what}"), hint));
    first_identifier(pack, body, input, &refuse)?;
    target(request, body, &refuse)?;
    condition(request, body, input, &refuse)?;
    if plan.entry.entry.starts_with("referral_reply.") {
        return Ok(());
    }
    if plan.entry.entry.ends_with(".replace") || plan.entry.entry.ends_with(".withdraw") {
        former(request, body, input, &refuse)?;
    }
    if plan.entry.entry.ends_with(".withdraw")
        && request.method == Method::Put
        && text(body, "/status") != Some(WITHDRAWN)
    {
        refuse(
            "withdrawal whose status is not entered-in-error: the wrong entry would stay in force",
            "write \"status\": \"entered-in-error\"",
        )?;
    }
    subject(pack, body, input, &refuse)
}

/// Repeats, replies and read-backs are judged by the first identifier: it names this very version, under our system. In a message Bundle
/// one of its resources has it.
fn first_identifier(pack: &Pack, body: &Value, input: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    let setting = pack.manifest.settings.get(IDENTIFIER_SYSTEM);
    let system = setting.map(|s| text(input, &format!("/settings/{}", s.name)).unwrap_or_default());
    let id = text(input, "/message/document_id");
    let is_ours = |resource: &Value| {
        let first = resource::identifiers(resource).into_iter().next();
        first.is_some_and(|i| Some(i.value.as_str()) == id && system.is_none_or(|system| i.system == system))
    };
    let found = match resource::type_of(body) {
        Some("Bundle") => resource::entries(body).any(is_ours),
        _ => is_ours(body),
    };
    if found {
        return Ok(());
    }
    refuse(
        "resource whose first identifier is not this document's: no repeat and no read-back could find it",
        "begin it with \"identifier\": [{ \"system\": \"{{ settings.identifier_system }}\", \"value\": \"{{ message.document_id }}\" }]",
    )
}

/// The path and the body speak of one resource.
fn target(request: &Request, body: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    let path = request.target.split('?').next().unwrap_or_default().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let at = resource::type_and_id(path);
    let kind = at.map(|(kind, _)| kind).or_else(|| resource::is_type(last).then_some(last));
    if kind.is_some_and(|kind| resource::type_of(body) != Some(kind)) {
        return refuse(
            "resource of another type than its path names",
            "let \"resourceType\" and the path of `request` name the same type",
        );
    }
    let of_body = body.get("id").and_then(Value::as_str);
    if request.method == Method::Put && at.is_some_and(|(_, id)| of_body.is_some_and(|own| own != id)) {
        return refuse(
            "resource whose id is not the one its path names",
            "write the same expression as \"id\" and in the path of `request`",
        );
    }
    Ok(())
}

/// A create that says on what condition says it of the identifier that it carries: else a repeat makes a second document, or none is ever made.
fn condition(request: &Request, body: &Value, input: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    let Some(condition) = request.headers.get("If-None-Exist").filter(|_| request.method == Method::Post) else {
        return Ok(());
    };
    let id = text(input, "/message/document_id").unwrap_or_default();
    let first = resource::identifiers(body).into_iter().next();
    let whole = first.as_ref().map(|i| format!("{}|{}", i.system, i.value));
    let names = |part: &str| {
        let Some(value) = part.strip_prefix("identifier=") else { return false };
        let value = percent_decode_str(value).decode_utf8_lossy();
        value == id || whole.as_ref().is_some_and(|whole| value == *whole)
    };
    let query = condition.strip_prefix('?').unwrap_or(condition);
    if !id.is_empty() && query.split('&').any(names) {
        return Ok(());
    }
    refuse(
        "request whose If-None-Exist does not name the identifier that its resource begins with: a repeat would be filed twice, or this never",
        "write If-None-Exist = \"identifier={{ settings.identifier_system }}|{{ message.document_id }}\"",
    )
}

/// What replaces or withdraws another goes to that, or names it; never to a new place of its own.
fn former(request: &Request, body: &Value, input: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    let record = text(input, "/message/replaces/record_id");
    let document = text(input, "/message/replaces/document_id");
    let path = request.target.split('?').next().unwrap_or_default();
    if let (Method::Put, Some((_, id))) = (request.method, resource::type_and_id(path)) {
        let first = text(input, "/message/first_document_id");
        // A record that takes our ids as its own says so by its answer; until it has answered, ours is all there is.
        let is_there = match record {
            Some(record) => record == id,
            None => [document, first].contains(&Some(id)) && text(input, "/message/document_id") != Some(id),
        };
        if is_there {
            return Ok(());
        }
        return refuse(
            "PUT to another place than that of the document it replaces or withdraws: a new one would be made there, and the wrong one stay in force",
            "end the path with {{ message.replaces.record_id }}",
        );
    }
    let mut all = vec![request.target.as_str()];
    texts(body, &mut all);
    let part = |value: &str, id: &str| {
        value == id || (!value.contains(char::is_whitespace) && value.rsplit(BEFORE_AN_ID).any(|p| p == id))
    };
    if [record, document].into_iter().flatten().any(|id| all.iter().any(|value| part(value, id))) {
        return Ok(());
    }
    refuse(
        "request that does not name the document it replaces or withdraws",
        "print {{ message.replaces.record_id }} or {{ message.replaces.document_id }}, as in \"relatesTo\"",
    )
}

/// Where the record is asked who the patient is, its answer is whom the resource is about.
fn subject(pack: &Pack, body: &Value, input: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    if resource::type_of(body) == Some("Bundle") {
        return Ok(());
    }
    let asked: Vec<&str> = pack.patient_lookups(input);
    if asked.is_empty() {
        return Ok(());
    }
    let subject = SUBJECTS.into_iter().find_map(|key| body.get(key));
    let given = |id: &str| {
        asked.iter().any(|name| {
            let fields = input.pointer(&format!("/lookup/{name}")).and_then(Value::as_object);
            fields.is_some_and(|fields| fields.values().any(|v| v.as_str() == Some(id)))
        })
    };
    let reference = subject.and_then(|s| text(s, "/reference"));
    let by_number = || {
        let number = subject.and_then(|s| text(s, "/identifier/value"));
        number.is_some() && number == text(input, "/patient/nhs_number")
    };
    let is_the_patient = match reference {
        Some(reference) => given(reference.rsplit('/').next().unwrap_or_default()) || given(reference),
        None => by_number(),
    };
    if is_the_patient {
        return Ok(());
    }
    let what = format!("resource that is not about the patient whom [lookup.{}] finds", asked.join("], [lookup."));
    let hint = format!("write \"subject\": {{ \"reference\": \"Patient/{{{{ lookup.{}.id }}}}\" }}", asked[0]);
    refuse(&what, &hint)
}
