//! What a command did with each of many, in the one shape that every such command has as JSON.

use super::failure::Failure;
use super::refusal::as_options;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Those that were done, or would be, and those that were refused.
#[derive(Debug, Default)]
pub struct Told {
    pub dry_run: bool,
    pub done: Vec<String>,
    pub refused: Vec<Refused>,
}

/// One that was not done.
#[derive(Debug)]
pub struct Refused {
    pub id: String,
    why: String,
    /// As in error_reason.proto; empty where the bridge gave none.
    reason: String,
    /// For a person.
    pub shown: String,
}

impl Refused {
    pub fn new(id: impl Into<String>, failure: &Failure) -> Self {
        let shown = failure.to_string();
        let (why, reason) = match failure {
            Failure::Said(refusal) => refusal.line(),
            _ => (shown.clone(), String::new()),
        };
        Self { id: id.into(), why, reason, shown }
    }

    /// Of the bridge's own lists, which have a line for each.
    pub fn of_line(line: &str) -> Self {
        let (id, why) = line.split_once(": ").unwrap_or(("", line));
        let why = as_options(why);
        let reason = match () {
            () if why.contains("there is no such") => "NOT_FOUND",
            () if why.contains("--acknowledge-may-be-in-record") => "MAY_BE_IN_RECORD",
            () => "WRONG_STATE",
        };
        Self { id: id.to_owned(), shown: why.clone(), why, reason: reason.to_owned() }
    }
}

impl Told {
    pub fn new(dry_run: bool, refused: Vec<Refused>) -> Self {
        Self { dry_run, done: Vec::new(), refused }
    }

    /// All that were matched are named in it.
    pub fn json(&self) -> Value {
        self.json_of(self.done.len() + self.refused.len(), self.done.len())
    }

    /// Where the lists do not name all.
    pub fn json_of(&self, matched: usize, done: usize) -> Value {
        let refused: Vec<_> =
            self.refused.iter().map(|r| json!({ "id": r.id, "why": r.why, "reason": r.reason })).collect();
        json!({
            "dry_run": self.dry_run,
            "matched": matched,
            "done_count": done,
            "done": self.done,
            "refused": refused,
        })
    }

    /// The exit code that goes with it.
    pub fn ended(&self) -> Result<(), Failure> {
        if self.refused.is_empty() { Ok(()) } else { Err(Failure::Told) }
    }
}

/// Each once, in their order.
pub fn once(ids: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    ids.iter().filter(|id| seen.insert(id.as_str())).cloned().collect()
}
