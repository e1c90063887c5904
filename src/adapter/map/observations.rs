//! OBX rows as text: a letter as it is, and what was answered beside what was asked, for "6" alone says nothing. A comment on one stands behind it.

use super::super::hl7::{Reading, Repeat, Segment};
use super::Where;
use std::borrow::Cow;

/// Text that needs no question.
const TEXT: [&str; 2] = ["FT", "TX"];
/// Codes: the words for them stand beside.
const CODED: [&str; 4] = ["CE", "CWE", "CNE", "CF"];
/// What is one value, whatever marks stand in it.
const PLAIN: [&str; 9] = ["", "ST", "NM", "DT", "TM", "ID", "IS", "SI", "GTS"];
/// Documents, or where they lie.
const ATTACHED: [&str; 2] = ["ED", "RP"];
/// Told of what stands in the message and not in the text: in our words, with nothing of it.
const A_DOCUMENT: &str = "a document";
/// OBX-11 of what its sender does not say any more (HL7 table 0085): posted as wrong, for the wrong patient perhaps; deleted; not to be had.
const STRUCK: [&str; 3] = ["W", "D", "X"];
const WITHDRAWN: &str = "an observation that is marked as wrong, deleted or not obtained";

fn also_carried(what: &str, row: Segment<'_>) -> String {
    let number = one(row, 1, &[1]);
    let which = if number.bytes().all(|b| b.is_ascii_digit()) { number } else { String::new() };
    format!(
        "[The message also carried: {what} ({}), not shown here; see the message in the EPR]",
        format!("OBX {which}").trim_end()
    )
}

/// Every OBX there, and every NTE where `comments`, in the order sent.
pub(super) fn text<'m>(place: Where<'m>, comments: bool) -> Reading<'m> {
    let mut lines: Vec<String> = Vec::new();
    let (mut says_something, mut asked) = (false, String::new());
    for row in place.segments().filter(|s| s.id() == "OBX" || (comments && s.id() == "NTE")) {
        if row.id() == "NTE" {
            let said: Vec<String> = row.field(3).repeats().map(|r| value(r.reading())).collect();
            says_something |= said.iter().any(|line| !line.trim().is_empty());
            lines.push(said.join("\n"));
            asked.clear();
            continue;
        }
        if STRUCK.iter().any(|status| one(row, 11, &[1]).eq_ignore_ascii_case(status)) {
            says_something |= row.field(5).repeats().any(|r| !r.raw().trim().is_empty());
            lines.push(also_carried(WITHDRAWN, row));
            asked.clear();
            continue;
        }
        let kind = one(row, 2, &[1]);
        if ATTACHED.contains(&kind.as_str()) {
            if row.field(5).repeats().any(|r| !r.raw().trim().is_empty()) {
                says_something = true;
                let question = one(row, 3, &[2, 5, 1]);
                let told = also_carried(A_DOCUMENT, row);
                lines.push(if question.is_empty() { told } else { format!("{question}: {told}") });
                asked.clear();
            }
            continue;
        }
        if TEXT.contains(&kind.as_str()) {
            let repeats: Vec<String> = row.field(5).repeats().map(|r| value(r.reading())).collect();
            says_something |= repeats.iter().any(|r| !r.trim().is_empty());
            lines.push(repeats.join("\n"));
            asked.clear();
            continue;
        }
        let answers: Vec<String> =
            row.field(5).repeats().map(|r| answer(&kind, r)).filter(|a| !a.trim().is_empty()).collect();
        if answers.is_empty() {
            continue;
        }
        says_something = true;
        let mut told = if kind == "ST" { answers.join("\n") } else { answers.join(", ") };
        if matches!(kind.as_str(), "NM" | "SN") {
            told = [told, one(row, 6, &[1, 2])].join(" ").trim_end().to_owned();
        }
        let question = one(row, 3, &[2, 5, 1]);
        // A text that was cut into lines, a row each, is asked for once.
        if question.is_empty() || (kind == "ST" && question == asked) {
            lines.push(told);
        } else {
            lines.push(format!("{question}: {told}"));
        }
        asked = if kind == "ST" { question } else { String::new() };
    }
    if says_something { Reading::Value(Cow::Owned(lines.join("\n"))) } else { Reading::Absent }
}

fn value(reading: Reading<'_>) -> String {
    reading.into_value().map(Cow::into_owned).unwrap_or_default()
}

/// The first of these components of a field that says something.
fn one(row: Segment<'_>, field: usize, components: &[usize]) -> String {
    let Some(repeat) = row.field(field).repeats().next() else { return String::new() };
    first(repeat, components)
}

fn first(repeat: Repeat<'_>, components: &[usize]) -> String {
    let read = components.iter().map(|c| value(repeat.component(*c).reading()).trim().to_owned());
    read.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn answer(kind: &str, repeat: Repeat<'_>) -> String {
    let all = |by: &str| {
        let parts = (1..=repeat.raw().len().min(99)).map(|c| value(repeat.component(c).reading()).trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(by)
    };
    match kind {
        _ if CODED.contains(&kind) => first(repeat, &[2, 5, 1, 4]),
        _ if PLAIN.contains(&kind) => value(repeat.reading()).trim().to_owned(),
        "SN" => all(""),
        _ => all(" "),
    }
}
