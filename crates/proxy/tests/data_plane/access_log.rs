//! The access log as the data plane fills it: one line for each request, whatever became of it.
//! How a line is written is the crate `telemetry`'s to test.

use serde_json::{Value, json};
use testkit::{HttpOrigin, PATIENCE, Reply, wait_for};

use crate::instance::{Instance, Refusing, send};
use crate::plane::{Plane, SOON, Setup};

fn logging() -> Setup {
    Setup { has_access_log: true, ..Setup::default() }
}

/// Checks the fields of a line that are expected, and that the times add up.
fn check(line: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} of {line}");
    }
    let time = |key: &str| line[key].as_u64().unwrap_or_else(|| panic!("{key} of {line}"));
    let parts = time("wait_us") + time("connect_us") + time("first_byte_us");
    assert!(parts <= time("total_us"), "{line}");
    assert_eq!(line["listener"], "web", "{line}");
}

#[tokio::test]
async fn a_request_that_was_served_has_a_line_with_everything() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("hello").delay(SOON / 10)).await;
    let plane = logging().serving([origin.addr()]);
    let mut client = plane.client().await;
    let head = "POST /a?b=c HTTP/1.1\r\nHost: Shop:80\r\nX-Request-Id: id-1\r\nReferer: r\r\n\
        user-agent: curl\r\nContent-Length: 3\r\n\r\n";
    client.send(format!("{head}abc")).await.unwrap();
    client.response().await.unwrap();
    client.get("/second").await.unwrap();
    let lines = plane.log_lines(2).await;
    let local = client.local_addr().unwrap().to_string();
    let answer = "HTTP/1.1 200 Reply\r\nx-instance: a\r\nContent-Length: 5\r\n\r\nhello".len();
    check(
        &lines[0],
        &json!({
            "client": local, "service": "shop", "instance": "shop.1", "method": "POST",
            "target": "/a?b=c", "host": "Shop:80", "version": "HTTP/1.1", "status": 200,
            "bytes_in": head.len() + 3, "bytes_out": answer, "attempts": 1, "wait_us": 0,
            "error": null, "ended_by": null, "phase": null, "request_id": "id-1",
            "user_agent": "curl", "referer": "r",
        }),
    );
    assert!(lines[0]["first_byte_us"].as_u64().unwrap() >= 10_000, "{}", lines[0]);
    assert!(lines[0]["connect_us"].as_u64().unwrap() > 0, "{}", lines[0]);
    let second = json!({
        "target": "/second", "status": 200, "connect_us": 0, "user_agent": null, "referer": null,
    });
    check(&lines[1], &second);
    assert_eq!(lines[1]["request_id"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn a_request_that_was_refused_has_one_with_the_reason() {
    let plane = logging().start();
    plane.publish_nothing();
    let mut client = plane.client().await;
    assert_eq!(client.get("/nowhere").await.unwrap().status, 404);
    client.send("GET bad HTTP/1.1\r\n").await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 400);
    let lines = plane.log_lines(2).await;
    check(
        &lines[0],
        &json!({
            "service": null, "instance": null, "method": "GET", "target": "/nowhere",
            "host": "test", "status": 404, "attempts": 0, "error": "no_route",
        }),
    );
    check(
        &lines[1],
        &json!({
            "service": null, "instance": null, "method": null, "target": null, "host": null,
            "status": 400, "attempts": 0, "error": "malformed_request", "request_id": null,
            "bytes_in": 18,
        }),
    );
}

#[tokio::test]
async fn a_request_that_was_retried_names_the_last_instance_and_counts_the_attempts() {
    let bad = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
    let good = HttpOrigin::start("good", |_| Reply::bytes("ok")).await;
    let mut setup = logging();
    setup.queue.timeout_wait = SOON;
    let plane = setup.serving([bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    assert_eq!(client.post("/", "").await.unwrap().status, 502);
    plane.publish(&[]);
    assert_eq!(client.get("/").await.unwrap().status, 503);
    let lines = plane.log_lines(3).await;
    let served = json!({ "status": 200, "attempts": 2, "instance": "shop.2", "error": null });
    check(&lines[0], &served);
    let failed = json!({
        "status": 502, "attempts": 1, "instance": "shop.1", "error": "instance_reset",
        "service": "shop",
    });
    check(&lines[1], &failed);
    let waited = json!({
        "status": 503, "attempts": 0, "instance": null, "error": "no_instance", "service": "shop",
    });
    check(&lines[2], &waited);
    assert!(lines[2]["wait_us"].as_u64().unwrap() >= 100_000, "{}", lines[2]);
}

#[tokio::test]
async fn a_response_that_was_cut_has_its_status_and_its_error() {
    let cut = HttpOrigin::start("a", |_| Reply::bytes("x".repeat(1000)).cut(100)).await;
    let instance = Instance::start().await;
    let plane = logging().serving([cut.addr()]);
    plane.client().await.get("/").await.expect_err("cut off");
    plane.publish(&[plane.endpoint(instance.addr())]);
    let mut client = plane.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n").await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 103 Hints\r\n\r\n").await;
    client.reset();
    let lines = plane.log_lines(2).await;
    check(&lines[0], &json!({ "status": 200, "error": "response_truncated", "attempts": 1 }));
    check(&lines[1], &json!({ "status": 0, "error": "client_gone", "instance": "shop.2" }));
}

/// Checks who ended a request, and what it was at.
fn check_end(line: &Value, error: &str, ended_by: &str, phase: &str) {
    check(line, &json!({ "error": error, "ended_by": ended_by, "phase": phase }));
}

#[tokio::test]
async fn who_ended_a_request_and_when_is_told() {
    let instance = Instance::start().await;
    let mut setup = logging();
    setup.queue.timeout_wait = SOON;
    setup.retry.retries_max = 1;
    setup.limits.timeout_body = SOON;
    let plane = setup.start();
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf";
    // Nobody is there, and the client does not wait.
    let mut client = plane.client().await;
    client.get("/").await.unwrap();
    client.send(get).await.unwrap();
    plane.metric_becomes(r#"herder_requests_waiting{service="shop"}"#, 1.0).await;
    drop(client);
    plane.metric_becomes("herder_connections_open", 0.0).await;
    // Somebody refuses, and nobody else is there.
    let refusing = Refusing::new();
    plane.publish(&[plane.endpoint(refusing.addr())]);
    plane.client().await.get("/").await.unwrap();
    // The body stops, the instance breaks off, the client does.
    plane.publish(&[plane.endpoint(instance.addr())]);
    let mut client = plane.client().await;
    client.send(post).await.unwrap();
    drop(instance.asked().await);
    client.response().await.unwrap();
    let mut client = plane.client().await;
    client.send(post).await.unwrap();
    let wire = instance.asked().await;
    client.response().await.unwrap();
    drop(wire);
    let mut client = plane.client().await;
    client.send(get).await.unwrap();
    let _wire = instance.asked().await;
    client.reset();
    let mut client = plane.client().await;
    client.send(get).await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    drop(wire);
    client.response().await.expect_err("cut off");
    let lines = plane.log_lines(7).await;
    check_end(&lines[0], "no_instance", "herder", "wait");
    check_end(&lines[1], "client_gone", "client", "wait");
    check_end(&lines[2], "connect_refused", "instance", "connect");
    check_end(&lines[3], "instance_reset", "instance", "request");
    check_end(&lines[4], "slow_body", "client", "request");
    check_end(&lines[5], "client_gone", "client", "response");
    check_end(&lines[6], "response_truncated", "instance", "body");
    let sent = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".len();
    check(&lines[6], &json!({ "status": 200, "bytes_out": sent }));
    check(&lines[5], &json!({ "status": 0, "bytes_out": 0 }));
}

#[tokio::test]
async fn what_the_end_of_herder_cuts_off_is_told() {
    let instance = Instance::start().await;
    let plane = logging().serving([instance.addr()]);
    let mut client = plane.client().await;
    client.send("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let _asked = instance.asked().await;
    let mut switched = plane.client().await;
    let switch = "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    switched.send(format!("GET /ws HTTP/1.1\r\nHost: h\r\n{switch}")).await.unwrap();
    let mut wire = instance.asked().await;
    send(&mut wire, format!("HTTP/1.1 101 Switching Protocols\r\n{switch}")).await;
    switched.bytes(12).await.unwrap();
    plane.proxy.stop();
    let mut lines = plane.log_lines(2).await;
    lines.sort_by_key(|line| line["target"].to_string());
    check_end(&lines[0], "stopped", "herder", "response");
    check(&lines[0], &json!({ "target": "/cut", "status": 503 }));
    check_end(&lines[1], "stopped", "herder", "tunnel");
    check(&lines[1], &json!({ "target": "/ws", "status": 101 }));
}

#[tokio::test]
async fn of_a_sample_whatever_failed_is_there_and_little_of_the_rest() {
    let reply = |ask: &testkit::Ask| match ask.request.target.as_str() {
        "/broken" => Reply::bytes("oh").status(500),
        "/missing" => Reply::bytes("oh").status(404),
        _ => Reply::bytes("ok"),
    };
    let origin = HttpOrigin::start("a", reply).await;
    let mut setup = Setup { access_one_in: 1_000_000, ..logging() };
    setup.policy.body_bytes_max = 5;
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    for _ in 0..20 {
        for path in ["/", "/missing", "/broken"] {
            client.get(path).await.unwrap();
            client.post(path, "body").await.unwrap();
        }
    }
    client.post("/large", "too large").await.unwrap();
    let lines = plane.log_lines(41).await;
    let count = |target: &str| lines.iter().filter(|line| line["target"] == target).count();
    assert_eq!((lines.len(), count("/broken"), count("/large")), (41, 40, 1));
    assert!(lines.iter().all(|line| line["host"] == "test"), "each has its head");
    let half = Setup { access_one_in: 2, ..logging() }.serving([origin.addr()]);
    let mut client = half.client().await;
    for _ in 0..400 {
        client.get("/").await.unwrap();
    }
    client.get("/broken").await.unwrap();
    let lines = wait_for(PATIENCE, "the last line", async || {
        let lines = half.log_lines(1).await;
        lines.iter().any(|line| line["target"] == "/broken").then_some(lines)
    })
    .await;
    assert!((100..300).contains(&lines.len()), "{} of 400", lines.len());
}

#[tokio::test]
async fn every_request_of_every_worker_has_a_line() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let setup = Setup { workers: 2, ..logging() };
    let plane: Plane = setup.serving([origin.addr()]);
    for at in 0..10 {
        let mut client = plane.client().await;
        for _ in 0..10 {
            client.get(&format!("/{at}")).await.unwrap();
        }
    }
    let lines = plane.log_lines(100).await;
    assert_eq!(lines.len(), 100);
    let of = |at: u32| lines.iter().filter(|line| line["target"] == format!("/{at}")).count();
    assert!((0..10).all(|at| of(at) == 10));
}
