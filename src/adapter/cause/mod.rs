//! Why examples are not as expected. One mistake in a pack shows in many of them: it is told once, at the line that is to be mended, with the first
//! example that shows it and the names of the others.

mod fields;
mod made;
mod parsed;
mod rows;

use super::examples::{Case, CaseKind, Outcome};
use super::fault::Fault;
use super::pack::Pack;
use std::collections::BTreeSet;

/// Names of other examples that are told.
const NAMED_MAX: usize = 8;

/// A case that does not give what it expects, and what is said of it alone.
pub(super) struct Unexpected {
    pub case: Case,
    pub outcome: Outcome,
    pub told: Fault,
}

/// What is wrong, and the examples that show it.
struct Cause {
    /// The same in every example that shows it.
    key: String,
    fault: Fault,
    /// What the fault is of: a field of ours, `PID-5`. Empty, where it stands at no line of the pack's.
    subject: String,
    examples: Vec<String>,
}

/// Every cause once.
#[derive(Default)]
pub(super) struct Causes {
    list: Vec<Cause>,
    /// Lines of the pack's that may say nothing because of one of them.
    explained: BTreeSet<(String, u32)>,
}

impl Causes {
    /// What cases show that are not as expected.
    pub fn of(pack: &Pack, unexpected: &[Unexpected]) -> Self {
        let mut causes = Self::default();
        let (read, others): (Vec<_>, Vec<_>) = unexpected.iter().partition(|u| u.case.kind == CaseKind::Parse);
        parsed::causes(pack, &read, &mut causes);
        for one in others {
            let found = match one.case.kind {
                CaseKind::Render if one.outcome.failed() => made::reasons(one),
                CaseKind::Render => made::difference(pack, one).into_iter().collect(),
                CaseKind::Reply | CaseKind::Parse => Vec::new(),
            };
            if found.is_empty() {
                causes.of_example(&one.case.name, one.told.clone());
            }
            for (fault, subject) in found {
                causes.at_line(&one.case.name, fault, subject);
            }
        }
        causes
    }

    /// What stands in an example's own files, or is known of it only.
    pub fn of_example(&mut self, example: &str, fault: Fault) {
        let same = |text: &str| text.replace(example, "…");
        let key = format!("{}\n{}", same(&fault.what), same(&fault.hint));
        self.add(key, fault, String::new(), example);
    }

    /// What is to be mended at the fault's line, whichever example shows it.
    pub fn at_line(&mut self, example: &str, fault: Fault, subject: impl Into<String>) {
        let subject = subject.into();
        let key = format!("{}:{}:{subject}", fault.file, fault.line);
        self.add(key, fault, subject, example);
    }

    fn add(&mut self, key: String, fault: Fault, subject: String, example: &str) {
        match self.list.iter_mut().find(|cause| cause.key == key) {
            Some(cause) if cause.examples.iter().any(|e| e == example) => {}
            Some(cause) => cause.examples.push(example.to_owned()),
            None => self.list.push(Cause { key, fault, subject, examples: vec![example.to_owned()] }),
        }
    }

    /// Lines of the pack's at which something is to be mended that examples show, and those that say nothing because of it.
    pub fn lines(&self) -> BTreeSet<(String, u32)> {
        let placed = self.list.iter().filter(|cause| !cause.subject.is_empty() && cause.fault.line > 0);
        placed.map(|cause| (cause.fault.file.clone(), cause.fault.line)).chain(self.explained.iter().cloned()).collect()
    }

    fn explain(&mut self, lines: impl Iterator<Item = (String, u32)>) {
        self.explained.extend(lines);
    }

    /// The faults: what is known of the same line and the same thing already is not told twice, but that examples show it is.
    pub fn told(self, faults: &mut Vec<Fault>) {
        let known = faults.len();
        for cause in self.list {
            let explains = |f: &&mut Fault| {
                let same_line = f.line > 0 && (&f.file, f.line) == (&cause.fault.file, cause.fault.line);
                // A row of a map makes one field.
                let same_thing = f.file.contains("maps/") || names(&f.what, &cause.subject);
                !cause.subject.is_empty() && same_line && same_thing
                    || f.what.contains(&format!("has no row for {},", cause.subject))
            };
            match faults[..known].iter_mut().find(explains) {
                Some(known) => {
                    let (first, others) = cause.examples.split_first().map_or(("", [].as_slice()), |(f, o)| (f, o));
                    known.what = format!("{}; example {first} shows it{}", known.what, also_in(others));
                }
                None => {
                    let others = cause.examples.get(1..).unwrap_or_default();
                    faults.push(Fault { what: format!("{}{}", cause.fault.what, also_in(others)), ..cause.fault });
                }
            }
        }
    }
}

/// Whether words of a fault speak of the field `PID-5`, be it of a component of it.
fn names(what: &str, subject: &str) -> bool {
    let is_field =
        subject.split_once('-').is_some_and(|(id, n)| id.len() == 3 && n.bytes().all(|b| b.is_ascii_digit()));
    let apart = |(at, _): (usize, &str)| !what[at + subject.len()..].starts_with(|c: char| c.is_ascii_digit());
    is_field && what.match_indices(subject).any(apart)
}

/// `, and in 3 other examples: a, b, c`
fn also_in(others: &[String]) -> String {
    let left = others.len().saturating_sub(NAMED_MAX);
    let names = others.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (others.len(), left) {
        (0, _) => String::new(),
        (1, _) => format!(", and in 1 other example: {names}"),
        (n, 0) => format!(", and in {n} other examples: {names}"),
        (n, _) => format!(", and in {n} other examples: {names} …"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(causes: Causes) -> Vec<String> {
        let mut faults = Vec::new();
        causes.told(&mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_cause_is_one_fault_that_names_some_of_the_examples() {
        let mut causes = Causes::default();
        for n in 1..=12 {
            let what = format!("PID-5 is not what example e{n} expects");
            causes.at_line(&format!("e{n}"), Fault::new("templates/pid.hl7", 3, what, "mend it"), "PID-5");
        }
        assert_eq!(
            told(causes),
            [
                "templates/pid.hl7:3: PID-5 is not what example e1 expects, and in 11 other examples: e2, e3, e4, e5, e6, e7, e8, e9 …; mend it"
            ]
        );
    }

    #[test]
    fn the_same_words_in_several_examples_files_are_told_once() {
        let mut causes = Causes::default();
        for case in ["a1", "a2"] {
            let file = format!("examples/{case}/expected.hl7");
            causes.of_example(case, Fault::new(&file, 3, "differs", format!("delete {case} by hand")));
        }
        causes.of_example("a3", Fault::new("examples/a3/expected.hl7", 3, "differs otherwise", ""));
        assert_eq!(
            told(causes),
            [
                "examples/a1/expected.hl7:3: differs, and in 1 other example: a2; delete a1 by hand",
                "examples/a3/expected.hl7:3: differs otherwise",
            ]
        );
    }

    #[test]
    fn what_is_known_of_a_line_is_not_told_again_of_its_examples() {
        let mut causes = Causes::default();
        causes.at_line("e1", Fault::new("templates/pid.hl7", 3, "PID-5 is not as expected", ""), "PID-5");
        let mut faults = vec![
            Fault::new("templates/pid.hl7", 3, "PID-50 is longer than 9", ""),
            Fault::new("templates/pid.hl7", 3, "PID-5.1 is not the family name", ""),
        ];
        causes.told(&mut faults);
        let said: Vec<&str> = faults.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(said, ["PID-50 is longer than 9", "PID-5.1 is not the family name; example e1 shows it"]);
    }
}
