#![no_main]

#[path = "../rules/fhir_map.rs"]
mod rule;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rule::hold(bytes));
