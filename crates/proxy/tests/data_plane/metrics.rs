//! The counters as the data plane fills them: what was sent, and nothing twice.
//! Their names and their exposition are the crate `telemetry`'s to test.

use model::ServiceName;
use testkit::{HttpOrigin, Reply};

use crate::instance::Refusing;
use crate::plane::{Plane, SOON, Setup};

async fn check(plane: &Plane, name: &str, labels: &str, value: f64) {
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    plane.metric_becomes(&format!("{name}{braces}"), value).await;
}

#[tokio::test]
async fn every_request_is_counted_once_under_what_became_of_it() {
    let origin = HttpOrigin::start("a", |ask| match ask.request.target.as_str() {
        "/missing" => Reply::bytes("no").status(404),
        "/broken" => Reply::bytes("no").status(500),
        "/moved" => Reply::bytes("").status(302),
        _ => Reply::bytes("ok"),
    })
    .await;
    let mut setup = Setup { workers: 2, ..Setup::default() };
    setup.queue.timeout_wait = SOON;
    let plane = setup.serving([origin.addr()]);
    for _ in 0..5 {
        let mut client = plane.client().await;
        for target in ["/", "/", "/missing", "/broken", "/moved"] {
            client.get(target).await.unwrap();
        }
    }
    for (status, count) in [("2xx", 10.0), ("3xx", 5.0), ("4xx", 5.0), ("5xx", 5.0), ("none", 0.0)]
    {
        let labels = format!(r#"service="shop",status="{status}""#);
        check(&plane, "herder_requests_total", &labels, count).await;
    }
    let service = r#"service="shop""#;
    check(&plane, "herder_request_duration_seconds_count", service, 25.0).await;
    check(&plane, "herder_requests_in_flight", service, 0.0).await;
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").len();
    let targets = ["/", "/", "/missing", "/broken", "/moved"];
    let bytes: usize = 5 * targets.map(request).iter().sum::<usize>();
    let bytes = f64::from(u32::try_from(bytes).unwrap());
    check(&plane, "herder_received_bytes_total", service, bytes).await;
    check(&plane, "herder_connections_total", "", 5.0).await;
    check(&plane, "herder_connections_open", "", 0.0).await;
    let name: ServiceName = "shop".parse().unwrap();
    let summary = plane.registry.service(0, &name).summary();
    assert_eq!((summary.requests, summary.errors_5xx), (25, 5));
    assert!(summary.p50 <= summary.p99 && summary.p50.is_some());
}

#[tokio::test]
async fn errors_are_counted_under_their_labels() {
    let mut setup = Setup::default();
    setup.queue.timeout_wait = SOON;
    let plane = setup.start();
    let mut client = plane.client().await;
    client.get("/").await.unwrap();
    let refusing = Refusing::new();
    plane.publish(&[plane.endpoint(refusing.addr())]);
    client.get("/").await.unwrap();
    plane.publish_nothing();
    client.get("/").await.unwrap();
    client.send("junk\r\n").await.unwrap();
    client.response().await.unwrap();
    let service = |label: &str| format!(r#"service="shop",error="{label}""#);
    check(&plane, "herder_errors_total", &service("no_instance"), 1.0).await;
    check(&plane, "herder_errors_total", &service("connect_refused"), 1.0).await;
    check(&plane, "herder_errors_total", &service("no_route"), 0.0).await;
    check(&plane, "herder_refused_requests_total", r#"error="no_route""#, 1.0).await;
    check(&plane, "herder_refused_requests_total", r#"error="malformed_request""#, 1.0).await;
    check(&plane, "herder_requests_total", r#"service="shop",status="5xx""#, 2.0).await;
    check(&plane, "herder_instance_connections_total", r#"service="shop""#, 0.0).await;
    check(&plane, "herder_retries_total", r#"service="shop",reason="reset""#, 0.0).await;
    check(&plane, "herder_wait_duration_seconds_count", r#"service="shop""#, 2.0).await;
}

#[tokio::test]
async fn what_was_sent_is_counted_to_the_byte() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("x".repeat(100_000))).await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    client.post("/", "y".repeat(50_000)).await.unwrap();
    let head = "HTTP/1.1 200 Reply\r\nx-instance: a\r\nContent-Length: 100000\r\n\r\n".len();
    let sent = f64::from(u32::try_from(head).unwrap()) + 100_000.0;
    check(&plane, "herder_sent_bytes_total", r#"service="shop""#, sent).await;
    let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 50000\r\n\r\n".len();
    let received = f64::from(u32::try_from(head).unwrap()) + 50_000.0;
    check(&plane, "herder_received_bytes_total", r#"service="shop""#, received).await;
}
