//! Cases that a pack takes over from its base: with whose settings they run, and what they must still show here.

use super::examples::{Case, CaseKind, Judge, Outcome};
use super::fault::{Fault, Faults};
use super::manifest::Manifest;
use super::pack::Pack;
use super::sources::Sources;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the examples of each base start from, by the base's id.
pub fn examples_of_bases(sources: &Sources) -> BTreeMap<String, Map<String, Value>> {
    let mut all = BTreeMap::new();
    let mut at = sources.base();
    while let Some(base) = at {
        if let Some(manifest) = Manifest::read(base, &mut Faults::default()) {
            all.insert(base.name.clone(), manifest.settings.examples());
        }
        at = base.base();
    }
    all
}

impl Pack {
    /// What a case's settings start from: those of the pack that has the case, as far as this pack still has them.
    pub(super) fn settings_of(&self, case: &Case) -> Map<String, Value> {
        let mut settings = self.manifest.settings.examples();
        let theirs = case.from.as_ref().and_then(|from| self.base_examples.get(from));
        for (name, value) in theirs.into_iter().flatten() {
            if self.manifest.settings.get(name).is_some_and(|s| s.accepts(value)) {
                settings.insert(name.clone(), value.clone());
            }
        }
        settings
    }

    /// What the base's messages carry must be carried with this pack's settings too, or the pack says so itself.
    pub(super) fn still_carried(&self, case: &Case, outcome: &Outcome, judge: Judge) -> Result<(), Vec<Fault>> {
        if case.from.is_none() || case.kind == CaseKind::Reply || outcome.failed() {
            return Ok(());
        }
        let own = Case { from: None, ..case.clone() };
        let not_here =
            |f: Fault| Fault { hint: format!("{}; or name {} in [without] examples", f.hint, case.name), ..f };
        match self.run(&own, judge).map_err(|list| list.into_iter().map(not_here).collect::<Vec<_>>())? {
            own if own.failed() => {
                let why = own.text.lines().next().unwrap_or_default();
                let what = format!("cannot be made with this pack's settings: {why}");
                let hint = format!(
                    "change the settings; if it is right, put an empty examples/{}/expected.err into this pack by hand, then adapter test --bless",
                    case.name
                );
                Err(vec![Fault::new(&format!("examples/{}/{}", case.name, outcome.file), 0, what, hint)])
            }
            _ => Ok(()),
        }
    }
}
