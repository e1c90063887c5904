//! What is wrong with a pack, said so that the person who keeps the pack can mend it: file, line, what, what to do.
//! A fault never holds a value from a message or a record.

use std::{collections::BTreeSet, fmt};

/// One thing wrong. `line` counts from 1; 0 means the whole file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub file: String,
    pub line: u32,
    pub what: String,
    pub hint: String,
}

impl Fault {
    pub fn new(file: &str, line: u32, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into(), hint: hint.into() }
    }

    /// The same, when the file is the base's that a pack lies over: as seen from the pack's folder.
    pub fn of_base(self, base: &str) -> Self {
        if self.file.starts_with("../") { self } else { Self { file: format!("../{base}/{}", self.file), ..self } }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what)?,
            n => write!(f, "{}:{n}: {}", self.file, self.what)?,
        }
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// Collects every fault, so that whoever keeps the pack learns all of them at once.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub fn add(&mut self, file: &str, line: u32, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Fault::new(file, line, what, hint));
    }

    /// The value when nothing was wrong, else every fault in file and line order.
    pub fn into_result<T>(mut self, value: T) -> Result<T, Vec<Fault>> {
        self.0.sort();
        self.0.dedup();
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// `did you mean "x"?`, or the list of what is known, or nothing when there is nothing to choose from.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen = BTreeSet::new();
    let known: Vec<&str> = known.into_iter().filter(|k| seen.insert(*k)).collect();
    let nearest = known.iter().map(|k| (distance(word, k), *k)).min();
    match nearest {
        Some((d, k)) if d <= 1 + word.chars().count() / 4 => format!("did you mean \"{k}\"?"),
        Some(_) if known.len() <= 24 => format!("known are: {}", known.join(", ")),
        _ => "check the spelling".to_owned(),
    }
}

/// Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The line, from 1, of a byte offset.
pub fn line_of(source: &str, offset: usize) -> u32 {
    let before = source.as_bytes().get(..offset).unwrap_or(source.as_bytes());
    u32::try_from(1 + memchr::memchr_iter(b'\n', before).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_file_line_and_remedy() {
        assert_eq!(Fault::new("a.toml", 3, "unknown key", "remove it").to_string(), "a.toml:3: unknown key; remove it");
        assert_eq!(Fault::new("a.toml", 0, "is missing", "").to_string(), "a.toml: is missing");
    }

    #[test]
    fn a_near_miss_is_suggested_and_a_far_one_gets_the_list() {
        assert_eq!(suggest("templat", ["entry", "template"]), "did you mean \"template\"?");
        assert_eq!(suggest("zzz", ["entry", "template", "entry"]), "known are: entry, template");
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!((line_of("a\nb\nc", 0), line_of("a\nb\nc", 2), line_of("a\nb\nc", 99)), (1, 2, 3));
    }
}
