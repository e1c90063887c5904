//! From files and environment variables to one tree per file.

use super::fault::{Findings, Place, Source};
use super::section::{Reading, Section};
use super::tree::{Entry, Node, Value, parse};
use super::values::{text, wrong};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// `IPS_BRIDGE__STORE__URL` stands for `url` in `[store]`.
const OVERRIDE: &str = "IPS_BRIDGE__";

const IN_FILES_ONLY: [&str; 4] = ["trust", "endpoint", "route", "principal"];

/// A settings file larger than this is a mistake.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

pub(super) fn source(order: u32, path: &Path) -> Arc<Source> {
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Arc::new(Source { order, shown: shown(path), base })
}

/// A path for people: without the detours of `trusts/../staff`. Never used to open a file, where a link may make the detour matter.
pub(super) fn shown(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match (part, plain.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                plain.pop();
            }
            _ => plain.push(part),
        }
    }
    plain.display().to_string()
}

/// Reads a whole text file or says in one fault why not.
pub(super) fn read_text(path: &Path, place: &Place, findings: &Findings) -> Option<String> {
    let refuse = |what: String, hint: &str| findings.fault(place, what, hint);
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_FILE_BYTES => {
            refuse(format!("{} is larger than {MAX_FILE_BYTES} bytes", shown(path)), "check that it is the right file");
            return None;
        }
        Ok(_) => {}
        Err(error) => {
            refuse(format!("{} cannot be read: {error}", shown(path)), "check the path and its permissions");
            return None;
        }
    }
    match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Ok(Err(error)) => {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            refuse(
                format!("{} is not UTF-8 text (line {line})", shown(path)),
                "save it as UTF-8 (Excel: \"CSV UTF-8\")",
            );
            None
        }
        Err(error) => {
            refuse(format!("{} cannot be read: {error}", shown(path)), "check its permissions");
            None
        }
    }
}

/// Lays the `IPS_BRIDGE__…` variables over the main file's tree.
pub(super) fn lay_environment_over(tree: &mut Node, reading: &Reading) {
    let overrides = reading.env.iter().filter_map(|(name, value)| Some((name, name.strip_prefix(OVERRIDE)?, value)));
    for (order, (name, path, value)) in (0u32..).zip(overrides) {
        let shown = format!("environment variable {name}");
        // After every file; its paths start where the bridge does.
        let source = Arc::new(Source { order: 1_000_000 + order, shown, base: PathBuf::new() });
        let place = Place::whole(&source);
        let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let whole_table = |section: &str| matches!(&tree.value, Value::Table(e) if e.iter().any(|e| e.key == section && matches!(e.node.value, Value::Table(_))));
        let single = match path.as_slice() {
            [section] => !IN_FILES_ONLY.contains(&section.as_str()) && !whole_table(section),
            [section, ..] => !IN_FILES_ONLY.contains(&section.as_str()),
            [] => false,
        };
        if !single || !lay_over(tree, &path, &place, value) {
            let hint = "trusts, endpoints, routes and principals are changed in their files";
            reading.findings.fault(&place, "does not stand for a single setting", hint);
        }
    }
}

fn lay_over(tree: &mut Node, path: &[String], place: &Place, value: &str) -> bool {
    let Some((key, rest)) = path.split_first() else {
        *tree = Node { place: place.clone(), value: Value::Loose(value.to_owned()) };
        return true;
    };
    let Value::Table(entries) = &mut tree.value else { return false };
    let i = match entries.iter().position(|e| e.key == *key) {
        Some(i) => i,
        None => {
            let node = Node { place: place.clone(), value: Value::Table(Vec::new()) };
            entries.push(Entry { key: key.clone(), place: place.clone(), node });
            entries.len() - 1
        }
    };
    let entry = &mut entries[i];
    if rest.is_empty() {
        entry.place = place.clone();
    }
    lay_over(&mut entry.node, rest, place, value)
}

/// The files that `include` names, in the order of their names, and whether all of them are there and whole. What is missing is said once; what
/// the others would find missing because of it is not said at all ([`super::trust::Declared::is_whole`]).
pub(super) fn included(root: &mut Section<'_>) -> (Vec<Node>, bool) {
    let reading = root.reading;
    let before = reading.findings.count();
    let patterns = root.list("include", "[]", |node| Ok((node.place.clone(), text(500)(node)?)));
    let mut trees = Vec::new();
    let mut order = 0;
    for (place, pattern) in patterns {
        let full = place.source.base.join(&pattern);
        match matching(&full) {
            Err(w) => reading.findings.fault(&place, format!("include \"{pattern}\" {}", w.what), w.hint),
            Ok(paths) if paths.is_empty() => {
                reading.findings.fault(
                    &place,
                    format!("include \"{pattern}\" matches no file"),
                    "paths start from the folder of this file; correct it or remove it",
                );
            }
            Ok(paths) => {
                for path in paths {
                    order += 1;
                    let source = source(order, &path);
                    let so_far = reading.findings.count();
                    let text = read_text(&path, &place, &reading.findings);
                    let tree = text.map(|text| parse(&text, &source, &reading.findings));
                    // One with a slip in its writing is not to be used.
                    trees.extend(tree.filter(|_| reading.findings.count() == so_far));
                }
            }
        }
    }
    (trees, reading.findings.count() == before)
}

/// `*` stands for any characters within the last part of a path, as in `trusts/*.toml`.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, super::values::Wrong> {
    let name = pattern.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = pattern.parent().unwrap_or(Path::new("."));
    if folder.to_string_lossy().contains('*') {
        return wrong("has a * in a folder's name", "use * in the last part only, as in \"trusts/*.toml\"");
    }
    if !name.contains('*') {
        return Ok(if pattern.is_file() { vec![pattern.to_path_buf()] } else { Vec::new() });
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let fits = |p: &PathBuf| p.is_file() && p.file_name().is_some_and(|n| fits(&name, &n.to_string_lossy()));
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).filter(fits).collect();
    paths.sort();
    Ok(paths)
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().map(|(i, _)| i).chain([rest.len()]).any(|i| fits(tail, &rest[i..]))
        }),
    }
}

/// Environment variables as the loader takes them.
pub(super) fn env_map(env: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("*.toml", "rz9.toml", true),
            ("*.toml", "rz9.toml.bak", false),
            ("r*9.toml", "rz9.toml", true),
            ("*", "", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
