//! The input as the template engine has it: every field of our messages is there, also those that are not set, so that a misspelt path and an
//! absent value are two things.

use super::filters::Facts;
use super::input::{Shape, ShapeKind, fields};
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The input and what filters need to know beside it.
pub fn context(input: &Json, facts: &Arc<Facts>) -> Value {
    let nothing = Map::new();
    let mut all = Group::new(fields("RenderInput").unwrap_or_default(), input.as_object().unwrap_or(&nothing));
    all.others.push((Facts::KEY.to_owned(), Value::from_dyn_object(Arc::clone(facts))));
    Value::from_object(all)
}

/// One of our messages.
struct Group {
    shapes: &'static [Shape],
    /// One for each of them.
    values: Vec<Value>,
    /// What no schema tells of.
    others: Vec<(String, Value)>,
}

/// Shows how much there is, never what.
impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({} fields)", self.values.len() + self.others.len())
    }
}

impl Group {
    fn new(shapes: &'static [Shape], set: &Map<String, Json>) -> Self {
        let mut known = 0;
        let mut value = |shape: &Shape| {
            let own = set.get(&shape.name);
            known += usize::from(own.is_some());
            match &shape.kind {
                ShapeKind::Which(members) => {
                    let which = members.iter().find(|m| set.get(*m).is_some_and(|v| !v.is_null()));
                    which.map_or_else(|| Value::from(()), |m| Value::from(m.as_str()))
                }
                kind => of_kind(kind, shape.repeated, own),
            }
        };
        let values = shapes.iter().map(&mut value).collect();
        let is_other = |(name, _): &(&String, &Json)| !shapes.iter().any(|s| s.name == **name);
        let others = match known == set.len() {
            true => Vec::new(),
            false => set.iter().filter(is_other).map(|(name, value)| (name.clone(), open(value))).collect(),
        };
        Self { shapes, values, others }
    }
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let own = self.shapes.iter().zip(&self.values).find(|(shape, _)| shape.name == key).map(|(_, value)| value);
        own.or_else(|| self.others.iter().find(|(name, _)| name == key).map(|(_, value)| value)).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.shapes.iter().map(|s| &s.name).chain(self.others.iter().map(|(name, _)| name));
        let mut names: Vec<&str> = names.map(String::as_str).collect();
        names.sort_unstable();
        Enumerator::Values(names.into_iter().map(Value::from).collect())
    }

    /// Set, whatever is in it.
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// A message of ours that is set and has no fields, such as `job_search`: what kind a note is must be seen by asking for it.
#[derive(Debug)]
struct SetAndEmpty;

impl Object for SetAndEmpty {
    /// No list and no map, so nothing of it counts as empty, and printing it is refused like that of any group of fields.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

fn of_kind(kind: &ShapeKind, repeated: bool, value: Option<&Json>) -> Value {
    match (kind, value) {
        (_, None) if repeated => Value::from(Vec::<Value>::new()),
        (_, None) => Value::from(()),
        (_, Some(Json::Array(items))) if repeated => {
            Value::from(items.iter().map(|item| of_kind(kind, false, Some(item))).collect::<Vec<_>>())
        }
        (ShapeKind::Message(name), Some(Json::Object(set))) => match fields(name) {
            Some(shapes) if !shapes.is_empty() => Value::from_object(Group::new(shapes, set)),
            _ => open(&Json::Object(set.clone())),
        },
        (_, Some(value)) => open(value),
    }
}

/// What has no schema.
fn open(value: &Json) -> Value {
    match value {
        Json::Object(fields) if fields.is_empty() => Value::from_object(SetAndEmpty),
        Json::Object(fields) => {
            Value::from(fields.iter().map(|(k, v)| (k.clone(), open(v))).collect::<BTreeMap<String, Value>>())
        }
        Json::Array(items) => Value::from(items.iter().map(open).collect::<Vec<_>>()),
        Json::String(text) => Value::from(text.as_str()),
        other => Value::from(Serde(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::{set_only, to_json};
    use super::*;
    use crate::wire::v1;

    fn input() -> v1::RenderInput {
        let kind = Some(v1::note_content::Kind::JobSearch(v1::JobSearch {}));
        let note = v1::NoteContent { kind, ..Default::default() };
        let entry = v1::Entry { note: Some(note), title: "Testpatient's note".into(), ..Default::default() };
        v1::RenderInput { entry: Some(entry), ..Default::default() }
    }

    #[test]
    fn what_is_not_set_is_null_and_what_is_misspelt_is_not_there_whether_filled_up_or_not() {
        for json in [set_only(&input()), to_json(&input())] {
            let group =
                Group::new(fields("RenderInput").expect("ours"), json.expect("JSON").as_object().expect("fields"));
            let all = Value::from_object(group);
            let at = |path: &str| path.split('.').fold(all.clone(), |v, part| v.get_attr(part).expect("a group"));
            assert!(at("patient").is_none() && at("entry.outcome").is_none() && at("entry.note.contact").is_none());
            assert!(at("patients").is_undefined() && at("entry.note.contacts").is_undefined());
            assert_eq!((at("entry.note.kind").as_str(), at("entry.headings").len()), (Some("job_search"), Some(0)));
            assert!(at("entry.note.job_search").is_true() && at("entry.note.job_club").is_none());
        }
    }

    #[test]
    fn nothing_of_the_input_is_shown_by_debug() {
        let json = set_only(&input()).expect("JSON");
        let group = Group::new(fields("RenderInput").expect("ours"), json.as_object().expect("fields"));
        assert!(!format!("{group:?}").contains("Testpatient"));
    }
}
