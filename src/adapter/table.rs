//! TOML with line numbers: typed reading that collects every fault and refuses unknown keys.

use super::fault::{Faults, line_of, suggest};
use std::cell::RefCell;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

type Item<'i> = Spanned<DeValue<'i>>;

/// One TOML file and where its faults go.
pub struct TomlFile<'i> {
    pub path: &'i str,
    pub text: &'i str,
    faults: &'i RefCell<Faults>,
}

impl<'i> TomlFile<'i> {
    pub fn new(path: &'i str, text: &'i str, faults: &'i RefCell<Faults>) -> Self {
        Self { path, text, faults }
    }

    /// The whole file as a table; syntax errors become faults.
    pub fn root(&self) -> Option<DeTable<'i>> {
        match DeTable::parse(self.text) {
            Ok(table) => Some(table.into_inner()),
            Err(e) => {
                let line = e.span().map_or(0, |s| line_of(self.text, s.start));
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
        let (item, line) = self.item(key)?;
        let text = item.get_ref().as_str().map(|t| (t.to_owned(), line));
        if text.is_none() {
            self.wrong(key, line, "a text", item.get_ref());
        }
        text
    }

    /// A text that must be there and not empty.
    pub fn required(&self, key: &'static str, example: &str) -> Option<(String, u32)> {
        match self.item(key) {
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
        let (item, line) = self.item(key)?;
        let flag = item.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, line, "true or false", item.get_ref());
        }
        flag
    }

    pub fn integer(&self, key: &'static str) -> Option<(i64, u32)> {
        let (item, line) = self.item(key)?;
        let n = item.get_ref().as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        if n.is_none() {
            self.wrong(key, line, "a whole number", item.get_ref());
        }
        n.map(|n| (n, line))
    }

    /// One text or a list of texts.
    pub fn texts(&self, key: &'static str) -> Option<(Vec<String>, u32)> {
        let (item, line) = self.item(key)?;
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
        let (item, line) = self.item(key)?;
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.wrong(key, line, "a table", item.get_ref());
        }
        table.map(|t| (t, line))
    }

    /// Every table of `[[key]]`.
    pub fn tables(&self, key: &'static str) -> Vec<(&'f DeTable<'i>, u32)> {
        let Some((item, line)) = self.item(key) else { return Vec::new() };
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
