//! Commands on the wire: arrays of bulk strings, and lines that people type.
//! Reads them strictly and piece by piece; whatever the splits, the outcome is the same.

use memchr::memchr;
use thiserror::Error;

use crate::resp::parse_i64;

/// Longest line: of a number with its mark, or of a command that was typed.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of a command; nothing is reserved for those that are merely announced.
const ARGUMENTS_MAX: i64 = i32::MAX as i64;
/// Longest argument.
pub(crate) const ARGUMENT_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Most arguments, and longest, of a client that has not said who it is.
const STRANGER_ARGUMENTS_MAX: i64 = 10;
const STRANGER_ARGUMENT_BYTES_MAX: i64 = 16 * 1024;
/// Argument places that are kept for the next command.
const SPANS_KEPT: usize = 1024;

/// Why what a client sent is no command. The texts are those of Redis; the connection ends.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The array length is no number, or too large.
    #[error("invalid multibulk length")]
    Array,
    /// More arguments than a client without credentials may send.
    #[error("unauthenticated multibulk length")]
    StrangersArray,
    /// The line of an array length does not end.
    #[error("too big mbulk count string")]
    ArrayLine,
    /// The line of a bulk length does not end.
    #[error("too big bulk count string")]
    BulkLine,
    /// An argument does not begin as one.
    #[error("expected '$', got '{}'", char::from(*.0))]
    NotABulk(u8),
    /// The length of an argument is no number, negative or too large.
    #[error("invalid bulk length")]
    Bulk,
    /// A longer argument than a client without credentials may send.
    #[error("unauthenticated bulk length")]
    StrangersBulk,
    /// A typed line does not end.
    #[error("too big inline request")]
    Inline,
    /// A typed line has a quote without its other.
    #[error("unbalanced quotes in request")]
    Quotes,
    /// An argument or a length is not followed by CRLF. Redis looks past two bytes there.
    #[error("expected CRLF")]
    End,
}

/// How far a client may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It has to say who it is, and has not: small commands are enough for that.
    Stranger,
    /// As far as Redis goes.
    Known,
}

/// Where an argument is in the bytes of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: usize,
    end: usize,
}

/// The arguments of a command, its name among them.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

/// Reads commands one after the other.
#[derive(Debug, Default)]
pub struct Parser {
    spans: Vec<Span>,
    /// Bytes of the command at hand that have been read.
    at: usize,
    /// Arguments of it that are still to come.
    left: i64,
    /// Length of the argument at hand, once its line has been read.
    bulk: Option<usize>,
    /// Arguments of a typed line, without their quotes.
    typed: Vec<u8>,
    is_typed: bool,
}

impl<'a> Args<'a> {
    /// How many there are, with the name.
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is nothing, not even a name.
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `at`, counted from the name, which is 0.
    ///
    /// # Panics
    /// When there is none: the arity of a command is checked before it runs.
    pub fn at(self, at: usize) -> &'a [u8] {
        let Span { start, end } = self.spans[at];
        &self.bytes[start..end]
    }

    /// Argument `at` if there is one.
    pub fn get(self, at: usize) -> Option<&'a [u8]> {
        self.spans.get(at).map(|&Span { start, end }| &self.bytes[start..end])
    }

    /// All from argument `from` on.
    pub fn from(self, from: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let bytes = self.bytes;
        self.spans[from.min(self.spans.len())..]
            .iter()
            .map(move |&Span { start, end }| &bytes[start..end])
    }

    /// What they weigh together, in bytes.
    pub(crate) fn bytes(self) -> usize {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }

    /// A copy that can be kept, behind what `bytes` and `spans` hold.
    pub(crate) fn copy_to(self, bytes: &mut Vec<u8>, spans: &mut Vec<Span>) {
        for argument in self.from(0) {
            let start = bytes.len();
            bytes.extend_from_slice(argument);
            spans.push(Span { start, end: bytes.len() });
        }
    }

    /// The arguments that lie in `bytes` at `spans`.
    pub(crate) fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }
}

impl Parser {
    /// Reads on in `input`, whose first byte is the first one of the command at hand. Says how
    /// many bytes the command has when it is whole; [`Parser::args`] then has its arguments, none
    /// if the command was an empty one. Call it with the bytes behind the command for the next.
    ///
    /// # Errors
    /// When this cannot become a command.
    pub fn next(&mut self, input: &[u8], trust: Trust) -> Result<Option<usize>, Refusal> {
        if self.at == 0 {
            self.begin();
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {}
                Some(_) => return self.typed_line(input),
            }
            let Some(count) = self.line(input, 1, Refusal::ArrayLine)? else {
                return Ok(None);
            };
            let count = parse_i64(count).filter(|&count| count <= ARGUMENTS_MAX);
            let count = count.ok_or(Refusal::Array)?;
            if trust == Trust::Stranger && count > STRANGER_ARGUMENTS_MAX {
                return Err(Refusal::StrangersArray);
            }
            self.left = count;
        }
        while self.left > 0 {
            if !self.argument(input, trust)? {
                return Ok(None);
            }
            self.left -= 1;
        }
        Ok(Some(std::mem::take(&mut self.at)))
    }

    /// The arguments of the command that is whole, in the bytes that it was read from.
    pub fn args<'a>(&'a self, command: &'a [u8]) -> Args<'a> {
        Args { bytes: if self.is_typed { &self.typed } else { command }, spans: &self.spans }
    }

    /// Bytes that the argument at hand still wants, if that is known.
    pub fn wanted(&self, buffered: usize) -> usize {
        self.bulk.map_or(0, |length| (self.at + length + 2).saturating_sub(buffered))
    }

    fn begin(&mut self) {
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT);
        self.typed.clear();
        self.is_typed = false;
        self.left = 0;
        self.bulk = None;
    }

    /// Reads an argument; false if it is not whole yet.
    fn argument(&mut self, input: &[u8], trust: Trust) -> Result<bool, Refusal> {
        let length = match self.bulk {
            Some(length) => length,
            None => {
                match input.get(self.at) {
                    None => return Ok(false),
                    Some(b'$') => {}
                    Some(&other) => return Err(Refusal::NotABulk(other)),
                }
                let Some(line) = self.line(input, self.at + 1, Refusal::BulkLine)? else {
                    return Ok(false);
                };
                let length = parse_i64(line).filter(|&length| length <= ARGUMENT_BYTES_MAX);
                let length = length.ok_or(Refusal::Bulk)?;
                if trust == Trust::Stranger && length > STRANGER_ARGUMENT_BYTES_MAX {
                    return Err(Refusal::StrangersBulk);
                }
                let length = usize::try_from(length).map_err(|_| Refusal::Bulk)?;
                self.bulk = Some(length);
                length
            }
        };
        let (start, end) = (self.at, self.at + length);
        let Some(mark) = input.get(end..end + 2) else {
            return Ok(false);
        };
        if mark != b"\r\n" {
            return Err(Refusal::End);
        }
        self.spans.push(Span { start, end });
        self.at = end + 2;
        self.bulk = None;
        Ok(true)
    }

    /// The line from `start` without CRLF, and goes on behind it; nothing if it has no end yet.
    fn line<'a>(
        &mut self,
        input: &'a [u8],
        start: usize,
        too_long: Refusal,
    ) -> Result<Option<&'a [u8]>, Refusal> {
        let rest = &input[start..];
        match memchr(b'\r', &rest[..rest.len().min(LINE_BYTES_MAX)]) {
            Some(end) => match rest.get(end + 1) {
                None => Ok(None),
                Some(b'\n') => {
                    self.at = start + end + 2;
                    Ok(Some(&rest[..end]))
                }
                Some(_) => Err(Refusal::End),
            },
            None if rest.len() >= LINE_BYTES_MAX => Err(too_long),
            None => Ok(None),
        }
    }

    fn typed_line(&mut self, input: &[u8]) -> Result<Option<usize>, Refusal> {
        let Some(end) = memchr(b'\n', &input[..input.len().min(LINE_BYTES_MAX)]) else {
            return if input.len() >= LINE_BYTES_MAX { Err(Refusal::Inline) } else { Ok(None) };
        };
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        self.is_typed = true;
        split_typed(line, &mut self.typed, &mut self.spans)?;
        Ok(Some(end + 1))
    }
}

/// Splits a typed line into arguments as a shell would: `"…"` with escapes, `'…'` with `\'` alone.
fn split_typed(line: &[u8], out: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), Refusal> {
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        // Redis takes lines for C strings: a zero byte ends one.
        if rest.is_empty() || rest[0] == 0 {
            return Ok(());
        }
        let start = out.len();
        rest = typed_argument(rest, out)?;
        spans.push(Span { start, end: out.len() });
    }
}

/// Writes the argument that `rest` begins with, and says what is behind it.
fn typed_argument<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    loop {
        match *rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t' | 0, ..] => return Ok(rest),
            [b'"', ref inside @ ..] => return closed(double_quoted(inside, out)?),
            [b'\'', ref inside @ ..] => return closed(single_quoted(inside, out)?),
            [byte, ref after @ ..] => {
                out.push(byte);
                rest = after;
            }
        }
    }
}

/// A closing quote has to be followed by a space or nothing.
fn closed(rest: &[u8]) -> Result<&[u8], Refusal> {
    match rest {
        [] | [0, ..] => Ok(rest),
        [next, ..] if next.is_ascii_whitespace() || *next == 0x0b => Ok(rest),
        _ => Err(Refusal::Quotes),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    loop {
        match *rest {
            [] | [0, ..] => return Err(Refusal::Quotes),
            [b'\\', b'x', high, low, ref after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(high) << 4 | hex(low));
                rest = after;
            }
            [b'\\', escaped, ref after @ ..] if escaped != 0 => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                rest = after;
            }
            [b'"', ref after @ ..] => return Ok(after),
            [byte, ref after @ ..] => {
                out.push(byte);
                rest = after;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Refusal> {
    loop {
        match *rest {
            [] | [0, ..] => return Err(Refusal::Quotes),
            [b'\\', b'\'', ref after @ ..] => {
                out.push(b'\'');
                rest = after;
            }
            [b'\'', ref after @ ..] => return Ok(after),
            [byte, ref after @ ..] => {
                out.push(byte);
                rest = after;
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}
