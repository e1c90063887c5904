//! The tables of `adapters/README.md`, made from what the engine really offers; a test compares them with the file.

use super::filters::{FILTERS, FilterDoc};
use super::input::{self, ShapeKind};
use super::settings::ENGINE_SETTINGS;
use super::{fhir, map};

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

fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

fn filters(list: &[FilterDoc]) -> String {
    let rows = list.iter().map(|f| format!("| `{}` | {} | `{}` |\n", f.name, f.does, f.example.replace('|', "\\|")));
    format!("| filter | what it does | example |\n|---|---|---|\n{}", rows.collect::<String>())
}
