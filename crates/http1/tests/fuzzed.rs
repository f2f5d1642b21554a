//! What the fuzzer checks of any bytes, checked of every row of the tables and of damaged messages.
//! With `HERDER_SEEDS` it writes the rows into that folder too, for the fuzzer to begin with.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use head::Bounds;
use http1::{Limits, Method};
use proptest::prelude::*;

#[allow(dead_code, reason = "good bodies are for other tests")]
#[path = "generated/bodies.rs"]
mod bodies;
#[path = "tables/chunked.rs"]
mod chunked;
#[path = "checks/chunked.rs"]
mod chunked_check;
#[path = "reference/head.rs"]
mod head;
#[allow(dead_code, reason = "what a head says is for other tests")]
#[path = "generated/heads.rs"]
mod heads;
#[path = "generated/mutation.rs"]
mod mutation;
#[path = "reference/chunked.rs"]
mod reference;
#[path = "reference/request.rs"]
mod request;
#[path = "checks/request.rs"]
mod request_check;
#[path = "tables/requests.rs"]
mod requests;
#[path = "reference/response.rs"]
mod response;
#[path = "checks/response.rs"]
mod response_check;
#[path = "tables/responses.rs"]
mod responses;
#[path = "tables/rows.rs"]
mod rows;
#[path = "checks/splits.rs"]
mod splits;
#[path = "checks/written.rs"]
mod written;

#[test]
fn every_request_of_the_table_is_a_seed() {
    let cases = requests::cases();
    seed("request", cases.iter().map(|case| &case.input[..]));
    for case in cases {
        request_check::check(&case.input);
        let Limits { head_bytes_max, headers_max, target_bytes_max } = case.limits;
        let bounds =
            Bounds { head: head_bytes_max, headers: headers_max, target: target_bytes_max };
        let said = match request::read(&case.input, &bounds) {
            Ok(request) => request.describe(&case.input),
            Err(refusal) => refusal.to_owned(),
        };
        assert_eq!(said, case.want, "{}", case.title);
    }
}

#[test]
fn every_rewritten_request_of_the_table_is_a_seed() {
    let rows = rows::rows(include_str!("tables/rewrite/requests.txt"));
    let inputs: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes('>')).collect();
    seed("request", inputs.iter().map(Vec::as_slice));
    inputs.iter().for_each(|input| request_check::check(input));
}

#[test]
fn every_response_of_the_tables_is_a_seed() {
    let rows = rows::rows(include_str!("tables/rewrite/responses.txt"));
    let mut inputs: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes('>')).collect();
    for case in responses::cases() {
        let bounds = Bounds {
            head: case.limits.head_bytes_max,
            headers: case.limits.headers_max,
            target: 0,
        };
        let said = match response::read(&case.input, &bounds) {
            Ok(response) => response.describe(&case.input, case.method == Method::Head),
            Err(refusal) => refusal.to_owned(),
        };
        assert_eq!(said, case.want, "{}", case.title);
        inputs.push(case.input);
    }
    seed("response", inputs.iter().map(Vec::as_slice));
    inputs.iter().for_each(|input| response_check::check(input));
}

#[test]
fn every_chunked_body_of_the_table_is_a_seed() {
    let cases = chunked::cases();
    seed("chunked", cases.iter().map(|case| &case.input[..]));
    for case in cases {
        assert_eq!(chunked_check::agree(&case.input), case.want, "{}", case.title);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_requests(request in heads::request(), mutations in mutation::mutations()) {
        request_check::check(&request.wire());
        request_check::check(&mutation::mutated(request.wire(), &mutations));
    }

    #[test]
    fn damaged_responses(response in heads::response(), mutations in mutation::mutations()) {
        response_check::check(&response.wire());
        response_check::check(&mutation::mutated(response.wire(), &mutations));
    }
}

/// Writes what a fuzzer of that name begins with, where the tester wants it.
fn seed<'a>(fuzzer: &str, inputs: impl Iterator<Item = &'a [u8]>) {
    let Some(folder) = env::var_os("HERDER_SEEDS") else { return };
    let folder = Path::new(&folder).join(fuzzer);
    fs::create_dir_all(&folder).unwrap();
    for input in inputs {
        // Rows of different tables may be alike; a name that is made of the bytes keeps one.
        let name = input.iter().fold(0_u64, |name, &byte| {
            (name ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(5)
        });
        fs::write(folder.join(format!("seed-{name:016x}")), input).unwrap();
    }
}
