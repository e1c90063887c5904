//! JSON Schema of the configuration, so that editors complete and underline. Made from the documented file, which a test
//! holds to what the readers ask for: its keys, its kinds of value, its words.

use super::fault::{Findings, join};
use super::tree::{self, Node, Value};
use super::{DOCUMENTED, files};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Tables whose keys are somebody else's.
const FREE: &[&str] = &["endpoint.settings", "endpoint.reply", "endpoint.https.headers"];
/// Values that never stand in the file.
const SECRET: &[&str] = &["store.password", "endpoint.mesh.password", "endpoint.mesh.shared_key"];

/// The documented file with `#key = value` and `#[section]` brought to life.
pub(super) fn everything() -> String {
    let live = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '#', ':']) => rest.to_owned(),
        _ => line.to_owned(),
    };
    DOCUMENTED.lines().map(live).collect::<Vec<_>>().join("\n")
}

/// Schema of `ips-bridge.toml` and of the files it includes.
pub fn schema() -> Json {
    let findings = Findings::default();
    let root = tree::parse(&everything(), &files::source(0, Path::new("ips-bridge.toml")), &findings);
    let mut all = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "IPS Bridge: configuration, and the files it includes",
    });
    if let (Some(all), Json::Object(root)) = (all.as_object_mut(), shape("", &root, &words())) {
        all.extend(root);
    }
    all
}

fn shape(path: &str, node: &Node, words: &BTreeMap<String, String>) -> Json {
    let mut shape = match &node.value {
        _ if FREE.contains(&path) => json!({ "type": "object" }),
        _ if SECRET.contains(&path) => json!({
            "type": "object",
            "properties": { "file": { "type": "string" }, "env": { "type": "string" } },
            "additionalProperties": false,
        }),
        Value::Table(entries) => {
            let mut properties = Map::new();
            for entry in entries {
                let path = join(path, &entry.key);
                properties.insert(entry.key.clone(), shape(&path, &entry.node, words));
            }
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
        Value::List(items) => {
            let table = items.iter().find(|i| matches!(i.value, Value::Table(_)));
            let element = table.map_or_else(|| json!({ "type": "string" }), |t| self::shape(path, t, words));
            json!({ "type": "array", "items": element })
        }
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Int(_) => json!({ "type": "integer" }),
        // A date may stand in quotes, or without.
        Value::Other(_) => json!({}),
        _ => json!({ "type": "string" }),
    };
    if let (Some(shape), Some(words)) = (shape.as_object_mut(), words.get(path)) {
        shape.insert("description".into(), words.clone().into());
    }
    shape
}

/// What stands above each key: the comment, up to the next blank line or comment.
fn words() -> BTreeMap<String, String> {
    let (mut section, mut said, mut open) = (String::new(), String::new(), false);
    let mut all = BTreeMap::new();
    for line in DOCUMENTED.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            if !open {
                said.clear();
            }
            open = true;
            if !comment.starts_with("--") {
                said.push_str(if said.is_empty() { "" } else { " " });
                said.push_str(comment.trim());
            }
            continue;
        }
        open = false;
        let live = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = live.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned();
            if !said.is_empty() {
                all.insert(section.clone(), said.clone());
            }
            said.clear();
        } else if let Some((key, _)) = live.split_once(" = ") {
            if !said.is_empty() {
                all.insert(join(&section, key), said.clone());
            }
        } else {
            said.clear();
        }
    }
    all
}
