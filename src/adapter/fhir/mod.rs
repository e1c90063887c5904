//! Packs that speak FHIR over HTTP: tree templates, requests, what replies mean, maps of what comes in. Pure: no network.

pub mod asked;
mod build;
pub mod elements;
pub mod json;
pub mod lookup;
pub mod map;
mod named;
pub mod names;
pub mod outcome;
pub mod print;
mod render;
mod reply;
pub mod resource;
mod tree;
pub mod values;

pub use build::as_form;
pub use lookup::{Died, Found, Lookup, LookupQuestion, NotLookedUp};
pub use render::read_back;
pub(super) use render::render;
pub use reply::{HttpRow, HttpRules, ISSUE_TYPES, meanings as reply_meanings};
pub(in crate::adapter) use reply::{is_untold, untold};

use super::fault::Faults;

/// The text template in a file under `templates/`: JSON as a tree template, anything else as it stands.
pub fn template(path: &str, text: String, faults: &mut Faults) -> Option<String> {
    match path.rsplit('.').next() {
        Some("json") => tree::compile(path, &text, faults),
        Some("txt" | "xhtml") => Some(text),
        _ => {
            faults.add(
                path,
                0,
                "is not a template of a fhir pack",
                "name it .json, or .txt or .xhtml for a document in it",
            );
            None
        }
    }
}

/// The longest JSONPath, and how deeply its brackets may lie in one another: more than anybody writes, and less than its reader can bear.
const PATH_CHARS_MAX: usize = 1000;
const PATH_DEPTH_MAX: usize = 20;

/// A JSONPath (RFC 9535), or what is wrong with it.
pub(super) fn json_path(text: &str) -> Result<serde_json_path::JsonPath, String> {
    if text.chars().count() > PATH_CHARS_MAX {
        return Err(format!("it is longer than {PATH_CHARS_MAX} characters"));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    // A denial denies what follows it; != compares.
    let denials = text.matches('!').count() - text.matches("!=").count();
    if deepest > PATH_DEPTH_MAX || denials > PATH_DEPTH_MAX {
        return Err(format!("it nests more than {PATH_DEPTH_MAX} deep"));
    }
    let path =
        serde_json_path::JsonPath::parse(text).map_err(|e| format!("{} at character {}", e.message(), e.position()))?;
    for expression in expressions(text) {
        if let Err(e) = regex::Regex::new(&expression) {
            let why = e.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(format!("'{expression}' is no regular expression: {why}"));
        }
    }
    Ok(path)
}

/// What match() and search() of a path compare with. One with an escape in it is read by the path's own rules first, and passed over here.
fn expressions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("match(").chain(text.match_indices("search(")) {
        let rest = text.get(at..).unwrap_or_default();
        let Some((_, argument)) = rest.split_once(',') else { continue };
        let argument = argument.trim_start();
        let Some(quote) = argument.chars().next().filter(|c| matches!(c, '\'' | '"')) else { continue };
        let inside = argument.get(1..).unwrap_or_default();
        let expression = inside.split_once(quote).map(|(expression, _)| expression.to_owned());
        found.extend(expression.filter(|e| !e.contains('\\')));
    }
    found
}

#[cfg(test)]
mod tests;
