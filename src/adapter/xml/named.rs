//! A request names its document, or it is not made: by that name repeats are recognised and replies told apart, and a person finds the note that an
//! unanswered request may have left.

use super::super::manifest::FILE;
use super::super::pack::Pack;
use super::super::render::{Plan, RenderError};
use super::{Unclear, XmlRules};
use roxmltree::Document;
use serde_json::Value;

/// What parts an id from what it stands behind: `Note/17`, `urn:x:17`.
const BEFORE_AN_ID: &[char] = &['/', '|', ':', '#', '=', '?', '&'];

fn at<'v>(input: &'v Value, place: &str) -> Option<&'v str> {
    input.pointer(place).and_then(Value::as_str).filter(|id| !id.is_empty())
}

/// Our own ids of this message: the document's, and that of this rendering.
fn own(input: &Value) -> impl Iterator<Item = &str> {
    ["/message/document_id", "/message/control_id"].into_iter().filter_map(|place| at(input, place))
}

/// The document's id stands in the body or the path, and of what replaces or withdraws another also that one's, ours or the record's.
pub fn check(
    pack: &Pack,
    plan: &Plan<'_>,
    document: &Document<'_>,
    target: &str,
    input: &Value,
) -> Result<(), RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    // Ours are random: wherever they stand they are meant.
    let holds = |id: &str| values(document).chain([target]).any(|value| value.contains(id));
    if !own(input).any(holds) {
        let what = "makes a request that does not name its document: no repeat could be recognised, and no reply told from another's";
        return Err(RenderError::one(
            &file,
            0,
            what,
            "print {{ message.document_id }} where the supplier has a reference of the sender's",
        ));
    }
    if !plan.entry.entry.ends_with(".replace") && !plan.entry.entry.ends_with(".withdraw") {
        return Ok(());
    }
    let keeps = pack.manifest.render.iter().any(|row| row.keeps_document_id);
    let first = at(input, "/message/first_document_id").filter(|_| keeps);
    let replaced = at(input, "/message/replaces/document_id");
    // The record's may be as short as a number: it must be the whole of a value, or the end of an address.
    let is = |id: &str| {
        let part = |value: &str| {
            value.trim() == id || (!value.contains(char::is_whitespace) && value.rsplit(BEFORE_AN_ID).any(|p| p == id))
        };
        values(document).chain([target]).any(part)
    };
    if [replaced, first].into_iter().flatten().any(holds) || at(input, "/message/replaces/record_id").is_some_and(is) {
        return Ok(());
    }
    let what = "makes a request that does not name the document it replaces or withdraws";
    let hint = "print {{ message.replaces.record_id }} or {{ message.replaces.document_id }}";
    Err(RenderError::one(&file, 0, what, hint))
}

/// Every text and every attribute.
fn values<'d>(document: &'d Document<'_>) -> impl Iterator<Item = &'d str> {
    document.descendants().flat_map(|node| {
        let text = node.text().filter(|_| node.is_text());
        node.attributes().map(|a| a.value()).chain(text)
    })
}

/// Where a reply is held against what the request names, the request names exactly this message there: else no reply would ever be taken for its own.
pub fn echoes(rules: &XmlRules, plan: &Plan<'_>, document: &Document<'_>, input: &Value) -> Result<(), RenderError> {
    let Some(path) = &rules.echo.of else { return Ok(()) };
    let how = match path.value(document) {
        Ok(Some(id)) if own(input).any(|own| own == id) => return Ok(()),
        Ok(Some(_)) => "gives another value than this document's id",
        Ok(None) => "gives nothing",
        Err(Unclear) => "gives several values",
    };
    let what =
        format!("echo_of \"{}\" {how} in this request: every reply to it would be taken for another's", path.shown());
    let hint = "let it lead to {{ message.document_id }} (or control_id) in each template";
    Err(RenderError::one(FILE, plan.entry.line, what, hint))
}
