//! Parse examples: each of our fields that differs is traced to the row of the map that makes it.

use super::fields::{Differing, differing};
use super::rows::{Found, Rows};
use super::{Causes, Unexpected};
use crate::adapter::examples::{CaseKind, cases};
use crate::adapter::fault::{Fault, Faults};
use crate::adapter::manifest::FILE;
use crate::adapter::map::Reached;
use crate::adapter::pack::Pack;
use std::collections::{BTreeMap, BTreeSet};

/// An example in which more fields differ is another message altogether.
const FIELDS_MAX: usize = 6;

/// One field of one example.
struct Traced<'u> {
    example: &'u str,
    map: String,
    differing: Differing,
    found: Option<Found>,
    /// What differs may be somebody's.
    hidden: bool,
    hint: &'u str,
}

pub fn causes(pack: &Pack, unexpected: &[&Unexpected], causes: &mut Causes) {
    if unexpected.is_empty() {
        return;
    }
    let ever = ever_reached(pack);
    let mut rows: BTreeMap<String, Rows> = BTreeMap::new();
    let mut traced = Vec::new();
    for one in unexpected {
        let list = traced_of(pack, one, &ever, &mut rows);
        if list.is_empty() || list.len() > FIELDS_MAX {
            causes.of_example(&one.case.name, one.told.clone());
        } else {
            traced.extend(list);
        }
    }
    // Several fields of one choice: what was chosen is wrong, not each part of it.
    let mut of_picks: BTreeMap<(String, u32), BTreeSet<&str>> = BTreeMap::new();
    for one in &traced {
        if let Some((_, line)) = one.found.as_ref().and_then(|f| f.pick.as_ref()) {
            of_picks.entry((one.map.clone(), *line)).or_default().insert(&one.differing.field);
        }
    }
    for one in &traced {
        let picked = one.found.as_ref().and_then(|f| f.pick.as_ref());
        let fields = picked.and_then(|(_, line)| of_picks.get(&(one.map.clone(), *line))).filter(|f| f.len() > 1);
        if let Some(rows) = rows.get(&one.map) {
            let pick = picked.filter(|_| fields.is_some()).map(|(_, line)| *line);
            causes.explain(rows.with(&one.differing.field, pick).map(|line| (one.map.clone(), line)));
        }
        let (fault, subject) = match (picked, fields) {
            (Some((name, line)), Some(fields)) => {
                let fields = fields.iter().copied().collect::<Vec<_>>().join(", ");
                (one.told(&one.map, *line, &format!("what pick.{name} chooses ({fields})")), format!("pick.{name}"))
            }
            _ => one.at_row(pack),
        };
        causes.at_line(one.example, fault, subject);
    }
}

/// Every row that gave something in an example.
fn ever_reached(pack: &Pack) -> BTreeMap<String, Reached> {
    let mut ever: BTreeMap<String, Reached> = BTreeMap::new();
    let all = cases(&pack.sources, pack.manifest.format, &mut Faults::default());
    for case in all.iter().filter(|case| case.kind == CaseKind::Parse) {
        if let Some((map, rows)) = pack.rows_of_example(case) {
            ever.entry(map.to_owned()).or_default().add(rows);
        }
    }
    ever
}

fn traced_of<'u>(
    pack: &Pack,
    one: &'u Unexpected,
    ever: &BTreeMap<String, Reached>,
    rows: &mut BTreeMap<String, Rows>,
) -> Vec<Traced<'u>> {
    let Some(map) = pack.map_of_example(&one.case) else { return Vec::new() };
    let folder = format!("examples/{}", one.case.name);
    let text = |file: &str| pack.sources.text(&format!("{folder}/{file}"), &mut Faults::default());
    let (expected, refused) = match (text("expected.json"), text("expected.err")) {
        (Some(expected), _) => (expected, false),
        (None, Some(expected)) => (expected, true),
        (None, None) => return Vec::new(),
    };
    let rows = rows.entry(map.to_owned()).or_insert_with(|| Rows::of(pack, map));
    let reached = pack.rows_of_example(&one.case).map(|(_, reached)| reached).unwrap_or_default();
    let nothing = Reached::default();
    let ever = ever.get(map).unwrap_or(&nothing);
    let hidden = pack.hides(&one.case, &one.outcome);
    let all = differing(&expected, refused, &one.outcome).into_iter();
    // What is refused for the whole message, or by a row that is gone, has no row.
    let has_row = |field: &str| !["message", "letters", "id", "accept"].contains(&field);
    let traced = all.map(|differing| Traced {
        example: &one.case.name,
        map: map.to_owned(),
        found: rows.find(&differing, &reached, ever),
        differing,
        hidden,
        hint: &one.told.hint,
    });
    traced.filter(|one| one.found.is_some() || has_row(&one.differing.field)).collect()
}

impl Traced<'_> {
    fn at_row(&self, pack: &Pack) -> (Fault, String) {
        let field = &self.differing.field;
        let fault = match &self.found {
            Some(Found { line, from, .. }) if field == "accept" => {
                self.told(&self.map, *line, &format!("what accept on {from} refuses"))
            }
            Some(Found { line, from, .. }) => self.told(&self.map, *line, &format!("\"{field}\" taken from {from}")),
            None => {
                let entry = pack.manifest.parse.iter().find(|entry| entry.map == self.map);
                let what = format!("\"{field}\", of which {} has no row,", self.map);
                self.told(FILE, entry.map_or(0, |entry| entry.line), &what)
            }
        };
        (fault, field.clone())
    }

    fn told(&self, file: &str, line: u32, what: &str) -> Fault {
        let example = self.example;
        let what = match self.hidden {
            true => format!(
                "{what} is not what example {example} expects (the values are not shown, because a file of it may hold a real NHS number)"
            ),
            false => {
                let Differing { was, is, .. } = &self.differing;
                format!("{what} is not what example {example} expects: expected {was}, actual {is}")
            }
        };
        Fault::new(file, line, what, format!("correct this row; {}", self.hint))
    }
}
