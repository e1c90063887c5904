#![no_main]

#[path = "../rules/xml.rs"]
mod rule;
#[path = "../rules/read.rs"]
mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rule::hold(bytes));
