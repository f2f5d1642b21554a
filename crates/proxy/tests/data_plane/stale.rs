//! Connections that an instance closed while they were parked: no fault, and no request's end.
//! The rest of what instances do wrong is for `retries`.

use testkit::{HttpOrigin, Wire};
use tokio::net::TcpStream;

use crate::instance::{Instance, send};
use crate::plane::{Plane, SOON, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn answer(wire: &mut Wire<TcpStream>) {
    wire.raw_head().await.unwrap();
    send(wire, OK).await;
}

/// A plane with a connection to the instance parked, a client of it, and the instance's side.
async fn parked(setup: Setup, instance: &Instance) -> (Plane, Wire<TcpStream>) {
    let plane = setup.serving([instance.addr()]);
    let mut client = plane.client().await;
    let answered = async {
        let mut wire = instance.accept().await;
        answer(&mut wire).await;
        wire
    };
    let (response, wire) = tokio::join!(client.get("/"), answered);
    assert_eq!(response.unwrap().text(), "ok");
    (plane, wire)
}

#[tokio::test]
async fn a_connection_that_was_closed_while_parked_is_not_used() {
    let instance = Instance::start().await;
    let (plane, wire) = parked(Setup::default(), &instance).await;
    drop(wire);
    let mut client = plane.client().await;
    let answered = async {
        let mut wire = instance.accept().await;
        let mut request = wire.request_head().await.unwrap().unwrap();
        wire.request_body(&mut request).await.unwrap();
        send(&mut wire, OK).await;
        request.body
    };
    let (response, body) = tokio::join!(client.post("/", "hi"), answered);
    assert_eq!((response.unwrap().status, body), (200, b"hi".to_vec()));
    plane.metric_becomes(r#"herder_requests_total{service="shop",status="2xx"}"#, 2.0).await;
}

#[tokio::test]
async fn one_that_closes_under_the_request_is_replaced_and_nobody_is_blamed() {
    let instance = Instance::start().await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    let answered = async {
        let mut wire = instance.accept().await;
        answer(&mut wire).await;
        wire.raw_head().await.unwrap();
        drop(wire);
        answer(&mut instance.accept().await).await;
    };
    let asked = async {
        for _ in 0..2 {
            assert_eq!(client.get("/").await.unwrap().text(), "ok");
        }
    };
    tokio::join!(answered, asked);
    assert_eq!((endpoint.requests(), endpoint.failures()), (2, 0));
    assert_eq!(plane.unreachable(), [""; 0]);
    plane.metric_becomes(r#"herder_retries_total{service="shop",reason="reset"}"#, 0.0).await;
}

#[tokio::test]
async fn a_new_connection_that_closes_under_the_request_is_a_failure() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.queue.timeout_wait = SOON;
    let plane = setup.start();
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    let (response, _) = tokio::join!(client.get("/"), async { drop(instance.asked().await) });
    assert_eq!(response.unwrap().status, 502);
    assert_eq!((endpoint.requests(), endpoint.failures()), (1, 1));
}

#[tokio::test]
async fn one_that_breaks_off_a_response_head_is_a_failure() {
    for part in ["HTTP/1.1 200 O", "HTTP/1.1 103 Hint\r\n\r\n"] {
        let (instance, good) = (Instance::start().await, HttpOrigin::echo("good").await);
        let (plane, mut wire) = parked(Setup::default(), &instance).await;
        let endpoints = [plane.endpoint(instance.addr()), plane.endpoint(good.addr())];
        plane.publish(&endpoints[..1]);
        let mut client = plane.client().await;
        let again = async {
            wire = instance.accept().await;
            answer(&mut wire).await;
            plane.publish(&endpoints);
        };
        let (response, ()) = tokio::join!(client.get("/"), again);
        assert_eq!(response.unwrap().status, 200);
        let broken = async {
            wire.raw_head().await.unwrap();
            send(&mut wire, part).await;
            drop(wire);
        };
        // The turns are counted on, so that it may be the good one's.
        let asked = async {
            while endpoints[0].requests() < 2 {
                assert_eq!(client.get("/").await.unwrap().status, 200, "{part}");
            }
        };
        tokio::join!(broken, asked);
        assert_eq!((endpoints[0].requests(), endpoints[0].failures()), (2, 1), "{part}");
    }
}

#[tokio::test]
async fn one_stale_connection_condemns_the_others_to_the_same_endpoint() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut clients = [plane.client().await, plane.client().await];
    let mut wires = Vec::new();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        wires.push(instance.asked().await);
    }
    for (client, wire) in clients.iter_mut().zip(&mut wires) {
        send(wire, OK).await;
        assert_eq!(client.response().await.unwrap().text(), "ok");
    }
    let stale = async {
        let mut last = wires.pop().unwrap();
        last.raw_head().await.unwrap();
        drop(last);
        answer(&mut instance.accept().await).await;
        assert_eq!(wires[0].to_end().await.unwrap(), b"");
    };
    let (response, ()) = tokio::join!(clients[0].get("/"), stale);
    assert_eq!(response.unwrap().text(), "ok");
}
