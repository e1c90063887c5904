//! Whole repetitions of a field: what a `[pick]` of an hl7v2 pack chooses one of.

use super::super::hl7::{Delimiters, Path, Repeat};
use super::{Choosing, Where};

/// A path that means whole repetitions.
#[derive(Debug, Clone)]
pub(super) struct Whole(Path);

impl Whole {
    pub fn of(path: Path) -> Option<Self> {
        path.is_of_repetitions().then_some(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether anything stands there beside what it was chosen by.
    fn says_something(&self, repeat: &Repeat<'_>, marks: Delimiters) -> bool {
        let parts = repeat.raw().split(char::from(marks.component)).count();
        let mut others = (1..=parts).filter(|number| !self.0.looks_at().any(|looked| looked == *number));
        others.any(|number| !said(repeat, number, marks).is_empty())
    }
}

/// A component as it was sent, without the space and the marks of empty subcomponents around it.
fn said<'m>(repeat: &Repeat<'m>, number: usize, marks: Delimiters) -> &'m str {
    let raw = repeat.component(number).raw();
    raw.trim_end_matches(|c: char| c.is_whitespace() || marks.subcomponent.is_some_and(|mark| c == char::from(mark)))
        .trim_start()
}

impl std::fmt::Display for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'m> Choosing<'m> for Whole {
    type Place = Where<'m>;
    type Found = Repeat<'m>;

    fn found(&self, place: Where<'m>) -> Result<Vec<Repeat<'m>>, String> {
        let marks = place.message.delimiters();
        Ok(self.0.repeats(place.segments()).filter(|r| self.says_something(r, marks)).collect())
    }

    /// `SMITH^SAM^J^^MR` says all that `SMITH^SAM` does. Another word in one place, or `""`, is something else.
    fn says_all_of(place: Where<'m>, one: &Repeat<'m>, other: &Repeat<'m>) -> bool {
        let marks = place.message.delimiters();
        let parts = other.raw().split(char::from(marks.component)).count();
        (1..=parts).all(|number| {
            let wanted = said(other, number, marks);
            wanted.is_empty() || wanted == said(one, number, marks)
        })
    }
}
