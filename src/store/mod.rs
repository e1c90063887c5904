//! The record: one [`Store`] over SQLite and PostgreSQL, the same promises on both.
//!
//! * Everything that changes goes through one writer ([`writer`]): taken together, decided against current rows, committed once, then answered.
//! * Everything that reads takes a [`Scope`]; a foreign id does not exist.
//! * `write/` holds one file for each kind of change, `read/` one for each kind of question.

mod batch;
mod dialect;
mod error;
mod flush;
mod open;
pub mod record;
mod rows;
mod rulebook;
mod scope;
pub mod write;
mod writer;

pub use error::{OpenError, Refusal, StoreError, WriteError};
pub use rulebook::{Limits, Rulebook, TrustRules};
pub use scope::Scope;
