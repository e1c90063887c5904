//! 8 What callers see of a delivery: one sentence for its author, and its timeline. The words are never better than the evidence.

mod sentence;
mod timeline;

pub use sentence::{Epr, sentence};
pub use timeline::{Began, began, timeline};
