//! Packs that speak FHIR over HTTP: tree templates, requests, what replies mean, maps of what comes in. Pure: no network.

mod build;
pub mod json;
pub mod lookup;
pub mod map;
mod named;
pub mod outcome;
pub mod print;
mod render;
mod reply;
pub mod resource;
mod tree;

pub use build::as_form;
pub use lookup::{Died, Found, Lookup, LookupQuestion, NotLookedUp};
pub use render::read_back;
pub(super) use render::render;
pub use reply::{HttpRow, HttpRules, ISSUE_TYPES, meanings as reply_meanings};

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

#[cfg(test)]
mod tests;
