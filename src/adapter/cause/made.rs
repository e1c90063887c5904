//! Render examples: the line of a template that made what differs, or that stopped the message.

use super::Unexpected;
use crate::adapter::expected::differing;
use crate::adapter::fault::{Fault, Faults, line_of};
use crate::adapter::input;
use crate::adapter::manifest::{FILE, Format, RenderEntry};
use crate::adapter::pack::Pack;
use crate::adapter::template::Printed;
use crate::adapter::written::{Spot, Written};
use serde_json::Value;
use std::collections::BTreeSet;

/// Reasons of one example.
const REASONS_MAX: usize = 4;

/// What stopped the message, at its place in the pack.
pub fn reasons(one: &Unexpected) -> Vec<(Fault, String)> {
    let placed = |f: &&Fault| f.file.starts_with("templates/") || f.file == FILE;
    // A line that is none leaves the segment missing that it should have been.
    let torn = one.outcome.reasons.iter().any(|f| f.what.contains("a line is no segment"));
    let counts = |f: &&Fault| !torn || f.what.contains("a line is no segment");
    let told = one.outcome.reasons.iter().filter(placed).filter(counts).take(REASONS_MAX).map(|reason| {
        let what = format!("{}, in example {}", reason.what, one.case.name);
        let hints = [reason.hint.as_str(), one.told.hint.as_str()];
        let hint = hints.iter().filter(|h| !h.is_empty()).copied().collect::<Vec<_>>().join("; ");
        (Fault { what, hint, ..reason.clone() }, reason.what.clone())
    });
    told.collect()
}

/// The first thing that differs between the message that is expected and the one that is made.
pub fn difference(pack: &Pack, one: &Unexpected) -> Option<(Fault, String)> {
    let path = format!("examples/{}/{}", one.case.name, one.outcome.file);
    let expected = pack.sources.text(&path, &mut Faults::default())?;
    let input = pack.example_input(&one.case, &mut Faults::default())?;
    let settings = input.get("settings").and_then(Value::as_object)?;
    let row = pack.manifest.render_entry(input::entry_name(&input)?, settings)?;
    let actual = one.outcome.text.as_str();
    let of = Made { pack, row, input: &input };
    let found = match pack.format() {
        Format::Hl7v2 => of.segment(&expected, actual),
        Format::Fhir | Format::Xml => of.request(&expected, actual),
        Format::Document => of.files(&expected, actual),
    }?;
    let Differs { file, line, subject, was, is } = found;
    let what = match pack.hides(&one.case, &one.outcome) {
        true => format!(
            "{subject} is not what example {} expects (what differs is not shown, because a file of it may hold a real NHS number)",
            one.case.name
        ),
        false => format!("{subject} is not what example {} expects: expected {was}, actual {is}", one.case.name),
    };
    Some((Fault::new(&file, line, what, one.told.hint.clone()), subject))
}

struct Differs {
    file: String,
    line: u32,
    subject: String,
    was: String,
    is: String,
}

struct Made<'m> {
    pack: &'m Pack,
    row: &'m RenderEntry,
    input: &'m Value,
}

impl Made<'_> {
    fn differs(&self, place: Option<(String, u32)>, subject: String, was: Option<&str>, is: Option<&str>) -> Differs {
        let (was, is) = differing(was, is);
        let (file, line) = place.unwrap_or_else(|| (format!("templates/{}", self.row.template), 0));
        Differs { file, line, subject, was, is }
    }

    fn segment(&self, expected: &str, actual: &str) -> Option<Differs> {
        let (at, was, is) = first_line(expected, actual)?;
        let written = self.pack.written(self.input);
        let place = |field| written.as_ref()?.place(Spot { line: at + 1, field });
        let id = |line: Option<&str>| line.and_then(|l| l.get(..3)).unwrap_or_default().to_owned();
        if id(was) != id(is) {
            let subject = format!("segment {} of {}", at + 1, self.row.template);
            return Some(self.differs(place(None), subject, was, is));
        }
        let (was, is) = (was.unwrap_or_default(), is.unwrap_or_default());
        let fields = |line: &'_ str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
        let (a, b) = (fields(was), fields(is));
        let said = |list: &[String], n: usize| list.get(n).cloned().unwrap_or_default();
        let mut numbers = 0..a.len().max(b.len());
        // Only where there are more marks and nothing else is the first of them what differs.
        let number =
            numbers.clone().find(|n| said(&a, *n) != said(&b, *n)).or(numbers.find(|n| a.get(*n) != b.get(*n)))?;
        // MSH-1 is the separator itself.
        let field = if was.starts_with("MSH") { number + 1 } else { number };
        let (was, is) = (a.get(number).map_or("", String::as_str), b.get(number).map_or("", String::as_str));
        Some(self.differs(
            place(Some(field)),
            format!("{}-{field}", id(Some(expected.lines().nth(at)?))),
            Some(was),
            Some(is),
        ))
    }

    fn request(&self, expected: &str, actual: &str) -> Option<Differs> {
        let (at, was, is) = first_line(expected, actual)?;
        let head = actual.lines().take_while(|line| !line.is_empty()).count();
        if at <= head {
            let name = |line: Option<&str>| line.and_then(|l| Some(l.split_once(": ")?.0.to_owned()));
            let subject = name(was).or(name(is)).map_or("the request line".into(), |name| format!("header {name}"));
            return Some(self.differs(Some((FILE.into(), self.row.line)), subject, was, is));
        }
        let (_, was_body) = expected.split_once("\n\n")?;
        let (_, is_body) = actual.split_once("\n\n")?;
        if self.pack.format() == Format::Xml {
            let written = self.pack.written(self.input);
            let line = is?;
            let same = was.unwrap_or_default().chars().zip(line.chars()).take_while(|(a, b)| a == b);
            let within: usize = same.map(|(c, _)| c.len_utf8()).sum();
            let begins: usize = is_body.split_inclusive('\n').take(at - head - 1).map(str::len).sum();
            let place = written.and_then(|w: Written<'_>| {
                let skipped = w.printed().len() - w.printed().trim_start_matches([' ', '\t', '\n']).len();
                w.place_at(skipped + begins + within)
            });
            let element = line.trim_start().strip_prefix('<').and_then(|l| l.split([' ', '>', '/']).next());
            let subject = element.filter(|e| !e.is_empty()).map_or("a line".into(), |name| format!("<{name}>"));
            return Some(self.differs(place, subject, was, is));
        }
        let (was, is): (Value, Value) = (serde_json::from_str(was_body).ok()?, serde_json::from_str(is_body).ok()?);
        let (path, was, is) = first_value(&was, &is, String::new())?;
        let plain = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let (was, is) = (was.map(plain), is.map(plain));
        let place = self.key_at(&path, is.as_deref().unwrap_or_default());
        Some(self.differs(place, path, was.as_deref(), is.as_deref()))
    }

    /// The line of a tree template that has this key: of several the one that prints, or holds, the value.
    fn key_at(&self, path: &str, value: &str) -> Option<(String, u32)> {
        let key = format!("\"{}\"", path.rsplit('.').next()?.split('[').next()?);
        let mut names = BTreeSet::new();
        self.pack.templates.included(&self.row.template, &mut names);
        let printed: Vec<Printed> = self.pack.trace(self.input).unwrap_or_default();
        let mut found = Vec::new();
        for name in names {
            let file = format!("templates/{name}");
            let Some(text) = self.pack.sources.text(&file, &mut Faults::default()) else { continue };
            for (at, _) in text.match_indices(&key) {
                let line = line_of(&text, at);
                let rest = text.get(at..).and_then(|t| t.lines().next()).unwrap_or_default();
                let is_literal = rest.contains(value);
                let prints = printed.iter().any(|p| p.file == file && p.line == line && p.output.contains(value));
                found.push((value.is_empty() || !(is_literal || prints), file.clone(), line));
            }
        }
        found.into_iter().min().map(|(_, file, line)| (file, line))
    }

    fn files(&self, expected: &str, actual: &str) -> Option<Differs> {
        let (at, was, is) = first_line(expected, actual)?;
        let index = actual.lines().enumerate().filter(|(_, l)| l.starts_with("== ")).map(|(n, _)| n).last()?;
        let written = self.pack.written(self.input);
        if at < index {
            let page = self.row.document.as_ref().map(|document| format!("templates/{}", document.page));
            let place = page.map(|page| (page, 0));
            return Some(self.differs(place, format!("line {at} of the document"), was, is));
        }
        let line = is?;
        let same = was.unwrap_or_default().chars().zip(line.chars()).take_while(|(a, b)| a == b);
        let within: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let place = written.and_then(|w: Written<'_>| {
            let begins = printed_line(w.printed(), at.checked_sub(index + 1)?)?;
            w.place_at(begins + within)
        });
        Some(self.differs(place, format!("line {} of the index", at - index), was, is))
    }
}

/// The byte at which a line begins that is not blank.
fn printed_line(printed: &str, number: usize) -> Option<usize> {
    let mut at = 0;
    let mut begins = printed.split('\n').filter_map(|line| {
        let from = at;
        at += line.len() + 1;
        (!line.trim().is_empty()).then_some(from)
    });
    begins.nth(number)
}

/// The first line that differs, its number from 0, as it was and is.
fn first_line<'t>(expected: &'t str, actual: &'t str) -> Option<(usize, Option<&'t str>, Option<&'t str>)> {
    let at = expected.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
    let (was, is) = (expected.lines().nth(at), actual.lines().nth(at));
    (was.is_some() || is.is_some()).then_some((at, was, is))
}

/// The first value that differs; lists are named without the place in them.
fn first_value<'v>(
    was: &'v Value,
    is: &'v Value,
    path: String,
) -> Option<(String, Option<&'v Value>, Option<&'v Value>)> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (was, is) {
        _ if was == is => None,
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(was), Some(is)) => first_value(was, is, below(key)),
                (was, is) => Some((below(key), was, is)),
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(was, is)| first_value(was, is, format!("{path}[]")))
        }
        _ => Some((path, Some(was), Some(is))),
    }
}
