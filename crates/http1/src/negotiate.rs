//! Whether a response may be sent in another content coding than it came in: what the request
//! accepts (RFC 9110, 12.5.3), and what the response allows. Nothing is encoded here.

use crate::bytes::{is_token, list, trim};
use crate::{Field, Framing, Known, Method, RequestHead, ResponseHead};

/// Fields that say something about the very bytes of the content, as it came. `Repr-Digest` and
/// `Content-Digest` are those of RFC 9530, the others their predecessors.
const DIGESTS: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// Longest of the names that are looked for.
const NAME_BYTES_MAX: usize = 16;

/// A quality value in thousandths: RFC 9110, 12.4.2.
type Quality = u16;

/// What a response allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It stays as it is, and so it would for every other request.
    Nothing,
    /// It stays as it is, but another request for the same may get it encoded.
    Vary,
    /// It may be encoded.
    Encode,
}

/// The index of the coding that the request likes best; of several alike, the first. None when it
/// accepts none of them, prefers the content as it is, or says nothing.
///
/// Codings are registered names in lower case, such as `gzip`.
pub fn accepted<'n>(
    buffer: &[u8],
    head: &RequestHead,
    codings: impl IntoIterator<Item = &'n str>,
) -> Option<usize> {
    let quality = |name: &str| quality(buffer, head, name.as_bytes());
    let unencoded = quality("identity").unwrap_or(0);
    let any = quality("*").unwrap_or(0);
    let mut best: Option<(usize, Quality)> = None;
    for (index, name) in codings.into_iter().enumerate() {
        let this = quality(name).unwrap_or(any);
        if this >= unencoded.max(1) && best.is_none_or(|(_, so_far)| this > so_far) {
            best = Some((index, this));
        }
    }
    best.map(|(index, _)| index)
}

/// What a final response allows whose content has one of the types and at least `bytes_min` bytes,
/// or nobody knows how many.
pub fn allowed(
    buffer: &[u8],
    head: &ResponseHead,
    method: Method,
    is_type: impl Fn(&[u8]) -> bool,
    bytes_min: u64,
) -> Allowed {
    let status = head.status();
    if status == 304 {
        // It stands for a response that may have been encoded, and has no type to tell.
        return Allowed::Vary;
    }
    if !(200..300).contains(&status) || status == 204 {
        return Allowed::Nothing;
    }
    let mut has_type = false;
    let mut is_part = status == 206;
    for field in head.fields().iter().filter(|field| field.known == Known::Other) {
        let value = field.value.of(buffer);
        match lower(field.name.of(buffer), &mut [0; NAME_BYTES_MAX]) {
            b"content-type" => has_type = is_type(essence(value)),
            b"content-range" => is_part = true,
            b"content-encoding" | b"cache-control" | b"trailer" if forbids(field, buffer) => {
                return Allowed::Nothing;
            }
            name if DIGESTS.contains(&name) => return Allowed::Nothing,
            _ => {}
        }
    }
    match head.framing(method) {
        _ if !has_type => Allowed::Nothing,
        Framing::None => Allowed::Vary,
        Framing::Length(bytes) if bytes < bytes_min => Allowed::Vary,
        _ if is_part => Allowed::Vary,
        _ => Allowed::Encode,
    }
}

/// Whether a trailer field would no longer be true of content that was encoded.
pub fn is_digest(name: &[u8]) -> bool {
    DIGESTS.contains(&lower(name, &mut [0; NAME_BYTES_MAX]))
}

/// Whether a media type without parameters is in a range: `text/html`, `text/*`, or
/// `application/*+json`. The range is in lower case and has at most one `*`.
pub fn is_in_range(media_type: &[u8], range: &str) -> bool {
    let equal = |a: &[u8], b: &str| a.eq_ignore_ascii_case(b.as_bytes());
    match range.split_once('*') {
        None => equal(media_type, range),
        Some((before, after)) => {
            let least = before.len() + after.len();
            media_type.len() > least
                && equal(&media_type[..before.len()], before)
                && equal(&media_type[media_type.len() - after.len()..], after)
        }
    }
}

/// The name in lower case, or nothing if it is longer than all that are looked for.
fn lower<'a>(name: &[u8], space: &'a mut [u8; NAME_BYTES_MAX]) -> &'a [u8] {
    match space.get_mut(..name.len()) {
        Some(space) => {
            space.copy_from_slice(name);
            space.make_ascii_lowercase();
            space
        }
        None => &[],
    }
}

/// A coding that is there already, a `no-transform`, or the announcement of a digest.
fn forbids(field: &Field, buffer: &[u8]) -> bool {
    let mut elements = list(field.value.of(buffer));
    match field.name.of(buffer).len() {
        7 => elements.any(is_digest),
        13 => elements.any(|one| one.eq_ignore_ascii_case(b"no-transform")),
        _ => elements.any(|one| !one.eq_ignore_ascii_case(b"identity")),
    }
}

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    trim(value.split(|&byte| byte == b';').next().unwrap_or_default())
}

/// How much the request likes a coding, if it names it. What is malformed is not there.
fn quality(buffer: &[u8], head: &RequestHead, name: &[u8]) -> Option<Quality> {
    let fields = head.fields().iter().filter(|field| field.known == Known::Other && !field.is_hop);
    fields
        .filter(|field| field.name.of(buffer).eq_ignore_ascii_case(b"accept-encoding"))
        .flat_map(|field| list(field.value.of(buffer)))
        .filter_map(weighted)
        .find(|(coding, _)| coding.eq_ignore_ascii_case(name) || is_alias(coding, name))
        .map(|(_, quality)| quality)
}

/// RFC 9110, 8.4.1.3.
fn is_alias(coding: &[u8], name: &[u8]) -> bool {
    name == b"gzip" && coding.eq_ignore_ascii_case(b"x-gzip")
}

/// `coding [ ";" "q=" qvalue ]`, with white space around the semicolon.
fn weighted(element: &[u8]) -> Option<(&[u8], Quality)> {
    let mut parts = element.split(|&byte| byte == b';').map(trim);
    let coding = parts.next().filter(|coding| is_token(coding))?;
    let quality = match (parts.next(), parts.next()) {
        (None, _) => 1000,
        (Some([b'q' | b'Q', b'=', value @ ..]), None) => thousandths(value)?,
        _ => return None,
    };
    Some((coding, quality))
}

/// `0`, `0.` and up to three digits, or `1` and the same with zeros.
fn thousandths(value: &[u8]) -> Option<Quality> {
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let digits = fraction.iter().chain([b'0'; 3].iter()).take(3);
    let digit = |digit: &u8| digit.is_ascii_digit().then(|| Quality::from(digit - b'0'));
    let below = digits.map(digit).try_fold(0, |sum, digit| Some(sum * 10 + digit?))?;
    match whole {
        b'0' => Some(below),
        b'1' if below == 0 => Some(1000),
        _ => None,
    }
}
