//! Chunked bodies, good and bad: what is data, what is passed on, what is refused.
//! A table from RFC 9112, and a second reader written for this test that must agree.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use check::{agree, name};
use http1::{Body, Framing, Piece, write_chunk_start};
use proptest::prelude::*;
use reference::Verdict;

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "checks/chunked.rs"]
mod check;
#[path = "tables/chunked.rs"]
mod chunked;
#[path = "generated/mutation.rs"]
mod mutation;
#[path = "reference/chunked.rs"]
mod reference;
#[path = "tables/rows.rs"]
mod rows;
#[path = "checks/splits.rs"]
mod splits;

#[test]
fn every_row_has_its_outcome() {
    for case in chunked::cases() {
        let got = chunked::outcome(&case.input, [case.input.len()]);
        assert_eq!(got, case.want, "{}", case.title);
    }
}

#[test]
fn the_second_reader_agrees_with_the_table() {
    for case in chunked::cases() {
        let reading = reference::read(&case.input);
        assert_eq!(name(&reading.verdict), case.want.verdict, "{}", case.title);
        assert_eq!(reading.data, case.want.data, "{}", case.title);
        if let Verdict::End(bytes) = reading.verdict {
            assert_eq!(case.input[bytes..], case.want.rest, "{}", case.title);
        }
    }
}

#[test]
fn the_table_is_large_and_no_row_comes_twice() {
    let cases = chunked::cases();
    assert!(cases.len() >= 60, "{} rows", cases.len());
    let mut seen = HashSet::new();
    for case in &cases {
        assert!(seen.insert(case.input.clone()), "{}", case.title);
    }
}

#[test]
fn what_is_passed_on_of_every_row_is_plain() {
    for case in chunked::cases() {
        agree(&case.input);
    }
}

#[test]
fn every_byte_at_every_place_of_a_body() {
    let good = b"2;a=\"b\" ; c\r\nhi\r\n0\r\nX: y\r\n\r\n";
    for at in 0..good.len() {
        for byte in 0..=u8::MAX {
            let mut input = good.to_vec();
            input[at] = byte;
            agree(&input);
            input.insert(at, good[at]);
            agree(&input);
        }
    }
}

#[test]
fn a_body_of_a_length_ends_there() {
    let mut body = Body::new(Framing::Length(5));
    assert!(!body.ends_at_close());
    assert_eq!(body.next(b""), Ok(Piece::More));
    assert_eq!(body.next(b"hel"), Ok(Piece::Data(3)));
    assert!(!body.ends_at_close());
    assert_eq!(body.next(b"loGET"), Ok(Piece::Data(2)));
    assert_eq!(body.next(b"GET"), Ok(Piece::End));
    assert_eq!(body.next(b""), Ok(Piece::End));
    assert!(body.ends_at_close());
    assert_eq!(body.data_bytes(), 5);
}

#[test]
fn a_body_is_known_to_be_as_long_as_it_announces() {
    let mut body = Body::new(Framing::Length(5));
    assert_eq!((body.bytes_min(), body.data_bytes()), (5, 0));
    body.next(b"he").unwrap();
    assert_eq!((body.bytes_min(), body.data_bytes()), (5, 2));
    let mut body = Body::new(Framing::Chunked);
    let mut announced = Vec::new();
    let mut input = &b"5;a\r\nhello\r\nfffffffffffffff\r\nx"[..];
    while let Piece::Data(bytes) | Piece::Frame(bytes) | Piece::Skip(bytes) =
        body.next(input).unwrap()
    {
        announced.push(body.bytes_min());
        input = &input[bytes..];
    }
    let large = 5 + 0xfff_ffff_ffff_ffff;
    assert_eq!(announced, [5, 5, 5, 5, 5, large, large]);
    assert_eq!(Body::new(Framing::UntilClose).bytes_min(), 0);
}

/// Content that is moved unseen counts like content that was shown.
#[test]
fn content_may_pass_unseen() {
    let mut body = Body::new(Framing::Length(9));
    body.next(b"abc").unwrap();
    assert_eq!(body.content_ahead(), 6);
    body.pass(5);
    assert_eq!((body.content_ahead(), body.data_bytes(), body.bytes_min()), (1, 8, 9));
    body.pass(2);
    assert_eq!((body.next(b"GET"), body.data_bytes()), (Ok(Piece::End), 9));

    let mut body = Body::new(Framing::Chunked);
    assert_eq!(body.content_ahead(), 0);
    body.pass(1);
    assert_eq!(body.next(b"a\r\n0123"), Ok(Piece::Frame(3)));
    assert_eq!(body.content_ahead(), 10);
    body.pass(4);
    assert_eq!(body.next(b"45"), Ok(Piece::Data(2)));
    body.pass(4);
    assert_eq!((body.content_ahead(), body.data_bytes()), (0, 10));
    assert_eq!(body.next(b"\r\n0\r\n"), Ok(Piece::Frame(2)));
    assert_eq!(Body::new(Framing::UntilClose).content_ahead(), 0);
}

#[test]
fn a_body_until_close_never_ends_before() {
    let mut body = Body::new(Framing::UntilClose);
    assert!(body.ends_at_close());
    assert_eq!(body.next(b""), Ok(Piece::More));
    assert_eq!(body.next(b"0\r\n\r\n"), Ok(Piece::Data(5)));
    assert_eq!(body.next(b""), Ok(Piece::More));
    assert_eq!(body.data_bytes(), 5);
}

#[test]
fn no_body_is_over_at_once() {
    let mut body = Body::new(Framing::None);
    assert!(body.ends_at_close());
    assert_eq!(body.next(b""), Ok(Piece::End));
    assert_eq!(body.next(b"GET"), Ok(Piece::End));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn good_bodies_are_read(good in bodies::good(), rest in "[ -~\r\n]{0,20}") {
        let input = [&good.wire[..], rest.as_bytes()].concat();
        let outcome = agree(&input);
        prop_assert_eq!(&outcome.verdict, "End");
        prop_assert_eq!(&outcome.data, &good.data);
        prop_assert_eq!(&outcome.rest, rest.as_bytes());
    }

    #[test]
    fn damaged_bodies_are_read_alike(
        good in bodies::good(),
        mutations in mutation::mutations(),
    ) {
        agree(&mutation::mutated(good.wire, &mutations));
    }

    #[test]
    fn soup_is_read_alike(soup in bodies::soup()) {
        agree(&soup);
    }

    #[test]
    fn written_chunks_are_read(pieces in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let mut wire = Vec::new();
        for piece in pieces.chunks(30_000) {
            write_chunk_start(&mut wire, piece.len());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        write_chunk_start(&mut wire, 0);
        wire.extend_from_slice(b"\r\n");
        let outcome = agree(&wire);
        prop_assert_eq!(&outcome.verdict, "End");
        prop_assert_eq!(&outcome.data, &pieces);
        prop_assert_eq!(&outcome.forwarded, &wire);
    }

    #[test]
    fn sizes_of_chunks_are_small_hexadecimal(bytes in any::<usize>()) {
        let mut wire = Vec::new();
        write_chunk_start(&mut wire, bytes);
        prop_assert_eq!(wire, format!("{bytes:x}\r\n").into_bytes());
    }
}
