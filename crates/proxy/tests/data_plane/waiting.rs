//! Requests for which there is no endpoint: who waits, for how long, and what ends it.
//! Requests that wait after a failure are for `retries`.

use std::sync::Arc;

use testkit::{HttpOrigin, RawClient, Reply, Response};
use tokio::io::AsyncWriteExt;

use crate::instance::{connect, head, send};
use crate::plane::{Plane, SOON, Setup};

const WAITING: &str = r#"herder_requests_waiting{service="shop"}"#;

/// Clients whose requests wait.
async fn waiting(plane: &Plane, count: u32) -> Vec<RawClient> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = plane.client().await;
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    plane.metric_becomes(WAITING, count.into()).await;
    clients
}

fn refusal(response: &Response) -> (u16, &str, Option<&str>, Option<&str>) {
    let field = |name| response.fields.get(name);
    (
        response.status,
        field("herder-error").unwrap_or_default(),
        field("retry-after"),
        field("connection"),
    )
}

#[tokio::test]
async fn the_next_table_with_an_endpoint_ends_the_waiting() {
    let plane = Setup { workers: 2, ..Setup::default() }.start();
    let clients = waiting(&plane, 20).await;
    plane.publish(&[]);
    let origin = HttpOrigin::echo("a").await;
    plane.publish(&[plane.endpoint(origin.addr())]);
    for mut client in clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    plane.metric_becomes(WAITING, 0.0).await;
    plane.metric_becomes(r#"herder_wait_duration_seconds_count{service="shop"}"#, 20.0).await;
}

#[tokio::test]
async fn an_endpoint_that_is_closed_counts_as_none() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(origin.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    endpoint.close();
    let mut client = waiting(&plane, 1).await.remove(0);
    plane.publish(&[Arc::clone(&endpoint), plane.endpoint(origin.addr())]);
    assert_eq!(client.response().await.unwrap().status, 200);
    assert_eq!(endpoint.requests(), 0);
}

#[tokio::test]
async fn waiting_too_long_is_answered_with_503_and_the_connection_is_kept() {
    let mut setup = Setup::default();
    setup.queue.timeout_wait = SOON;
    let plane = setup.start();
    let mut client = plane.client().await;
    for _ in 0..2 {
        let response = client.get("/").await.unwrap();
        assert_eq!(refusal(&response), (503, "no_instance", Some("1"), Some("keep-alive")));
        assert_eq!(response.text(), "no instance of the service is ready\n");
    }
    let response = client.post("/", "hi").await.unwrap();
    assert_eq!(refusal(&response), (503, "no_instance", Some("1"), Some("keep-alive")));
    assert_eq!(client.get("/").await.unwrap().status, 503);
}

#[tokio::test]
async fn a_client_that_goes_gives_up_its_place_at_once() {
    let mut setup = Setup::default();
    setup.queue.waiting_max = 1;
    let plane = setup.start();
    let error = r#"herder_errors_total{service="shop",error="client_gone"}"#;
    let requests = [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\nhi",
    ];
    for (gone, request) in (1..).zip(requests) {
        let mut client = plane.client().await;
        client.send(request).await.unwrap();
        plane.metric_becomes(WAITING, 1.0).await;
        drop(client);
        plane.metric_becomes(WAITING, 0.0).await;
        plane.metric_becomes(error, f64::from(gone)).await;
    }
}

#[tokio::test]
async fn a_client_that_sent_ahead_is_not_taken_for_gone_while_it_waits() {
    let plane = Setup::default().start();
    let mut client = connect(plane.addr()).await;
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    send(&mut client, get.repeat(2)).await;
    client.stream().shutdown().await.unwrap();
    plane.metric_becomes(WAITING, 1.0).await;
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    plane.publish(&[plane.endpoint(origin.addr())]);
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn no_more_requests_wait_than_allowed() {
    let mut setup = Setup::default();
    setup.queue.waiting_max = 2;
    let plane = setup.start();
    let clients = waiting(&plane, 2).await;
    let mut late = plane.client().await;
    let response = late.get("/").await.unwrap();
    assert_eq!(refusal(&response), (503, "too_many_waiting", Some("1"), Some("keep-alive")));
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    plane.publish(&[plane.endpoint(origin.addr())]);
    for mut client in clients.into_iter().chain([late]) {
        let response = match client.get("/").await.unwrap() {
            response if response.status == 200 => response,
            response => panic!("{response}"),
        };
        assert_eq!(response.text(), "ok");
    }
}

#[tokio::test]
async fn requests_to_a_service_that_is_removed_stop_waiting() {
    let plane = Setup::default().start();
    let mut client = waiting(&plane, 1).await.remove(0);
    plane.publish_nothing();
    let response = client.response().await.unwrap();
    assert_eq!(refusal(&response), (404, "no_route", None, Some("keep-alive")));
}

#[tokio::test]
async fn requests_never_go_to_a_service_that_took_the_place_of_theirs() {
    let origin = HttpOrigin::echo("other").await;
    let plane = Setup::default().start();
    let mut client = waiting(&plane, 1).await.remove(0);
    plane.publish_as("cart", &[plane.endpoint(origin.addr())]);
    let response = client.response().await.unwrap();
    assert_eq!(refusal(&response), (404, "no_route", None, Some("keep-alive")));
    assert_eq!(origin.requests(), 0);
}
