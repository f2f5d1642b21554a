//! Header rules, rewritten paths and redirects: any rules over any head.
//! What must hold is in `crates/http1/tests/checks/rules.rs`; this file only passes bytes on.
#![no_main]

#[path = "../../crates/http1/tests/checks/rules.rs"]
mod check;
#[path = "../../crates/http1/tests/reference/head.rs"]
mod head;
#[allow(dead_code, reason = "some of it is for other targets")]
#[path = "../../crates/http1/tests/reference/request.rs"]
mod request;
#[allow(dead_code, reason = "some of it is for other targets")]
#[path = "../../crates/http1/tests/reference/response.rs"]
mod response;
#[path = "../../crates/http1/tests/checks/written.rs"]
mod written;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
