//! What two packs read and judge otherwise of the same bytes: of messages that came, and of replies. What they make otherwise is [`super::diff`]'s.

use super::diff::Change;
use super::examples::{CaseKind, Judge, REPLY_CONTROL_ID, cases};
use super::fault::Faults;
use super::form::message;
use super::mask::instead_of_char;
use super::pack::{Pack, ParseError};
use crate::domain::verdict::Verdict;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A message as a pack reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Our fields, each with its value as JSON has it.
    Taken(BTreeMap<String, String>),
    /// What it is refused for: places and rules, no values.
    Refused(Vec<String>),
}

impl Pack {
    /// What this pack reads from a message, and whether the rules of our fields hold for it as of `now`.
    pub fn reading(
        &self,
        bytes: &[u8],
        settings: &Map<String, Value>,
        trust_zone: &str,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Reading {
        let parsed = match self.parse(bytes, settings, trust_zone) {
            Ok(parsed) => parsed,
            Err(ParseError::Fields(list)) => return Reading::Refused(list.iter().map(ToString::to_string).collect()),
            Err(other) => return Reading::Refused(vec![other.to_string()]),
        };
        let broken = message::broken(&parsed.makes, &parsed.value, &parsed.nulls, now, zone);
        if !broken.is_empty() {
            return Reading::Refused(broken.into_iter().map(|b| format!("{}: {}", b.field, b.rule)).collect());
        }
        let mut fields = BTreeMap::from([("(makes)".to_owned(), parsed.makes)]);
        flatten("", &parsed.value, &mut fields);
        fields.extend(parsed.nulls.into_iter().map(|name| (name, "\"\"".to_owned())));
        Reading::Taken(fields)
    }
}

/// The examples of two packs, read and judged by both.
#[derive(Debug, Default)]
pub struct ComparedExamples {
    pub messages: usize,
    /// Those that are read otherwise, by name.
    pub read: Vec<(String, Vec<Change>)>,
    pub replies: usize,
    pub judged: Vec<(String, Vec<Change>)>,
}

/// Every example of a message or a reply that either pack has, under both: each pack with its own settings, and those of the example that it has.
pub fn of_examples(old: &Pack, new: &Pack, judge: Judge) -> ComparedExamples {
    let mut told = ComparedExamples::default();
    let mut seen: BTreeSet<(String, Vec<u8>, Vec<u8>)> = BTreeSet::new();
    for pack in [new, old] {
        let found = cases(&pack.sources, pack.manifest.format, &mut Faults::default());
        for case in found.into_iter().filter(|c| c.kind != CaseKind::Render) {
            let Some(example) = pack.received_example(&case) else { continue };
            if !seen.insert((case.name.clone(), example.bytes.clone(), example.asked.clone())) {
                continue;
            }
            let is_reply = case.kind == CaseKind::Reply;
            let changes = if is_reply {
                told.replies += 1;
                match (old.example_rules(&example.own), new.example_rules(&example.own)) {
                    (Some(a), Some(b)) => {
                        let judged = |rules| judge(&example.bytes, rules, REPLY_CONTROL_ID, &example.asked);
                        judged_otherwise(&judged(&a), &judged(&b))
                    }
                    _ => Vec::new(),
                }
            } else {
                told.messages += 1;
                let read = |pack: &Pack| pack.example_reading(&example.bytes, &example.own);
                read_otherwise(&read(old), &read(new), false)
            };
            if !changes.is_empty() {
                let into = if is_reply { &mut told.judged } else { &mut told.read };
                into.push((case.name, changes));
            }
        }
    }
    told
}

fn flatten(at: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                flatten(&place, member, into);
            }
        }
        Value::Array(list) => {
            for (i, element) in list.iter().enumerate() {
                flatten(&format!("{at}[{i}]"), element, into);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(into.insert(at.to_owned(), text.clone())),
        other => drop(into.insert(at.to_owned(), other.to_string())),
    }
}

/// Where two readings of one message differ. `masked`: of what stood in the message only lengths, lines and marks are told.
pub fn read_otherwise(old: &Reading, new: &Reading, masked: bool) -> Vec<Change> {
    let shown = |text: &String| match masked {
        true => text.chars().map(instead_of_char).collect(),
        false => text.clone(),
    };
    match (old, new) {
        (Reading::Taken(old), Reading::Taken(new)) => {
            let mut places: Vec<&String> = old.keys().chain(new.keys()).collect();
            places.sort();
            places.dedup();
            let differ = places.into_iter().filter(|place| old.get(*place) != new.get(*place));
            differ
                .map(|place| Change {
                    place: place.clone(),
                    old: old.get(place).map(shown),
                    new: new.get(place).map(shown),
                })
                .collect()
        }
        (old, new) if old == new => Vec::new(),
        (old, new) => {
            let whole = |reading: &Reading| match reading {
                Reading::Taken(_) => "is read".to_owned(),
                Reading::Refused(why) => format!("is refused: {}", why.join("; ")),
            };
            vec![Change { place: "message".into(), old: Some(whole(old)), new: Some(whole(new)) }]
        }
    }
}

/// Where two verdicts on one reply differ. The record's id of the document is told only where it is not the same.
pub fn judged_otherwise(old: &Verdict, new: &Verdict) -> Vec<Change> {
    let word = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let change = |place: &str, old: Option<String>, new: Option<String>| {
        (old != new).then(|| Change { place: place.to_owned(), old, new })
    };
    let flag = |is: bool| is.then(|| "yes".to_owned());
    let all = [
        change("meaning", Some(word(json!(old.meaning))), Some(word(json!(new.meaning)))),
        change("level", Some(word(json!(old.level))), Some(word(json!(new.level)))),
        change("duplicate", flag(old.duplicate), flag(new.duplicate)),
        change("record_id", old.record_id.clone(), new.record_id.clone()),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::{Level, Meaning};

    fn taken(fields: &[(&str, &str)]) -> Reading {
        Reading::Taken(fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn said(old: &Reading, new: &Reading, masked: bool) -> Vec<String> {
        let shown = |c: Change| format!("{}: {:?} -> {:?}", c.place, c.old, c.new);
        read_otherwise(old, new, masked).into_iter().map(shown).collect()
    }

    #[test]
    fn what_is_read_otherwise_is_named_by_field_and_masked_where_it_has_to_be() {
        let (old, new) = (taken(&[("a", "Smith 1"), ("b", "x")]), taken(&[("a", "Jones 22"), ("c", "y")]));
        assert_eq!(
            said(&old, &new, true),
            ["a: Some(\"Xxxxx 0\") -> Some(\"Xxxxx 00\")", "b: Some(\"x\") -> None", "c: None -> Some(\"x\")"]
        );
        assert!(said(&old, &new, false)[0].contains("Jones 22"));
        assert!(said(&old, &old, true).is_empty());
        let refused = Reading::Refused(vec!["a (from PID-5): is required, and was not sent".into()]);
        assert_eq!(
            said(&old, &refused, true),
            ["message: Some(\"is read\") -> Some(\"is refused: a (from PID-5): is required, and was not sent\")"]
        );
        assert!(said(&refused, &refused, true).is_empty());
    }

    #[test]
    fn a_verdict_differs_by_what_it_means() {
        let old = Verdict {
            meaning: Meaning::Refused,
            level: Level::Application,
            code: "AE 204".into(),
            duplicate: false,
            untold: false,
            misplaced: false,
            record_id: None,
        };
        let new = Verdict { meaning: Meaning::Retry, ..old.clone() };
        let changes = judged_otherwise(&old, &new);
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].old.as_deref(), changes[0].new.as_deref()), (Some("refused"), Some("retry")));
        assert!(judged_otherwise(&old, &old).is_empty());
    }
}
