//! A second reader of PROXY protocol headers, slow and obvious, written from the specification of
//! HAProxy alone. It shares nothing with the crate.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Both ends and the length of a header; else the name of what is wrong, or `Partial`.
pub(crate) type Reading = Result<(Option<[SocketAddr; 2]>, usize), &'static str>;

const SIGNATURE: [u8; 12] =
    [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const LINE_BYTES_MAX: usize = 107;
const HEADER_BYTES_MAX: usize = 4096;

/// Reads the beginning of the input.
pub(crate) fn read(input: &[u8]) -> Reading {
    let starts = [&b"PROXY "[..], &SIGNATURE];
    let is_begun = |start: &&&[u8]| start.iter().zip(input).all(|(want, got)| want == got);
    match starts.iter().position(|start| is_begun(&start)) {
        _ if input.is_empty() => Err("Partial"),
        None => Err("NoHeader"),
        Some(0) => read_line(input),
        Some(_) => read_binary(input),
    }
}

fn read_line(input: &[u8]) -> Reading {
    let mut line = String::new();
    loop {
        let at = line.len();
        let byte_at = |at: usize| {
            if at == LINE_BYTES_MAX { Err("TooLong") } else { input.get(at).ok_or("Partial") }
        };
        match byte_at(at)? {
            b'\r' if *byte_at(at + 1)? == b'\n' => break,
            byte if byte.is_ascii_graphic() || *byte == b' ' => line.push(char::from(*byte)),
            _ => return Err("Byte"),
        }
    }
    let words: Vec<&str> = line.split(' ').collect();
    let (protocol, ends) = (words[1], &words[2..]);
    let is_v4 = match protocol {
        "UNKNOWN" => return Ok((None, line.len() + 2)),
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err("Protocol"),
    };
    let [from, to, from_port, to_port] = ends else { return Err("Address") };
    let end = |ip: &str, number: &str| {
        let port: u16 = number.parse().ok()?;
        if port.to_string() != number {
            return None;
        }
        if is_v4 {
            Some(SocketAddr::from((ip.parse::<Ipv4Addr>().ok()?, port)))
        } else {
            Some(SocketAddr::from((ip.parse::<Ipv6Addr>().ok()?, port)))
        }
    };
    let ends = end(from, from_port).zip(end(to, to_port)).ok_or("Address")?;
    Ok((Some([ends.0, ends.1]), line.len() + 2))
}

fn read_binary(input: &[u8]) -> Reading {
    let byte_at = |at: usize| input.get(at).copied().ok_or("Partial");
    let is_local = match byte_at(12)? {
        0x20 => true,
        0x21 => false,
        _ => return Err("Command"),
    };
    let family = byte_at(13)?;
    let addresses = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 4 + 4 + 2 + 2,
        0x21 => 16 + 16 + 2 + 2,
        0x31 => 108 + 108,
        _ => return Err("Family"),
    };
    let length = usize::from(byte_at(14)?) * 256 + usize::from(byte_at(15)?);
    if 16 + length > HEADER_BYTES_MAX {
        return Err("TooLong");
    }
    if length < addresses {
        return Err("TooShort");
    }
    let header = input.get(..16 + length).ok_or("Partial")?;
    if is_local {
        return Ok((None, header.len()));
    }
    read_extensions(header, 16 + addresses)?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let ends = match family {
        0x11 => {
            let ip = |at: usize| {
                Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
            };
            Some([(ip(16), number(24)).into(), (ip(20), number(26)).into()])
        }
        0x21 => {
            let ip = |at: usize| {
                let mut groups = [0; 8];
                for (nth, group) in groups.iter_mut().enumerate() {
                    *group = number(at + 2 * nth);
                }
                Ipv6Addr::from(groups)
            };
            Some([(ip(16), number(48)).into(), (ip(32), number(50)).into()])
        }
        _ => None,
    };
    Ok((ends, header.len()))
}

fn read_extensions(header: &[u8], from: usize) -> Result<(), &'static str> {
    let mut rest = header[from..].to_vec();
    while !rest.is_empty() {
        if rest.len() < 3 {
            return Err("Extension");
        }
        let length = usize::from(rest[1]) * 256 + usize::from(rest[2]);
        if rest.len() < 3 + length {
            return Err("Extension");
        }
        let value_at = header.len() - rest.len() + 3;
        if rest[0] == 0x03 {
            if length != 4 {
                return Err("Extension");
            }
            let mut blank = header.to_vec();
            blank[value_at..value_at + 4].fill(0);
            if checksum(&blank).to_be_bytes() != header[value_at..value_at + 4] {
                return Err("Checksum");
            }
        }
        rest.drain(..3 + length);
    }
    Ok(())
}

/// CRC-32C as long division: the first bit of each byte is the least one.
fn checksum(bytes: &[u8]) -> u32 {
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |nth| byte >> nth & 1 == 1));
    let remainder = bits.fold(u32::MAX, |remainder, bit| {
        let is_carried = (remainder >> 31 == 1) != bit;
        (remainder << 1) ^ if is_carried { 0x1edc_6f41 } else { 0 }
    });
    !remainder.reverse_bits()
}
