//! The head of a request, from the manifest's row; and the last look at what was made.

use super::super::fault::Fault;
use super::super::manifest::FILE;
use super::super::pack::Pack;
use super::super::render::{Plan, RenderError};
use super::super::template::Printed;
use super::row::{Part, RequestRow};
use crate::transport::http_message::{Headers, HttpMessageError, Request};
use serde_json::Value;

/// The whole request. `usual`: headers it has unless the row says otherwise.
pub(in crate::adapter) fn head(
    pack: &Pack,
    plan: &Plan<'_>,
    input: &Value,
    body: Vec<u8>,
    usual: &[(&str, &str)],
) -> Result<Request, RenderError> {
    let row = plan.entry.request.as_ref().ok_or_else(|| {
        let hint = "add request = { method = \"POST\", path = \"…\" }";
        RenderError::one(FILE, plan.entry.line, "this [[render]] has no request", hint)
    })?;
    let print = |part: &Part| -> Result<String, RenderError> {
        Ok(pack.templates.render(&part.name, input, &plan.facts)?.trim_start_matches('\n').to_owned())
    };
    let wrong = |e: HttpMessageError| {
        RenderError::NotRenderable(vec![Fault::new(
            FILE,
            plan.entry.line,
            format!("makes a request that cannot be sent: {e}"),
            "check `request` of this [[render]]",
        )])
    };
    let mut target = print(&row.path)?;
    if let Some(query) = &row.query {
        target.push('?');
        target.push_str(&print(query)?);
    }
    let mut headers = Headers::default();
    for (name, part) in &row.headers {
        let value = print(part)?;
        // `| blank` in a header: without a value it is not sent.
        if !value.is_empty() {
            headers.add(name, &value).map_err(wrong)?;
        }
    }
    for (name, value) in usual {
        if headers.get(name).is_none() {
            headers.add(name, value).map_err(wrong)?;
        }
    }
    Request::new(row.method, target, headers, body).map_err(wrong)
}

/// Nothing leaves that we could not read ourselves, whole and exact.
pub(in crate::adapter) fn carried(plan: &Plan<'_>, bytes: &[u8], input: &Value) -> Result<(), RenderError> {
    let Some(at) = &plan.entry.text_at else { return Ok(()) };
    let read = Request::parse(bytes).ok().and_then(|r| at.read(&r.body));
    match (read, input.pointer("/entry/text").and_then(Value::as_str)) {
        (Some(read), Some(text)) if read == text => Ok(()),
        _ => Err(RenderError::NotCarriable {
            what: "the text cannot be read back exactly from the request (text_at)".into(),
        }),
    }
}

/// Each piece of output with the expression that printed it, head and body.
pub(in crate::adapter) fn trace(pack: &Pack, plan: &Plan<'_>, input: &Value) -> Result<Vec<Printed>, RenderError> {
    let mut printed = Vec::new();
    for part in plan.entry.request.iter().flat_map(RequestRow::parts) {
        printed.extend(pack.templates.trace(&part.name, input, &plan.facts)?);
    }
    printed.extend(pack.templates.trace(&plan.entry.template, input, &plan.facts)?);
    Ok(printed)
}
