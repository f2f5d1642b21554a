//! The table of request heads, and what the parser makes of one that comes in pieces.
//! The expected outcomes are derived from RFC 9110 and RFC 9112, never from the parser.

use http1::{Field, Framing, Limits, Progress, RequestHead, Version};

use crate::rows::{Row, rows};

/// Bounds of a row that names none.
pub(crate) const LIMITS: Limits =
    Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 4096 };

const TABLES: [&str; 6] = [
    include_str!("requests/line.txt"),
    include_str!("requests/target.txt"),
    include_str!("requests/fields.txt"),
    include_str!("requests/framing.txt"),
    include_str!("requests/connection.txt"),
    include_str!("requests/limits.txt"),
];

/// One request head with its expected outcome.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) input: Vec<u8>,
    pub(crate) limits: Limits,
    /// A description as of [`outcome`].
    pub(crate) want: String,
}

/// All rows of the table.
pub(crate) fn cases() -> Vec<Case> {
    TABLES.into_iter().flat_map(rows).map(case).collect()
}

/// What the parser says when the input arrives up to each of `ends` in turn: a refusal, `Partial`,
/// or `METHOD PATH AUTHORITY FRAMING keep|close` and whatever else is worth saying.
pub(crate) fn outcome(
    input: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> String {
    let mut head = RequestHead::default();
    for end in ends {
        match head.advance(&input[..end], limits) {
            Err(refusal) => return format!("{refusal:?}"),
            Ok(Progress::Complete) => return describe(&head, input),
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
            "target" => limits.target_bytes_max = value,
            _ => panic!("{}: unknown bound {name}", row.title),
        }
    }
    let want = row.text('=').or(row.text('!')).expect("a row has = or !");
    Case { input: row.bytes('>'), limits, want: want.to_owned(), title: row.title }
}

fn describe(head: &RequestHead, buffer: &[u8]) -> String {
    assert!(!head.is_empty(), "a complete head has a length");
    let authority = head.authority().of(buffer);
    let mut words = vec![
        text(head.method_span().of(buffer)),
        text(head.path(buffer)),
        text(if authority.is_empty() { b"-" } else { authority }),
        match head.framing() {
            Framing::None => "none".to_owned(),
            Framing::Length(length) => format!("length={length}"),
            Framing::Chunked => "chunked".to_owned(),
            Framing::UntilClose => panic!("a request is never delimited by close"),
        },
        if head.wants_keep_alive() { "keep".to_owned() } else { "close".to_owned() },
    ];
    if head.version() == Version::Http10 {
        words.push("1.0".to_owned());
    }
    if head.target().of(buffer) != head.path(buffer) {
        words.push(format!("target={}", text(head.target().of(buffer))));
    }
    if head.host(buffer) != authority {
        words.push(format!("host={}", text(head.host(buffer))));
    }
    let hops: Vec<String> = judge_fields(head.fields(), buffer);
    if !hops.is_empty() {
        words.push(format!("hop={}", hops.join(",")));
    }
    if head.expects_continue() {
        words.push("expect".to_owned());
    }
    if head.wants_upgrade() {
        words.push("upgrade".to_owned());
    }
    if let Some(id) = head.request_id() {
        words.push(format!("id={}", text(id.of(buffer))));
    }
    if head.len() < buffer.len() {
        words.push(format!("rest={}", text(&buffer[head.len()..])));
    }
    words.join(" ")
}

/// Checks that each field is where it says; returns the names of those for this connection only.
fn judge_fields(fields: &[Field], buffer: &[u8]) -> Vec<String> {
    for field in fields {
        let line = &buffer[field.name.start..field.line_end];
        let (name, value) = (field.name.of(buffer), field.value.of(buffer));
        assert!(line.starts_with(name) && line[name.len()] == b':');
        assert!(line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\n'));
        assert_eq!(line[name.len() + 1..].trim_ascii(), value.trim_ascii());
        assert!(!value.starts_with(b" ") && !value.ends_with(b"\t"));
    }
    let hops = fields.iter().filter(|field| field.is_hop);
    hops.map(|field| text(field.name.of(buffer))).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
