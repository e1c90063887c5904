//! What two packs, or two messages, say differently: segment by segment and field by field.

use super::examples::{CaseKind, cases};
use super::fault::Faults;
use super::input;
use super::pack::Pack;
use super::render::RenderOptions;
use serde_json::Value;
use std::collections::BTreeMap;

/// Pairs of segments that are compared to line two messages up; longer ones are lined up from their beginnings.
const MAX_PAIRS: usize = 4_000_000;

/// One place where they differ. `None`: it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `MSH-12`, `OBX[3]-5`, `NTE[2]`, or `line 7` where the format has no segments.
    pub place: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// An example under both packs: the message, or why there is none.
#[derive(Debug, Clone)]
pub struct Compared {
    pub name: String,
    pub old: Result<String, String>,
    pub new: Result<String, String>,
    /// No message is what it is to show.
    pub is_to_fail: bool,
}

impl Compared {
    /// Neither pack makes a message, though there should be one: what they would send differently nobody can say.
    pub fn is_unknown(&self) -> bool {
        self.old.is_err() && self.new.is_err() && !self.is_to_fail
    }

    pub fn changes(&self) -> Vec<Change> {
        match (&self.old, &self.new) {
            (Ok(old), Ok(new)) => changes(old, new),
            (Err(old), Err(new)) if old == new => Vec::new(),
            (old, new) => {
                let whole = |r: &Result<String, String>| {
                    r.as_ref().map_or_else(|why| format!("no message: {why}"), |_| "a message".into())
                };
                vec![Change { place: "message".into(), old: Some(whole(old)), new: Some(whole(new)) }]
            }
        }
    }
}

/// Every render example of either pack, made by both. Each pack uses its own settings, and those of the example that it has.
pub fn packs(old: &Pack, new: &Pack) -> Vec<Compared> {
    let mut tried: BTreeMap<String, Tried> = BTreeMap::new();
    for (pack, mark) in [(old, "old"), (new, "new")] {
        let found = cases(&pack.sources, pack.manifest.format, &mut Faults::default());
        for case in found.into_iter().filter(|c| c.kind == CaseKind::Render) {
            let there = |file: &str| {
                let path = format!("examples/{}/{file}", case.name);
                pack.sources.bytes(&path).and_then(|_| pack.sources.text(&path, &mut Faults::default()))
            };
            let this = Tried {
                input: there("input.json").unwrap_or_default(),
                settings: there("settings.toml").unwrap_or_default(),
                answers: pack.answer_files().filter_map(|file| there(&file).map(|text| (file, text))).collect(),
                is_to_fail: there("expected.err").is_some(),
            };
            match tried.get_mut(&case.name) {
                Some(there) if there.asks_the_same(&this) => there.is_to_fail &= this.is_to_fail,
                Some(_) => drop(tried.insert(format!("{} ({mark})", case.name), this)),
                None => drop(tried.insert(case.name, this)),
            }
        }
    }
    let one = |(name, tried): (String, Tried)| Compared {
        old: old.with_example(&tried),
        new: new.with_example(&tried),
        is_to_fail: tried.is_to_fail,
        name,
    };
    tried.into_iter().map(one).collect()
}

/// An example, as far as a message is made of it.
struct Tried {
    input: String,
    settings: String,
    /// What the record is answered, by file.
    answers: BTreeMap<String, String>,
    is_to_fail: bool,
}

impl Tried {
    fn asks_the_same(&self, other: &Self) -> bool {
        (&self.input, &self.settings, &self.answers) == (&other.input, &other.settings, &other.answers)
    }
}

impl Pack {
    fn with_example(&self, tried: &Tried) -> Result<String, String> {
        let given: toml::Table = tried.settings.parse().map_err(|_| "settings.toml is not TOML".to_owned())?;
        let mut all = self.manifest.settings.examples();
        for (name, value) in &given {
            let value = super::table::to_json(value);
            if self.manifest.settings.get(name).is_some_and(|s| s.accepts(&value)) {
                all.insert(name.clone(), value);
            }
        }
        let said = |faults: Vec<super::Fault>| faults.first().map(ToString::to_string).unwrap_or_default();
        let settings = self.manifest.settings.resolve(&all, "settings").map_err(said)?;
        let input = input::from_json(&tried.input).map_err(|_| "input.json is not a RenderInput".to_owned())?;
        let mut value =
            input::to_json(&input).map_err(|_| "input.json holds a time that no calendar has".to_owned())?;
        value["settings"] = Value::Object(settings);
        self.looked_up_in(&mut value, &tried.answers).map_err(|e| e.to_string())?;
        self.render_value(&value, &RenderOptions::default()).map(|r| r.text_for_display).map_err(|e| e.to_string())
    }
}

/// Two messages, a segment (or any other line) a line.
pub fn changes(old: &str, new: &str) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let separator = [&old, &new].map(|m| m.first().and_then(|l| l.strip_prefix("MSH")).and_then(|l| l.chars().next()));
    match separator {
        [Some(a), Some(b)] if a == b => segments(&old, &new, a),
        _ => lines(&old, &new),
    }
}

fn lines(old: &[&str], new: &[&str]) -> Vec<Change> {
    let pairs = line_up(old, new, |_, _| false);
    let change = |(a, b): (Option<usize>, Option<usize>)| {
        let text = |side: &[&str], at: Option<usize>| at.map(|i| side[i].to_owned());
        let line = b.or(a).unwrap_or_default() + 1;
        (a.is_none() || b.is_none()).then(|| Change {
            place: format!("line {line}"),
            old: text(old, a),
            new: text(new, b),
        })
    };
    pairs.into_iter().filter_map(change).collect()
}

fn segments(old: &[&str], new: &[&str], separator: char) -> Vec<Change> {
    let id = |line: &str| line.split(separator).next().unwrap_or_default().to_owned();
    let mut changes = Vec::new();
    for (a, b) in line_up(old, new, |a, b| id(a) == id(b)) {
        let (side, at) = if let Some(i) = b { (new, i) } else { (old, a.unwrap_or_default()) };
        let name = id(side[at]);
        let count = |side: &[&str]| side.iter().filter(|l| id(l) == name).count();
        let number = side[..=at].iter().filter(|l| id(l) == name).count();
        let place = if count(old).max(count(new)) > 1 { format!("{name}[{number}]") } else { name };
        match (a, b) {
            (Some(a), Some(b)) => fields(&place, old[a], new[b], separator, &mut changes),
            _ => changes.push(Change { place, old: a.map(|i| old[i].to_owned()), new: b.map(|i| new[i].to_owned()) }),
        }
    }
    changes
}

fn fields(place: &str, old: &str, new: &str, separator: char, changes: &mut Vec<Change>) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split(separator).collect(), new.split(separator).collect());
    // MSH-1 is the separator itself.
    let first = usize::from(place == "MSH");
    for i in 1..old.len().max(new.len()) {
        let field = |side: &[&str]| side.get(i).copied().unwrap_or_default().to_owned();
        let (a, b) = (field(&old), field(&new));
        if a == b {
            continue;
        }
        let mut at = format!("{place}-{}", i + first);
        let parts = |f: &str| f.split('^').map(str::to_owned).collect::<Vec<_>>();
        let (x, y) = (parts(&a), parts(&b));
        let differ: Vec<usize> = (0..x.len().max(y.len())).filter(|n| x.get(*n) != y.get(*n)).collect();
        let (mut was, mut is) = (a.clone(), b.clone());
        if let [one] = differ.as_slice()
            && x.len().max(y.len()) > 1
            && !a.contains('~')
            && !b.contains('~')
        {
            at.push_str(&format!(".{}", one + 1));
            let part = |side: &[String]| side.get(*one).cloned().unwrap_or_default();
            (was, is) = (part(&x), part(&y));
        }
        let some = |text: String| (!text.is_empty()).then_some(text);
        changes.push(Change { place: at, old: some(was), new: some(is) });
    }
}

/// Pairs of lines that belong together, in order; what has no partner stands alone. Equal lines count most, `alike` ones less.
fn line_up(old: &[&str], new: &[&str], alike: impl Fn(&str, &str) -> bool) -> Vec<(Option<usize>, Option<usize>)> {
    let (n, m) = (old.len(), new.len());
    if n.saturating_mul(m) > MAX_PAIRS {
        return (0..n.max(m)).map(|i| ((i < n).then_some(i), (i < m).then_some(i))).collect();
    }
    let worth = |i: usize, j: usize| match old[i] == new[j] {
        true => 3,
        false if alike(old[i], new[j]) => 1,
        false => 0,
    };
    // best[i][j]: from there to both ends.
    let mut best = vec![vec![0_u32; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let paired = worth(i, j);
            let with = if paired > 0 { paired + best[i + 1][j + 1] } else { 0 };
            best[i][j] = with.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < n && j < m {
        let paired = worth(i, j);
        if paired > 0 && best[i][j] == paired + best[i + 1][j + 1] {
            pairs.push((Some(i), Some(j)));
            (i, j) = (i + 1, j + 1);
        } else if best[i][j] == best[i + 1][j] {
            pairs.push((Some(i), None));
            i += 1;
        } else {
            pairs.push((None, Some(j)));
            j += 1;
        }
    }
    pairs.extend((i..n).map(|i| (Some(i), None)));
    pairs.extend((j..m).map(|j| (None, Some(j))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(old: &str, new: &str) -> Vec<String> {
        let shown =
            |c: Change| format!("{}: {} -> {}", c.place, c.old.unwrap_or("-".into()), c.new.unwrap_or("-".into()));
        changes(old, new).into_iter().map(shown).collect()
    }

    #[test]
    fn a_change_is_named_by_segment_field_and_component() {
        assert_eq!(
            said("MSH|^~\\&|A|B|2.4\nPID|1||9^^^N^NH", "MSH|^~\\&|A|B|2.5.1\nPID|1||9^^^N"),
            ["MSH-5: 2.4 -> 2.5.1", "PID-3.5: NH -> -"]
        );
        assert_eq!(
            said("MSH|^~\\&\nPV1|1|O|||", "MSH|^~\\&\nPV1|1|O"),
            [] as [&str; 0],
            "empty fields at the end say nothing"
        );
        assert_eq!(said("MSH|^~\\&\nPID|1||a^b~c", "MSH|^~\\&\nPID|1||a^x~c"), ["PID-3: a^b~c -> a^x~c"]);
    }

    #[test]
    fn a_segment_more_or_less_moves_no_other() {
        let old = "MSH|^~\\&\nOBX|1|TX|a\nOBX|2|TX|b\nOBX|3|TX|c";
        let new = "MSH|^~\\&\nOBX|1|TX|a\nOBX|3|TX|c";
        assert_eq!(said(old, new), ["OBX[2]: OBX|2|TX|b -> -"]);
        assert_eq!(said(new, old), ["OBX[2]: - -> OBX|2|TX|b"]);
        assert_eq!(said(old, "MSH|^~\\&\nOBX|1|TX|a\nOBX|2|FT|b\nOBX|3|TX|c"), ["OBX[2]-2: TX -> FT"]);
        assert_eq!(said("MSH|^~\\&\nNTE|1", "MSH|^~\\&\nZZZ|1"), ["NTE: NTE|1 -> -", "ZZZ: - -> ZZZ|1"]);
    }

    #[test]
    fn other_formats_are_compared_by_lines() {
        assert_eq!(said("{\n\"a\": 1\n}", "{\n\"a\": 2\n}"), ["line 2: \"a\": 1 -> -", "line 2: - -> \"a\": 2"]);
    }

    #[test]
    fn what_a_lookup_is_answered_is_part_of_an_example() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core");
        let pack = Pack::load(&folder).expect("a pack");
        let compared = packs(&pack, &pack);
        let of = |name: &str| compared.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no {name}"));
        assert!(of("render-note-by-lookup").new.as_ref().is_ok_and(|m| m.contains("Patient/")));
        assert!(of("render-note-by-lookup-none").is_to_fail);
        assert!(compared.iter().all(|c| !c.is_unknown() && c.changes().is_empty()));
    }

    #[test]
    fn what_neither_pack_can_make_is_no_proof_that_nothing_changes() {
        let failed = || Err("lookup.patient.id is not in the input".to_owned());
        let one = |is_to_fail| Compared { name: "a".into(), old: failed(), new: failed(), is_to_fail };
        assert!(one(false).is_unknown());
        assert!(!one(true).is_unknown(), "an example that shows a failure does so by both");
    }
}
