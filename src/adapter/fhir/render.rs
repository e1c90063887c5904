//! An entry becomes a request: the head from the manifest's row, the body from the tree template; then the text is read back.

use super::super::pack::Pack;
use super::super::render::{MESSAGE_BYTES_MAX, Plan, RenderError, RenderOptions, Rendered};
use super::super::request::print::IN_QUERY;
use super::super::request::{carried, head};
use super::super::stop::Stop;
use super::{build, named, resource};
use crate::transport::http_message::{Headers, Method, Request};
use serde_json::Value;

const FHIR_JSON: &str = "application/fhir+json";

pub(in crate::adapter) fn render(
    pack: &Pack,
    plan: &Plan<'_>,
    input: &Value,
    options: &RenderOptions,
) -> Result<Rendered, RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    let stream = pack.templates.render(&plan.entry.template, input, &plan.facts)?;
    let body = match build::build(&stream) {
        Ok(Some(body)) => body,
        Ok(None) => return Err(RenderError::one(&file, 0, "makes nothing", "its conditions leave no field")),
        Err(Stop::Fault { what, hint }) => return Err(RenderError::one(&file, 0, what, hint)),
        Err(other) => return Err(RenderError::NotCarriable { what: other.to_string() }),
    };
    if resource::type_of(&body).is_none() {
        return Err(RenderError::one(&file, 0, "makes no FHIR resource", "add \"resourceType\""));
    }
    let compact = serde_json::to_vec(&body).map_err(|_| RenderError::one(&file, 0, "makes no JSON", ""))?;
    let request = head(pack, plan, input, compact, &[("Content-Type", FHIR_JSON), ("Accept", FHIR_JSON)])?;
    let bytes = request.to_bytes();
    let limit = options.max_message_bytes.unwrap_or(MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX);
    if bytes.len() > limit {
        return Err(RenderError::TooLong { limit });
    }
    carried(plan, &bytes, input)?;
    named::check(pack, plan, &request, &body, input)?;
    let shown = Request { body: format!("{body:#}\n").into_bytes(), ..request };
    Ok(Rendered { bytes, text_for_display: String::from_utf8_lossy(&shown.to_bytes()).into_owned() })
}

/// A request that asks the record for what a rendering sent, by the first identifier in it; `None` where that names nothing.
pub fn read_back(rendering: &[u8]) -> Option<Vec<u8>> {
    let asked = super::asked::Asked::of(rendering)?;
    let by = asked.identifier?;
    let encode = |text: &str| percent_encoding::utf8_percent_encode(text, IN_QUERY).to_string();
    let target = format!("{}?identifier={}%7C{}", asked.kind, encode(&by.system), encode(&by.value));
    let mut headers = Headers::default();
    headers.add("Accept", FHIR_JSON).ok()?;
    Some(Request::new(Method::Get, target, headers, Vec::new()).ok()?.to_bytes())
}
