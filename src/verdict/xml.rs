//! XML over HTTP: status, Fault, result code, and whether the reply names the record's id and what it answers. Every proof that the pack asks
//! for must be there, once and without contradiction.

use super::http::unless_several;
use super::{RECORD_ID_CHARS_MAX, shorten};
use crate::adapter::fhir::HttpRow;
use crate::adapter::is_error_code;
use crate::adapter::xml::{self, Unclear, XmlRules};
use crate::domain::verdict::{Level, Meaning, Verdict};
use crate::transport::http_message::{Reply, Request};
use roxmltree::Document;

/// SOAP's own codes of a Fault: none can be a person's name.
const SOAP_CODES: &[&str] =
    &["Client", "Server", "Sender", "Receiver", "VersionMismatch", "MustUnderstand", "DataEncodingUnknown"];

/// What a reply to this request means. `duplicate` beside [`Meaning::Unknown`] says: it may be there already.
pub fn verdict(reply: &[u8], rules: &XmlRules, request: &[u8]) -> Verdict {
    let Ok(reply) = Reply::parse(reply) else { return Verdict::unreadable() };
    let mut code = reply.status.to_string();
    let (row, record_id) = match xml::read(&reply.body) {
        Ok(body) => match judge(&reply, &body, rules, request, &mut code) {
            // A no beside what proves a yes: whoever believed it would send the note again, or call it never sent.
            (HttpRow::Refused | HttpRow::Retry, _) if holds_proof(&body, rules) => {
                code = format!("{}, yes and no at once", reply.status);
                (HttpRow::Unknown, None)
            }
            judged => judged,
        },
        // Nothing, or a proxy's page: the status alone, which files nothing. A 202 may be without a body, not with one that cannot be read.
        Err(_) => match rules.status(reply.status) {
            row @ (HttpRow::Positive | HttpRow::Received) if row == HttpRow::Positive || !is_blank(&reply.body) => {
                code = format!("{}, without a body that could be read", reply.status);
                (HttpRow::Unknown, None)
            }
            row => (row, None),
        },
    };
    let row = unless_several(row, reply.status, request);
    let meaning = match row {
        HttpRow::Positive | HttpRow::Received => Meaning::Positive,
        HttpRow::Refused => Meaning::Refused,
        HttpRow::Retry => Meaning::Retry,
        HttpRow::Query | HttpRow::Unknown => Meaning::Unknown,
    };
    let level = if row == HttpRow::Received { Level::Transport } else { Level::Application };
    Verdict { meaning, level, code, duplicate: row == HttpRow::Query, untold: false, misplaced: false, record_id }
}

/// Whether a reply holds the record's id, or a result that is a yes, whatever else it says.
pub fn shows_filing(reply: &[u8], rules: &XmlRules) -> bool {
    let Ok(reply) = Reply::parse(reply) else { return false };
    xml::read(&reply.body).is_ok_and(|body| holds_proof(&body, rules))
}

/// Whether its body is XML that no browser is meant to show.
pub fn is_its_own(reply: &Reply) -> bool {
    xml::read(&reply.body).is_ok_and(|body| !body.root_element().tag_name().name().eq_ignore_ascii_case("html"))
}

fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}

pub(super) fn is_yes(row: HttpRow) -> bool {
    matches!(row, HttpRow::Positive | HttpRow::Received)
}

/// Anything at all where the record's id stands, or one yes among the results. Of more than can be looked at something may be.
fn holds_proof(body: &Document<'_>, rules: &XmlRules) -> bool {
    let found = |path: &Option<xml::Path>, proves: &dyn Fn(Option<String>) -> bool| {
        path.as_ref()
            .is_some_and(|path| path.find(body, None).map_or(true, |all| all.iter().any(|one| proves(one.text()))))
    };
    found(&rules.record_id, &|id| id.is_none_or(|id| !id.trim().is_empty()))
        || found(&rules.result_at, &|said| said.is_some_and(|s| rules.result(s.trim()).is_some_and(is_yes)))
}

fn judge(
    reply: &Reply,
    body: &Document<'_>,
    rules: &XmlRules,
    request: &[u8],
    code: &mut String,
) -> (HttpRow, Option<String>) {
    let unknown = |code: &mut String, why: &str| {
        *code = format!("{}, {why}", reply.status);
        (HttpRow::Unknown, None)
    };
    let Ok(names) = echoed(body, rules, request) else { return unknown(code, "of another message") };
    let status = rules.status(reply.status);
    let faults = faults(body, rules);
    let has_fault = has_fault(body, rules);
    let result = match rules.result_at.as_ref().map(|path| path.value(body)) {
        Some(Err(Unclear)) => return unknown(code, "with several results"),
        Some(Ok(result)) => result,
        None => None,
    };
    for fault in &faults {
        shorten(code, shown(fault, rules.fault(fault).is_some()));
    }
    if let Some(result) = &result {
        shorten(code, shown(result, rules.result(result).is_some()));
    }
    // A result that no row lists is unknown, as a code of a Fault beside one that is listed is.
    let said = result.as_deref().map(|r| rules.result(r).unwrap_or(HttpRow::Unknown));
    let mut listed: Vec<HttpRow> = faults.iter().filter_map(|f| rules.fault(f)).collect();
    if !listed.is_empty() && listed.len() < faults.len() {
        listed.push(HttpRow::Unknown);
    }
    listed.extend(said.filter(|row| !is_yes(*row)));
    if let Some(row) = worst(&listed) {
        return (row, None);
    }
    match (status, said) {
        // Nothing of a body with a Fault in it is believed, and no yes beside a status that says no.
        (row, _) if (is_yes(row) || row == HttpRow::Refused) && has_fault => {
            unknown(code, "with a fault that is not listed")
        }
        (row, Some(_)) if !is_yes(row) => unknown(code, "whose body says yes"),
        (HttpRow::Received, _) | (HttpRow::Positive, Some(HttpRow::Received)) => (HttpRow::Received, None),
        (HttpRow::Positive, said) => match filed(body, rules, said.is_some(), names) {
            Ok(record_id) => (HttpRow::Positive, record_id),
            Err(why) => unknown(code, why),
        },
        (row, _) => (row, None),
    }
}

/// Whether the reply names the message it answers; `Err`: it names another.
fn echoed(body: &Document<'_>, rules: &XmlRules, request: &[u8]) -> Result<bool, Unclear> {
    let (Some(at), Some(of)) = (&rules.echo.at, &rules.echo.of) else { return Ok(true) };
    let Some(theirs) = at.value(body)? else { return Ok(false) };
    let request = Request::parse(request).map_err(|_| Unclear)?;
    let sent = xml::read(&request.body).map_err(|_| Unclear)?;
    if of.value(&sent)?.is_some_and(|ours| ours == theirs) { Ok(true) } else { Err(Unclear) }
}

/// The record's id of what was sent, where every proof is there that the pack asks for; else what is missing, in words that are safe to show.
fn filed(body: &Document<'_>, rules: &XmlRules, has_result: bool, names: bool) -> Result<Option<String>, &'static str> {
    if rules.result_at.is_some() && !has_result {
        return Err("without a result");
    }
    if !names {
        return Err("without the message it answers");
    }
    let Some(path) = &rules.record_id else {
        return if has_result { Ok(None) } else { Err("without anything that proves it") };
    };
    match path.value(body) {
        Ok(Some(id)) if id.chars().count() > RECORD_ID_CHARS_MAX || id.contains(is_unseen) => {
            Err("with a record's id that cannot be kept")
        }
        Ok(Some(id)) => Ok(Some(id)),
        Ok(None) => Err("without the record's id"),
        Err(Unclear) => Err("with several ids"),
    }
}

/// Control and format characters (Cc, Cf), and what breaks lines: two ids that look alike would not be, and what stands behind one could be shown turned round.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E
            | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A | 0xE0000..=0xE007F)
}

/// A Fault anywhere, or anything where the pack says that one stands, be it of a form that gives no code.
pub(super) fn has_fault(body: &Document<'_>, rules: &XmlRules) -> bool {
    let says = |found: &xml::Found<'_, '_>| found.text().is_none_or(|text| !text.trim().is_empty());
    body.descendants().any(|n| n.is_element() && n.tag_name().name() == "Fault")
        || rules.fault_at.iter().any(|path| path.find(body, None).map_or(true, |found| found.iter().any(says)))
}

fn faults(body: &Document<'_>, rules: &XmlRules) -> Vec<String> {
    rules.fault_at.iter().flat_map(|path| path.texts(body, None).unwrap_or_default()).collect()
}

/// What never mends itself outweighs what may; but a "query" is asked first.
fn worst(listed: &[HttpRow]) -> Option<HttpRow> {
    [HttpRow::Query, HttpRow::Refused, HttpRow::Unknown, HttpRow::Retry].into_iter().find(|row| listed.contains(row))
}

/// A code that the pack names, one of SOAP's own, or an error number.
fn shown(code: &str, is_listed: bool) -> &str {
    let local = code.rsplit_once(':').map_or(code, |(_, local)| local);
    if is_listed || SOAP_CODES.contains(&local) || is_error_code(local) { local } else { "other" }
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
