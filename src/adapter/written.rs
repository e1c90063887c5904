//! Where in a pack's templates something of a message was written: a fault that names a segment and a field is mended in one line of one file.

use super::fault::Fault;
use super::filters::Facts;
use super::manifest::{FILE, Format};
use super::pack::Pack;
use serde_json::Value;
use std::sync::Arc;

/// A segment of an HL7 message (its line, from 1), and a field of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub line: usize,
    pub field: Option<usize>,
}

impl Pack {
    /// Faults that say which segment or field they are of, each with the template's file and line that wrote it. Renders once more.
    pub(super) fn placed(&self, input: &Value, faults: Vec<Fault>) -> Vec<Fault> {
        let is_vague = |f: &Fault| f.line == 0 && f.file.starts_with("templates/");
        if self.manifest.format != Format::Hl7v2 || !faults.iter().any(is_vague) {
            return faults;
        }
        let Some(written) = self.written(input) else { return faults };
        let place = |f: Fault| match written.spot_of(&f.what).and_then(|spot| written.place(spot)) {
            Some((file, line)) if is_vague(&f) => Fault { file, line, ..f },
            _ => f,
        };
        faults.into_iter().map(place).collect()
    }

    /// What this input's template prints, for questions of where.
    pub(super) fn written(&self, input: &Value) -> Option<Written<'_>> {
        let plan = self.plan(input).ok()?;
        let document = self.document(&plan, input, false).ok()?;
        let input = document.map_or_else(|| input.clone(), |made| made.told(input));
        let root = plan.entry.template.as_str();
        let printed = self.templates.render(root, &input, &plan.facts).ok()?;
        Some(Written { pack: self, input, facts: plan.facts, root, printed })
    }
}

/// A template's output, and how it came to be.
pub(super) struct Written<'w> {
    pack: &'w Pack,
    /// With what it says of a document.
    input: Value,
    facts: Arc<Facts>,
    root: &'w str,
    printed: String,
}

impl Written<'_> {
    /// File and line of the template that wrote this.
    pub fn place(&self, spot: Spot) -> Option<(String, u32)> {
        self.place_at(offset_of(&self.printed, spot)?)
    }

    /// The same, of a byte of the output.
    pub fn place_at(&self, at: usize) -> Option<(String, u32)> {
        let (file, line) = self.pack.templates.place(self.root, &self.input, &self.facts, at)?;
        (file != FILE && line > 0).then_some((file, line))
    }

    pub fn printed(&self) -> &str {
        &self.printed
    }

    /// Which segment and field a fault speaks of: `PID-3 (segment 3)`, `TXA-12`; of a line that is no segment, that one.
    fn spot_of(&self, what: &str) -> Option<Spot> {
        if what.contains("a line is no segment") {
            let line = lines(&self.printed).position(|(_, line)| !is_segment(line))?;
            return Some(Spot { line: line + 1, field: None });
        }
        fields_named(what).find_map(|(id, field, rest)| {
            let numbered = rest.strip_prefix(" (segment ").and_then(|r| r.split(')').next()?.parse().ok());
            let first = || lines(&self.printed).position(|(_, line)| line.starts_with(id)).map(|at| at + 1);
            Some(Spot { line: numbered.or_else(first)?, field })
        })
    }
}

fn is_segment(line: &str) -> bool {
    let (id, rest) = line.split_at_checked(3).unwrap_or((line, " "));
    is_id(id) && (rest.is_empty() || rest.starts_with('|'))
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_uppercase()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Segments that words of ours name, each with its field, and what follows.
fn fields_named(what: &str) -> impl Iterator<Item = (&str, Option<usize>, &str)> {
    let starts = what.char_indices().map(|(at, _)| at);
    starts.filter(|at| !what[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '-')).filter_map(|at| {
        let (id, rest) = what.get(at..at + 3).zip(what.get(at + 3..)).filter(|(id, _)| is_id(id))?;
        if rest.starts_with(" (segment ") {
            return Some((id, None, rest));
        }
        let rest = rest.strip_prefix('-')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((id, Some(rest[..digits].parse().ok()?), &rest[digits..]))
    })
}

/// Each line of a template's output that becomes a segment, with the byte it begins at.
fn lines(printed: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let all = printed.split('\n').map(move |line| {
        let begins = at + line.len() - line.trim_start_matches([' ', '\t']).len();
        at += line.len() + 1;
        (begins, line.trim_start_matches([' ', '\t']).trim_end_matches('\r'))
    });
    all.filter(|(_, line)| !line.trim().is_empty())
}

/// The byte at which it begins.
fn offset_of(printed: &str, spot: Spot) -> Option<usize> {
    let (begins, line) = lines(printed).nth(spot.line.checked_sub(1)?)?;
    let Some(field) = spot.field else { return Some(begins) };
    // MSH-1 is the separator itself.
    let marks = if line.starts_with("MSH") { field.saturating_sub(1) } else { field };
    let within = line.match_indices('|').nth(marks.checked_sub(1)?).map(|(at, _)| at + 1);
    // A field that the line does not reach is missing at its end.
    Some(begins + within.unwrap_or(line.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_names_a_field_is_of_that_field() {
        for (what, named) in [
            ("makes a message in which TXA-17 (segment 5): is required and empty", Some(("TXA", Some(17)))),
            ("makes a message in which TXA (segment 5): is missing here", Some(("TXA", None))),
            ("note.create: PID-5.1 is not the patient's family name", Some(("PID", Some(5)))),
            ("makes a message whose MSH-10 is not its control id", Some(("MSH", Some(10)))),
            ("makes a message that does not name its document in TXA-12: no repeat", Some(("TXA", Some(12)))),
            ("makes nothing", None),
        ] {
            assert_eq!(fields_named(what).next().map(|(id, field, _)| (id, field)), named, "{what}");
        }
    }

    #[test]
    fn a_field_begins_behind_its_mark() {
        let printed = "\n  MSH|^~\\&|A|B\n\nPID|1||999\n";
        let at = |line, field| offset_of(printed, Spot { line, field }).map(|at| &printed[at..=at]);
        assert_eq!((at(1, Some(3)), at(1, Some(4)), at(2, None)), (Some("A"), Some("B"), Some("P")));
        assert_eq!((at(2, Some(3)), at(2, Some(9)), at(3, None)), (Some("9"), Some("9"), None));
    }
}
