//! What the data plane tells the algorithms: how long answers took, and what requests are alike.
//! What an algorithm makes of it is tested in `balance`.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Algorithm, HashOn};
use testkit::{HttpOrigin, RawClient, Reply};

use crate::plane::{Plane, Setup};

/// Makes target and header of a request with a number.
type Form<'a> = &'a dyn Fn(u32) -> (String, String);

async fn ask(client: &mut RawClient, target: &str, fields: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    client.send(&request).await.unwrap();
    let response = client.response().await.unwrap();
    response.fields.get("x-instance").unwrap().to_owned()
}

fn setup(algorithm: Algorithm, hash_on: HashOn) -> Setup {
    Setup { algorithm, hash_on, ..Setup::default() }
}

async fn origins() -> Vec<HttpOrigin> {
    let mut origins = Vec::new();
    for name in ["a", "b", "c", "d"] {
        origins.push(HttpOrigin::echo(name).await);
    }
    origins
}

async fn serving(algorithm: Algorithm, hash_on: HashOn, origins: &[HttpOrigin]) -> Plane {
    setup(algorithm, hash_on).serving(origins.iter().map(HttpOrigin::addr))
}

#[tokio::test]
async fn a_slow_instance_is_known_by_its_answers() {
    let slow = HttpOrigin::start("slow", |_| Reply::echo().delay(Duration::from_millis(80))).await;
    let fast = HttpOrigin::echo("fast").await;
    let setup = setup(Algorithm::LeastLatency, HashOn::Client);
    let plane = setup.serving([slow.addr(), fast.addr()]);
    let mut client = plane.client().await;
    for _ in 0..60 {
        ask(&mut client, "/", "").await;
    }
    assert!(slow.requests() < 12, "{}", slow.requests());
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_not_the_instance_s_time() {
    let origins = [HttpOrigin::echo("a").await];
    let plane = setup(Algorithm::LeastLatency, HashOn::Client).start();
    let endpoint = plane.endpoint(origins[0].addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    ask(&mut client, "/", "").await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na").await.unwrap();
    testkit::wait_until(testkit::PATIENCE, "the request", async || origins[0].requests() == 2)
        .await;
    let pause = std::time::Instant::now();
    testkit::wait_until(testkit::PATIENCE, "a while", async || {
        pause.elapsed() > Duration::from_millis(400)
    })
    .await;
    client.send("b").await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 200);
    let now = model::Time::default() + std::time::UNIX_EPOCH.elapsed().unwrap();
    let us = endpoint.latency().estimate_us(now).unwrap();
    assert!(us > 1.0 && us < 300_000.0, "{us}");
}

#[tokio::test]
async fn an_instance_that_asks_for_rest_gets_it() {
    let busy = |_: &_| Reply::echo().status(503).field("retry-after", "15");
    let busy = HttpOrigin::start("busy", busy).await;
    let other = HttpOrigin::echo("other").await;
    let setup = setup(Algorithm::LeastLatency, HashOn::Client);
    let plane = setup.serving([busy.addr(), other.addr()]);
    let mut client = plane.client().await;
    for _ in 0..30 {
        ask(&mut client, "/", "").await;
    }
    assert!(busy.requests() <= 2, "{}", busy.requests());
}

#[tokio::test]
async fn requests_that_are_alike_go_to_the_same_instance() {
    let maglev = Algorithm::Maglev { load_percent_max: None };
    let header = |n: u32| ("/".to_owned(), format!("X-User: {n}\r\n"));
    let cookie = |n: u32| ("/".to_owned(), format!("Cookie: a=b; X-User={n}\r\n"));
    let query = |n: u32| (format!("/?n=1&X-User={n}"), String::new());
    let path = |n: u32| (format!("/{n}?{n}{n}"), String::new());
    let forms: [(HashOn, Form<'_>); 4] = [
        (HashOn::Header("x-user".into()), &header),
        (HashOn::Cookie("X-User".into()), &cookie),
        (HashOn::Query("X-User".into()), &query),
        (HashOn::Path, &path),
    ];
    let origins = origins().await;
    for (hash_on, form) in forms {
        let plane = serving(maglev, hash_on.clone(), &origins).await;
        let (mut one, mut other) = (plane.client().await, plane.client().await);
        let mut seen = BTreeSet::new();
        for n in 0..40 {
            let (target, fields) = form(n);
            let instance = ask(&mut one, &target, &fields).await;
            assert_eq!(ask(&mut other, &target, &fields).await, instance, "{hash_on:?}");
            seen.insert(instance);
        }
        assert_eq!(seen.len(), 4, "{hash_on:?}");
    }
}

/// All requests here are of one client.
#[tokio::test]
async fn without_what_they_are_told_apart_by_the_client_s_address_decides() {
    let origins = origins().await;
    for hash_on in [HashOn::Client, HashOn::Header("x-user".into()), HashOn::Query("u".into())] {
        let ring = Algorithm::RingHash { load_percent_max: None };
        let plane = serving(ring, hash_on, &origins).await;
        let mut seen = BTreeSet::new();
        for n in 0..10 {
            let mut client = plane.client().await;
            seen.insert(ask(&mut client, &format!("/{n}"), &format!("X-Other: {n}\r\n")).await);
        }
        assert_eq!(seen.len(), 1);
    }
}
