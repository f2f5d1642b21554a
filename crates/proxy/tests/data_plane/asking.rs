//! `Expect: 100-continue`: who asks the client for its body, when, and how often.
//! Bodies that nobody wants any more are for `discarding`.

use std::time::Duration;

use testkit::{PATIENCE, Wire};
use tokio::net::TcpStream;

use crate::instance::{Instance, connect, head, send};
use crate::plane::{Plane, SOON, Setup};

const ASKED: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A request that waits to be asked for five bytes.
fn expecting(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
}

/// A service whose instances have so long to ask.
fn patient(timeout_continue: Duration) -> Setup {
    let mut setup = Setup::default();
    setup.policy.timeout_continue = timeout_continue;
    setup
}

/// Sends the body and gets the answer.
async fn finish(client: &mut Wire<TcpStream>, wire: &mut Wire<TcpStream>) {
    send(client, "hello").await;
    assert_eq!(wire.bytes(5).await.unwrap(), b"hello");
    send(wire, OK).await;
    assert!(head(client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(client.bytes(2).await.unwrap(), b"ok");
}

#[tokio::test]
async fn herder_asks_when_the_instance_is_slow_to_and_only_once() {
    for timeout_continue in [SOON, Duration::ZERO] {
        let instance = Instance::start().await;
        let mut setup = patient(timeout_continue);
        // The time in which nobody asks is not the client's.
        setup.limits.timeout_body = PATIENCE;
        let plane = setup.serving([instance.addr()]);
        let mut client = connect(plane.addr()).await;
        send(&mut client, expecting("POST")).await;
        let mut wire = instance.asked().await;
        assert_eq!(head(&mut client).await, ASKED);
        send(&mut wire, "HTTP/1.1 100 Late\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n").await;
        assert_eq!(head(&mut client).await, "HTTP/1.1 103 Hints\r\n\r\n");
        finish(&mut client, &mut wire).await;
        // The next one on the same connections is asked anew.
        send(&mut client, expecting("POST")).await;
        head(&mut wire).await;
        assert_eq!(head(&mut client).await, ASKED);
        finish(&mut client, &mut wire).await;
    }
}

#[tokio::test]
async fn an_instance_asks_once_even_if_it_asks_twice() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, expecting("PUT")).await;
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 B\r\n\r\nHTTP/1.1 103 C\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 100 A\r\n\r\n");
    assert_eq!(head(&mut client).await, "HTTP/1.1 103 C\r\n\r\n");
    finish(&mut client, &mut wire).await;
}

#[tokio::test]
async fn a_slow_instance_is_not_taken_for_a_slow_client() {
    let instance = Instance::start().await;
    let mut setup = patient(SOON * 4);
    setup.limits.timeout_body = SOON;
    let plane = setup.serving([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, expecting("POST")).await;
    let _wire = instance.asked().await;
    assert_eq!(head(&mut client).await, ASKED, "not 408, though nothing came for long");
    let answer = head(&mut client).await;
    assert!(answer.contains("\r\nHerder-Error: slow_body\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_not_asked_by_herder() {
    let instance = Instance::start().await;
    let plane = patient(SOON).serving([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, expecting("POST") + "hel").await;
    let mut wire = instance.asked().await;
    assert_eq!(wire.bytes(3).await.unwrap(), b"hel");
    // Another one, which waits, is asked: the time for that is over.
    let mut other = connect(plane.addr()).await;
    send(&mut other, expecting("POST")).await;
    let _other_wire = instance.asked().await;
    assert_eq!(head(&mut other).await, ASKED);
    send(&mut client, "lo").await;
    assert_eq!(wire.bytes(2).await.unwrap(), b"lo");
    send(&mut wire, OK).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_request_that_waits_for_an_instance_is_asked_once() {
    let plane = patient(SOON).start();
    let mut client = connect(plane.addr()).await;
    send(&mut client, expecting("POST")).await;
    plane.metric_becomes(r#"herder_requests_waiting{service="shop"}"#, 1.0).await;
    let instance = Instance::start().await;
    plane.publish(&[plane.endpoint(instance.addr())]);
    let mut wire = instance.asked().await;
    assert_eq!(head(&mut client).await, ASKED);
    send(&mut wire, "HTTP/1.1 100 Late\r\n\r\n").await;
    finish(&mut client, &mut wire).await;
}

#[tokio::test]
async fn a_request_that_is_repeated_is_asked_once() {
    let (bad, good) = (Instance::start().await, Instance::start().await);
    let plane = Plane::of([bad.addr(), good.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n").await;
    let mut wire = bad.asked().await;
    send(&mut wire, ASKED).await;
    assert_eq!(head(&mut client).await, ASKED);
    drop(wire);
    let mut wire = good.asked().await;
    send(&mut wire, ASKED).await;
    send(&mut wire, OK).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}
