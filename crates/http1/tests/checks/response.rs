//! What must hold of any bytes that an instance sends as a head: the second reader sees the same,
//! and what is written of a good head says the same and is legal.
//! What a head means is the reader's to say.

use http1::{
    Content, Framing, Limits, Method, Progress, ResponseEdit, ResponseFraming, ResponseHead,
    Version, Via, write_informational, write_response, write_switch,
};

use crate::head::{Bounds, Field, lower, shown};
use crate::response::{Body, Response, read};
use crate::responses::{Case, outcome};
use crate::splits::splits;
use crate::written::{Line, judge_lines, lines};

/// The usual bounds, and some that a short head meets.
const BOUNDS: [Bounds; 3] = [
    Bounds { head: 8192, headers: 100, target: 0 },
    Bounds { head: 64, headers: 3, target: 0 },
    Bounds { head: 24, headers: 1, target: 0 },
];
const UNBOUNDED: Bounds = Bounds { head: usize::MAX, headers: usize::MAX, target: 0 };

/// Panics if something does not hold.
pub(crate) fn check(input: &[u8]) {
    for bounds in &BOUNDS {
        for method in [Method::Get, Method::Head] {
            agree(input, bounds, method);
        }
    }
    let Ok(response) = read(input, &BOUNDS[0]) else { return };
    let mut head = ResponseHead::default();
    let progress = head.advance(input, &limits(&BOUNDS[0]));
    assert_eq!(progress, Ok(Progress::Complete), "{}", shown(input));
    match response.status {
        101 => {
            let mut out = Vec::new();
            write_switch(&mut out, input, &head, b"");
            judge_switch(&response, &out);
        }
        100..200 => {
            let mut out = Vec::new();
            write_informational(&mut out, input, &head);
            judge_written(&response, &out, &[]);
        }
        _ => final_responses(input, &response, &head),
    }
}

/// Both readers say the same, however the bytes arrive.
fn agree(input: &[u8], bounds: &Bounds, method: Method) {
    let want = match read(input, bounds) {
        Ok(response) => response.describe(input, method == Method::Head),
        Err(refusal) => refusal.to_owned(),
    };
    let case = Case {
        title: String::new(),
        input: input.to_owned(),
        method,
        limits: limits(bounds),
        want: String::new(),
    };
    for ends in splits(input) {
        let got = outcome(&case, ends.iter().copied());
        assert_eq!(got, want, "{} in {} pieces", shown(input), ends.len());
    }
}

fn limits(bounds: &Bounds) -> Limits {
    Limits { head_bytes_max: bounds.head, headers_max: bounds.headers, target_bytes_max: 0 }
}

/// In every form that a client may get this response in.
fn final_responses(input: &[u8], response: &Response, head: &ResponseHead) {
    let framings: &[ResponseFraming] = match head.framing(Method::Get) {
        Framing::None | Framing::Length(_) => &[ResponseFraming::AsSent],
        Framing::Chunked | Framing::UntilClose => {
            &[ResponseFraming::Chunked, ResponseFraming::Close]
        }
    };
    for &framing in framings {
        let body = match (framing, response.body(false)) {
            (ResponseFraming::AsSent, body) => body,
            (ResponseFraming::Chunked, _) => Body::Chunked,
            (ResponseFraming::Close, _) => Body::UntilClose,
        };
        for (client, keep_alive, connection) in [
            (Version::Http11, true, None),
            (Version::Http10, true, Some("keep-alive")),
            (Version::Http11, false, Some("close")),
        ] {
            let edit = ResponseEdit {
                client,
                keep_alive,
                framing,
                via: Via::Add,
                content: Content::AsSent,
                ruled: None,
                own_lines: b"",
            };
            let mut out = Vec::new();
            write_response(&mut out, input, head, &edit);
            let version = if response.is_http10 { "1.0" } else { "1.1" };
            let via = ("via".to_owned(), format!("{version} herder"));
            let written = judge_written(response, &out, &[via]);
            assert_eq!(written.section.list("connection"), Vec::from_iter(connection));
            if response.status != 304 {
                assert_eq!(written.body(false), body, "{}", shown(&out));
            }
        }
    }
}

/// What was written is a head of HTTP/1.1 with the same status and the same fields, and `added`.
fn judge_written(response: &Response, out: &[u8], added: &[Line]) -> Response {
    let about = shown(out);
    let written = read(out, &UNBOUNDED).unwrap_or_else(|refusal| panic!("{refusal}: {about}"));
    judge_lines(out);
    assert_eq!(written.bytes, out.len(), "{about}");
    assert!(!written.is_http10, "{about}");
    assert_eq!(written.status, response.status, "{about}");
    // A space behind the code is part of the grammar, with a reason or without.
    let is_bare = response.words.len() == 3;
    let space: &[u8] = if is_bare { b" " } else { b"" };
    assert_eq!(written.words, [&response.words, space].concat(), "{about}");
    let has_length = written.section.length().is_some();
    assert!(!(has_length && (response.status < 200 || response.status == 204)), "{about}");
    assert!(!(has_length && written.section.is_chunked()), "{about}");
    let mut wanted = plain(response, |field| !field.is_hop && !is_framing(field));
    wanted.extend_from_slice(added);
    assert_eq!(plain(&written, |field| !is_framing(field)), wanted, "{about}");
    if has_length {
        assert_eq!(written.section.length(), response.section.length(), "{about}");
    }
    written
}

/// A switch names the protocol that follows, and has no body.
fn judge_switch(response: &Response, out: &[u8]) {
    let about = shown(out);
    let written = read(out, &UNBOUNDED).unwrap_or_else(|refusal| panic!("{refusal}: {about}"));
    judge_lines(out);
    assert_eq!((written.status, written.bytes), (101, out.len()), "{about}");
    assert_eq!(written.section.list("connection"), ["upgrade"], "{about}");
    assert_eq!(written.section.values("upgrade"), response.section.values("upgrade"), "{about}");
    assert_eq!(written.section.length(), None, "{about}");
    assert!(!written.section.is_chunked(), "{about}");
}

fn is_framing(field: &Field) -> bool {
    let name = lower(&field.name);
    ["connection", "content-length", "transfer-encoding"].contains(&name.as_str())
}

fn plain(response: &Response, is_asked: impl Fn(&Field) -> bool) -> Vec<Line> {
    lines(&response.section.fields, is_asked)
}
