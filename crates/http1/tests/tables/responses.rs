//! The table of response heads, and what the parser makes of one that comes in pieces.
//! The expected outcomes are derived from RFC 9110 and RFC 9112, never from the parser.

use http1::{Framing, Limits, Method, Progress, ResponseHead, Version};

use crate::rows::{Row, rows};

const LIMITS: Limits = Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 0 };

const TABLES: [&str; 2] =
    [include_str!("responses/line.txt"), include_str!("responses/framing.txt")];

/// One response head with its expected outcome.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) input: Vec<u8>,
    /// Of the request that is answered.
    pub(crate) method: Method,
    pub(crate) limits: Limits,
    /// A description as of [`outcome`].
    pub(crate) want: String,
}

/// All rows of the table.
pub(crate) fn cases() -> Vec<Case> {
    TABLES.into_iter().flat_map(rows).map(case).collect()
}

/// What the parser says when the input arrives up to each of `ends` in turn: a refusal, `Partial`,
/// or `STATUS "CODE REASON" FRAMING keep|close` and whatever else is worth saying.
pub(crate) fn outcome(case: &Case, ends: impl IntoIterator<Item = usize>) -> String {
    let mut head = ResponseHead::default();
    for end in ends {
        match head.advance(&case.input[..end], &case.limits) {
            Err(refusal) => return format!("{refusal:?}"),
            Ok(Progress::Complete) => return describe(&head, case),
            Ok(Progress::Partial) => {}
        }
    }
    "Partial".to_owned()
}

fn case(row: Row) -> Case {
    let mut limits = LIMITS;
    for bound in row.text('%').unwrap_or_default().split_whitespace() {
        let (name, value) = bound.split_once('=').expect("a bound is name=number");
        let value = value.parse().expect("a bound is a number");
        match name {
            "head" => limits.head_bytes_max = value,
            "headers" => limits.headers_max = value,
            _ => panic!("{}: unknown bound {name}", row.title),
        }
    }
    let method = match row.text('?') {
        None => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Other,
        Some(other) => panic!("{}: unknown method {other}", row.title),
    };
    let want = row.text('=').or(row.text('!')).expect("a row has = or !");
    Case { input: row.bytes('>'), method, limits, want: want.to_owned(), title: row.title }
}

fn describe(head: &ResponseHead, case: &Case) -> String {
    assert!(!head.is_empty(), "a complete head has a length");
    let buffer = &case.input;
    let mut words = vec![
        head.status().to_string(),
        format!("\"{}\"", text(head.status_span().of(buffer))),
        match head.framing(case.method) {
            Framing::None => "none".to_owned(),
            Framing::Length(length) => format!("length={length}"),
            Framing::Chunked => "chunked".to_owned(),
            Framing::UntilClose => "until-close".to_owned(),
        },
        if head.allows_keep_alive() { "keep".to_owned() } else { "close".to_owned() },
    ];
    if head.version() == Version::Http10 {
        words.push("1.0".to_owned());
    }
    if head.is_informational() {
        words.push("informational".to_owned());
    }
    let hops = head.fields().iter().filter(|field| field.is_hop);
    let hops: Vec<String> = hops.map(|field| text(field.name.of(buffer))).collect();
    if !hops.is_empty() {
        words.push(format!("hop={}", hops.join(",")));
    }
    if head.len() < buffer.len() {
        words.push(format!("rest={}", text(&buffer[head.len()..])));
    }
    words.join(" ")
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
