//! An entry becomes a request with a body of XML: well-formed, and the text read back from it before it may leave.

use super::super::manifest::FILE;
use super::super::pack::Pack;
use super::super::render::{MESSAGE_BYTES_MAX, Plan, RenderError, RenderOptions, Rendered};
use super::super::request::{carried, head};
use super::read;
use crate::transport::http_message::Request;
use serde_json::Value;

/// Unless the row says which kind of XML it is.
const USUAL: &[(&str, &str)] =
    &[("Content-Type", "application/xml; charset=utf-8"), ("Accept", "application/xml, text/xml")];

pub(in crate::adapter) fn render(
    pack: &Pack,
    plan: &Plan<'_>,
    input: &Value,
    options: &RenderOptions,
) -> Result<Rendered, RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    let printed = pack.templates.render(&plan.entry.template, input, &plan.facts)?;
    let body = printed.trim_matches([' ', '\t', '\n']);
    read(body.as_bytes()).map_err(|why| {
        let hint = "look at its tags, quotes and namespaces, and at what its parts print";
        RenderError::one(&file, 0, format!("makes XML that cannot be read: {why}"), hint)
    })?;
    let request = head(pack, plan, input, body.as_bytes().to_vec(), USUAL)?;
    let kind = request.headers.get("Content-Type").unwrap_or_default().to_ascii_lowercase();
    let charset = kind.split_once("charset=").map_or("utf-8", |(_, c)| c.trim_matches(['"', ' ']));
    if !kind.contains("xml") || charset != "utf-8" {
        let hint = "write text/xml; charset=utf-8, or application/xml; charset=utf-8";
        return Err(RenderError::one(FILE, plan.entry.line, "its Content-Type is not that of XML in UTF-8", hint));
    }
    let bytes = request.to_bytes();
    let limit = options.max_message_bytes.unwrap_or(MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX);
    if bytes.len() > limit {
        return Err(RenderError::TooLong { limit });
    }
    carried(plan, &bytes, input)?;
    let shown = Request { body: format!("{body}\n").into_bytes(), ..request };
    Ok(Rendered { bytes, text_for_display: String::from_utf8_lossy(&shown.to_bytes()).into_owned() })
}
