//! Which of our words a text in a pack may be: those of an enum, or the names of what a oneof may hold. A word that is none of them is
//! a typo that no receiver would notice.

use super::codes::{CodeTable, Missing};
use super::fault::{Faults, suggest};
use super::input::{self, Shape, ShapeKind};
use super::manifest::{CodesEntry, FILE};
use std::collections::{BTreeMap, BTreeSet};

/// Words that belong together.
#[derive(Debug, Clone, Copy)]
pub enum Words {
    Enum(&'static str),
    Which(&'static Shape),
    /// What a table of a `flag:` filter says.
    Flag,
}

impl Words {
    /// What a field of ours may hold, where that is words.
    pub fn of(shape: &'static Shape) -> Option<Self> {
        match &shape.kind {
            ShapeKind::Enum(name) => Some(Self::Enum(name)),
            ShapeKind::Which(_) => Some(Self::Which(shape)),
            _ => None,
        }
    }

    pub fn all(self) -> Vec<&'static str> {
        match self {
            Self::Enum(name) => input::words_of(name).collect(),
            Self::Which(Shape { kind: ShapeKind::Which(members), .. }) => members.iter().map(String::as_str).collect(),
            Self::Which(_) => Vec::new(),
            Self::Flag => vec!["true", "false", "absent"],
        }
    }

    /// Those that are said of something: no field that must be filled is left unspecified.
    pub fn said(self) -> impl Iterator<Item = &'static str> {
        self.all().into_iter().filter(|w| !w.ends_with("_UNSPECIFIED"))
    }

    /// What is wrong with a word that should be one of these, and what to do.
    pub fn misspelt(self, word: &str) -> Option<(String, String)> {
        if self.all().contains(&word) {
            return None;
        }
        let name = match self {
            Self::Enum(name) => name,
            Self::Which(shape) => &shape.name,
            Self::Flag => "a flag: true, false, absent",
        };
        Some((format!("\"{word}\" is not a word of {name}"), suggest(word, self.said())))
    }

    /// The same for a text that may be anything, unless it begins as the words of one of our enums do.
    pub fn nearly(text: &str) -> Option<(String, String)> {
        let shaped = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !shaped || input::is_enum_word(text) {
            return None;
        }
        Self::Enum(input::enum_like(text)?).misspelt(text)
    }
}

/// A place where a code table is used.
#[derive(Debug, Clone)]
pub struct TableUse {
    pub table: String,
    /// What ours may be there; `None` where nobody can say.
    pub words: Option<Words>,
    /// A map reads theirs into ours; a template writes ours as theirs.
    pub reads: bool,
    pub file: String,
    pub line: u32,
}

/// Rows and replacements of tables that speak of our words hold only such words.
pub fn check_tables(
    entries: &[CodesEntry],
    tables: &BTreeMap<String, CodeTable>,
    uses: &[TableUse],
    faults: &mut Faults,
) {
    for entry in entries {
        let Some(table) = tables.get(&entry.name) else { continue };
        let of_table: Vec<&TableUse> = uses.iter().filter(|u| u.table == entry.name).collect();
        let known: Vec<Words> = of_table.iter().filter_map(|u| u.words).collect();
        for words in of_table.iter().filter(|u| u.reads).filter_map(|u| u.words) {
            if let Missing::Replace(with) = &table.missing
                && let Some((what, hint)) = words.misspelt(with)
            {
                let what = format!("the replacement of [codes.{}] is read as ours, and {what}", entry.name);
                faults.add(FILE, entry.line, what, hint);
            }
        }
        // One that has neither is another table: a fault for each of its rows would say the same.
        if let Some(flag) = of_table.iter().find(|u| matches!(u.words, Some(Words::Flag)))
            && !table.has("true")
            && !table.has("false")
        {
            let what = format!(
                "[codes.{}] has no row for true or false, and {}:{} reads a flag by it",
                entry.name, flag.file, flag.line
            );
            let hint =
                format!("write true, false or absent under ours in {}; or read it by code:{}", table.file, entry.name);
            faults.add(FILE, entry.line, what, hint);
            continue;
        }
        // Only where every use says what ours may be is a row beside it of no use.
        if !of_table.is_empty() && known.len() == of_table.len() {
            for (ours, line) in table.lines() {
                let wrong: Vec<_> = known.iter().filter_map(|w| w.misspelt(ours)).collect();
                if wrong.len() == known.len()
                    && let Some((what, hint)) = wrong.into_iter().next()
                {
                    faults.add(&table.file, line, what, hint);
                }
            }
        }
        for (word, _) in &entry.without {
            let named = known.iter().any(|w| w.all().contains(&word.as_str()));
            if table.has(word) {
                let what = format!("`without` of [codes.{}] names \"{word}\", which has a row", entry.name);
                faults.add(FILE, entry.line, what, "remove the one or the other");
            } else if !named {
                let what = format!("`without` of [codes.{}] names \"{word}\", which it is never asked for", entry.name);
                faults.add(FILE, entry.line, what, suggest(word, known.iter().flat_map(|w| w.said())));
            }
        }
    }
}

/// Words that a template may have to write and for which its table has no row: such a message would stop on the day it is first wanted.
pub fn check_complete(
    entries: &[CodesEntry],
    tables: &BTreeMap<String, CodeTable>,
    uses: &[TableUse],
    faults: &mut Faults,
) {
    for entry in entries.iter().filter(|e| e.missing == Missing::Error) {
        let Some(table) = tables.get(&entry.name) else { continue };
        let writes = uses.iter().filter(|u| u.table == entry.name && !u.reads);
        let wanted: BTreeSet<&str> = writes.clone().filter_map(|u| u.words).flat_map(|w| w.said()).collect();
        let without = |word: &str| entry.without.iter().any(|(w, _)| w == word);
        let lacking: Vec<&str> = wanted.into_iter().filter(|w| !table.has(w) && !without(w)).collect();
        if let (Some(first), Some(at)) = (lacking.first(), writes.clone().find(|u| u.words.is_some())) {
            let what = format!("has no row for {}, which {} may have to write", lacking.join(", "), at.file);
            let hint = format!(
                "add rows; or say why there is none, in [codes.{}]: without = {{ {first} = \"why\" }}",
                entry.name
            );
            faults.add(&table.file, 0, what, hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_held_against_the_words_of_its_field_and_of_no_other() {
        let gender = Words::Enum("Gender");
        let (what, hint) = gender.misspelt("GENDER_MAIL").expect("a typo");
        assert_eq!(
            (what.as_str(), hint.as_str()),
            ("\"GENDER_MAIL\" is not a word of Gender", "did you mean \"GENDER_MALE\"?")
        );
        assert!(gender.misspelt("GENDER_MALE").is_none() && gender.misspelt("REFERRAL_PRIORITY_ROUTINE").is_some());
        assert!(Words::nearly("ENTRY_ACTION_REPLAC").is_some_and(|(_, hint)| hint.contains("ENTRY_ACTION_REPLACE")));
        for fine in ["ENTRY_ACTION_REPLACE", "UNICODE UTF-8", "MDM_T02", "gender", ""] {
            assert_eq!(Words::nearly(fine), None, "{fine}");
        }
    }
}
