//! Where a pack both renders and parses a message, what was rendered must come back: fields that stand on both sides
//! are compared.

use super::super::cause::Causes;
use super::super::examples::Case;
use super::super::fault::{Fault, Faults};
use super::super::hl7::Envelope;
use super::super::pack::Pack;
use super::super::render::RenderOptions;
use serde_json::{Map, Value};

pub fn check(pack: &Pack, case: &Case, causes: &mut Causes) {
    let mut ignored = Faults::default();
    let Some(input) = pack.example_input(case, &mut ignored) else { return };
    let Ok(rendered) = pack.render_value(&input, &RenderOptions::default()) else { return };
    let Some(envelope) = Envelope::peek(&rendered.bytes) else { return };
    let message = format!("{}^{}", envelope.message_code(), envelope.trigger());
    let Some(entry) = pack.manifest.parse.iter().find(|p| p.message == message) else { return };
    let nothing = Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let zone = input.pointer("/trust/time_zone").and_then(Value::as_str).unwrap_or_default();
    let parsed = match pack.parse(&rendered.bytes, settings, zone) {
        Ok(parsed) => parsed,
        Err(e) => {
            let hint = "map and templates must agree";
            let what = format!("cannot read what example {} renders: {e}", case.name);
            return causes.at_line(&case.name, Fault::new(&entry.map, 0, what, hint), e.to_string());
        }
    };
    let Some(map) = pack.maps.get(&entry.map) else { return };
    for ours in map.ours() {
        let at = |root: &Value, path: &str| {
            root.pointer(&format!("/{}", path.replace('.', "/"))).filter(|v| !v.is_null()).cloned()
        };
        if let (Some(sent), Some(back)) = (at(&input, &in_input(ours)), at(&parsed.value, ours))
            && sent != back
        {
            let what = format!("{ours} does not come back as example {} renders it", case.name);
            let line = map.row_for(ours).unwrap_or_default();
            let fault = Fault::new(&entry.map, line, what, "map and templates must agree");
            causes.at_line(&case.name, fault, format!("{ours} as it comes back"));
        }
    }
}

/// Where a field that a message makes stands in what a template gets.
fn in_input(ours: &str) -> String {
    match ours.split_once('.') {
        Some(("patient_details", rest)) => format!("patient.{rest}"),
        Some(("details", rest)) => format!("referral.details.{rest}"),
        None if ours == "received_at" => "referral.received_at".into(),
        _ => ours.to_owned(),
    }
}
