//! What is left of a body when its request is answered: thrown away, or the connection ends.
//! Not a byte of it may ever pass for a request (CVE-2025-4366).

use testkit::{Vanished, Wire};
use tokio::net::TcpStream;

use crate::instance::{Instance, broken_off, connect, head, send};
use crate::plane::{Plane, Setup};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
const NO: &str = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";

/// A body of requests, of at least so many bytes.
fn requests(bytes: usize) -> String {
    SMUGGLED.repeat(bytes.div_ceil(SMUGGLED.len()))
}

fn announced(body: &str) -> String {
    format!("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len())
}

/// The early answer to a request of which the instance has seen the head and `begun`.
async fn refused(instance: &Instance, begun: &str) -> Wire<TcpStream> {
    let mut wire = instance.asked().await;
    assert_eq!(wire.bytes(begun.len()).await.unwrap(), begun.as_bytes());
    send(&mut wire, NO).await;
    wire
}

/// The next request comes through and is what it was sent as.
async fn goes_on(instance: &Instance, client: &mut Wire<TcpStream>) {
    send(client, NEXT).await;
    let mut wire = instance.accept().await;
    assert!(head(&mut wire).await.starts_with("GET /next HTTP/1.1\r\n"));
    send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(head(client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(client.bytes(2).await.unwrap(), b"ok");
}

#[tokio::test]
async fn a_little_is_thrown_away_and_the_connection_goes_on() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    for begun in ["", "GET /s"] {
        let body = requests(50_000);
        let mut client = connect(plane.addr()).await;
        send(&mut client, announced(&body) + begun).await;
        let wire = refused(&instance, begun).await;
        let answer = head(&mut client).await;
        assert!(!answer.contains("Connection"), "{answer}");
        assert_eq!(client.bytes(2).await.unwrap(), b"no");
        // The instance is not kept until the client has sent the rest.
        broken_off(wire).await;
        send(&mut client, &body[begun.len()..]).await;
        goes_on(&instance, &mut client).await;
    }
}

#[tokio::test]
async fn the_rest_and_the_next_request_may_come_in_any_pieces() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let body = requests(100);
    let rest = body.clone() + NEXT;
    for cut in [1, SMUGGLED.len(), body.len() - 1, body.len(), body.len() + 1, rest.len() - 1] {
        let mut client = connect(plane.addr()).await;
        send(&mut client, announced(&body)).await;
        drop(refused(&instance, "").await);
        head(&mut client).await;
        send(&mut client, &rest[..cut]).await;
        assert_eq!(client.bytes(2).await.unwrap(), b"no");
        send(&mut client, &rest[cut..]).await;
        let mut wire = instance.accept().await;
        assert!(head(&mut wire).await.starts_with("GET /next HTTP/1.1\r\n"), "{cut}");
    }
}

#[tokio::test]
async fn much_or_nobody_knows_how_much_ends_the_connection() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let chunked = "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let large = requests(70_000);
    let chunks = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    for (request, body) in [(announced(&large), large.clone()), (chunked.to_owned(), chunks)] {
        let mut client = plane.client().await;
        client.send(&request).await.unwrap();
        drop(refused(&instance, "").await);
        let response = client.response().await.unwrap();
        assert_eq!((response.status, response.fields.get("connection")), (403, Some("close")));
        client.send(body + NEXT).await.unwrap();
        assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    }
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    goes_on(&instance, &mut connect(plane.addr()).await).await;
    assert_eq!(endpoint.requests(), 1, "nothing was smuggled before");
}

#[tokio::test]
async fn the_bound_counts_what_is_still_to_come() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.limits.body_discard_bytes_max = 10;
    let plane = setup.serving([instance.addr()]);
    for (left, connection) in [(10, None), (11, Some("close"))] {
        let body = "x".repeat(100_000);
        let begun = &body[left..];
        let mut client = plane.client().await;
        client.send(announced(&body) + begun).await.unwrap();
        let wire = refused(&instance, begun).await;
        let response = client.response().await.unwrap();
        assert_eq!(response.fields.get("connection"), connection, "{left} left");
        broken_off(wire).await;
    }
}

#[tokio::test]
async fn chunks_that_are_all_there_are_known() {
    let plane = Plane::of([]);
    plane.publish_nothing();
    let chunks = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = plane.client().await;
    client.send(head.to_owned() + &chunks + NEXT).await.unwrap();
    for _ in 0..2 {
        let response = client.response().await.unwrap();
        assert_eq!((response.status, response.fields.get("connection")), (404, Some("keep-alive")));
    }
    plane.metric_becomes(r#"herder_refused_requests_total{error="no_route"}"#, 2.0).await;
}

#[tokio::test]
async fn a_rest_that_breaks_off_ends_the_connection() {
    let plane = Plane::of([]);
    plane.publish_nothing();
    let mut client = plane.client().await;
    client.send(announced(&requests(1000))).await.unwrap();
    assert_eq!(client.response().await.unwrap().fields.get("connection"), Some("keep-alive"));
    client.send(SMUGGLED).await.unwrap();
    client.finish().await.unwrap();
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    plane.metric_becomes(r#"herder_refused_requests_total{error="no_route"}"#, 1.0).await;
}
