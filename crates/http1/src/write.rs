//! Heads as they go out: fields for one connection taken off, ours put on.
//! What was parsed is copied in runs as it came, white space around values made plain; nothing is
//! re-ordered, re-cased or decoded.

use crate::encoded;
use crate::forwarded::write_forwarded;
use crate::{
    Claims, Field, FieldRules, Forwarded, Framing, Known, RequestHead, ResponseHead, Rewritten,
    Ruled, Ruling, Version,
};

/// What is put onto a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestEdit<'a> {
    /// The address at the other end of the connection, for `X-Forwarded-For`.
    pub peer: &'a [u8],
    /// What a trusted peer says about the client; without it, whatever the peer says is replaced.
    pub claims: Option<&'a Claims<'a>>,
    /// Whether the instance gets a `Forwarded` too.
    pub forwarded: Forwarded,
    /// Whether Herder names itself.
    pub via: Via,
    /// Host of a request that names none, as HTTP/1.0 may: the instance's own address, because
    /// servers in use refuse an empty one.
    pub host: &'a [u8],
    /// `http` or `https` for `X-Forwarded-Proto`.
    pub scheme: &'a [u8],
    /// A new `X-Request-Id`; none keeps the client's: [`RequestHead::request_id`].
    pub request_id: Option<&'a [u8]>,
    /// Whether the instance is asked to switch protocols, if the client asks for it.
    pub upgrade: Upgrade,
    /// The header rules of the service, if it has any.
    pub ruling: Option<Ruling<'a>>,
    /// The target instead of the client's, if the service has paths rewritten.
    pub rewritten: Option<&'a Rewritten<'a>>,
}

/// Whether Herder names itself in `Via`: RFC 9110, 7.6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// It does not.
    Omit,
    /// It does, behind those that were there.
    Add,
}

impl<'a> RequestEdit<'a> {
    /// For a peer at this address, what no configuration can switch off.
    pub const fn plain(peer: &'a [u8], host: &'a [u8]) -> Self {
        Self {
            peer,
            claims: None,
            forwarded: Forwarded::Omit,
            via: Via::Omit,
            host,
            scheme: b"http",
            request_id: None,
            upgrade: Upgrade::Drop,
            ruling: None,
            rewritten: None,
        }
    }
}

impl ResponseEdit<'_> {
    /// For a client of HTTP/1.1 whose connection stays open, what no configuration can switch off.
    pub const fn plain() -> Self {
        Self {
            client: Version::Http11,
            keep_alive: true,
            framing: ResponseFraming::AsSent,
            content: Content::AsSent,
            via: Via::Omit,
            ruled: None,
            own_lines: b"",
        }
    }
}

/// What becomes of a client's wish to switch protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// The instance does not hear of it.
    Drop,
    /// The instance is asked; a 101 answers.
    Pass,
}

/// What is put onto a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseEdit<'a> {
    /// The version that the client speaks.
    pub client: Version,
    /// Whether the connection to the client stays open afterwards.
    pub keep_alive: bool,
    /// How the body reaches the client.
    pub framing: ResponseFraming,
    /// Whether the content is the instance's, byte for byte.
    pub content: Content,
    /// Whether Herder names itself.
    pub via: Via,
    /// The header rules of the service, if it has any.
    pub ruled: Option<Ruled<'a>>,
    /// Whole lines of our own, such as a Set-Cookie, which no rule takes off.
    pub own_lines: &'a [u8],
}

/// How a response body is delimited towards the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// By Content-Length as the instance said, or there is no body.
    AsSent,
    /// By chunks.
    Chunked,
    /// By closing the connection.
    Close,
}

/// What a client gets of a response's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What the instance sent.
    AsSent,
    /// What the instance sent, where another request may get it encoded: caches have to know.
    Varies,
    /// It is encoded with this content coding.
    Encoded(&'static str),
}

/// Writes the head of a request as an instance is to get it: origin-form, HTTP/1.1, connection kept
/// open, chunked if it came chunked.
pub fn write_request(out: &mut Vec<u8>, buffer: &[u8], head: &RequestHead, edit: &RequestEdit<'_>) {
    out.extend_from_slice(head.method_span().of(buffer));
    out.push(b' ');
    match edit.rewritten {
        Some(rewritten) => rewritten.write(out),
        None => out.extend_from_slice(head.path(buffer)),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let rules = edit.ruling.as_ref().map(|ruling| ruling.rules);
    let ruled_host = rules.and_then(FieldRules::host);
    let has_host = head.fields().iter().any(|field| field.known == Known::Host);
    if let Some(host) = ruled_host {
        line(out, b"Host: ", host);
    } else if !has_host {
        let authority = head.authority().of(buffer);
        line(out, b"Host: ", if authority.is_empty() { edit.host } else { authority });
    }
    let id_kept = match edit.request_id {
        Some(_) => None,
        None => head.request_id(),
    };
    let switches = edit.upgrade == Upgrade::Pass && head.wants_upgrade();
    // HTTP/1.0 has no expectations. Without content there is nothing to wait for, and there are
    // servers that answer 100 and then wait for ever.
    let may_expect = head.framing() != Framing::None && head.version() == Version::Http11;
    let is_dropped = |field: &Field| {
        (field.known == Known::Expect && !may_expect)
            || (field.is_hop && !(switches && field.known == Known::Upgrade))
            || field.known == Known::Forwarded
            || (field.known == Known::RequestId && Some(field.value) != id_kept)
            || (field.known == Known::Host && ruled_host.is_some())
            || is_ruled_off(field, buffer, rules)
    };
    copy_fields(out, buffer, head.fields(), is_dropped);
    if head.framing() == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if switches {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    }
    write_forwarded(out, buffer, head, edit);
    write_via(out, head.version(), edit.via);
    if let Some(request_id) = edit.request_id {
        line(out, b"X-Request-Id: ", request_id);
    }
    if let Some(ruling) = &edit.ruling {
        ruling.write(out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a final response as the client is to get it. A Content-Length that would not
/// hold is left out, and that of 101 and 204, which may have none (RFC 9110, 8.6).
pub fn write_response(
    out: &mut Vec<u8>,
    buffer: &[u8],
    head: &ResponseHead,
    edit: &ResponseEdit<'_>,
) {
    status_line(out, head.status_span().of(buffer));
    let may_have_length = !matches!(head.status(), 100..200 | 204);
    let has_length = edit.framing == ResponseFraming::AsSent && may_have_length;
    let rules = edit.ruled.map(|ruled| ruled.rules);
    let is_dropped = |field: &Field| {
        field.is_hop
            || (field.known == Known::ContentLength && !has_length)
            || is_ruled_off(field, buffer, rules)
    };
    match edit.content {
        Content::AsSent => copy_fields(out, buffer, head.fields(), is_dropped),
        content => encoded::write_fields(out, buffer, head, content, is_dropped),
    }
    out.extend_from_slice(edit.ruled.map_or(b"", |ruled| ruled.lines));
    out.extend_from_slice(edit.own_lines);
    if edit.framing == ResponseFraming::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    write_via(out, head.version(), edit.via);
    match (edit.keep_alive, edit.client) {
        (true, Version::Http11) => {}
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a `101 Switching Protocols` as the client is to get it, with lines of our own: see
/// [`ResponseEdit::own_lines`]. What follows is not HTTP.
pub fn write_switch(out: &mut Vec<u8>, buffer: &[u8], head: &ResponseHead, own_lines: &[u8]) {
    status_line(out, head.status_span().of(buffer));
    copy_fields(out, buffer, head.fields(), |field| {
        (field.is_hop && field.known != Known::Upgrade) || field.known == Known::ContentLength
    });
    out.extend_from_slice(own_lines);
    out.extend_from_slice(b"Connection: Upgrade\r\n\r\n");
}

/// Writes a 1xx response, such as `100 Continue` or `103 Early Hints`, as the client is to get it:
/// without a Content-Length, which it may not have (RFC 9110, 8.6).
pub fn write_informational(out: &mut Vec<u8>, buffer: &[u8], head: &ResponseHead) {
    status_line(out, head.status_span().of(buffer));
    copy_fields(out, buffer, head.fields(), |field| {
        field.is_hop || field.known == Known::ContentLength
    });
    out.extend_from_slice(b"\r\n");
}

/// Writes a `100 Continue` of our own.
pub fn write_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

fn is_ruled_off(field: &Field, buffer: &[u8], rules: Option<&FieldRules>) -> bool {
    rules.is_some_and(|rules| rules.takes_off(field.name.of(buffer)))
}

/// The space after the code is part of the grammar even where there is no reason.
fn status_line(out: &mut Vec<u8>, status: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status);
    out.extend_from_slice(if status.len() == 3 { b" \r\n" } else { b"\r\n" });
}

/// The version is the one that the message came in.
fn write_via(out: &mut Vec<u8>, version: Version, via: Via) {
    match (via, version) {
        (Via::Omit, _) => {}
        (Via::Add, Version::Http10) => line(out, b"Via: ", b"1.0 herder"),
        (Via::Add, Version::Http11) => line(out, b"Via: ", b"1.1 herder"),
    }
}

pub(crate) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Copies the lines that stay, each run of neighbours at once.
pub(crate) fn copy_fields(
    out: &mut Vec<u8>,
    buffer: &[u8],
    fields: &[Field],
    is_dropped: impl Fn(&Field) -> bool,
) {
    let mut run = 0..0;
    for field in fields {
        if is_dropped(field) {
            out.extend_from_slice(buffer.get(run).unwrap_or_default());
            run = field.line_end..field.line_end;
        } else if !is_plain(field, buffer) {
            out.extend_from_slice(buffer.get(run).unwrap_or_default());
            run = field.line_end..field.line_end;
            plain_line(out, field, buffer);
        } else if run.is_empty() {
            run = field.name.start..field.line_end;
        } else {
            run.end = field.line_end;
        }
    }
    out.extend_from_slice(buffer.get(run).unwrap_or_default());
}

/// Whether everybody reads the line alike: no space or one before the value, none behind it, and no
/// zero before a length. There are servers that refuse a tab before a value or many zeros, and some
/// would read a zero as the sign of an octal number.
fn is_plain(field: &Field, buffer: &[u8]) -> bool {
    let before = buffer.get(field.name.end..field.value.start).unwrap_or_default();
    matches!(before, b":" | b": ")
        && field.line_end == field.value.end + 2
        && (field.known != Known::ContentLength || digits(field.value.of(buffer)).1)
}

fn plain_line(out: &mut Vec<u8>, field: &Field, buffer: &[u8]) {
    let value = field.value.of(buffer);
    out.extend_from_slice(field.name.of(buffer));
    let is_length = field.known == Known::ContentLength;
    line(out, b": ", if is_length { digits(value).0 } else { value });
}

/// A number without zeros before it, and whether it had none.
fn digits(number: &[u8]) -> (&[u8], bool) {
    let zeros = number.iter().take_while(|&&digit| digit == b'0').count();
    let zeros = zeros.min(number.len().saturating_sub(1));
    (&number[zeros..], zeros == 0)
}
