//! `[accept]`: what a place must say, for the message to be one that a map is for.

use super::super::table::{Reader, TomlFile};
use toml::de::DeValue;

/// The values a place may have; the empty one stands for an absent value.
#[derive(Debug, Clone)]
pub(in crate::adapter) struct Wanted {
    values: Vec<String>,
    /// What to tell instead of the values.
    why: Option<String>,
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
                let wanted = Self {
                    values: r.texts("is").map(|(texts, _)| texts).unwrap_or_default(),
                    why: r.text("why").map(|(why, _)| why),
                };
                r.finish();
                wanted
            }
            other => Self { values: texts(other), why: None },
        };
        if wanted.values.is_empty() {
            file.fault_at(line, "`accept` needs paths and values", format!("write {example}"));
        }
        wanted
    }

    /// Whether these texts, all that stand there, may stand there. `same` compares one of them with a value.
    pub fn allows<T: AsRef<str>>(&self, texts: &[T], same: impl Fn(&str, &str) -> bool) -> bool {
        let is = |text: &str| self.values.iter().any(|value| same(value, text));
        if texts.is_empty() { is("") } else { texts.iter().all(|text| is(text.as_ref())) }
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
