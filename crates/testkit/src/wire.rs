//! The strict reading half of an HTTP/1.1 connection, over any stream.
//! It repairs nothing: what RFC 9112 forbids a sender to send is an error. Not for speed.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::message::{
    Fields, Framing, Request, Response, broken, cut, parse_field, parse_head, parse_status, text,
};

/// Bytes of a head, and of one line of a chunked body; more is an error.
const HEAD_MAX: usize = 1 << 20;
/// Bytes of a body; more is an error.
const BODY_MAX: usize = 1 << 28;
/// Bytes asked of the stream at once.
const READ_BYTES: usize = 1 << 16;

/// The reading half of a connection. What was read and not asked for is kept for the next call.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    unread: Vec<u8>,
    patience: Duration,
}

impl Wire<TcpStream> {
    /// Whether the other side has neither ended the connection nor sent anything unasked, as far
    /// as is known here: what a client checks before it sends on a kept connection.
    pub fn is_quiet(&self) -> bool {
        let waiting = self.stream.try_read(&mut [0]);
        self.unread.is_empty() && waiting.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads from `stream`, waiting [`PATIENCE`] for each piece.
    pub fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new(), patience: PATIENCE }
    }

    /// The same, waiting `patience` for each piece instead.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The stream, for writing.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next request without its body; nothing when the peer ended the connection before it.
    ///
    /// # Errors
    ///
    /// A malformed or cut head, and those of the stream.
    pub async fn request_head(&mut self) -> io::Result<Option<Request>> {
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        let (line, fields) = parse_head(&head)?;
        let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(broken(&format!("request line {line:?}")));
        };
        let (method, target, version) = (method.into(), target.into(), version.into());
        Ok(Some(Request { method, target, version, fields, body: Vec::new() }))
    }

    /// Reads the body of `request` into it.
    ///
    /// # Errors
    ///
    /// A malformed or cut body, and those of the stream.
    pub async fn request_body(&mut self, request: &mut Request) -> io::Result<()> {
        let framing = request.fields.framing(Framing::None)?;
        (request.body, _) = self.body(framing).await?;
        Ok(())
    }

    /// The response to a request with `method`, and the interim ones before it.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` with "closed before the response" when there was not a byte; a malformed or
    /// cut response; those of the stream.
    pub async fn response(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let Some(head) = self.head().await? else {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed before the response"));
            };
            let (line, fields) = parse_head(&head)?;
            let (version, status) = parse_status(&line)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let framing = if bodiless { Framing::None } else { fields.framing(Framing::Close)? };
            let (body, trailers) = self.body(framing).await?;
            return Ok(Response { version, status, fields, body, framing, trailers, interim });
        }
    }

    /// The bytes of the next head, its blank line included; whether they are HTTP is not looked at.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the stream ended before, and those of the stream.
    pub async fn raw_head(&mut self) -> io::Result<Vec<u8>> {
        self.head().await?.ok_or_else(|| cut("a head without a byte"))
    }

    /// Exactly `count` bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the stream ended before, and those of the stream.
    pub async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            if self.more().await? == 0 {
                let have = self.unread.len();
                return Err(cut(&format!("{have} of {count} bytes")));
            }
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// Everything up to the end of the stream.
    ///
    /// # Errors
    ///
    /// More than 256 MiB, and those of the stream.
    pub async fn to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.more().await? > 0 {
            if self.unread.len() > BODY_MAX {
                return Err(broken(&format!("more than {BODY_MAX} bytes")));
            }
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Everything up to and with the first `end`; nothing when the stream ends before its first
    /// byte.
    async fn through(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut seen = 0;
        loop {
            let from = seen.min(self.unread.len());
            if let Some(at) = self.unread[from..].windows(end.len()).position(|have| have == end) {
                return Ok(Some(self.unread.drain(..from + at + end.len()).collect()));
            }
            seen = (self.unread.len() + 1).saturating_sub(end.len());
            if self.unread.len() > HEAD_MAX {
                return Err(broken(&format!("no end of the head within {HEAD_MAX} bytes")));
            }
            if self.more().await? == 0 {
                let text = String::from_utf8_lossy(&self.unread).into_owned();
                return if text.is_empty() { Ok(None) } else { Err(cut(&format!("{text:?}"))) };
            }
        }
    }

    async fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.through(b"\r\n\r\n").await
    }

    async fn body(&mut self, framing: Framing) -> io::Result<(Vec<u8>, Fields)> {
        let body = match framing {
            Framing::None => Vec::new(),
            Framing::Length(length) if length > BODY_MAX => {
                return Err(broken(&format!("a body of {length} bytes")));
            }
            Framing::Length(length) => self.bytes(length).await?,
            Framing::Close => self.to_end().await?,
            Framing::Chunked => return self.chunks().await,
        };
        Ok((body, Fields::default()))
    }

    async fn chunks(&mut self) -> io::Result<(Vec<u8>, Fields)> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default();
            let hex = !size.is_empty() && size.bytes().all(|b| b.is_ascii_hexdigit());
            let size = usize::from_str_radix(size, 16).ok().filter(|_| hex);
            let size = size.ok_or_else(|| broken(&format!("chunk size {line:?}")))?;
            if size == 0 {
                break;
            }
            if body.len() + size > BODY_MAX {
                return Err(broken(&format!("more than {BODY_MAX} bytes")));
            }
            body.extend(self.bytes(size).await?);
            if self.bytes(2).await? != b"\r\n" {
                return Err(broken("a chunk longer than its size"));
            }
        }
        let mut trailers = Fields::default();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.0.push(parse_field(&line)?);
        }
    }

    /// A line without its CRLF.
    async fn line(&mut self) -> io::Result<String> {
        let Some(mut line) = self.through(b"\r\n").await? else {
            return Err(cut("the chunked body"));
        };
        line.truncate(line.len() - 2);
        text(&line)
    }

    /// Reads once; 0 at the end of the stream.
    async fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; READ_BYTES];
        let read = timeout(self.patience, self.stream.read(&mut piece));
        let count = read.await.map_err(|_| {
            io::Error::new(ErrorKind::TimedOut, format!("nothing came for {:?}", self.patience))
        })??;
        self.unread.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(method: &str, bytes: &str, expected: Result<(u16, &str, Framing), &str>) {
        let found = Wire::new(bytes.as_bytes()).response(method).await;
        let found = found.map(|r| (r.status, r.text(), r.framing)).map_err(|e| e.to_string());
        match (&found, &expected) {
            (Err(have), Err(want)) => assert!(have.contains(want), "{bytes:?}: {have}"),
            (Ok(_), Ok((status, body, framing))) => {
                assert_eq!(found, Ok((*status, (*body).to_owned(), *framing)), "{bytes:?}");
            }
            _ => panic!("{bytes:?}: {found:?}"),
        }
    }

    #[tokio::test]
    async fn responses_are_framed_as_rfc_9112_says() {
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        check("GET", &format!("{length}abc"), Ok((200, "ab", Framing::Length(2)))).await;
        check("HEAD", length, Ok((200, "", Framing::None))).await;
        check("GET", "HTTP/1.1 204 No\r\n\r\n", Ok((204, "", Framing::None))).await;
        check("GET", "HTTP/1.0 200 OK\r\n\r\nabc", Ok((200, "abc", Framing::Close))).await;
        check("GET", &format!("{chunks}1;x\r\na\r\n0\r\n\r\n"), Ok((200, "a", Framing::Chunked)))
            .await;
        check(
            "GET",
            &format!("HTTP/1.1 100 C\r\n\r\n{length}ab"),
            Ok((200, "ab", Framing::Length(2))),
        )
        .await;
        check("GET", "", Err("closed before the response")).await;
        check("GET", &format!("{length}a"), Err("closed in the middle of: 1 of 2")).await;
        check("GET", &format!("{chunks}1\r\na\r\n"), Err("closed in the middle")).await;
        check("GET", &format!("{chunks}1\r\nab\r\n"), Err("longer than its size")).await;
        check("GET", "HTTP/1.1 200 OK\nA: b\r\n\r\n", Err("control character")).await;
        check("GET", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Err("field line")).await;
        check("GET", "HTTP/1.1 20 OK\r\n\r\n", Err("status line")).await;
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n";
        check("GET", both, Err("ambiguous length")).await;
    }

    #[tokio::test]
    async fn trailers_and_the_next_message_are_kept_apart() {
        let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n";
        let bytes = format!("{first}HTTP/1.1 204 \r\n\r\n");
        let mut wire = Wire::new(bytes.as_bytes());
        let first = wire.response("GET").await.unwrap();
        assert_eq!(first.trailers.get("a"), Some("b"));
        assert_eq!(wire.response("GET").await.unwrap().status, 204);
        assert!(wire.to_end().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn requests_are_read_with_their_bodies() {
        let bytes = "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        let mut wire = Wire::new(bytes.as_bytes());
        let mut request = wire.request_head().await.unwrap().unwrap();
        wire.request_body(&mut request).await.unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/a?b"));
        assert_eq!(request.body, b"abc");
        assert!(wire.request_head().await.unwrap().is_none());
    }
}
