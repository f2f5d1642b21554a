//! Chunked bodies made at random: good ones, and soup of the bytes that good ones are made of.
//! What they mean is not known here; a reference or a property has to say.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A body that follows the grammar, and what it carries.
#[derive(Clone, Debug)]
pub(crate) struct Good {
    pub(crate) wire: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// Good bodies: any sizes, spellings of them, extensions and trailers.
pub(crate) fn good() -> impl Strategy<Value = Good> {
    let chunk = (vec(any::<u8>(), 1..40), 0..4_usize, any::<bool>(), extensions());
    let last = (1..4_usize, extensions());
    let trailers = vec((name(), value()), 0..4);
    (vec(chunk, 0..5), last, trailers).prop_map(|(chunks, (zeros, extensions), trailers)| {
        let (mut wire, mut data) = (Vec::new(), Vec::new());
        for (bytes, zeros, is_large, extensions) in chunks {
            let size =
                if is_large { format!("{:X}", bytes.len()) } else { format!("{:x}", bytes.len()) };
            wire.extend_from_slice("0".repeat(zeros).as_bytes());
            wire.extend_from_slice(size.as_bytes());
            wire.extend_from_slice(&extensions);
            wire.extend_from_slice(b"\r\n");
            wire.extend_from_slice(&bytes);
            wire.extend_from_slice(b"\r\n");
            data.extend_from_slice(&bytes);
        }
        wire.extend_from_slice("0".repeat(zeros).as_bytes());
        wire.extend_from_slice(&extensions);
        wire.extend_from_slice(b"\r\n");
        for (name, value) in trailers {
            wire.extend_from_slice(name.as_bytes());
            wire.push(b':');
            wire.extend_from_slice(&value);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"\r\n");
        Good { wire, data }
    })
}

/// Pieces of bodies in any order: close enough to the grammar to reach every corner of it.
pub(crate) fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b"1\r\na\r\n",
        b"0",
        b"1",
        b"5",
        b"a",
        b"F",
        b"x",
        b"000000000000000",
        b";",
        b"=",
        b"\"",
        b"\\",
        b" ",
        b"\t",
        b";a",
        b";a=b",
        b";a=\"b\"",
        b":",
        b"X: y\r\n",
        b"TE: y\r\n",
        b"hello",
        b"\0",
        b"\x7f",
        b"\x80",
    ];
    vec(select(pieces), 0..16).prop_map(|pieces| pieces.concat())
}

fn extensions() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just(Vec::new()),
        (space(), space(), token())
            .prop_map(|(a, b, token)| [a, b"=", b, token.as_bytes()].concat()),
        (space(), space(), quoted()).prop_map(|(a, b, text)| [a, b"=", b, &text].concat()),
    ];
    let extension = (space(), space(), token(), value)
        .prop_map(|(a, b, name, value)| [a, b";", b, name.as_bytes(), &value].concat());
    prop_oneof![
        3 => Just(Vec::new()),
        1 => vec(extension, 1..4).prop_map(|extensions| extensions.concat()),
    ]
}

fn quoted() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] =
        &[b"a", b" ", b"\t", b";", b"=", b",", b"\x80", b"\\\"", b"\\\\", b"\\a", b"\\ "];
    vec(select(pieces), 0..5).prop_map(|pieces| [b"\"", &pieces.concat()[..], b"\""].concat())
}

fn space() -> impl Strategy<Value = &'static [u8]> {
    let spaces: &[&[u8]] = &[b"", b"", b" ", b"\t", b" \t "];
    select(spaces)
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,5}"
}

fn name() -> impl Strategy<Value = String> {
    let known = select(vec!["Content-Length", "te", "X-Sum", "Trailer", "Host"]);
    prop_oneof![token(), known.prop_map(str::to_owned)]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t')];
    vec(byte, 0..8)
}
