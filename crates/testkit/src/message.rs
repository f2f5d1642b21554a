//! HTTP/1.1 messages as values, and the strict reading of their lines.
//! It reads from no stream, and repairs nothing.

use std::fmt;
use std::io::{self, ErrorKind};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// As it was sent.
    pub target: String,
    /// Such as `HTTP/1.1`.
    pub version: String,
    /// The header.
    pub fields: Fields,
    /// Without its coding; empty until it was read.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Such as `HTTP/1.1`.
    pub version: String,
    /// Such as 200.
    pub status: u16,
    /// The header.
    pub fields: Fields,
    /// Without its coding.
    pub body: Vec<u8>,
    /// How the end of the body was told.
    pub framing: Framing,
    /// The fields behind a chunked body.
    pub trailers: Fields,
    /// Statuses of the 1xx responses before this one.
    pub interim: Vec<u16>,
}

/// Fields in the order and the spelling in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, whatever the fields say.
    None,
    /// So many bytes.
    Length(usize),
    /// In chunks, with a last one.
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Fields {
    /// The value of the only field called `name`, in any case; nothing when there is none.
    ///
    /// # Panics
    ///
    /// When there are several: ask for [`Fields::all`].
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{} fields `{name}`: {all:?}", all.len());
        all.first().copied()
    }

    /// The values of all fields called `name`, in any case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// How the end of a body with these fields is told; `otherwise` when they do not say.
    pub(crate) fn framing(&self, otherwise: Framing) -> io::Result<Framing> {
        let (codings, lengths) = (self.all("transfer-encoding"), self.all("content-length"));
        match (&codings[..], &lengths[..]) {
            ([], []) => Ok(otherwise),
            ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            ([], [length]) if length.bytes().all(|b| b.is_ascii_digit()) => {
                length.parse().map(Framing::Length).map_err(|e| broken(&format!("{length}: {e}")))
            }
            _ => Err(broken(&format!(
                "ambiguous length: Transfer-Encoding {codings:?}, Content-Length {lengths:?}"
            ))),
        }
    }
}

impl Response {
    /// The body as text, with what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("status {}, not JSON ({e}): {}", self.status, self.text()))
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.text().trim_end(), self.fields)
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| write!(f, "{name}: {value}; "))
    }
}

/// The first line and the fields of a head that ends in an empty line.
pub(crate) fn parse_head(head: &[u8]) -> io::Result<(String, Fields)> {
    let head = text(&head[..head.len() - 4])?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let fields = lines.map(parse_field).collect::<io::Result<Vec<_>>>()?;
    Ok((first, Fields(fields)))
}

/// Name and value of a field line.
pub(crate) fn parse_field(line: &str) -> io::Result<(String, String)> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.chars().all(token) => {
            Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
        }
        _ => Err(broken(&format!("field line {line:?}"))),
    }
}

/// Version and status of a status line.
pub(crate) fn parse_status(line: &str) -> io::Result<(String, u16)> {
    let malformed = || broken(&format!("status line {line:?}"));
    let (version, rest) = line.split_once(' ').ok_or_else(malformed)?;
    let (status, _reason) = rest.split_once(' ').ok_or_else(malformed)?;
    let known = matches!(version, "HTTP/1.1" | "HTTP/1.0") && status.len() == 3;
    let status = status.parse().ok().filter(|_| known);
    Ok((version.to_owned(), status.ok_or_else(malformed)?))
}

/// Lines as text: no control characters, and no CR or LF but in the pairs between lines. Bytes
/// above 127 are taken as Latin-1.
pub(crate) fn text(bytes: &[u8]) -> io::Result<String> {
    let text: String = bytes.iter().map(|&b| char::from(b)).collect();
    let stray = text.replace("\r\n", "").contains(|c: char| c.is_ascii_control() && c != '\t');
    if stray { Err(broken(&format!("a control character in {text:?}"))) } else { Ok(text) }
}

/// The error for what no sender may send.
pub(crate) fn broken(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed: {text}"))
}

/// The error for what ended too early.
pub(crate) fn cut(text: &str) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("closed in the middle of: {text}"))
}
