//! `adapter check`: everything that can be said of a pack without its EPR, every fault at once.

mod leaf_drop;
mod round_trip;
mod tidy;

use super::examples::{Case, CaseKind, Judge, Outcome, Report, cases};
use super::fault::Faults;
use super::manifest::FILE;
use super::pack::Pack;
use super::words;
use std::{collections::BTreeSet, path::Path};

/// Checks a pack's folder: manifest and files, README, unused files, an example for every entry (a failing one too), each
/// example as expected, leaf-drop, render to parse and back, and no NHS number outside the test range.
pub fn check(folder: &Path, judge: Judge) -> Report {
    match Pack::load(folder) {
        Ok(pack) => check_loaded(&pack, judge),
        Err(faults) => Report { faults, done: Vec::new() },
    }
}

/// The same for a pack that was read: what is said is said of the bytes that were read, whatever is saved meanwhile.
pub fn check_loaded(pack: &Pack, judge: Judge) -> Report {
    let mut faults = Faults::default();
    let mut done = vec![format!("{}: manifest, templates, maps and code tables read", pack.pin())];

    tidy::check(pack, &mut faults);
    words::check_complete(&pack.manifest.codes, &pack.tables, &pack.table_uses, &mut faults);
    let cases = cases(&pack.sources, pack.manifest.format, &mut faults);
    let mut outcomes: Vec<(Case, Outcome)> = Vec::new();
    for case in cases {
        match pack.run(&case, judge) {
            Ok(outcome) => {
                if let Err(fault) = pack.judge(&case, &outcome) {
                    faults.0.push(fault);
                }
                faults.0.extend(pack.still_carried(&case, &outcome, judge).err().into_iter().flatten());
                // What follows is about this pack's own settings.
                let case = Case { from: None, ..case };
                let outcome = pack.run(&case, judge).unwrap_or(outcome);
                outcomes.push((case, outcome));
            }
            Err(list) => faults.0.extend(list),
        }
    }
    done.push(format!("{} examples run", outcomes.len()));
    coverage(pack, &outcomes, &mut faults);
    let mut tries = 0;
    for (case, _) in outcomes.iter().filter(|(c, o)| c.kind == CaseKind::Render && !o.failed()) {
        tries += leaf_drop::check(pack, case, &mut faults);
        round_trip::check(pack, case, &mut faults);
    }
    done.push(format!("{tries} inputs with one value dropped"));
    for (row, why) in pack.manifest.render.iter().filter_map(|r| Some((r, r.text_exempt.as_ref()?))) {
        done.push(format!("{} with {}: its text is not read back: {why}", row.entry, row.template));
    }
    let faults = Faults(pack.sources.located(faults.0)).into_result(()).err().unwrap_or_default();
    Report { faults, done }
}

/// Every entry has an example that works, and each kind of case one that fails, unless a reason is given.
fn coverage(pack: &Pack, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    let good = || outcomes.iter().map(|(_, o)| o).filter(|o| !o.failed());
    let seen: BTreeSet<&str> = good().filter_map(|o| o.covers.as_deref()).collect();
    for entry in pack.manifest.render.iter().filter(|e| e.exempt.is_none()) {
        // Rows for one entry differ by settings: each wants its own example.
        if !good().any(|o| o.row == Some(entry.line)) {
            let named = format!("{} with {}", entry.entry, entry.template);
            // There are some, and none is carried: what stops the first is what has to be mended.
            let of_row = || outcomes.iter().filter(|(_, o)| o.row == Some(entry.line));
            let meant = |case: &Case| pack.sources.bytes(&format!("examples/{}/expected.err", case.name)).is_some();
            let failing = of_row().find(|(case, _)| !meant(case)).or_else(|| of_row().next());
            let (what, hint) = match failing {
                Some((case, o)) => (
                    format!(
                        "{named} has examples, and none is carried; {} says: {}",
                        case.name,
                        o.text.lines().next().unwrap_or("nothing")
                    ),
                    "mend that, or add one that can be sent; or exempt = \"why not\"",
                ),
                None => (
                    format!("{named} has no example"),
                    "add examples/render-…/input.json (and settings.toml), then adapter test --bless; or exempt = \"why not\"",
                ),
            };
            faults.add(FILE, entry.line, what, hint);
        }
    }
    for entry in pack.manifest.parse.iter().filter(|e| e.exempt.is_none() && !seen.contains(e.message.as_str())) {
        faults.add(
            FILE,
            entry.line,
            format!("{} has no example", entry.message),
            "add examples/parse-…/message.hl7 (or .json, .xml), then adapter test --bless",
        );
    }
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
