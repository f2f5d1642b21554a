//! Request heads, good and bad, each with the outcome that RFC 9110 and RFC 9112 give it.
//! What is strict beyond the RFCs is in the doc of a `Refusal`; no row asks for leniency.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use http1::{Known, Limits, Method, Progress, Refusal, RequestHead};

#[path = "tables/requests.rs"]
mod requests;
#[path = "tables/rows.rs"]
mod rows;

#[test]
fn every_row_has_its_outcome() {
    let mut wrong = Vec::new();
    for case in requests::cases() {
        let got = requests::outcome(&case.input, [case.input.len()], &case.limits);
        if got != case.want {
            wrong.push(format!("{}\n  want {}\n  got  {got}", case.title, case.want));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_large_and_no_row_comes_twice() {
    let cases = requests::cases();
    assert!(cases.len() >= 150, "{} rows", cases.len());
    let mut seen = HashSet::new();
    for case in &cases {
        assert!(seen.insert((case.input.clone(), format!("{:?}", case.limits))), "{}", case.title);
    }
}

#[test]
fn every_refusal_of_a_request_has_a_row() {
    let wants: HashSet<String> = requests::cases().into_iter().map(|case| case.want).collect();
    for refusal in [
        Refusal::BareLf,
        Refusal::RequestLine,
        Refusal::Target,
        Refusal::Version,
        Refusal::Connect,
        Refusal::FieldName,
        Refusal::FieldValue,
        Refusal::FoldedLine,
        Refusal::HostMissing,
        Refusal::HostTwice,
        Refusal::Host,
        Refusal::ContentLength,
        Refusal::TransferEncoding,
        Refusal::LengthAndEncoding,
        Refusal::HeadTooLong,
        Refusal::TooManyHeaders,
        Refusal::TargetTooLong,
    ] {
        assert!(wants.contains(&format!("{refusal:?}")), "{refusal:?}");
    }
}

/// All 256 bytes at each place where one byte decides, against the grammar written out by hand.
#[test]
fn every_byte_is_judged_alike_wherever_it_stands() {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let value = |b: u8| b == b'\t' || (b >= 0x20 && b != 0x7f);
    for byte in 0..=u8::MAX {
        // LF ends the line before its time: refused, whatever the place.
        let is_accepted = |before: &str, after: &str| {
            let input = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            let mut head = RequestHead::default();
            match head.advance(&input, &requests::LIMITS) {
                Ok(progress) => progress == Progress::Complete,
                Err(_) => false,
            }
        };
        assert_eq!(
            is_accepted("G", "T / HTTP/1.1\r\nHost: a\r\n\r\n"),
            token(byte),
            "method, byte {byte:#x}"
        );
        assert_eq!(
            is_accepted("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: b\r\n\r\n"),
            // A colon ends the name, and the rest is a value.
            token(byte) || byte == b':',
            "name, byte {byte:#x}"
        );
        assert_eq!(
            is_accepted("GET / HTTP/1.1\r\nHost: a\r\nX: b", "c\r\n\r\n"),
            value(byte),
            "value, byte {byte:#x}"
        );
        assert_eq!(
            is_accepted("GET /b", "c HTTP/1.1\r\nHost: a\r\n\r\n"),
            byte.is_ascii_graphic() && byte != b'#',
            "target, byte {byte:#x}"
        );
        assert_eq!(
            is_accepted("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1", "0\r\n\r\n"),
            byte.is_ascii_digit(),
            "length, byte {byte:#x}"
        );
    }
}

#[test]
fn fields_are_where_they_were_sent() {
    let input = b"PUT /x HTTP/1.1\r\nHost: a\r\nX-One:  two words\t\r\ncontent-LENGTH:5\r\n\r\n";
    let mut head = RequestHead::default();
    let progress = head.advance(input, &requests::LIMITS);
    assert_eq!(progress, Ok(Progress::Complete));
    let fields: Vec<(&[u8], &[u8], Known)> = head
        .fields()
        .iter()
        .map(|field| (field.name.of(input), field.value.of(input), field.known))
        .collect();
    let want: [(&[u8], &[u8], Known); 3] = [
        (b"Host", b"a", Known::Host),
        (b"X-One", b"two words", Known::Other),
        (b"content-LENGTH", b"5", Known::ContentLength),
    ];
    assert_eq!(fields, want);
    assert_eq!(head.len(), input.len());
}

/// RFC 9110, 9.2.1 and 9.2.2.
#[test]
fn methods_are_classed() {
    for (text, method, is_idempotent) in [
        ("GET", Method::Get, true),
        ("HEAD", Method::Head, true),
        ("OPTIONS", Method::Safe, true),
        ("TRACE", Method::Safe, true),
        ("PUT", Method::Idempotent, true),
        ("DELETE", Method::Idempotent, true),
        ("POST", Method::Other, false),
        ("PATCH", Method::Other, false),
        ("get", Method::Other, false),
        ("GETS", Method::Other, false),
        ("HEA", Method::Other, false),
    ] {
        let input = format!("{text} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut head = RequestHead::default();
        let progress = head.advance(input.as_bytes(), &requests::LIMITS);
        assert_eq!(progress, Ok(Progress::Complete), "{text}");
        assert_eq!(head.method(), method, "{text}");
        assert_eq!(head.method().is_idempotent(), is_idempotent, "{text}");
    }
}

#[test]
fn a_cleared_head_remembers_nothing() {
    let first = b"\r\nPOST http://b/c HTTP/1.0\r\nHost: b\r\nContent-Length: 5\r\nX: y\r\n\
        X-Request-Id: 7\r\nExpect: 100-continue\r\nConnection: upgrade, close, x\r\n\
        Upgrade: z\r\n\r\n";
    let limits = Limits { head_bytes_max: 300, headers_max: 7, target_bytes_max: 10 };
    for case in requests::cases() {
        let mut head = RequestHead::default();
        assert_eq!(head.advance(first, &limits), Ok(Progress::Complete));
        head.clear();
        assert!(head.is_empty() && head.fields().is_empty());
        let mut fresh = RequestHead::default();
        let reused = head.advance(&case.input, &case.limits);
        assert_eq!(reused, fresh.advance(&case.input, &case.limits));
        assert_eq!(format!("{head:?}"), format!("{fresh:?}"), "{}", case.title);
    }
}
