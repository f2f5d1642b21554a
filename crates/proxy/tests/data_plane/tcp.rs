//! TCP mode: connections carried as they are, to whom, what ends them, and how they are counted.
//! HTTP is never spoken here.

use std::time::Duration;

use model::{Algorithm, Mode, ProxyProtocolIn, ProxyProtocolOut};
use testkit::{PATIENCE, Vanished, Wire, wait_until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::instance::{Instance, Refusing, connect, send};
use crate::plane::{Plane, SOON, Setup};

fn setup() -> Setup {
    Setup { mode: Mode::Tcp, ..Setup::default() }
}

fn error(label: &str) -> String {
    format!(r#"herder_errors_total{{service="shop",error="{label}"}}"#)
}

/// A client and the connection of the instance that it is carried to, which speaks first.
async fn carried(plane: &Plane, instance: &Instance) -> (Wire<TcpStream>, Wire<TcpStream>) {
    let mut client = connect(plane.addr()).await;
    let mut wire = instance.accept().await;
    send(&mut wire, "220 hello\r\n").await;
    assert_eq!(client.bytes(11).await.unwrap(), b"220 hello\r\n");
    (client, wire)
}

#[tokio::test]
async fn bytes_go_both_ways_as_they_are_and_each_side_ends_on_its_own() {
    let instance = Instance::start().await;
    let plane = Setup { has_access_log: true, ..setup() }.serving([instance.addr()]);
    let (mut client, mut wire) = carried(&plane, &instance).await;
    plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 1.0).await;
    send(&mut client, "GET \0\r\r\n\n").await;
    client.stream().shutdown().await.unwrap();
    assert_eq!(wire.to_end().await.unwrap(), b"GET \0\r\r\n\n");
    send(&mut wire, "the rest").await;
    drop(wire);
    assert_eq!(client.to_end().await.unwrap(), b"the rest");
    plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 0.0).await;
    plane.metric_becomes(r#"herder_requests_total{service="shop",status="none"}"#, 1.0).await;
    plane.metric_becomes(r#"herder_received_bytes_total{service="shop"}"#, 9.0).await;
    plane.metric_becomes(r#"herder_sent_bytes_total{service="shop"}"#, 19.0).await;
    let line = plane.log_lines(1).await.remove(0);
    let told = ["service", "instance", "method", "version", "status", "bytes_in", "bytes_out"]
        .map(|key| line[key].to_string());
    assert_eq!(told, ["\"shop\"", "\"shop.1\"", "null", "null", "0", "9", "19"]);
    assert_eq!((&line["error"], &line["attempts"]), (&serde_json::Value::Null, &1.into()));
}

#[tokio::test]
async fn connections_go_to_the_least_loaded_and_count_until_they_end() {
    let instances = [Instance::start().await, Instance::start().await];
    let plane = Setup { algorithm: Algorithm::LeastRequest, ..setup() }.start();
    let endpoints = instances.each_ref().map(|instance| plane.endpoint(instance.addr()));
    plane.publish(&endpoints[..1]);
    let _first = carried(&plane, &instances[0]).await;
    plane.publish(&endpoints);
    let second = carried(&plane, &instances[1]).await;
    assert_eq!(endpoints.each_ref().map(|endpoint| endpoint.in_flight()), [1, 1]);
    drop(second);
    plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 1.0).await;
    let _third = carried(&plane, &instances[1]).await;
    assert_eq!(endpoints.each_ref().map(|endpoint| endpoint.requests()), [1, 2]);
}

#[tokio::test]
async fn an_instance_that_refuses_is_passed_over() {
    let (refusing, instance) = (Refusing::new(), Instance::start().await);
    let plane = setup().serving([refusing.addr(), instance.addr()]);
    let _first = carried(&plane, &instance).await;
    let _second = carried(&plane, &instance).await;
    assert_eq!(plane.unreachable(), ["shop.1", "shop.1"], "control takes it out of the pool");
    plane
        .metric_becomes(r#"herder_retries_total{service="shop",reason="connect_failure"}"#, 2.0)
        .await;
}

#[tokio::test]
async fn a_connection_that_carried_nothing_may_begin_again_elsewhere() {
    let (ending, instance) = (Instance::start().await, Instance::start().await);
    let plane = setup().serving([ending.addr(), instance.addr()]);
    let mut client = connect(plane.addr()).await;
    let mut wire = ending.accept().await;
    wire.stream().set_zero_linger().unwrap();
    drop(wire);
    let mut wire = instance.accept().await;
    send(&mut wire, "hello").await;
    assert_eq!(client.bytes(5).await.unwrap(), b"hello");
    // A reset that is quick enough ends the connecting.
    let retries = |reason| {
        plane.metric(&format!(r#"herder_retries_total{{service="shop",reason="{reason}"}}"#))
    };
    let is_counted = async || retries("reset") + retries("connect_failure") > 0.5;
    wait_until(PATIENCE, "the retry", is_counted).await;
}

#[tokio::test]
async fn a_connection_waits_for_an_instance_and_not_for_ever() {
    let instance = Instance::start().await;
    let plane = setup().start();
    let mut client = connect(plane.addr()).await;
    send(&mut client, "early").await;
    plane.metric_becomes(r#"herder_requests_waiting{service="shop"}"#, 1.0).await;
    plane.publish(&[plane.endpoint(instance.addr())]);
    assert_eq!(instance.accept().await.bytes(5).await.unwrap(), b"early");

    let mut setup = setup();
    setup.queue.timeout_wait = SOON;
    let plane = setup.start();
    let mut client = plane.client().await;
    assert_eq!(client.vanished().await.unwrap(), Vanished::Reset);
    plane.metric_becomes(&error("no_instance"), 1.0).await;
}

#[tokio::test]
async fn a_break_on_one_side_is_a_break_on_the_other() {
    let instance = Instance::start().await;
    let plane = setup().serving([instance.addr()]);
    let (mut client, mut wire) = carried(&plane, &instance).await;
    wire.stream().set_zero_linger().unwrap();
    drop(wire);
    let broken = client.to_end().await.unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
    plane.metric_becomes(&error("tunnel_broken"), 1.0).await;

    let (mut client, mut wire) = carried(&plane, &instance).await;
    client.stream().set_zero_linger().unwrap();
    drop(client);
    let broken = wire.to_end().await.unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
    plane.metric_becomes(&error("client_gone"), 1.0).await;
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let instance = Instance::start().await;
    let mut setup = setup();
    setup.policy.timeout_tunnel = SOON;
    let plane = setup.serving([instance.addr()]);
    let (mut client, mut wire) = carried(&plane, &instance).await;
    assert_eq!(client.to_end().await.unwrap(), b"");
    assert_eq!(wire.to_end().await.unwrap(), b"");
    plane.metric_becomes(&error("tunnel_idle"), 1.0).await;
}

#[tokio::test]
async fn the_duration_that_is_counted_is_until_the_instance_is_reached() {
    let instance = Instance::start().await;
    let plane = setup().serving([instance.addr()]);
    let (client, wire) = carried(&plane, &instance).await;
    let began = std::time::Instant::now();
    testkit::wait_until(PATIENCE, "some time", async || began.elapsed() > 2 * SOON).await;
    drop((client, wire));
    let bucket = r#"herder_request_duration_seconds_bucket{le="0.1",service="shop"}"#;
    let text = async || plane.registry.encode(&telemetry::Gauges::default()).unwrap();
    testkit::wait_until(PATIENCE, "the connection in the first buckets", async || {
        text().await.lines().any(|line| line.starts_with(bucket) && line.ends_with(" 1"))
    })
    .await;
}

#[tokio::test]
async fn herders_end_waits_for_connections_and_then_cuts_them() {
    let instance = Instance::start().await;
    let plane = setup().serving([instance.addr()]);
    let (mut client, mut wire) = carried(&plane, &instance).await;
    assert_eq!(plane.proxy.drain(SOON).await, 1);
    send(&mut client, "still").await;
    assert_eq!(wire.bytes(5).await.unwrap(), b"still");
    let end = async {
        drop(wire);
        assert_eq!(client.to_end().await.unwrap(), b"");
        drop(client);
    };
    assert_eq!(tokio::join!(plane.proxy.drain(PATIENCE), end).0, 0);

    let plane = setup().serving([instance.addr()]);
    let (mut client, _wire) = carried(&plane, &instance).await;
    assert_eq!(plane.proxy.drain(Duration::ZERO).await, 1);
    plane.proxy.stop();
    let cut = client.to_end().await.unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::ConnectionReset);
    plane.metric_becomes(&error("stopped"), 1.0).await;
}

#[tokio::test]
async fn the_header_of_a_proxy_in_front_is_passed_on_in_another_form() {
    let instance = Instance::start().await;
    let plane = Setup { proxy_protocol: ProxyProtocolOut::V1, ..setup() }.start();
    let mut listener = plane.listener();
    listener.proxy_protocol = ProxyProtocolIn::Required;
    plane.listen_on([listener]);
    plane.publish(&[plane.endpoint(instance.addr())]);
    let mut client = connect(plane.addr()).await;
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\xc7\x38\x01\xbb";
    send(&mut client, [v2, b"hello".as_slice()].concat()).await;
    let expected = b"PROXY TCP4 192.0.2.7 192.0.2.8 51000 443\r\nhello";
    assert_eq!(instance.accept().await.bytes(expected.len()).await.unwrap(), expected);
}
