//! TOML with line numbers: typed reading that collects every fault and refuses unknown keys.

use super::fault::{Faults, line_of, suggest};
use std::cell::RefCell;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

type Item<'i> = Spanned<DeValue<'i>>;

/// What a reader expects under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Anything,
    Text,
    Flag,
    Integer,
    Texts,
    Table,
    Tables,
}

/// A key that a reader asked for: what the schemas are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The reader's name, e.g. `[[render]]`.
    pub table: String,
    pub key: &'static str,
    pub wanted: Wanted,
    pub required: bool,
}

/// One TOML file and where its faults go.
pub struct TomlFile<'i> {
    pub path: &'i str,
    pub text: &'i str,
    faults: &'i RefCell<Faults>,
    asked: RefCell<Vec<Asked>>,
}

impl<'i> TomlFile<'i> {
    pub fn new(path: &'i str, text: &'i str, faults: &'i RefCell<Faults>) -> Self {
        Self { path, text, faults, asked: RefCell::default() }
    }

    /// Every key that was asked for, each once.
    pub fn asked(self) -> Vec<Asked> {
        self.asked.into_inner()
    }

    fn note(&self, asked: Asked) {
        let mut all = self.asked.borrow_mut();
        match all.iter_mut().find(|a| a.table == asked.table && a.key == asked.key) {
            None => all.push(asked),
            Some(there) => {
                there.required |= asked.required;
                if there.wanted == Wanted::Anything {
                    there.wanted = asked.wanted;
                }
            }
        }
    }

    /// The whole file as a table; syntax errors become faults.
    pub fn root(&self) -> Option<DeTable<'i>> {
        self.part(0..self.text.len())
    }

    /// A part of the text that is a file of its own; places count from the text's beginning.
    pub fn part(&self, range: std::ops::Range<usize>) -> Option<DeTable<'i>> {
        let start = range.start;
        match DeTable::parse(self.text.get(range)?) {
            Ok(table) if start == 0 => Some(table.into_inner()),
            Ok(table) => Some(moved_table(table.into_inner(), start)),
            Err(e) => {
                let line = e.span().map_or(0, |s| line_of(self.text, start + s.start));
                let what = e.message().lines().next().unwrap_or_default().to_owned();
                self.fault_at(
                    line,
                    format!("is not TOML: {what}"),
                    "mend the line; strings need quotes, and a key stands once",
                );
                None
            }
        }
    }

    pub fn line(&self, span: std::ops::Range<usize>) -> u32 {
        line_of(self.text, span.start)
    }

    pub fn fault_at(&self, line: u32, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.borrow_mut().add(self.path, line, what, hint);
    }
}

/// A table that remembers which keys were asked for; [`Reader::finish`] refuses the others.
pub struct Reader<'f, 'i> {
    pub file: &'f TomlFile<'i>,
    table: &'f DeTable<'i>,
    /// Where the table stands, for faults about keys it lacks.
    pub line: u32,
    /// What the table is, e.g. `[[render]]`.
    name: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'f, 'i> Reader<'f, 'i> {
    pub fn new(file: &'f TomlFile<'i>, table: &'f DeTable<'i>, line: u32, name: impl Into<String>) -> Self {
        Self { file, table, line, name: name.into(), asked: RefCell::default() }
    }

    pub fn fault(&self, what: impl Into<String>, hint: impl Into<String>) {
        self.file.fault_at(self.line, what, hint);
    }

    /// The item and its line.
    pub fn item(&self, key: &'static str) -> Option<(&'f Item<'i>, u32)> {
        self.get(key, Wanted::Anything, false)
    }

    fn get(&self, key: &'static str, wanted: Wanted, required: bool) -> Option<(&'f Item<'i>, u32)> {
        self.file.note(Asked { table: self.name.clone(), key, wanted, required });
        self.asked.borrow_mut().push(key);
        let (k, v) = self.table.iter().find(|(k, _)| k.get_ref() == key)?;
        Some((v, self.file.line(k.span())))
    }

    fn wrong(&self, key: &str, line: u32, wanted: &str, got: &DeValue<'_>) {
        self.file.fault_at(
            line,
            format!("\"{key}\" must be {wanted}, not {}", got.type_str()),
            format!("write {key} = {}", sample(wanted)),
        );
    }

    pub fn text(&self, key: &'static str) -> Option<(String, u32)> {
        let (item, line) = self.get(key, Wanted::Text, false)?;
        let text = item.get_ref().as_str().map(|t| (t.to_owned(), line));
        if text.is_none() {
            self.wrong(key, line, "a text", item.get_ref());
        }
        text
    }

    /// A text that must be there and not empty.
    pub fn required(&self, key: &'static str, example: &str) -> Option<(String, u32)> {
        match self.get(key, Wanted::Text, true) {
            None => {
                self.fault(format!("{} has no \"{key}\"", self.name), format!("add {key} = \"{example}\""));
                None
            }
            Some(_) => match self.text(key)? {
                (t, line) if t.trim().is_empty() => {
                    self.file.fault_at(
                        line,
                        format!("\"{key}\" is empty"),
                        format!("for example {key} = \"{example}\""),
                    );
                    None
                }
                found => Some(found),
            },
        }
    }

    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let (item, line) = self.get(key, Wanted::Flag, false)?;
        let flag = item.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, line, "true or false", item.get_ref());
        }
        flag
    }

    pub fn integer(&self, key: &'static str) -> Option<(i64, u32)> {
        let (item, line) = self.get(key, Wanted::Integer, false)?;
        let n = item.get_ref().as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        if n.is_none() {
            self.wrong(key, line, "a whole number", item.get_ref());
        }
        n.map(|n| (n, line))
    }

    /// One text or a list of texts.
    pub fn texts(&self, key: &'static str) -> Option<(Vec<String>, u32)> {
        let (item, line) = self.get(key, Wanted::Texts, false)?;
        let list = match item.get_ref() {
            DeValue::String(one) => Some(vec![one.to_string()]),
            DeValue::Array(many) => many.iter().map(|i| i.get_ref().as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        if list.is_none() {
            self.wrong(key, line, "a text or a list of texts", item.get_ref());
        }
        list.map(|l| (l, line))
    }

    pub fn table(&self, key: &'static str) -> Option<(&'f DeTable<'i>, u32)> {
        let (item, line) = self.get(key, Wanted::Table, false)?;
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.wrong(key, line, "a table", item.get_ref());
        }
        table.map(|t| (t, line))
    }

    /// Every table of `[[key]]`.
    pub fn tables(&self, key: &'static str) -> Vec<(&'f DeTable<'i>, u32)> {
        let Some((item, line)) = self.get(key, Wanted::Tables, false) else { return Vec::new() };
        let Some(list) = item.get_ref().as_array() else {
            self.wrong(key, line, "a list of tables", item.get_ref());
            return Vec::new();
        };
        let tables = list.iter().filter_map(|i| i.get_ref().as_table().map(|t| (t, self.file.line(i.span()))));
        tables.collect()
    }

    /// Refuses every key that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.table.keys().filter(|k| !asked.contains(&k.get_ref().as_ref())) {
            let name = key.get_ref();
            self.file.fault_at(
                self.file.line(key.span()),
                format!("unknown key \"{name}\" in {}", self.name),
                suggest(name, asked.iter().copied()),
            );
        }
    }
}

fn moved_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    table.into_iter().map(|(key, item)| (moved(key, by, |key, _| key), moved(item, by, moved_value))).collect()
}

fn moved<T>(item: Spanned<T>, by: usize, inside: fn(T, usize) -> T) -> Spanned<T> {
    let span = item.span();
    Spanned::new(span.start + by..span.end + by, inside(item.into_inner(), by))
}

fn moved_value(value: DeValue<'_>, by: usize) -> DeValue<'_> {
    match value {
        DeValue::Table(table) => DeValue::Table(moved_table(table, by)),
        DeValue::Array(list) => DeValue::Array(list.into_iter().map(|i| moved(i, by, moved_value)).collect()),
        other => other,
    }
}

fn sample(wanted: &str) -> &'static str {
    match wanted {
        "a whole number" => "1",
        "true or false" => "true",
        "a table" => "{ ... }",
        "a list of tables" => "a list, or [[...]] sections",
        "a text or a list of texts" => "\"...\" or [\"...\", \"...\"]",
        _ => "\"...\"",
    }
}

/// A TOML value as JSON. Dates are refused where settings and codes are read: write them as text.
pub fn to_json(value: &toml::Value) -> serde_json::Value {
    use serde_json::Value as J;
    match value {
        toml::Value::String(s) => J::String(s.clone()),
        toml::Value::Integer(n) => J::from(*n),
        toml::Value::Float(n) => serde_json::Number::from_f64(*n).map_or(J::Null, J::Number),
        toml::Value::Boolean(b) => J::Bool(*b),
        toml::Value::Datetime(d) => J::String(d.to_string()),
        toml::Value::Array(a) => J::Array(a.iter().map(to_json).collect()),
        toml::Value::Table(t) => J::Object(t.iter().map(|(k, v)| (k.clone(), to_json(v))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_wrong_types_are_named_with_their_lines() {
        let faults = RefCell::new(Faults::default());
        let text = "name = 3\nverison = \"1\"\nflag = true\n";
        let file = TomlFile::new("adapter.toml", text, &faults);
        let root = file.root().expect("TOML");
        let r = Reader::new(&file, &root, 1, "the manifest");
        assert_eq!(r.text("name"), None);
        assert_eq!(r.text("version"), None);
        assert_eq!(r.flag("flag"), Some(true));
        r.finish();
        let shown: Vec<String> = faults.into_inner().0.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "adapter.toml:1: \"name\" must be a text, not integer; write name = \"...\"",
                "adapter.toml:2: unknown key \"verison\" in the manifest; did you mean \"version\"?",
            ]
        );
    }
}
