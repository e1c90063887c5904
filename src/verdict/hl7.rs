//! HL7 v2: acknowledgements.

use super::shorten;
use crate::adapter::hl7::{AckCode, Charset, Message, Reply, ReplyError};
use crate::adapter::{Hl7Rules, Row};
use crate::domain::verdict::{Level, Meaning, Verdict};

pub fn verdict(reply: &[u8], rules: &Hl7Rules, control_id: &str) -> Verdict {
    let Ok(read) = Reply::read_at(reply, rules.error_at.as_deref()) else { return Verdict::unreadable() };
    // What is stored for later is not in the record yet, whatever the code says.
    let is_later = read.is_delayed && read.code.is_positive();
    let level = if read.code.is_commit() || is_later { Level::Transport } else { Level::Application };
    let mut code = read.code.as_str().to_owned();
    if read.control_id != control_id {
        return Verdict {
            meaning: Meaning::Unknown,
            level,
            code: format!("{code} for another message"),
            duplicate: false,
            untold: false,
            misplaced: false,
            record_id: None,
        };
    }
    if is_later {
        shorten(&mut code, "delayed");
    }
    for error in &read.errors {
        shorten(&mut code, shown(error, rules));
    }
    let row = if read.code.is_positive() { positive(&read, rules) } else { negative(&read, rules) };
    let meaning = match row {
        Row::Positive => Meaning::Positive,
        Row::Refused | Row::Duplicate => Meaning::Refused,
        // It names a document of the record's beside: to send again might make another one.
        Row::Retry if record_id(reply, rules).is_some() => Meaning::Unknown,
        Row::Retry => Meaning::Retry,
        Row::Unknown => Meaning::Unknown,
    };
    let record_id = if meaning == Meaning::Positive { record_id(reply, rules) } else { None };
    Verdict { meaning, level, code, duplicate: row == Row::Duplicate, untold: false, misplaced: false, record_id }
}

/// Whether these bytes are a reply to the message with this control id (MSA-2 = MSH-10, exactly).
pub fn correlates(reply: &[u8], control_id: &str) -> bool {
    Reply::answers(reply).is_some_and(|id| id == control_id)
}

/// The control id a reply answers, if it is a reply: for late acknowledgements, which come on their own.
pub fn answers(reply: &[u8]) -> Option<String> {
    Reply::answers(reply)
}

/// The code of a reply. Not what it answers: what a sender writes there in place of an id may be anything.
pub fn code(reply: &[u8]) -> Option<&'static str> {
    Some(Reply::read(reply).ok()?.code.as_str())
}

/// AA or CA. With an error beside it the sender contradicts itself, unless the error is none (0) or only a warning; a line that cannot be read may
/// be one.
fn positive(reply: &Reply, rules: &Hl7Rules) -> Row {
    let harmless = |e: &ReplyError| {
        e.code == "0" || matches!(e.severity, Some('W' | 'I')) || rules.errors.get(&e.code) == Some(&Row::Positive)
    };
    if reply.errors.iter().all(harmless) && !reply.is_torn { of(reply.code, rules) } else { Row::Unknown }
}

/// AE, AR, CE or CR: the error codes decide where the rules list one, else the acknowledgement code does.
fn negative(reply: &Reply, rules: &Hl7Rules) -> Row {
    let coded = |e: &&ReplyError| !e.code.is_empty() && e.code != "0" && !matches!(e.severity, Some('W' | 'I'));
    let errors = || reply.errors.iter().filter(coded);
    let listed = || errors().filter_map(|e| rules.errors.get(&e.code).copied()).filter(|r| *r != Row::Positive);
    // The worst wins: one fault that never mends itself outweighs any that may.
    for row in [Row::Refused, Row::Duplicate, Row::Unknown, Row::Retry] {
        if listed().any(|r| r == row) {
            return row;
        }
    }
    match reply.code {
        AckCode::AE if errors().next().is_none() => rules.ae_without_code,
        code => of(code, rules),
    }
}

fn of(code: AckCode, rules: &Hl7Rules) -> Row {
    rules.acks.get(code.as_str()).copied().unwrap_or(Row::Unknown)
}

/// Codes hold a digit and are short, or the rules name them; what does not look like one could be a name.
fn shown<'c>(error: &'c ReplyError, rules: &Hl7Rules) -> &'c str {
    let (code, is_listed) = (error.code.as_str(), rules.errors.contains_key(&error.code));
    if is_listed || (!error.is_own && crate::adapter::is_error_code(code)) { code } else { "other" }
}

fn record_id(reply: &[u8], rules: &Hl7Rules) -> Option<String> {
    let path = rules.record_id.as_ref()?;
    let message = Message::read(reply, Charset::Utf8).ok()?;
    let id = path.read(&message).ok()?.into_value()?.trim().to_owned();
    let good = !id.is_empty() && id.chars().count() <= super::RECORD_ID_CHARS_MAX && !id.chars().any(char::is_control);
    good.then_some(id)
}
