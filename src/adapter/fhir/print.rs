//! How one value is printed, by what it is printed into. The engine escapes; a template cannot turn that off.

use super::super::request::print::{self as request, into_of, some, unprintable};
use super::super::stop::Stop;
use super::build::mark;
use minijinja::{
    AutoEscape, Error, ErrorKind, Output, State,
    value::{Value, ValueKind},
};
use std::fmt::Write as _;

/// What a template prints into; its name says which.
const JSON: &str = "json";
const TEXT: &str = "txt";
const XHTML: &str = "xhtml";
/// The escaping for a template, by its name: a file under `templates/`, or a part of a request (`adapter.toml:12:path`).
pub fn escape_of(name: &str) -> AutoEscape {
    let ending = name.rsplit([':', '.']).next().unwrap_or_default();
    let file = [JSON, XHTML].into_iter().find(|k| *k == ending);
    AutoEscape::Custom(into_of(name).or(file).unwrap_or(TEXT).into())
}

pub fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let AutoEscape::Custom(into) = state.auto_escape().clone() else {
        return Err(Stop::fault("cannot be printed here", "use it in a template only").into());
    };
    match &*into {
        JSON => piece(out, value),
        TEXT | XHTML => plain(out, value, &into),
        _ => request::print(out, value, &into),
    }
}

/// Into JSON: marks and the kind, so that a leaf that is one expression keeps it.
fn piece(out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    let begin = |out: &mut Output<'_>, kind: char| write!(out, "{}{kind}", mark::PIECE);
    match value.kind() {
        ValueKind::String if value.is_safe() && value.as_str() == Some("") => begin(out, mark::IS_ABSENT)?,
        ValueKind::String => {
            let text = clean(some(value)?)?;
            begin(out, mark::IS_TEXT)?;
            out.write_str(text)?;
        }
        ValueKind::Number if value.is_integer() => {
            begin(out, mark::IS_NUMBER)?;
            write!(out, "{value}")?;
        }
        ValueKind::Bool => {
            begin(out, mark::IS_FLAG)?;
            // minijinja's own word for it is Python's.
            out.write_str(if value.is_true() { "true" } else { "false" })?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            begin(out, mark::IS_LIST)?;
            for item in value.try_iter()? {
                if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) {
                    return Err(Stop::fault("is a list of lists", "pick the list to print").into());
                }
                piece(out, &item)?;
            }
        }
        _ => return Err(unprintable(value)),
    }
    Ok(out.write_char(mark::PIECE_END)?)
}

fn plain(out: &mut Output<'_>, value: &Value, into: &str) -> Result<(), Error> {
    let Some(text) = request::plain(value)? else { return Ok(()) };
    let text = clean(&text)?;
    if into == XHTML { xhtml(out, text) } else { Ok(out.write_str(text)?) }
}

/// Escaped for XHTML; a line break of the text is one on the screen.
fn xhtml(out: &mut Output<'_>, text: &str) -> Result<(), Error> {
    for c in text.chars() {
        match c {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            '\n' => out.write_str("<br/>")?,
            // Not characters of XML 1.0 (section 2.2).
            '\u{fffe}' | '\u{ffff}' => {
                return Err(Stop::NotCarriable("a character that XML does not have".into()).into());
            }
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

/// FHIR R4, datatype string: no character below 32 but tab, line feed and carriage return; and none of our marks can come from a value.
fn clean(text: &str) -> Result<&str, Error> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\n')) {
        Some(c) => {
            Err(Stop::NotCarriable(format!("the control character U+{:04X}, which FHIR cannot carry", u32::from(c)))
                .into())
        }
        None => Ok(text),
    }
}
