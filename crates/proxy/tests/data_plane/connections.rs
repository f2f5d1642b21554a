//! Connections and turns: which are kept, which are used again, and whose turn it is.
//! Connections that have gone stale are for `stale`.

use model::Algorithm;
use testkit::{HttpOrigin, PATIENCE, RawClient, Reply, wait_until};

use crate::instance::{Instance, connect, head, send};
use crate::plane::{Plane, SOON, Setup};

/// Origins that answer with their names: `a`, `b` and so on.
async fn named(count: u8) -> Vec<HttpOrigin> {
    let mut origins = Vec::new();
    for letter in (b'a'..).take(count.into()) {
        let name = char::from(letter).to_string();
        let reply = name.clone();
        origins.push(HttpOrigin::start(&name, move |_| Reply::bytes(reply.clone())).await);
    }
    origins
}

async fn names(clients: &mut [RawClient], count: usize) -> String {
    let mut names = String::new();
    let clients_max = clients.len();
    for at in 0..count {
        names += &clients[at % clients_max].get("/").await.unwrap().text();
    }
    names
}

#[tokio::test]
async fn the_turn_is_shared_by_all_clients_and_workers() {
    let origins = named(3).await;
    let setup = Setup { workers: 2, ..Setup::default() };
    let plane = setup.serving(origins.iter().map(HttpOrigin::addr));
    let mut clients = Vec::new();
    for _ in 0..7 {
        clients.push(plane.client().await);
    }
    assert_eq!(names(&mut clients, 21).await, "abc".repeat(7));
    assert!(origins.iter().all(|origin| origin.requests() == 7));
}

#[tokio::test]
async fn the_least_loaded_endpoint_is_chosen() {
    let busy = Instance::start().await;
    let origins = named(2).await;
    let plane = Setup { algorithm: Algorithm::LeastRequest, ..Setup::default() }.start();
    let mut endpoints = vec![plane.endpoint(busy.addr())];
    plane.publish(&endpoints);
    let mut waiting = plane.client().await;
    waiting.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let _wire = busy.asked().await;
    endpoints.extend(origins.iter().map(|origin| plane.endpoint(origin.addr())));
    plane.publish(&endpoints);
    let names = names(&mut [plane.client().await], 9).await;
    assert!(names.contains('a') && names.contains('b'), "{names}");
    assert_eq!(endpoints[0].requests(), 1);
}

#[tokio::test]
async fn connections_to_instances_are_shared_by_the_clients_of_a_worker() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    for _ in 0..3 {
        let mut client = plane.client().await;
        for _ in 0..5 {
            assert_eq!(client.get("/").await.unwrap().status, 200);
        }
    }
    assert_eq!((origin.connections(), origin.requests()), (1, 15));
    plane.metric_becomes(r#"herder_instance_connections_total{service="shop"}"#, 1.0).await;
    plane.metric_becomes(r#"herder_instance_connection_reuses_total{service="shop"}"#, 14.0).await;
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.policy.idle_max = 1;
    let plane = setup.serving([instance.addr()]);
    let mut clients = [plane.client().await, plane.client().await];
    let mut wires = Vec::new();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        wires.push(instance.asked().await);
    }
    for (client, wire) in clients.iter_mut().zip(&mut wires) {
        send(wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        client.response().await.unwrap();
    }
    assert_eq!(wires[1].to_end().await.unwrap(), b"", "the second is closed");
    let again = async {
        head(&mut wires[0]).await;
        send(&mut wires[0], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    };
    let (response, ()) = tokio::join!(clients[1].get("/"), again);
    assert_eq!(response.unwrap().status, 200);
}

#[tokio::test]
async fn an_idle_connection_to_an_instance_is_closed_after_its_time() {
    let instance = Instance::start().await;
    let mut setup = Setup::default();
    setup.policy.timeout_idle = SOON;
    let plane = setup.serving([instance.addr()]);
    let mut client = plane.client().await;
    let answered = async {
        let mut wire = instance.asked().await;
        send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        wire
    };
    let (response, mut wire) = tokio::join!(client.get("/"), answered);
    assert_eq!(response.unwrap().status, 200);
    assert_eq!(wire.to_end().await.unwrap(), b"");
}

#[tokio::test]
async fn connections_to_a_closed_endpoint_are_not_kept() {
    let instance = Instance::start().await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut clients = [plane.client().await, plane.client().await];
    let mut wires = Vec::new();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        wires.push(instance.asked().await);
    }
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    send(&mut wires[0], ok).await;
    clients[0].response().await.unwrap();
    endpoint.close();
    assert_eq!(wires[0].to_end().await.unwrap(), b"", "parked before the close");
    send(&mut wires[1], ok).await;
    clients[1].response().await.unwrap();
    assert_eq!(wires[1].to_end().await.unwrap(), b"", "used during the close");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origins = named(2).await;
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    let mut requests = String::new();
    for at in 0..50 {
        requests += &format!("GET /{at} HTTP/1.1\r\nHost: h\r\n\r\n");
        requests += &format!("POST /p{at} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
        let chunk = "1\r\ny\r\n0\r\n\r\n";
        requests +=
            &format!("PUT /c{at} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    }
    client.send(requests).await.unwrap();
    for at in 0..50 {
        for (target, body) in
            [(format!("/{at}"), ""), (format!("/p{at}"), "x"), (format!("/c{at}"), "y")]
        {
            let echo = client.response().await.unwrap().json();
            assert_eq!((&echo["target"], &echo["body"]), (&target.into(), &body.into()));
        }
    }
    drop(origins);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn the_answer_before_a_close_survives_pipelined_requests_behind_it() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes(vec![b'x'; 1 << 20])).await;
    let plane = Plane::of([origin.addr()]);
    let mut client = connect(plane.addr()).await;
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let next = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
    send(&mut client, format!("{last}{next}")).await;
    wait_until(PATIENCE, "the answer to be sent", async || origin.answered() > 0).await;
    assert!(head(&mut client).await.contains("\r\nConnection: close\r\n"));
    assert_eq!(client.to_end().await.unwrap().len(), 1 << 20);
    assert_eq!(origin.requests(), 1, "what is behind a close is not served");
}
