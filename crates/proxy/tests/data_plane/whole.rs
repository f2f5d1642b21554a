//! The time for a request as a whole: all that happens to it counts, and no step puts it off.
//! The times of the steps are for `limits` and `waiting`.

use std::time::Duration;

use testkit::{HttpOrigin, PATIENCE, Reply, wait_until};
use tokio::io::AsyncWriteExt;

use crate::instance::{Instance, broken_off, connect, head, send};
use crate::plane::{Plane, SOON, Setup};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn limited(timeout_request: Duration) -> Setup {
    let mut setup = Setup::default();
    setup.policy.timeout_request = Some(timeout_request);
    setup
}

async fn timed_out(plane: &Plane, times: u32) {
    let error = r#"herder_errors_total{service="shop",error="request_timeout"}"#;
    plane.metric_becomes(error, times.into()).await;
}

#[tokio::test]
async fn waiting_counts_and_the_connection_is_kept() {
    let plane = limited(SOON).start();
    let mut client = plane.client().await;
    for _ in 0..2 {
        let response = client.get("/").await.unwrap();
        assert_eq!(response.status, 504);
        assert_eq!(response.fields.get("herder-error"), Some("request_timeout"));
        assert_eq!(response.fields.get("connection"), Some("keep-alive"));
    }
    timed_out(&plane, 2).await;
}

#[tokio::test]
async fn an_instance_that_does_not_answer_is_not_blamed_and_the_request_not_repeated() {
    let instance = Instance::start().await;
    let plane = limited(SOON).start();
    let endpoints = [plane.endpoint(instance.addr()), plane.endpoint(instance.addr())];
    plane.publish(&endpoints);
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let wire = instance.asked().await;
    assert_eq!(client.response().await.unwrap().status, 504);
    drop(wire);
    assert_eq!((endpoints[0].failures(), endpoints[1].requests()), (0, 0));
}

#[tokio::test]
async fn bytes_that_move_do_not_put_it_off() {
    let instance = Instance::start().await;
    let plane = limited(SOON * 3).serving([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999\r\n\r\n").await;
    let wire = instance.asked().await;
    wait_until(PATIENCE, "an end in spite of ever more bytes", async || {
        client.stream().write_all(b"x").await.is_err() || !client.is_quiet()
    })
    .await;
    let answer = head(&mut client).await;
    assert!(answer.contains("\r\nHerder-Error: request_timeout\r\n"), "{answer}");
    broken_off(wire).await;
}

#[tokio::test]
async fn a_response_that_has_begun_is_cut() {
    let instance = Instance::start().await;
    let plane = limited(SOON * 3).serving([instance.addr()]);
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n").await;
    wait_until(PATIENCE, "an end in spite of ever more bytes", async || {
        wire.stream().write_all(b"x").await.is_err() || !wire.is_quiet()
    })
    .await;
    client.response().await.expect_err("half a response is an error");
    timed_out(&plane, 1).await;
}

#[tokio::test]
async fn it_is_over_with_the_request_and_the_next_one_has_its_own() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok").delay(SOON)).await;
    let plane = limited(SOON * 5).serving([origin.addr()]);
    let mut client = plane.client().await;
    for _ in 0..6 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_tunnel_has_all_the_time() {
    let instance = Instance::start().await;
    let plane = limited(SOON).serving([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    let switch = "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    send(&mut client, format!("GET / HTTP/1.1\r\nHost: h\r\n{switch}")).await;
    let mut wire = instance.asked().await;
    send(&mut wire, format!("HTTP/1.1 101 Switching Protocols\r\n{switch}")).await;
    head(&mut client).await;
    // A request that began later has run out of time.
    let mut other = plane.client().await;
    other.send(GET).await.unwrap();
    let _other_wire = instance.asked().await;
    assert_eq!(other.response().await.unwrap().status, 504);
    send(&mut client, "ping").await;
    assert_eq!(wire.bytes(4).await.unwrap(), b"ping");
}
