//! What a template sees, without anything that says who or what it is about: for those who change packs and may not read
//! records. Every text keeps its length, its lines and its marks, so that a pack treats it as it treats the real one.

mod message;

pub use message::masked_message;

use super::input::{self, Shape, ShapeKind};
use crate::domain::nhs_number::NhsNumber;
use crate::wire::v1::RenderInput;
use serde_json::Value;

/// Stands for every NHS number: of the test range, and with a good check digit.
const NHS_NUMBER: &str = "9990000018";
/// Stands for every date.
const DATE: &str = "2000-01-01";
/// Stands for every instant.
const INSTANT: &str = "2000-01-01T12:00:00Z";

/// Fields that speak of nobody, and that packs choose by: labels of ours, names of systems. Ids and ODS codes are kept too.
const KEPT: &[(&str, &str)] = &[
    ("Entry", "title"),
    ("Entry", "withdraw_label"),
    ("Entry", "version"),
    ("ReferralDetails", "team"),
    ("LocalIdentifier", "assigning_authority"),
    ("LocalIdentifier", "type"),
    ("ExternalId", "system"),
];
/// Parts of the input that are about the patient.
const MASKED: &[&str] = &["entry", "patient", "referral", "lookup"];

/// The input with every text about the patient made unreadable. `None`: it holds a time that no calendar has.
pub fn masked(input: &RenderInput) -> Option<RenderInput> {
    let mut value = serde_json::to_value(input).ok()?;
    for shape in input::fields("RenderInput").unwrap_or_default().iter().filter(|s| MASKED.contains(&s.name.as_str())) {
        if let Some(part) = value.get_mut(&shape.name) {
            mask(part, shape, "RenderInput");
        }
    }
    serde_json::from_value(value).ok()
}

fn mask(value: &mut Value, shape: &Shape, of: &str) {
    match (value, &shape.kind) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| mask(item, shape, of)),
        (Value::Object(map), ShapeKind::Message(name)) => {
            for inner in input::fields(name).unwrap_or_default() {
                if let Some(part) = map.get_mut(&inner.name) {
                    mask(part, inner, name);
                }
            }
        }
        (Value::String(text), ShapeKind::Scalar) if !kept(of, &shape.name) => *text = instead_of(text),
        (Value::Number(n), ShapeKind::Scalar) if !kept(of, &shape.name) => *n = instead_of_number(n),
        (other, ShapeKind::Open) => mask_all(other),
        _ => {}
    }
}

/// Of what the record said nothing is known: every text in it.
fn mask_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = instead_of(text),
        Value::Array(items) => items.iter_mut().for_each(mask_all),
        Value::Object(map) => map.values_mut().for_each(mask_all),
        Value::Number(n) => *n = instead_of_number(n),
        Value::Null | Value::Bool(_) => {}
    }
}

fn kept(message: &str, name: &str) -> bool {
    KEPT.contains(&(message, name)) || name == "id" || name.ends_with("_id") || name.ends_with("_ods")
}

fn instead_of(text: &str) -> String {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return INSTANT.to_owned();
    }
    if text.len() == DATE.len() && text.parse::<jiff::civil::Date>().is_ok() {
        return DATE.to_owned();
    }
    if NhsNumber::parse(text).is_ok() {
        return NHS_NUMBER.to_owned();
    }
    text.chars().map(instead_of_char).collect()
}

/// As long as it is, and not nothing.
fn instead_of_number(n: &serde_json::Number) -> serde_json::Number {
    let ones: String = n.to_string().chars().map(|c| if c.is_ascii_digit() { '1' } else { c }).collect();
    ones.parse().unwrap_or_else(|_| 1.into())
}

/// One of the same kind: what a character set lacks, it lacks still.
pub(super) fn instead_of_char(c: char) -> char {
    match c {
        '0'..='9' => '0',
        'A'..='Z' => 'X',
        'a'..='z' => 'x',
        c if !c.is_alphanumeric() => c,
        c if u32::from(c) < 0x100 => 'é',
        // Of 8859/15 and windows-1252 as well.
        'Š' | 'š' | 'Ž' | 'ž' | 'Œ' | 'œ' | 'Ÿ' => 'š',
        _ => 'ŵ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn texts(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::String(text) => into.extend(text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned)),
            Value::Array(items) => items.iter().for_each(|i| texts(i, into)),
            Value::Object(map) => map.values().for_each(|v| texts(v, into)),
            _ => {}
        }
    }

    #[test]
    fn no_figure_and_no_time_of_a_contact_is_left() {
        let case = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("adapters/hl7v2-uk/examples/render-note-ascii-quotes");
        let text = std::fs::read_to_string(case.join("input.json")).expect("an example");
        let mut input = serde_json::to_value(input::from_json(&text).expect("an input")).expect("JSON");
        let contact = input.pointer_mut("/entry/note/contact").and_then(Value::as_object_mut).expect("a contact");
        contact.insert("duration_minutes".into(), 47.into());
        let occurred = input.pointer("/entry/note/occurred_at").and_then(Value::as_str).expect("a time").to_owned();
        let masked = masked(&serde_json::from_value(input).expect("an input")).expect("masked");
        let masked = serde_json::to_value(&masked).expect("JSON");
        assert_eq!(masked.pointer("/entry/note/contact/duration_minutes"), Some(&Value::from(11)));
        assert_eq!(masked.pointer("/entry/note/occurred_at"), Some(&Value::from(INSTANT)));
        assert_ne!(occurred, INSTANT);
        assert_eq!(
            "Šœé".chars().map(instead_of_char).collect::<String>(),
            "ššé",
            "8859/15 has what stands for its letters"
        );
    }

    #[test]
    fn no_word_of_a_note_or_of_a_patient_is_left() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk/examples");
        let mut seen = 0;
        for case in std::fs::read_dir(folder).expect("examples").flatten() {
            let Ok(text) = std::fs::read_to_string(case.path().join("input.json")) else { continue };
            let Ok(input) = input::from_json(&text) else { continue };
            let masked = masked(&input).expect("masked");
            let (before, after) =
                (serde_json::to_value(&input).expect("JSON"), serde_json::to_value(&masked).expect("JSON"));
            let words = |v: &Value, path: &str| {
                let mut words = BTreeSet::new();
                v.pointer(path).into_iter().for_each(|v| texts(v, &mut words));
                words
            };
            let mut secret = words(&before, "/patient/name");
            for path in [
                "/patient/nhs_number",
                "/patient/date_of_birth",
                "/patient/address",
                "/patient/phone",
                "/entry/text",
                "/entry/headings",
                "/entry/reason",
                "/entry/note/text",
            ] {
                secret.extend(words(&before, path));
            }
            let mut left = BTreeSet::new();
            for part in ["/patient", "/entry", "/referral"] {
                left.extend(words(&after, part));
            }
            let mut kept = words(&before, "/entry/title");
            kept.extend(words(&before, "/entry/withdraw_label"));
            // Short figures stand in what is put for others, too.
            let telling = |w: &str| w.chars().count() > 1 && (w.chars().any(char::is_alphabetic) || w.len() > 5);
            let found: Vec<&String> = secret
                .iter()
                .filter(|w| telling(w) && *w != NHS_NUMBER && !kept.contains(*w) && left.contains(*w))
                .collect();
            assert!(found.is_empty(), "{:?}: {found:?}", case.path());
            let long = |v: &Value| {
                v.pointer("/entry/text").and_then(Value::as_str).map(|t| (t.chars().count(), t.lines().count()))
            };
            assert_eq!(long(&before), long(&after));
            seen += 1;
        }
        assert!(seen > 40);
    }
}
