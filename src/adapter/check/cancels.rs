//! A referral that is over, cancelled or changed, taken as a new one: a map that makes a referral looks at what the message says of its state.

use super::super::fault::Faults;
use super::super::manifest::{FILE, Format, ParseEntry};
use super::super::map::Map;
use super::super::pack::Pack;

/// Orders: what is done with one stands in ORC-1, how far it is in ORC-5.
const ORDERS: &[&str] = &["ORM^", "OMG^", "OMI^", "OML^"];

pub fn check(pack: &Pack, faults: &mut Faults) {
    for entry in &pack.manifest.parse {
        let found = match (pack.maps.get(&entry.map), pack.tree_maps.get(&entry.map)) {
            (Some(map), _) if map.makes == "CreateReferralRequest" => hl7(entry, map),
            (None, Some(map)) if map.makes == "CreateReferralRequest" && pack.format() == Format::Fhir => {
                let is_asked = entry.message != "ServiceRequest" || map.asks("$.status");
                (!is_asked).then(|| unasked(entry, "$.status", "accept.\"$.status\" = [\"active\"]"))
            }
            _ => None,
        };
        if let Some((what, hint)) = found {
            faults.add(FILE, entry.line, what, hint);
        }
    }
}

fn hl7(entry: &ParseEntry, map: &Map) -> Option<(String, String)> {
    let message = &entry.message;
    if message == "REF^I14" {
        let what = format!("{message} cancels a referral, and {} makes a new one of it", entry.map);
        return Some((what, "give it a map that makes ReferralChange, or remove the [[parse]]".into()));
    }
    let is_order = ORDERS.iter().any(|order| message.starts_with(order));
    let (segment, row) = match is_order {
        true => ("ORC", "accept.\"ORC-1.1\" = { is = [\"NW\"], why = \"ORC-1 is no new order\" }"),
        false if message.starts_with("REF^") => {
            ("RF1", "accept.\"RF1-1.1\" = { is = [\"\", \"P\"], why = \"the referral does not wait for an answer\" }")
        }
        false => return None,
    };
    (!map.asks(segment, 1)).then(|| unasked(entry, &format!("{segment}-1"), row))
}

fn unasked(entry: &ParseEntry, place: &str, row: &str) -> (String, String) {
    let what = format!(
        "{} makes a referral of {} and never looks at {place}: one that was cancelled or is over would be taken as a new one",
        entry.map, entry.message
    );
    (what, format!("add {row} with the words that their new ones have, and an example that it refuses"))
}

/// What may be so: only the supplier knows.
pub fn doubts(pack: &Pack) -> Vec<String> {
    let mut doubts = Vec::new();
    for entry in &pack.manifest.parse {
        let (makes, refuses, of_orders) = match (pack.maps.get(&entry.map), pack.tree_maps.get(&entry.map)) {
            (Some(map), _) => {
                let is_order = ORDERS.iter().any(|order| entry.message.starts_with(order));
                (&map.makes, map.refuses(), is_order && !map.asks("ORC", 5))
            }
            (None, Some(map)) => (&map.makes, map.refuses(), false),
            (None, None) => continue,
        };
        if makes != "CreateReferralRequest" {
            continue;
        }
        let place = format!("{FILE}:{}: doubt: {} makes a referral of {}", entry.line, entry.map, entry.message);
        // Where a rule says which row, that is told as a fault.
        let has_rule = entry.message.starts_with("REF^")
            || entry.message == "ServiceRequest"
            || ORDERS.iter().any(|order| entry.message.starts_with(order));
        if !refuses && !has_rule {
            doubts.push(format!(
                "{place} and refuses none by `accept`: one that was cancelled would be taken as a new one; ask how the EPR says so"
            ));
        }
        if of_orders {
            doubts.push(format!(
                "{place} and never looks at ORC-5: an order that is cancelled (CA) or discontinued (DC) there would be taken as a new one; ask whether they send it"
            ));
        }
    }
    doubts
}
