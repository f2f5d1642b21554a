//! Lines of a head, as they arrive: each is looked at once, when it is complete.
//! It does not know what a line means, so any split of the input gives the same result.

use memchr::memchr;

use crate::Refusal;

/// The bounds of a head; what happens at each is in its doc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the first line to the empty line. Beyond: [`Refusal::HeadTooLong`].
    pub head_bytes_max: usize,
    /// Header lines, and options in `Connection`. Beyond: [`Refusal::TooManyHeaders`].
    pub headers_max: usize,
    /// Bytes of a request target. Beyond: [`Refusal::TargetTooLong`].
    pub target_bytes_max: usize,
}

/// Whether a head is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of the head is in the buffer.
    Complete,
    /// More bytes are needed.
    Partial,
}

/// A range of bytes in the buffer that a head was parsed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes of this span.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Where in the buffer the next line begins, and how far it was searched for its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    start: usize,
    searched: usize,
}

impl Lines {
    /// The next complete line without its CRLF, or nothing yet.
    pub(crate) fn next(
        &mut self,
        buffer: &[u8],
        bytes_max: usize,
    ) -> Result<Option<Span>, Refusal> {
        let found = memchr(b'\n', buffer.get(self.searched..).unwrap_or_default());
        let end = found.map_or(buffer.len(), |offset| self.searched + offset + 1);
        if end > bytes_max {
            return Err(Refusal::HeadTooLong);
        }
        self.searched = end;
        if found.is_none() {
            return Ok(None);
        }
        let line = Span { start: self.start, end: end.saturating_sub(2).max(self.start) };
        if buffer.get(self.start..end).is_none_or(|line| !line.ends_with(b"\r\n")) {
            return Err(Refusal::BareLf);
        }
        self.start = end;
        Ok(Some(line))
    }

    /// Where the next line begins: after an empty line, the length of the head.
    pub(crate) fn position(&self) -> usize {
        self.start
    }
}
