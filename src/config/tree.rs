//! The settings as they were written, each value with the place it stands at.

use super::fault::{Findings, Place, Source};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// From an environment variable: plain text that becomes whatever type the key has.
    Loose(String),
    /// Dates and fractions: no key of ours reads them except through their text.
    Other(toml::Value),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands (its value may begin lines later).
    pub place: Place,
    pub node: Node,
}

/// Reads TOML. Every syntax error becomes a fault; the tree is only to be used when there was none.
pub(super) fn parse(text: &str, source: &Arc<Source>, findings: &Findings) -> Node {
    let lines = Lines::of(text);
    let at = |offset: usize| Place { source: source.clone(), line: Some(lines.line(offset)) };
    for slip in super::syntax::slips(text) {
        findings.fault(&at(slip.offset), slip.what, slip.hint);
    }
    let (table, _) = DeTable::parse_recoverable(text);
    Node { place: Place::whole(source), value: Value::Table(entries(table.get_ref(), &at)) }
}

/// A single value in TOML notation, such as a default in the code.
pub(super) fn parse_value(text: &str, source: &Arc<Source>) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(value.get_ref(), 0, &|_| Place::whole(source)))
}

fn entries(table: &DeTable<'_>, at: &dyn Fn(usize) -> Place) -> Vec<Entry> {
    let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| Entry {
        key: key.get_ref().to_string(),
        place: at(key.span().start),
        node: node(value.get_ref(), value.span().start, at),
    };
    table.iter().map(entry).collect()
}

fn node(value: &DeValue<'_>, offset: usize, at: &dyn Fn(usize) -> Place) -> Node {
    let value = match value {
        DeValue::String(s) => Value::Text(s.to_string()),
        DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) => Value::Int(n),
            Err(_) => Value::Other(toml::Value::String(i.to_string())),
        },
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Float(f) => Value::Other(toml::Value::Float(f.as_str().parse().unwrap_or(f64::NAN))),
        DeValue::Datetime(d) => Value::Other(toml::Value::Datetime(*d)),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node(item.get_ref(), item.span().start, at)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(table, at)),
    };
    Node { place: at(offset), value }
}

impl Node {
    /// Plain TOML again, for the tables that are the pack's business and not ours.
    pub fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::Text(s) | Value::Loose(s) => toml::Value::String(s.clone()),
            Value::Int(n) => toml::Value::Integer(*n),
            Value::Bool(b) => toml::Value::Boolean(*b),
            Value::List(items) => toml::Value::Array(items.iter().map(Node::to_toml).collect()),
            Value::Table(entries) => {
                toml::Value::Table(entries.iter().map(|e| (e.key.clone(), e.node.to_toml())).collect())
            }
            Value::Other(other) => other.clone(),
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(s) | Value::Loose(s) => Some(s),
            _ => None,
        }
    }
}

/// Byte offset → line number.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i).collect())
    }

    fn line(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|newline| *newline < offset);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}
