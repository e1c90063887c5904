//! Which rows of a map gave something: a row that no example reaches is proved by nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// Rows by line and source.
#[derive(Debug, Default)]
pub(in crate::adapter) struct Reached(RefCell<BTreeSet<(u32, String)>>);

impl Reached {
    pub fn note(&self, line: u32, from: String) {
        self.0.borrow_mut().insert((line, from));
    }

    pub fn has(&self, line: u32, from: &str) -> bool {
        self.0.borrow().contains(&(line, from.to_owned()))
    }

    pub fn add(&self, other: Self) {
        self.0.borrow_mut().extend(other.0.into_inner());
    }
}

/// A row as `adapter check` speaks of it.
pub(in crate::adapter) struct RowNamed<'m> {
    pub ours: &'m str,
    pub from: String,
    pub line: u32,
}
