//! Headers of the PROXY protocol: any bytes, read by the product and by the second reader.
//! What must hold is in `crates/proxy_protocol/tests/fuzzed/check.rs`; this file only passes bytes on.
#![no_main]

#[path = "../../crates/proxy_protocol/tests/fuzzed/check.rs"]
mod check;
#[path = "../../crates/proxy_protocol/tests/fuzzed/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
