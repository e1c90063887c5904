//! `[pick]`: one repetition is chosen first, and several of our fields take their parts from it. Chosen part by part, one person's street would
//! stand beside another's town.

use super::super::hl7::{Delimiters, Path, Repeat};
use super::Where;

/// A choice by name, from the best to the last.
#[derive(Debug, Clone)]
pub(super) struct Pick(pub Vec<Alternative>);

#[derive(Debug, Clone)]
pub(super) struct Alternative {
    pub path: Path,
    /// Several different repetitions are none, rather than a fault.
    pub ambiguous_is_absent: bool,
}

impl Pick {
    /// The first alternative under which something was sent decides: one repetition, or none where that cannot be told.
    pub fn take<'m>(&self, place: Where<'m>) -> Result<Option<Repeat<'m>>, String> {
        let marks = place.message.delimiters();
        for alternative in &self.0 {
            let all = alternative.path.repeats(place.segments());
            let found: Vec<Repeat<'m>> = all.filter(|r| alternative.says_something(r, marks)).collect();
            let Some(first) = found.first() else { continue };
            // Senders repeat themselves.
            let said = |r: &Repeat<'m>| r.raw().trim_end_matches(char::from(marks.component)).trim();
            return match found.iter().all(|other| said(other) == said(first)) {
                true => Ok(Some(*first)),
                false if alternative.ambiguous_is_absent => Ok(None),
                false => Err(format!(
                    "{} has {} different repetitions; choose one by what it says",
                    alternative.path,
                    found.len()
                )),
            };
        }
        Ok(None)
    }
}

impl Alternative {
    /// Whether anything stands there beside what it was chosen by.
    fn says_something(&self, repeat: &Repeat<'_>, marks: Delimiters) -> bool {
        let parts = repeat.raw().split(char::from(marks.component)).count();
        let mut others = (1..=parts).filter(|number| !self.path.looks_at().any(|looked| looked == *number));
        others.any(|number| {
            let blank = |c: char| c.is_whitespace() || marks.subcomponent.is_some_and(|mark| c == char::from(mark));
            !repeat.component(number).raw().trim_matches(blank).is_empty()
        })
    }
}
