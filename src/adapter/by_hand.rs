//! Messages that a person hands over to see what a pack reads in them: `adapter parse`.

use super::examples::{ZONE, broken_rules};
use super::fault::Fault;
use super::hl7::Batch;
use super::manifest::Format;
use super::pack::Pack;
use serde_json::{Map as JsonMap, Value, json};
use std::path::Path;

/// Parses a message, for `adapter parse`, or each of a batch. Line ends may be LF.
pub fn parse(folder: &Path, bytes: &[u8], settings: &toml::Table) -> Result<Value, Vec<Fault>> {
    let pack = Pack::load(folder)?;
    let mut given = pack.manifest.settings.examples();
    given.extend(settings.iter().map(|(k, v)| (k.clone(), super::table::to_json(v))));
    let settings = pack.manifest.settings.resolve(&given, "settings")?;
    if pack.format() != Format::Hl7v2 || !Batch::is_one(bytes) {
        return parse_one(&pack, bytes, &settings);
    }
    let messages = Batch::split(bytes).map_err(|e| vec![Fault::new("batch", 0, e.to_string(), "")])?;
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (message, number) in messages.iter().zip(1..) {
        match parse_one(&pack, message, &settings) {
            Ok(value) => values.push(value),
            Err(found) => faults.extend(found.into_iter().map(|f| of_message(f, number))),
        }
    }
    if faults.is_empty() { Ok(Value::Array(values)) } else { Err(faults) }
}

/// A fault of the so many-th message of a batch.
fn of_message(fault: Fault, number: u32) -> Fault {
    if fault.file == "message" { Fault { file: format!("message {number}"), ..fault } } else { fault }
}

fn parse_one(pack: &Pack, bytes: &[u8], settings: &JsonMap<String, Value>) -> Result<Value, Vec<Fault>> {
    let not_read = pack.segments_not_read(bytes, settings);
    match pack.parse(bytes, settings, ZONE) {
        Ok(p) if !broken_rules(&p).is_empty() => {
            Err(broken_rules(&p).into_iter().map(|rule| Fault::new("message", 0, rule, "")).collect())
        }
        Ok(p) => Ok(
            json!({ "message": p.message_type, "control_id": p.control_id, "makes": p.makes, "fields": p.value, "nulls": p.nulls, "not_read": not_read }),
        ),
        Err(super::ParseError::Fields(list)) => {
            Err(list.into_iter().map(|f| Fault::new("message", 0, f.to_string(), "")).collect())
        }
        Err(super::ParseError::Settings(list)) => Err(list),
        Err(e) => Err(vec![Fault::new("message", 0, e.to_string(), "")]),
    }
}
