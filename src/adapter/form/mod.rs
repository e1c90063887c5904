//! Between the contract's messages (`wire`) and the domain's types, both ways. One set of field rules for whoever fills in the form:
//! `api` reads requests with it, `inbound` what a pack's map read, and the outbox makes a template's input with it.
//!
//! Reading never stops at the first fault: a field that breaks its rule is noted under its proto path and a stand-in takes its place, so
//! that the rules between the fields can still be judged. A value with a stand-in in it is never handed out. No text of a
//! rule holds the value that broke it.
//!
//! Rules for every message: a text is trimmed where its rule says "no line breaks"; an optional text left blank counts as unset; a
//! time is kept to the microsecond; UNSPECIFIED, and numbers that the contract does not have, are refused where a code is required.

pub mod change;
pub mod codes;
pub mod entry;
pub mod field;
pub mod measure;
pub mod message;
pub mod note;
mod note_kind;
pub mod outcome;
mod outcome_kind;
pub mod patient;
pub mod person;
pub mod referral;
pub mod request;
pub mod urgent;

#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod samples;

pub use change::other_families;

use crate::domain::rule::Violations;

/// How much of a note or outcome is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// No clinical text: content, reasons and explanations stay unset.
    Basic,
    Full,
}

/// A part that must be there: read with `read`, or noted as missing.
pub fn required<M, T>(
    part: Option<&M>,
    at: &str,
    broken: &mut Violations,
    read: impl FnOnce(&M, &str, &mut Violations) -> Option<T>,
) -> Option<T> {
    match part {
        Some(part) => read(part, at, broken),
        None => {
            broken.add(at, "is required");
            None
        }
    }
}

/// The draft, if making it broke no rule.
fn whole<T>(broken: &mut Violations, draft: impl FnOnce(&mut Violations) -> T) -> Option<T> {
    let before = broken.0.len();
    let draft = draft(broken);
    (broken.0.len() == before).then_some(draft)
}

/// The draft, if it broke neither a field's rule nor one between fields. A field already named is not named a second time: what a rule
/// between fields says of a stand-in means nothing.
fn whole_and_checked<T>(
    broken: &mut Violations,
    draft: impl FnOnce(&mut Violations) -> T,
    check: impl FnOnce(&T, &mut Violations),
) -> Option<T> {
    let (mut fields, mut between) = (Violations::default(), Violations::default());
    let draft = draft(&mut fields);
    check(&draft, &mut between);
    between.0.retain(|b| fields.0.iter().all(|f| f.field != b.field));
    let fine = fields.is_empty() && between.is_empty();
    broken.0.append(&mut fields.0);
    broken.0.append(&mut between.0);
    fine.then_some(draft)
}
