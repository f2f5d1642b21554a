//! What the fuzzer checks of any bytes, checked of headers of every kind and of damaged ones.
//! With `HERDER_SEEDS` it writes them into that folder too, for the fuzzer to begin with.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use proptest::prelude::*;
use proptest::sample::Index;

#[path = "fuzzed/check.rs"]
mod check;
#[path = "fuzzed/reference.rs"]
mod reference;

const LINES: [&[u8]; 9] = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 51000 443\r\nGET / HTTP/1.1\r\n",
    b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 0 65535\r\n",
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.256 51000 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 051000 443\r\n",
    b"PROXY UDP4 192.0.2.1 192.0.2.2 51000 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 51000 443\n",
    b"GET / HTTP/1.1\r\n",
];
const V4: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 2, 0xc7, 0x38, 1, 0xbb];

/// Headers of both versions, good and bad.
fn headers() -> Vec<Vec<u8>> {
    let mut headers: Vec<Vec<u8>> = LINES.iter().map(|line| line.to_vec()).collect();
    let long = |rest: usize| [b"PROXY UNKNOWN ", &vec![b'x'; rest][..], b"\r\n"].concat();
    headers.extend([long(91), long(92)]);
    let binary = |command, family, block: &[u8]| {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, block].concat()
    };
    let with = |extensions: &[u8]| binary(0x21, 0x11, &[V4, extensions].concat());
    headers.extend([
        with(b""),
        with(b"\x02\0\x03a.b\x04\0\0\xee\0\x01\x07"),
        with(b"\x04\0"),
        with(b"\x04\0\x05abc"),
        // With the checksum that belongs there, and with another.
        with(b"\x03\0\x04\xcd\xba\xa7\x70\x04\0\x01\0"),
        with(b"\x03\0\x04\xcd\xba\xa7\x71\x04\0\x01\0"),
        with(b"\x03\0\x03\xcd\xba\xa7"),
        binary(0x21, 0x21, &[7; 36]),
        binary(0x21, 0x31, &[b'/'; 216]),
        binary(0x21, 0x00, b""),
        binary(0x21, 0x12, V4),
        binary(0x21, 0x11, &V4[..11]),
        binary(0x20, 0x00, b"anything"),
        binary(0x22, 0x11, V4),
        binary(0x21, 0x11, &[0; 4081]),
    ]);
    headers
}

#[test]
fn headers_of_every_kind_are_seeds() {
    let headers = headers();
    if let Some(folder) = env::var_os("HERDER_SEEDS") {
        let folder = Path::new(&folder).join("proxy_protocol");
        fs::create_dir_all(&folder).unwrap();
        for (at, header) in headers.iter().enumerate() {
            fs::write(folder.join(format!("seed-{at}")), header).unwrap();
        }
    }
    headers.iter().for_each(|header| check::check(header));
    let is_read = |header: &&Vec<u8>| reference::read(header).is_ok();
    assert_eq!(headers.iter().filter(is_read).count(), 12);
}

proptest! {
    #[test]
    fn damaged_headers(
        which: Index,
        damages in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut header = which.get(&headers()).clone();
        for (at, byte) in damages {
            let at = at.index(header.len());
            header[at] = byte;
        }
        check::check(&header);
    }
}
