//! Responses that are compressed on their way, over real sockets. Which requests and responses
//! allow it is in the tables of the crate `http1`.

use std::time::Duration;

use model::{Coding, Compression};
use testkit::{HttpOrigin, PATIENCE, RawClient, Reply, Response, Wire, decode, wait_for};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::instance::{Instance, connect, head, send};
use crate::plane::{Plane, Setup};

fn compressing() -> Setup {
    let compression = Compression {
        is_on: true,
        codings: [Coding::Zstd, Coding::Brotli, Coding::Gzip].into(),
        bytes_min: 100,
        types: ["text/*".into()].into(),
    };
    Setup { compression, ..Setup::default() }
}

async fn ask(client: &mut RawClient, method: &str, accept: &str) -> Response {
    let request = format!("{method} / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {accept}\r\n\r\n");
    client.send(request).await.unwrap();
    match method {
        "HEAD" => client.response_to_head().await.unwrap(),
        _ => client.response().await.unwrap(),
    }
}

fn text(bytes: usize) -> Vec<u8> {
    (0..).flat_map(|n: u64| format!("{n} sheep, ").into_bytes()).take(bytes).collect()
}

#[tokio::test]
async fn every_coding_in_every_framing_comes_through_and_connections_are_kept() {
    let body = text(300_000);
    let sent = body.clone();
    let origin = HttpOrigin::start("a", move |ask| {
        let reply = match ask.request.target.as_str() {
            "/chunked" => Reply::chunks(sent.chunks(1000), Duration::ZERO),
            _ => Reply::bytes(sent.clone()),
        };
        reply.field("Content-Type", "text/plain").field("ETag", "\"a\"")
    })
    .await;
    let plane = compressing().serving([origin.addr()]);
    let mut client = plane.client().await;
    let mut compressed = 0;
    for coding in ["gzip", "br", "zstd"] {
        for path in ["/length", "/chunked"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n");
            client.send(head + "\r\n").await.unwrap();
            let response = client.response().await.unwrap();
            let fields = &response.fields;
            assert_eq!(fields.get("content-encoding"), Some(coding), "{path}");
            assert_eq!(fields.get("vary"), Some("Accept-Encoding"));
            assert_eq!(fields.get("etag"), Some("W/\"a\""));
            assert_eq!(fields.get("content-length"), None);
            assert!(response.body.len() < body.len() / 2, "{}", response.body.len());
            assert!(decode(coding, &response.body) == (body.clone(), true), "{coding} {path}");
            compressed += response.body.len();
        }
    }
    let series = |name: &str| format!(r#"herder_compression_{name}_bytes_total{{service="shop"}}"#);
    plane.metric_becomes(&series("input"), 6.0 * 300_000.0).await;
    plane.metric_becomes(&series("output"), compressed as f64).await;
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn what_a_client_does_not_accept_stays_as_it_is_and_says_that_it_varies() {
    let origin = HttpOrigin::start("a", |ask| {
        let bytes = if ask.request.target == "/small" { 99 } else { 1000 };
        Reply::bytes(text(bytes)).field("Content-Type", "text/plain")
    })
    .await;
    let plane = compressing().serving([origin.addr()]);
    let mut client = plane.client().await;
    let check = |response: &Response, bytes: &str| {
        let fields = &response.fields;
        assert_eq!(fields.get("content-encoding"), None, "{response}");
        assert_eq!(fields.get("content-length"), Some(bytes), "{response}");
        assert_eq!(fields.get("vary"), Some("Accept-Encoding"), "{response}");
    };
    check(&ask(&mut client, "GET", "deflate").await, "1000");
    check(&ask(&mut client, "HEAD", "gzip").await, "1000");
    client.send("GET /small HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").await.unwrap();
    check(&client.response().await.unwrap(), "99");
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n";
    client.send(old).await.unwrap();
    check(&client.response().await.unwrap(), "1000");
}

#[tokio::test]
async fn a_service_that_compresses_nothing_touches_nothing() {
    let origin =
        HttpOrigin::start("a", |_| Reply::bytes(text(1000)).field("Content-Type", "text/plain"))
            .await;
    let plane = Plane::of([origin.addr()]);
    let response = ask(&mut plane.client().await, "GET", "gzip").await;
    assert_eq!((response.fields.get("vary"), response.body), (None, text(1000)));
}

/// Reads until the chunks that came hold this content, decoded.
async fn holds(wire: &mut Wire<TcpStream>, raw: &mut Vec<u8>, coding: &str, expected: &[u8]) {
    wait_for(PATIENCE, "content that is not held back", async || {
        let mut more = [0; 4096];
        let read = tokio::time::timeout(Duration::from_millis(5), wire.stream().read(&mut more));
        if let Ok(read) = read.await {
            raw.extend_from_slice(&more[..read.unwrap()]);
        }
        let (got, is_over) = decode(coding, &dechunk(raw));
        assert!(!is_over && expected.starts_with(&got), "{}", String::from_utf8_lossy(&got));
        (got == expected).then_some(())
    })
    .await;
}

/// The content of the whole chunks.
fn dechunk(mut raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(end) = raw.iter().position(|&byte| byte == b'\n') {
        let size = std::str::from_utf8(&raw[..end]).unwrap().trim_end();
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = raw.get(end + 1..end + 1 + size) else { break };
        bytes.extend_from_slice(chunk);
        raw = raw.get(end + 1 + size + 2..).unwrap_or_default();
    }
    bytes
}

#[tokio::test]
async fn a_stream_of_events_is_not_held_back() {
    for coding in ["gzip", "br", "zstd"] {
        let instance = Instance::start().await;
        let plane = compressing().serving([instance.addr()]);
        let mut client = connect(plane.addr()).await;
        let ask = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n\r\n");
        send(&mut client, ask).await;
        let mut wire = instance.asked().await;
        let response = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
            Transfer-Encoding: chunked\r\n\r\n";
        send(&mut wire, response).await;
        let got = head(&mut client).await;
        assert!(got.contains(&format!("\r\nContent-Encoding: {coding}\r\n")), "{got}");
        let (mut raw, mut all) = (Vec::new(), Vec::new());
        for event in ["data: 1\n\n", "data: 22\n\n", "data: 333\n\n"] {
            send(&mut wire, format!("{:x}\r\n{event}\r\n", event.len())).await;
            all.extend_from_slice(event.as_bytes());
            holds(&mut client, &mut raw, coding, &all).await;
        }
        send(&mut wire, "0\r\nX-Sum: 7\r\n\r\n").await;
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n0\r\nX-Sum: 7\r\n\r\n") {
            rest.push(client.bytes(1).await.unwrap()[0]);
        }
    }
}

#[tokio::test]
async fn a_response_that_was_cut_short_stays_so() {
    let sheep = String::from_utf8(text(50_000)).unwrap();
    for framing in ["Content-Length: 50001", "Transfer-Encoding: chunked"] {
        for coding in ["gzip", "br", "zstd"] {
            let instance = Instance::start().await;
            let plane = compressing().serving([instance.addr()]);
            let mut client = connect(plane.addr()).await;
            let ask = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n\r\n");
            send(&mut client, ask).await;
            let mut wire = instance.asked().await;
            let chunk = format!("{:x}\r\n{sheep}\r\n", sheep.len());
            let body = if framing.starts_with('C') { &sheep } else { &chunk };
            let response = format!("HTTP/1.1 200 OK\r\nContent-Type: text/a\r\n{framing}\r\n\r\n");
            send(&mut wire, response + body).await;
            drop(wire);
            head(&mut client).await;
            let raw = client.to_end().await.unwrap();
            assert!(!raw.ends_with(b"0\r\n\r\n"), "{coding} {framing}");
            let (got, is_over) = decode(coding, &dechunk(&raw));
            assert!(!is_over && sheep.as_bytes().starts_with(&got), "{coding} {framing}");
            let label = "herder_errors_total{service=\"shop\",error=\"response_truncated\"}";
            plane.metric_becomes(label, 1.0).await;
        }
    }
}

#[tokio::test]
async fn a_body_until_close_is_compressed_and_the_client_stays() {
    let instance = Instance::start().await;
    let plane = compressing().serving([instance.addr()]);
    let mut client = plane.client().await;
    let request = "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n";
    for _ in 0..2 {
        client.send(request).await.unwrap();
        let mut wire = instance.asked().await;
        send(&mut wire, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n").await;
        send(&mut wire, text(70_000)).await;
        drop(wire);
        let response = client.response().await.unwrap();
        assert!(decode("br", &response.body) == (text(70_000), true));
    }
}
