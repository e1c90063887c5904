//! The repository's files, as the tests here see them.

use super::code::{code_only, without_tests};
use std::path::Path;

/// A text file of the repository.
pub struct File {
    /// From the repository's root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    /// Without comments and the insides of strings; lines stay where they are.
    pub fn code(&self) -> String {
        code_only(&self.text)
    }

    /// The same without what is built for tests only.
    pub fn production_code(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&self.code()) }
    }

    /// Tests have a file of their own when they are long: `tests.rs`, `route_tests.rs`, `tests/…`.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.starts_with("tests/") || self.path.contains("/tests/")
    }

    /// The module it belongs to at the top of `src/`: `src/store/lane.rs` and `src/store.rs` are both `store`.
    pub fn module(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(name.strip_suffix(".rs").unwrap_or(name))
    }

    /// `file:line: what`
    pub fn fault(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file that we wrote.
pub fn rust() -> Vec<File> {
    all().into_iter().filter(|f| f.path.ends_with(".rs")).collect()
}

/// The Rust files under `src/`.
pub fn src() -> Vec<File> {
    rust().into_iter().filter(|f| f.path.starts_with("src/")).collect()
}

/// Every text file; what is built, and what git keeps for itself, left out.
pub fn all() -> Vec<File> {
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.iter().any(|f| f.path == "src/lib.rs"), "no src/lib.rs under {}", root().display());
    found
}

fn walk(folder: &Path, found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("a folder of the repository can be read").path();
        let name = path.strip_prefix(root()).expect("it lies under the root").to_str().expect("file names are UTF-8");
        if ["target", ".git"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.push(File { path: name.to_owned(), text });
        }
    }
}

/// The lines that hold one of the needles, with their numbers from 1.
pub fn lines_with<'a>(text: &'a str, needles: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    (1..).zip(text.lines()).flat_map(|(n, line)| needles.iter().filter(|x| line.contains(**x)).map(move |x| (n, *x)))
}

#[test]
fn a_file_knows_its_module() {
    let of = |path: &str| File { path: path.to_owned(), text: String::new() }.module().map(str::to_owned);
    assert_eq!(of("src/store/lane/claim.rs").as_deref(), Some("store"));
    assert_eq!(of("src/verdict.rs").as_deref(), Some("verdict"));
    assert_eq!(of("tests/it/main.rs"), None);
}
