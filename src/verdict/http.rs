//! HTTP and FHIR: status, OperationOutcome, and whether what came back is what was sent.

use super::{RECORD_ID_CHARS_MAX, shorten};
use crate::adapter::fhir::asked::{Asked, Whose};
use crate::adapter::fhir::resource::{self, Issue};
use crate::adapter::fhir::{HttpRow, HttpRules, ISSUE_TYPES, json};
use crate::domain::verdict::{Level, Meaning, Verdict};
use crate::transport::http_message::{Method, Reply, Request};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a reply to this request means. `duplicate` beside [`Meaning::Unknown`] says: ask the record ([`read_back`]) before anything else is done.
pub fn verdict(reply: &[u8], rules: &HttpRules, request: &[u8]) -> Verdict {
    let Ok(reply) = Reply::parse(reply) else { return Verdict::unreadable() };
    let content = content(&reply.body);
    let issues = match &content {
        Content::Json(value) => resource::issues(value),
        Content::Nothing | Content::Other => Vec::new(),
    };
    let mut code = reply.status.to_string();
    for issue in &issues {
        issue.codes.iter().for_each(|c| shorten(&mut code, shown(c, rules)));
    }
    let row = rules.status(reply.status);
    let (row, record_id) = match (reply.status / 100, row) {
        (2, HttpRow::Positive | HttpRow::Received) if issues.iter().any(|i| i.is_error) => (HttpRow::Unknown, None),
        (2, HttpRow::Positive) => match filed(&reply, &content, request) {
            Ok(id) => (HttpRow::Positive, Some(id)),
            Err(Doubt { why, is }) => {
                code = format!("{}, {why}", reply.status);
                match is {
                    Doubts::Proof => (HttpRow::Unknown, None),
                    Doubts::Place => {
                        return Verdict { meaning: Meaning::Refused, code, misplaced: true, ..Verdict::unreadable() };
                    }
                    Doubts::Person { record_id } => {
                        let record_id = Some(record_id);
                        return Verdict { meaning: Meaning::Misfiled, code, record_id, ..Verdict::unreadable() };
                    }
                }
            }
        },
        (2, row) => (row, None),
        (_, row) => (unless_several(worst(&issues, rules).unwrap_or(row), reply.status, request), None),
    };
    // A status alone: an issue that the pack lists has said what became of it.
    let untold = row == HttpRow::Retry && worst(&issues, rules).is_none() && rules.is_untold(reply.status);
    let meaning = match row {
        HttpRow::Positive | HttpRow::Received => Meaning::Positive,
        HttpRow::Refused => Meaning::Refused,
        HttpRow::Retry => Meaning::Retry,
        HttpRow::Query | HttpRow::Unknown => Meaning::Unknown,
    };
    let level = if row == HttpRow::Received { Level::Transport } else { Level::Application };
    Verdict { meaning, level, code, duplicate: row == HttpRow::Query, untold, misplaced: false, record_id }
}

/// 412 to a create that is made only where none of our id is: several are there (FHIR R4, conditional create). Whatever row or issue calls it a no, nobody
/// may act on it as if nothing stood there. To an update it is a version conflict, by which nothing was changed.
pub(super) fn unless_several(row: HttpRow, status: u16, request: &[u8]) -> HttpRow {
    let is_conditional =
        || Request::parse(request).is_ok_and(|r| r.method == Method::Post && r.headers.get("If-None-Exist").is_some());
    match row {
        HttpRow::Refused | HttpRow::Retry if status == 412 && is_conditional() => HttpRow::Query,
        row => row,
    }
}

/// Whether there is a resource in it.
pub fn is_its_own(reply: &Reply) -> bool {
    matches!(content(&reply.body), Content::Json(value) if resource::type_of(&value).is_some())
}

/// What stands in a reply's body.
enum Content {
    Nothing,
    Json(Value),
    /// A proxy's page, or JSON that cannot be read without guessing.
    Other,
}

fn content(body: &[u8]) -> Content {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Content::Nothing;
    }
    json::read(body).map_or(Content::Other, Content::Json)
}

/// Why a reply proves nothing, in words that are safe to show.
struct Doubt {
    why: &'static str,
    is: Doubts,
}

enum Doubts {
    /// Whether it is there.
    Proof,
    /// Whether it is where what it changes stands. The record shows what we sent, so that asking it or sending it again would end the doubt and not what
    /// it is about: a person looks.
    Place,
    /// It is in somebody else's record, under this id of the record's.
    Person { record_id: String },
}

impl From<&'static str> for Doubt {
    fn from(why: &'static str) -> Self {
        Self { why, is: Doubts::Proof }
    }
}

/// The record's id of what was sent, when the reply proves that it is there; else why it does not.
fn filed(reply: &Reply, content: &Content, request: &[u8]) -> Result<String, Doubt> {
    let asked = Asked::of(request).ok_or("to a request that cannot be read")?;
    let returned = match content {
        Content::Json(value) if resource::type_of(value) == Some(&asked.kind) => Some(value),
        Content::Json(value) if resource::type_of(value) == Some("OperationOutcome") => None,
        Content::Nothing => None,
        Content::Json(_) | Content::Other => return Err("with something else than the resource".into()),
    };
    let addresses = ["location", "content-location"].into_iter().filter_map(|name| reply.headers.get(name));
    let located = addresses.filter_map(resource::type_and_id).filter(|(kind, _)| *kind == asked.kind).map(|(_, id)| id);
    let ids: BTreeSet<&str> = returned.and_then(resource::id_of).into_iter().chain(located).collect();
    let id = match ids.iter().collect::<Vec<_>>().as_slice() {
        [one] => **one,
        [] => return Err("without the record's id".into()),
        _ => return Err("with two different ids".into()),
    };
    // An answer that shows another person's document, whatever its number, is no proof for this one.
    match returned.map_or(Whose::TheSame, |r| asked.whose(r)) {
        Whose::TheSame => {}
        Whose::SomebodyElse => {
            return Err(Doubt { why: "in somebody else's record", is: Doubts::Person { record_id: id.to_owned() } });
        }
        Whose::Unsaid => return Err("without saying whose it is".into()),
    }
    let carries = |r: &Value| asked.identifier.as_ref().is_some_and(|own| resource::identifiers(r).contains(own));
    match asked.method {
        // An update of that very resource, and as we wrote it.
        Method::Put if asked.id.as_deref() != Some(id) => return Err("of another resource".into()),
        Method::Put if returned.is_some_and(|r| status_of(r) != asked.status.as_deref()) => {
            return Err("with another status".into());
        }
        Method::Put if returned.is_some_and(|r| !carries(r)) => return Err("with another identifier".into()),
        // Nothing stood under that id, so what was to be replaced or withdrawn stands elsewhere.
        Method::Put if reply.status == 201 && !asked.creates() => {
            return Err(Doubt { why: "made as a new one: nothing stood under that id", is: Doubts::Place });
        }
        // 200 to a conditional create: nothing was created, one was there. Ours only if it says so itself.
        Method::Post if reply.status == 200 && !returned.is_some_and(carries) => {
            return Err("of what may not be ours".into());
        }
        Method::Get | Method::Post | Method::Put => {}
    }
    if let Some(why) = returned.and_then(|r| asked.contradicted_by(r)) {
        return Err(why.into());
    }
    Ok(id.chars().take(RECORD_ID_CHARS_MAX).collect())
}

fn status_of(resource: &Value) -> Option<&str> {
    resource.get("status").and_then(Value::as_str)
}

/// The listed meaning of the issues. What never mends itself outweighs what may; but a "query" is asked first.
fn worst(issues: &[Issue], rules: &HttpRules) -> Option<HttpRow> {
    let listed: Vec<HttpRow> =
        issues.iter().filter(|i| i.is_error).flat_map(|i| &i.codes).filter_map(|c| rules.issue(c)).collect();
    [HttpRow::Query, HttpRow::Refused, HttpRow::Unknown, HttpRow::Retry].into_iter().find(|row| listed.contains(row))
}

/// A code of FHIR's own list, one that the pack names, or an error number: none of these can be a person's name.
fn shown<'c>(code: &'c str, rules: &HttpRules) -> &'c str {
    let known = ISSUE_TYPES.contains(&code) || rules.issue(code).is_some() || crate::adapter::is_error_code(code);
    if known { code } else { "other" }
}

/// What the record says when it is asked for a document of ours (`Pack::read_back`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBack {
    /// It is there, once, as we sent it: evidence `read_back`.
    Found { record_id: String },
    /// It is there, once, in the record of somebody else.
    Misfiled { record_id: String },
    /// It is not there now. Right after a silence it may still be on its way: wait before sending again.
    NotFound,
    /// It is there more than once: which of them holds only a person can find out.
    Several,
    /// The answer proves neither; why, in words that are safe to show.
    CannotSay { why: &'static str },
}

/// Judges the reply to a read-back. `sent` are the bytes of the rendering that was asked about.
pub fn read_back(reply: &[u8], sent: &[u8]) -> ReadBack {
    found(reply, sent).unwrap_or_else(|why| ReadBack::CannotSay { why })
}

fn found(reply: &[u8], sent: &[u8]) -> Result<ReadBack, &'static str> {
    let reply = Reply::parse(reply).map_err(|_| "the answer cannot be read")?;
    let asked = Asked::of(sent).ok_or("what was sent cannot be read")?;
    let own = asked.identifier.clone().ok_or("what was sent has no identifier")?;
    if reply.status != 200 {
        return Err("the answer is not 200");
    }
    let Content::Json(bundle) = content(&reply.body) else { return Err("the answer is not JSON") };
    if resource::type_of(&bundle) != Some("Bundle") {
        return Err("the answer is not a Bundle");
    }
    if resource::issues(&bundle).iter().any(|i| i.is_error) {
        return Err("the answer holds an error");
    }
    let mut ours = resource::entries(&bundle)
        .filter(|r| resource::type_of(r) == Some(&asked.kind) && resource::identifiers(r).contains(&own));
    match (ours.next(), ours.next()) {
        (Some(one), None) => {
            let id = resource::id_of(one).ok_or("it is there without an id")?;
            match asked.whose(one) {
                Whose::TheSame => {}
                Whose::SomebodyElse => return Ok(ReadBack::Misfiled { record_id: id.to_owned() }),
                Whose::Unsaid => return Err("it is there, and does not say for which patient"),
            }
            if status_of(one) != asked.status.as_deref() {
                return Err("it is there with another status");
            }
            if asked.contradicted_by(one).is_some() {
                return Err("it is there with another text, docStatus or identifier");
            }
            if asked.lacks_text(one) {
                return Err("it is there without its text");
            }
            Ok(ReadBack::Found { record_id: id.to_owned() })
        }
        (Some(_), Some(_)) => Ok(ReadBack::Several),
        (None, _) => {
            // Absent only where the answer is whole: a first page without it, or a count that disagrees, says nothing.
            let links = bundle.get("link").and_then(Value::as_array).into_iter().flatten();
            let more = links.filter_map(|l| l.get("relation")?.as_str()).any(|r| r == "next");
            let counted = bundle.get("total").and_then(Value::as_u64).unwrap_or(0);
            let others = resource::entries(&bundle).any(|r| resource::type_of(r) == Some(&asked.kind));
            if more || others || counted > 0 {
                Err("the answer lists others and not ours")
            } else {
                Ok(ReadBack::NotFound)
            }
        }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
