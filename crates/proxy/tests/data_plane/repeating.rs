//! What a service's retry policy makes of failures, and what its budget makes of an outage.
//! What is retried without any policy is for `retries`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Endpoint, Retry, RetryBudget, RetryMethods, RetryOn, UNLIMITED};
use testkit::{Ask, HttpOrigin, PATIENCE, RawClient, Reply, Wire, wait_until};
use tokio::net::TcpStream;

use crate::instance::{Instance, send};
use crate::plane::{Plane, SOON, Setup};

/// As a configuration has it that names these statuses.
fn policy(statuses: &[u16]) -> Retry {
    Retry {
        retries_max: 2,
        on: RetryOn { timeout: true, statuses: statuses.into(), ..RetryOn::failures() },
        body_bytes_max: 64 * 1024,
        backoff_max: SOON,
        ..Retry::unbounded()
    }
}

fn setup(retry: Retry) -> Setup {
    Setup { retry, ..Setup::default() }
}

async fn answering(status: u16) -> HttpOrigin {
    HttpOrigin::start("bad", move |_| Reply::bytes("").status(status)).await
}

fn retries(reason: &str) -> String {
    format!(r#"herder_retries_total{{service="shop",reason="{reason}"}}"#)
}

const DENIED: &str = r#"herder_retry_budget_exhausted_total{service="shop"}"#;

async fn status(plane: &Plane, request: &str) -> u16 {
    let mut client = plane.client().await;
    client.send(request).await.unwrap();
    client.response().await.unwrap().status
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_status_that_the_policy_names_is_never_seen_as_long_as_another_instance_answers() {
    let (bad, good) = (answering(503).await, HttpOrigin::echo("good").await);
    let plane = setup(policy(&[429, 503])).serving([bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    for _ in 0..4 {
        let response = client.get("/").await.unwrap();
        assert_eq!((response.status, response.fields.get("x-instance")), (200, Some("good")));
    }
    assert_eq!((bad.requests(), good.requests()), (4, 4));
    assert_eq!(bad.connections(), 1, "a small response that is thrown away costs no connection");
    plane.metric_becomes(&retries("status"), 4.0).await;
    assert_eq!(status(&plane, POST).await, 503, "it may have done something");
    assert_eq!((bad.requests(), good.requests()), (5, 4));
}

#[tokio::test]
async fn a_response_that_nothing_better_can_replace_is_passed_on_as_it_is() {
    let field = |ask: &Ask| Reply::bytes(ask.nth.to_string()).status(502).field("X-Mine", "yes");
    let (one, other) = (HttpOrigin::start("a", field).await, HttpOrigin::start("b", field).await);
    let plane = setup(policy(&[502])).serving([one.addr(), other.addr()]);
    let response = plane.client().await.get("/").await.unwrap();
    assert_eq!((response.status, response.fields.get("x-mine")), (502, Some("yes")));
    assert_eq!(response.fields.get("herder-error"), None);
    assert_eq!((one.requests(), other.requests()), (1, 1), "both were asked, each once");
    let plane = setup(policy(&[502])).serving([one.addr()]);
    assert_eq!(status(&plane, GET).await, 502);
    let plane = setup(policy(&[503])).serving([one.addr(), other.addr()]);
    assert_eq!(status(&plane, GET).await, 502, "this one is not named");
    plane.metric_becomes(&retries("status"), 0.0).await;
}

#[tokio::test]
async fn the_policy_says_which_methods_and_which_failures() {
    let check = async |retry: Retry, request: &str, expected: u16| {
        let reset = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
        let good = HttpOrigin::echo("good").await;
        let plane = setup(retry.clone()).serving([reset.addr(), good.addr()]);
        assert_eq!(status(&plane, request).await, expected, "{request}: {retry:?}");
    };
    let put = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    let safe = Retry { methods: RetryMethods::Safe, ..policy(&[]) };
    let listed = Retry { methods: RetryMethods::Listed(["POST".into()].into()), ..policy(&[]) };
    let never = RetryOn { reset: false, ..RetryOn::failures() };
    check(policy(&[]), GET, 200).await;
    check(policy(&[]), put, 200).await;
    check(policy(&[]), POST, 502).await;
    check(safe.clone(), GET, 200).await;
    check(safe, put, 502).await;
    check(listed.clone(), POST, 200).await;
    check(listed, GET, 502).await;
    check(Retry { on: never, ..policy(&[]) }, GET, 502).await;
}

#[tokio::test]
async fn a_body_within_the_bound_is_sent_again_from_its_first_byte() {
    let bad = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
    let good = HttpOrigin::echo("good").await;
    let text = "body ".repeat(8000);
    let chunks = |text: &str| {
        let chunk =
            |part: &[u8]| format!("{:x}\r\n{}\r\n", part.len(), std::str::from_utf8(part).unwrap());
        text.as_bytes().chunks(3001).map(chunk).chain(["0\r\n\r\n".into()]).collect::<String>()
    };
    let plane = setup(policy(&[])).serving([bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    for request in [
        format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{text}", text.len()),
        format!("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunks(&text)),
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
    ] {
        client.send(&request).await.unwrap();
        let response = client.response().await.unwrap();
        let sent = request.split("\r\n\r\n").nth(1).unwrap();
        let expected = if request.contains("chunked") { text.as_str() } else { sent };
        assert_eq!((response.status, response.json()["body"] == expected), (200, true));
    }
    assert_eq!((bad.requests(), good.requests()), (3, 3));
    let received = plane.metric(r#"herder_received_bytes_total{service="shop"}"#);
    assert!(received < 100_000.0, "a body counts once: {received}");
    let large = "x".repeat(200_000);
    for request in [
        format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{large}", large.len()),
        format!(
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            chunks(&large)
        ),
    ] {
        let plane = setup(policy(&[])).serving([bad.addr(), good.addr()]);
        assert_eq!(status(&plane, &request).await, 502, "beyond the bound");
    }
    assert_eq!(good.requests(), 3);
}

#[tokio::test]
async fn what_follows_a_kept_body_is_the_next_request() {
    let bad = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
    let good = HttpOrigin::echo("good").await;
    let plane = setup(policy(&[])).serving([bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    let put = "PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    client.send(format!("{put}{GET}{put}")).await.unwrap();
    for (target, body) in [("/1", "hi"), ("/", ""), ("/1", "hi")] {
        let answer = client.response().await.unwrap().json();
        assert_eq!((&answer["target"], &answer["body"]), (&target.into(), &body.into()));
    }
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_given_up_if_another_one_can_begin() {
    let retry = Retry { timeout_try: Some(SOON), ..policy(&[]) };
    let (slow, good) = (Instance::start().await, HttpOrigin::echo("good").await);
    let plane = setup(retry.clone()).serving([slow.addr(), good.addr()]);
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let _held = slow.asked().await;
    assert_eq!(client.response().await.unwrap().status, 200);
    plane.metric_becomes(&retries("timeout"), 1.0).await;
    // The only instance, and one that may have acted: it is waited for.
    for request in [GET, POST] {
        let slow = Instance::start().await;
        let addrs = if request == GET { vec![slow.addr()] } else { vec![slow.addr(), good.addr()] };
        let plane = setup(retry.clone()).serving(addrs);
        let mut client = plane.client().await;
        client.send(request).await.unwrap();
        let mut wire = slow.asked().await;
        let early = tokio::time::timeout(SOON * 4, client.response()).await;
        assert!(early.is_err(), "{request}: {early:?}");
        send(&mut wire, "HTTP/1.1 204 Late\r\n\r\n").await;
        assert_eq!(client.response().await.unwrap().status, 204, "{request}");
    }
}

#[tokio::test]
async fn an_instance_that_asks_for_a_pause_is_not_asked_again_before_its_end() {
    let check = async |seconds: &'static str, wait_max: Duration, expected: u16| {
        let bad = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
        let answer = move |ask: &Ask| match ask.nth {
            1 => Reply::bytes("").status(503).field("Retry-After", seconds),
            _ => Reply::echo(),
        };
        let busy = HttpOrigin::start("busy", answer).await;
        let retry = Retry { retry_after_max: wait_max, ..policy(&[503]) };
        let plane = setup(retry).serving([bad.addr(), busy.addr()]);
        assert_eq!(status(&plane, GET).await, 503, "there is nobody else");
        let began = Instant::now();
        assert_eq!(status(&plane, GET).await, expected, "{seconds}");
        (busy.requests(), began.elapsed())
    };
    assert_eq!(check("60", Duration::from_secs(1), 502).await.0, 1);
    let (requests, waited) = check("1", Duration::from_secs(2), 200).await;
    assert_eq!(requests, 2);
    assert!(waited > Duration::from_millis(800), "{waited:?}");
}

/// A plane that may retry 500, one request at a time, and many of them one after the other.
async fn one_at_a_time(backoff_max: Duration) -> Plane {
    let budget = RetryBudget { percent: 20, min: 1 };
    let plane = setup(Retry { budget, backoff_max, ..policy(&[500]) }).start();
    let before = HttpOrigin::echo("before").await;
    plane.publish(&[plane.endpoint(before.addr())]);
    let mut client = plane.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.unwrap().status, 200, "it earns credit");
    }
    plane
}

/// Eight requests that fail at one instance in the same moment, while one retry fits. The other
/// instance is the test's, and the first retry is there.
struct Crowd {
    plane: Plane,
    bad: Arc<Endpoint>,
    good: Instance,
    clients: Vec<RawClient>,
    first: Wire<TcpStream>,
}

impl Crowd {
    async fn start(backoff_max: Duration) -> Self {
        let [bad, good] = [Instance::start().await, Instance::start().await];
        let plane = one_at_a_time(backoff_max).await;
        let endpoints = [bad.addr(), good.addr()].map(|addr| plane.endpoint(addr));
        plane.publish(&endpoints);
        endpoints[1].set_limit(1);
        let full = endpoints[1].begin();
        let (mut clients, mut wires) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let mut client = plane.client().await;
            client.send(GET).await.unwrap();
            clients.push(client);
            wires.push(bad.asked().await);
        }
        endpoints[1].set_limit(UNLIMITED);
        drop(full);
        for wire in &mut wires {
            send(wire, "HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n").await;
        }
        let first = good.asked().await;
        let [bad, _] = endpoints;
        Self { plane, bad, good, clients, first }
    }
}

#[tokio::test]
async fn a_status_that_may_be_retried_waits_until_a_retry_fits() {
    let Crowd { plane, bad, good, clients, first } = Crowd::start(PATIENCE).await;
    let answers = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.response().await.unwrap().status }));
    let answers: Vec<_> = answers.collect();
    let early = tokio::time::timeout(SOON, good.asked()).await;
    assert!(early.is_err(), "one at a time");
    assert!(answers.iter().all(|answer| !answer.is_finished()));
    assert_eq!(bad.in_flight(), 7);
    let mut wire = first;
    for nth in 1..=8 {
        send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        if nth < 8 {
            wire.raw_head().await.expect("the next one, over the same connection");
        }
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap(), 200);
    }
    plane.metric_becomes(&retries("status"), 8.0).await;
    assert!(plane.metric(DENIED) < 1.0);
}

#[tokio::test]
async fn a_status_that_may_be_retried_is_passed_on_when_no_retry_fits_in_time() {
    let Crowd { plane, bad, mut clients, first, .. } = Crowd::start(SOON).await;
    plane.metric_becomes(DENIED, 7.0).await;
    drop(first);
    let mut statuses = Vec::new();
    for client in &mut clients {
        statuses.push(client.response().await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [500, 500, 500, 500, 500, 500, 500, 502], "a reset is the last word");
    assert_eq!(bad.in_flight(), 0);
}

#[tokio::test]
async fn a_client_that_goes_while_a_status_waits_is_noticed() {
    let Crowd { plane, bad, clients, mut first, .. } = Crowd::start(PATIENCE).await;
    clients.into_iter().for_each(RawClient::reset);
    plane.metric_becomes("herder_connections_open", 0.0).await;
    plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 0.0).await;
    assert_eq!(bad.in_flight(), 0);
    first.to_end().await.expect("nobody would read what it answers");
}

#[tokio::test]
async fn a_retry_that_fails_leaves_its_part_of_the_budget_to_the_next() {
    let bad = [answering(500).await, answering(500).await];
    let good = HttpOrigin::echo("good").await;
    let plane = one_at_a_time(PATIENCE).await;
    let addrs = bad.iter().map(HttpOrigin::addr).chain([good.addr()]);
    let endpoints: Vec<_> = addrs.map(|addr| plane.endpoint(addr)).collect();
    plane.publish(&endpoints);
    // No more credit is saved than one retry for each request in flight.
    let _others: Vec<_> = (0..3).filter_map(|_| endpoints[2].begin()).collect();
    let mut client = plane.client().await;
    wait_until(PATIENCE, "both fail the same request", async || {
        assert_eq!(client.get("/").await.unwrap().status, 200);
        bad.iter().all(|bad| bad.requests() > 0)
    })
    .await;
}

/// Ten requests bring twelve tries, however fast they fail.
#[tokio::test]
async fn a_total_outage_amplifies_traffic_by_a_fifth_at_most() {
    const CLIENTS: u64 = 30;
    const EACH: u64 = 100;
    let budget = RetryBudget { percent: 20, min: 3 };
    for (origins, expected) in [
        ([answering(503).await, answering(503).await, answering(503).await], 503),
        (
            [
                HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await,
                HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await,
                HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await,
            ],
            502,
        ),
    ] {
        let retry = Retry { budget, ..policy(&[503]) };
        let setup = Setup { workers: 2, ..setup(retry) };
        let plane = Arc::new(setup.serving(origins.iter().map(HttpOrigin::addr)));
        let began = Instant::now();
        let clients = (0..CLIENTS).map(|_| {
            let plane = Arc::clone(&plane);
            tokio::spawn(async move {
                let mut client = plane.client().await;
                for _ in 0..EACH {
                    assert_eq!(client.get("/").await.unwrap().status, expected);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        let tries: u64 = origins.iter().map(HttpOrigin::requests).sum();
        let each_second = 3 * (began.elapsed().as_secs() + 2);
        let tries_max = CLIENTS * EACH * 12 / 10 + each_second;
        println!("{expected}: {tries} tries for {} requests", CLIENTS * EACH);
        assert!(tries <= tries_max, "{tries} > {tries_max}");
        assert!(tries > CLIENTS * EACH * 11 / 10, "{tries}: there is a budget");
        assert!(plane.metric(DENIED) > 0.0);
    }
}

#[tokio::test]
async fn without_a_budget_a_failure_is_passed_on_under_its_own_name() {
    let bad = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
    let good = HttpOrigin::echo("good").await;
    let budget = RetryBudget { percent: 0, min: 0 };
    let plane = setup(Retry { budget, ..policy(&[]) }).serving([bad.addr(), good.addr()]);
    let response = plane.client().await.get("/").await.unwrap();
    assert_eq!(response.status, 502);
    assert_eq!(response.fields.get("herder-error"), Some("instance_reset"));
    assert_eq!(good.requests(), 0);
    plane.metric_becomes(DENIED, 1.0).await;
    plane.metric_becomes(&retries("reset"), 0.0).await;
}
