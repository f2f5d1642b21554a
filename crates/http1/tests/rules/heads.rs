//! The table of header rules, on requests and on responses, and `Host`.
//! Which rules there cannot be is for `refused`.

use http1::{Direction, Known};

use crate::rows::{Row, rows};
use crate::{Written, request, ruled_request, ruled_response, rules};

/// The rules of a row, in the order of its lines.
fn written(row: &Row) -> Vec<Written> {
    let field = |text: &str| {
        let (name, value) = text.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    let removed = row.texts('-').map(|name| Written::Remove(name.to_owned()));
    let set = row.texts('~').map(field).map(|(name, value)| Written::Set(name, value));
    let added = row.texts('+').map(field).map(|(name, value)| Written::Add(name, value));
    // The order in which they are written does not matter.
    added.chain(set).chain(removed).collect()
}

#[test]
fn requests_of_the_table() {
    for row in rows(include_str!("../tables/rules/heads.txt")) {
        assert!(row.text('>').is_some() && row.text('=').is_some(), "{}", row.title);
        let rules = rules(Direction::Request, &written(&row));
        let fields = row.bytes('>');
        let input = [b"GET /p?q HTTP/1.1\r\nHost: a.example\r\n", &fields[..], b"\r\n"].concat();
        let got = ruled_request(&input, Some(&rules), None);
        let head = request(&got);
        assert_eq!(head.len(), got.len(), "{}", row.title);
        let of_rules = |name: &[u8]| Known::of(name) == Known::Other;
        let kept = head.fields().iter().filter(|field| of_rules(field.name.of(&got)));
        let kept: Vec<u8> =
            kept.flat_map(|field| got[field.name.start..field.line_end].to_vec()).collect();
        let want = row.bytes('=');
        assert_eq!(
            kept.escape_ascii().to_string(),
            want.escape_ascii().to_string(),
            "{}",
            row.title
        );
    }
}

#[test]
fn responses_of_the_table() {
    for row in rows(include_str!("../tables/rules/heads.txt")) {
        let rules = rules(Direction::Response, &written(&row));
        let fields = row.bytes('>');
        let input = [b"HTTP/1.1 204 No\r\n", &fields[..], b"\r\n"].concat();
        let got = ruled_response(&input, Some(&rules));
        let want = [b"HTTP/1.1 204 No\r\n", &row.bytes('=')[..], b"\r\n"].concat();
        assert_eq!(
            got.escape_ascii().to_string(),
            want.escape_ascii().to_string(),
            "{}",
            row.title
        );
    }
}

#[test]
fn a_host_that_is_set_is_the_only_one_and_the_first_field() {
    let rules = rules(Direction::Request, &[Written::Set("host".into(), "b.example:81".into())]);
    for input in [
        "GET / HTTP/1.1\r\nX-A: 1\r\nHost: a.example\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\n\r\n",
        "GET http://a.example/ HTTP/1.0\r\nX-A: 1\r\n\r\n",
    ] {
        let got = String::from_utf8(ruled_request(input.as_bytes(), Some(&rules), None)).unwrap();
        let want = "GET / HTTP/1.1\r\nHost: b.example:81\r\nX-A: 1\r\n\
            X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
            X-Forwarded-Host: a.example\r\nX-Request-Id: 7f\r\n\r\n";
        assert_eq!(got, want, "{input}");
    }
}

#[test]
fn a_client_cannot_have_a_field_of_a_rule_taken_off() {
    let rules = rules(Direction::Request, &[Written::Set("X-User".into(), "alice".into())]);
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-user, X-User\r\nX-User: evil\r\n\r\n";
    let got = String::from_utf8(ruled_request(input, Some(&rules), None)).unwrap();
    assert_eq!(got.matches("X-User: ").count(), 1, "{got}");
    assert!(got.contains("\r\nX-User: alice\r\n") && !got.contains("Connection"), "{got}");
}
