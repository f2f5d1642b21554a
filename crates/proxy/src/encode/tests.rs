//! Encoders and chunks together: whatever the pieces, and wherever the instance pauses, the client
//! decodes what was sent. Sockets are for the tests of the data plane.

use proptest::prelude::*;
use testkit::decode;

use super::*;

const CODINGS: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

fn encoding(coding: Coding, framing: Framing) -> Encoding {
    Encoding::new(framing, Coder::open(coding, framing).expect("few are open"))
}

/// The content of whole chunks, and what follows the last chunk's size line, if it came.
fn dechunk(mut out: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut bytes = Vec::new();
    while !out.is_empty() {
        let end = out.iter().position(|&byte| byte == b'\r').unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&out[..end]).unwrap(), 16).unwrap();
        out = &out[end + 2..];
        if size == 0 {
            return (bytes, Some(out.to_vec()));
        }
        bytes.extend_from_slice(&out[..size]);
        out = out[size..].strip_prefix(b"\r\n").unwrap();
    }
    (bytes, None)
}

/// Content that is partly alike and partly by chance.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let alike = (any::<u8>(), 1..30_000_usize).prop_map(|(byte, count)| vec![byte; count]);
    let chance = prop::collection::vec(any::<u8>(), 0..20_000);
    let text = "[a-f ]{0,300}".prop_map(|text| text.repeat(9).into_bytes());
    prop_oneof![alike, chance, text]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_decoded_is_what_was_encoded(
        coding in prop::sample::select(CODINGS.to_vec()),
        length in prop_oneof![Just(None), Just(Some(()))],
        pieces in prop::collection::vec((content(), any::<bool>()), 0..6),
    ) {
        let whole: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece).copied().collect();
        let framing = match length {
            Some(()) if !whole.is_empty() => Framing::Length(whole.len() as u64),
            _ => Framing::Chunked,
        };
        let mut encoding = encoding(coding, framing);
        let (mut out, mut sent) = (Vec::new(), 0);
        for (piece, pauses) in &pieces {
            encoding.encode(piece, &mut out).unwrap();
            sent += piece.len();
            if *pauses {
                encoding.drive(Until::Flushed, &mut out).unwrap();
                let (bytes, end) = dechunk(&out);
                let (got, is_over) = decode(coding.name(), &bytes);
                prop_assert!(got == whole[..sent], "{:?}: a pause holds something back", coding);
                prop_assert!(!is_over && end.is_none());
            }
        }
        encoding.finish(&mut out).unwrap();
        let (bytes, end) = dechunk(&out);
        prop_assert!(decode(coding.name(), &bytes) == (whole, true), "{:?}", coding);
        prop_assert_eq!(end, Some(b"\r\n".to_vec()));
    }
}

#[test]
fn trailers_come_behind_the_last_chunk_unless_they_are_of_other_bytes() {
    let mut encoding = encoding(Coding::Gzip, Framing::Chunked);
    let mut out = Vec::new();
    encoding.encode(b"hello", &mut out).unwrap();
    let lines: [&[u8]; 5] =
        [b"5\r\n", b"X-Sum: 7\r\n", b"content-digest: sha-256=:x:\r\n", b"Y:\r\n", b"\r\n"];
    lines.into_iter().for_each(|line| encoding.keep_trailer(line));
    encoding.finish(&mut out).unwrap();
    assert_eq!(dechunk(&out).1, Some(b"X-Sum: 7\r\nY:\r\n\r\n".to_vec()));
}

#[test]
fn there_are_only_so_many_encoders_at_once() {
    let all: Vec<_> =
        std::iter::from_fn(|| Coder::open(Coding::Gzip, Framing::Length(1000))).collect();
    assert_eq!(all.len(), 256);
    drop(all);
    assert!(Coder::open(Coding::Gzip, Framing::Chunked).is_some());
}
