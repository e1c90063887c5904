//! `adapter check`: everything that can be said of a pack without its EPR, every fault at once.

mod becomes;
mod cancels;
mod coverage;
mod ids;
mod leaf_drop;
mod left_out;
mod letters;
mod marks;
mod merges;
mod misplaced;
mod required;
mod resources;
mod round_trip;
mod segments;
mod tidy;
mod typed;
mod variants;
mod versions;
mod who;

use super::cause::{Causes, Unexpected};
use super::examples::{Case, CaseKind, Judge, Outcome, Report, cases};
use super::fault::{Fault, Faults};
use super::input::ENTRIES;
use super::manifest::{FILE, Format};
use super::pack::Pack;
use super::words;
use std::collections::BTreeSet;
use std::path::Path;

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

    segments::check(pack, &mut faults);
    required::check(pack, &mut faults);
    tidy::check(pack, &mut faults);
    words::check_complete(&pack.manifest.codes, &pack.tables, &pack.table_uses, &mut faults);
    let cases = cases(&pack.sources, pack.manifest.format, &mut faults);
    let mut outcomes: Vec<(Case, Outcome)> = Vec::new();
    // Of which nobody can say what they would have shown.
    let mut unread: Vec<CaseKind> = Vec::new();
    let mut unexpected: Vec<Unexpected> = Vec::new();
    // What stands in the files of one example, or is known of it only.
    let mut of_one: Vec<(String, Fault)> = Vec::new();
    for case in cases {
        match pack.run(&case, judge) {
            Ok(outcome) => {
                if let Err(told) = pack.judge(&case, &outcome) {
                    unexpected.push(Unexpected { case: case.clone(), outcome: outcome.clone(), told });
                }
                let not_carried = pack.still_carried(&case, &outcome, judge).err().into_iter().flatten();
                of_one.extend(not_carried.map(|fault| (case.name.clone(), fault)));
                // What follows is about this pack's own settings.
                let case = Case { from: None, ..case };
                let outcome = pack.run(&case, judge).unwrap_or(outcome);
                outcomes.push((case, outcome));
            }
            Err(list) => {
                of_one.extend(list.into_iter().map(|fault| (case.name.clone(), fault)));
                unread.push(case.kind);
            }
        }
    }
    let mut causes = Causes::of(pack, &unexpected);
    of_one.into_iter().for_each(|(example, fault)| causes.of_example(&example, fault));
    done.push(format!("{} examples run", outcomes.len()));
    coverage::check(pack, &outcomes, &unread, &causes.lines(), &mut faults);
    merges::check(pack, &outcomes, &mut faults);
    resources::check(pack, &outcomes, &mut causes, &mut faults);
    misplaced::check(pack, &mut faults);
    cancels::check(pack, &mut faults);
    ids::check(pack, &outcomes, &mut faults);
    typed::check(pack, outcomes.iter().map(|(case, _)| case).filter(|c| c.kind == CaseKind::Render), &mut faults);
    typed::numbers(pack, &mut faults);
    let mut tries = 0;
    for (case, outcome) in outcomes.iter().filter(|(c, o)| c.kind == CaseKind::Render && !o.failed()) {
        tries += leaf_drop::check(pack, case, &mut causes);
        round_trip::check(pack, case, &mut causes);
        placed(pack, case, &mut faults, |faults| {
            letters::check(pack, case, faults);
            versions::check(pack, case, faults);
            becomes::check(pack, case, outcome, faults);
        });
    }
    done.push(format!("{tries} inputs with one value dropped"));
    for (row, why) in pack.manifest.render.iter().filter_map(|r| Some((r, r.text_exempt.as_ref()?))) {
        done.push(format!("{} with {}: its text is not read back: {why}", row.entry, row.template));
    }
    done.extend(unconditional(pack));
    done.extend(cancels::doubts(pack));
    done.extend(left_out::doubts(pack));
    done.extend(left_out::cut(pack));
    done.extend(ids::doubts(pack));
    let made = outcomes.iter().filter(|(c, o)| c.kind == CaseKind::Render && !o.failed());
    let mut unsaid: BTreeSet<String> = BTreeSet::new();
    for (case, _) in made {
        unsaid.extend(marks::unsaid(pack, case));
        placed(pack, case, &mut faults, |faults| unsaid.extend(who::check(pack, case, faults)));
    }
    done.extend(unsaid);
    let done = done.into_iter().map(|said| in_its_file(pack, said)).collect();
    let mut faults = once_for_all_entries(faults.0);
    causes.told(&mut faults);
    Report { faults: in_order(pack.sources.located(faults)), done }
}

/// What these checks find, each fault with the template's line that wrote what is wrong.
fn placed(pack: &Pack, case: &Case, faults: &mut Faults, check: impl FnOnce(&mut Faults)) {
    let mut found = Faults::default();
    check(&mut found);
    faults.0.extend(match pack.example_input(case, &mut Faults::default()) {
        Some(input) => pack.placed(&input, found.0),
        None => found.0,
    });
}

/// What is wrong at one line with the messages of several entries is one fault: `note.create, note.replace: PID-5.1 …`.
fn once_for_all_entries(faults: Vec<Fault>) -> Vec<Fault> {
    let mut list: Vec<(Fault, Vec<String>)> = Vec::new();
    for fault in faults {
        let named = fault.what.split_once(": ").filter(|(entry, _)| ENTRIES.contains(entry));
        let Some((entry, what)) = named else {
            list.push((fault, Vec::new()));
            continue;
        };
        let (entry, fault) = (entry.to_owned(), Fault { what: what.to_owned(), ..fault });
        match list.iter_mut().find(|(known, entries)| *known == fault && !entries.is_empty()) {
            Some((_, entries)) if entries.contains(&entry) => {}
            Some((_, entries)) => entries.push(entry),
            None => list.push((fault, vec![entry])),
        }
    }
    let told = |(fault, entries): (Fault, Vec<String>)| match entries.as_slice() {
        [] => fault,
        entries => Fault { what: format!("{}: {}", entries.join(", "), fault.what), ..fault },
    };
    list.into_iter().map(told).collect()
}

/// By file and line; what stands in examples last, for its cause may stand before it.
fn in_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort();
    faults.dedup();
    faults.sort_by_key(|fault| fault.file.split("../").last().is_some_and(|file| file.contains("examples/")));
    faults
}

/// A doubt names a line of the joined manifests or a file as the pack sees it, as faults do: here the file that it really stands in.
fn in_its_file(pack: &Pack, said: String) -> String {
    let doubt = said.split_once(": doubt: ").and_then(|(place, doubt)| Some((place.rsplit_once(':')?, doubt)));
    let Some((Ok(line), file, doubt)) = doubt.map(|((file, line), doubt)| (line.parse(), file, doubt)) else {
        return said;
    };
    match pack.sources.located(vec![Fault::new(file, line, "", "")]).pop() {
        Some(at) => format!("{}:{}: doubt: {doubt}", at.file, at.line),
        None => said,
    }
}

/// Creates that say nothing of repeats: whether the record tells them itself, only its supplier knows.
fn unconditional(pack: &Pack) -> impl Iterator<Item = String> {
    let rows = pack.manifest.render.iter().filter(|_| pack.format() == Format::Fhir);
    rows.filter_map(|row| Some((row, row.request.as_ref()?))).filter(|(_, request)| request.creates_unasked()).map(|(row, _)| {
        format!(
            "{}:{}: doubt: {} is a POST without If-None-Exist: a repeat after a lost answer is filed twice unless the record tells repeats by the identifier itself; \
             ask the supplier",
            FILE, row.line, row.entry
        )
    })
}
