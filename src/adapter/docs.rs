//! The tables of `adapters/README.md`, made from what the engine really offers; a test compares them with the file.

use super::filters::{FILTERS, FilterDoc};
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
        ("engine-settings", settings),
    ]
}

fn filters(list: &[FilterDoc]) -> String {
    let rows = list.iter().map(|f| format!("| `{}` | {} | `{}` |\n", f.name, f.does, f.example.replace('|', "\\|")));
    format!("| filter | what it does | example |\n|---|---|---|\n{}", rows.collect::<String>())
}
