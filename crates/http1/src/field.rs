//! Header fields: their names and values, and the facts that they add up to.
//! Only fields that decide about framing, connection or routing are known by name.

use crate::bytes::{decimal, is_field_value, is_token_byte, list, trimmed};
use crate::{Refusal, Span};

/// What `X-Forwarded-For` and its kin begin with.
const FORWARDED_PREFIX: &[u8] = b"x-forwarded-";

/// One header line.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name as sent.
    pub name: Span,
    /// Its value without the spaces around it.
    pub value: Span,
    /// Where its line ends, CRLF included; it begins with the name.
    pub line_end: usize,
    /// Which one it is, if it is one that we look at.
    pub known: Known,
    /// Whether it is for this connection only and must not be passed on.
    pub is_hop: bool,
}

/// The fields that we look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Any other.
    Other,
    /// `Connection`.
    Connection,
    /// `Content-Length`.
    ContentLength,
    /// `Expect`.
    Expect,
    /// `Host`.
    Host,
    /// `Keep-Alive` or `Proxy-Connection`: never standard, always for one connection.
    KeepAlive,
    /// `TE`.
    Te,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Upgrade`.
    Upgrade,
    /// `Forwarded`, `X-Forwarded-` anything, or `X-Real-IP`: who the client is, which a client is
    /// not believed about itself.
    Forwarded,
    /// One of those that we look at, with `_` where it has `-`. Servers that follow CGI read both
    /// as the same field, so it is never passed on.
    Disguised,
    /// `X-Request-Id`.
    RequestId,
}

/// The header section of a message and what follows from it for framing and connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    pub(crate) list: Vec<Field>,
    pub(crate) content_length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) says_close: bool,
    pub(crate) says_keep_alive: bool,
    pub(crate) says_upgrade: bool,
    pub(crate) expects_continue: bool,
    pub(crate) host: Option<Span>,
    pub(crate) request_id: Option<Span>,
    /// Counted, because each option that nominates is compared with each field.
    connection_options: usize,
    has_nominations: bool,
}

impl Known {
    /// Which one a name is, whatever its case.
    pub fn of(name: &[u8]) -> Self {
        let candidates: &[(&[u8], Known)] = match name.len() {
            2 => &[(b"te", Known::Te)],
            4 => &[(b"host", Known::Host)],
            6 => &[(b"expect", Known::Expect)],
            7 => &[(b"upgrade", Known::Upgrade)],
            9 => &[(b"forwarded", Known::Forwarded), (b"x-real-ip", Known::Forwarded)],
            10 => &[(b"connection", Known::Connection), (b"keep-alive", Known::KeepAlive)],
            12 => &[(b"x-request-id", Known::RequestId)],
            14 => &[(b"content-length", Known::ContentLength)],
            16 => &[(b"proxy-connection", Known::KeepAlive)],
            17 => &[(b"transfer-encoding", Known::TransferEncoding)],
            _ => &[],
        };
        let known = candidates.iter().find_map(|&(text, known)| known_as(name, text, known));
        known.or_else(|| forwarded(name)).unwrap_or(Known::Other)
    }

    fn is_hop(self) -> bool {
        matches!(
            self,
            Known::Connection
                | Known::KeepAlive
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade
                | Known::Disguised
        )
    }
}

impl Fields {
    pub(crate) fn clear(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        *self = Self { list, ..Self::default() };
    }

    /// Takes one header line, without its CRLF.
    pub(crate) fn push(
        &mut self,
        buffer: &[u8],
        line: Span,
        headers_max: usize,
    ) -> Result<(), Refusal> {
        if self.list.len() >= headers_max {
            return Err(Refusal::TooManyHeaders);
        }
        let (name_len, value) = split_line(line.of(buffer))?;
        let name = Span { start: line.start, end: line.start + name_len };
        let value = Span { start: line.start + value.start, end: line.start + value.end };
        let known = Known::of(name.of(buffer));
        self.learn(known, value, buffer)?;
        if self.connection_options > headers_max {
            return Err(Refusal::TooManyHeaders);
        }
        let field = Field { name, value, line_end: line.end + 2, known, is_hop: known.is_hop() };
        self.list.push(field);
        Ok(())
    }

    /// Marks the fields that `Connection` names. Host and Content-Length stay: a client that names
    /// them would otherwise change what the instance sees as the message.
    pub(crate) fn finish(&mut self, buffer: &[u8]) {
        if !self.has_nominations {
            return;
        }
        for at in 0..self.list.len() {
            let connection = self.list[at];
            if connection.known != Known::Connection {
                continue;
            }
            for option in list(connection.value.of(buffer)) {
                for field in &mut self.list {
                    let stays = matches!(field.known, Known::Host | Known::ContentLength);
                    let name = field.name.of(buffer);
                    field.is_hop |= !stays && name.eq_ignore_ascii_case(option);
                }
            }
        }
        let is_id = |field: &&Field| field.known == Known::RequestId;
        if self.list.iter().find(is_id).is_some_and(|field| field.is_hop) {
            self.request_id = None;
        }
    }

    fn learn(&mut self, known: Known, value: Span, buffer: &[u8]) -> Result<(), Refusal> {
        let text = value.of(buffer);
        match known {
            Known::ContentLength => {
                let length = decimal(text).ok_or(Refusal::ContentLength)?;
                if self.content_length.replace(length).is_some() {
                    return Err(Refusal::ContentLength);
                }
            }
            Known::TransferEncoding => {
                if self.is_chunked || !text.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::TransferEncoding);
                }
                self.is_chunked = true;
            }
            Known::Connection => self.learn_connection(text),
            Known::Host => {
                if self.host.replace(value).is_some() {
                    return Err(Refusal::HostTwice);
                }
            }
            Known::Expect => {
                self.expects_continue |=
                    list(text).any(|one| one.eq_ignore_ascii_case(b"100-continue"));
            }
            Known::RequestId => self.request_id = Some(value),
            Known::KeepAlive
            | Known::Te
            | Known::Upgrade
            | Known::Forwarded
            | Known::Disguised
            | Known::Other => {}
        }
        Ok(())
    }

    fn learn_connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.connection_options += 1;
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => {
                    self.says_close = true;
                    self.has_nominations = true;
                }
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.says_keep_alive = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.says_upgrade = true,
                _ => self.has_nominations = true,
            }
        }
    }
}

/// `X-Forwarded-` and anything.
fn forwarded(name: &[u8]) -> Option<Known> {
    let prefix = name.get(..FORWARDED_PREFIX.len())?;
    matches!(prefix[0], b'x' | b'X')
        .then(|| known_as(prefix, FORWARDED_PREFIX, Known::Forwarded))
        .flatten()
}

/// What a name is if it is, or looks like, the name of `known`.
fn known_as(name: &[u8], text: &[u8], known: Known) -> Option<Known> {
    // They all begin with a letter; most names are told apart by it.
    if name.first()? | 0x20 != *text.first()? {
        return None;
    }
    match likeness(name, text) {
        Likeness::Same => Some(known),
        Likeness::Disguised => Some(Known::Disguised),
        Likeness::None => None,
    }
}

/// How alike a name is to a known one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Same,
    Disguised,
    None,
}

fn likeness(name: &[u8], text: &[u8]) -> Likeness {
    let mut likeness = Likeness::Same;
    for (&a, &b) in name.iter().zip(text) {
        if a.to_ascii_lowercase() == b {
            continue;
        }
        if a != b'_' || b != b'-' {
            return Likeness::None;
        }
        likeness = Likeness::Disguised;
    }
    likeness
}

/// The length of the name and where the value is, relative to the line.
pub(crate) fn split_line(line: &[u8]) -> Result<(usize, Span), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::FoldedLine);
    }
    let name_len = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(line.len());
    if name_len == 0 || line.get(name_len) != Some(&b':') {
        return Err(Refusal::FieldName);
    }
    let raw = &line[name_len + 1..];
    if !is_field_value(raw) {
        return Err(Refusal::FieldValue);
    }
    let (start, end) = trimmed(raw);
    Ok((name_len, Span { start: name_len + 1 + start, end: name_len + 1 + end }))
}
