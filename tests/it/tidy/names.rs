//! One word per thing: words that could mean anything name nothing here.

use super::files::{File, all};
use super::none;

/// Too wide to say what a thing is. `delivery`, `attempt`, `endpoint`, `adapter`, `transport` … say it.
const TOO_WIDE: &[&str] = &["job", "task", "event", "channel", "connector", "handler", "manager", "util", "processor"];

/// What introduces a name, by kind of file.
const INTRODUCES: &[(&str, &[&str])] = &[
    (".rs", &["mod", "struct", "enum", "trait", "type", "union"]),
    (".proto", &["message", "enum", "service"]),
    (".sql", &["table"]),
];

#[test]
fn no_module_type_or_table_has_a_name_that_could_mean_anything() {
    none(all().iter().filter(|f| f.path != "tests/it/tidy/names.rs").flat_map(name_faults).collect());
}

fn name_faults(file: &File) -> Vec<String> {
    let Some((_, introducers)) = INTRODUCES.iter().find(|(ending, _)| file.path.ends_with(ending)) else {
        return Vec::new();
    };
    // Comments of the three languages differ; a sentence in a comment introduces no name with these words in front anyway.
    let code = if file.path.ends_with(".rs") { file.code() } else { without_line_comments(&file.text) };
    let mut faults = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        for name in introduced(text, introducers).filter(|n| is_too_wide(n)) {
            faults.push(file.fault(
                line,
                format!(
                    "`{name}` could mean anything; take the word of the field for it (ARCHITECTURE.md has the list)"
                ),
            ));
        }
    }
    for part in file.path.split('/').map(|p| p.strip_suffix(".rs").unwrap_or(p)).filter(|p| is_too_wide(p)) {
        faults.push(file.fault(1, format!("`{part}` could mean anything; name the file after what is in it")));
    }
    faults
}

fn is_too_wide(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TOO_WIDE.contains(&name.as_str()) || name.strip_suffix('s').is_some_and(|one| TOO_WIDE.contains(&one))
}

fn introduced<'a>(line: &'a str, introducers: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).peekable();
    std::iter::from_fn(move || {
        loop {
            let word = words.next()?;
            if introducers.iter().any(|i| i.eq_ignore_ascii_case(word)) {
                // CREATE TABLE IF NOT EXISTS name
                while words.next_if(|w| ["IF", "NOT", "EXISTS"].iter().any(|s| s.eq_ignore_ascii_case(w))).is_some() {}
                return Some(words.next().unwrap_or_default());
            }
        }
    })
}

fn without_line_comments(text: &str) -> String {
    text.lines()
        .map(|l| l.split("//").next().unwrap_or(l).split("--").next().unwrap_or(l))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_name_that_could_mean_anything_is_a_fault() {
    let faults = |path: &str, text: &str| name_faults(&File { path: path.to_owned(), text: text.to_owned() }).len();
    for (path, text) in [
        ("src/a.rs", "pub(crate) struct Job {"),
        ("src/a.rs", "pub mod utils;"),
        ("src/handlers/a.rs", ""),
        ("src/util.rs", ""),
        ("m/1.sql", "CREATE TABLE IF NOT EXISTS events ("),
        ("proto/a.proto", "message Task {"),
    ] {
        assert_eq!(faults(path, text), 1, "{path} {text}");
    }
    for (path, text) in [
        ("src/a.rs", "struct JobStart; // struct Job"),
        ("src/a.rs", "let task = tokio::spawn(x);"),
        ("m/1.sql", "CREATE TABLE delivery ( -- table task"),
    ] {
        assert_eq!(faults(path, text), 0, "{path} {text}");
    }
}
