//! How one value is printed into the address or a header of a request. The engine escapes; a template cannot turn that off.

use super::super::filters;
use super::super::stop::Stop;
use minijinja::{
    Error, Output,
    value::{Value, ValueKind},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const PATH: &str = "path";
const QUERY: &str = "query";
const HEADER: &str = "header";

/// RFC 3986: the unreserved characters, and `:` and `/`, which may stand in a query as they are and stay legible there.
pub const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

/// What a part of the manifest is printed into, by its name (`adapter.toml:12:path:path`).
pub fn into_of(name: &str) -> Option<&'static str> {
    let ending = name.rsplit([':', '.']).next().unwrap_or_default();
    [PATH, QUERY, HEADER].into_iter().find(|k| *k == ending)
}

/// Prints into a path, a query or a header.
pub fn print(out: &mut Output<'_>, value: &Value, into: &str) -> Result<(), Error> {
    let Some(text) = plain(value)? else { return Ok(()) };
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        let what = format!("the control character U+{:04X}, which no head of a request can carry", u32::from(c));
        return Err(Stop::NotCarriable(what).into());
    }
    match into {
        PATH if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            && !text.contains("..") =>
        {
            Ok(out.write_str(&text)?)
        }
        PATH => Err(Stop::fault("is no part of a path", "an id of a record has letters, digits, - and . only").into()),
        QUERY => Ok(write!(out, "{}", utf8_percent_encode(&text, IN_QUERY))?),
        _ if text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) => Ok(out.write_str(&text)?),
        _ => Err(Stop::NotCarriable(
            "a header carries visible ASCII on one line, and a value for it holds something else".into(),
        )
        .into()),
    }
}

/// The value as one text; `None` for what `| blank` leaves.
pub fn plain(value: &Value) -> Result<Option<String>, Error> {
    match value.kind() {
        ValueKind::String if value.is_safe() && value.as_str() == Some("") => Ok(None),
        ValueKind::String => some(value).map(|text| Some(text.to_owned())),
        ValueKind::Number if value.is_integer() => Ok(Some(value.to_string())),
        ValueKind::Bool => Err(Stop::fault("is true or false", "choose the word with {% if … %}").into()),
        ValueKind::Seq | ValueKind::Iterable => Err(Stop::fault("is a list", "loop over it, or use | join").into()),
        _ => Err(unprintable(value)),
    }
}

/// A text with something in it.
pub fn some(value: &Value) -> Result<&str, Error> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(empty()),
    }
}

fn empty() -> Error {
    filters::empty("write | blank if this may be left away").into()
}

pub fn unprintable(value: &Value) -> Error {
    match value.kind() {
        ValueKind::None => empty(),
        ValueKind::Number => {
            Stop::fault("is a number with a fraction", "carry it as a text, which prints exactly").into()
        }
        _ => Stop::fault("is a group of fields", "name one of them").into(),
    }
}
