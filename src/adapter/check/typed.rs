//! What is typed into a template and should be printed: a name, a date or an id of an example stands in it as text, so every patient's message would have it.

use super::super::examples::Case;
use super::super::fault::{Faults, line_of};
use super::super::lint;
use super::super::pack::Pack;
use crate::domain::nhs_number::NhsNumber;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where what is somebody's, or one message's, stands in an input. Of a list every element. NHS numbers are looked for by themselves.
const PLACES: &[&str] = &[
    "patient.name.family",
    "patient.name.given",
    "patient.date_of_birth",
    "patient.local_identifiers.value",
    "patient.address.postcode",
    "patient.phone",
    "patient_id",
    "author.author.display_name",
    "author.author.staff_id",
    "message.control_id",
    "message.document_id",
    "entry.id",
    "referral.id",
];
/// Shorter ones are words of a language sooner or later.
const CHARS_MIN: usize = 3;
/// Numbers of a patient, which stand in no tag either: `| default("…")` would give one patient's to another.
const NUMBERS: &[&str] = &["patient.local_identifiers.value", "patient_id"];
/// In a tag shorter ones may be a count or a year.
const NUMBER_CHARS_MIN: usize = 5;

pub fn check<'c>(pack: &Pack, cases: impl Iterator<Item = &'c Case>, faults: &mut Faults) {
    // Each value once, with the first example that has it.
    let mut known: BTreeMap<String, (&str, String)> = BTreeMap::new();
    for case in cases {
        let Some(input) = pack.example_input(case, &mut Faults::default()) else { continue };
        for place in PLACES {
            for value in all(&input, &place.split('.').collect::<Vec<_>>()) {
                for written in forms(place, value) {
                    known.entry(written).or_insert((place, case.name.clone()));
                }
            }
        }
    }
    for file in pack.sources.under("templates").filter(|file| pack.sources.is_own(file)) {
        let Some(source) = pack.sources.text(file, &mut Faults::default()) else { continue };
        let literal = outside_tags(file, &source);
        for (value, (place, example)) in &known {
            let is_number = NUMBERS.contains(place) && value.chars().count() >= NUMBER_CHARS_MIN;
            let text = if is_number { &source } else { &literal };
            let Some(at) = whole_word(text, value) else { continue };
            let what = format!("{place} of example {example} is typed here: every message would have it");
            faults.add(file, line_of(&source, at), what, format!("print it: {{{{ {place} }}}}"));
        }
    }
}

/// An NHS number in a template or a map, be it of the test range: whoever it is, the messages of all patients would have it.
pub fn numbers(pack: &Pack, faults: &mut Faults) {
    let files = pack.sources.under("templates").chain(pack.sources.under("maps"));
    for file in files.filter(|file| pack.sources.is_own(file)) {
        let Some(source) = pack.sources.text(file, &mut Faults::default()) else { continue };
        for (at, line) in source.lines().enumerate().filter(|(_, line)| NhsNumber::stands_in(line)) {
            // What may be a real one is told of every file already.
            let plain = line.split(|c: char| !c.is_ascii_digit());
            if plain.filter_map(|run| NhsNumber::parse(run).ok()).any(|n| !n.is_test_range()) {
                continue;
            }
            let what = "an NHS number is typed here: every message would have it";
            let hint = "print it: {{ patient.nhs_number }}; in a map name the path that it stands at";
            faults.add(file, u32::try_from(at + 1).unwrap_or(0), what, hint);
        }
    }
}

fn all<'v>(value: &'v Value, path: &[&str]) -> Vec<&'v str> {
    match (value, path) {
        (Value::Array(list), _) => list.iter().flat_map(|v| all(v, path)).collect(),
        (Value::String(text), []) => vec![text],
        (Value::Object(members), [first, rest @ ..]) => members.get(*first).map(|v| all(v, rest)).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The ways in which it may be written.
fn forms(place: &str, value: &str) -> Vec<String> {
    let mut forms = match (place, value.split('-').collect::<Vec<_>>().as_slice()) {
        ("patient.date_of_birth", [year, month, day]) => {
            vec![value.to_owned(), format!("{year}{month}{day}"), format!("{day}/{month}/{year}")]
        }
        ("patient.name.given", _) => value.split_whitespace().map(str::to_owned).collect(),
        _ => vec![value.to_owned()],
    };
    forms.retain(|form| form.chars().count() >= CHARS_MIN);
    forms
}

/// The text with every tag blanked, byte for byte.
fn outside_tags(file: &str, source: &str) -> String {
    let mut literal = source.to_owned();
    for tag in lint::tags(file, source, &mut Faults::default()) {
        literal.replace_range(tag.range.clone(), &" ".repeat(tag.range.len()));
    }
    literal
}

fn whole_word(text: &str, word: &str) -> Option<usize> {
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let (before, rest) = text.split_at(*at);
        is_apart(before.chars().next_back()) && is_apart(rest.get(word.len()..).and_then(|r| r.chars().next()))
    })
}
