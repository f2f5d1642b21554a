//! Requests that come before the answer to the one before: how many, and what they may cost.
//! That the answers keep their order is for `bodies` and the table of payloads.

use std::time::Instant;

use testkit::{HttpOrigin, PATIENCE, Reply, Vanished};

use crate::instance::{connect, exchange, fill_with};
use crate::plane::Setup;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
/// What the kernel may hold for the sockets on the way, and some for the proxy.
const HELD_BYTES_MAX: usize = 32 << 20;

#[tokio::test]
async fn so_many_in_a_row_and_no_more() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let mut setup = Setup::default();
    setup.limits.pipelined_max = 3;
    let plane = setup.serving([origin.addr()]);
    // The first one was not there before an answer.
    let all = exchange(plane.addr(), GET.repeat(5)).await;
    assert_eq!(all.matches("HTTP/1.1 200 ").count(), 4, "{all}");
    assert_eq!(all.matches("Connection: close").count(), 1, "{all}");
    let mut client = plane.client().await;
    for _ in 0..10 {
        let response = client.get("/").await.unwrap();
        assert_eq!((response.status, response.fields.get("connection")), (200, None));
    }
    client.send(GET.repeat(3)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.response().await.unwrap().fields.get("connection"), None);
    }
    assert_eq!(client.get("/").await.unwrap().fields.get("connection"), None, "a new row");
    client.send(GET.repeat(4)).await.unwrap();
    for connection in [None, None, None, Some("close")] {
        assert_eq!(client.response().await.unwrap().fields.get("connection"), connection);
    }
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_holds_little_and_not_for_long() {
    let body = "x".repeat(10_000);
    let origin = HttpOrigin::start("a", move |_| Reply::bytes(body.clone())).await;
    let mut setup = Setup::default();
    setup.limits.timeout_idle = PATIENCE / 10;
    let plane = setup.serving([origin.addr()]);
    let mut client = connect(plane.addr()).await;
    let began = Instant::now();
    let taken = fill_with(client.stream(), GET.repeat(1000).as_bytes(), 4 * HELD_BYTES_MAX).await;
    assert!(taken < HELD_BYTES_MAX, "{taken} bytes of requests were taken");
    let answered = usize::try_from(origin.requests() * 10_000).unwrap();
    assert!(answered < HELD_BYTES_MAX, "{answered} bytes of answers are held");
    plane.metric_becomes("herder_connections_open", 0.0).await;
    assert!(began.elapsed() < PATIENCE);
    let error = r#"herder_errors_total{service="shop",error="slow_client"}"#;
    plane.metric_becomes(error, 1.0).await;
}
