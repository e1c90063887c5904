//! Packs: load, render, parse, codes, check, examples.

pub mod hl7;
