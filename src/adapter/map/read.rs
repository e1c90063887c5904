//! Reading `maps/*.toml`.

use super::super::fault::{Faults, suggest};
use super::super::form::message::TAKEN_IN;
use super::super::hl7::Path;
use super::super::input::{self, Shape, ShapeKind};
use super::super::sources::Sources;
use super::super::table::{Reader, TomlFile};
use super::super::words::Words;
use super::row::{As, FILTERS, From, Row, Source};
use super::{Each, Field, Map, Over, Part};
use std::cell::RefCell;
use toml::de::{DeTable, DeValue};

const EXAMPLE: &str = "write \"ours.field\" = \"PID-5.1\" or = { from = \"PID-7\", as = \"hl7_date\" }";

impl Map {
    /// Reads one map; every faulty row is a fault.
    pub fn read(sources: &Sources, path: &str, faults: &mut Faults) -> Option<Self> {
        let text = sources.text(path, faults)?;
        let cell = RefCell::new(std::mem::take(faults));
        let map = {
            let file = TomlFile::new(path, &text, &cell);
            file.root().map(|root| from_table(&file, &root))
        };
        *faults = cell.into_inner();
        map
    }
}

/// The message of ours that a map fills: one that the bridge can take in.
pub(in crate::adapter) fn makes(file: &TomlFile<'_>, head: &Reader<'_, '_>) -> String {
    let Some((name, line)) = head.required("makes", "CreateReferralRequest") else { return String::new() };
    if !TAKEN_IN.contains(&name.as_str()) {
        let known = TAKEN_IN.iter().copied();
        file.fault_at(line, format!("\"{name}\" is nothing that the bridge takes in"), suggest(&name, known));
    }
    name
}

pub fn from_table(file: &TomlFile<'_>, root: &DeTable<'_>) -> Map {
    let head = Reader::new(file, root, 1, "the map");
    let makes = makes(file, &head);
    let mut map = Map { file: file.path.into(), makes: makes.clone(), fields: Vec::new(), each: Vec::new() };
    for (key, item) in root {
        let line = file.line(key.span());
        match (key.get_ref().as_ref(), item.get_ref()) {
            ("makes", _) => {}
            ("each", DeValue::Table(lists)) => {
                for (name, list) in lists {
                    let line = file.line(name.span());
                    match list.get_ref().as_table() {
                        Some(t) => map.each.extend(each(file, name.get_ref(), t, line, &makes, false)),
                        None => file.fault_at(line, "[each] needs tables", "write [each.\"details.external_ids\"]"),
                    }
                }
            }
            (ours, value) => map.fields.extend(field(file, ours, value, line, &makes, false)),
        }
    }
    map.fields.sort_by_key(|f| f.line);
    map
}

fn each(file: &TomlFile<'_>, ours: &str, table: &DeTable<'_>, line: u32, makes: &str, within: bool) -> Option<Each> {
    let element = match find(makes, ours) {
        Ok(Some(Shape { kind: ShapeKind::Message(name), repeated: true, .. })) => name.clone(),
        Ok(_) => {
            file.fault_at(line, format!("\"{ours}\" is not a list of ours"), "[each] fills repeated fields");
            return None;
        }
        Err(e) => {
            file.fault_at(line, e.0, e.1);
            return None;
        }
    };
    let mut over = None;
    let mut each = Each {
        ours: ours.into(),
        over: Over::Group(String::new()),
        unless: Vec::new(),
        only: Vec::new(),
        fields: Vec::new(),
        each: Vec::new(),
    };
    // A group's rows are paths, a repetition's are components.
    let in_field = !table.contains_key("group");
    for (key, item) in table {
        let at = file.line(key.span());
        match (key.get_ref().as_ref(), item.get_ref()) {
            ("field", DeValue::String(place)) => {
                match place.split_once('-').map(|(s, f)| (s.to_owned(), f.parse::<usize>())) {
                    Some((segment, Ok(number))) if Path::parse(place).is_ok() => {
                        over = Some(Over::Field { segment, field: number });
                    }
                    _ => file.fault_at(at, "`field` is not a segment and a field", "write field = \"PID-3\""),
                }
            }
            ("group", DeValue::String(id)) if !within && Path::parse(&format!("{id}-1")).is_ok() => {
                over = Some(Over::Group(id.to_string()));
            }
            ("group", _) => {
                file.fault_at(at, "`group` is not a segment, or stands inside another [each]", "write group = \"PID\"");
            }
            ("each", DeValue::Table(lists)) if !within => {
                for (name, list) in lists {
                    let line = file.line(name.span());
                    match list.get_ref().as_table() {
                        Some(t) => each.each.extend(self::each(file, name.get_ref(), t, line, &element, true)),
                        None => file.fault_at(
                            line,
                            "[each] needs tables",
                            "write [each.\"merges\".each.\"losing_identifiers\"]",
                        ),
                    }
                }
            }
            (word @ ("unless" | "only"), DeValue::Table(rules)) => {
                for (part, values) in rules {
                    let list = match values.get_ref() {
                        DeValue::String(one) => vec![one.to_string()],
                        DeValue::Array(many) => {
                            many.iter().filter_map(|v| v.get_ref().as_str().map(str::to_owned)).collect()
                        }
                        _ => Vec::new(),
                    };
                    match Part::parse(part.get_ref()) {
                        Some(part) if !list.is_empty() => {
                            if word == "only" {
                                each.only.push((part, list))
                            } else {
                                each.unless.push((part, list))
                            }
                        }
                        _ => file.fault_at(
                            at,
                            format!("`{word}` needs components and values"),
                            format!("write {word} = {{ \"5\" = [\"NH\"] }}"),
                        ),
                    }
                }
            }
            (name, value) => each.fields.extend(field(file, name, value, at, &element, in_field)),
        }
    }
    let Some(over) = over else {
        file.fault_at(
            line,
            format!("[each.\"{ours}\"] does not say which field it repeats over"),
            "add field = \"PID-3\", or group = \"PID\" for an element of each PID and what follows it",
        );
        return None;
    };
    Some(Each { over, ..each })
}

/// `ours` within a message of ours, or what is wrong with it.
pub(in crate::adapter) fn find(makes: &str, ours: &str) -> Result<Option<&'static Shape>, (String, String)> {
    if input::fields(makes).is_none() {
        return Ok(None);
    }
    let not = |part: &str, near: Vec<&'static str>| {
        (format!("\"{part}\" in {ours} is not a field of {makes}"), suggest(part, near))
    };
    match input::find(makes, ours.split('.')) {
        Ok(Some(Shape { kind: ShapeKind::Which(members), name, .. })) => {
            Err(not(name, members.iter().map(String::as_str).collect()))
        }
        found => found.map_err(|(part, near)| not(&part, near)),
    }
}

fn field(file: &TomlFile<'_>, ours: &str, value: &DeValue<'_>, line: u32, makes: &str, in_each: bool) -> Option<Field> {
    let words = match find(makes, ours) {
        Ok(shape) => shape.and_then(Words::of),
        Err((what, hint)) => {
            file.fault_at(line, what, hint);
            None
        }
    };
    let mut optional = false;
    let rows: Vec<Row> = match value {
        DeValue::Array(list) => {
            list.iter().filter_map(|i| row(file, i.get_ref(), file.line(i.span()), in_each, &mut optional)).collect()
        }
        one => row(file, one, line, in_each, &mut optional).into_iter().collect(),
    };
    if rows.is_empty() {
        return None;
    }
    let constants = rows.iter().filter_map(|r| match &r.from {
        From::Value(value) => Some((value, r.line)),
        _ => None,
    });
    check_constants(file, words, constants);
    Some(Field { ours: ours.into(), rows, words, optional, line })
}

/// A constant for a field of words is one of them.
pub(in crate::adapter) fn check_constants<'v>(
    file: &TomlFile<'_>,
    words: Option<Words>,
    constants: impl Iterator<Item = (&'v serde_json::Value, u32)>,
) {
    let Some(words) = words else { return };
    for (value, line) in constants {
        let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some((what, hint)) = words.misspelt(&word) {
            file.fault_at(line, what, hint);
        }
    }
}

fn row(file: &TomlFile<'_>, value: &DeValue<'_>, line: u32, in_each: bool, optional: &mut bool) -> Option<Row> {
    let mut source = |text: &str| source(file, text, line, in_each, optional);
    match value {
        DeValue::String(path) => {
            let from = From::First(vec![source(path)?]);
            Some(Row { from, made: As::Text, when: None, ambiguous_is_absent: false, line })
        }
        DeValue::Table(table) => {
            let r = Reader::new(file, table, line, "a row");
            let mut froms = Vec::new();
            for (key, make) in [
                ("from", From::First as fn(Vec<Source>) -> From),
                ("words", From::Words),
                ("lines", From::Lines),
                ("list", From::List),
            ] {
                if let Some((texts, _)) = r.texts(key) {
                    froms.push(make(texts.iter().filter_map(|t| source(t)).collect()));
                }
            }
            froms.extend(r.item("value").and_then(|(i, _)| constant(i.get_ref())).map(From::Value));
            froms.extend(r.text("setting").map(|(name, _)| From::Setting(name)));
            let made = r.text("as").map_or(Some(As::Text), |(name, at)| filter(file, &name, at));
            let when = r.text("when").map(|(text, at)| condition(file, &text, at));
            let ambiguous_is_absent = match r.text("ambiguous") {
                Some((word, _)) if word == "absent" => true,
                Some((_, at)) => {
                    file.fault_at(
                        at,
                        "`ambiguous` can only be \"absent\"",
                        "leave it away, and several different values are a fault",
                    );
                    false
                }
                None => false,
            };
            *optional |= r.flag("optional").unwrap_or(false);
            r.finish();
            match (froms.len(), when) {
                (1, None) => Some(Row { from: froms.remove(0), made: made?, when: None, ambiguous_is_absent, line }),
                (1, Some(Some(when))) => {
                    Some(Row { from: froms.remove(0), made: made?, when: Some(when), ambiguous_is_absent, line })
                }
                (1, Some(None)) => None,
                _ => {
                    file.fault_at(
                        line,
                        "a row takes its value from one place",
                        "give it one of from, words, lines, list, value, setting",
                    );
                    None
                }
            }
        }
        _ => {
            file.fault_at(line, "is not a row", EXAMPLE);
            None
        }
    }
}

fn source(file: &TomlFile<'_>, text: &str, line: u32, in_each: bool, optional: &mut bool) -> Option<Source> {
    let (bare, marked) = text.strip_suffix('?').map_or((text, false), |t| (t, true));
    if let Some(part) = Part::parse(bare) {
        if in_each {
            *optional |= marked;
            return Some(Source::Part(part));
        }
        file.fault_at(line, format!("\"{text}\" is a component without a field"), "write for example PID-5.1");
        return None;
    }
    match Path::parse(text) {
        Ok(path) => {
            *optional |= path.is_optional();
            Some(Source::Path(path))
        }
        Err(e) => {
            file.fault_at(line, format!("path \"{text}\": {} at character {}", e.what, e.column), e.hint);
            None
        }
    }
}

fn condition(file: &TomlFile<'_>, text: &str, line: u32) -> Option<(Path, bool)> {
    let (path, wanted) = text.strip_prefix('!').map_or((text, true), |t| (t, false));
    match Path::parse(path.trim()) {
        Ok(path) => Some((path, wanted)),
        Err(e) => {
            file.fault_at(
                line,
                format!("`when` \"{text}\": {} at character {}", e.what, e.column),
                "write when = \"PID-8\" for a value that is there, when = \"!PID-8\" for one that is not",
            );
            None
        }
    }
}

pub(in crate::adapter) fn filter(file: &TomlFile<'_>, name: &str, line: u32) -> Option<As> {
    Some(match name.split_once(':') {
        Some(("code", table)) if !table.is_empty() => As::Code(table.to_owned()),
        None => match name {
            "hl7_date" => As::Date,
            "hl7_date_if_whole" => As::DateIfWhole,
            "hl7_time" => As::Time,
            "nhs_number" => As::NhsNumber,
            "upper" => As::Upper,
            "whole" => As::Whole,
            _ => {
                file.fault_at(
                    line,
                    format!("there is no filter \"{name}\""),
                    suggest(name, FILTERS.iter().map(|f| f.name)),
                );
                return None;
            }
        },
        Some(_) => {
            file.fault_at(
                line,
                format!("there is no filter \"{name}\""),
                suggest(name, FILTERS.iter().map(|f| f.name)),
            );
            return None;
        }
    })
}

pub(in crate::adapter) fn constant(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(s) => serde_json::Value::String(s.to_string()),
        DeValue::Boolean(b) => serde_json::Value::Bool(*b),
        DeValue::Integer(n) => serde_json::Value::from(i64::from_str_radix(n.as_str(), n.radix()).ok()?),
        _ => return None,
    })
}
