//! Response heads, good and bad, each with the outcome that RFC 9110 and RFC 9112 give it.
//! What instances send is read as strictly as what clients send.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use http1::{Framing, Limits, Method, Progress, ResponseHead};

#[path = "tables/responses.rs"]
mod responses;
#[path = "tables/rows.rs"]
mod rows;

const LIMITS: Limits = Limits { head_bytes_max: 100, headers_max: 4, target_bytes_max: 0 };

#[test]
fn every_row_has_its_outcome() {
    let mut wrong = Vec::new();
    for case in responses::cases() {
        let got = responses::outcome(&case, [case.input.len()]);
        if got != case.want {
            wrong.push(format!("{}\n  want {}\n  got  {got}", case.title, case.want));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_large_and_no_row_comes_twice() {
    let cases = responses::cases();
    assert!(cases.len() >= 60, "{} rows", cases.len());
    let mut seen = HashSet::new();
    for case in &cases {
        let row = format!("{:?} {:?} {:?}", case.input, case.method, case.limits);
        assert!(seen.insert(row), "{}", case.title);
    }
}

/// RFC 9112, 6.3, rules 1, 3, 4, 6, 8, for every status and method there is.
#[test]
fn framing_follows_method_and_status() {
    let methods = [Method::Get, Method::Head, Method::Safe, Method::Idempotent, Method::Other];
    let framings = [
        ("", Framing::UntilClose),
        ("Content-Length: 0\r\n", Framing::None),
        ("Content-Length: 7\r\n", Framing::Length(7)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
    ];
    for status in 100..600 {
        for (field, framing) in framings {
            let input = format!("HTTP/1.1 {status} \r\n{field}\r\n");
            let mut head = ResponseHead::default();
            let progress = head.advance(input.as_bytes(), &LIMITS);
            assert_eq!(progress, Ok(Progress::Complete), "{input:?}");
            assert_eq!(head.status(), status);
            assert_eq!(head.is_informational(), status < 200 && status != 101);
            for method in methods {
                let is_empty =
                    method == Method::Head || status < 200 || status == 204 || status == 304;
                let want = if is_empty { Framing::None } else { framing };
                assert_eq!(head.framing(method), want, "{input:?} {method:?}");
            }
        }
    }
}

#[test]
fn a_cleared_head_remembers_nothing() {
    let first = b"HTTP/1.0 304 b\r\nContent-Length: 5\r\nConnection: close, x\r\nX: y\r\n\r\n";
    for case in responses::cases() {
        let mut head = ResponseHead::default();
        assert_eq!(head.advance(first, &LIMITS), Ok(Progress::Complete));
        head.clear();
        assert!(head.is_empty() && head.fields().is_empty());
        let mut fresh = ResponseHead::default();
        let reused = head.advance(&case.input, &case.limits);
        assert_eq!(reused, fresh.advance(&case.input, &case.limits));
        assert_eq!(format!("{head:?}"), format!("{fresh:?}"), "{}", case.title);
    }
}
