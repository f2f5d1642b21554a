//! Good heads made at random, as a model of what they say and as the bytes that say it.
//! They lean on the fields that decide something: framing, connection, route.

use http1::Framing;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A field: its name and its value, with the spaces around it.
pub(crate) type Line = (String, String);

/// A good request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// What the target means as a path.
    pub(crate) path: String,
    /// What Host or the target says; empty if neither.
    pub(crate) authority: String,
    pub(crate) is_http10: bool,
    pub(crate) framing: Framing,
    pub(crate) lines: Vec<Line>,
}

/// A good response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) is_http10: bool,
    pub(crate) length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) lines: Vec<Line>,
}

impl Request {
    /// The head as it is sent.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let minor = u8::from(!self.is_http10);
        let first = format!("{} {} HTTP/1.{minor}", self.method, self.target);
        wire(&first, &self.lines)
    }
}

impl Response {
    /// The head as it is sent.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let minor = u8::from(!self.is_http10);
        let first = format!("HTTP/1.{minor} {} {}", self.status, self.reason);
        wire(&first, &self.lines)
    }
}

/// Good requests.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let about = (method(), authority(), any::<bool>(), framing());
    (about, target(), lines(), any::<[Index; 2]>()).prop_map(
        |((method, authority, is_http10, framing), (form, path), mut lines, at)| {
            let is_chunked = framing == Framing::Chunked && !is_http10;
            let framing = match framing {
                Framing::Chunked if is_http10 => Framing::None,
                other => other,
            };
            insert_framing(&mut lines, framing, at[0]);
            let has_host = !is_http10 || at[1].index(2) == 0;
            if has_host {
                insert(&mut lines, at[1], "Host", &format!(" {authority}"));
            }
            let (target, path) = match form {
                Form::Origin => (path.clone(), path),
                Form::Asterisk if method == "OPTIONS" => ("*".to_owned(), "*".to_owned()),
                Form::Asterisk | Form::Absolute => (format!("http://{authority}{path}"), path),
                Form::AbsoluteRoot if method == "OPTIONS" => {
                    (format!("http://{authority}"), "*".to_owned())
                }
                Form::AbsoluteRoot => (format!("HTTPS://{authority}"), "/".to_owned()),
            };
            let is_named = has_host || !target.starts_with(['/', '*']);
            assert_eq!(is_chunked, framing == Framing::Chunked);
            Request {
                method,
                path,
                authority: if is_named { authority } else { String::new() },
                is_http10,
                framing,
                lines,
                target,
            }
        },
    )
}

/// Good responses.
pub(crate) fn response() -> impl Strategy<Value = Response> {
    let status = prop_oneof![
        4 => select(vec![100_u16, 101, 103, 199, 200, 204, 205, 304, 404, 500, 599]),
        1 => 100..600_u16,
    ];
    let about = (status, "[ -~\t]{0,12}", any::<bool>(), framing());
    (about, lines(), any::<Index>()).prop_map(
        |((status, reason, is_http10, framing), mut lines, at)| {
            let is_chunked = framing == Framing::Chunked && !is_http10;
            if is_chunked || framing != Framing::Chunked {
                insert_framing(&mut lines, framing, at);
            }
            let length = match framing {
                Framing::Length(length) => Some(length),
                _ => None,
            };
            Response { status, reason, is_http10, length, is_chunked, lines }
        },
    )
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Origin,
    Absolute,
    AbsoluteRoot,
    Asterisk,
}

fn method() -> impl Strategy<Value = String> {
    let known = select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => "[A-Z!#$*_|~-]{1,12}".prop_filter("not supported", |method| method != "CONNECT"),
    ]
}

fn authority() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z0-9][a-z0-9.-]{0,20}",
        select(vec!["[::1]", "[2001:db8::7]", "127.0.0.1", "%7euser", "a_b"])
            .prop_map(str::to_owned),
    ];
    (host, option::of(0..=65535_u16)).prop_map(|(host, port)| match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

fn target() -> impl Strategy<Value = (Form, String)> {
    let form = prop_oneof![
        6 => Just(Form::Origin),
        1 => Just(Form::Absolute),
        1 => Just(Form::AbsoluteRoot),
        1 => Just(Form::Asterisk),
    ];
    let path = "/[a-zA-Z0-9/._~%&=:@!$'()*+,;-]{0,20}(\\?[a-z0-9=&?/%|{}]{0,12})?";
    (form, path)
}

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![
        2 => Just(Framing::None),
        2 => (1..=u64::MAX).prop_map(Framing::Length),
        1 => (1..100_u64).prop_map(Framing::Length),
        2 => Just(Framing::Chunked),
    ]
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let connection = select(vec![
        "close",
        "Keep-Alive",
        "upgrade",
        "X-A",
        "x-b",
        "accept",
        "Host",
        "content-length",
        "Transfer-Encoding",
        "X-Request-ID",
        "x-forwarded-for",
        "expect",
        "",
    ]);
    let connection = vec(connection, 0..4).prop_map(|options| options.join(", "));
    let name = select(vec![
        "Accept",
        "X-A",
        "X-B",
        "X-B",
        "Cookie",
        "Expect",
        "Trailer",
        "TE",
        "Keep-Alive",
        "Close",
        "Proxy-Connection",
        "Upgrade",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Request-Id",
    ]);
    let name = prop_oneof![name.prop_map(str::to_owned), "Z-[!#$%&'*+.^_`|~0-9a-z-]{0,9}"];
    let value = prop_oneof![
        Just("100-continue".to_owned()),
        "[!-~]([ -~\t\u{e9}]{0,20}[!-~])?",
        Just(String::new()),
    ];
    let space = || select(vec!["", " ", "\t", " \t "]);
    let line = prop_oneof![
        1 => (Just("Connection".to_owned()), connection),
        4 => (name, value),
    ];
    let line = (line, 0..3_u8, space(), space());
    let line = line.prop_map(|((name, value), letters, before, after)| {
        let name = match letters {
            0 => name,
            1 => name.to_ascii_lowercase(),
            _ => name.to_ascii_uppercase(),
        };
        (name, format!("{before}{value}{after}"))
    });
    vec(line, 0..10)
}

fn insert_framing(lines: &mut Vec<Line>, framing: Framing, at: Index) {
    match framing {
        Framing::Length(length) => insert(lines, at, "Content-Length", &format!(" {length}")),
        Framing::Chunked => insert(lines, at, "transfer-encoding", " Chunked"),
        Framing::None | Framing::UntilClose => {}
    }
}

fn insert(lines: &mut Vec<Line>, at: Index, name: &str, value: &str) {
    let at = at.index(lines.len() + 1);
    lines.insert(at, (name.to_owned(), value.to_owned()));
}

fn wire(first: &str, lines: &[Line]) -> Vec<u8> {
    let lines = lines.iter().map(|(name, value)| format!("{name}:{value}\r\n"));
    format!("{first}\r\n{}\r\n", lines.collect::<String>()).into_bytes()
}
