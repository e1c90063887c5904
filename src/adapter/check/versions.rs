//! A change or a withdrawal of a note that has been changed before: the first document's id names a version that the record has put away.

use super::super::examples::Case;
use super::super::fault::{Fault, Faults};
use super::super::input;
use super::super::manifest::Format;
use super::super::pack::Pack;
use super::super::render::{RenderError, RenderOptions};
use super::variants::with;
use serde_json::{Value, json};

/// A document that is named nowhere else.
const FIRST: &str = "01JNBRZC5M8Q4T7V9XA2E3FZZ9";

pub fn check(pack: &Pack, case: &Case, faults: &mut Faults) {
    let Some(input) = pack.example_input(case, &mut Faults::default()) else { return };
    let nothing = serde_json::Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let Some(entry) = input::entry_name(&input) else { return };
    let Some(row) = pack.manifest.render_entry(entry, settings) else { return };
    let Some((kind, "replace" | "withdraw")) = entry.split_once('.') else { return };
    let keeps = match pack.format() {
        Format::Xml => pack.manifest.render.iter().any(|row| row.keeps_document_id),
        _ => pack.manifest.render_entry(&format!("{kind}.replace"), settings).is_some_and(|row| row.keeps_document_id),
    };
    // There the first document is the one that the record has.
    if keeps {
        return;
    }
    let other = with(&input, &[("/message/first_document_id", json!(FIRST))]);
    let file = format!("templates/{}", row.template);
    let hint = "print {{ message.replaces.document_id }} or {{ message.replaces.record_id }}: {{ message.first_document_id }} is the first version's";
    match pack.render_value(&other, &RenderOptions::default()) {
        Err(RenderError::NotRenderable(list)) => {
            let what =
                |f: Fault| format!("{entry} of a note that was replaced before names the wrong version: it {}", f.what);
            list.into_iter().for_each(|f| faults.add(&file, 0, what(f), hint));
        }
        Ok(_) if names_first_alone(pack, &other) => {
            let what = format!(
                "{entry} of a note that was replaced before names its first version, and not the one that is there"
            );
            faults.add(&file, 0, what, hint);
        }
        _ => {}
    }
}

fn names_first_alone(pack: &Pack, input: &Value) -> bool {
    let Ok(printed) = pack.trace(input) else { return false };
    let says = |id: &str| !id.is_empty() && printed.iter().any(|p| p.output.contains(id));
    let former = ["/message/replaces/document_id", "/message/replaces/record_id"];
    let mut former = former.iter().filter_map(|place| input.pointer(place)?.as_str());
    says(FIRST) && !former.any(says)
}
