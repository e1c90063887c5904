//! The tables of `adapters/README.md`, made from what the engine really offers; a test compares them with the file.

use super::examples::broken_by;
use super::filters::{FILTERS, FilterDoc};
use super::form::message::TAKEN_IN;
use super::input::{self, ShapeKind};
use super::settings::ENGINE_SETTINGS;
use super::{fhir, map};
use serde_json::json;
use std::collections::BTreeMap;

/// Name of the part and its Markdown.
pub fn tables() -> Vec<(&'static str, String)> {
    let settings = ENGINE_SETTINGS.iter().map(|s| {
        let fallback = if s.fallback.is_empty() { String::new() } else { format!("`{}`", s.fallback) };
        let choices = s.choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {fallback} | {choices} | {} |\n", s.name, s.help)
    });
    let settings = format!(
        "| setting | if not declared | may be | what it does |\n|---|---|---|---|\n{}",
        settings.collect::<String>()
    );
    vec![
        ("filters", filters(FILTERS)),
        ("map-filters", filters(map::FILTERS)),
        ("fhir-map-filters", filters(fhir::map::FILTERS)),
        ("xml-map-filters", filters(fhir::map::XML_FILTERS)),
        ("engine-settings", settings),
        ("template-inputs", inputs()),
    ]
    .into_iter()
    .chain(TAKEN_IN.iter().map(|makes| (*makes, targets(makes))))
    .collect()
}

/// Messages inside messages that are shown.
const MAX_DEPTH: usize = 6;

/// Every path that a template can use, from the proto.
fn inputs() -> String {
    let mut rows = String::from("| path | holds |\n|---|---|\n");
    paths("RenderInput", "", 0, &mut rows);
    rows
}

fn paths(message: &str, before: &str, depth: usize, rows: &mut String) {
    for shape in input::fields(message).unwrap_or_default() {
        let path = format!("{before}{}", shape.name);
        let list = if shape.repeated { "list of " } else { "" };
        let null = if shape.optional && !shape.repeated { ", or null" } else { "" };
        let holds = match &shape.kind {
            ShapeKind::Scalar => format!("{list}{}{null}", shape.word),
            ShapeKind::Enum(name) => format!("{list}{}{null}", listed(input::words_of(name))),
            ShapeKind::Which(members) => {
                format!("which of these is set: {}{null}", listed(members.iter().map(String::as_str)))
            }
            ShapeKind::Message(name) => format!("{list}{name}{null}"),
            ShapeKind::Open if shape.name == "lookup" => {
                "what the pack's lookups gave, or null: `lookup.patient.id` … (fhir and xml packs)".into()
            }
            ShapeKind::Open => "the endpoint's settings, as the manifest names them: `settings.charset` …".into(),
        };
        rows.push_str(&format!("| `{path}` | {holds} |\n"));
        if let ShapeKind::Message(name) = &shape.kind
            && depth < MAX_DEPTH
        {
            let each = if shape.repeated { "[]" } else { "" };
            paths(name, &format!("{path}{each}."), depth + 1, rows);
        }
    }
}

/// What a map never gives: the bridge knows it, or makes it of what the message sends empty.
const NOT_FROM_MAPS: &[&str] = &["request_id", "trust_ods", "patient_id", "cleared"];

/// Every field of ours that a map can fill, from the proto, and what the rules say of those that are not there.
fn targets(makes: &str) -> String {
    let nothing = match makes {
        "CreateReferralRequest" => json!({ "patient_details": { "name": {} }, "details": {} }),
        "PatientMerge" => json!({ "merges": [{}] }),
        _ => json!({}),
    };
    let rules: BTreeMap<String, String> = broken_by(makes, &nothing).into_iter().collect();
    let mut rows = String::from("| field | holds | if it is missing |\n|---|---|---|\n");
    fill_rows(makes, "", &rules, 0, &mut rows);
    rows
}

fn fill_rows(message: &str, before: &str, rules: &BTreeMap<String, String>, depth: usize, rows: &mut String) {
    for shape in input::fields(message).unwrap_or_default() {
        if before.is_empty() && NOT_FROM_MAPS.contains(&shape.name.as_str()) {
            continue;
        }
        let path = format!("{before}{}", shape.name);
        let list = if shape.repeated { "list of " } else { "" };
        let holds = match &shape.kind {
            ShapeKind::Scalar => format!("{list}{}", shape.word),
            ShapeKind::Enum(name) => {
                format!("{list}{}", listed(input::words_of(name).filter(|word| !word.ends_with("_UNSPECIFIED"))))
            }
            ShapeKind::Message(name) if shape.repeated => {
                format!("list of {name}: `[each.\"{}\"]`", path.replace("[].", "\".each.\""))
            }
            ShapeKind::Message(name) => name.clone(),
            // One of them is filled; nothing is said of which.
            ShapeKind::Which(_) | ShapeKind::Open => continue,
        };
        let said = rules.iter().find(|(field, _)| field.replace("[0]", "") == path.replace("[]", ""));
        rows.push_str(&format!("| `{path}` | {holds} | {} |\n", said.map_or("", |(_, rule)| rule)));
        if let ShapeKind::Message(name) = &shape.kind
            && depth < MAX_DEPTH
        {
            let each = if shape.repeated { "[]" } else { "" };
            fill_rows(name, &format!("{path}{each}."), rules, depth + 1, rows);
        }
    }
}

fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

fn filters(list: &[FilterDoc]) -> String {
    let rows = list.iter().map(|f| format!("| `{}` | {} | `{}` |\n", f.name, f.does, f.example.replace('|', "\\|")));
    format!("| filter | what it does | example |\n|---|---|---|\n{}", rows.collect::<String>())
}
