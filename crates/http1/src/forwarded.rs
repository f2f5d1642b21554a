//! What an instance is told about who sent a request: `X-Forwarded-For` and its kin, `Forwarded`
//! (RFC 7239). It writes only; what is believed of a peer's own words is decided in `claims`.

use std::io::Write;

use crate::bytes::is_token;
use crate::claims::{Claims, Family, chain, elements, named, node};
use crate::{RequestEdit, RequestHead, Rewritten};

const INFALLIBLE: &str = "writing to memory does not fail";

/// Whether an instance gets a `Forwarded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// It gets none, not even that of a trusted peer.
    Omit,
    /// What a trusted peer sent, and an element of ours.
    Add,
}

/// Writes everything that says who sent the request.
pub(crate) fn write_forwarded(
    out: &mut Vec<u8>,
    buffer: &[u8],
    head: &RequestHead,
    edit: &RequestEdit<'_>,
) {
    let authority = head.authority().of(buffer);
    match edit.claims {
        None => {
            line(out, b"X-Forwarded-For: ", Some(edit.peer));
            line(out, b"X-Forwarded-Proto: ", Some(edit.scheme));
            line(out, b"X-Forwarded-Host: ", Some(authority).filter(|text| !text.is_empty()));
            line(out, b"X-Forwarded-Prefix: ", stripped(edit));
        }
        Some(claims) => write_believed(out, buffer, head, edit, claims),
    }
    if edit.forwarded == Forwarded::Add {
        out.extend_from_slice(b"Forwarded: ");
        if let Some(claims) = edit.claims {
            write_before(out, buffer, head, claims);
        }
        element(out, edit.peer, Some(authority), Some(edit.scheme));
        out.extend_from_slice(b"\r\n");
    }
}

/// Keeps what the peer said, and appends the peer.
#[cold]
fn write_believed(
    out: &mut Vec<u8>,
    buffer: &[u8],
    head: &RequestHead,
    edit: &RequestEdit<'_>,
    claims: &Claims<'_>,
) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    match claims.family {
        Family::Silent => {}
        Family::XForwardedFor => chain(buffer, head).for_each(|text| {
            out.extend_from_slice(text);
            out.extend_from_slice(b", ");
        }),
        Family::Forwarded => {
            let believed = elements(buffer, head).skip(claims.first);
            believed.flatten().filter_map(|one| one.address()).for_each(|address| {
                write!(out, "{}, ", address.ip()).expect(INFALLIBLE);
            });
        }
    }
    out.extend_from_slice(edit.peer);
    out.extend_from_slice(b"\r\n");
    let authority = Some(head.authority().of(buffer)).filter(|text| !text.is_empty());
    line(out, b"X-Forwarded-Proto: ", Some(claims.scheme.unwrap_or(edit.scheme)));
    line(out, b"X-Forwarded-Host: ", claims.host.or(authority));
    line(out, b"X-Forwarded-Port: ", claims.port);
    write_prefix(out, claims.prefix, stripped(edit));
    if claims.has_real_ip {
        write!(out, "X-Real-IP: {}\r\n", claims.client().ip()).expect(INFALLIBLE);
    }
}

/// What was taken off the front of the path, first by the peer and then here.
fn write_prefix(out: &mut Vec<u8>, claimed: Option<&[u8]>, stripped: Option<&[u8]>) {
    let (Some(before), Some(stripped)) = (claimed, stripped) else {
        return line(out, b"X-Forwarded-Prefix: ", claimed.or(stripped));
    };
    let before = before.strip_suffix(b"/").unwrap_or(before);
    for part in [b"X-Forwarded-Prefix: ", before, stripped, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn stripped<'a>(edit: &RequestEdit<'a>) -> Option<&'a [u8]> {
    edit.rewritten.map(Rewritten::stripped).filter(|prefix| !prefix.is_empty())
}

/// The elements before ours: the peer's own if they agree about who the client is, else what its
/// `X-Forwarded-For` says in their words.
#[cold]
fn write_before(out: &mut Vec<u8>, buffer: &[u8], head: &RequestHead, claims: &Claims<'_>) {
    if claims.keeps_forwarded {
        for value in named(buffer, head, b"forwarded").filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    } else if claims.family == Family::XForwardedFor {
        let (mut host, mut scheme) = (claims.host, claims.scheme);
        for address in chain(buffer, head).skip(claims.first).filter_map(node) {
            let mut text = Vec::new();
            write!(text, "{}", address.ip()).expect(INFALLIBLE);
            element(out, &text, host.take(), scheme.take());
            out.extend_from_slice(b", ");
        }
    }
}

/// One element; an address of IPv6 and what is no token stand in quotes: RFC 7239, 4 and 6.
fn element(out: &mut Vec<u8>, ip: &[u8], host: Option<&[u8]>, scheme: Option<&[u8]>) {
    let is_v6 = ip.contains(&b':');
    let (before, after): (&[u8], &[u8]) = if is_v6 { (b"\"[", b"]\"") } else { (b"", b"") };
    for part in [b"for=", before, ip, after] {
        out.extend_from_slice(part);
    }
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        let quote: &[u8] = if is_token(host) { b"" } else { b"\"" };
        for part in [b";host=", quote, host, quote] {
            out.extend_from_slice(part);
        }
    }
    if let Some(scheme) = scheme {
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(scheme);
    }
}

/// A field, if it has a value.
fn line(out: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        for part in [name, value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}
