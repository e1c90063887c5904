//! What `only` leaves out, and may still be what we look for elsewhere.

use super::super::super::map::{Around, FieldFault};
use super::place::Path;
use super::{Each, Made, Map, Scope};
use crate::domain::nhs_number::NhsNumber;
use serde_json::Value;

/// An element that is left out, and from which the filter makes something, has a person look, where the message gives no such field of ours.
#[derive(Debug, Clone)]
pub(super) struct LeftOut {
    pub from: Path,
    pub made: Made,
    /// Our field that it may be.
    pub unless: String,
    pub why: String,
    pub line: u32,
}

impl LeftOut {
    /// A field that is there and cannot be read has been told already.
    pub fn counts(&self, ours: &Value, faults: &[FieldFault]) -> bool {
        let at = format!("/{}", self.unless.replace('.', "/"));
        ours.pointer(&at).is_none() && faults.iter().all(|fault| fault.field != self.unless)
    }

    pub fn refuses(&self, of: &Each, scope: Scope<'_>, around: &Around<'_>) -> Option<FieldFault> {
        let texts = self.from.texts(scope).unwrap_or_default();
        let may_be_it = texts.iter().any(|text| self.made.make(text, around).is_ok());
        may_be_it.then(|| FieldFault { field: "accept".into(), from: of.overs(), what: self.why.clone() })
    }
}

impl Each {
    /// Whether `only` leaves this element in.
    pub(super) fn takes(&self, scope: Scope<'_>, around: &Around<'_>) -> bool {
        self.only.as_ref().is_none_or(|(path, table, _)| {
            let texts = path.texts(scope).unwrap_or_default();
            around.tables.get(table).is_some_and(|table| texts.iter().any(|text| table.lists(text)))
        })
    }

    /// What is told of a message that `left_out` refuses, and the row's line.
    pub(super) fn refusal(&self) -> Option<(String, u32)> {
        self.left_out.as_ref().map(|left_out| (self.overs(), left_out.line))
    }

    fn overs(&self) -> String {
        self.over.iter().map(|path| path.shown.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Map {
    /// NHS numbers of identifiers anywhere in a message that `left_out` refuses: it is looked at where one of them is somebody's we know.
    pub(super) fn numbers_elsewhere(&self, root: &Value, faults: &[FieldFault]) -> Vec<NhsNumber> {
        let mut found = Vec::new();
        let refusals: Vec<String> = self.lists().filter_map(Each::refusal).map(|(from, _)| from).collect();
        if faults.iter().any(|fault| fault.field == "accept" && refusals.contains(&fault.from)) {
            numbers_of(root, &mut found);
        }
        found
    }
}

fn numbers_of(value: &Value, found: &mut Vec<NhsNumber>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| numbers_of(v, found)),
        Value::Object(members) => {
            let text = members.get("value").and_then(|v| match v {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            let number = text.and_then(|v| NhsNumber::parse(v.trim()).ok());
            found.extend(number.filter(|number| !found.contains(number)));
            members.values().for_each(|v| numbers_of(v, found));
        }
        _ => {}
    }
}
