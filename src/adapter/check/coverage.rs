//! Every row of a pack is shown by an example: each entry is sent, each message taken, each row of a map gives something, and each kind of case fails once.

use super::super::examples::{Case, CaseKind, Outcome};
use super::super::fault::Faults;
use super::super::manifest::FILE;
use super::super::map::{Reached, RowNamed};
use super::super::pack::Pack;
use std::collections::{BTreeMap, BTreeSet};

/// Examples that are named in one fault.
const NAMED_MAX: usize = 3;

/// Unless a reason is given. `unread`: the kinds of cases whose own files cannot be used, which is told already.
/// `mended`: lines of the pack's at which examples show that something is to be mended: what no example shows there is told by that.
pub fn check(
    pack: &Pack,
    outcomes: &[(Case, Outcome)],
    unread: &[CaseKind],
    mended: &BTreeSet<(String, u32)>,
    faults: &mut Faults,
) {
    for entry in pack.manifest.render.iter().filter(|e| e.exempt.is_none()) {
        // Rows for one entry differ by settings: each wants its own example.
        let of_row: Vec<_> = outcomes.iter().filter(|(_, o)| o.row == Some(entry.line)).collect();
        if let Some((what, hint)) = none_carried(pack, &of_row, unread.contains(&CaseKind::Render)) {
            let hint = hint.unwrap_or(
                "add examples/render-…/input.json (and settings.toml), then adapter test --bless; or exempt = \"why not\"",
            );
            faults.add(FILE, entry.line, format!("{} with {} {what}", entry.entry, entry.template), hint);
        }
    }
    for entry in pack.manifest.parse.iter().filter(|e| e.exempt.is_none()) {
        let is = |o: &Outcome| o.row.is_none() && o.covers.as_ref() == Some(&entry.message);
        let of_row: Vec<_> = outcomes.iter().filter(|(c, o)| c.kind == CaseKind::Parse && is(o)).collect();
        if let Some((what, hint)) = none_carried(pack, &of_row, unread.contains(&CaseKind::Parse)) {
            let hint = hint.unwrap_or(
                "add examples/parse-…/message.hl7 (or .json, .xml), then adapter test --bless; or exempt = \"why not\"",
            );
            faults.add(FILE, entry.line, format!("{} {what}", entry.message), hint);
        }
    }
    let mut unshown = Faults::default();
    rows_of_maps(pack, outcomes, &mut unshown);
    refusals(pack, outcomes, &mut unshown);
    faults.0.extend(unshown.0.into_iter().filter(|f| !mended.contains(&(f.file.clone(), f.line))));
    kinds(pack, outcomes, faults);
}

/// What is wrong with the examples of one row of the manifest, and what to do about it where that is not to add one.
fn none_carried(pack: &Pack, of_row: &[&(Case, Outcome)], unread: bool) -> Option<(String, Option<&'static str>)> {
    if of_row.iter().any(|(_, o)| !o.failed()) {
        return None;
    }
    let meant = |case: &Case| pack.sources.bytes(&format!("examples/{}/expected.err", case.name)).is_some();
    // What stops one that was carried is told where it is to be mended.
    if of_row.iter().any(|(case, outcome)| pack.expected_instead(case, outcome).is_some() && !meant(case)) {
        return None;
    }
    // There are some, and none is carried: what stops the first that should be is what has to be mended.
    if let Some((case, outcome)) = of_row.iter().find(|(case, _)| !meant(case)) {
        let says = outcome.text.lines().next().unwrap_or("nothing");
        let hint = "mend that, or add one that is carried; or exempt = \"why not\"";
        return Some((format!("has examples, and none is carried; {} says: {says}", case.name), Some(hint)));
    }
    let mut names: Vec<&str> = of_row.iter().take(NAMED_MAX).map(|(case, _)| case.name.as_str()).collect();
    if of_row.len() > NAMED_MAX {
        names.push("…");
    }
    match of_row.len() {
        0 if unread => None,
        0 => Some(("has no example".into(), None)),
        _ => Some((
            format!(
                "has no example that is carried: {} {} meant to fail",
                names.join(", "),
                if of_row.len() == 1 { "is" } else { "are" }
            ),
            Some(
                "add one that is carried; one that should be, and has an expected.err, is no proof: delete that file, and mend it; or exempt = \"why not\"",
            ),
        )),
    }
}

/// Each row of a map that is the pack's own gives something in an example that is taken.
fn rows_of_maps(pack: &Pack, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    let mut reached: BTreeMap<&str, Reached> = BTreeMap::new();
    let (refused, taken): (Vec<_>, Vec<_>) =
        outcomes.iter().filter(|(c, _)| c.kind == CaseKind::Parse).partition(|(_, o)| o.failed());
    for (case, _) in taken {
        if let Some((map, rows)) = pack.rows_of_example(case) {
            reached.entry(map).or_default().add(rows);
        }
    }
    // Of what is refused for a death, the death is taken.
    for (case, _) in refused {
        if let Some((map, rows)) = pack.rows_of_example(case)
            && let Some(reached) = reached.get_mut(map)
        {
            reached.add(rows);
        }
    }
    let wanted: BTreeSet<&str> =
        pack.manifest.parse.iter().filter(|e| e.exempt.is_none()).map(|e| e.map.as_str()).collect();
    // Where nothing is taken that is said already; a base's map is the base's to prove.
    for (file, reached) in reached.iter().filter(|(file, _)| wanted.contains(*file) && pack.sources.is_own(file)) {
        let rows: Vec<RowNamed<'_>> = match (pack.maps.get(*file), pack.tree_maps.get(*file)) {
            (Some(map), _) => map.rows().collect(),
            (None, Some(map)) => map.named_rows().collect(),
            (None, None) => Vec::new(),
        };
        for row in rows.iter().filter(|row| !reached.has(row.line, &row.from)) {
            faults.add(
                file,
                row.line,
                format!("no example shows \"{}\" taken from {}", row.ours, row.from),
                "add examples/parse-… with a message in which this row gives the value, then adapter test --bless; or remove the row",
            );
        }
    }
}

/// Each row of `accept` that is the pack's own refuses an example: one that never refuses is not there, whatever it says.
fn refusals(pack: &Pack, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    let failed = outcomes.iter().filter(|(c, o)| c.kind == CaseKind::Parse && o.failed());
    let refused: Vec<(&str, &str)> =
        failed.filter_map(|(c, o)| Some((pack.map_of_example(c)?, o.text.as_str()))).collect();
    let of_maps = pack.maps.iter().map(|(file, map)| (file, map.refusals()));
    let all = of_maps.chain(pack.tree_maps.iter().map(|(file, map)| (file, map.refusals())));
    for (file, rows) in all.filter(|(file, _)| pack.sources.is_own(file)) {
        for (path, line) in rows {
            let said = format!("accept (from {path}): ");
            if !refused.iter().any(|(map, text)| map == file && text.lines().any(|l| l.starts_with(&said))) {
                let hint =
                    "add examples/parse-… with a message that it refuses, then adapter test --bless; or remove the row";
                faults.add(file, line, format!("no example is refused by accept on {path}"), hint);
            }
        }
    }
}

/// Each kind of case fails once; and an overlay shows something of its own.
fn kinds(pack: &Pack, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    let own = |(c, o): &(Case, Outcome)| {
        c.kind == CaseKind::Render && !o.failed() && pack.sources.case_from(&c.name).is_none()
    };
    if pack.manifest.extends.is_some()
        && pack.manifest.render.iter().any(|e| e.exempt.is_none())
        && !outcomes.iter().any(own)
    {
        faults.add(
            "examples",
            0,
            "no render example shows what this pack sends with its own settings",
            "add one, or an expected file of its own for one of the base's",
        );
    }
    let has = |kind: CaseKind, failing: bool| outcomes.iter().any(|(c, o)| c.kind == kind && o.failed() == failing);
    if !pack.manifest.render.iter().all(|e| e.exempt.is_some()) && !has(CaseKind::Render, true) {
        faults.add(
            "examples",
            0,
            "no render example fails",
            "add one that must not be sent, such as a character the endpoint cannot carry",
        );
    }
    if !pack.manifest.parse.iter().all(|e| e.exempt.is_some()) && !has(CaseKind::Parse, true) {
        faults.add("examples", 0, "no parse example fails", "add one that must be refused, such as a wrong NHS number");
    }
    if pack.manifest.reply_exempt.is_none() {
        let replies: Vec<&Outcome> =
            outcomes.iter().filter(|(c, _)| c.kind == CaseKind::Reply).map(|(_, o)| o).collect();
        let any = |positive: bool| replies.iter().any(|o| o.text.contains("meaning = \"positive\"") == positive);
        if !any(true) || !any(false) {
            faults.add(
                "examples",
                0,
                "there is no reply example for both yes and no",
                match pack.manifest.format.is_http() {
                    true => "add examples/reply-ok/reply.http with request.http, and one that refuses; or reply_exempt = \"why not\"",
                    false => "add examples/reply-aa/reply.hl7 and one that refuses; or reply_exempt = \"why not\"",
                },
            );
        }
    }
}
