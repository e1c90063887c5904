#![no_main]

#[path = "../rules/note_text.rs"]
mod rule;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rule::hold(bytes));
