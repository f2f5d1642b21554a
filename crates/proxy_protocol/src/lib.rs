//! The PROXY protocol, versions 1 and 2, on the wire: read strictly, and written.
//! It knows no socket and does not decide whose header is believed.
#![forbid(unsafe_code)]

mod refusal;
mod v1;
mod v2;

use std::net::SocketAddr;

pub use refusal::Refusal;

/// Bytes of a header at most, all of version 2's extensions included. The format allows for 64 KiB;
/// what proxies send, names of TLS clients included, stays far below this. Beyond: refused.
pub const HEADER_BYTES_MAX: usize = 4096;

/// The two forms of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// Both ends of the connection that a header speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Who connected.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whom the proxy speaks for. None when it speaks for itself, as with a probe of its own, or
    /// does not say: then the ends of the connection are what counts.
    pub addresses: Option<Addresses>,
    /// Its length; what follows belongs to whoever speaks behind it.
    pub bytes: usize,
}

/// How much of a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not all of it.
    Partial,
    /// All of it.
    Complete(Header),
}

/// Reads the header that `bytes` begin with. More may follow it, or not all of it have come yet:
/// however it is split, the result is the same, and what is wrong is refused as soon as it shows.
///
/// # Errors
/// [`Refusal`]: the first thing that is wrong.
pub fn parse(bytes: &[u8]) -> Result<Progress, Refusal> {
    match bytes.first() {
        None => Ok(Progress::Partial),
        Some(b'P') => v1::parse(bytes),
        Some(b'\r') => v2::parse(bytes),
        Some(_) => Err(Refusal::NoHeader),
    }
}

/// Appends a header. Without addresses it says that we speak for ourselves. An IPv4 address in
/// IPv6's clothes is written as IPv4; if only one of the two ends is IPv4, both are written as
/// IPv6.
pub fn write(out: &mut Vec<u8>, version: Version, addresses: Option<Addresses>) {
    match version {
        Version::V1 => v1::write(out, addresses),
        Version::V2 => v2::write(out, addresses),
    }
}

/// Whether `bytes` can become or have become something that begins with `start`.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    let both = bytes.len().min(start.len());
    bytes[..both] == start[..both]
}
