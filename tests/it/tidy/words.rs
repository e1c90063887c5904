//! What may not stand in a file, and how long a file may be.

use super::files::{File, all, lines_with, rust, src};
use super::none;

/// This file names what it forbids.
const HERE: &str = "tests/it/tidy/words.rs";

/// What may not be written, looked for in code only: not in comments or strings.
fn forbidden_in<'a>(
    files: impl Iterator<Item = &'a File>,
    code: impl Fn(&File) -> String,
    needles: &[&str],
    instead: &str,
) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        for (line, needle) in lines_with(&code(file), needles) {
            faults.push(file.fault(line, format!("`{needle}`: {instead}")));
        }
    }
    faults
}

#[test]
fn no_file_under_src_is_longer_than_700_lines() {
    let mut faults = Vec::new();
    for file in src() {
        match file.text.lines().count() {
            lines @ 701.. => faults
                .push(file.fault(lines, "longer than 700 lines; it holds more than one idea, so split it by them")),
            lines @ 401.. => println!("{}: {lines} lines, look again whether it is one idea", file.path),
            _ => {}
        }
    }
    none(faults);
}

#[test]
fn nothing_is_left_undone() {
    let rust = rust();
    let instead = "do it, or leave it out and say so; a tick behind which nothing stands is worse than none";
    let mut faults = forbidden_in(rust.iter(), File::code, &["todo!", "unimplemented!", "#[ignore"], instead);
    let notes = ["FIX\u{4d}E", "TO\u{44}O", "XX\u{58}", "HAC\u{4b}"];
    for file in rust.iter().filter(|f| f.path != HERE) {
        for (line, note) in lines_with(&file.text, &notes) {
            faults.push(file.fault(line, format!("{note}: {instead}")));
        }
    }
    none(faults);
}

#[test]
fn a_lint_is_not_silenced_without_a_reason() {
    let rust = rust();
    let allow = ["#[allow(", "#![allow("];
    let mut faults = forbidden_in(
        rust.iter(),
        File::code,
        &allow,
        "write `expect(lint, reason = \"…\")`, which also tells when it is no longer needed",
    );
    for file in &rust {
        let code = file.code();
        for (at, _) in
            code.match_indices("expect(").filter(|(at, _)| code[..*at].ends_with(['[', ' ']) && attribute(&code[..*at]))
        {
            let end = code[at..].find(")]").map_or(code.len(), |i| at + i);
            if !code[at..end].contains("reason") {
                faults.push(file.fault(
                    code[..at].matches('\n').count() + 1,
                    "an `expect` that says no reason; add `reason = \"…\"`",
                ));
            }
        }
    }
    none(faults);
}

/// Whether the code so far ends inside an attribute that has just begun: `#[`, `#![`, `#[cfg_attr(x, `.
fn attribute(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before).trim_start();
    line.starts_with("#[") || line.starts_with("#![")
}

/// What a program leaves that was stopped, a store that was tried out: large, nobody's work, and it may hold anything.
#[test]
fn nothing_larger_than_a_mebibyte_is_kept() {
    let listed = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(super::files::root()).output();
    // Where the sources came without git there is nothing to be kept.
    let Ok(listed) = listed.map(|output| String::from_utf8(output.stdout).expect("file names are UTF-8")) else {
        return;
    };
    let size = |name: &&str| std::fs::metadata(super::files::root().join(name)).map_or(0, |file| file.len());
    let large: Vec<&str> = listed.split('\0').filter(|name| size(name) > 1024 * 1024).collect();
    assert!(large.is_empty(), "leave these out, or say here why they are kept: {large:?}");
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let places = ["/wor\u{6b}/", "/roo\u{74}/", "/far\u{6d}/", "/tmp/w\u{74}", "/hom\u{65}/"];
    let hosts = [
        "crates.io/ap\u{69}",
        "index.crates.i\u{6f}",
        "registry.npm\u{6a}s",
        "files.pythonhoste\u{64}",
        "deb.debia\u{6e}.org",
    ];
    let mut faults = Vec::new();
    for file in all() {
        for (line, place) in lines_with(&file.text, &places) {
            faults.push(file.fault(
                line,
                format!("`{place}` is one machine's folder; take the place from a variable or an argument"),
            ));
        }
        for (line, host) in lines_with(&file.text, &hosts) {
            faults.push(
                file.fault(
                    line,
                    format!("`{host}` is a registry's host; name the package, its client knows where to go"),
                ),
            );
        }
    }
    none(faults);
}

#[test]
fn every_module_says_first_what_it_is() {
    let modules = src().into_iter().filter(|f| !f.is_test() && f.path != "src/main.rs" && !f.text.starts_with("//! "));
    none(modules.map(|f| f.fault(1, "begin with `//! ` and one line: what this module is for")).collect());
}

#[test]
fn nobody_but_app_steps_over_the_walls_between_trusts() {
    let elsewhere: Vec<_> = src().into_iter().filter(|f| !matches!(f.module(), Some("app" | "store"))).collect();
    let needles = ["Scope::system", "Scope::System", "SystemScope"];
    let instead = "only `app` may see every trust's records; take the caller's `Scope` as an argument";
    none(forbidden_in(elsewhere.iter(), File::production_code, &needles, instead));
}

#[test]
fn nothing_panics_on_what_it_is_given() {
    let src = src();
    let instead = "answer with an error, or `expect(\"why it cannot fail\")` where that is certain";
    none(forbidden_in(src.iter(), File::production_code, &[".unwrap()", ".unwrap_err()", "panic!("], instead));
}

#[test]
fn time_and_randomness_come_in_as_arguments() {
    let below_app: Vec<_> = src().into_iter().filter(|f| !matches!(f.module(), Some("app" | "cli" | "main"))).collect();
    let needles =
        ["Timestamp::now(", "Zoned::now(", "SystemTime::now(", "rand::rng(", "rand::random", "now_v7(", "new_v4("];
    let instead = "take it as an argument (`domain::ambient` has the shapes); what cannot be replayed cannot be tested";
    none(forbidden_in(below_app.iter(), File::production_code, &needles, instead));
}
