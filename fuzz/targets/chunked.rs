//! Chunked bodies: any bytes, read by the product and by the second reader, and passed on.
//! What must hold is in `crates/http1/tests/checks/chunked.rs`; this file only passes bytes on.
#![no_main]

#[path = "../../crates/http1/tests/checks/chunked.rs"]
mod check;
#[allow(dead_code, reason = "the rows are for the tests")]
#[path = "../../crates/http1/tests/tables/chunked.rs"]
mod chunked;
#[path = "../../crates/http1/tests/reference/chunked.rs"]
mod reference;
#[allow(dead_code, reason = "the rows are for the tests")]
#[path = "../../crates/http1/tests/tables/rows.rs"]
mod rows;
#[path = "../../crates/http1/tests/checks/splits.rs"]
mod splits;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    check::agree(input);
});
