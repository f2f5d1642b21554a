//! The head of a response: read as strictly as a request.
//! It judges the message alone; what the client gets is decided by `write` and the proxy.

use crate::bytes::is_field_value;
use crate::field::Fields;
use crate::head::Lines;
use crate::{Field, Framing, Known, Limits, Method, Progress, Refusal, Span, Version};

/// A response head. Parse with [`ResponseHead::advance`], then read; the spans refer to the buffer
/// that was passed in last.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    stage: Stage,
    lines: Lines,
    fields: Fields,
    status: u16,
    /// Status code and reason, as sent.
    status_span: Span,
    is_http10: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    FirstLine,
    Fields,
    Done,
}

impl ResponseHead {
    /// Forgets the response and keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// Goes on parsing. `buffer` holds the same bytes as in the call before, and more.
    ///
    /// # Errors
    /// A [`Refusal`]; the connection cannot be used any more.
    pub fn advance(&mut self, buffer: &[u8], limits: &Limits) -> Result<Progress, Refusal> {
        while self.stage != Stage::Done {
            let Some(line) = self.lines.next(buffer, limits.head_bytes_max)? else {
                return Ok(Progress::Partial);
            };
            match self.stage {
                Stage::FirstLine => {
                    self.first_line(buffer, line)?;
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

    /// The status code, 100 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Status code and reason, as sent.
    pub fn status_span(&self) -> Span {
        self.status_span
    }

    /// Whether it switches to a protocol that it names, which makes the connection a tunnel.
    pub fn is_switch(&self) -> bool {
        let names_one = self.fields().iter().any(|field| field.known == Known::Upgrade);
        self.status == 101 && names_one && !self.is_http10
    }

    /// Whether another response follows to the same request: 1xx but for 101.
    pub fn is_informational(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// The version that the instance speaks.
    pub fn version(&self) -> Version {
        if self.is_http10 { Version::Http10 } else { Version::Http11 }
    }

    /// The header fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields.list
    }

    /// How the body is delimited, which depends on the request's method: RFC 9112, 6.3.
    pub fn framing(&self, method: Method) -> Framing {
        let has_no_body = method == Method::Head || matches!(self.status, 100..200 | 204 | 304);
        match (self.fields.is_chunked, self.fields.content_length) {
            _ if has_no_body => Framing::None,
            (true, _) => Framing::Chunked,
            (false, Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        }
    }

    /// Whether the instance keeps the connection open after this response, and where the next one
    /// begins is beyond doubt: not after a 204 that announces a body (RFC 9112, 6.3), which a
    /// careless instance may then send.
    pub fn allows_keep_alive(&self) -> bool {
        let announces = self.fields.is_chunked || self.fields.content_length.is_some_and(|n| n > 0);
        if self.status == 204 && announces {
            return false;
        }
        if self.is_http10 {
            self.fields.says_keep_alive && !self.fields.says_close
        } else {
            !self.fields.says_close
        }
    }

    /// `HTTP/1.1 200 OK`. A missing reason is allowed with and without the space before it: it
    /// carries no meaning, and servers in use leave it out.
    fn first_line(&mut self, buffer: &[u8], line: Span) -> Result<(), Refusal> {
        let text = line.of(buffer);
        self.is_http10 = match text.get(..9) {
            Some(b"HTTP/1.1 ") => false,
            Some(b"HTTP/1.0 ") => true,
            _ => return Err(Refusal::StatusLine),
        };
        let digits = text.get(9..12).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let digits = digits.ok_or(Refusal::StatusLine)?;
        self.status = digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
        let reason_ok = match text.get(12) {
            None => true,
            Some(b' ') => is_field_value(&text[13..]),
            Some(_) => false,
        };
        if !(100..600).contains(&self.status) || !reason_ok {
            return Err(Refusal::StatusLine);
        }
        self.status_span = Span { start: line.start + 9, end: line.end };
        Ok(())
    }

    fn finish(&mut self, buffer: &[u8]) -> Result<(), Refusal> {
        if self.fields.is_chunked && self.is_http10 {
            return Err(Refusal::TransferEncoding);
        }
        if self.fields.is_chunked && self.fields.content_length.is_some() {
            return Err(Refusal::LengthAndEncoding);
        }
        self.fields.finish(buffer);
        Ok(())
    }
}
