//! README's map of the folders says what is there.

use super::files::{File, all, root};
use super::none;
use std::collections::BTreeSet;

#[test]
fn readme_maps_the_folders_as_they_are() {
    let Some(map) = all().iter().find(|f| f.path == "README.md").and_then(map_of) else {
        eprintln!("README.md has no folder map yet: a fenced block with a line that begins with src/");
        return;
    };
    none(differences(&map, &folders_there()));
}

/// The fenced block that shows the tree: its folders at the margin, and under `src/` each module, two blanks in.
fn map_of(readme: &File) -> Option<BTreeSet<String>> {
    let block =
        readme.text.split("```").skip(1).step_by(2).find(|block| block.lines().any(|l| l.starts_with("src/")))?;
    let mut under = "";
    let mut map = BTreeSet::new();
    for line in block.lines() {
        let inside = line.strip_prefix("  ").filter(|l| !l.starts_with(' '));
        // Names stand left of the first two blanks, what they are right of them.
        let names = inside.unwrap_or(line).split("  ").next().unwrap_or_default().split_whitespace();
        for name in names {
            match (inside, name.split_once('/')) {
                (None, Some((folder, _))) => {
                    under = if folder == "src" { "src/" } else { "" };
                    map.insert(format!("{folder}/"));
                }
                (Some(_), _) if under == "src/" && (name.ends_with('/') || name.ends_with(".rs")) => {
                    map.insert(format!("src/{name}"));
                }
                _ => {}
            }
        }
    }
    Some(map)
}

fn folders_there() -> BTreeSet<String> {
    let list = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root().join(folder)).expect("a folder of the repository can be read");
        let entries = entries.map(|e| e.expect("a folder of the repository can be read"));
        entries
            .map(|e| format!("{folder}{}{}", e.file_name().display(), if e.path().is_dir() { "/" } else { "" }))
            .collect()
    };
    let mut there: BTreeSet<String> = list("src/").into_iter().collect();
    there.extend(list("").into_iter().filter(|f| f.ends_with('/') && !f.starts_with('.') && f != "target/"));
    there
}

fn differences(map: &BTreeSet<String>, there: &BTreeSet<String>) -> Vec<String> {
    let gone = map.difference(there).map(|f| format!("README.md: {f} is on the map but not there; take it off"));
    let new = there
        .difference(map)
        .map(|f| format!("README.md: {f} is there but not on the map; say in one line what it is"));
    gone.chain(new).collect()
}

#[test]
fn a_map_that_differs_is_a_fault() {
    let text = "# x\n```\nsome code\n```\n```\nCargo.toml Makefile\nproto/ips/v1/   the API\nsrc/\n  main.rs lib.rs  the way in\n  api/    the edge\n          more about it\ntests/  proof\n```\n";
    let map = map_of(&File { path: "README.md".to_owned(), text: text.to_owned() }).unwrap();
    let there = ["proto/", "src/", "src/main.rs", "src/lib.rs", "src/api/", "tests/"].map(str::to_owned).into();
    assert_eq!(differences(&map, &there), [] as [&str; 0]);
    let moved = ["proto/", "src/", "src/main.rs", "src/lib.rs", "src/edge/", "tests/"].map(str::to_owned).into();
    assert_eq!(differences(&map, &moved).len(), 2);
}
