//! What a reviewer would look for first: a README with its headings, no file that nothing uses, no number of a real person.

use super::super::fault::{Faults, suggest};
use super::super::manifest::{FILE, Status};
use super::super::pack::Pack;
use super::super::settings::ENGINE_SETTINGS;
use crate::domain::nhs_number::may_hold_a_real_one;
use std::collections::BTreeSet;

const README: &str = "README.md";
const HEADINGS: &[&str] =
    &["What it connects", "What it cannot do", "Settings", "How to test", "Known traps", "What to ask the supplier"];

/// A pack for one EPR stands on what somebody said of it: who, and what nobody did.
const HEADINGS_OF_OVERLAY: &[&str] = &["What is known, and from where", "What is assumed"];

pub fn check(pack: &Pack, faults: &mut Faults) {
    readme(pack, faults);
    unused(pack, faults);
    settings(pack, faults);
    lookups(pack, faults);
    repetitions(pack, faults);
    for path in pack.sources.paths().filter(|p| pack.sources.is_own(p)) {
        if let Some(text) = pack.sources.bytes(path).and_then(|b| std::str::from_utf8(b).ok()) {
            numbers(path, text, faults);
        }
    }
}

fn readme(pack: &Pack, faults: &mut Faults) {
    let Some(text) = pack.sources.text(README, faults) else { return };
    let found: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("## ")).map(str::trim).collect();
    let line_of = |heading: &str| {
        let at = text.lines().position(|l| l.strip_prefix("## ").is_some_and(|l| l.trim() == heading));
        at.and_then(|at| u32::try_from(at + 1).ok())
    };
    let of_overlay = pack.manifest.extends.iter().flat_map(|_| HEADINGS_OF_OVERLAY);
    for heading in HEADINGS.iter().chain(of_overlay).filter(|h| !found.contains(h)) {
        // The one that is meant, perhaps; else the one behind which it belongs.
        let near = suggest(heading, found.iter().copied());
        let meant = near.strip_prefix("did you mean \"").and_then(|n| line_of(n.trim_end_matches("\"?")));
        let before = HEADINGS.iter().take_while(|h| *h != heading).filter_map(|h| line_of(h)).last();
        let line = meant.or(before).unwrap_or(1);
        faults.add(README, line, format!("has no heading \"## {heading}\""), near);
    }
    // What is the base's, the base's README explains.
    let own = pack.manifest.settings.0.iter().filter(|s| s.line >= pack.manifest.own_from).map(|s| &s.name);
    for setting in own.filter(|n| !text.contains(&format!("`{n}`"))) {
        let line = line_of("Settings").unwrap_or(1);
        faults.add(README, line, format!("does not explain the setting `{setting}`"), "add it under ## Settings");
    }
    if pack.manifest.status == Status::Live && !found.contains(&"Conformance") {
        faults.add(README, 1, "has no heading \"## Conformance\"", "status live needs the filled conformance table");
    }
}

fn unused(pack: &Pack, faults: &mut Faults) {
    let manifest = &pack.manifest;
    let mut templates = BTreeSet::new();
    for entry in &manifest.render {
        pack.templates.included(&entry.template, &mut templates);
        if let Some(document) = &entry.document {
            pack.templates.included(&document.page, &mut templates);
        }
    }
    let used = |path: &str| {
        path == FILE
            || path == README
            || path.starts_with("examples/")
            || path.strip_prefix("templates/").is_some_and(|t| templates.contains(t))
            || manifest.parse.iter().any(|p| p.map == path)
            || manifest.codes.iter().any(|c| c.file == path)
    };
    for path in pack.sources.paths().filter(|p| pack.sources.is_own(p)) {
        let base = pack.sources.base().and_then(|b| b.bytes(path)).filter(|_| path != FILE && path != README);
        if !used(path) {
            faults.add(path, 0, "is used by nothing", "remove it, or name it in adapter.toml or a template");
        } else if base.is_some_and(|b| !path.contains("/expected.") && Some(b) == pack.sources.bytes(path)) {
            faults.add(path, 0, "is the same as the base's", "remove it: what a pack does not have is the base's");
        }
    }
    for table in manifest.codes.iter().filter(|t| t.line >= manifest.own_from) {
        let named = |text: &str| {
            // In JSON the quotes of a quoted name are escaped.
            let text = text.replace("\\\"", "\"");
            [format!("code(\"{}\")", table.name), format!("code('{}')", table.name)].iter().any(|c| text.contains(c))
        };
        let in_template = pack
            .sources
            .under("templates")
            .filter_map(|p| pack.sources.bytes(p))
            .any(|b| named(&String::from_utf8_lossy(b)));
        let in_map = pack.table_uses.iter().any(|u| u.reads && u.table == table.name);
        if !in_template && !in_map {
            faults.add(
                FILE,
                table.line,
                format!("code table \"{}\" is used by nothing", table.name),
                "remove it, or use it with | code(…) or as = \"code:…\"",
            );
        }
    }
}

/// A name that no map writes chooses nothing: in a pack over another it may be one of the base's, misspelt.
fn repetitions(pack: &Pack, faults: &mut Faults) {
    let Some(texts) = pack.sources.manifests(faults) else { return };
    let Some((own, bases)) = texts.split_last() else { return };
    let Some(Ok(manifest)) = own.contains("[repetitions]").then(|| own.parse::<toml::Table>()) else { return };
    let names = manifest.get("repetitions").and_then(toml::Value::as_table);
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let maps = pack.sources.under("maps").filter_map(|path| pack.sources.bytes(path)).map(String::from_utf8_lossy);
    let maps: Vec<_> = maps.collect();
    // Between a path's brackets, or as `only` or `unless`.
    let used: BTreeSet<&str> = maps.iter().flat_map(|text| text.split(|c| !is_word(c))).collect();
    let before: usize = bases.iter().map(|text| text.matches('\n').count()).sum();
    for name in names.into_iter().flat_map(toml::Table::keys).filter(|name| !used.contains(name.as_str())) {
        let key = |line: &str| line.split('=').next().map(|k| k.trim().trim_matches('"')) == Some(name.as_str());
        let at = own.lines().position(key).map_or(0, |at| before + at + 1);
        let others = pack.manifest.repetitions.keys().map(String::as_str).filter(|other| other != name);
        let what = format!("the name \"{name}\" of [repetitions] is used by no map");
        faults.add(FILE, u32::try_from(at).unwrap_or_default(), what, suggest(name, others));
    }
}

/// A setting that nothing uses changes nothing, whatever a site writes. In a pack over another it may be one of the base's, misspelt.
fn settings(pack: &Pack, faults: &mut Faults) {
    let own = pack.manifest.settings.0.iter().filter(|s| s.line >= pack.manifest.own_from);
    let own: Vec<_> = own.filter(|s| !ENGINE_SETTINGS.iter().any(|e| e.name == s.name)).collect();
    if own.is_empty() {
        return;
    }
    let templates = pack.sources.under("templates").filter_map(|path| pack.sources.bytes(path));
    let mut texts: Vec<String> = templates.map(|b| String::from_utf8_lossy(b).into_owned()).collect();
    texts.extend(pack.sources.manifests(&mut Faults::default()).into_iter().flatten());
    let of_maps = pack.maps.values().flat_map(|map| map.settings());
    let of_maps: BTreeSet<&str> =
        of_maps.chain(pack.tree_maps.values().flat_map(|m| m.settings())).map(|s| s.0).collect();
    for setting in own {
        let is_used = of_maps.contains(setting.name.as_str()) || texts.iter().any(|text| names(text, &setting.name));
        if !is_used {
            let others = pack.manifest.settings.names().filter(|name| *name != setting.name);
            let what = format!("the setting \"{}\" is used by nothing", setting.name);
            let near = suggest(&setting.name, others);
            let hint = match near.starts_with("did you mean") {
                true => near,
                false => "remove it, or use it: {{ settings.… }} in a template, a `when` of a [[render]], `setting = …` in a map".into(),
            };
            faults.add(FILE, setting.line, what, hint);
        }
    }
}

/// Whether a text uses this setting: names it anywhere but where it is declared or spoken of.
fn names(text: &str, setting: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        line.match_indices(setting).any(|(at, _)| {
            let (before, rest) = (&line[..at], &line[at + setting.len()..]);
            let is_declared = before.trim().is_empty() && rest.trim_start().starts_with(['=', '.']);
            !is_declared && !before.ends_with(is_word) && !rest.starts_with(is_word)
        })
    })
}

/// A lookup that nothing uses is asked for nothing; one without an example is not proved.
fn lookups(pack: &Pack, faults: &mut Faults) {
    for lookup in pack.manifest.lookups.iter().filter(|l| l.line >= pack.manifest.own_from) {
        let word = format!("lookup.{}.", lookup.name);
        let used = pack.manifest.render.iter().any(|row| {
            let parts = row.request.iter().flat_map(|r| r.parts()).map(|p| p.name.as_str());
            parts.chain([row.template.as_str()]).any(|root| pack.templates.mentions(root, &word))
        });
        if !used {
            let what = format!("[lookup.{}] is used by nothing", lookup.name);
            faults.add(FILE, lookup.line, what, "remove it, or use what it gives in a template: lookup.name.field");
        }
        let answer = format!("/lookup.{}.{}", lookup.name, super::super::examples::answer_ending(pack.manifest.format));
        if !pack.sources.under("examples").any(|p| p.ends_with(&answer)) {
            let what = format!("[lookup.{}] has no example of an answer", lookup.name);
            let hint = format!("add examples/render-…{answer} with what the record answers, and one that finds nobody");
            faults.add(FILE, lookup.line, what, hint);
        }
    }
}

/// Ten digits that pass the check and are not of the test range may be somebody's.
fn numbers(path: &str, text: &str, faults: &mut Faults) {
    for (i, line) in text.lines().enumerate() {
        if may_hold_a_real_one(line) {
            faults.add(
                path,
                u32::try_from(i + 1).unwrap_or(0),
                "holds what may be a real NHS number",
                "use one that begins with 999",
            );
        }
    }
}
