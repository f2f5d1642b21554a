//! What becomes of a request when an instance fails it, and who is blamed for it.
//! Connections that had gone stale are for `stale`.

use std::net::SocketAddr;
use std::sync::Arc;

use model::Endpoint;
use testkit::{Framing, HttpOrigin, RawClient, Reply};

use crate::instance::{Instance, Refusing, broken_off, send};
use crate::plane::{Plane, SOON, Setup};

async fn resetting() -> HttpOrigin {
    HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await
}

/// A plane in front of these addresses, and their endpoints.
fn in_front_of<const N: usize>(
    setup: Setup,
    addrs: [SocketAddr; N],
) -> (Plane, [Arc<Endpoint>; N]) {
    let plane = setup.start();
    let endpoints = addrs.map(|addr| plane.endpoint(addr));
    plane.publish(&endpoints);
    (plane, endpoints)
}

async fn answer(client: &mut RawClient, method: &str) -> (u16, Option<String>) {
    let body = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
    client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n{body}\r\n")).await.unwrap();
    let response = client.response().await.unwrap();
    (response.status, response.fields.get("herder-error").map(str::to_owned))
}

#[tokio::test]
async fn a_request_that_may_be_repeated_goes_to_another_endpoint() {
    let (bad, good) = (resetting().await, HttpOrigin::echo("good").await);
    let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        assert_eq!(answer(&mut client, method).await, (200, None), "{method}");
    }
    assert_eq!((bad.requests(), good.requests()), (5, 5), "a retry takes a turn of its own");
    assert_eq!((endpoints[0].failures(), endpoints[1].failures()), (5, 0));
    assert_eq!(plane.unreachable(), [""; 0], "a reset takes nobody out of the pool");
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_answered_with_502() {
    let (bad, good) = (resetting().await, HttpOrigin::echo("good").await);
    for method in ["POST", "PATCH", "PURGE"] {
        let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr(), good.addr()]);
        let mut client = plane.client().await;
        let expected = (502, Some("instance_reset".to_owned()));
        assert_eq!(answer(&mut client, method).await, expected, "{method}");
        assert_eq!((endpoints[0].failures(), endpoints[1].requests()), (1, 0));
        assert_eq!(answer(&mut client, method).await.0, 200, "the connection is still good");
    }
}

#[tokio::test]
async fn a_body_that_is_on_its_way_is_not_sent_twice() {
    let (bad, good) = (resetting().await, HttpOrigin::echo("good").await);
    let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.fields.get("connection")), (502, Some("keep-alive")));
    assert_eq!(response.fields.get("herder-error"), Some("instance_reset"));
    assert_eq!(endpoints[1].requests(), 0);
    assert_eq!(client.get("/").await.unwrap().status, 200, "the body was read to its end");
}

#[tokio::test]
async fn part_of_a_response_head_is_no_response_yet() {
    let good = HttpOrigin::echo("good").await;
    for bytes in [1, 12, 20, 40] {
        let bad = HttpOrigin::start("bad", move |_| Reply::echo().cut(bytes)).await;
        let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr(), good.addr()]);
        assert_eq!(answer(&mut plane.client().await, "GET").await, (200, None), "{bytes}");
        assert_eq!(endpoints[0].failures(), 1);
    }
}

#[tokio::test]
async fn a_response_that_has_begun_is_cut_where_the_instance_cut_it() {
    let good = HttpOrigin::echo("good").await;
    let body = "x".repeat(1000);
    let pieces = [body.clone(), body.clone()];
    let length = HttpOrigin::start("bad", move |_| Reply::bytes(body.clone()).cut(500)).await;
    let chunked = move |_: &_| Reply::chunks(pieces.clone(), SOON).cut(1500);
    let chunked = HttpOrigin::start("bad", chunked).await;
    for bad in [length, chunked] {
        let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr(), good.addr()]);
        let mut client = plane.client().await;
        client.get("/").await.expect_err("half a response is an error");
        plane.metric_becomes(r#"herder_connections_open"#, 0.0).await;
        assert_eq!((endpoints[0].failures(), endpoints[1].requests()), (1, 0));
        let error = r#"herder_errors_total{service="shop",error="response_truncated"}"#;
        plane.metric_becomes(error, 1.0).await;
    }
}

#[tokio::test]
async fn a_refused_connection_harms_no_request_and_is_reported() {
    let (bad, good) = (Refusing::new(), HttpOrigin::echo("good").await);
    let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    for (nth, request) in [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        "PATCH / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        client.send(request).await.unwrap();
        let response = client.response().await.unwrap();
        assert_eq!((response.status, response.framing != Framing::None), (200, true), "{request}");
        let body = if request.contains("hi") { "hi" } else { "" };
        assert_eq!(response.json()["body"], body, "{request}");
        assert_eq!(plane.unreachable(), vec!["shop.1"; nth + 1], "{request}");
        assert_eq!(endpoints[0].failures(), u64::try_from(nth).unwrap() + 1);
    }
    assert_eq!(endpoints[1].failures(), 0);
    assert_eq!(good.requests(), 4);
    plane
        .metric_becomes(r#"herder_retries_total{service="shop",reason="connect_failure"}"#, 4.0)
        .await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_accept_in_time_is_passed_over() {
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    full.listen(0).unwrap();
    let addr = full.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SOON, tokio::net::TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
    }
    let good = HttpOrigin::echo("good").await;
    let mut setup = Setup::default();
    setup.policy.timeout_connect = SOON;
    setup.queue.timeout_wait = SOON;
    let (plane, endpoints) = in_front_of(setup, [addr, good.addr()]);
    let mut client = plane.client().await;
    assert_eq!(answer(&mut client, "POST").await, (200, None));
    assert_eq!(plane.unreachable(), ["shop.1"]);
    plane.publish(&endpoints[..1]);
    let expected = (504, Some("connect_timeout".to_owned()));
    assert_eq!(answer(&mut client, "POST").await, expected);
}

#[tokio::test]
async fn no_endpoint_is_tried_twice_and_no_more_than_allowed() {
    let mut setup = Setup::default();
    setup.retry.retries_max = 2;
    let mut origins = Vec::new();
    for _ in 0..5 {
        origins.push(resetting().await);
    }
    let plane = setup.serving(origins.iter().map(HttpOrigin::addr));
    let mut client = plane.client().await;
    let expected = (502, Some("instance_reset".to_owned()));
    let requests = |at: std::ops::Range<usize>| -> Vec<u64> {
        origins[at].iter().map(HttpOrigin::requests).collect()
    };
    assert_eq!(answer(&mut client, "GET").await, expected);
    assert_eq!(requests(0..5), [1, 1, 1, 0, 0]);
    assert_eq!(answer(&mut client, "GET").await, expected);
    assert_eq!(requests(0..5), [2, 1, 1, 1, 1]);
    plane.metric_becomes(r#"herder_retries_total{service="shop",reason="reset"}"#, 4.0).await;
}

#[tokio::test]
async fn without_another_endpoint_the_first_failure_is_the_answer() {
    let bad = resetting().await;
    let mut setup = Setup::default();
    setup.queue.timeout_wait = SOON;
    let (plane, endpoints) = in_front_of(setup, [bad.addr()]);
    let expected = (502, Some("instance_reset".to_owned()));
    assert_eq!(answer(&mut plane.client().await, "GET").await, expected);
    assert_eq!((endpoints[0].requests(), endpoints[0].failures()), (1, 1));
    plane.metric_becomes(r#"herder_retries_total{service="shop",reason="reset"}"#, 0.0).await;
}

#[tokio::test]
async fn a_request_whose_only_instance_is_gone_waits_for_the_next_one() {
    let bad = Refusing::new();
    let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr()]);
    let mut client = plane.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    plane.metric_becomes(r#"herder_requests_waiting{service="shop"}"#, 1.0).await;
    assert_eq!(plane.unreachable(), ["shop.1"]);
    let next = HttpOrigin::echo("next").await;
    plane.publish(&[Arc::clone(&endpoints[0]), plane.endpoint(next.addr())]);
    assert_eq!(client.response().await.unwrap().json()["body"], "hi");
}

#[tokio::test]
async fn nobody_is_blamed_when_the_client_goes() {
    let instance = Instance::start().await;
    let (plane, endpoints) = in_front_of(Setup::default(), [instance.addr()]);
    let error = r#"herder_errors_total{service="shop",error="client_gone"}"#;
    let mut client = plane.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
    let mut wire = instance.asked().await;
    assert_eq!(wire.bytes(4).await.unwrap(), b"half");
    client.reset();
    broken_off(wire).await;
    plane.metric_becomes(error, 1.0).await;
    let mut client = plane.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut wire = instance.asked().await;
    client.reset();
    plane.metric_becomes("herder_connections_total", 2.0).await;
    send(&mut wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    while tokio::io::AsyncWriteExt::write_all(wire.stream(), b"1\r\nx\r\n").await.is_ok() {
        tokio::task::yield_now().await;
    }
    plane.metric_becomes(error, 2.0).await;
    assert_eq!((endpoints[0].failures(), endpoints[0].in_flight()), (0, 0));
}

/// The end of an instance is noticed within milliseconds. One that is still in the pool after a
/// moment fails this request for another reason, and the client need not wait for a replacement.
#[tokio::test]
async fn a_lone_instance_that_stays_is_not_waited_out() {
    let bad = resetting().await;
    let (plane, _) = in_front_of(Setup::default(), [bad.addr()]);
    let mut client = plane.client().await;
    let began = std::time::Instant::now();
    let expected = (502, Some("instance_reset".to_owned()));
    assert_eq!(answer(&mut client, "GET").await, expected);
    assert!(began.elapsed() < testkit::PATIENCE / 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_lone_instance_that_goes_is_waited_for() {
    let (bad, good) = (resetting().await, HttpOrigin::echo("good").await);
    let (plane, endpoints) = in_front_of(Setup::default(), [bad.addr()]);
    let mut client = plane.client().await;
    let answering = answer(&mut client, "GET");
    tokio::pin!(answering);
    let failed = async || endpoints[0].failures() > 0;
    tokio::select! {
        answered = &mut answering => panic!("answered by nobody: {answered:?}"),
        () = testkit::wait_until(testkit::PATIENCE, "the failure", failed) => plane.publish(&[]),
    }
    let longer_than_for_leaving = std::time::Duration::from_millis(700);
    let early = tokio::time::timeout(longer_than_for_leaving, &mut answering).await;
    assert!(early.is_err(), "{early:?}");
    plane.publish(&[plane.endpoint(good.addr())]);
    assert_eq!(answering.await, (200, None));
}
