//! Who a request comes from, when a peer that is trusted says that it speaks for somebody else:
//! `X-Forwarded-For` and its kin, and `Forwarded` (RFC 7239).
//! Whom to trust is the caller's to say; what an instance gets is written in `forwarded`.

use std::net::{IpAddr, SocketAddr};

use crate::bytes::{decimal, is_authority, is_target, is_token, list, trim};
use crate::{Field, Known, RequestHead};

/// What a trusted peer says about the request that it passes on.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    client: SocketAddr,
    pub(crate) family: Family,
    /// Which element of the family's chain is the client.
    pub(crate) first: usize,
    /// Whether `Forwarded` is well formed and names the same client.
    pub(crate) keeps_forwarded: bool,
    /// `http` or `https`.
    pub(crate) scheme: Option<&'a [u8]>,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) port: Option<&'a [u8]>,
    pub(crate) prefix: Option<&'a [u8]>,
    pub(crate) has_real_ip: bool,
}

/// Which fields say who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// None: the peer is the client.
    Silent,
    /// `X-Forwarded-For`, whatever `Forwarded` says.
    XForwardedFor,
    /// `Forwarded`, because there is no other.
    Forwarded,
}

/// One element of `Forwarded`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Element<'a> {
    node: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    proto: Option<&'a [u8]>,
}

/// The client at the end of a walk along a chain, with its place there.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: usize,
    address: SocketAddr,
}

impl<'a> Claims<'a> {
    /// Reads what the head of a request claims. `X-Forwarded-For` decides who the client is; only
    /// without one, `Forwarded` does. A chain is walked from its end, where the nearest proxy
    /// wrote, until an address that is not trusted: that is the client. What is no address ends
    /// the walk at the last one that was.
    pub fn read(
        buffer: &'a [u8],
        head: &'a RequestHead,
        peer: SocketAddr,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let listed = walk(chain(buffer, head).map(node), &is_trusted);
        let is_listed = chain(buffer, head).next().is_some();
        let is_told = elements(buffer, head).next().is_some()
            && elements(buffer, head).all(|element| element.is_some());
        let told = match is_told {
            true => walk(elements(buffer, head).map(|e| e.and_then(Element::address)), &is_trusted),
            false => None,
        };
        let (family, found) = match (is_listed, is_told) {
            (true, _) => (Family::XForwardedFor, listed),
            (false, true) => (Family::Forwarded, told),
            (false, false) => (Family::Silent, None),
        };
        let by_told = match (family, found) {
            (Family::Forwarded, Some(Found { at, .. })) => elements(buffer, head).nth(at).flatten(),
            _ => None,
        };
        let by_told = by_told.unwrap_or_default();
        let address = |found: Option<Found>| found.map_or(peer, |found| found.address);
        let only = |name| only(buffer, head, name);
        Self {
            client: address(found),
            family,
            first: found.map_or(usize::MAX, |found| found.at),
            keeps_forwarded: is_told && address(told).ip() == address(found).ip(),
            scheme: only(b"x-forwarded-proto").or(by_told.proto).and_then(scheme),
            host: only(b"x-forwarded-host").or(by_told.host).filter(|host| is_host(host)),
            port: only(b"x-forwarded-port").filter(|port| is_port(port)),
            prefix: only(b"x-forwarded-prefix")
                .filter(|prefix| prefix.starts_with(b"/") && is_target(prefix)),
            has_real_ip: named(buffer, head, b"x-real-ip").next().is_some(),
        }
    }

    /// The client's address. Its port is 0 if nobody said it.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// The scheme that the client used, if somebody said it: `http` or `https`.
    pub fn scheme(&self) -> Option<&'a [u8]> {
        self.scheme
    }
}

impl<'a> Element<'a> {
    pub(crate) fn address(self) -> Option<SocketAddr> {
        self.node.and_then(node)
    }

    /// None when it is malformed: RFC 7239, 4.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let mut element = Self::default();
        for pair in split(text, b';').map(trim).filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|&byte| byte == b'=')?;
            let (name, value) = (&pair[..equals], plain(&pair[equals + 1..])?);
            let place = match name.to_ascii_lowercase().as_slice() {
                b"for" => &mut element.node,
                b"host" => &mut element.host,
                b"proto" => &mut element.proto,
                _ if is_token(name) => continue,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(element)
    }
}

/// The elements of all `X-Forwarded-For` lines, which are one list.
pub(crate) fn chain<'a>(buffer: &'a [u8], head: &'a RequestHead) -> impl Iterator<Item = &'a [u8]> {
    named(buffer, head, b"x-forwarded-for").flat_map(list)
}

/// The elements of all `Forwarded` lines; none for a malformed one.
pub(crate) fn elements<'a>(
    buffer: &'a [u8],
    head: &'a RequestHead,
) -> impl Iterator<Item = Option<Element<'a>>> {
    let texts = named(buffer, head, b"forwarded").flat_map(|value| split(value, b','));
    texts.map(trim).filter(|text| !text.is_empty()).map(Element::parse)
}

/// The values of all fields of this lower-case name. That `Connection` nominates one does not
/// count: a client whose proxy passes that on would make the proxy's word disappear.
pub(crate) fn named<'a>(
    buffer: &'a [u8],
    head: &'a RequestHead,
    name: &'static [u8],
) -> impl Iterator<Item = &'a [u8]> {
    let is_it = move |field: &&Field| {
        field.known == Known::Forwarded && field.name.of(buffer).eq_ignore_ascii_case(name)
    };
    head.fields().iter().filter(is_it).map(|field| field.value.of(buffer))
}

/// An address as chains have it: with or without a port, in brackets or not.
pub(crate) fn node(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let alone = in_brackets.unwrap_or(text).parse::<IpAddr>().map(|ip| (ip, 0));
    let with_port = || text.parse::<SocketAddr>().map(|addr| (addr.ip(), addr.port()));
    let (ip, port) = alone.or_else(|_| with_port()).ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// From the last element back to the first that is not trusted or not an address, in one pass
/// from the first: whatever is no address begins the walk anew.
fn walk(
    chain: impl Iterator<Item = Option<SocketAddr>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<Found> {
    chain.enumerate().fold(None, |found: Option<Found>, (at, address)| {
        let address = address?;
        let so_far = found.filter(|_| is_trusted(address.ip()));
        Some(so_far.unwrap_or(Found { at, address }))
    })
}

/// The value of the field when there is one and no second.
fn only<'a>(buffer: &'a [u8], head: &'a RequestHead, name: &'static [u8]) -> Option<&'a [u8]> {
    let mut values = named(buffer, head, name);
    values.next().filter(|_| values.next().is_none())
}

fn scheme(text: &[u8]) -> Option<&'static [u8]> {
    let known = [&b"http"[..], b"https"];
    known.into_iter().find(|known| text.eq_ignore_ascii_case(known))
}

fn is_host(text: &[u8]) -> bool {
    !text.is_empty() && is_authority(text)
}

fn is_port(text: &[u8]) -> bool {
    decimal(text).is_some_and(|port| (1..=u64::from(u16::MAX)).contains(&port))
}

/// A token, or what is between the quotes. Nothing that we read needs an escape, so one is as good
/// as malformed.
fn plain(value: &[u8]) -> Option<&[u8]> {
    if is_token(value) {
        return Some(value);
    }
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!inner.contains(&b'"') && !inner.contains(&b'\\')).then_some(inner)
}

/// The parts between separators that are not in quotes.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    text.split(move |&byte| {
        is_quoted ^= byte == b'"';
        byte == separator && !is_quoted
    })
}
