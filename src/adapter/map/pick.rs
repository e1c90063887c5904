//! `[pick]`: one repetition or element is chosen first, and several of our fields take their parts from it. Chosen part by part, one person's
//! street would stand beside another's town. The same for every format; what a path finds, and when two of those say the same, differs.

use super::super::fault::suggest;
use super::super::table::{Reader, TomlFile};
use super::ambiguous;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use toml::de::DeValue;

/// A path that finds what one may be chosen of. It is shown as the map writes it.
pub(in crate::adapter) trait Choosing<'m>: Display {
    /// Where it looks.
    type Place: Copy;
    type Found: Copy;

    /// Everything it finds that says something.
    fn found(&self, place: Self::Place) -> Result<Vec<Self::Found>, String>;

    /// Whether `one` says all that `other` says. Senders repeat themselves, and not always as fully.
    fn says_all_of(place: Self::Place, one: &Self::Found, other: &Self::Found) -> bool;
}

/// A choice by name, from the best to the last.
#[derive(Debug, Clone)]
pub(in crate::adapter) struct Pick<P>(Vec<Alternative<P>>);

#[derive(Debug, Clone)]
struct Alternative<P> {
    path: P,
    /// Several that differ are none, rather than a fault.
    ambiguous_is_absent: bool,
}

impl<P> Pick<P> {
    /// The first alternative under which something was sent decides: the one that says all that stands there, or none where that cannot be told.
    pub fn take<'m>(&self, place: P::Place) -> Result<Option<P::Found>, String>
    where
        P: Choosing<'m>,
    {
        for alternative in &self.0 {
            let found = alternative.path.found(place)?;
            if found.is_empty() {
                continue;
            }
            let fullest = found.iter().find(|one| found.iter().all(|other| P::says_all_of(place, one, other)));
            return match fullest {
                Some(one) => Ok(Some(*one)),
                None if alternative.ambiguous_is_absent => Ok(None),
                None => Err(format!(
                    "{} is there {} times, each saying something else; choose one by what it says",
                    alternative.path,
                    found.len()
                )),
            };
        }
        Ok(None)
    }

    pub fn paths(&self) -> impl Iterator<Item = &P> {
        self.0.iter().map(|alternative| &alternative.path)
    }

    /// Its alternatives in words, for faults.
    pub fn named(&self) -> String
    where
        P: Display,
    {
        self.0.iter().map(|a| a.path.to_string()).collect::<Vec<_>>().join(" else ")
    }
}

/// `[pick]` of a map.
pub(in crate::adapter) struct Picks<P> {
    by_name: BTreeMap<String, Written<P>>,
    /// A row named one that is not there: then one that no row uses is the same mistake.
    missed: Cell<bool>,
}

struct Written<P> {
    /// None, where it cannot be used: that was said where it stands.
    pick: Option<Arc<Pick<P>>>,
    line: u32,
    used: Cell<bool>,
}

impl<P> Picks<P> {
    /// `pick.name = ["PID-5[7=L]", { from = "PID-5", ambiguous = "absent" }]`. `path` reads one path, and says what is wrong with it.
    pub fn read(
        file: &TomlFile<'_>,
        head: &Reader<'_, '_>,
        example: &str,
        path: impl Fn(&str, u32) -> Option<P>,
    ) -> Self {
        let alternative = |value: &DeValue<'_>, line: u32| {
            let (text, ambiguous_is_absent) = match value {
                DeValue::Table(table) => {
                    let r = Reader::new(file, table, line, "an alternative of [pick]");
                    let from = r.required("from", example).map(|(text, _)| text);
                    let absent = ambiguous(&r);
                    r.finish();
                    (from?, absent)
                }
                other => (other.as_str().unwrap_or_default().to_owned(), false),
            };
            Some(Alternative { path: path(&text, line)?, ambiguous_is_absent })
        };
        let mut by_name = BTreeMap::new();
        for (key, value) in head.table("pick").map(|(table, _)| table).into_iter().flatten() {
            let line = file.line(key.span());
            let all: Option<Vec<_>> = match value.get_ref() {
                DeValue::Array(list) => {
                    let read: Vec<_> = list.iter().map(|i| alternative(i.get_ref(), file.line(i.span()))).collect();
                    read.into_iter().collect()
                }
                one => alternative(one, line).map(|one| vec![one]),
            };
            let pick = all.map(|all| Arc::new(Pick(all)));
            by_name.insert(key.get_ref().to_string(), Written { pick, line, used: Cell::new(false) });
        }
        Self { by_name, missed: Cell::new(false) }
    }

    /// The one that a row names in its `pick`; `Some(None)` where it names one that cannot be used.
    pub fn of_row(&self, r: &Reader<'_, '_>) -> Option<Option<Arc<Pick<P>>>> {
        let (name, at) = r.text("pick")?;
        Some(match self.by_name.get(&name) {
            Some(written) => {
                written.used.set(true);
                written.pick.clone()
            }
            None => {
                self.missed.set(true);
                let hint = suggest(&name, self.by_name.keys().map(String::as_str));
                r.file.fault_at(at, format!("there is no [pick] \"{name}\""), hint);
                None
            }
        })
    }

    /// Faults for those that no row uses.
    pub fn finish(&self, file: &TomlFile<'_>) {
        let unused = self.by_name.iter().filter(|(_, written)| !written.used.get() && !self.missed.get());
        for (name, written) in unused {
            let hint = format!("remove it, or take something of it in a row: {{ pick = \"{name}\", from = \"…\" }}");
            file.fault_at(written.line, format!("[pick] \"{name}\" is used by no row"), hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words;

    impl Display for Words {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a word")
        }
    }

    impl<'m> Choosing<'m> for Words {
        type Place = &'m str;
        type Found = &'m str;

        fn found(&self, place: &'m str) -> Result<Vec<&'m str>, String> {
            Ok(place.split(' ').filter(|w| !w.is_empty()).collect())
        }

        fn says_all_of(_: &'m str, one: &&'m str, other: &&'m str) -> bool {
            one.starts_with(other)
        }
    }

    #[test]
    fn what_says_the_most_is_taken_and_what_contradicts_is_not() {
        let pick = |absent| Pick(vec![Alternative { path: Words, ambiguous_is_absent: absent }]);
        assert_eq!(pick(false).take("a ab abc a"), Ok(Some("abc")));
        assert_eq!(pick(true).take("ab ac"), Ok(None));
        assert_eq!(pick(false).take(""), Ok(None));
        let said = pick(false).take("ab ac").expect_err("two");
        assert!(said.starts_with("a word is there 2 times"), "{said}");
    }
}
