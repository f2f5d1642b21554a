//! Clients and instances that break off anywhere, by seed: nothing is left, nothing mixed up.
//! What exactly is answered to each misfortune is for the other files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use model::{Algorithm, Endpoint};
use testkit::{Ask, Framing, HttpOrigin, PATIENCE, RawClient, Reply, wait_until};

use crate::plane::{Plane, SOON, Setup};

const CLIENTS: u64 = 12;
const REQUESTS_EACH: u64 = 40;

/// The answer to a request is its own target; now and then it is broken off instead.
fn answer(ask: &Ask, draws: &AtomicU64) -> Reply {
    let mut rng = Rng::with_seed(draws.fetch_add(1, Ordering::Relaxed));
    let body = ask.request.target.repeat(rng.usize(1..200));
    let reply = match rng.u8(0..10) {
        0..3 => Reply::chunks([body.as_bytes(), b" ", body.as_bytes()], SOON / 100),
        _ => Reply::bytes(body),
    };
    match rng.u8(0..20) {
        0 => reply.cut(0),
        1 => reply.cut(rng.usize(1..60)),
        2 => reply.cut(rng.usize(60..2000)),
        3 => reply.vanish(),
        4 => reply.close(),
        5 => reply.early(),
        6 => reply.delay(SOON / 20),
        _ => reply,
    }
}

fn request(rng: &mut Rng, target: &str) -> String {
    let method = ["GET", "PUT", "POST", "DELETE"][rng.usize(0..4)];
    let version = if rng.u8(0..8) == 0 { "1.0" } else { "1.1" };
    let body = "x".repeat(rng.usize(1..5000));
    let body = match rng.u8(0..4) {
        0 => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        1 if version == "1.1" => {
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        }
        _ => "\r\n".to_owned(),
    };
    format!("{method} {target} HTTP/{version}\r\nHost: h\r\n{body}")
}

/// Asks again and again, breaks off now and then, and never accepts an answer to another request.
async fn client(plane: &Plane, seed: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let mut connection: Option<RawClient> = None;
    let mut answered = 0;
    for nth in 0..REQUESTS_EACH {
        let mut client = match connection.take() {
            Some(client) => client,
            None => RawClient::connect(plane.addr()).await,
        };
        // With one slash, so that it does not overlap itself.
        let target = format!("/{seed}-{nth}");
        let request = request(&mut rng, &target);
        let bytes = if rng.u8(0..10) == 0 { rng.usize(0..request.len()) } else { request.len() };
        if client.send(&request[..bytes]).await.is_err() {
            continue;
        }
        if bytes < request.len() || rng.u8(0..15) == 0 {
            if rng.bool() {
                client.reset();
            }
            continue;
        }
        let Ok(response) = client.response().await else { continue };
        if response.status == 200 {
            let mut text = response.text();
            if response.framing == Framing::Close {
                // Without a length, an HTTP/1.0 client cannot tell that it was cut.
                text.truncate(text.rfind(&*target).map_or(0, |at| at + target.len()));
            }
            assert!(text.split(&*target).all(|rest| rest.trim().is_empty()), "{target}: {text}");
            answered += 1;
        }
        if response.fields.get("connection") != Some("close") {
            connection = Some(client);
        }
    }
    answered
}

#[tokio::test]
async fn nothing_stays_behind_when_both_sides_break_off() {
    for seed in 0..4 {
        let draws = Arc::new(AtomicU64::new(seed << 32));
        let mut origins = Vec::new();
        for name in ["a", "b", "c"] {
            let draws = Arc::clone(&draws);
            origins.push(HttpOrigin::start(name, move |ask| answer(ask, &draws)).await);
        }
        let algorithm = if seed % 2 == 0 { Algorithm::RoundRobin } else { Algorithm::LeastRequest };
        let mut setup = Setup { workers: 2, algorithm, has_access_log: true, ..Setup::default() };
        setup.queue.timeout_wait = SOON;
        setup.limits.timeout_body = SOON * 5;
        let plane = setup.start();
        let endpoints: Vec<Arc<Endpoint>> =
            origins.iter().map(|origin| plane.endpoint(origin.addr())).collect();
        plane.publish(&endpoints);
        let mut answered = 0;
        let clients: Vec<_> = (0..CLIENTS).map(|at| client(&plane, seed * CLIENTS + at)).collect();
        for count in join_all(clients).await {
            answered += count;
        }
        assert!(answered > CLIENTS * REQUESTS_EACH / 2, "seed {seed}: {answered} were answered");
        plane.metric_becomes("herder_connections_open", 0.0).await;
        plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 0.0).await;
        plane.metric_becomes(r#"herder_requests_waiting{service="shop"}"#, 0.0).await;
        wait_until(PATIENCE, "no request in flight", async || {
            endpoints.iter().all(|endpoint| endpoint.in_flight() == 0)
        })
        .await;
        let begun: u64 = endpoints.iter().map(|endpoint| endpoint.requests()).sum();
        assert!(origins.iter().map(HttpOrigin::requests).sum::<u64>() <= begun + 100);
        assert_eq!(plane.proxy.drain(PATIENCE).await, 0, "seed {seed}");
    }
}

/// What all of them return, when all have.
async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in pinned.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(cx) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
