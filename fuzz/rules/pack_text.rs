//! A file of a pack, damaged in any way: the pack loads and is checked within its limits, or each fault has its place.

use ips_bridge::adapter::{Pack, Sources, check};
use ips_bridge::verdict::verdict;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

type Files = BTreeMap<String, String>;

static PACKS: LazyLock<Vec<(&str, Files)>> =
    LazyLock::new(|| vec![("_template", files("_template")), ("small", small()), ("soap-notes", files("soap-notes"))]);

/// The first byte names the pack, the second its file, the third what becomes of it: all of it new, or a piece in the middle.
pub fn hold(bytes: &[u8]) {
    let [pack, file, place, text @ ..] = bytes else { return };
    let (name, files) = &PACKS[usize::from(*pack) % PACKS.len()];
    let Some(path) = files.keys().nth(usize::from(*file) % files.len()) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut files = files.clone();
    let old = &files[path];
    let new = match usize::from(*place) {
        0 => text.to_owned(),
        place => {
            let at = (0..=old.len() * place / 256).rev().find(|at| old.is_char_boundary(*at)).unwrap_or_default();
            format!("{}{text}{}", &old[..at], &old[at..])
        }
    };
    files.insert(path.clone(), new);
    let sources = Sources::from_files(name, files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let faults = match Pack::from_sources(sources) {
        Ok(pack) => check::check_loaded(&pack, verdict).faults,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a word");
            faults
        }
    };
    for fault in faults {
        assert!(!fault.file.is_empty() && !fault.what.is_empty() && !fault.hint.is_empty(), "{fault:?}");
    }
}

/// A pack for FHIR with a map and a tree template, small enough to be tried often.
fn small() -> Files {
    let all = files("fhir-uk-core");
    let keep = ["render-note/", "parse-service-request/", "reply-201/"];
    all.into_iter()
        .filter(|(path, _)| !path.starts_with("examples/") || keep.iter().any(|k| path.contains(k)))
        .collect()
}

fn files(pack: &str) -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = [root.join("../adapters"), root.join("adapters")].into_iter().find(|f| f.exists()).expect("the packs");
    let mut found = Files::new();
    let mut open: Vec<PathBuf> = vec![folder.join(pack)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|e| e.expect("an entry").path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(folder.join(pack)).expect("under it");
            found.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    found
}
