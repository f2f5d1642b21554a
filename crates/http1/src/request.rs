//! The head of a request: strict, resumable, reusable without allocation.
//! It judges the message alone; routes, limits on bodies and policies are the proxy's.

use crate::bytes::{is_authority, is_target, is_token, is_token_byte};
use crate::field::Fields;
use crate::head::Lines;
use crate::{Field, Framing, Known, Limits, Progress, Refusal, Span, Version};

/// The methods that decide about framing or retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD: the response has no body.
    Head,
    /// Safe but for GET and HEAD: OPTIONS, TRACE.
    Safe,
    /// Not safe, but idempotent: PUT, DELETE.
    Idempotent,
    /// Any other: repeating it may do it twice.
    Other,
}

/// A request head. Parse with [`RequestHead::advance`], then read; the spans refer to the buffer
/// that was passed in last.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    stage: Stage,
    lines: Lines,
    fields: Fields,
    method: Method,
    method_span: Span,
    target: Span,
    /// Path and query; empty when the target has none and `/` or `*` is meant.
    path: Span,
    /// Host and port: of the target if it has one, else of the Host header.
    authority: Span,
    is_http10: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    FirstLine,
    /// One empty line came before the request line; RFC 9112, 2.2 lets us ignore it.
    FirstLineAfterEmpty,
    Fields,
    Done,
}

impl Method {
    fn of(text: &[u8]) -> Self {
        match text {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"OPTIONS" | b"TRACE" => Method::Safe,
            b"PUT" | b"DELETE" => Method::Idempotent,
            _ => Method::Other,
        }
    }

    /// Whether repeating the request does no more than sending it once: RFC 9110, 9.2.2.
    pub fn is_idempotent(self) -> bool {
        self != Method::Other
    }
}

impl RequestHead {
    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// Goes on parsing. `buffer` holds the same bytes as in the call before, and more.
    ///
    /// # Errors
    /// A [`Refusal`]; the connection cannot be used any more, because nobody knows where the next
    /// request would begin.
    pub fn advance(&mut self, buffer: &[u8], limits: &Limits) -> Result<Progress, Refusal> {
        while self.stage != Stage::Done {
            self.judge_first_byte(buffer)?;
            let line = match self.lines.next(buffer, limits.head_bytes_max) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(Progress::Partial),
                Err(refusal) => return Err(self.blame_target(refusal, buffer, limits)),
            };
            match self.stage {
                Stage::FirstLine if line.is_empty() => self.stage = Stage::FirstLineAfterEmpty,
                Stage::FirstLine | Stage::FirstLineAfterEmpty => {
                    self.first_line(buffer, line, limits)?;
                    self.stage = Stage::Fields;
                }
                Stage::Fields if line.is_empty() => {
                    self.finish(buffer)?;
                    self.stage = Stage::Done;
                }
                Stage::Fields => self.fields.push(buffer, line, limits.headers_max)?,
                Stage::Done => {}
            }
        }
        Ok(Progress::Complete)
    }

    /// Bytes of the whole head, its empty line included.
    pub fn len(&self) -> usize {
        self.lines.position()
    }

    /// Whether there is no head yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of the method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as sent.
    pub fn method_span(&self) -> Span {
        self.method_span
    }

    /// The target as sent.
    pub fn target(&self) -> Span {
        self.target
    }

    /// Path and query: what an instance is sent as the target. Never empty; `*` if OPTIONS asks
    /// about the server as a whole, which `OPTIONS http://host` does too (RFC 9112, 3.2.4).
    pub fn path<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let path = self.path.of(buffer);
        if !path.is_empty() {
            path
        } else if self.method_span.of(buffer) == b"OPTIONS" {
            b"*"
        } else {
            b"/"
        }
    }

    /// Host and port as sent, of the target if it names one, else of the Host header.
    pub fn authority(&self) -> Span {
        self.authority
    }

    /// The host without port, as sent.
    pub fn host<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let authority = self.authority.of(buffer);
        let end = if authority.first() == Some(&b'[') {
            authority.iter().position(|&byte| byte == b']').map(|bracket| bracket + 1)
        } else {
            authority.iter().position(|&byte| byte == b':')
        };
        &authority[..end.unwrap_or(authority.len())]
    }

    /// The version that the client speaks.
    pub fn version(&self) -> Version {
        if self.is_http10 { Version::Http10 } else { Version::Http11 }
    }

    /// The header fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields.list
    }

    /// The value of the client's `X-Request-Id`: the last one, and none if it was meant for this
    /// connection only.
    pub fn request_id(&self) -> Option<Span> {
        self.fields.request_id
    }

    /// How the body is delimited. Never until the connection closes: RFC 9112, 6.3.
    pub fn framing(&self) -> Framing {
        match (self.fields.is_chunked, self.fields.content_length) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) if length > 0 => Framing::Length(length),
            (false, _) => Framing::None,
        }
    }

    /// Whether the client wants to send another request on this connection.
    pub fn wants_keep_alive(&self) -> bool {
        if self.is_http10 {
            self.fields.says_keep_alive && !self.fields.says_close
        } else {
            !self.fields.says_close
        }
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.fields.expects_continue && !self.is_http10
    }

    /// Whether the client asks to switch protocols: not in HTTP/1.0 (RFC 9110, 7.8).
    pub fn wants_upgrade(&self) -> bool {
        !self.is_http10
            && self.fields.says_upgrade
            && self.fields().iter().any(|f| f.known == Known::Upgrade)
    }

    /// Refuses a first byte that begins no method, such as that of a TLS handshake, without waiting
    /// for a line that may never end.
    fn judge_first_byte(&self, buffer: &[u8]) -> Result<(), Refusal> {
        match buffer.get(self.lines.position()) {
            Some(b'\r') if self.stage == Stage::FirstLine => Ok(()),
            Some(&byte) if self.is_first_line() && !is_token_byte(byte) => {
                Err(Refusal::RequestLine)
            }
            _ => Ok(()),
        }
    }

    /// A head that is too long within its first line has a target that is too long.
    fn blame_target(&self, refusal: Refusal, buffer: &[u8], limits: &Limits) -> Refusal {
        if refusal != Refusal::HeadTooLong || !self.is_first_line() {
            return refusal;
        }
        let end = buffer.len().min(limits.head_bytes_max);
        let line = buffer.get(self.lines.position()..end).unwrap_or_default();
        let target_bytes = line.split(|&byte| byte == b' ').nth(1).map_or(0, <[u8]>::len);
        if target_bytes > limits.target_bytes_max { Refusal::TargetTooLong } else { refusal }
    }

    fn is_first_line(&self) -> bool {
        matches!(self.stage, Stage::FirstLine | Stage::FirstLineAfterEmpty)
    }

    fn first_line(&mut self, buffer: &[u8], line: Span, limits: &Limits) -> Result<(), Refusal> {
        let text = line.of(buffer);
        let method_len = text.iter().position(|&b| b == b' ').ok_or(Refusal::RequestLine)?;
        let rest = &text[method_len + 1..];
        let target_len = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
        if !is_token(&text[..method_len]) {
            return Err(Refusal::RequestLine);
        }
        if target_len > limits.target_bytes_max {
            return Err(Refusal::TargetTooLong);
        }
        self.is_http10 = match rest.get(target_len + 1..).ok_or(Refusal::RequestLine)? {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            version if is_version(version) => return Err(Refusal::Version),
            _ => return Err(Refusal::RequestLine),
        };
        let target_start = line.start + method_len + 1;
        self.method_span = Span { start: line.start, end: line.start + method_len };
        self.method = Method::of(&text[..method_len]);
        self.target = Span { start: target_start, end: target_start + target_len };
        self.split_target(buffer)
    }

    /// The four forms of RFC 9112, 3.2.
    fn split_target(&mut self, buffer: &[u8]) -> Result<(), Refusal> {
        let target = self.target.of(buffer);
        if self.method_span.of(buffer) == b"CONNECT" {
            return Err(Refusal::Connect);
        }
        if !is_target(target) {
            return Err(Refusal::Target);
        }
        if target.starts_with(b"/") {
            self.path = self.target;
            return Ok(());
        }
        if target == b"*" && self.method_span.of(buffer) == b"OPTIONS" {
            self.path = self.target;
            return Ok(());
        }
        let scheme = scheme_len(target).ok_or(Refusal::Target)?;
        let after = &target[scheme..];
        let len = after.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(after.len());
        if len == 0 || !is_authority(&after[..len]) {
            return Err(Refusal::Target);
        }
        if after.get(len) == Some(&b'?') {
            // `http://host?query` would have to become `/?query`, which is not in the buffer.
            return Err(Refusal::Target);
        }
        let start = self.target.start + scheme;
        self.authority = Span { start, end: start + len };
        self.path = Span { start: start + len, end: self.target.end };
        Ok(())
    }

    fn finish(&mut self, buffer: &[u8]) -> Result<(), Refusal> {
        if self.fields.is_chunked && self.is_http10 {
            return Err(Refusal::TransferEncoding);
        }
        if self.fields.is_chunked && self.fields.content_length.is_some() {
            return Err(Refusal::LengthAndEncoding);
        }
        let host = self.fields.host.map(|host| host.of(buffer));
        match host {
            None if !self.is_http10 => return Err(Refusal::HostMissing),
            Some(host) if !is_authority(host) => return Err(Refusal::Host),
            Some(host)
                if !self.authority.is_empty()
                    && !host.eq_ignore_ascii_case(self.authority.of(buffer)) =>
            {
                return Err(Refusal::Host);
            }
            _ => {}
        }
        if self.authority.is_empty() {
            self.authority = self.fields.host.unwrap_or_default();
        }
        self.fields.finish(buffer);
        Ok(())
    }
}

fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn scheme_len(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|s| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
        .map(<[u8]>::len)
}
