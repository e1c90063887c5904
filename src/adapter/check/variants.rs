//! An example once more with something changed in its input: what a pack does with another patient, another text, another version.

use super::super::hl7::{Charset, Message};
use super::super::pack::Pack;
use super::super::render::{RenderError, RenderOptions};
use super::super::settings::{self, Kind};
use serde_json::{Value, json};

/// The input with other values at these places (JSON pointers); a place that is not there stays away.
pub fn with(input: &Value, changes: &[(&str, Value)]) -> Value {
    let mut changed = input.clone();
    for (place, value) in changes {
        if let Some(there) = changed.pointer_mut(place) {
            *there = value.clone();
        }
    }
    changed
}

/// With this setting, which the pack declares or the engine alone knows.
pub fn with_setting(input: &Value, name: &str, value: &str) -> Value {
    with(input, &[(&format!("/settings/{name}"), json!(value))])
}

/// What a setting of the engine may be in this pack: the site's choices, or what the engine takes for it.
pub fn choices(pack: &Pack, input: &Value, name: &str) -> Vec<String> {
    match pack.manifest.settings.get(name).map(|setting| &setting.kind) {
        Some(Kind::Choice(list)) => list.clone(),
        _ => vec![engine(input, name)],
    }
}

/// A setting that the engine reads, as it is for this input.
pub fn engine(input: &Value, name: &str) -> String {
    let nothing = serde_json::Map::new();
    settings::engine(input.get("settings").and_then(Value::as_object).unwrap_or(&nothing), name)
}

/// The bytes that an hl7v2 pack makes of it.
pub fn bytes(pack: &Pack, input: &Value) -> Result<Vec<u8>, RenderError> {
    pack.render_value(input, &RenderOptions::default()).map(|made| made.bytes)
}

/// The message that an hl7v2 pack makes of it; none where that stops.
pub fn message(pack: &Pack, input: &Value) -> Option<Message> {
    let charset = Charset::parse(&engine(input, "charset")).unwrap_or(Charset::Utf8);
    Message::read(&bytes(pack, input).ok()?, charset).ok()
}
