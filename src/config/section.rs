//! Reading one table key by key. What nobody asked for is an unknown key.

use super::fault::{Findings, Place, Unknown, join};
use super::tree::{Entry, Node, Value, parse_value};
use super::values::Parsed;
use std::collections::BTreeMap;

/// What every reader has at hand.
pub(super) struct Reading {
    pub findings: Findings,
    /// Environment variables, for secrets.
    pub env: BTreeMap<String, String>,
}

pub(super) struct Section<'t> {
    pub reading: &'t Reading,
    /// Where the table begins.
    pub place: Place,
    path: String,
    entries: &'t [Entry],
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub fn new(reading: &'t Reading, path: String, node: &'t Node) -> Self {
        let entries: &[Entry] = match &node.value {
            Value::Table(entries) => entries,
            _ => &[],
        };
        Self { reading, place: node.place.clone(), path, entries, asked: Vec::new() }
    }

    pub fn fault(&self, key: &str, what: impl std::fmt::Display, hint: impl Into<String>) {
        self.reading.findings.fault(&self.place_of(key), format!("{} {what}", self.path_of(key)), hint);
    }

    pub fn warn(&self, key: &str, what: impl std::fmt::Display, hint: impl Into<String>) {
        self.reading.findings.warn(&self.place_of(key), format!("{} {what}", self.path_of(key)), hint);
    }

    pub fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// The line of a key, or of the table's beginning when the key is not there.
    pub fn place_of(&self, key: &str) -> Place {
        self.entries.iter().find(|e| e.key == key).map_or_else(|| self.place.clone(), |e| e.place.clone())
    }

    /// A text, before the key is read for good.
    pub fn peek(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|e| e.key == key).and_then(|e| e.node.text())
    }

    /// The same for a table that is somebody else's; one that is none is empty.
    pub fn look_at_table(&self, key: &str) -> toml::Table {
        match self.entries.iter().find(|e| e.key == key).map(|e| e.node.to_toml()) {
            Some(toml::Value::Table(table)) => table,
            _ => toml::Table::new(),
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|e| e.key == key)
    }

    /// Whether the key is there and is a list of nothing (rather than of wrong things).
    pub fn is_empty_list(&self, key: &str) -> bool {
        self.entries.iter().any(|e| e.key == key && matches!(&e.node.value, Value::List(items) if items.is_empty()))
    }

    pub fn node(&mut self, key: &'static str, default: Option<&'static str>) -> Option<&'t Node> {
        self.reading.findings.asked(join(&self.path, key), default);
        self.asked.push(key);
        self.entries.iter().find(|e| e.key == key).map(|e| &e.node)
    }

    fn keep<T>(&self, key: &str, place: &Place, parsed: Parsed<T>) -> Option<T> {
        parsed.map_err(|w| self.reading.findings.fault(place, format!("{} {}", self.path_of(key), w.what), w.hint)).ok()
    }

    /// A key without which the table means nothing; `hint` says what to write.
    pub fn required<T>(&mut self, key: &'static str, hint: &str, parse: impl Fn(&Node) -> Parsed<T>) -> Option<T> {
        match self.node(key, None) {
            Some(node) => self.keep(key, &node.place, parse(node)),
            None => {
                self.fault(key, "is missing", hint);
                None
            }
        }
    }

    pub fn optional<T>(&mut self, key: &'static str, parse: impl Fn(&Node) -> Parsed<T>) -> Option<T> {
        let node = self.node(key, None)?;
        self.keep(key, &node.place, parse(node))
    }

    /// A key with a default, written as TOML text so that the documented file can be held against it.
    pub fn or<T>(&mut self, key: &'static str, default: &'static str, parse: impl Fn(&Node) -> Parsed<T>) -> T {
        let given = self.node(key, Some(default)).and_then(|node| self.keep(key, &node.place, parse(node)));
        given.unwrap_or_else(|| {
            let node = parse_value(default, &self.place.source).expect("defaults in the code are TOML");
            parse(&node).ok().expect("defaults in the code keep their own rules")
        })
    }

    /// Each element is read on its own, so that every wrong one is reported at its own line.
    pub fn list<T>(&mut self, key: &'static str, default: &'static str, parse: impl Fn(&Node) -> Parsed<T>) -> Vec<T> {
        let node = match self.node(key, Some(default)) {
            Some(node) => node.clone(),
            None => parse_value(default, &self.place.source).expect("defaults in the code are TOML"),
        };
        let items = match node.value {
            Value::List(items) => items,
            Value::Loose(text) => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Node { place: node.place.clone(), value: Value::Loose(part.to_owned()) })
                .collect(),
            _ => {
                self.fault(key, "must be a list", "write it in square brackets, e.g. [\"one\", \"two\"]");
                Vec::new()
            }
        };
        items.iter().filter_map(|item| self.keep(key, &item.place, parse(item))).collect()
    }

    /// A list that must be there and hold something.
    pub fn required_list<T>(&mut self, key: &'static str, hint: &str, parse: impl Fn(&Node) -> Parsed<T>) -> Vec<T> {
        if !self.has(key) {
            self.fault(key, "is missing", hint);
        } else if self.is_empty_list(key) {
            self.fault(key, "is empty", hint);
        }
        let list = self.list(key, "[]", parse);
        self.reading.findings.asked(join(&self.path, key), None);
        list
    }

    /// A table that may be left out altogether.
    pub fn table(&mut self, key: &'static str) -> Option<Section<'t>> {
        let node = self.node(key, None)?;
        if !matches!(node.value, Value::Table(_)) {
            self.fault(
                key,
                "must be a table",
                format!("write [{}] on a line of its own, or {{ key = value }}", self.path_of(key)),
            );
            return None;
        }
        Some(Section::new(self.reading, self.path_of(key), node))
    }

    /// A table whose keys all have defaults, so that leaving it out means the same as writing it empty.
    pub fn table_or_empty(&mut self, key: &'static str) -> Section<'t> {
        self.table(key).unwrap_or_else(|| Section {
            reading: self.reading,
            place: self.place.clone(),
            path: self.path_of(key),
            entries: &[],
            asked: Vec::new(),
        })
    }

    /// A list of tables: `[[key]]`, or `[{ … }, { … }]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Section<'t>> {
        let Some(node) = self.node(key, None) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            self.fault(key, "must be a list of tables", format!("write [[{}]] with two brackets", self.path_of(key)));
            // It is read as the one it is: that whatever names it finds nothing would be no fault of its own.
            let is_one = matches!(node.value, Value::Table(_));
            return is_one.then(|| Section::new(self.reading, self.path_of(key), node)).into_iter().collect();
        };
        let table = |item: &'t Node| match item.value {
            Value::Table(_) => Some(Section::new(self.reading, self.path_of(key), item)),
            _ => {
                let what = format!("{} must hold tables only", self.path_of(key));
                self.reading.findings.fault(&item.place, what, "write each element as { key = value }");
                None
            }
        };
        items.iter().filter_map(table).collect()
    }

    /// A table that belongs to someone else (the pack): handed on as it stands.
    pub fn free_table(&mut self, key: &'static str) -> toml::Table {
        match self.node(key, None).map(|node| (node, node.to_toml())) {
            Some((_, toml::Value::Table(table))) => table,
            Some((node, _)) => {
                let what = format!("{} must be a table", self.path_of(key));
                self.reading.findings.fault(&node.place, what, "write { key = value, … }");
                toml::Table::new()
            }
            None => toml::Table::new(),
        }
    }
}

/// On drop, so that no reader can forget it.
impl Drop for Section<'_> {
    fn drop(&mut self) {
        for entry in self.entries.iter().filter(|e| !self.asked.contains(&e.key.as_str())) {
            self.reading.findings.unknown(Unknown {
                place: entry.place.clone(),
                section: self.path.clone(),
                key: entry.key.clone(),
                known: self.asked.clone(),
            });
        }
    }
}
