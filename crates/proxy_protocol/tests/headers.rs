//! Headers of both versions: which are read, as what, and which are refused, however they are
//! split; and that what is written is read as what was meant.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proxy_protocol::{
    Addresses, HEADER_BYTES_MAX, Header, Progress, Refusal, Version, parse, write,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn addresses(source: &str, destination: &str) -> Addresses {
    Addresses { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// Reads `bytes` with every beginning of them before, and something behind. What is refused whole
/// is refused the same way from some byte on, and what is read is not there before its last byte.
fn read(bytes: &[u8]) -> Result<Progress, Refusal> {
    let whole = parse(bytes);
    for cut in 0..bytes.len() {
        let part = parse(&bytes[..cut]);
        match whole {
            Err(refusal) => assert!(
                part == Ok(Progress::Partial) || part == Err(refusal),
                "{part:?} of {cut} bytes, then {whole:?}"
            ),
            Ok(_) => assert!(
                part == Ok(Progress::Partial) || part == whole,
                "{part:?} of {cut} bytes, then {whole:?}"
            ),
        }
    }
    if let Ok(Progress::Complete(Header { bytes: length, .. })) = whole {
        assert_eq!(parse(&bytes[..length - 1]), Ok(Progress::Partial));
        assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), whole);
    }
    whole
}

fn check_read(bytes: &[u8], expected: Option<Addresses>) {
    let header = Header { addresses: expected, bytes: bytes.len() };
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(read(bytes), Ok(Progress::Complete(header)), "{shown:?}");
}

fn check_refused(bytes: &[u8], expected: Refusal) {
    assert_eq!(read(bytes), Err(expected), "{:?}", String::from_utf8_lossy(bytes));
}

#[test]
fn lines_that_are_read() {
    let check = |line: &str, expected| check_read(line.as_bytes(), expected);
    check(
        "PROXY TCP4 192.0.2.1 192.0.2.2 51000 443\r\n",
        Some(addresses("192.0.2.1:51000", "192.0.2.2:443")),
    );
    check(
        "PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n",
        Some(addresses("[2001:db8::1]:0", "[2001:db8::2]:65535")),
    );
    check(
        "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
        Some(addresses("[::ffff:192.0.2.1]:1", "[::1]:2")),
    );
    let longest = "ffff:f...f:ffff".replace("f...f", "ffff:ffff:ffff:ffff:ffff:ffff");
    let line = format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n");
    let end = format!("[{longest}]:65535");
    check(&line, Some(addresses(&end, &end)));
    check("PROXY UNKNOWN\r\n", None);
    check("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None);
    check("PROXY UNKNOWN what it says further is ignored\r\n", None);
    check(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)), None);
}

#[test]
fn lines_that_are_refused() {
    let check = |line: &str, expected| check_refused(line.as_bytes(), expected);
    use Refusal::{Address, Byte, NoHeader, Protocol, TooLong};
    for line in ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "PROXYTCP4", "proxy TCP4", " PROXY "]
    {
        check(line, NoHeader);
    }
    for line in ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "PROXY \n", "PROXY UNKNOWN\rX", "PROXY \t"] {
        check(line, Byte);
    }
    check("PROXY UNKNOWN a\nb\r\n", Byte);
    check("PROXY UNKNOWN a\0\r\n", Byte);
    check("PROXY UNKNOWN é\r\n", Byte);
    for line in ["PROXY \r\n", "PROXY TCP5 ", "PROXY tcp4 ", "PROXY UDP4 ", "PROXY UNKNOWNX"] {
        check(&format!("{}\r\n", line.trim_end_matches("\r\n")), Protocol);
    }
    check("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", Protocol);
    for rest in [
        "",
        "1.2.3.4",
        "1.2.3.4 5.6.7.8",
        "1.2.3.4 5.6.7.8 1",
        "1.2.3.4 5.6.7.8 1 2 ",
        "1.2.3.4 5.6.7.8 1 2 3",
        " 1.2.3.4 5.6.7.8 1 2",
        "1.2.3.4  5.6.7.8 1 2",
        "1.2.3.4 5.6.7.8 1  2",
        "1.2.3.4 5.6.7.8 65536 2",
        "1.2.3.4 5.6.7.8 1 65536",
        "1.2.3.4 5.6.7.8 01 2",
        "1.2.3.4 5.6.7.8 00 2",
        "1.2.3.4 5.6.7.8 +1 2",
        "1.2.3.4 5.6.7.8 -1 2",
        "1.2.3.4 5.6.7.8 0x1 2",
        "1.2.3.4 5.6.7.8 a 2",
        "01.2.3.4 5.6.7.8 1 2",
        "1.2.3 5.6.7.8 1 2",
        "1.2.3.256 5.6.7.8 1 2",
        "1.2.3.4 ::1 1 2",
        "::1 ::2 1 2",
    ] {
        check(&format!("PROXY TCP4 {rest}\r\n"), Address);
    }
    for rest in ["1.2.3.4 5.6.7.8 1 2", "::1 1.2.3.4 1 2", "fe80::1%eth0 ::1 1 2", "[::1] ::1 1 2"]
    {
        check(&format!("PROXY TCP6 {rest}\r\n"), Address);
    }
    check(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)), TooLong);
    check(&format!("PROXY UNKNOWN {}", "x".repeat(200)), TooLong);
}

/// A header of version 2 with a right length.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

const V4: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 2, 0xc7, 0x38, 1, 0xbb];

#[test]
fn binary_headers_that_are_read() {
    let expected = Some(addresses("192.0.2.1:51000", "192.0.2.2:443"));
    check_read(&binary(0x21, 0x11, V4), expected);
    let extended = [V4, &[0x02, 0, 3, b'a', b'.', b'b', 0x04, 0, 0, 0xee, 0, 1, 7]].concat();
    check_read(&binary(0x21, 0x11, &extended), expected);
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 80, 81);
    check_read(&binary(0x21, 0x21, &v6), Some(addresses("[::1]:80", "[::2]:81")));
    check_read(&binary(0x21, 0x31, &[b'/'; 216]), None);
    check_read(&binary(0x21, 0x00, &[]), None);
    check_read(&binary(0x20, 0x00, &[]), None);
    check_read(&binary(0x20, 0x11, V4), None);
    check_read(&binary(0x20, 0xff, b"anything"), None);
    let widest = [V4, &[0x04, 0x0f, 0xe1], &[0; 0x0fe1]].concat();
    let widest = binary(0x21, 0x11, &widest);
    assert_eq!(widest.len(), HEADER_BYTES_MAX);
    check_read(&widest, expected);
}

#[test]
fn binary_headers_that_are_refused() {
    use Refusal::{Command, Extension, Family, NoHeader, TooLong, TooShort};
    check_refused(b"\r\n\r\n\0\r\nQUIX\n", NoHeader);
    check_refused(b"\r\nGET / HTTP/1.1\r\n", NoHeader);
    for command in [0x00, 0x11, 0x22, 0x2f, 0x31, 0xff] {
        check_refused(&binary(command, 0x11, V4), Command);
    }
    for family in [0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x32, 0x41, 0xff] {
        check_refused(&binary(0x21, family, &[0; 300]), Family);
    }
    check_refused(&binary(0x21, 0x11, &V4[..11]), TooShort);
    check_refused(&binary(0x21, 0x21, &[0; 35]), TooShort);
    check_refused(&binary(0x21, 0x31, &[0; 215]), TooShort);
    check_refused(&binary(0x21, 0x11, &[0; 0x0ff1]), TooLong);
    check_refused(&binary(0x20, 0x00, &[0; u16::MAX as usize]), TooLong);
    for rest in [&[0x04][..], &[0x04, 0], &[0x04, 0, 1], &[0x04, 0, 2, 9], &[0x03, 0, 3, 1, 2, 3]] {
        check_refused(&binary(0x21, 0x11, &[V4, rest].concat()), Extension);
    }
}

#[test]
fn a_checksum_is_checked() {
    let with = |crc: [u8; 4]| {
        let extensions = [&[0x03, 0, 4], &crc[..], &[0x04, 0, 1, 0]].concat();
        binary(0x21, 0x11, &[V4, &extensions].concat())
    };
    let expected = Some(addresses("192.0.2.1:51000", "192.0.2.2:443"));
    check_refused(&with([1, 2, 3, 4]), Refusal::Checksum);
    check_read(&with(CHECKSUM), expected);
}

/// Of the header in the test above, computed by another program.
const CHECKSUM: [u8; 4] = [0xcd, 0xba, 0xa7, 0x70];

#[test]
fn every_refusal_says_what_is_wrong() {
    for refusal in Refusal::ALL {
        assert!(refusal.to_string().contains("PROXY protocol header"), "{refusal:?}");
    }
}

#[test]
fn families_do_not_mix() {
    let check = |version, source: &str, destination: &str, expected: Addresses| {
        let mut out = Vec::new();
        write(&mut out, version, Some(addresses(source, destination)));
        check_read(&out, Some(expected));
    };
    for version in [Version::V1, Version::V2] {
        check(version, "1.2.3.4:5", "[::1]:6", addresses("[::ffff:1.2.3.4]:5", "[::1]:6"));
        check(version, "[::1]:6", "1.2.3.4:5", addresses("[::1]:6", "[::ffff:1.2.3.4]:5"));
        check(
            version,
            "[::ffff:1.2.3.4]:5",
            "[::ffff:5.6.7.8]:6",
            addresses("1.2.3.4:5", "5.6.7.8:6"),
        );
    }
    let mut out = Vec::new();
    write(&mut out, Version::V1, None);
    assert_eq!(out, b"PROXY UNKNOWN\r\n");
    check_read(&out, None);
    out.clear();
    write(&mut out, Version::V2, None);
    assert_eq!(out, binary(0x20, 0, &[]));
    check_read(&out, None);
}

fn end() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

/// Either is IPv6, in which IPv4 is mapped, or none is.
fn alike(one: SocketAddr, other: SocketAddr) -> SocketAddr {
    match one.ip() {
        IpAddr::V4(ip) if other.is_ipv6() => (ip.to_ipv6_mapped(), one.port()).into(),
        _ => one,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(source in end(), destination in end(), v1: bool) {
        let version = if v1 { Version::V1 } else { Version::V2 };
        let mut out = Vec::new();
        write(&mut out, version, Some(Addresses { source, destination }));
        check_read(&out, Some(Addresses {
            source: alike(source, destination),
            destination: alike(destination, source),
        }));
    }

    /// Bytes that are nearly a header, or none at all: never a panic, and one result however they
    /// are split.
    #[test]
    fn whatever_comes_has_one_result(
        start in prop_oneof![
            Just(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec()),
            Just(b"PROXY UNKNOWN x\r\n".to_vec()),
            Just([binary(0x21, 0x11, V4), vec![4, 0, 1, 0]].concat()),
            Just(binary(0x20, 0x00, &[1, 2, 3])),
        ],
        at: prop::sample::Index,
        byte: u8,
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = start;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.extend(rest);
        if let Ok(Progress::Complete(header)) = read_any(&bytes) {
            prop_assert!(header.bytes <= bytes.len());
        }
    }
}

/// As [`read`], for bytes that may have something behind the header already.
fn read_any(bytes: &[u8]) -> Result<Progress, Refusal> {
    match parse(bytes) {
        Ok(Progress::Complete(header)) => read(&bytes[..header.bytes]),
        _ => read(bytes),
    }
}
