//! The chunked transfer coding (RFC 9112, 7.1), read strictly.
//! A size line or a trailer line is judged when it is complete, so splits change nothing.

use memchr::memchr;

use crate::bytes::{is_field_value, is_token_byte};
use crate::field::split_line;
use crate::{Known, Piece, Refusal};

/// Longest line of a chunk size with its extensions.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// Most digits of a chunk size: 2^60 bytes, far from any overflow.
const SIZE_DIGITS_MAX: usize = 15;
/// Longest trailer section.
const TRAILER_BYTES_MAX: usize = 8192;
/// Trailers that would change the message, or who sends it: RFC 9110, 6.5.1. Forbidden as well are
/// those that we look at in a head: [`Known`].
const FORBIDDEN_TRAILERS: [&[u8]; 8] = [
    b"authorization",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"cookie",
    b"proxy-authorization",
    b"set-cookie",
    b"trailer",
];

#[derive(Clone, Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    trailer_bytes: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// A chunk size comes next.
    #[default]
    Size,
    /// The rest of a judged size line: extension bytes to skip, then CRLF and the data.
    Extension { skip: usize, size: u64 },
    /// CRLF of a size line whose extension was skipped.
    SizeEnd { size: u64 },
    /// So many bytes of data.
    Data(u64),
    /// CRLF after the data.
    DataEnd,
    /// Trailer lines, then an empty line.
    Trailer,
    /// Over.
    Done,
}

/// Writes the size line of a chunk of `bytes` data bytes; the data and CRLF follow.
pub fn write_chunk_start(out: &mut Vec<u8>, bytes: usize) {
    let mut digits = [0_u8; 16];
    let mut at = digits.len();
    let mut rest = bytes;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

impl Chunked {
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of the chunk at hand that are still to come.
    pub(crate) fn announced_bytes(&self) -> u64 {
        match self.state {
            State::Extension { size, .. } | State::SizeEnd { size } => size,
            State::Data(left) => left,
            State::Size | State::DataEnd | State::Trailer | State::Done => 0,
        }
    }

    /// Bytes of data that come before anything else.
    pub(crate) fn content_ahead(&self) -> u64 {
        if let State::Data(left) = self.state { left } else { 0 }
    }

    /// Goes on behind so many bytes of data, at most [`Chunked::content_ahead`].
    pub(crate) fn pass(&mut self, bytes: u64) {
        if let State::Data(left) = self.state {
            self.state = if left <= bytes { State::DataEnd } else { State::Data(left - bytes) };
        }
    }

    pub(crate) fn next(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        match self.state {
            State::Done => Ok(Piece::End),
            _ if input.is_empty() => Ok(Piece::More),
            State::Size => self.size_line(input),
            State::Extension { skip, size } => {
                self.state = State::SizeEnd { size };
                Ok(Piece::Skip(skip))
            }
            State::SizeEnd { size } => {
                self.state = after_size(size);
                Ok(Piece::Frame(2))
            }
            State::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                self.pass(u64::try_from(taken).unwrap_or(left));
                Ok(Piece::Data(taken))
            }
            State::DataEnd => self.data_end(input),
            State::Trailer => self.trailer_line(input),
        }
    }

    fn size_line(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        let Some(line) = line(input, SIZE_LINE_BYTES_MAX, Refusal::Chunk)? else {
            return Ok(Piece::More);
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits == 0 || digits > SIZE_DIGITS_MAX {
            return Err(Refusal::Chunk);
        }
        let size = line[..digits].iter().fold(0, |n, &digit| n << 4 | hex(digit));
        let extension = &line[digits..];
        if extension.is_empty() {
            self.state = after_size(size);
            return Ok(Piece::Frame(digits + 2));
        }
        if !are_extensions(extension) {
            return Err(Refusal::Chunk);
        }
        self.state = State::Extension { skip: extension.len(), size };
        Ok(Piece::Frame(digits))
    }

    fn data_end(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        match input {
            [b'\r', b'\n', ..] => {
                self.state = State::Size;
                Ok(Piece::Frame(2))
            }
            [b'\r'] => Ok(Piece::More),
            _ => Err(Refusal::Chunk),
        }
    }

    fn trailer_line(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        let left = TRAILER_BYTES_MAX - self.trailer_bytes;
        let Some(line) = line(input, left, Refusal::Trailer)? else {
            return Ok(Piece::More);
        };
        self.trailer_bytes += line.len() + 2;
        if line.is_empty() {
            self.state = State::Done;
            return Ok(Piece::Frame(2));
        }
        let (name_len, _) = split_line(line).map_err(|_| Refusal::Trailer)?;
        let name = &line[..name_len];
        let is_forbidden = Known::of(name) != Known::Other
            || FORBIDDEN_TRAILERS.iter().any(|f| name.eq_ignore_ascii_case(f));
        let bytes = line.len() + 2;
        Ok(if is_forbidden { Piece::Skip(bytes) } else { Piece::Frame(bytes) })
    }
}

/// The first line of the input without CRLF, or nothing yet; refused when it is longer than
/// `bytes_max` with its CRLF, or ends in a bare LF.
fn line(input: &[u8], bytes_max: usize, refusal: Refusal) -> Result<Option<&[u8]>, Refusal> {
    let window = &input[..input.len().min(bytes_max)];
    match memchr(b'\n', window) {
        Some(end) => input[..end].strip_suffix(b"\r").map(Some).ok_or(refusal),
        None if input.len() >= bytes_max => Err(refusal),
        None => Ok(None),
    }
}

fn after_size(size: u64) -> State {
    if size == 0 { State::Trailer } else { State::Data(size) }
}

fn hex(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    })
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token | quoted-string ) ] )`, and no white space after it.
fn are_extensions(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let Some(after) = skip_space(text).strip_prefix(b";") else {
            return false;
        };
        let Some(after) = skip_token(skip_space(after)) else {
            return false;
        };
        text = after;
        if let Some(value) = skip_space(after).strip_prefix(b"=") {
            let value = skip_space(value);
            let after =
                if value.first() == Some(&b'"') { skip_quoted(value) } else { skip_token(value) };
            let Some(after) = after else { return false };
            text = after;
        }
    }
    true
}

fn skip_space(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[spaces..]
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().take_while(|&&byte| is_token_byte(byte)).count();
    (len > 0).then(|| &text[len..])
}

fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return is_field_value(&text[..at]).then(|| &text[at + 1..]),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
