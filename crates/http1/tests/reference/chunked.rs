//! A second reader of chunked bodies, slow and obvious, written from RFC 9112, 7.1 alone.
//! It reads the whole input at once, one byte at a time, and shares nothing with the crate.

/// What the input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A whole body, and how many bytes it had.
    End(usize),
    /// The beginning of a body.
    Partial,
    /// No body: the fault is in a chunk.
    Chunk,
    /// No body: the fault is in the trailer section.
    Trailer,
}

/// What was read until the verdict was clear.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) verdict: Verdict,
    pub(crate) data: Vec<u8>,
    /// The sizes of the chunks that had data.
    pub(crate) sizes: Vec<u64>,
    pub(crate) extensions: usize,
    /// Names of the trailers, in small letters.
    pub(crate) trailers: Vec<String>,
}

/// The bounds that the crate documents beside its constants.
const SIZE_LINE_BYTES_MAX: usize = 256;
const SIZE_DIGITS_MAX: usize = 15;
const TRAILER_BYTES_MAX: usize = 8192;

/// Reads all of the input.
pub(crate) fn read(input: &[u8]) -> Reading {
    let mut reading = Reading {
        verdict: Verdict::Partial,
        data: Vec::new(),
        sizes: Vec::new(),
        extensions: 0,
        trailers: Vec::new(),
    };
    let mut input = Input { bytes: input, at: 0 };
    reading.verdict = match read_body(&mut input, &mut reading) {
        Ok(()) => Verdict::End(input.at),
        Err(verdict) => verdict,
    };
    reading
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// A line without its CRLF. A line is judged when its LF is there, or when it is too long.
    fn line(&mut self, bytes_max: usize, fault: &Verdict) -> Result<Vec<u8>, Verdict> {
        let mut line = Vec::new();
        loop {
            if line.len() == bytes_max {
                return Err(fault.clone());
            }
            let byte = self.next().ok_or(Verdict::Partial)?;
            line.push(byte);
            if byte == b'\n' {
                break;
            }
        }
        line.pop();
        if line.pop() == Some(b'\r') { Ok(line) } else { Err(fault.clone()) }
    }
}

fn read_body(input: &mut Input<'_>, reading: &mut Reading) -> Result<(), Verdict> {
    loop {
        let line = input.line(SIZE_LINE_BYTES_MAX, &Verdict::Chunk)?;
        let (size, extensions) = read_size_line(&line).ok_or(Verdict::Chunk)?;
        reading.extensions += extensions;
        if size == 0 {
            break;
        }
        reading.sizes.push(size);
        for _ in 0..size {
            let byte = input.next().ok_or(Verdict::Partial)?;
            reading.data.push(byte);
        }
        for want in [b'\r', b'\n'] {
            if input.next().ok_or(Verdict::Partial)? != want {
                return Err(Verdict::Chunk);
            }
        }
    }
    let start = input.at;
    loop {
        let left = TRAILER_BYTES_MAX - (input.at - start);
        if left == 0 && input.at == input.bytes.len() {
            return Err(Verdict::Partial);
        }
        let line = input.line(left, &Verdict::Trailer)?;
        if line.is_empty() {
            return Ok(());
        }
        let name = read_trailer(&line).ok_or(Verdict::Trailer)?;
        reading.trailers.push(name);
    }
}

/// What may come next in a size line.
enum Place {
    Size,
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    AfterQuoted,
}

/// The size and the number of extensions.
fn read_size_line(line: &[u8]) -> Option<(u64, usize)> {
    let (mut digits, mut size, mut extensions) = (0, 0_u64, 0);
    let mut place = Place::Size;
    for &byte in line {
        let is_space = byte == b' ' || byte == b'\t';
        place = match (place, byte) {
            (Place::Size, _) if byte.is_ascii_hexdigit() => {
                digits += 1;
                if digits > SIZE_DIGITS_MAX {
                    return None;
                }
                size = size * 16 + u64::from(char::from(byte).to_digit(16)?);
                Place::Size
            }
            (Place::Size, b';') if digits > 0 => Place::BeforeName,
            (Place::Size, _) if digits > 0 && is_space => Place::BeforeSemicolon,
            (Place::BeforeSemicolon, b';') => Place::BeforeName,
            (Place::BeforeSemicolon, _) if is_space => Place::BeforeSemicolon,
            (Place::BeforeName, _) if is_space => Place::BeforeName,
            (Place::BeforeName, _) if is_token(byte) => {
                extensions += 1;
                Place::Name
            }
            (Place::Name, _) if is_token(byte) => Place::Name,
            (Place::Name | Place::AfterName, b';') => Place::BeforeName,
            (Place::Name | Place::AfterName, b'=') => Place::BeforeValue,
            (Place::Name | Place::AfterName, _) if is_space => Place::AfterName,
            (Place::BeforeValue, _) if is_space => Place::BeforeValue,
            (Place::BeforeValue, b'"') => Place::Quoted,
            (Place::BeforeValue | Place::Value, _) if is_token(byte) => Place::Value,
            (Place::Value | Place::AfterQuoted, b';') => Place::BeforeName,
            (Place::Value | Place::AfterQuoted, _) if is_space => Place::BeforeSemicolon,
            (Place::Quoted, b'"') => Place::AfterQuoted,
            (Place::Quoted, b'\\') => Place::Escaped,
            (Place::Quoted | Place::Escaped, _) if is_text(byte) => Place::Quoted,
            _ => return None,
        };
    }
    let is_whole = match place {
        Place::Size => digits > 0,
        Place::Name | Place::Value | Place::AfterQuoted => true,
        _ => false,
    };
    is_whole.then_some((size, extensions))
}

/// The name of a trailer, in small letters.
fn read_trailer(line: &[u8]) -> Option<String> {
    let mut name = String::new();
    let mut is_value = false;
    for &byte in line {
        if is_value {
            if !is_text(byte) {
                return None;
            }
        } else if byte == b':' && !name.is_empty() {
            is_value = true;
        } else if is_token(byte) {
            name.push(char::from(byte).to_ascii_lowercase());
        } else {
            return None;
        }
    }
    is_value.then_some(name)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Tab, space, visible ASCII, and bytes from 0x80 on.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
