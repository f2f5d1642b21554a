//! Endpoints that are closed while requests run: none fails, and none begins there afterwards.
//! Herder's own end is for `draining`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{Algorithm, Endpoint};
use testkit::{HttpOrigin, PATIENCE, RawClient, Reply, wait_until};
use tokio::task::JoinHandle;

use crate::plane::{Plane, SOON, Setup};

/// Clients that ask again and again until they are stopped.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Half of them keep their connections, half use a new one for each request.
    fn start(plane: &Plane, count: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let addr = plane.addr();
        let begin = |at: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut client = RawClient::connect(addr).await;
                while !stop.load(Ordering::Relaxed) {
                    if at.is_multiple_of(2) {
                        client = RawClient::connect(addr).await;
                    }
                    let response = if at.is_multiple_of(3) {
                        client.post("/", "hi").await.unwrap()
                    } else {
                        client.get("/").await.unwrap()
                    };
                    assert_eq!(response.status, 200, "{response}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..count).map(begin).collect();
        Self { stop, answered, tasks }
    }

    /// Waits until so many more requests were answered.
    async fn go_on(&self, count: u64) {
        let end = self.answered.load(Ordering::Relaxed) + count;
        wait_until(PATIENCE, "more answers", async || self.answered.load(Ordering::Relaxed) >= end)
            .await;
    }

    /// How many requests were answered, which is all of them.
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("no request failed");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

async fn check(algorithm: Algorithm) {
    let slow = |_: &_| Reply::bytes("ok").delay(SOON / 50);
    let mut origins = Vec::new();
    for name in ["a", "b", "c", "d"] {
        origins.push(HttpOrigin::start(name, slow).await);
    }
    let plane = Setup { workers: 2, algorithm, ..Setup::default() }.start();
    let mut endpoints: Vec<Arc<Endpoint>> =
        origins.iter().map(|origin| plane.endpoint(origin.addr())).collect();
    plane.publish(&endpoints);
    let clients = Clients::start(&plane, 12);
    let mut closed = Vec::new();
    for round in 0..6 {
        clients.go_on(50).await;
        let endpoint = endpoints.remove(0);
        endpoint.close();
        wait_until(PATIENCE, "its requests to end", async || endpoint.in_flight() == 0).await;
        closed.push((endpoint.requests(), Arc::clone(&endpoint)));
        clients.go_on(50).await;
        // The table is published later than the close, or with the next one only.
        endpoints.push(plane.endpoint(origins[round % 4].addr()));
        if round % 2 == 0 {
            plane.publish(&endpoints);
        }
    }
    let answered = clients.stop().await;
    let begun: u64 = closed.iter().map(|(_, endpoint)| endpoint.requests()).sum();
    assert!(closed.iter().all(|(seen, endpoint)| *seen == endpoint.requests()), "{closed:?}");
    assert!(closed.iter().take(4).all(|(seen, _)| *seen > 0), "{closed:?}");
    let served: u64 = origins.iter().map(HttpOrigin::requests).sum();
    let left: u64 = endpoints.iter().map(|endpoint| endpoint.requests()).sum();
    assert_eq!((served, begun + left), (answered, answered), "each was sent once");
}

#[tokio::test]
async fn closing_an_endpoint_loses_no_request_in_turn() {
    check(Algorithm::RoundRobin).await;
}

#[tokio::test]
async fn closing_an_endpoint_loses_no_request_by_load() {
    check(Algorithm::LeastRequest).await;
}

#[tokio::test]
async fn closing_an_endpoint_loses_no_request_by_chance() {
    check(Algorithm::Random).await;
}

#[tokio::test]
async fn a_request_that_runs_when_its_endpoint_is_closed_is_finished() {
    let slow = |_: &_| Reply::chunks(["a", "b", "c"], SOON / 10).delay(SOON / 10);
    let origin = HttpOrigin::start("a", slow).await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(origin.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    wait_until(PATIENCE, "the request to begin", async || endpoint.in_flight() == 1).await;
    endpoint.close();
    plane.publish(&[]);
    let response = client.response().await.unwrap();
    assert_eq!((response.text().as_str(), response.fields.get("connection")), ("abc", None));
    wait_until(PATIENCE, "the request to end", async || endpoint.in_flight() == 0).await;
}
