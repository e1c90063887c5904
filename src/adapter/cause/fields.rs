//! Which of our fields differ between what a parse example expects and what it gives.

use crate::adapter::examples::Outcome;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Characters of a value that are shown.
const SHOWN_CHARS: usize = 80;

/// One field of ours, without places in lists: `details.external_ids.value`.
#[derive(Debug, PartialEq, Eq)]
pub struct Differing {
    pub field: String,
    /// Where the message says it, as far as a refusal tells.
    pub from: Option<String>,
    pub was: String,
    pub is: String,
}

/// What a refusal says, by line: `details.team (from PRD-7.1): is required, and was not sent`.
struct Refusal<'t> {
    field: String,
    from: Option<&'t str>,
    what: &'t str,
}

impl<'t> Refusal<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let (field, from, what) = match line.split_once(" (from ") {
            Some((field, rest)) => {
                let (from, what) = rest.split_once("): ")?;
                (field, Some(from), what)
            }
            None => {
                let (field, what) = line.split_once(": ")?;
                (field, None, what)
            }
        };
        let is_field = !field.is_empty() && field.chars().all(|c| c.is_alphanumeric() || "_.[]".contains(c));
        is_field.then(|| Self { field: without_places(field), from, what })
    }

    fn shown(&self) -> String {
        format!("refused: {}", self.what)
    }
}

/// `external_ids[0].value` names the same field as `external_ids[1].value`.
fn without_places(field: &str) -> String {
    let parts = field.split('.').map(|part| part.split('[').next().unwrap_or(part));
    parts.collect::<Vec<_>>().join(".")
}

/// `refused`: what is expected is a refusal.
pub fn differing(expected: &str, refused: bool, outcome: &Outcome) -> Vec<Differing> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    match (refused, outcome.failed()) {
        (false, false) => taken(&read(expected), &read(&outcome.text)),
        (true, true) => otherwise_refused(expected, &outcome.text),
        (false, true) => {
            let was = read(expected);
            let at = |r: &Refusal<'_>| was["fields"].pointer(&format!("/{}", r.field.replace('.', "/"))).map(shown);
            let refusals = outcome.text.lines().filter_map(Refusal::read);
            once(refusals.map(|r| Differing {
                was: at(&r).unwrap_or_else(|| "a message that is taken".into()),
                is: r.shown(),
                from: r.from.map(str::to_owned),
                field: r.field,
            }))
        }
        (true, false) => {
            let is = read(&outcome.text);
            let at = |r: &Refusal<'_>| is["fields"].pointer(&format!("/{}", r.field.replace('.', "/"))).map(shown);
            let refusals = expected.lines().filter_map(Refusal::read);
            once(refusals.map(|r| Differing {
                was: r.shown(),
                is: at(&r).unwrap_or_else(|| "a message that is taken".into()),
                from: r.from.map(str::to_owned),
                field: r.field,
            }))
        }
    }
}

fn once(all: impl Iterator<Item = Differing>) -> Vec<Differing> {
    let mut list: Vec<Differing> = Vec::new();
    for one in all {
        if !list.iter().any(|known| known.field == one.field && known.from == one.from) {
            list.push(one);
        }
    }
    list
}

/// Refusals that are new; where there are none, those that are gone. What is refused first hides the rest.
fn otherwise_refused(expected: &str, actual: &str) -> Vec<Differing> {
    let (was, is): (BTreeSet<&str>, BTreeSet<&str>) = (expected.lines().collect(), actual.lines().collect());
    let new: Vec<Refusal<'_>> = is.difference(&was).filter_map(|line| Refusal::read(line)).collect();
    let gone: Vec<Refusal<'_>> = was.difference(&is).filter_map(|line| Refusal::read(line)).collect();
    let other = |list: &[Refusal<'_>], of: &Refusal<'_>| {
        list.iter().find(|r| r.field == of.field).map_or("no refusal".to_owned(), Refusal::shown)
    };
    let from = |r: &Refusal<'_>| r.from.map(str::to_owned);
    match new.as_slice() {
        [] => once(gone.iter().map(|r| Differing {
            field: r.field.clone(),
            from: from(r),
            was: r.shown(),
            is: "no refusal".into(),
        })),
        new => once(new.iter().map(|r| Differing {
            field: r.field.clone(),
            from: from(r),
            was: other(&gone, r),
            is: r.shown(),
        })),
    }
}

/// Fields of a message that is taken; nothing where it is taken as another one.
fn taken(was: &Value, is: &Value) -> Vec<Differing> {
    if ["message", "makes"].iter().any(|key| was[*key] != is[*key]) {
        return Vec::new();
    }
    let mut found = Vec::new();
    walk(&was["fields"], &is["fields"], &mut Vec::new(), &mut found);
    let nulls = |value: &Value| -> BTreeSet<String> {
        let list = value["nulls"].as_array().into_iter().flatten();
        list.filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    };
    let (were, are) = (nulls(was), nulls(is));
    let null = |is_one: bool| if is_one { "null: delete it" } else { "no null" }.to_owned();
    found.extend(were.symmetric_difference(&are).map(|name| Differing {
        field: name.clone(),
        from: None,
        was: null(were.contains(name)),
        is: null(are.contains(name)),
    }));
    once(found.into_iter())
}

fn walk(was: &Value, is: &Value, at: &mut Vec<String>, found: &mut Vec<Differing>) {
    let nothing = Map::new();
    match (was, is) {
        _ if was == is => {}
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            let (a, b) = (was.as_object().unwrap_or(&nothing), is.as_object().unwrap_or(&nothing));
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                at.push(key.clone());
                walk(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), at, found);
                at.pop();
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() && a.iter().chain(b).all(Value::is_object) => {
            a.iter().zip(b).for_each(|(a, b)| walk(a, b, at, found));
        }
        _ => found.push(Differing { field: at.join("."), from: None, was: shown(was), is: shown(is) }),
    }
}

/// A value of an example, which holds test data.
fn shown(value: &Value) -> String {
    let text = if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(was: Value, is: Value) -> Vec<String> {
        let text = |fields: Value| json!({ "message": "A", "makes": "B", "fields": fields, "nulls": [] }).to_string();
        let outcome = Outcome { file: "expected.json", text: text(is), covers: None, row: None, reasons: Vec::new() };
        let all = differing(&text(was), false, &outcome).into_iter();
        all.map(|d| format!("{} {} {}", d.field, d.was, d.is)).collect()
    }

    #[test]
    fn a_field_is_named_however_deep_it_stands() {
        assert_eq!(
            fields(json!({ "a": { "b": "1", "c": "2" } }), json!({ "a": { "c": "3" } })),
            ["a.b \"1\" nothing", "a.c \"2\" \"3\""]
        );
        assert_eq!(fields(json!({ "a": { "b": 1 } }), json!({})), ["a.b 1 nothing"]);
    }

    #[test]
    fn elements_of_a_list_are_one_field_and_a_list_with_more_of_them_is_the_list() {
        let list = |values: &[&str]| json!({ "ids": values.iter().map(|v| json!({ "value": v })).collect::<Vec<_>>() });
        assert_eq!(fields(list(&["1", "2"]), list(&["3", "4"])), ["ids.value \"1\" \"3\""]);
        assert_eq!(
            fields(list(&["1", "2"]), list(&["1"])),
            ["ids [{\"value\":\"1\"},{\"value\":\"2\"}] [{\"value\":\"1\"}]"]
        );
    }

    #[test]
    fn of_refusals_the_new_ones_count_and_else_those_that_are_gone() {
        let of = |was: &str, is: &str| {
            let found = otherwise_refused(was, is).into_iter();
            found.map(|d| format!("{} {} {}", d.field, d.was, d.is)).collect::<Vec<_>>()
        };
        assert_eq!(
            of("b (from PID-7): is no date\n", "b (from PID-6): is required\n"),
            ["b refused: is no date refused: is required"]
        );
        assert_eq!(of("a: is over\n", "b[0].c (from PID-6): is required"), ["b.c no refusal refused: is required"]);
        assert_eq!(of("a: is over\nb: is bad\n", "a: is over\n"), ["b refused: is bad no refusal"]);
    }
}
