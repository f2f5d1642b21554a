//! A connection that has served a message serves the next one without allocating.
//! How fast that is, is for the benchmarks.
#![allow(clippy::unwrap_used)]

use allocation_counter::measure;
use http1::{
    Body, Direction, Facts, FieldRule, FieldRules, Framing, Limits, Method, Piece, Progress,
    RequestEdit, RequestHead, ResponseEdit, ResponseFraming, ResponseHead, Rewrite, Ruled, Ruling,
    Upgrade, write_chunk_start, write_informational, write_request, write_response,
};

const LIMITS: Limits = Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 4096 };

const REQUEST: &[u8] = b"POST http://shop.example:8080/cart?item=7 HTTP/1.1\r\n\
    Host: shop.example:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
    Accept: text/html,application/xhtml+xml;q=0.9\r\nCookie: session=0123456789abcdef\r\n\
    Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 192.0.2.9\r\n\
    Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
const IPV6: &[u8] = b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: shop\r\nConnection: close, X-Hop\r\n\
    X-Hop: 1\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
const BODY: &[u8] = b"5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 7\r\nTE: a\r\n\r\n";
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n";

/// What a connection keeps between messages.
#[derive(Default)]
struct Connection {
    request: RequestHead,
    response: ResponseHead,
    out: Vec<u8>,
    /// What rules put onto a response.
    lines: Vec<u8>,
    /// The rules of a service: for requests, for responses, for paths.
    rules: Option<(FieldRules, FieldRules, Rewrite)>,
}

/// Rules of every kind but for patterns.
fn rules() -> (FieldRules, FieldRules, Rewrite) {
    let rules = [
        FieldRule::Remove("Cookie"),
        FieldRule::Set("X-Asked", "{path} of {host} by {client}, {request_id}"),
        FieldRule::Add("X-Instance", "{instance}"),
    ];
    let of = |direction| FieldRules::new(direction, &rules).unwrap();
    let rewrite = Rewrite::new("/cart", None, "/v1").unwrap();
    (of(Direction::Request), of(Direction::Response), rewrite)
}

/// Rules with what they are to say.
fn ruling(rules: &FieldRules) -> Ruling<'_> {
    let facts = Facts {
        client: b"192.0.2.1",
        host: b"shop.example",
        path: b"/cart?item=7",
        request_id: b"0123456789abcdef",
        instance: b"shop.3",
        service: b"shop",
        scheme: b"https",
    };
    Ruling { rules, facts }
}

impl Connection {
    /// One message of each kind, each arriving in two pieces.
    fn serve(&mut self) {
        for input in [REQUEST, IPV6] {
            self.request.clear();
            self.out.clear();
            let half = &input[..input.len() / 2];
            let progress = self.request.advance(half, &LIMITS);
            assert!(progress == Ok(Progress::Partial));
            let progress = self.request.advance(input, &LIMITS);
            assert!(progress == Ok(Progress::Complete));
            let path = self.request.path(input);
            let rewrite = self.rules.as_ref().map(|(.., rewrite)| rewrite);
            let rewritten = rewrite.map(|rewrite| rewrite.apply(path, 4096).unwrap());
            let edit = RequestEdit {
                scheme: b"https",
                request_id: Some(b"0123456789abcdef"),
                upgrade: Upgrade::Pass,
                ruling: self.rules.as_ref().map(|(rules, ..)| ruling(rules)),
                rewritten: rewritten.as_ref(),
                ..RequestEdit::plain(b"192.0.2.1", b"192.0.2.9:81")
            };
            write_request(&mut self.out, input, &self.request, &edit);
        }
        for input in [HINTS, RESPONSE] {
            self.response.clear();
            self.out.clear();
            let half = &input[..input.len() / 2];
            let progress = self.response.advance(half, &LIMITS);
            assert!(progress == Ok(Progress::Partial));
            let progress = self.response.advance(input, &LIMITS);
            assert!(progress == Ok(Progress::Complete));
            if self.response.is_informational() {
                write_informational(&mut self.out, input, &self.response);
                continue;
            }
            assert!(self.response.framing(Method::Get) == Framing::Chunked);
            let rules = self.rules.as_ref().map(|(_, rules, _)| rules);
            self.lines.clear();
            if let Some(rules) = rules {
                ruling(rules).write(&mut self.lines);
            }
            let edit = ResponseEdit {
                keep_alive: false,
                framing: ResponseFraming::Chunked,
                ruled: rules.map(|rules| Ruled { rules, lines: &self.lines }),
                ..ResponseEdit::plain()
            };
            write_response(&mut self.out, input, &self.response, &edit);
        }
        self.relay_body();
        self.request.clear();
        assert!(self.request.advance(REFUSED, &LIMITS).is_err());
    }

    fn relay_body(&mut self) {
        let mut body = Body::new(Framing::Chunked);
        let mut at = 0;
        loop {
            match body.next(&BODY[at..]).unwrap() {
                Piece::Data(bytes) => {
                    write_chunk_start(&mut self.out, bytes);
                    self.out.extend_from_slice(&BODY[at..at + bytes]);
                    at += bytes;
                }
                Piece::Frame(bytes) => {
                    self.out.extend_from_slice(&BODY[at..at + bytes]);
                    at += bytes;
                }
                Piece::Skip(bytes) => at += bytes,
                Piece::More => panic!("the body is whole"),
                Piece::End => return,
            }
        }
    }
}

#[test]
fn nothing_is_allocated_after_the_first_round() {
    for rules in [None, Some(rules())] {
        let mut connection = Connection { rules, ..Connection::default() };
        let first = measure(|| connection.serve());
        assert!(first.count_total > 0, "the counter counts");
        let later = measure(|| (0..1000).for_each(|_| connection.serve()));
        assert_eq!(later.count_total, 0, "{later:?}");
    }
}

#[test]
fn a_connection_that_serves_nothing_holds_nothing() {
    let mut connection = None;
    let idle = measure(|| connection = Some(Connection::default()));
    assert!(connection.is_some());
    assert_eq!(idle.count_total, 0, "{idle:?}");
}
