//! Where a message ends: HEAD, 204, 304, HTTP/1.0, chunks for one side and not for the other.
//! Contents of some size are for `bodies`.

use testkit::{Framing, Response, Vanished};

use crate::instance::{Instance, connect, exchange, head, send};
use crate::plane::Plane;

#[tokio::test]
async fn a_response_without_a_body_leaves_the_connection_open_on_both_sides() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "HEAD /first HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut wire = instance.asked().await;
    let mut check = async |response: &str, expected: &str, next: &str| {
        send(&mut wire, response).await;
        assert_eq!(head(&mut client).await, expected);
        send(&mut client, format!("{next} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert!(head(&mut wire).await.starts_with(next), "{response}");
    };
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
    check(length, length, "HEAD /second").await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(chunked, "HTTP/1.1 200 OK\r\n\r\n", "HEAD /third").await;
    check("HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "GET /fourth").await;
    let empty = "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n";
    check(empty, empty, "GET /fifth").await;
    let unchanged = "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n";
    check(unchanged, unchanged, "POST /sixth").await;
    let nothing = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    check(nothing, nothing, "GET /last").await;
}

#[tokio::test]
async fn a_body_until_close_comes_chunked_and_the_connection_is_kept() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    for _ in 0..2 {
        let answered = async || {
            let mut wire = instance.asked().await;
            send(&mut wire, "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello").await;
            send(&mut wire, ", world").await;
        };
        let (response, ()) = tokio::join!(client.get("/"), answered());
        let response = response.unwrap();
        assert_eq!(
            (response.text().as_str(), response.framing),
            ("hello, world", Framing::Chunked)
        );
        assert_eq!(response.fields.all("connection"), [""; 0]);
    }
}

/// What a client of this version gets for what an instance sends before it closes.
async fn answer(request: &str, response: &str) -> Response {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    client.send(request).await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, response).await;
    drop(wire);
    let response = client.response().await.unwrap();
    if response.fields.all("connection") == ["close"] {
        assert_eq!(client.vanished().await.unwrap(), Vanished::Closed, "{request}");
    }
    response
}

#[tokio::test]
async fn http_1_0_gets_bytes_until_close_where_the_length_is_unknown() {
    let keep_alive = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let check = async |response: &str, framing, connection: &str| {
        let response = answer(keep_alive, response).await;
        assert_eq!((response.text().as_str(), response.framing), ("hello", framing));
        assert_eq!(response.fields.get("connection"), Some(connection));
        assert_eq!(response.fields.get("transfer-encoding"), None);
    };
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n";
    check(chunks, Framing::Close, "close").await;
    check("HTTP/1.1 200 OK\r\n\r\nhello", Framing::Close, "close").await;
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    check(length, Framing::Length(5), "keep-alive").await;
}

#[tokio::test]
async fn an_http_1_0_connection_is_kept_only_if_the_client_says_so() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let answered = async |count: usize| {
        let mut wire = instance.accept().await;
        for _ in 0..count {
            wire.raw_head().await.unwrap();
            send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        wire
    };
    let request = "GET / HTTP/1.0\r\n\r\n";
    let (got, _wire) = tokio::join!(exchange(plane.addr(), request), answered(1));
    assert_eq!(got, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let instance = Instance::start().await;
    plane.publish(&[plane.endpoint(instance.addr())]);
    let mut client = plane.client().await;
    let twice = async {
        for _ in 0..2 {
            let request = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
            client.send(request).await.unwrap();
            let response = client.response().await.unwrap();
            assert_eq!(response.fields.get("connection"), Some("keep-alive"));
        }
    };
    let answered = async {
        let mut wire = instance.accept().await;
        for _ in 0..2 {
            wire.raw_head().await.unwrap();
            send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        wire
    };
    tokio::join!(twice, answered);
}

#[tokio::test]
async fn an_instance_that_speaks_http_1_0_is_not_asked_twice_on_one_connection() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    for _ in 0..2 {
        let answered = async {
            let mut wire = instance.asked().await;
            send(&mut wire, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            wire
        };
        let (response, _wire) = tokio::join!(client.get("/"), answered);
        let response = response.unwrap();
        assert_eq!((response.version.as_str(), response.text().as_str()), ("HTTP/1.1", "ok"));
    }
}

#[tokio::test]
async fn bytes_behind_a_response_never_become_the_next_one() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    let stray = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
        Content-Length: 4\r\n\r\nevil";
    for _ in 0..2 {
        let answered = async {
            let mut wire = instance.asked().await;
            send(&mut wire, stray).await;
            wire
        };
        let (response, _wire) = tokio::join!(client.get("/"), answered);
        assert_eq!(response.unwrap().text(), "ok");
    }
}
