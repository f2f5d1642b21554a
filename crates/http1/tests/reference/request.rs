//! A second reader of request heads, slow and obvious, written from RFC 9110, RFC 9112 and RFC 3986
//! alone. It reads the whole input at once and shares nothing with the crate.

use crate::head::{Bounds, Lines, Section, is_token, is_token_byte, lower, number, shown};

/// A request head that everybody would read alike.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    /// As sent.
    pub(crate) target: Vec<u8>,
    /// What an instance is to get as the target.
    pub(crate) path: Vec<u8>,
    /// Host and port; empty if the request names none.
    pub(crate) authority: Vec<u8>,
    pub(crate) is_http10: bool,
    pub(crate) section: Section,
    /// Its length with the empty line.
    pub(crate) bytes: usize,
}

/// Reads a head; else the name of what is wrong, or `Partial`.
pub(crate) fn read(input: &[u8], bounds: &Bounds) -> Result<Request, &'static str> {
    let mut lines = Lines { input, at: 0 };
    let mut request = first_line(&mut lines, bounds)?;
    loop {
        let line = lines.next(bounds)?;
        if line.is_empty() {
            break;
        }
        request.section.take(line, bounds)?;
    }
    request.bytes = lines.at;
    request.section.finish(request.is_http10)?;
    match request.section.values("host").first() {
        None if !request.is_http10 => return Err("HostMissing"),
        None => {}
        Some(host) if !host.is_empty() && !is_authority(host) => return Err("Host"),
        Some(host) if request.authority.is_empty() => request.authority = host.to_vec(),
        Some(host) if lower(host) != lower(&request.authority) => return Err("Host"),
        Some(_) => {}
    }
    Ok(request)
}

impl Request {
    /// In the words of the table.
    pub(crate) fn describe(&self, input: &[u8]) -> String {
        let mut words = vec![shown(&self.method), shown(&self.path)];
        words.push(if self.authority.is_empty() { "-".into() } else { shown(&self.authority) });
        words.push(match (self.section.is_chunked(), self.section.length()) {
            (true, _) => "chunked".into(),
            (false, None | Some(0)) => "none".into(),
            (false, Some(length)) => format!("length={length}"),
        });
        let keeps = self.section.keeps_alive(self.is_http10);
        words.push(if keeps { "keep".into() } else { "close".into() });
        if self.is_http10 {
            words.push("1.0".into());
        }
        if self.target != self.path {
            words.push(format!("target={}", shown(&self.target)));
        }
        let host = host(&self.authority);
        if host != self.authority {
            words.push(format!("host={}", shown(host)));
        }
        let hops = self.section.hops().join(",");
        if !hops.is_empty() {
            words.push(format!("hop={hops}"));
        }
        if self.expects_continue() {
            words.push("expect".into());
        }
        if self.wants_upgrade() {
            words.push("upgrade".into());
        }
        if let Some(id) = self.request_id() {
            words.push(format!("id={}", shown(id)));
        }
        if self.bytes < input.len() {
            words.push(format!("rest={}", shown(&input[self.bytes..])));
        }
        words.join(" ")
    }

    /// RFC 9110, 10.1.1.
    pub(crate) fn expects_continue(&self) -> bool {
        !self.is_http10 && self.section.list("expect").iter().any(|one| one == "100-continue")
    }

    /// RFC 9110, 7.8.
    pub(crate) fn wants_upgrade(&self) -> bool {
        let names_one = !self.section.values("upgrade").is_empty();
        !self.is_http10 && names_one && self.section.says("upgrade")
    }

    pub(crate) fn request_id(&self) -> Option<&[u8]> {
        let kept = self.section.fields.iter().filter(|field| !field.is_hop);
        let mut named = kept.filter(|field| lower(&field.name) == "x-request-id");
        named.next_back().map(|field| field.value.as_slice())
    }
}

/// RFC 9112, 3, behind one empty line at most, which 2.2 lets us skip. What begins no method is
/// refused before the line is there.
fn first_line(lines: &mut Lines<'_>, bounds: &Bounds) -> Result<Request, &'static str> {
    for may_be_empty in [true, false] {
        let start = lines.at;
        match lines.input.get(start) {
            Some(b'\r') if may_be_empty => {}
            Some(&byte) if !is_token_byte(byte) => return Err("RequestLine"),
            _ => {}
        }
        match lines.next(bounds) {
            Ok([]) if may_be_empty => {}
            Ok(line) => return request_line(line, bounds),
            Err("HeadTooLong") => return Err(too_long(&lines.input[start..bounds.head], bounds)),
            Err(other) => return Err(other),
        }
    }
    unreachable!("the second line is returned or refused");
}

/// What is too long of a line without end: its target, or the head.
fn too_long(line: &[u8], bounds: &Bounds) -> &'static str {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    match words.get(1) {
        Some(target) if target.len() > bounds.target => "TargetTooLong",
        _ => "HeadTooLong",
    }
}

fn request_line(line: &[u8], bounds: &Bounds) -> Result<Request, &'static str> {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    if !is_token(method) {
        return Err("RequestLine");
    }
    let target = words.next().ok_or("RequestLine")?;
    if target.len() > bounds.target {
        return Err("TargetTooLong");
    }
    let is_http10 = match words.next().ok_or("RequestLine")? {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err("Version"),
        _ => return Err("RequestLine"),
    };
    let (authority, path) = split(method, target)?;
    Ok(Request {
        method: method.to_vec(),
        target: target.to_vec(),
        path,
        authority,
        is_http10,
        section: Section::default(),
        bytes: 0,
    })
}

/// The authority that a target names, and the target that an instance gets: RFC 9112, 3.2.
fn split(method: &[u8], target: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    if method == b"CONNECT" {
        return Err("Connect");
    }
    // Visible ASCII, and no fragment.
    if target.is_empty() || !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err("Target");
    }
    if target[0] == b'/' || (target == b"*" && method == b"OPTIONS") {
        return Ok((Vec::new(), target.to_vec()));
    }
    let letters = lower(target);
    let scheme = ["http://", "https://"].into_iter().find(|scheme| letters.starts_with(scheme));
    let after = &target[scheme.ok_or("Target")?.len()..];
    let end = after.iter().position(|byte| b"/?".contains(byte)).unwrap_or(after.len());
    let (authority, path) = after.split_at(end);
    // A query without a path cannot be passed on as it came.
    if !is_authority(authority) || path.starts_with(b"?") {
        return Err("Target");
    }
    let path = match (path, method) {
        (b"", b"OPTIONS") => b"*",
        (b"", _) => b"/",
        (path, _) => path,
    };
    Ok((authority.to_vec(), path.to_vec()))
}

/// RFC 3986, 3.2.2 and 3.2.3, without user, and with a host of at least one sign.
fn is_authority(text: &[u8]) -> bool {
    let host = host(text);
    let is_port = match &text[host.len()..] {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_port && (is_name(host) || is_ipv6_literal(host))
}

/// What is before the port.
fn host(authority: &[u8]) -> &[u8] {
    let end = match authority.first() {
        Some(b'[') => authority.iter().position(|&byte| byte == b']').map(|at| at + 1),
        _ => authority.iter().position(|&byte| byte == b':'),
    };
    &authority[..end.unwrap_or(authority.len())]
}

fn is_name(host: &[u8]) -> bool {
    let mut at = 0;
    while at < host.len() {
        let escape = host.get(at + 1..at + 3).unwrap_or_default();
        if host[at] == b'%' && escape.len() == 2 && escape.iter().all(u8::is_ascii_hexdigit) {
            at += 3;
        } else if host[at].is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&host[at]) {
            at += 1;
        } else {
            return false;
        }
    }
    !host.is_empty()
}

/// `[` IPv6address `]`: eight groups, or fewer with one `::` for those of zeros that are left out.
fn is_ipv6_literal(host: &[u8]) -> bool {
    let [b'[', address @ .., b']'] = host else { return false };
    let text: String = address.iter().map(|&byte| char::from(byte)).collect();
    match text.split_once("::") {
        None => groups(&text, Last::MayBeV4) == Some(8),
        Some((before, after)) => {
            let before = if before.is_empty() { Some(0) } else { groups(before, Last::IsGroup) };
            let after = if after.is_empty() { Some(0) } else { groups(after, Last::MayBeV4) };
            matches!((before, after), (Some(before), Some(after)) if before + after <= 7)
        }
    }
}

/// Whether the last two groups may be written as an IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    IsGroup,
    MayBeV4,
}

fn groups(text: &str, last: Last) -> Option<usize> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut count = 0;
    for (at, part) in parts.iter().enumerate() {
        let is_group = (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_hexdigit());
        if is_group {
            count += 1;
        } else if last == Last::MayBeV4 && at + 1 == parts.len() && is_ipv4(part) {
            count += 2;
        } else {
            return None;
        }
    }
    Some(count)
}

/// Four numbers up to 255, without zeros before them.
fn is_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_octet = |part: &&str| {
        let is_plain = *part == "0" || !part.starts_with('0');
        !part.is_empty() && is_plain && number(part.as_bytes()).is_some_and(|n| n <= 255)
    };
    parts.len() == 4 && parts.iter().all(is_octet)
}
