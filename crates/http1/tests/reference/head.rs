//! What second readers of heads share, slow and obvious, written from RFC 9110 and RFC 9112 alone.
//! It copies everything, looks at one thing at a time, and shares nothing with the crate.

/// A field as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Vec<u8>,
    /// Without the white space around it.
    pub(crate) value: Vec<u8>,
    /// Whether it is for this connection only, and must not be passed on.
    pub(crate) is_hop: bool,
}

/// The header section of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) fields: Vec<Field>,
}

/// The bounds of a head.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) head: usize,
    pub(crate) headers: usize,
    pub(crate) target: usize,
}

/// Fields that are for one connection only: RFC 9110, 7.6.1, and what older software sends.
const HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
/// Fields that decide about a message, and whose names CGI would confuse with those that have `_`.
const DECIDING: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
    "x-request-id",
];

impl Section {
    /// Takes a line. A field is judged alone first, then with those that came before it.
    pub(crate) fn take(&mut self, line: &[u8], bounds: &Bounds) -> Result<(), &'static str> {
        if self.fields.len() == bounds.headers {
            return Err("TooManyHeaders");
        }
        let (name, value) = field(line)?;
        self.fields.push(Field { is_hop: is_hop(&name), name, value });
        self.judge_last()?;
        let options = self.list("connection").len();
        if options > bounds.headers { Err("TooManyHeaders") } else { Ok(()) }
    }

    fn judge_last(&self) -> Result<(), &'static str> {
        let last = self.fields.last().expect("one was just taken");
        let name = lower(&last.name);
        let is_alone = self.values(&name).len() == 1;
        match name.as_str() {
            "content-length" if !is_alone || number(&last.value).is_none() => Err("ContentLength"),
            "transfer-encoding" if !is_alone || lower(&last.value) != "chunked" => {
                Err("TransferEncoding")
            }
            "host" if !is_alone => Err("HostTwice"),
            _ => Ok(()),
        }
    }

    /// The end of the section: what the fields say together.
    pub(crate) fn finish(&mut self, is_http10: bool) -> Result<(), &'static str> {
        if self.is_chunked() && is_http10 {
            return Err("TransferEncoding");
        }
        if self.is_chunked() && self.length().is_some() {
            return Err("LengthAndEncoding");
        }
        let nominated = self.list("connection");
        for field in &mut self.fields {
            let name = lower(&field.name);
            let stays = name == "host" || name == "content-length";
            if !stays && nominated.contains(&name) {
                field.is_hop = true;
            }
        }
        Ok(())
    }

    /// The values of all fields of that name.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|field| lower(&field.name) == name);
        named.map(|field| field.value.as_slice()).collect()
    }

    /// The elements of all fields of that name, in small letters.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let mut elements = Vec::new();
        for value in self.values(name) {
            let parts = value.split(|&byte| byte == b',').map(trim);
            elements.extend(parts.filter(|part| !part.is_empty()).map(lower));
        }
        elements
    }

    pub(crate) fn says(&self, option: &str) -> bool {
        self.list("connection").iter().any(|said| said == option)
    }

    pub(crate) fn is_chunked(&self) -> bool {
        !self.values("transfer-encoding").is_empty()
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.values("content-length").first().and_then(|value| number(value))
    }

    /// Whether the sender keeps the connection open: RFC 9112, 9.3.
    pub(crate) fn keeps_alive(&self, is_http10: bool) -> bool {
        !self.says("close") && (!is_http10 || self.says("keep-alive"))
    }

    /// Names of the fields that must not be passed on, as they were sent.
    pub(crate) fn hops(&self) -> Vec<String> {
        let hops = self.fields.iter().filter(|field| field.is_hop);
        hops.map(|field| shown(&field.name)).collect()
    }
}

/// The lines of a head, one at a time.
pub(crate) struct Lines<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Lines<'a> {
    /// The next line, without its CRLF. It is judged when its LF is there, or when it is too long.
    pub(crate) fn next(&mut self, bounds: &Bounds) -> Result<&'a [u8], &'static str> {
        let start = self.at;
        loop {
            if self.at == self.input.len() {
                return Err("Partial");
            }
            if self.at == bounds.head {
                return Err("HeadTooLong");
            }
            self.at += 1;
            if self.input[self.at - 1] == b'\n' {
                break;
            }
        }
        let line = &self.input[start..self.at - 1];
        line.strip_suffix(b"\r").ok_or("BareLf")
    }
}

/// RFC 9112, 5: `field-name ":" OWS field-value OWS`.
fn field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    if line[0] == b' ' || line[0] == b'\t' {
        return Err("FoldedLine");
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or("FieldName")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err("FieldName");
    }
    if !value.iter().all(|&byte| is_text(byte)) {
        return Err("FieldValue");
    }
    Ok((name.to_vec(), trim(value).to_vec()))
}

/// Those that are always for one connection, and those that others could take for a field that
/// decides about the message: they have `_` for `-`.
fn is_hop(name: &[u8]) -> bool {
    let name = lower(name);
    let undisguised = name.replace('_', "-");
    let begins = |name: &str| name.starts_with("x-forwarded-");
    let is_disguised = !DECIDING.contains(&name.as_str())
        && DECIDING.contains(&undisguised.as_str())
        || !begins(&name) && begins(&undisguised);
    HOP.contains(&name.as_str()) || is_disguised
}

pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// RFC 9110, 5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Tab, space, visible ASCII, and bytes from 0x80 on: RFC 9110, 5.5.
pub(crate) fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Digits alone, and not more than 64 bits.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// In small letters of ASCII; other bytes each as the letter of that number.
pub(crate) fn lower(text: &[u8]) -> String {
    text.iter().map(|&byte| char::from(byte.to_ascii_lowercase())).collect()
}

pub(crate) fn shown(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}
