//! What a case expects, held against what it gives.

use super::examples::{Case, Outcome};
use super::fault::{Fault, Faults};
use super::pack::Pack;
use super::sources::Sources;
use crate::domain::nhs_number::may_hold_a_real_one;

/// What a case may expect: one of them.
pub(super) const EXPECTED: &[&str] =
    &["expected.hl7", "expected.files", "expected.http", "expected.json", "expected.err", "expected.verdict"];

/// Reasons for one failed case that are told.
const REASONS_MAX: usize = 10;
/// Characters of a differing line that are told, and those before the difference.
const SHOWN_CHARS: usize = 160;
const BEFORE_CHARS: usize = 40;

impl Outcome {
    /// Why it failed, on one line.
    fn why(&self, sources: &Sources) -> String {
        let lines: Vec<String> = match self.reasons.as_slice() {
            [] => self.text.lines().map(str::to_owned).collect(),
            list => sources.located(list.to_vec()).iter().map(ToString::to_string).collect(),
        };
        let more = lines.len().saturating_sub(REASONS_MAX);
        let mut said = lines.into_iter().take(REASONS_MAX).collect::<Vec<_>>().join(" | ");
        if more > 0 {
            said.push_str(&format!(" | and {more} more"));
        }
        said
    }
}

impl Pack {
    /// Compares a case with what it expects.
    pub fn judge(&self, case: &Case, outcome: &Outcome) -> Result<(), Fault> {
        let path = format!("examples/{}/{}", case.name, outcome.file);
        let bless = match &case.from {
            None => "if this is right, run adapter test --bless and review the change",
            Some(_) => {
                "if this is right, run adapter test --bless, which writes an expected file of this pack's own, and review it"
            }
        };
        if let Some(other) = self.expected_instead(case, outcome) {
            let what = match outcome.failed() {
                true => format!("is expected, but the case fails: {}", outcome.why(&self.sources)),
                false => format!("is expected, but the case gives {}", outcome.file),
            };
            let hint = if outcome.failed() { self.by_hand(&other) } else { bless.to_owned() };
            return Err(Fault::new(&other, 0, what, hint));
        }
        let mut unused = Faults::default();
        let Some(expected) = self.sources.text(&path, &mut unused) else {
            return Err(Fault::new(&path, 0, "is missing", "run adapter test --bless to write it, and review it"));
        };
        if expected == outcome.text {
            return Ok(());
        }
        let line = expected.lines().zip(outcome.text.lines()).take_while(|(a, b)| a == b).count();
        if self.hides(case, outcome) {
            let what = "is not what the pack gives now; what differs is not shown, because a file of this example may hold a real NHS number";
            return Err(Fault::new(
                &path,
                u32::try_from(line + 1).unwrap_or(0),
                what,
                "make it a number that begins with 999, then look again",
            ));
        }
        let (was, is) = differing(expected.lines().nth(line), outcome.text.lines().nth(line));
        let what = format!("is not what the pack gives now: expected {was}, actual {is}");
        Err(Fault::new(&path, u32::try_from(line + 1).unwrap_or(0), what, bless))
    }

    /// Whether what differs is not shown: a file of the case may hold somebody's NHS number.
    pub(super) fn hides(&self, case: &Case, outcome: &Outcome) -> bool {
        let folder = format!("examples/{}", case.name);
        let own = self.sources.under(&folder).filter_map(|file| self.sources.text(file, &mut Faults::default()));
        own.chain([outcome.text.clone()]).any(|text| may_hold_a_real_one(&text))
    }

    /// Another expected file than the one that the outcome belongs in.
    pub(super) fn expected_instead(&self, case: &Case, outcome: &Outcome) -> Option<String> {
        let others = EXPECTED.iter().filter(|f| **f != outcome.file).map(|f| format!("examples/{}/{f}", case.name));
        others.into_iter().find(|path| self.sources.bytes(path).is_some())
    }

    /// What a person does who means that a case that was carried is carried no longer: it is never done by --bless alone.
    fn by_hand(&self, expected: &str) -> String {
        let folder = expected.rsplit_once('/').map_or("", |(folder, _)| folder);
        match self.sources.is_own(expected) {
            true => format!("mend that; if it is right, delete {expected} by hand, then adapter test --bless"),
            false => format!(
                "mend that; if it is right, put an empty {folder}/expected.err into this pack by hand, then adapter test --bless"
            ),
        }
    }
}

/// Two lines that differ, about the place where they do. Examples hold test data only.
pub(super) fn differing(was: Option<&str>, is: Option<&str>) -> (String, String) {
    let same = was.unwrap_or_default().chars().zip(is.unwrap_or_default().chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(BEFORE_CHARS);
    let shown = |line: Option<&str>| {
        let Some(line) = line else { return "no such line".to_owned() };
        let part: String = line.chars().skip(from).take(SHOWN_CHARS).collect();
        let before = if from > 0 { "…" } else { "" };
        let after = if line.chars().count() > from + SHOWN_CHARS { "…" } else { "" };
        format!("{before}{part:?}{after}")
    };
    (shown(was), shown(is))
}
