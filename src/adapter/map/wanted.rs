//! `[accept]`: what a place must say, for the message to be one that a map is for.

use super::super::codes::CodeTable;
use super::super::table::{Reader, TomlFile};
use super::super::words::TableUse;
use super::{As, filter};
use crate::domain::nhs_number::NhsNumber;
use std::collections::BTreeMap;
use toml::de::DeValue;

/// The values a place may have; the empty one stands for an absent value.
#[derive(Debug, Clone)]
pub(in crate::adapter) struct Wanted {
    values: Vec<String>,
    /// What to tell instead of the values.
    why: Option<String>,
    /// The code table by which what was sent becomes one of the values; a code it lacks is none.
    table: Option<String>,
    /// Only what is an NHS number counts as sent.
    nhs_numbers: bool,
    /// Where something stands in this place, the row does not count.
    unless: Option<String>,
    line: u32,
}

impl Wanted {
    /// `["active"]`, or `{ is = ["active"], why = "it is no new referral" }`.
    pub fn read(file: &TomlFile<'_>, value: &DeValue<'_>, line: u32, example: &str) -> Self {
        let texts = |value: &DeValue<'_>| match value {
            DeValue::String(one) => vec![one.to_string()],
            DeValue::Array(many) => many.iter().filter_map(|v| v.get_ref().as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        let wanted = match value {
            DeValue::Table(table) => {
                let r = Reader::new(file, table, line, "a row of [accept]");
                let made = r.text("as").and_then(|(name, at)| filter(file, &name, at).map(|made| (made, at)));
                if let Some((_, at)) = made.as_ref().filter(|(made, _)| !matches!(made, As::Code(_) | As::NhsNumber)) {
                    let hint =
                        "write as = \"code:referral_status\", or as = \"nhs_number\" where only an NHS number counts";
                    file.fault_at(*at, "`as` of [accept] names no code table", hint);
                }
                let wanted = Self {
                    values: r.texts("is").map(|(texts, _)| texts).unwrap_or_default(),
                    why: r.text("why").map(|(why, _)| why),
                    unless: r.text("unless").map(|(place, _)| place),
                    nhs_numbers: matches!(made, Some((As::NhsNumber, _))),
                    table: match made {
                        Some((As::Code(table), _)) => Some(table),
                        _ => None,
                    },
                    line,
                };
                r.finish();
                wanted
            }
            other => Self { values: texts(other), why: None, table: None, nhs_numbers: false, unless: None, line },
        };
        if wanted.values.is_empty() {
            file.fault_at(line, "`accept` needs paths and values", format!("write {example}"));
        }
        wanted
    }

    /// Whether these texts, all that stand there, may stand there. `same` compares one of them with a value.
    pub fn allows(
        &self,
        texts: &[String],
        tables: &BTreeMap<String, CodeTable>,
        same: impl Fn(&str, &str) -> bool,
    ) -> bool {
        let is = |text: &str| self.values.iter().any(|value| same(value, text));
        let is_sent = |text: &String| match &self.table {
            // What a table puts in place of a code it lacks is no word of the sender's.
            Some(table) => tables.get(table).and_then(|table| table.listed(text.trim())).is_some_and(is),
            None => is(text),
        };
        let mut sent =
            texts.iter().filter(|text| !self.nhs_numbers || NhsNumber::parse(text.trim()).is_ok()).peekable();
        if sent.peek().is_none() { is("") } else { sent.all(is_sent) }
    }

    /// Its values that are words of no row of the table, so that nothing could ever be one.
    pub fn strange<'w>(&'w self, tables: &'w BTreeMap<String, CodeTable>) -> Option<(&'w str, &'w CodeTable, u32)> {
        let table = tables.get(self.table.as_ref()?)?;
        let value = self.values.iter().find(|value| !value.is_empty() && !table.has(value))?;
        Some((value, table, self.line))
    }

    pub fn table_use(&self, file: &str) -> Option<TableUse> {
        let table = self.table.clone()?;
        Some(TableUse { table, words: None, reads: true, file: file.to_owned(), line: self.line })
    }

    /// As it is written; whoever knows the paths of its format reads it.
    pub fn unless(&self) -> Option<&str> {
        self.unless.as_deref()
    }

    pub fn line(&self) -> u32 {
        self.line
    }

    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// What is told of a message that is not taken.
    pub fn refusal(&self) -> String {
        if let Some(why) = &self.why {
            return why.clone();
        }
        let named: Vec<&str> = self.values.iter().map(|v| if v.is_empty() { "absent" } else { v }).collect();
        match named.as_slice() {
            [one] => format!("is not {one}"),
            _ => format!("is not one of {}", named.join(", ")),
        }
    }
}
