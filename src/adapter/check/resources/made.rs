//! The resources that a pack's examples made.

use super::super::super::cause::Causes;
use super::super::super::fault::Fault;
use super::super::super::fhir::elements::elements;
use super::super::super::fhir::values;
use super::{missing, needed};
use serde_json::Value;
use std::collections::BTreeMap;

/// A resource that an example made.
pub struct Made<'m> {
    pub case: &'m str,
    pub file: &'m str,
    pub places: &'m BTreeMap<String, (String, u32)>,
    pub causes: &'m mut Causes,
}

impl Made<'_> {
    pub fn object(&mut self, value: &Value, kind: &'static str, path: &str) {
        let Some(fields) = value.as_object() else { return };
        let kind = match kind {
            "Resource" => fields.get("resourceType").and_then(Value::as_str).and_then(|name| elements().resource(name)),
            kind => Some(kind),
        };
        let Some((kind, of)) = kind.and_then(|kind| Some((kind, elements().of(kind)?))) else { return };
        let mut choices: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in fields {
            let Some(element) = of.iter().find(|e| e.name == *key) else { continue };
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if let Some(choice) = element.choice
                && let Some(other) = choices.insert(choice, key)
            {
                let what = format!("makes both \"{other}\" and \"{key}\", of which {kind} has one");
                self.fault(&path, &what, "let a condition decide which of the two is made");
            }
            let (one, list) = (std::slice::from_ref(value), value.as_array());
            if list.is_some() != element.is_list {
                let what = format!("makes {path} {}", if element.is_list { "no list" } else { "a list" });
                self.fault(&path, &what, "write it with brackets where FHIR has a list, and without where it has one");
            }
            for value in list.map_or(one, Vec::as_slice) {
                if element.is_primitive() {
                    if let Some((what, hint)) = values::refusal(element.kind, value, &element.codes) {
                        self.fault(&path, &format!("makes a message in which {path} {what}"), &hint);
                    }
                } else {
                    self.object(value, element.kind, &path);
                }
            }
        }
        for missing in missing(of, |name| fields.contains_key(name) || fields.contains_key(&format!("_{name}"))) {
            let an = if kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            let what = format!("makes {an} {kind} without \"{missing}\", which it must have in FHIR R4");
            let place = if path.is_empty() { missing.to_owned() } else { format!("{path}.{missing}") };
            self.fault(&place, &what, &needed(of, missing));
        }
    }

    fn fault(&mut self, path: &str, what: &str, hint: &str) {
        let mut at = path;
        let (file, line) = loop {
            if let Some((file, line)) = self.places.get(at) {
                break (file.as_str(), *line);
            }
            match at.rsplit_once('.') {
                Some((before, _)) => at = before,
                None => break (self.file, 0),
            }
        };
        let told = Fault::new(file, line, format!("{what} (example {})", self.case), hint);
        self.causes.at_line(self.case, told, format!("{path}: {what}"));
    }
}
