//! Configuration files: any text, read by the product and by a plain reader of TOML.
//! What must hold is in `crates/config/tests/fuzzed/check.rs`; this file only passes texts on.
#![no_main]

#[path = "../../crates/config/tests/fuzzed/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|text: &str| check::check(text));
