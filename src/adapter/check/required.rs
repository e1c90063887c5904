//! What the bridge needs of a message and no row of its map gives: no message could be taken in, whatever it says.

use super::super::examples::broken_by;
use super::super::fault::Faults;
use super::super::input::{self, ShapeKind};
use super::super::manifest::FILE;
use super::super::pack::Pack;
use serde_json::json;

pub fn check(pack: &Pack, faults: &mut Faults) {
    for entry in &pack.manifest.parse {
        let (hl7, tree) = (pack.maps.get(&entry.map), pack.tree_maps.get(&entry.map));
        let Some(makes) = hl7.map(|m| &m.makes).or(tree.map(|m| &m.makes)) else { continue };
        // What is required within them is asked only where they are there.
        let nothing = match makes.as_str() {
            "CreateReferralRequest" => json!({ "patient_details": { "name": {} }, "details": {} }),
            "PatientChange" | "ReferralChange" => json!({}),
            _ => continue,
        };
        for (field, rule) in broken_by(makes, &nothing) {
            let always = rule == "is required" || rule.starts_with("one is required:");
            let gives = hl7.is_some_and(|m| m.gives_of(&field)) || tree.is_some_and(|m| m.gives_of(&field));
            if always && !gives {
                let what = format!("{} has no row for {field}, which every {makes} must have", entry.map);
                faults.add(FILE, entry.line, what, hint(makes, &field));
            }
        }
    }
}

fn hint(makes: &str, field: &str) -> String {
    let words: Vec<&str> = match input::find(makes, field.split('.')) {
        Ok(Some(shape)) => match &shape.kind {
            ShapeKind::Enum(name) => input::words_of(name).filter(|word| !word.ends_with("UNSPECIFIED")).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    match words.as_slice() {
        [] => {
            "add one: from where the message says it, a value, or a setting of the site's; proto/ips/v1 has its rules"
                .into()
        }
        words => format!("add one, by a code table or with a value; it is one of {}", words.join(", ")),
    }
}
