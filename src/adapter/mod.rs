//! Packs: load, render, parse, codes, check, examples.

pub mod form;
pub mod hl7;
