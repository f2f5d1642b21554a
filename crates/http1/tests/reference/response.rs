//! A second reader of response heads, slow and obvious, written from RFC 9110 and RFC 9112 alone.
//! It reads the whole input at once and shares nothing with the crate.

use crate::head::{Bounds, Lines, Section, is_text, shown};

/// A response head that everybody would read alike.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status code and reason, as sent.
    pub(crate) words: Vec<u8>,
    pub(crate) is_http10: bool,
    pub(crate) section: Section,
    /// Its length with the empty line.
    pub(crate) bytes: usize,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Reads a head; else the name of what is wrong, or `Partial`.
pub(crate) fn read(input: &[u8], bounds: &Bounds) -> Result<Response, &'static str> {
    let mut lines = Lines { input, at: 0 };
    let mut response = status_line(lines.next(bounds)?)?;
    loop {
        let line = lines.next(bounds)?;
        if line.is_empty() {
            break;
        }
        response.section.take(line, bounds)?;
    }
    response.bytes = lines.at;
    response.section.finish(response.is_http10)?;
    Ok(response)
}

impl Response {
    /// In the words of the table; `is_head` if the request was HEAD.
    pub(crate) fn describe(&self, input: &[u8], is_head: bool) -> String {
        let mut words = vec![self.status.to_string(), format!("\"{}\"", shown(&self.words))];
        words.push(match self.body(is_head) {
            Body::None => "none".into(),
            Body::Length(length) => format!("length={length}"),
            Body::Chunked => "chunked".into(),
            Body::UntilClose => "until-close".into(),
        });
        words.push(if self.keeps_alive() { "keep".into() } else { "close".into() });
        if self.is_http10 {
            words.push("1.0".into());
        }
        if self.status < 200 && self.status != 101 {
            words.push("informational".into());
        }
        let hops = self.section.hops().join(",");
        if !hops.is_empty() {
            words.push(format!("hop={hops}"));
        }
        if self.bytes < input.len() {
            words.push(format!("rest={}", shown(&input[self.bytes..])));
        }
        words.join(" ")
    }

    /// RFC 9112, 6.3, rules 1, 4, 6 and 8.
    pub(crate) fn body(&self, is_head: bool) -> Body {
        if is_head || self.status < 200 || self.status == 204 || self.status == 304 {
            return Body::None;
        }
        match (self.section.is_chunked(), self.section.length()) {
            (true, _) => Body::Chunked,
            (false, Some(0)) => Body::None,
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::UntilClose,
        }
    }

    /// Not after a 204 that announces a body, which may come all the same.
    fn keeps_alive(&self) -> bool {
        let announces = self.section.is_chunked() || self.section.length().unwrap_or(0) > 0;
        !(self.status == 204 && announces) && self.section.keeps_alive(self.is_http10)
    }
}

/// `HTTP/1.1 200 OK`; the reason may be missing, with the space before it or without.
fn status_line(line: &[u8]) -> Result<Response, &'static str> {
    let (version, rest) = line.split_at_checked(9).ok_or("StatusLine")?;
    let is_http10 = match version {
        b"HTTP/1.0 " => true,
        b"HTTP/1.1 " => false,
        _ => return Err("StatusLine"),
    };
    let (code, reason) = rest.split_at_checked(3).ok_or("StatusLine")?;
    let is_reason = reason.is_empty() || reason[0] == b' ' && reason.iter().all(|&b| is_text(b));
    let [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else { return Err("StatusLine") };
    if !is_reason {
        return Err("StatusLine");
    }
    Ok(Response {
        status: code.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')),
        words: rest.to_vec(),
        is_http10,
        section: Section::default(),
        bytes: 0,
    })
}
