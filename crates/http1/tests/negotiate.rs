//! Which coding a request accepts, which responses may be encoded, and what their header becomes,
//! by tables. No content is encoded here.
#![allow(clippy::unwrap_used)]

use http1::{
    Allowed, Content, Method, Progress, RequestHead, ResponseEdit, ResponseFraming, ResponseHead,
    accepted, allowed, is_in_range, write_response,
};

const LIMITS: http1::Limits =
    http1::Limits { head_bytes_max: 8192, headers_max: 100, target_bytes_max: 4096 };
const OURS: [&str; 3] = ["zstd", "br", "gzip"];

#[test]
fn what_a_request_accepts() {
    let check = |lines: &str, expected: &str| {
        let input = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        assert_eq!(head.advance(input.as_bytes(), &LIMITS), Ok(Progress::Complete), "{lines}");
        let index = accepted(input.as_bytes(), &head, OURS);
        assert_eq!(index.map_or("-", |index| OURS[index]), expected, "{lines}");
    };
    check("", "-");
    let check = |value: &str, expected| check(&format!("Accept-Encoding: {value}\r\n"), expected);
    check("", "-");
    check("gzip", "gzip");
    check("GZIP", "gzip");
    check("x-gzip", "gzip");
    check("gzip, deflate, br, zstd", "zstd");
    check("gzip, br", "br");
    check("gzip;q=1.0, br;q=0.9, zstd;q=0.899", "gzip");
    check("gzip ; q=0.5 ,br\t;\tQ=0.5", "br");
    check("gzip;q=0", "-");
    check("gzip;q=0.000, br;q=0.001", "br");
    check("deflate, compress, exi, pack200-gzip, br2", "-");
    check("*", "zstd");
    check("*;q=0.5, gzip", "gzip");
    check("zstd;q=0, *", "br");
    check("*;q=0", "-");
    check("*;q=0, gzip", "gzip");
    check("identity", "-");
    check("identity, gzip", "gzip");
    check("identity;q=1, gzip;q=0.5", "-");
    check("identity;q=0.5, gzip;q=0.5", "gzip");
    check("identity;q=0, deflate", "-");
    check("identity;q=0, gzip;q=0.1", "gzip");
    check("gzip;q=2", "-");
    check("gzip;q=1.001", "-");
    check("gzip;q=0.1234", "-");
    check("gzip;q=", "-");
    check("gzip;q=.5", "-");
    check("gzip;q=-1", "-");
    check("gzip;level=9", "-");
    check("gzip;q=1;x", "-");
    check("gzip br", "-");
    check("gzip;q=x, br", "br");
    check("gzip\r\nAccept-Encoding: br", "br");
    check("gzip\r\nX-Y: z\r\naccept-encoding: zstd;q=0.5", "gzip");
    check("gzip\r\nConnection: accept-encoding", "-");
}

fn parse(input: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    let progress = head.advance(input.as_bytes(), &LIMITS);
    assert_eq!(progress, Ok(Progress::Complete), "{input}");
    head
}

#[test]
fn what_a_response_allows() {
    let check_method = |method, status: u16, lines: &str, expected| {
        let input = format!("HTTP/1.1 {status} X\r\n{}\r\n", lines.replace('|', "\r\n"));
        let is_type = |media_type: &[u8]| is_in_range(media_type, "text/*");
        let got = allowed(input.as_bytes(), &parse(&input), method, is_type, 100);
        assert_eq!(got, expected, "{input}");
    };
    let check = |status, lines: &str, expected| {
        check_method(Method::Get, status, &format!("Content-Type: text/html|{lines}"), expected);
    };
    use Allowed::{Encode, Nothing, Vary};
    check(200, "", Encode);
    check(200, "Content-Length: 100|", Encode);
    check(200, "Content-Length: 99|", Vary);
    check(200, "Content-Length: 0|", Vary);
    check(200, "Transfer-Encoding: chunked|", Encode);
    check(201, "", Encode);
    check(203, "", Encode);
    check(204, "", Nothing);
    check(206, "Content-Range: bytes 0-999/2000|Content-Length: 1000|", Vary);
    check(200, "Content-Range: bytes 0-999/2000|", Vary);
    check(304, "", Vary);
    check(301, "", Nothing);
    check(404, "", Nothing);
    check(500, "", Nothing);
    check(200, "Content-Encoding: gzip|", Nothing);
    check(200, "content-encoding: x, identity|", Nothing);
    check(200, "Content-Encoding: identity|", Encode);
    check(200, "Cache-Control: no-cache, No-Transform|", Nothing);
    check(200, "Cache-Control: public|Cache-Control: no-transform|", Nothing);
    check(200, "Cache-Control: private, max-age=1|", Encode);
    check(200, "Digest: sha-256=x|", Nothing);
    check(200, "Content-Digest: sha-256=:x:|", Nothing);
    check(200, "Repr-Digest: sha-256=:x:|", Nothing);
    check(200, "CONTENT-MD5: x|", Nothing);
    check(200, "Trailer: Server-Timing, content-digest|Transfer-Encoding: chunked|", Nothing);
    check(200, "Trailer: Server-Timing|Transfer-Encoding: chunked|", Encode);
    let html = "Content-Type: text/html|Content-Length: 1000|";
    check_method(Method::Head, 200, html, Vary);
    check_method(Method::Other, 200, html, Encode);
    let check = |lines, expected| check_method(Method::Get, 200, lines, expected);
    check("", Nothing);
    check("Content-Type: image/png|", Nothing);
    check("Content-Type:|", Nothing);
    check("Content-Type: TEXT/Plain ; charset=utf-8|", Encode);
    check("X-Content-Type: text/html|", Nothing);
    check("Content-Type: text/html|X-A-Very-Long-Name-Of-A-Field: x|", Encode);
    check_method(Method::Get, 304, "", Vary);
}

#[test]
fn ranges_of_types() {
    let check = |media_type: &str, range, expected| {
        assert_eq!(is_in_range(media_type.as_bytes(), range), expected, "{media_type} {range}");
    };
    check("text/html", "text/html", true);
    check("Text/HTML", "text/html", true);
    check("text/html", "text/*", true);
    check("text/", "text/*", false);
    check("text", "text/*", false);
    check("texts/html", "text/*", false);
    check("application/ld+json", "application/*+json", true);
    check("application/+json", "application/*+json", false);
    check("application/json", "application/*+json", false);
    check("image/svg+xml", "application/*+xml", false);
    check("application/jsonp", "application/json", false);
}

#[test]
fn the_header_is_true_of_what_the_client_gets() {
    let check = |content, lines: &str, expected: &str| {
        let input = format!("HTTP/1.1 200 OK\r\n{}\r\n", lines.replace('|', "\r\n"));
        let framing = match content {
            Content::Encoded(_) => ResponseFraming::Chunked,
            Content::AsSent | Content::Varies => ResponseFraming::AsSent,
        };
        let edit = ResponseEdit { framing, content, ..ResponseEdit::plain() };
        let mut out = Vec::new();
        write_response(&mut out, input.as_bytes(), &parse(&input), &edit);
        let got = String::from_utf8(out).unwrap();
        let got = got.strip_prefix("HTTP/1.1 200 OK\r\n").unwrap();
        assert_eq!(got.replace("\r\n", "|"), format!("{expected}|"), "{lines}");
    };
    let gzip = Content::Encoded("gzip");
    let added = "Content-Encoding: gzip|Vary: Accept-Encoding|Transfer-Encoding: chunked|";
    check(gzip, "A: b|Content-Length: 5|C: d|", &format!("A: b|C: d|{added}"));
    check(gzip, "Accept-Ranges: bytes|content-encoding: identity|A: b|", &format!("A: b|{added}"));
    let with = |more: &str| added.replace("Vary", &format!("{more}|Vary"));
    check(gzip, "ETag: \"a\"|A: b|", &format!("A: b|{}", with("ETag: W/\"a\"")));
    check(gzip, "etag:  W/\"a\" |", &with("ETag: W/\"a\""));
    check(gzip, "Connection: etag|ETag: \"a\"|", added);
    let without = added.replace("Vary: Accept-Encoding|", "");
    check(gzip, "Vary: *|", &format!("Vary: *|{without}"));
    let vary = "Vary: origin, accept-ENCODING|";
    check(gzip, vary, &format!("{vary}{without}"));
    check(gzip, "Vary: Origin|", &format!("Vary: Origin|{added}"));
    let plain = "ETag: \"a\"|Accept-Ranges: bytes|Content-Length: 5|";
    check(Content::Varies, plain, &format!("{plain}Vary: Accept-Encoding|"));
    check(Content::AsSent, plain, plain);
}
