//! Style as tests: what a reviewer would otherwise have to say each time. Each fault is `file:line: what; what to do`.

mod arrows;
mod code;
mod files;
mod map;
mod names;
mod words;

/// Fails with all faults at once.
#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} to mend:\n  {}\n", faults.len(), faults.join("\n  "));
}
