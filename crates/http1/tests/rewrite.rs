//! Heads as they go out: what is taken off, what is put on, and that all else stays as it came.
//! Whether a head is good is asked in other tests; every head here is.
#![allow(clippy::unwrap_used)]

use heads::{Line, Response};
use http1::{
    Framing, Method, Progress, RequestEdit, RequestHead, ResponseEdit, ResponseFraming,
    ResponseHead, Upgrade, Version, write_informational, write_request, write_response,
    write_switch,
};
use proptest::prelude::*;
use proptest::sample::select;

#[path = "generated/heads.rs"]
mod heads;
#[path = "tables/rows.rs"]
mod rows;

const LIMITS: http1::Limits =
    http1::Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 4096 };

/// RFC 9110, 7.6.1, and Keep-Alive of RFC 9112, C.2.2.
const HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

#[test]
fn requests_of_the_table() {
    for row in rows::rows(include_str!("tables/rewrite/requests.txt")) {
        let id = row.text('i').map(str::as_bytes);
        let upgrade = match row.text('@') {
            Some("upgrade") => Upgrade::Pass,
            Some(other) => panic!("{other}"),
            None => Upgrade::Drop,
        };
        let got = rewrite_request(&row.bytes('>'), id, upgrade).1;
        let want = row.bytes('=');
        assert_eq!(show(&got), show(&want), "{}", row.title);
    }
}

#[test]
fn responses_of_the_table() {
    for row in rows::rows(include_str!("tables/rewrite/responses.txt")) {
        let input = row.bytes('>');
        let words: Vec<&str> = row.text('@').unwrap().split(' ').collect();
        let mut got = Vec::new();
        if let [client, connection, framing] = words[..] {
            let edit = ResponseEdit {
                client: match client {
                    "1.0" => Version::Http10,
                    "1.1" => Version::Http11,
                    other => panic!("{other}"),
                },
                keep_alive: connection == "keep",
                framing: match framing {
                    "as-sent" => ResponseFraming::AsSent,
                    "chunked" => ResponseFraming::Chunked,
                    "by-close" => ResponseFraming::Close,
                    other => panic!("{other}"),
                },
                ..ResponseEdit::plain()
            };
            write_response(&mut got, &input, &parse_response(&input), &edit);
        } else if words == ["switch"] {
            write_switch(&mut got, &input, &parse_response(&input), b"");
        } else {
            assert_eq!(words, ["informational"], "{}", row.title);
            write_informational(&mut got, &input, &parse_response(&input));
        }
        assert_eq!(show(&got), show(&row.bytes('=')), "{}", row.title);
    }
}

#[test]
fn what_is_written_is_added_to_what_was() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = parse_request(input);
    let edit = RequestEdit::plain(b"::1", b"b");
    let mut out = b"before".to_vec();
    write_request(&mut out, input, &head, &edit);
    assert!(out.starts_with(b"beforeGET / HTTP/1.1\r\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_written_request_says_the_same(request in heads::request(), is_new in any::<bool>()) {
        let input = request.wire();
        let had_id = parse_request(&input).request_id();
        let id = (is_new || had_id.is_none()).then_some(&b"new-id"[..]);
        let (before, out) = rewrite_request(&input, id, Upgrade::Drop);
        let after = parse_request(&out);
        prop_assert_eq!(after.len(), out.len());
        for (head, buffer) in [(&before, &input), (&after, &out)] {
            prop_assert_eq!(head.method_span().of(buffer), request.method.as_bytes());
            prop_assert_eq!(head.path(buffer), request.path.as_bytes());
            prop_assert_eq!(head.framing(), request.framing);
        }
        prop_assert_eq!(before.authority().of(&input), request.authority.as_bytes());
        prop_assert_eq!(after.version(), Version::Http11);
        prop_assert_eq!(after.target().of(&out), request.path.as_bytes());

        let want_id = id.unwrap_or_else(|| had_id.unwrap().of(&input));
        let lines = lines(&out);
        prop_assert_eq!(values(&lines, "x-forwarded-for"), ["192.0.2.1"]);
        prop_assert_eq!(values(&lines, "x-forwarded-proto"), ["https"]);
        prop_assert_eq!(values(&lines, "x-request-id"), [text(want_id)]);
        let host = match request.authority.as_str() {
            "" if values(&request.lines, "host").is_empty() => "192.0.2.9:81",
            authority => authority,
        };
        prop_assert_eq!(values(&lines, "host"), [host]);
        prop_assert!(lines.iter().all(|(_, value)| !value.starts_with("  ")), "{:?}", lines);
        prop_assert!(lines.iter().all(|(_, value)| !value.ends_with('\t')), "{:?}", lines);
        let encoding: &[&str] = match request.framing {
            Framing::Chunked => &["chunked"],
            _ => &[],
        };
        prop_assert_eq!(values(&lines, "transfer-encoding"), encoding);
        let hosts: &[&str] = match request.authority.as_str() {
            "" => &[],
            authority => &[authority],
        };
        prop_assert_eq!(values(&lines, "x-forwarded-host"), hosts);
        for name in HOP.into_iter().filter(|name| *name != "transfer-encoding") {
            prop_assert_eq!(values(&lines, name), [""; 0], "{}", name);
        }
        let mut wanted = others(kept(&request.lines));
        if request.is_http10 || request.framing == Framing::None {
            wanted.retain(|(name, _)| !name.eq_ignore_ascii_case("expect"));
        }
        prop_assert_eq!(others(lines), wanted);
    }

    #[test]
    fn a_written_response_says_the_same(
        response in heads::response(),
        is_http10 in any::<bool>(),
        keep_alive in any::<bool>(),
        framing in select(vec![
            ResponseFraming::AsSent,
            ResponseFraming::Chunked,
            ResponseFraming::Close,
        ]),
    ) {
        let client = if is_http10 { Version::Http10 } else { Version::Http11 };
        let edit = ResponseEdit { client, keep_alive, framing, ..ResponseEdit::plain() };
        let input = response.wire();
        let before = parse_response(&input);
        judge_response(&before, &response);
        let mut out = Vec::new();
        write_response(&mut out, &input, &before, &edit);
        let after = parse_response(&out);
        prop_assert_eq!(after.len(), out.len());
        prop_assert_eq!(after.status(), response.status);
        prop_assert_eq!(after.status_span().of(&out), before.status_span().of(&input));
        prop_assert_eq!(after.version(), Version::Http11);

        let lines = lines(&out);
        let connection = match (keep_alive, is_http10) {
            (true, false) => None,
            (true, true) => Some("keep-alive"),
            (false, _) => Some("close"),
        };
        prop_assert_eq!(values(&lines, "connection"), Vec::from_iter(connection));
        let chunked = (framing == ResponseFraming::Chunked).then_some("chunked");
        prop_assert_eq!(values(&lines, "transfer-encoding"), Vec::from_iter(chunked));
        for name in ["keep-alive", "proxy-connection", "te", "upgrade"] {
            prop_assert_eq!(values(&lines, name), [""; 0], "{}", name);
        }
        let may_have_length = framing == ResponseFraming::AsSent
            && response.status >= 200
            && response.status != 204;
        let wanted: Vec<Line> = kept(&response.lines)
            .into_iter()
            .filter(|(name, _)| may_have_length || !name.eq_ignore_ascii_case("content-length"))
            .collect();
        let got = lines.into_iter().filter(|(name, _)| !is_hop(name)).collect::<Vec<_>>();
        prop_assert_eq!(plain(got), plain(wanted));
    }

    #[test]
    fn a_written_informational_response_says_the_same(response in heads::response()) {
        let response = Response { status: 100 + response.status % 100, ..response };
        let input = response.wire();
        let mut out = Vec::new();
        write_informational(&mut out, &input, &parse_response(&input));
        let after = parse_response(&out);
        prop_assert_eq!(after.len(), out.len());
        prop_assert_eq!(after.status(), response.status);
        let is_kept = |line: &Line| !line.0.eq_ignore_ascii_case("content-length");
        let wanted: Vec<Line> = kept(&response.lines).into_iter().filter(is_kept).collect();
        prop_assert_eq!(plain(lines(&out)), plain(wanted));
    }
}

fn parse_request(input: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    let progress = head.advance(input, &LIMITS);
    assert_eq!(progress, Ok(Progress::Complete), "{}", show(input));
    head
}

fn parse_response(input: &[u8]) -> ResponseHead {
    let mut head = ResponseHead::default();
    let progress = head.advance(input, &LIMITS);
    assert_eq!(progress, Ok(Progress::Complete), "{}", show(input));
    head
}

fn rewrite_request(input: &[u8], id: Option<&[u8]>, upgrade: Upgrade) -> (RequestHead, Vec<u8>) {
    let head = parse_request(input);
    let edit = RequestEdit {
        scheme: b"https",
        request_id: id,
        upgrade,
        ..RequestEdit::plain(b"192.0.2.1", b"192.0.2.9:81")
    };
    let mut out = Vec::new();
    write_request(&mut out, input, &head, &edit);
    (head, out)
}

/// The framing that the model has in mind.
fn judge_response(head: &ResponseHead, response: &Response) {
    let want = match (response.is_chunked, response.length) {
        _ if response.status < 200 || [204, 304].contains(&response.status) => Framing::None,
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    };
    assert_eq!(head.framing(Method::Get), want);
    assert_eq!(head.version() == Version::Http10, response.is_http10);
}

/// The field lines of a head, read without the crate: values as sent, spaces included.
fn lines(head: &[u8]) -> Vec<Line> {
    let head = std::str::from_utf8(head).unwrap();
    let head = head.strip_suffix("\r\n\r\n").unwrap();
    let lines = head.split("\r\n").skip(1);
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// The values of all fields of that name.
fn values<'a>(lines: &'a [Line], name: &str) -> Vec<&'a str> {
    let found = lines.iter().filter(|line| line.0.eq_ignore_ascii_case(name));
    found.map(|line| line.1.trim_matches([' ', '\t'])).collect()
}

/// The lines that are for everybody: RFC 9110, 7.6.1.
fn kept(lines: &[Line]) -> Vec<Line> {
    let options = values(lines, "connection").join(",");
    let nominated: Vec<&str> = options
        .split(',')
        .map(|option| option.trim_matches([' ', '\t']))
        .filter(|name| !["host", "content-length"].contains(&name.to_ascii_lowercase().as_str()))
        .collect();
    let is_nominated = |name: &str| nominated.iter().any(|n| n.eq_ignore_ascii_case(name));
    let kept = lines.iter().filter(|(name, _)| !is_hop(name) && !is_nominated(name));
    kept.cloned().collect()
}

/// The values of lines that are for everybody, without the fields that we put on ourselves, and
/// whatever the client sent in their place.
fn others(lines: Vec<Line>) -> Vec<Line> {
    let ours = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("x-forwarded-") || name == "x-request-id" || name == "host"
    };
    let others = lines.into_iter().filter(|(name, _)| !ours(name) && !is_hop(name));
    plain(others.collect())
}

/// Lines without what everybody has to ignore.
fn plain(lines: Vec<Line>) -> Vec<Line> {
    let plain = lines.into_iter().map(|(name, value)| {
        let value = value.trim_matches([' ', '\t']);
        let is_length = name.eq_ignore_ascii_case("content-length");
        let value =
            if is_length { value.parse::<u64>().unwrap().to_string() } else { value.into() };
        (name, value)
    });
    plain.collect()
}

fn is_hop(name: &str) -> bool {
    HOP.contains(&name.to_ascii_lowercase().as_str())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
