//! Herder's own end: what drain waits for, what stop cuts off.
//! The end of a single instance is for `closing`, of a listener for `reload`.

use std::time::{Duration, Instant};

use testkit::{HttpOrigin, PATIENCE, RawClient, Reply, Vanished, wait_until};
use tokio::net::TcpStream;

use crate::instance::{Instance, send};
use crate::plane::{Plane, SOON, Setup};

#[tokio::test]
async fn idle_connections_are_closed_soon() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = plane.client().await;
        assert_eq!(client.get("/").await.unwrap().status, 200);
        clients.push(client);
    }
    let began = Instant::now();
    assert_eq!(plane.proxy.drain(PATIENCE).await, 0);
    assert!(began.elapsed() < PATIENCE / 4);
    for client in &mut clients {
        assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    }
    TcpStream::connect(plane.addr()).await.expect_err("nobody listens");
}

#[tokio::test]
async fn a_connection_that_has_not_asked_yet_gets_a_moment_and_no_more() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let plane = Plane::of([origin.addr()]);
    let (mut quick, mut silent) = (plane.client().await, plane.client().await);
    plane.metric_becomes("herder_connections_open", 2.0).await;
    let began = Instant::now();
    let asked = async {
        // Draining has begun for certain when nobody listens any more.
        wait_until(PATIENCE, "the listener to go", async || {
            TcpStream::connect(plane.addr()).await.is_err()
        })
        .await;
        quick.get("/").await.unwrap()
    };
    let (left, response) = tokio::join!(plane.proxy.drain(PATIENCE), asked);
    assert_eq!((left, response.fields.get("connection")), (0, Some("close")));
    assert_eq!(silent.vanished().await.unwrap(), Vanished::Closed);
    assert!(began.elapsed() < PATIENCE / 4);
}

#[tokio::test]
async fn a_connection_in_use_is_told_which_request_is_the_last() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let addr = plane.addr();
        clients.push(tokio::spawn(async move {
            let mut client = RawClient::connect(addr).await;
            loop {
                let response = client.get("/").await.expect("no request is lost");
                if response.fields.get("connection") == Some("close") {
                    return client.vanished().await.unwrap();
                }
                // Idle for a moment, as clients are: that is when draining may begin.
                tokio::task::yield_now().await;
            }
        }));
    }
    wait_until(PATIENCE, "some load", async || origin.answered() > 100).await;
    assert_eq!(plane.proxy.drain(PATIENCE).await, 0);
    for client in clients {
        assert_eq!(client.await.unwrap(), Vanished::Closed);
    }
}

#[tokio::test]
async fn requests_that_were_sent_before_are_answered() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    for _ in 0..20 {
        let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = plane.client().await;
            client.get("/").await.unwrap();
            clients.push(client);
        }
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        }
        plane.proxy.drain(Duration::ZERO).await;
        for client in &mut clients {
            assert_eq!(client.response().await.unwrap().status, 200);
        }
    }
}

#[tokio::test]
async fn requests_that_run_are_finished_and_say_that_they_are_the_last() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut early = instance.asked().await;
    let mut streaming = plane.client().await;
    streaming.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut late = instance.asked().await;
    send(&mut late, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
    let finished = async {
        wait_until(PATIENCE, "the listener to go", async || {
            TcpStream::connect(plane.addr()).await.is_err()
        })
        .await;
        send(&mut early, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        send(&mut late, "k").await;
        (client.response().await.unwrap(), streaming.response().await.unwrap())
    };
    let (left, (first, second)) = tokio::join!(plane.proxy.drain(PATIENCE), finished);
    assert_eq!(left, 0);
    assert_eq!((first.text(), second.text()), ("ok".to_owned(), "ok".to_owned()));
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    assert_eq!(streaming.vanished().await.unwrap(), Vanished::Closed);
}

#[tokio::test]
async fn what_is_left_after_the_time_is_counted_and_cut_off_by_stop() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut wire = instance.asked().await;
    assert_eq!(plane.proxy.drain(SOON).await, 1);
    assert_eq!(plane.proxy.drain(Duration::ZERO).await, 1, "asking again changes nothing");
    plane.proxy.stop();
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.fields.get("herder-error")), (503, Some("stopped")));
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
    assert_eq!(wire.to_end().await.unwrap(), b"");
    assert!(plane.metric("herder_connections_open") < 0.5);
    assert!(plane.metric(r#"herder_requests_in_flight{service="shop"}"#) < 0.5);
    plane.proxy.stop();
}

#[tokio::test]
async fn connections_that_the_kernel_has_completed_are_still_served() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    for _ in 0..20 {
        let plane = Setup { workers: 2, ..Setup::default() }.serving([origin.addr()]);
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = plane.client().await;
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
            clients.push(client);
        }
        let answered = async {
            for client in &mut clients {
                assert_eq!(client.response().await.unwrap().status, 200);
            }
        };
        let (left, ()) = tokio::join!(plane.proxy.drain(PATIENCE), answered);
        assert_eq!(left, 0);
        plane.proxy.stop();
    }
}
