//! The table of raw payloads: what a client sends on one connection, and what must come of it.
//! The wants are derived from RFC 9110, RFC 9112 and Herder's manual, never from Herder's answers.

use std::collections::HashSet;
use std::fmt;

use crate::rows::{Row, rows};

/// A request behind each payload. It is answered exactly when the connection is still in step.
pub(crate) const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";

/// Ours. Keys: see the top of `lengths.txt`.
const SCRIPTS: [(&str, &str); 7] = [
    ("lengths", include_str!("lengths.txt")),
    ("codings", include_str!("codings.txt")),
    ("chunks", include_str!("chunks.txt")),
    ("lines", include_str!("lines.txt")),
    ("hosts", include_str!("hosts.txt")),
    ("connections", include_str!("connections.txt")),
    ("known", include_str!("known.txt")),
];

/// The parser's own tables of single heads.
const HEADS: [(&str, &str); 5] = [
    ("line", include_str!("../../../http1/tests/tables/requests/line.txt")),
    ("target", include_str!("../../../http1/tests/tables/requests/target.txt")),
    ("fields", include_str!("../../../http1/tests/tables/requests/fields.txt")),
    ("framing", include_str!("../../../http1/tests/tables/requests/framing.txt")),
    ("connection", include_str!("../../../http1/tests/tables/requests/connection.txt")),
];

/// The parser's own tables of chunked bodies.
const BODIES: [(&str, &str); 3] = [
    ("sizes", include_str!("../../../http1/tests/tables/chunked/sizes.txt")),
    ("extensions", include_str!("../../../http1/tests/tables/chunked/extensions.txt")),
    ("trailers", include_str!("../../../http1/tests/tables/chunked/trailers.txt")),
];

/// A body for a head that announces chunks, and its content.
const CHUNKS: (&[u8], &[u8]) = (b"3\r\nabc\r\n0\r\n\r\n", b"abc");
/// A longer body than this is more than the service takes.
const BODY_BYTES_MAX: u64 = 4096;

/// Rows with a chunk that is longer than that.
const TOO_LARGE: [&str; 2] = ["2^32 + 5 is not 5", "the largest size"];

/// What one client sends on one connection.
#[derive(Debug)]
pub(crate) struct Payload {
    /// Table and row.
    pub(crate) title: String,
    /// The bytes, [`PROBE`] included where there is one.
    pub(crate) bytes: Vec<u8>,
    /// How many of them come before the probe.
    pub(crate) probe_at: usize,
    /// What must come of it; with more than one, any of them.
    pub(crate) wants: Vec<Outcome>,
}

/// What comes of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) end: End,
}

/// What comes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An instance got it, whole.
    Forwarded(Request),
    /// An instance answered it before it had all of it.
    Unfinished,
    /// Herder refused it: status and `Herder-Error`.
    Refused(u16, String),
    /// The instance's server refused it before its application saw it.
    RefusedByOrigin(u16),
    /// An answer that was broken off in the midst of it.
    Torn,
    /// Anything else, in words.
    Odd(String),
}

/// A request as an instance sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Herder goes on: the probe is answered.
    Open,
    /// Herder ends it: the probe is not looked at.
    Closed,
    /// The client ends it in the midst of a request, which is then none.
    Cut,
}

impl Outcome {
    /// Reads `GET /a | POST /b content | 400 malformed_request | closed`.
    pub(crate) fn parse(title: &str, text: &[u8]) -> Self {
        let mut items: Vec<&[u8]> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.windows(3).position(|window| window == b" | ") {
            items.push(&rest[..at]);
            rest = &rest[at + 3..];
        }
        let end = match rest {
            b"open" => End::Open,
            b"closed" => End::Closed,
            b"cut" => End::Cut,
            other => panic!("{title}: ends with {}", other.escape_ascii()),
        };
        Self { events: items.into_iter().map(|item| Event::parse(title, item)).collect(), end }
    }
}

impl Event {
    fn parse(title: &str, text: &[u8]) -> Self {
        let mut words = text.splitn(3, |&byte| byte == b' ');
        let (first, second) = (words.next(), words.next());
        let (Some(first), Some(second)) = (first, second) else {
            panic!("{title}: an item of one word: {}", text.escape_ascii());
        };
        if text == b"answered unfinished" {
            return Event::Unfinished;
        }
        if first.len() == 3 && first.iter().all(u8::is_ascii_digit) {
            let status = first.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
            return Event::Refused(status, String::from_utf8_lossy(second).into_owned());
        }
        let body = words.next().unwrap_or_default();
        Event::Forwarded(Request {
            method: first.to_owned(),
            target: second.to_owned(),
            body: body.to_owned(),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            write!(f, "{event} | ")?;
        }
        write!(f, "{:?}", self.end)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Forwarded(Request { method, target, body }) => {
                let [method, target] = [method, target].map(|text| text.escape_ascii());
                let body = body.escape_ascii().to_string();
                write!(f, "{method} {target} {body:.80}")
            }
            Event::Unfinished => f.write_str("answered unfinished"),
            Event::Torn => f.write_str("half an answer"),
            Event::Refused(status, label) => write!(f, "{status} {label}"),
            Event::RefusedByOrigin(status) => write!(f, "{status} by the origin"),
            Event::Odd(text) => f.write_str(text),
        }
    }
}

impl Request {
    /// The probe, as an instance sees it.
    pub(crate) fn probe() -> Self {
        Self { method: b"GET".into(), target: b"/probe".into(), body: Vec::new() }
    }
}

/// All payloads: ours, and those of the parser's rows that come to something new.
pub(crate) fn all() -> Vec<Payload> {
    let scripts = SCRIPTS.map(|(name, table)| (name, rows(table)));
    let ours = scripts.iter().flat_map(|(name, rows)| rows.iter().map(|row| script(name, row)));
    let mut all: Vec<Payload> = ours.collect();
    let mut bytes: HashSet<Vec<u8>> = all.iter().map(|payload| payload.bytes.clone()).collect();
    let heads = HEADS.map(|(name, table)| (name, rows(table)));
    let bodies = BODIES.map(|(name, table)| (name, rows(table)));
    let heads = heads.iter().flat_map(|(name, rows)| rows.iter().map(|row| head(name, row)));
    let bodies = bodies.iter().flat_map(|(name, rows)| rows.iter().map(|row| chunked(name, row)));
    all.extend(heads.flatten().chain(bodies).filter(|payload| bytes.insert(payload.bytes.clone())));
    all
}

fn payload(title: String, mut bytes: Vec<u8>, wants: Vec<Outcome>) -> Payload {
    let probe_at = bytes.len();
    if wants.iter().all(|want| want.end != End::Cut) {
        bytes.extend_from_slice(PROBE);
    }
    Payload { title, bytes, probe_at, wants }
}

fn script(table: &str, row: &Row) -> Payload {
    let title = format!("{table}: {}", row.title);
    let given = ['=', '~', '-'].into_iter().filter(|&key| row.text(key).is_some());
    let wants = given.map(|key| Outcome::parse(&title, &row.bytes(key))).collect();
    payload(title, row.bytes('>'), wants)
}

/// A row of the parser's heads, with the body that it announces. Those that arrive as nothing are
/// left out.
fn head(table: &str, row: &Row) -> Option<Payload> {
    let title = format!("{table}: {}", row.title);
    let input = row.bytes('>');
    let Some(want) = row.text('=') else {
        let refusal = row.text('!').expect("a row has = or !");
        let want = match refusal {
            "Partial" => Outcome { events: Vec::new(), end: End::Cut },
            refusal => refused(refusal),
        };
        return (!input.is_empty()).then(|| payload(title, input, vec![want]));
    };
    let words: Vec<&str> = want.split(' ').collect();
    let [method, path, _, framing, then] = words[..5] else { panic!("{title}: {want}") };
    let end = if then == "keep" { End::Open } else { End::Closed };
    // An empty line may come before the request line, and is part of the head then.
    let from = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let empty = input[from..].windows(4).position(|window| window == b"\r\n\r\n");
    let mut bytes = input[..from + empty.expect("a good head has an end") + 4].to_vec();
    let (body, content) = match framing.split_once('=') {
        None if framing == "none" => (Vec::new(), Vec::new()),
        None => (CHUNKS.0.to_vec(), CHUNKS.1.to_vec()),
        Some((_, length)) => {
            let length: u64 = length.parse().expect("a length is a number");
            if length > BODY_BYTES_MAX {
                return Some(payload(title, bytes, vec![too_large()]));
            }
            let body = vec![b'x'; usize::try_from(length).expect("it is small")];
            (body.clone(), body)
        }
    };
    bytes.extend(body);
    let (method, target) = (unescape(method), unescape(path));
    let event = Event::Forwarded(Request { method, target, body: content });
    Some(payload(title, bytes, vec![Outcome { events: vec![event], end }]))
}

/// A row of the parser's chunked bodies, behind a head. A chunk that is longer than a body may
/// be is
/// refused as soon as it is announced.
fn chunked(table: &str, row: &Row) -> Payload {
    let title = format!("{table}: {}", row.title);
    let head = b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (input, rest) = (row.bytes('>'), row.bytes('+'));
    let input = &input[..input.len() - rest.len()];
    let want = match row.text('!') {
        Some("Partial") if TOO_LARGE.contains(&row.title.as_str()) => too_large(),
        Some("Partial") => Outcome { events: Vec::new(), end: End::Cut },
        Some(refusal) => refused(refusal),
        None => {
            let (method, target) = (b"POST".to_vec(), b"/chunked".to_vec());
            let event = Event::Forwarded(Request { method, target, body: row.bytes('=') });
            Outcome { events: vec![event], end: End::Open }
        }
    };
    payload(title, [&head[..], input].concat(), vec![want])
}

/// What the manual says about a message that the parser refuses.
fn refused(refusal: &str) -> Outcome {
    let (status, label) = match refusal {
        "TargetTooLong" => (414, "target_too_long"),
        "HeadTooLong" | "TooManyHeaders" => (431, "head_too_long"),
        "Version" => (505, "version_unsupported"),
        "Connect" => (501, "connect_unsupported"),
        _ => (400, "malformed_request"),
    };
    Outcome { events: vec![Event::Refused(status, label.to_owned())], end: End::Closed }
}

fn too_large() -> Outcome {
    let event = Event::Refused(413, "body_too_large".to_owned());
    Outcome { events: vec![event], end: End::Closed }
}

/// The bytes behind a description in the parser's tables, which is escaped as Rust does.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { bytes.next().expect("an escape of one sign") } else { byte });
    }
    out
}
