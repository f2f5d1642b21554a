//! Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 51000 443` and a line end.
//! Only what the grammar allows, to the letter: it is one line, so there is no need to be lenient.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::{Addresses, Header, Progress, Refusal, begins};

/// Bytes of the line, its end included, as the format says.
const LINE_BYTES_MAX: usize = 107;
const START: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"UNKNOWN";

pub(crate) fn parse(bytes: &[u8]) -> Result<Progress, Refusal> {
    if !begins(bytes, START) {
        return Err(Refusal::NoHeader);
    }
    let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = bytes.iter().position(|byte| !(b' '..=b'~').contains(byte)) else {
        return if bytes.len() < LINE_BYTES_MAX {
            Ok(Progress::Partial)
        } else {
            Err(Refusal::TooLong)
        };
    };
    match &bytes[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if bytes.len() < LINE_BYTES_MAX => return Ok(Progress::Partial),
        [b'\r'] => return Err(Refusal::TooLong),
        _ => return Err(Refusal::Byte),
    }
    let addresses = line(&bytes[START.len()..end])?;
    Ok(Progress::Complete(Header { addresses, bytes: end + 2 }))
}

/// What follows `PROXY` and a space.
fn line(line: &[u8]) -> Result<Option<Addresses>, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| Refusal::Byte)?;
    let (protocol, rest) = text.split_once(' ').unwrap_or((text, ""));
    match protocol {
        "TCP4" => addresses(rest, |text| text.parse().ok().map(IpAddr::V4)).map(Some),
        "TCP6" => addresses(rest, |text| text.parse().ok().map(IpAddr::V6)).map(Some),
        // What it says further is to be ignored.
        _ if protocol.as_bytes() == UNKNOWN => Ok(None),
        _ => Err(Refusal::Protocol),
    }
}

fn addresses(rest: &str, ip: fn(&str) -> Option<IpAddr>) -> Result<Addresses, Refusal> {
    let mut words = rest.split(' ');
    let mut word = || words.next().ok_or(Refusal::Address);
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (word()?, word()?);
    if words.next().is_some() {
        return Err(Refusal::Address);
    }
    let end = |address, number| Some(SocketAddr::new(ip(address)?, port(number)?));
    let source = end(source, source_port).ok_or(Refusal::Address)?;
    let destination = end(destination, destination_port).ok_or(Refusal::Address)?;
    Ok(Addresses { source, destination })
}

/// Decimal digits without a needless zero; the number's own parser would take a sign.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    u16::from_str(text).ok().filter(|_| is_plain)
}

pub(crate) fn write(out: &mut Vec<u8>, addresses: Option<Addresses>) {
    let Some(Addresses { source, destination }) = addresses.map(Addresses::of_one_family) else {
        return out.extend_from_slice(b"PROXY UNKNOWN\r\n");
    };
    let family = if source.is_ipv4() { 4 } else { 6 };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    write!(out, "PROXY TCP{family} {from} {to} {from_port} {to_port}\r\n")
        .expect("writing to memory does not fail");
}

impl Addresses {
    /// The same ends, both IPv4 if they can be, else both IPv6.
    pub(crate) fn of_one_family(self) -> Self {
        let ends = [self.source, self.destination].map(|end| (end.ip().to_canonical(), end.port()));
        let are_v4 = ends.iter().all(|(ip, _)| ip.is_ipv4());
        let [source, destination] = ends.map(|(ip, port)| match ip {
            IpAddr::V4(ip) if !are_v4 => SocketAddr::new(ip.to_ipv6_mapped().into(), port),
            ip => SocketAddr::new(ip, port),
        });
        Self { source, destination }
    }
}
