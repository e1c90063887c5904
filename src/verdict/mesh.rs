//! MESH: receipts of messages, what tracking says, reports of messages that did not arrive; and what the application behind the other mailbox says in a message
//! of its own.

use super::{CODE_CHARS_MAX, shorten};
use crate::adapter::fhir::{HttpRow, HttpRules, ISSUE_TYPES, json, resource};
use crate::adapter::is_error_code;
use crate::domain::ask::Answer;
use crate::domain::verdict::{Level, Meaning, Verdict};
use crate::transport::http_message::Reply;
use crate::transport::mesh::{InMessage, Receipt};
use serde_json::Value;

/// Longest id that a message may be said to answer, in characters.
const ANSWERED_CHARS_MAX: usize = 64;

/// What MESH's answer to a message means. That MESH has it is the transport's word, whatever the rules say, and only with its own id of it.
pub fn of_receipt(receipt: &Receipt, rules: &HttpRules) -> Verdict {
    let body: Value = serde_json::from_slice(&receipt.body).unwrap_or_default();
    let codes = codes(&body);
    let mut code = match receipt.status {
        0 => "MESH: broke off".to_owned(),
        status => format!("MESH {status}"),
    };
    for c in &codes {
        shorten(&mut code, if is_error_code(c) { c } else { "other" });
    }
    let taken = receipt.status / 100 == 2;
    let listed = codes.iter().filter(|_| !taken).filter_map(|c| rules.issue(c));
    // What never mends itself outweighs what may.
    let row = [HttpRow::Refused, HttpRow::Query, HttpRow::Unknown, HttpRow::Retry]
        .into_iter()
        .find(|row| listed.clone().any(|l| l == *row))
        .unwrap_or_else(|| rules.status(receipt.status));
    let meaning = match row {
        HttpRow::Positive | HttpRow::Received => match &receipt.message_id {
            Some(id) => {
                shorten(&mut code, id);
                Meaning::Positive
            }
            None => Meaning::Unknown,
        },
        HttpRow::Refused => Meaning::Refused,
        HttpRow::Retry => Meaning::Retry,
        HttpRow::Query | HttpRow::Unknown => Meaning::Unknown,
    };
    // It ended before its last chunk was in: nobody has seen it or will, so another try makes no second copy.
    let meaning = if receipt.unfinished && meaning == Meaning::Unknown { Meaning::Retry } else { meaning };
    said(meaning, Level::Transport, code)
}

/// MESH's error codes, of its first API and its second.
fn codes(body: &Value) -> Vec<String> {
    let second = body.get("detail").and_then(Value::as_array).into_iter().flatten().filter_map(|d| d.get("code"));
    let all = second.chain(body.get("errorCode")).filter_map(Value::as_str);
    all.filter(|code| !code.is_empty()).map(str::to_owned).collect()
}

/// What MESH says when it is asked for a message by the name we gave it.
pub fn tracked(reply: &[u8], control_id: &str) -> Answer {
    let cannot = |code: &str| Answer::CannotSay { code: code.to_owned() };
    let Ok(reply) = Reply::parse(reply) else { return cannot("the answer cannot be read") };
    match reply.status {
        200 => {}
        404 => return Answer::NotFound,
        300 => return cannot("MESH 300: several messages of that name"),
        401 | 403 | 408 | 425 | 429 | 500.. => {
            return Answer::NotHeard { why: format!("MESH answers {}", reply.status) };
        }
        other => return cannot(&format!("MESH {other}")),
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = |first: &str, second: &str| body.get(first).or_else(|| body.get(second)).and_then(Value::as_str);
    if text("localId", "local_id") != Some(control_id) {
        return cannot("MESH speaks of another message");
    }
    let failed = |word: &str| {
        let code = text("statusCode", "status_code").filter(|c| is_error_code(c)).unwrap_or_default();
        format!("MESH says {word} {code}").trim_end().to_owned()
    };
    // Success is not read from anything but the status: MESH goes on saying "success" of what was given up.
    match text("status", "status").unwrap_or_default().to_ascii_lowercase().as_str() {
        "accepted" => Answer::Received { code: "MESH says accepted".into() },
        "acknowledged" => Answer::Received { code: "MESH says acknowledged".into() },
        // Its last chunk is not in: nobody can see it.
        "uploading" => Answer::NotFound,
        "undeliverable" => Answer::NotDelivered { code: failed("undeliverable") },
        "error" => Answer::NotDelivered { code: failed("error") },
        _ => cannot("MESH gives a status that is not known"),
    }
}

/// What a report of MESH says about a message of ours. It is the last word about that message: what was not collected is never handed over later. So it
/// weighs as much as the application's, and ends what the receipt was worth.
pub fn of_report(report: &InMessage) -> Verdict {
    let code = report.mex("statuscode");
    let shown = if is_error_code(code) { code } else { "other" };
    let words = match code {
        "14" => ", not collected in time",
        "12" => ", no such mailbox",
        _ => "",
    };
    let (meaning, level, what) = match report.mex("statussuccess").to_ascii_uppercase().as_str() {
        "ERROR" => (Meaning::Refused, Level::Application, "not delivered"),
        "SUCCESS" => (Meaning::Positive, Level::Transport, "delivered"),
        _ => (Meaning::Unknown, Level::Transport, "unclear"),
    };
    said(meaning, level, format!("MESH report {shown}: {what}{words}"))
}

/// A message that answers one of ours: the id it answers, and what it means under the pack's `ack.` rows. `None`: it is no such message.
pub fn acknowledgement(body: &[u8], rules: &HttpRules) -> Option<(String, Verdict)> {
    let bundle = json::read(body).ok()?;
    let header = message_header(&bundle)?;
    let response = header.get("response")?;
    let answered: String = text(response, "identifier").unwrap_or_default().chars().take(ANSWERED_CHARS_MAX).collect();
    Some((answered, judged(&bundle, text(response, "code").unwrap_or_default(), rules)))
}

/// The one MessageHeader that a message Bundle begins with.
fn message_header(bundle: &Value) -> Option<&Value> {
    let is_message = resource::type_of(bundle) == Some("Bundle") && text(bundle, "type") == Some("message");
    let first = resource::entries(bundle).next().filter(|_| is_message)?;
    (resource::type_of(first) == Some("MessageHeader")).then_some(first)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn judged(bundle: &Value, response: &str, rules: &HttpRules) -> Verdict {
    let outcomes = resource::entries(bundle).filter(|r| resource::type_of(r) == Some("OperationOutcome"));
    let found: Vec<String> = outcomes.flat_map(resource::issues).flat_map(|i| i.codes).collect();
    // FHIR's own words for kinds of trouble say nothing of what became of the message.
    let told: Vec<&str> = found.iter().map(String::as_str).filter(|c| !ISSUE_TYPES.contains(c)).collect();
    let mut code = match response {
        "ok" | "transient-error" | "fatal-error" => format!("ack {response}"),
        _ => "ack other".to_owned(),
    };
    for c in &told {
        shorten(&mut code, if rules.ack(c).is_some() || is_error_code(c) { c } else { "other" });
    }
    let rows: Vec<HttpRow> = if told.is_empty() {
        vec![rules.ack(response).unwrap_or(HttpRow::Unknown)]
    } else {
        told.iter().map(|c| rules.ack(c).unwrap_or(HttpRow::Unknown)).collect()
    };
    let has = |row: HttpRow| rows.contains(&row);
    let good = has(HttpRow::Positive) || has(HttpRow::Received);
    let bad = has(HttpRow::Refused) || has(HttpRow::Retry) || has(HttpRow::Query);
    let (meaning, level, duplicate) = match response {
        // It contradicts itself, or says something that nobody agreed on.
        "ok" if bad || has(HttpRow::Unknown) => (Meaning::Unknown, Level::Application, false),
        "ok" if has(HttpRow::Positive) => (Meaning::Positive, Level::Application, false),
        "ok" if good => (Meaning::Positive, Level::Transport, false),
        "transient-error" | "fatal-error" if good => (Meaning::Unknown, Level::Application, false),
        "transient-error" | "fatal-error" if has(HttpRow::Refused) => (Meaning::Refused, Level::Application, false),
        "transient-error" | "fatal-error" if has(HttpRow::Query) => (Meaning::Refused, Level::Application, true),
        "transient-error" | "fatal-error" if has(HttpRow::Unknown) => (Meaning::Unknown, Level::Application, false),
        "transient-error" | "fatal-error" if has(HttpRow::Retry) => (Meaning::Retry, Level::Application, false),
        _ => (Meaning::Unknown, Level::Application, false),
    };
    Verdict { duplicate, ..said(meaning, level, code) }
}

fn said(meaning: Meaning, level: Level, code: String) -> Verdict {
    let code = code.chars().take(CODE_CHARS_MAX).collect();
    Verdict { meaning, level, code, duplicate: false, untold: false, misplaced: false, record_id: None }
}

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;
