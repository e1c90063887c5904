//! Which module may use which. The table is the design; a module that needs another one is in the wrong place, or the table is.

use super::files::{File, src};
use super::none;

/// A module at the top of `src/`, and what of ours it may use: a module, or one thing in it. Leaves first.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("transport", &[]),
    ("wire", &[]),
    ("config", &["domain"]),
    // A pack renders whole requests and whole sets of files: the envelopes are what it shares with the wire.
    ("adapter", &["domain", "wire", "transport::http_message", "transport::file_set"]),
    ("store", &["domain"]),
    ("verdict", &["domain", "adapter", "transport"]),
    ("outbox", &["domain", "store", "adapter", "transport", "verdict"]),
    ("inbound", &["domain", "store", "adapter", "transport", "verdict"]),
    ("status", &["domain", "store"]),
    // Waking the outbox is a store notification: the edge never reaches for it.
    ("api", &["wire", "domain", "store", "status", "adapter", "inbound::receive", "inbound::reconcile"]),
    ("simulator", &["transport", "adapter"]),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
    ("main", EVERYTHING),
    ("lib", &[]),
];

const EVERYTHING: &[&str] = &["*"];

/// The numbered steps of the flow, in the order lib.rs declares them. What is not a step may stand anywhere.
const FLOW: &[&str] = &["api", "domain", "store", "outbox", "adapter", "transport", "verdict", "status", "inbound"];

/// Who speaks gRPC: the edge, the generated types, and those who start servers and clients.
const KNOW_TONIC: &[&str] = &["api", "wire", "app", "cli", "main"];

#[test]
fn modules_use_only_what_their_arrows_allow() {
    none(src().iter().flat_map(arrow_faults).collect());
}

fn arrow_faults(file: &File) -> Vec<String> {
    let module = file.module().expect("it lies in src/");
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![file.fault(
            1,
            format!("`{module}` has no arrows; add it to ARROWS in tests/it/tidy/arrows.rs and to ARCHITECTURE.md"),
        )];
    };
    let mut faults = Vec::new();
    for (line, used) in used_paths(&file.production_code(), depth(&file.path)) {
        if !is_allowed(module, &used, allowed) {
            let allowed = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
            let what = format!(
                "`{module}` uses `{used}`, but may use {allowed}; move the code to where both may be used, or pass the thing in"
            );
            faults.push(file.fault(line, what));
        }
    }
    faults
}

fn is_allowed(module: &str, used: &str, allowed: &[&str]) -> bool {
    let first = used.split("::").next().unwrap_or(used);
    // The simulator is the other side; a bridge that ships with it inside could talk to itself.
    if first == "simulator" && allowed == EVERYTHING {
        return module != "app";
    }
    first == module
        || allowed == EVERYTHING
        || allowed.iter().any(|a| used == *a || used.strip_prefix(a).is_some_and(|more| more.starts_with("::")))
}

/// How many `super` lead from a file's own module to the crate: `src/store/lane.rs` is `crate::store::lane`, so 2.
fn depth(path: &str) -> usize {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    inside.split('/').filter(|part| *part != "mod").count()
}

/// Every path from the crate's root that the code names, with its line: `store`, `inbound::receive::Received`.
fn used_paths(code: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", "ips_bridge::", &*to_root] {
        for (at, _) in code.match_indices(root) {
            // `my_crate::` is another's, and the second half of `super::super::super::` was found with the first.
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let mut paths = Vec::new();
            read_tree(&code[at + root.len()..], "", &mut paths);
            // From inside a nested module the same `super`s end one step lower: only a module of ours is taken at its word.
            paths.retain(|p: &String| root != to_root || ARROWS.iter().any(|(m, _)| p.split("::").next() == Some(m)));
            found.extend(paths.into_iter().map(|p| (line, p)));
        }
    }
    found
}

/// Reads `a::b`, `{a, b::{c, d}}` and so on; answers what follows. A name with no `::` behind it ends a path.
fn read_tree<'a>(code: &'a str, above: &str, paths: &mut Vec<String>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let after = read_tree(rest, above, paths);
            if after.len() == rest.len() {
                return after; // not a use tree after all
            }
            rest = after;
        }
    }
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(code.len());
    let (name, rest) = code.split_at(end);
    if name.is_empty() {
        return rest;
    }
    let path = if above.is_empty() { name.to_owned() } else { format!("{above}::{name}") };
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '{' | '*');
    if let Some(below) = rest.strip_prefix("::").filter(|below| below.starts_with(goes_on)) {
        return read_tree(below, &path, paths);
    }
    paths.push(path);
    // `a as b`
    let renamed = rest
        .trim_start()
        .strip_prefix("as ")
        .map(|r| r.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
    renamed.unwrap_or(rest)
}

#[test]
fn only_the_edge_knows_tonic() {
    let mut faults = Vec::new();
    for file in src().iter().filter(|f| f.module().is_some_and(|m| !KNOW_TONIC.contains(&m))) {
        for (line, _) in super::files::lines_with(&file.production_code(), &["tonic::", "tonic_"]) {
            faults.push(file.fault(line, "names tonic; keep gRPC in `api` and hand this module its own types"));
        }
    }
    none(faults);
}

#[test]
fn lib_rs_reads_as_the_flow() {
    let lib = src().into_iter().find(|f| f.path == "src/lib.rs").expect("src/lib.rs");
    let code = lib.code();
    let declared: Vec<&str> =
        code.lines().filter_map(|l| l.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let steps: Vec<&str> = declared.iter().copied().filter(|m| FLOW.contains(m)).collect();
    let in_order: Vec<&str> = FLOW.iter().copied().filter(|m| declared.contains(m)).collect();
    assert!(!declared.is_empty(), "src/lib.rs declares no `pub mod`");
    assert_eq!(steps, in_order, "src/lib.rs: declare the modules in the order of the flow, as on the right");
}

mod tests {
    use super::*;

    fn used(code: &str, depth: usize) -> Vec<String> {
        used_paths(code, depth).into_iter().map(|(_, p)| p).collect()
    }

    #[test]
    fn every_way_to_name_a_module_is_seen() {
        assert_eq!(used("use crate::store::Store;", 1), ["store::Store"]);
        assert_eq!(
            used("use crate::{api, store::{lane, Store as S}, wire};", 1),
            ["api", "store::lane", "store::Store", "wire"]
        );
        assert_eq!(used("let x = crate::outbox::claim::<T>(y);", 1), ["outbox::claim"]);
        assert_eq!(used("use super::super::store::Store;", 2), ["store::Store"]);
        assert_eq!(used("$crate::domain::ids!()", 1), ["domain::ids"]);
        assert_eq!(used("use super::super::sibling;", 2), [] as [&str; 0]);
        assert_eq!(used("other_crate::store::x", 1), [] as [&str; 0]);
        assert_eq!(used_paths("\n\nuse crate::store;", 1), [(3, "store".to_owned())]);
    }

    #[test]
    fn a_forbidden_arrow_is_a_fault() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        for (path, text) in [
            ("src/domain/note.rs", "use crate::store::Store;"),
            ("src/api/note.rs", "use crate::outbox;"),
            ("src/api/note.rs", "use crate::inbound::apply;"),
            ("src/app.rs", "use crate::simulator;"),
            ("src/shiny.rs", ""),
        ] {
            assert_eq!(arrow_faults(&file(path, text)).len(), 1, "{path} {text}");
        }
        for (path, text) in [
            ("src/store/lane.rs", "use crate::domain::ids::EntryId; use crate::store::row;"),
            ("src/api/note.rs", "use crate::inbound::receive::Received;"),
            ("src/domain/note.rs", "// crate::store\n#[cfg(test)]\nmod tests { use crate::store::Store; }"),
            ("src/cli/simulate.rs", "use crate::simulator::Epr;"),
        ] {
            assert_eq!(arrow_faults(&file(path, text)), [] as [&str; 0], "{path} {text}");
        }
    }
}
