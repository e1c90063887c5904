//! Faults: what is wrong, where, and what to do about it. All of them are collected before anything is said.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One thing wrong with (or, as a warning, doubtful about) the configuration.
///
/// Shown as `file:line: what; try this`. Holds names of keys, files and endpoints, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file as it was named, or `environment variable NAME`.
    pub file: String,
    /// Counted from 1; `None` when the fault is not in one line.
    pub line: Option<u32>,
    pub what: String,
    pub hint: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}; {}", self.what, self.hint)
    }
}

impl std::error::Error for Fault {}

/// A text that settings were read from.
#[derive(Debug)]
pub(super) struct Source {
    /// Files are reported in the order they were read.
    pub order: u32,
    pub shown: String,
    /// The folder that paths in this text start from.
    pub base: PathBuf,
}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub source: Arc<Source>,
    pub line: Option<u32>,
}

impl Place {
    /// The whole text rather than one line of it.
    pub fn whole(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), line: None }
    }

    pub fn fault(&self, what: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { file: self.source.shown.clone(), line: self.line, what: what.into(), hint: hint.into() }
    }

    /// Short, for "already used in …".
    pub fn shown(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.source.shown),
            None => self.source.shown.clone(),
        }
    }
}

/// A key that nothing asked for, kept until all keys are known so that the hint can say where it belongs.
pub(super) struct Unknown {
    pub place: Place,
    pub section: String,
    pub key: String,
    pub known: Vec<&'static str>,
}

/// What reading gathers besides the values.
#[derive(Default)]
pub(super) struct Findings {
    faults: RefCell<Vec<(u32, Fault)>>,
    warnings: RefCell<Vec<(u32, Fault)>>,
    unknown: RefCell<Vec<Unknown>>,
    /// Every key the code asked for, with its default as TOML text where it has one.
    keys: RefCell<BTreeMap<String, Option<&'static str>>>,
}

impl Findings {
    pub fn fault(&self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.borrow_mut().push((place.source.order, place.fault(what, hint)));
    }

    pub fn warn(&self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.warnings.borrow_mut().push((place.source.order, place.fault(what, hint)));
    }

    pub fn unknown(&self, unknown: Unknown) {
        self.unknown.borrow_mut().push(unknown);
    }

    pub fn asked(&self, path: String, default: Option<&'static str>) {
        self.keys.borrow_mut().insert(path, default);
    }

    pub fn keys(&self) -> BTreeMap<String, Option<&'static str>> {
        self.keys.borrow().clone()
    }

    /// How many faults there are so far.
    pub fn count(&self) -> usize {
        self.faults.borrow().len()
    }

    /// All faults in reading order, or the warnings when there is no fault.
    pub fn settle(self) -> Result<Vec<Fault>, Vec<Fault>> {
        for unknown in self.unknown.take() {
            let hint = self.hint_for(&unknown);
            let path = join(&unknown.section, &unknown.key);
            self.fault(&unknown.place, format!("unknown key {path}"), hint);
        }
        let faults = sorted(self.faults.into_inner());
        if faults.is_empty() { Ok(sorted(self.warnings.into_inner())) } else { Err(faults) }
    }

    /// The commonest slips are a typing error and a key below the wrong `[header]`.
    fn hint_for(&self, unknown: &Unknown) -> String {
        if let Some(near) = nearest(&unknown.key, unknown.known.iter().copied()) {
            return format!("did you mean {near}?");
        }
        let keys = self.keys.borrow();
        if unknown.section.is_empty() && keys.contains_key(&unknown.key) {
            return "it belongs in the main file; included files hold [[trust]], [[endpoint]], [[route]] and [[principal]] only".to_owned();
        }
        let suffix = format!(".{}", unknown.key);
        match keys.keys().find_map(|k| k.strip_suffix(&suffix)) {
            Some(section) => format!("it belongs in {section}: move it under the line that begins that section"),
            None if unknown.known.is_empty() => "remove it".to_owned(),
            None => format!("remove it, or use one of: {}", unknown.known.join(", ")),
        }
    }
}

fn sorted(mut found: Vec<(u32, Fault)>) -> Vec<Fault> {
    found.sort_by(|(a, x), (b, y)| (a, &x.file, x.line).cmp(&(b, &y.file, y.line)));
    let mut faults: Vec<Fault> = found.into_iter().map(|(_, fault)| fault).collect();
    faults.dedup();
    faults
}

/// `section.key`, or just the key at the top.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The known word that was probably meant, if any is close.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let known: Vec<&str> = known.collect();
    // `site` for `site_ods`.
    if let Some(longer) = known.iter().find(|k| k.strip_prefix(word).is_some_and(|rest| rest.starts_with('_'))) {
        return Some(longer);
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, k)| k)
}
