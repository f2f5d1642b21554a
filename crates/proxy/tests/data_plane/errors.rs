//! Every answer that Herder gives itself: status line, label, connection and one sentence.
//! What leads to those that need time is for `limits`, `waiting` and `retries`.

use testkit::{HttpOrigin, Reply};

use crate::instance::{Refusing, connect, head, send};
use crate::plane::{Plane, SOON, Setup};

/// What is expected of an answer.
struct Refusal<'a> {
    line: &'a str,
    label: &'a str,
    connection: &'a str,
    text: &'a str,
}

/// Checks the answer to a request, byte for byte, and what becomes of the connection.
async fn check(plane: &Plane, request: &str, expected: Refusal<'_>) {
    let Refusal { line, label, connection, text } = expected;
    let mut client = connect(plane.addr()).await;
    send(&mut client, request).await;
    let head = head(&mut client).await;
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.starts_with("X-Request-Id: "));
    let length = format!("Content-Length: {}", text.len() + 1);
    let label = format!("Herder-Error: {label}");
    let connection_line = format!("Connection: {connection}");
    let plain = "Content-Type: text/plain; charset=utf-8";
    let mut fields = vec![line, plain, &length, &label, &connection_line];
    if line.starts_with("HTTP/1.1 503") {
        fields.push("Retry-After: 1");
    }
    assert_eq!(lines, fields, "{request}");
    if !request.starts_with("HEAD") {
        let body = client.bytes(text.len() + 1).await.unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), format!("{text}\n"), "{request}");
    }
    if connection == "close" {
        assert_eq!(client.to_end().await.unwrap(), b"", "{request}");
    } else {
        send(&mut client, "junk\r\n").await;
        let end = String::from_utf8(client.to_end().await.unwrap()).unwrap();
        assert!(end.starts_with("HTTP/1.1 400 "), "{request}: {end}");
    }
}

/// An answer after which the connection is closed.
fn closing<'a>(line: &'a str, label: &'a str, text: &'a str) -> Refusal<'a> {
    Refusal { line, label, connection: "close", text }
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_answered_and_the_connection_closed() {
    let plane = Setup::default().start();
    let malformed = async |request: &str, text: &str| {
        let expected = closing("HTTP/1.1 400 Bad Request", "malformed_request", text);
        check(&plane, request, expected).await;
    };
    let line = "the request line is not `METHOD TARGET HTTP/1.1`";
    malformed("\x16\x03\x01", line).await;
    malformed("GET /\r\n", line).await;
    malformed("GET / HTTP/1.1\n", "a line ends in LF without CR").await;
    malformed("GET / HTTP/1.1\r\n\r\n", "the Host header is missing").await;
    let two = "there is more than one Host header";
    malformed("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", two).await;
    let both = "there are both Content-Length and Transfer-Encoding";
    let codings = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    malformed(&format!("POST / HTTP/1.1\r\nHost: a\r\n{codings}"), both).await;
    let version = "the protocol version is neither HTTP/1.0 nor HTTP/1.1";
    let expected =
        closing("HTTP/1.1 505 HTTP Version Not Supported", "version_unsupported", version);
    check(&plane, "GET / HTTP/2.0\r\n\r\n", expected).await;
    let expected =
        closing("HTTP/1.1 501 Not Implemented", "connect_unsupported", "CONNECT is not supported");
    check(&plane, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", expected).await;
}

#[tokio::test]
async fn a_head_beyond_its_limits_is_answered_and_the_connection_closed() {
    let mut setup = Setup::default();
    setup.limits.head_bytes_max = 1000;
    setup.limits.headers_max = 3;
    setup.limits.target_bytes_max = 100;
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let plane = setup.serving([origin.addr()]);
    let long = "HTTP/1.1 431 Request Header Fields Too Large";
    let request = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let fitting = [
        request(&format!("X: {}\r\n", "x".repeat(1000 - 32))),
        request("A: b\r\nC: d\r\n"),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(99)),
    ];
    for request in fitting {
        let mut client = plane.client().await;
        client.send(&request).await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 200, "{} bytes", request.len());
    }
    let head = request(&format!("X: {}\r\n", "x".repeat(1000 - 31)));
    check(&plane, &head, closing(long, "head_too_long", "the head is too long")).await;
    let endless = request(&"x".repeat(200_000));
    check(&plane, &endless, closing(long, "head_too_long", "the head is too long")).await;
    let many = request("A: b\r\nC: d\r\nE: f\r\n");
    check(&plane, &many, closing(long, "head_too_long", "there are too many headers")).await;
    let target = |bytes| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes));
    for bytes in [100, 2000, 200_000] {
        let text = "the request target is too long";
        let expected = closing("HTTP/1.1 414 URI Too Long", "target_too_long", text);
        check(&plane, &target(bytes), expected).await;
    }
}

#[tokio::test]
async fn a_request_that_leads_nowhere_is_answered_and_the_connection_kept() {
    let plane = Setup::default().start();
    plane.publish_nothing();
    let expected = |connection| Refusal {
        line: "HTTP/1.1 404 Not Found",
        label: "no_route",
        connection,
        text: "no service is configured for this host and path",
    };
    check(&plane, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", expected("keep-alive")).await;
    check(&plane, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", expected("keep-alive")).await;
    check(&plane, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", expected("keep-alive")).await;
    check(&plane, "GET / HTTP/1.0\r\n\r\n", expected("close")).await;
    check(&plane, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", expected("close"))
        .await;
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}");
    check(&plane, &post("Content-Length: 2\r\n\r\nhi"), expected("keep-alive")).await;
    let chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    check(&plane, &post(chunks), expected("keep-alive")).await;
    check(&plane, &post("Transfer-Encoding: chunked\r\n\r\n2\r\nhi"), expected("close")).await;
    check(&plane, &post("Content-Length: 99999999\r\n\r\n"), expected("close")).await;
    let expecting = "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    check(&plane, &post(expecting), expected("close")).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_however_it_is_framed() {
    let origin = HttpOrigin::echo("a").await;
    let mut setup = Setup::default();
    setup.policy.body_bytes_max = 10;
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    assert_eq!(client.post("/", "0123456789").await.unwrap().status, 200);
    let expected = || {
        let text = "the request body is larger than this service allows";
        closing("HTTP/1.1 413 Content Too Large", "body_too_large", text)
    };
    let request = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}");
    check(&plane, &request("Content-Length: 11\r\n\r\n"), expected()).await;
    let expecting = request("Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n");
    check(&plane, &expecting, expected()).await;
    let chunks = "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n6\r\nfghijk\r\n";
    check(&plane, &request(chunks), expected()).await;
}

#[tokio::test]
async fn an_instance_that_fails_is_answered_for_and_the_connection_kept() {
    let mut setup = Setup::default();
    setup.queue.timeout_wait = SOON;
    setup.policy.timeout_response = SOON;
    let plane = setup.start();
    let kept = |line, label, text| Refusal { line, label, connection: "keep-alive", text };
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let none = "no instance of the service is ready";
    let expected = kept("HTTP/1.1 503 Service Unavailable", "no_instance", none);
    check(&plane, request, expected).await;
    let refusing = Refusing::new();
    plane.publish(&[plane.endpoint(refusing.addr())]);
    let refused = "the instance refused the connection";
    check(&plane, request, kept("HTTP/1.1 502 Bad Gateway", "connect_refused", refused)).await;
    let silent = HttpOrigin::start("a", |_| Reply::echo().delay(SOON * 100)).await;
    plane.publish(&[plane.endpoint(silent.addr())]);
    let late = "the instance did not answer in time";
    check(&plane, request, kept("HTTP/1.1 504 Gateway Timeout", "response_timeout", late)).await;
    let dying = HttpOrigin::start("a", |_| Reply::echo().cut(0)).await;
    plane.publish(&[plane.endpoint(dying.addr())]);
    let reset = "the instance closed the connection before it answered";
    check(&plane, request, kept("HTTP/1.1 502 Bad Gateway", "instance_reset", reset)).await;
}

#[tokio::test]
async fn a_response_that_is_none_is_answered_for_and_not_retried() {
    use crate::instance::Instance;
    let instance = Instance::start().await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let bad = async |response: &str, why: &str| {
        let text = format!("the instance sent a malformed response: {why}");
        let expected = Refusal {
            line: "HTTP/1.1 502 Bad Gateway",
            label: "bad_response",
            connection: "keep-alive",
            text: &text,
        };
        let answered = async {
            let mut wire = instance.asked().await;
            send(&mut wire, response).await;
            wire
        };
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        tokio::join!(check(&plane, request, expected), answered);
    };
    bad("SSH-2.0-x\r\n", "the status line is not `HTTP/1.1 STATUS REASON`").await;
    bad("HTTP/1.1 200 OK\nA: b\n\n", "a line ends in LF without CR").await;
    let lengths = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    bad(lengths, "Content-Length is malformed or given more than once").await;
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    bad(upgrade, "the protocol was switched without being asked to").await;
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    bad(chunk, "a chunk is malformed").await;
    for bytes in [64 * 1024 + 1, 100 * 1024] {
        let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(bytes - 20));
        bad(&head, "the head is too long").await;
    }
    assert_eq!((endpoint.requests(), endpoint.failures()), (7, 7));
}
