//! Switches of protocols: what is asked, what is carried, and how a tunnel ends.
//! What WebSocket frames mean is nobody's business here.

use testkit::{ScriptedOrigin, Step, Vanished};

use crate::plane::{Plane, SOON, Setup};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                      Upgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn bytes_go_both_ways_after_the_switch_and_each_side_ends_on_its_own() {
    let origin = ScriptedOrigin::start([vec![
        Step::ReadHead,
        Step::send(format!("{SWITCH}welcome")),
        Step::expect("ping"),
        Step::send("pong"),
        Step::ReadToEnd,
        Step::send("last words"),
    ]])
    .await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    client.send(ASK).await.unwrap();
    let switched = client.response_to_head().await.unwrap();
    assert_eq!(switched.status, 101);
    assert_eq!(switched.fields.get("upgrade"), Some("websocket"));
    assert_eq!(switched.fields.get("connection"), Some("Upgrade"));
    assert_eq!(client.bytes(7).await.unwrap(), b"welcome");
    client.send("ping").await.unwrap();
    assert_eq!(client.bytes(4).await.unwrap(), b"pong");
    client.finish().await.unwrap();
    assert_eq!(client.bytes(10).await.unwrap(), b"last words");
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    let heard = String::from_utf8(origin.ended().await.remove(0)).unwrap();
    assert!(heard.contains("\r\nUpgrade: websocket\r\n"), "{heard}");
    assert!(heard.contains("\r\nConnection: Upgrade\r\n"), "{heard}");
    plane.metric_becomes(r#"herder_requests_total{service="shop",status="1xx"}"#, 1.0).await;
    plane.metric_becomes("herder_connections_open", 0.0).await;
}

/// The class of CVE-2026-2833: bytes that follow a wish to switch are not a tunnel's before the
/// instance has agreed, and the next request if it does not.
#[tokio::test]
async fn nothing_is_carried_before_the_instance_agrees() {
    let origin = ScriptedOrigin::start([vec![
        Step::ReadHead,
        Step::send(OK),
        Step::ReadHead,
        Step::send(OK),
    ]])
    .await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    client.send(format!("{ASK}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")).await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 200);
    assert_eq!(client.response().await.unwrap().status, 200);
    let heard = String::from_utf8(origin.ended().await.remove(0)).unwrap();
    let second = heard.find("GET /admin HTTP/1.1\r\n").unwrap();
    assert!(heard[second..].contains("X-Forwarded-For: 127.0.0.1\r\n"), "it was parsed: {heard}");
}

#[tokio::test]
async fn what_was_sent_ahead_is_carried_once_the_instance_agrees() {
    let origin = ScriptedOrigin::start([vec![
        Step::ReadHead,
        Step::send(SWITCH),
        Step::expect("ahead"),
        Step::send("heard"),
    ]])
    .await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    client.send(format!("{ASK}ahead")).await.unwrap();
    assert_eq!(client.response_to_head().await.unwrap().status, 101);
    assert_eq!(client.bytes(5).await.unwrap(), b"heard");
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_or_that_names_nothing_is_no_response() {
    for (ask, answer) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", SWITCH),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", SWITCH),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Content-Length: 2\r\n\r\nhi",
            SWITCH,
        ),
        (ASK, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"),
    ] {
        let origin = ScriptedOrigin::start([vec![Step::ReadHead, Step::send(answer)]]).await;
        let plane = Plane::of([origin.addr()]);
        let mut client = plane.client().await;
        client.send(ask).await.unwrap();
        let response = client.response().await.unwrap();
        assert_eq!(response.status, 502, "{ask}");
        assert_eq!(response.fields.get("herder-error"), Some("bad_response"), "{ask}");
    }
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    let origin =
        ScriptedOrigin::start([vec![Step::ReadHead, Step::send(SWITCH), Step::ReadToEnd]]).await;
    let mut setup = Setup::default();
    setup.policy.timeout_tunnel = SOON;
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    client.send(ASK).await.unwrap();
    assert_eq!(client.response_to_head().await.unwrap().status, 101);
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    plane.metric_becomes(r#"herder_errors_total{service="shop",error="tunnel_idle"}"#, 1.0).await;
}

#[tokio::test]
async fn a_tunnel_counts_as_in_flight_until_it_ends() {
    let origin =
        ScriptedOrigin::start([vec![Step::ReadHead, Step::send(SWITCH), Step::ReadToEnd]]).await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(origin.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    client.send(ASK).await.unwrap();
    assert_eq!(client.response_to_head().await.unwrap().status, 101);
    assert_eq!(endpoint.in_flight(), 1);
    client.finish().await.unwrap();
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 0.0).await;
    assert_eq!(endpoint.in_flight(), 0);
}
