//! Names in JSONPaths that no resource has: such a path never gives anything.

use super::super::super::fault::{Faults, line_of, suggest};
use super::super::super::fhir::elements::elements;
use super::super::super::fhir::names::names_in;
use super::super::super::manifest::FILE;
use super::super::super::pack::Pack;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub fn check(pack: &Pack, faults: &mut Faults) {
    let mut before = 0;
    for manifest in pack.sources.manifests(&mut Faults::default()).unwrap_or_default() {
        paths_of(FILE, &manifest, before, faults);
        before += u32::try_from(manifest.matches('\n').count()).unwrap_or(0);
    }
    for file in pack.sources.under("maps") {
        if let Some(text) = pack.sources.text(file, &mut Faults::default()) {
            paths_of(file, &text, 0, faults);
        }
    }
}

fn paths_of(file: &str, text: &str, before: u32, faults: &mut Faults) {
    let Ok(root) = DeTable::parse(text) else { return };
    let mut all = Vec::new();
    root.get_ref().values().for_each(|value| texts(value, &mut all));
    for (path, start) in all {
        for name in names_in(&path).into_iter().filter(|name| !elements().has_name(name)) {
            let near = suggest(&name, elements().names());
            let hint = match near.starts_with("did you mean") {
                true => near,
                false => {
                    "look it up in the resource's description; what is a trust's own stands in an extension".into()
                }
            };
            let what = format!("\"{name}\" is no element of a resource in FHIR R4, so that this path gives nothing");
            faults.add(file, before + line_of(text, start), what, hint);
        }
    }
}

fn texts(value: &Spanned<DeValue<'_>>, found: &mut Vec<(String, usize)>) {
    match value.get_ref() {
        DeValue::String(text) => found.push((text.to_string(), value.span().start)),
        DeValue::Array(list) => list.iter().for_each(|value| texts(value, found)),
        DeValue::Table(table) => table.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}
