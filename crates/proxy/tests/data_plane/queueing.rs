//! Requests that no instance takes because all have as many as they may: who goes next, who goes
//! without. Waiting for the first endpoint is for `waiting`.

use model::{PriorityFrom, PriorityHeader};
use testkit::{HttpOrigin, PATIENCE, RawClient, Reply, Wire, wait_until};
use tokio::net::TcpStream;

use crate::instance::{Instance, send};
use crate::plane::{Plane, SOON, Setup};

const WAITING: &str = r#"herder_requests_waiting{service="shop"}"#;
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn limited(in_flight_max: u32) -> Setup {
    let mut setup = Setup { workers: 2, ..Setup::default() };
    setup.service_limits.in_flight_max = in_flight_max;
    setup
}

/// A client whose request has come as far as it comes: to the instance, or into the queue.
async fn asking(plane: &Plane, target: &str, fields: &str) -> RawClient {
    let waiting = plane.metric(WAITING);
    let mut client = plane.client().await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).await.unwrap();
    plane.metric_becomes(WAITING, waiting + 1.0).await;
    client
}

/// The target of the next request over this connection.
async fn asked(wire: &mut Wire<TcpStream>) -> String {
    let head = String::from_utf8(wire.raw_head().await.unwrap()).unwrap();
    head.split(' ').nth(1).unwrap().to_owned()
}

/// An instance that takes one request at a time and is at one, and the connection of that.
async fn busy(plane: &Plane, instance: &Instance) -> (Wire<TcpStream>, RawClient) {
    let mut first = plane.client().await;
    first.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    (instance.asked().await, first)
}

/// Answers what comes, one after the other, and says what it was.
async fn served(instance: &Instance, wire: Wire<TcpStream>, count: usize) -> Vec<String> {
    let mut order = Vec::new();
    let mut wire = wire;
    for _ in 0..count {
        send(&mut wire, OK).await;
        // Another worker has connections of its own.
        let next = async {
            tokio::select! {
                target = asked(&mut wire) => (target, None),
                other = instance.accept() => {
                    let mut other = other;
                    (asked(&mut other).await, Some(other))
                }
            }
        };
        let (target, other) = next.await;
        order.push(target);
        wire = other.unwrap_or(wire);
    }
    send(&mut wire, OK).await;
    order
}

#[tokio::test]
async fn those_beyond_the_limit_go_in_the_order_in_which_they_came() {
    let instance = Instance::start().await;
    let mut setup = limited(1);
    setup.workers = 1;
    let plane = setup.serving([instance.addr()]);
    let (wire, mut first) = busy(&plane, &instance).await;
    let mut clients = Vec::new();
    for number in 0..5 {
        clients.push(asking(&plane, &format!("/{number}"), "").await);
    }
    assert_eq!(served(&instance, wire, 5).await, ["/0", "/1", "/2", "/3", "/4"]);
    assert_eq!(first.response().await.unwrap().status, 200);
    for client in &mut clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    plane.metric_becomes(WAITING, 0.0).await;
    plane.metric_becomes(r#"herder_wait_duration_seconds_count{service="shop"}"#, 5.0).await;
}

#[tokio::test]
async fn a_higher_class_goes_first_if_the_client_is_believed() {
    let header = |from| Some(PriorityHeader { name: "x-priority".into(), from });
    let check = async |from, expected: [&str; 3]| {
        let instance = Instance::start().await;
        let mut setup = limited(1);
        (setup.workers, setup.queue.priority) = (1, header(from));
        let plane = setup.serving([instance.addr()]);
        let (wire, _first) = busy(&plane, &instance).await;
        let _low = asking(&plane, "/low", "X-Priority: 0\r\n").await;
        let _plain = asking(&plane, "/plain", "").await;
        let _high = asking(&plane, "/high", "x-priority: high\r\n").await;
        assert_eq!(served(&instance, wire, 3).await, expected);
    };
    check(PriorityFrom::Anyone, ["/high", "/plain", "/low"]).await;
    check(PriorityFrom::Trusted, ["/low", "/plain", "/high"]).await;
}

#[tokio::test]
async fn no_instance_ever_has_more_than_it_may_and_everybody_is_served() {
    let slow = |_: &testkit::Ask| Reply::bytes("ok");
    let origin = HttpOrigin::start("a", slow).await;
    let mut setup = limited(2);
    setup.service_limits.service_in_flight_max = 3;
    let plane = setup.start();
    let endpoints = [plane.endpoint(origin.addr()), plane.endpoint(origin.addr())];
    plane.publish(&endpoints);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut client = plane.client().await;
        tasks.spawn(async move {
            for _ in 0..50 {
                assert_eq!(client.get("/").await.unwrap().status, 200);
            }
        });
    }
    while !tasks.is_empty() {
        let in_flight = endpoints.each_ref().map(|endpoint| endpoint.in_flight());
        assert!(in_flight.iter().all(|&count| count <= 2), "{in_flight:?}");
        tokio::task::yield_now().await;
        if let Some(joined) = tasks.try_join_next() {
            joined.unwrap();
        }
    }
    plane.metric_becomes(WAITING, 0.0).await;
    assert!(plane.metric(r#"herder_wait_duration_seconds_count{service="shop"}"#) > 0.0);
}

#[tokio::test]
async fn busy_is_said_to_be_busy_and_a_full_queue_full() {
    let instance = Instance::start().await;
    let mut setup = limited(1);
    (setup.queue.timeout_wait, setup.queue.waiting_max) = (SOON, 1);
    let plane = setup.serving([instance.addr()]);
    let (_wire, _first) = busy(&plane, &instance).await;
    let mut late = asking(&plane, "/", "").await;
    let mut later = plane.client().await;
    let refusal = later.get("/").await.unwrap();
    assert_eq!((refusal.status, refusal.fields.get("retry-after")), (503, Some("1")));
    assert_eq!(refusal.fields.get("herder-error"), Some("too_many_waiting"));
    let refusal = late.response().await.unwrap();
    assert_eq!((refusal.status, refusal.fields.get("retry-after")), (503, Some("1")));
    assert_eq!(refusal.fields.get("herder-error"), Some("all_busy"));
}

#[tokio::test]
async fn a_client_that_goes_leaves_its_place_to_the_next() {
    let instance = Instance::start().await;
    let plane = limited(1).serving([instance.addr()]);
    let (wire, _first) = busy(&plane, &instance).await;
    let gone = asking(&plane, "/gone", "").await;
    let mut stays = asking(&plane, "/stays", "").await;
    drop(gone);
    plane.metric_becomes(WAITING, 1.0).await;
    assert_eq!(served(&instance, wire, 1).await, ["/stays"]);
    assert_eq!(stays.response().await.unwrap().status, 200);
}

#[tokio::test]
async fn after_an_outage_all_are_let_in_as_there_is_room() {
    let instance = Instance::start().await;
    let plane = limited(2).start();
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(asking(&plane, "/", "").await);
    }
    let endpoint = plane.endpoint(instance.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut wires = Vec::new();
    for _ in 0..2 {
        wires.push(instance.asked().await);
    }
    plane.metric_becomes(WAITING, 4.0).await;
    assert_eq!(endpoint.in_flight(), 2);
    let origin = HttpOrigin::start("b", |_| Reply::bytes("ok")).await;
    plane.publish(&[endpoint, plane.endpoint(origin.addr())]);
    plane.metric_becomes(WAITING, 0.0).await;
    for mut wire in wires {
        send(&mut wire, OK).await;
    }
    wait_until(PATIENCE, "four at the other", async || origin.requests() == 4).await;
    for client in &mut clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn who_has_less_time_left_than_an_answer_takes_is_told_at_once() {
    let instance = Instance::start().await;
    let mut setup = limited(1);
    setup.policy.timeout_request = Some(PATIENCE);
    let plane = setup.serving([instance.addr()]);
    let (mut wire, mut first) = busy(&plane, &instance).await;
    let mut patient = asking(&plane, "/patient", "").await;
    // Somebody found out that half of the answers take longer than anybody waits.
    (0..20).for_each(|_| balance::quantile::learn_usual(plane.live(), PATIENCE * 2));
    let mut late = plane.client().await;
    let answer = late.get("/late").await.unwrap();
    assert_eq!((answer.status, answer.fields.get("herder-error")), (503, Some("too_late")));
    send(&mut wire, OK).await;
    assert_eq!(first.response().await.unwrap().status, 200);
    assert_eq!(served_one(&instance, wire).await, "/patient", "it had come before");
    assert_eq!(patient.response().await.unwrap().status, 200);
}

/// What comes next over this connection or a new one, answered.
async fn served_one(instance: &Instance, wire: Wire<TcpStream>) -> String {
    let mut wire = wire;
    let (target, other) = tokio::select! {
        target = asked(&mut wire) => (target, None),
        other = instance.accept() => {
            let mut other = other;
            (asked(&mut other).await, Some(other))
        }
    };
    send(&mut other.unwrap_or(wire), OK).await;
    target
}

#[tokio::test]
async fn what_answers_take_is_learned_while_somebody_waits() {
    let origin =
        HttpOrigin::start("a", |_| Reply::bytes("ok").delay(std::time::Duration::from_millis(20)));
    let origin = origin.await;
    let mut setup = limited(1);
    setup.policy.timeout_request = Some(PATIENCE);
    let plane = setup.serving([origin.addr()]);
    let median = || balance::quantile::median(plane.live());
    let mut client = plane.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    assert_eq!(median(), None, "nobody waited");
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = plane.client().await;
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    let ms = median().unwrap().as_millis();
    assert!((15..200).contains(&ms), "{ms}");
}
