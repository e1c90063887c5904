//! Merges, links, moves and removals, each read as what it is: HL7 says what an event does, whatever a map makes of it.

use super::super::examples::{Case, CaseKind, Outcome};
use super::super::fault::Faults;
use super::super::manifest::{FILE, ParseEntry};
use super::super::map::{Map, Outside, outside};
use super::super::pack::Pack;
use serde_json::Value;

const REMOVED: &str = "PATIENT_CHANGE_KIND_REMOVED";

pub fn check(pack: &Pack, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    if pack.format().is_http() {
        return;
    }
    for entry in &pack.manifest.parse {
        if let (Some(outside), Some(map)) = (outside(&entry.message), pack.maps.get(&entry.map)) {
            row(pack, entry, map, outside, outcomes, faults);
        }
    }
}

fn row(pack: &Pack, entry: &ParseEntry, map: &Map, event: Outside, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    let message = &entry.message;
    let Some(wanted) = event.makes else {
        let what = format!("{message} {}, and nothing that the bridge takes in says so", event.does);
        return faults.add(FILE, entry.line, what, "remove the [[parse]]: what no row reads is kept for a person");
    };
    if map.makes != wanted {
        let what = format!("{message} {}, and {} makes {} of it: {}", event.does, entry.map, map.makes, harm(wanted));
        let hint = match wanted {
            "PatientMerge" => {
                "give it a map that makes PatientMerge (hl7v2-uk/maps/adt_merge.toml is one), or remove the [[parse]]"
            }
            _ => {
                "give it a map that makes PatientChange with kind = PATIENT_CHANGE_KIND_REMOVED, or remove the [[parse]]"
            }
        };
        return faults.add(FILE, entry.line, what, hint);
    }
    if message == "ADT^A29" {
        // What the event alone says, and what its examples show.
        let alone = map.kind_of(message, &pack.tables);
        let kinds = alone.into_iter().chain(kinds(message, outcomes));
        if let Some(kind) = kinds.into_iter().find(|kind| kind != REMOVED) {
            let what = format!("{message} {}, and {} makes {kind} of it: {}", event.does, entry.map, harm(wanted));
            let hint = format!(
                "write \"kind\" = {{ when = \"MSH-9[2=A29].1\", value = \"{REMOVED}\" }} first, or give it a map of its own"
            );
            faults.add(FILE, entry.line, what, hint);
        }
    }
}

fn harm(wanted: &str) -> &'static str {
    match wanted {
        "PatientMerge" => "notes would go on to the record that is given up",
        _ => "notes would go on to a record that is not there",
    }
}

/// The kinds that examples of this message are taken as.
fn kinds<'o>(message: &'o str, outcomes: &'o [(Case, Outcome)]) -> impl Iterator<Item = String> + 'o {
    let of_it = |(case, outcome): &&(Case, Outcome)| {
        case.kind == CaseKind::Parse && !outcome.failed() && outcome.covers.as_deref() == Some(message)
    };
    outcomes.iter().filter(of_it).filter_map(|(_, outcome)| {
        let value: Value = serde_json::from_str(&outcome.text).ok()?;
        Some(value.pointer("/fields/kind")?.as_str()?.to_owned())
    })
}
