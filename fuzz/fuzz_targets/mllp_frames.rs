#![no_main]

#[path = "../rules/mllp_frames.rs"]
mod rule;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rule::hold(bytes));
