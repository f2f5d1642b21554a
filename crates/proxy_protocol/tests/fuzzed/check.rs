//! What must hold of any bytes that a proxy sends: the second reader sees the same of them and of
//! each beginning of them, and what is written is read as what was meant.

use std::net::{IpAddr, SocketAddr};

use proxy_protocol::{Addresses, Header, Progress, Refusal, Version, parse, write};

use crate::reference::{Reading, read};

/// How many beginnings are tried; a longer input is tried whole as well.
const BEGINNINGS_MAX: usize = 300;

/// Panics if something does not hold.
pub(crate) fn check(input: &[u8]) {
    let beginnings = 0..input.len().min(BEGINNINGS_MAX);
    for end in beginnings.chain([input.len()]) {
        assert_eq!(reading(&input[..end]), read(&input[..end]), "{}", input.escape_ascii());
    }
    let Ok((ends, _)) = read(input) else { return };
    for version in [Version::V1, Version::V2] {
        let mut out = b"before".to_vec();
        let addresses = ends.map(|[source, destination]| Addresses { source, destination });
        write(&mut out, version, addresses);
        let written = out.strip_prefix(b"before").expect("it appends");
        assert_eq!(read(written), Ok((ends.map(alike), written.len())), "{written:?}");
    }
}

/// What the crate reads, in the second reader's words.
fn reading(input: &[u8]) -> Reading {
    match parse(input) {
        Ok(Progress::Partial) => Err("Partial"),
        Ok(Progress::Complete(Header { addresses, bytes })) => {
            Ok((addresses.map(|ends| [ends.source, ends.destination]), bytes))
        }
        Err(refusal) => Err(name(refusal)),
    }
}

fn name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoHeader => "NoHeader",
        Refusal::TooLong => "TooLong",
        Refusal::Byte => "Byte",
        Refusal::Protocol => "Protocol",
        Refusal::Address => "Address",
        Refusal::Command => "Command",
        Refusal::Family => "Family",
        Refusal::TooShort => "TooShort",
        Refusal::Extension => "Extension",
        Refusal::Checksum => "Checksum",
    }
}

/// Both IPv4 if they can be, else both IPv6.
fn alike(ends: [SocketAddr; 2]) -> [SocketAddr; 2] {
    let plain = ends.map(|end| SocketAddr::new(end.ip().to_canonical(), end.port()));
    if plain.iter().all(SocketAddr::is_ipv4) {
        return plain;
    }
    plain.map(|end| match end.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), end.port()),
        IpAddr::V6(_) => end,
    })
}
