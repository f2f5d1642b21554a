//! Version 2: a signature, a command, a length, two addresses in binary, and extensions.
//! Extensions are checked and passed over: nothing in them is ours to act on.

use std::net::{IpAddr, SocketAddr};

use crate::{Addresses, HEADER_BYTES_MAX, Header, Progress, Refusal, begins};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Up to and with the length of what follows.
const FIXED_BYTES: usize = 16;
/// Version 2, and the proxy speaks for itself.
const LOCAL: u8 = 0x20;
/// Version 2, and the proxy speaks for a client.
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// The extension that holds a CRC-32C of the header, computed with zeros in its place.
const CRC32C: u8 = 0x03;

pub(crate) fn parse(bytes: &[u8]) -> Result<Progress, Refusal> {
    if !begins(bytes, SIGNATURE) {
        return Err(Refusal::NoHeader);
    }
    let command = bytes.get(12).copied();
    if command.is_some_and(|command| command != LOCAL && command != PROXY) {
        return Err(Refusal::Command);
    }
    let family = bytes.get(13).copied();
    let address_bytes = match (command, family) {
        // Of the proxy's own connections the family says nothing.
        (Some(LOCAL), _) => 0,
        (_, None | Some(UNSPECIFIED)) => 0,
        (_, Some(TCP4)) => 12,
        (_, Some(TCP6)) => 36,
        (_, Some(UNIX_STREAM)) => 216,
        (_, Some(_)) => return Err(Refusal::Family),
    };
    let Some(fixed) = bytes.get(..FIXED_BYTES) else {
        return Ok(Progress::Partial);
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let total = FIXED_BYTES + length;
    if total > HEADER_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    if length < address_bytes {
        return Err(Refusal::TooShort);
    }
    let Some(header) = bytes.get(..total) else {
        return Ok(Progress::Partial);
    };
    if command == Some(LOCAL) {
        return Ok(Progress::Complete(Header { addresses: None, bytes: total }));
    }
    check_extensions(header, FIXED_BYTES + address_bytes)?;
    let block = &header[FIXED_BYTES..];
    let addresses = match family {
        Some(TCP4) => addresses::<4>(block),
        Some(TCP6) => addresses::<16>(block),
        _ => None,
    };
    Ok(Progress::Complete(Header { addresses, bytes: total }))
}

/// Two addresses of `N` bytes, then two ports.
fn addresses<const N: usize>(block: &[u8]) -> Option<Addresses>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    let end = |ip: [u8; N], port: [u8; 2]| SocketAddr::new(ip.into(), u16::from_be_bytes(port));
    Some(Addresses {
        source: end(*source, *source_port),
        destination: end(*destination, *destination_port),
    })
}

/// Each extension is a type, the length of its value, and the value; together they fill the header
/// from `at` on.
fn check_extensions(header: &[u8], at: usize) -> Result<(), Refusal> {
    let mut at = at;
    while at < header.len() {
        let Some(&[kind, high, low]) = header.get(at..at + 3) else {
            return Err(Refusal::Extension);
        };
        let from = at + 3;
        at = from + usize::from(u16::from_be_bytes([high, low]));
        let value = header.get(from..at).ok_or(Refusal::Extension)?;
        if kind == CRC32C {
            let told = <[u8; 4]>::try_from(value).map_err(|_| Refusal::Extension)?;
            let parts = [&header[..from], &[0; 4], &header[at..]];
            if crc32c(parts.into_iter().flatten()) != u32::from_be_bytes(told) {
                return Err(Refusal::Checksum);
            }
        }
    }
    Ok(())
}

/// RFC 3720, appendix B.4. Bit by bit: a header is short, and few have a checksum.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let crc = bytes.fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    });
    !crc
}

pub(crate) fn write(out: &mut Vec<u8>, addresses: Option<Addresses>) {
    out.extend_from_slice(SIGNATURE);
    let Some(Addresses { source, destination }) = addresses.map(Addresses::of_one_family) else {
        return out.extend_from_slice(&[LOCAL, UNSPECIFIED, 0, 0]);
    };
    let (family, length) = if source.is_ipv4() { (TCP4, 12) } else { (TCP6, 36) };
    out.extend_from_slice(&[PROXY, family, 0, length]);
    for end in [source, destination] {
        match end.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    for end in [source, destination] {
        out.extend_from_slice(&end.port().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 3720, appendix B.4.
    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(crc32c([0; 32].iter()), 0x8a91_36aa);
        assert_eq!(crc32c([0xff; 32].iter()), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
    }
}
