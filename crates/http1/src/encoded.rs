//! The header of a response whose content is encoded on the way, or would be for another request.
//! Whether it may be is decided in `negotiate`; the content itself passes elsewhere.

use crate::bytes::list;
use crate::write::{copy_fields, line};
use crate::{Content, Field, Known, ResponseHead};

/// Copies the fields that stay and are true of what the client gets: a strong `ETag` becomes weak,
/// because the bytes are others (RFC 9110, 8.8.1), and no part can be asked for by its place.
#[cold]
pub(crate) fn write_fields(
    out: &mut Vec<u8>,
    buffer: &[u8],
    head: &ResponseHead,
    content: Content,
    is_dropped: impl Fn(&Field) -> bool,
) {
    let named = |field: &Field, name: &[u8]| {
        field.known == Known::Other
            && !field.is_hop
            && field.name.of(buffer).eq_ignore_ascii_case(name)
    };
    let replaced: [&[u8]; 3] = [b"content-encoding", b"etag", b"accept-ranges"];
    let is_replaced = |field: &Field| {
        matches!(content, Content::Encoded(_)) && replaced.iter().any(|name| named(field, name))
    };
    copy_fields(out, buffer, head.fields(), |field| is_dropped(field) || is_replaced(field));
    let values = |name| {
        let named = head.fields().iter().filter(move |field| named(field, name));
        named.map(|field| field.value.of(buffer))
    };
    if let Content::Encoded(coding) = content {
        line(out, b"Content-Encoding: ", coding.as_bytes());
        for tag in values(b"etag") {
            line(out, if tag.starts_with(b"W/") { b"ETag: " } else { b"ETag: W/" }, tag);
        }
    }
    let is_said = |one: &[u8]| one == b"*" || one.eq_ignore_ascii_case(b"accept-encoding");
    if !values(b"vary").flat_map(list).any(is_said) {
        line(out, b"Vary: ", b"Accept-Encoding");
    }
}
