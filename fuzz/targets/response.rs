//! Response heads: any bytes, read by the product and by the second reader, and written on.
//! What must hold is in `crates/http1/tests/checks/response.rs`; this file only passes bytes on.
#![no_main]

#[path = "../../crates/http1/tests/checks/response.rs"]
mod check;
#[allow(dead_code, reason = "some of it is for requests")]
#[path = "../../crates/http1/tests/reference/head.rs"]
mod head;
#[path = "../../crates/http1/tests/reference/response.rs"]
mod response;
#[allow(dead_code, reason = "the rows are for the tests")]
#[path = "../../crates/http1/tests/tables/responses.rs"]
mod responses;
#[allow(dead_code, reason = "the rows are for the tests")]
#[path = "../../crates/http1/tests/tables/rows.rs"]
mod rows;
#[path = "../../crates/http1/tests/checks/splits.rs"]
mod splits;
#[path = "../../crates/http1/tests/checks/written.rs"]
mod written;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
