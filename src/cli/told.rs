//! What a command did with each of many, in the one shape that every such command has as JSON.

use super::failure::Failure;
use super::refusal::as_options;
use crate::wire::v1::ErrorReason;
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

    /// Of a list of the bridge's, that tells of each why not and by which reason.
    pub fn of(id: impl Into<String>, why: &str, reason: ErrorReason) -> Self {
        let why = as_options(why);
        let reason = reason.as_str_name().trim_start_matches("ERROR_REASON_").to_owned();
        Self { id: id.into(), shown: why.clone(), why, reason }
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
