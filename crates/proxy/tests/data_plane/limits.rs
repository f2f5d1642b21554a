//! Bounds in number and in time: what happens at each of them, and to whom.
//! The bounds of a head and of a body's size are for `errors`, of waiting for `waiting`.

use std::time::Duration;

use testkit::{Framing, HttpOrigin, PATIENCE, Reply, Response, Vanished, wait_until};
use tokio::io::AsyncWriteExt;

use crate::instance::{Instance, broken_off, connect, exchange, fill, head, send};
use crate::plane::{SOON, Setup};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn refusal(response: &Response) -> (u16, Option<&str>, Option<&str>) {
    let field = |name| response.fields.get(name);
    (response.status, field("herder-error"), field("connection"))
}

fn error(label: &str) -> String {
    format!(r#"herder_errors_total{{service="shop",error="{label}"}}"#)
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed_and_the_others_wait_their_turn() {
    let instance = Instance::start().await;
    let mut setup = Setup { workers: 2, ..Setup::default() };
    setup.limits.connections_max = 1;
    let plane = setup.serving([instance.addr()]);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = plane.client().await;
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    for served in 1..=8 {
        let mut wire = instance.asked().await;
        let connections = plane.metric("herder_connections_total");
        assert!((connections - f64::from(served)).abs() < 0.5, "{connections} and not {served}");
        assert!(plane.metric("herder_connections_open") < 1.5);
        let close = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        send(&mut wire, close).await;
    }
    for client in &mut clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    plane.metric_becomes("herder_connections_open", 0.0).await;
}

#[tokio::test]
async fn the_last_request_of_a_connection_says_so() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let mut setup = Setup::default();
    setup.limits.requests_per_connection_max = 3;
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    for _ in 0..2 {
        assert_eq!(refusal(&client.get("/").await.unwrap()), (200, None, None));
    }
    assert_eq!(refusal(&client.get("/").await.unwrap()), (200, None, Some("close")));
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    let all = exchange(plane.addr(), GET.repeat(4)).await;
    assert_eq!(all.matches("HTTP/1.1 200 ").count(), 3, "{all}");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_silently() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let mut setup = Setup::default();
    setup.limits.timeout_idle = SOON;
    let plane = setup.serving([origin.addr()]);
    let mut fresh = plane.client().await;
    let mut used = plane.client().await;
    assert_eq!(used.get("/").await.unwrap().status, 200);
    for client in [&mut fresh, &mut used] {
        assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    }
    plane.metric_becomes("herder_connections_open", 0.0).await;
}

#[tokio::test]
async fn a_head_has_to_arrive_in_time_and_its_bytes_do_not_put_that_off() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let mut setup = Setup::default();
    setup.limits.timeout_head = SOON * 3;
    let plane = setup.serving([origin.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "GET / HTTP/1.1\r\nHost: h\r\n").await;
    let answered = async {
        let head = head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
        assert!(head.contains("\r\nHerder-Error: slow_head\r\n"), "{head}");
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    };
    answered.await;
    let mut dripping = connect(plane.addr()).await;
    send(&mut dripping, "GET / HTTP/1.1\r\n").await;
    wait_until(PATIENCE, "an end in spite of ever more headers", async || {
        let dripped = dripping.stream().write_all(b"X: y\r\n").await;
        dripped.is_err() || !dripping.is_quiet()
    })
    .await;
    plane.metric_becomes(r#"herder_refused_requests_total{error="slow_head"}"#, 2.0).await;
    let mut again = plane.client().await;
    assert_eq!(again.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_body_that_stops_is_the_clients_fault() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.limits.timeout_body = SOON;
    let plane = setup.start();
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
    let mut wire = instance.asked().await;
    assert_eq!(wire.bytes(4).await.unwrap(), b"half");
    let response = client.response().await.unwrap();
    assert_eq!(refusal(&response), (408, Some("slow_body"), Some("close")));
    broken_off(wire).await;
    assert_eq!(endpoint.failures(), 0);
}

#[tokio::test]
async fn a_response_that_does_not_come_is_the_instances_fault_and_not_retried() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.policy.timeout_response = SOON * 3;
    let plane = setup.start();
    let endpoints = [plane.endpoint(instance.addr()), plane.endpoint(instance.addr())];
    plane.publish(&endpoints);
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let mut wire = instance.asked().await;
    let hinted = async {
        // Interim responses do not put the time off.
        wait_until(PATIENCE, "an end in spite of ever more hints", async || {
            let hint = b"HTTP/1.1 103 Hints\r\n\r\n";
            wire.stream().write_all(hint).await.is_err() || !wire.is_quiet()
        })
        .await;
    };
    let (response, ()) = tokio::join!(client.response(), hinted);
    let response = response.unwrap();
    assert_eq!(refusal(&response), (504, Some("response_timeout"), Some("keep-alive")));
    assert_eq!((endpoints[0].failures(), endpoints[1].requests()), (1, 0));
    assert_eq!(plane.unreachable(), [""; 0]);
}

#[tokio::test]
async fn an_instance_that_takes_no_body_is_answered_for() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    // Longer than `fill` waits for somebody to take something.
    setup.policy.timeout_body = SOON * 8;
    let plane = setup.start();
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = connect(plane.addr()).await;
    send(&mut client, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 900000000\r\n\r\n").await;
    let _wire = instance.asked().await;
    fill(client.stream(), usize::MAX).await;
    let head = head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    assert!(head.contains("\r\nHerder-Error: response_timeout\r\n"), "{head}");
    assert_eq!(endpoint.failures(), 1);
}

#[tokio::test]
async fn a_response_that_stops_is_cut_so_that_the_client_can_tell() {
    for framing in ["Content-Length: 99", "Transfer-Encoding: chunked", "X-Until: close"] {
        let instance = Instance::start().await;
        let mut setup = Setup::default();
        setup.policy.timeout_body = SOON;
        let plane = setup.start();
        let endpoint = plane.endpoint(instance.addr());
        plane.publish(std::slice::from_ref(&endpoint));
        let mut client = plane.client().await;
        client.send(GET).await.unwrap();
        let mut wire = instance.asked().await;
        send(&mut wire, format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n4\r\nhalf\r\n")).await;
        client.response().await.expect_err(framing);
        assert_eq!(wire.to_end().await.unwrap(), b"", "{framing}");
        plane.metric_becomes(&error("body_timeout"), 1.0).await;
        assert_eq!(endpoint.failures(), 1, "{framing}");
    }
}

#[tokio::test]
async fn bytes_that_move_put_the_time_off() {
    let pieces = vec!["piece"; 12];
    let pause = SOON / 2;
    let origin = HttpOrigin::start("a", move |_| Reply::chunks(pieces.clone(), pause)).await;
    let mut setup = Setup::default();
    setup.policy.timeout_body = SOON * 3;
    setup.policy.timeout_response = SOON * 3;
    setup.limits.timeout_idle = SOON * 3;
    let plane = setup.serving([origin.addr()]);
    let response = plane.client().await.get("/").await.unwrap();
    assert_eq!((response.body.len(), response.framing), (60, Framing::Chunked));
}

#[tokio::test]
async fn a_client_that_takes_no_response_is_cut_off_and_nobody_blamed() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.limits.timeout_idle = SOON;
    let plane = setup.start();
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 200 OK\r\n\r\n").await;
    let piece = vec![b'x'; 64 * 1024];
    while wire.stream().write_all(&piece).await.is_ok() {}
    plane.metric_becomes(&error("slow_client"), 1.0).await;
    assert_eq!(endpoint.failures(), 0);
    client.response().await.expect_err("cut off");
}

#[tokio::test]
async fn a_refused_upload_is_read_for_a_while_and_not_for_ever() {
    let mut setup = Setup::default();
    setup.policy.body_bytes_max = 1;
    let plane = setup.start();
    let mut client = connect(plane.addr()).await;
    send(&mut client, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 900000000\r\n\r\n").await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 413 "));
    let piece = vec![b'x'; 1024];
    let patience = Duration::from_secs(10);
    wait_until(patience, "the connection to be cut", async || {
        client.stream().write_all(&piece).await.is_err()
    })
    .await;
}
