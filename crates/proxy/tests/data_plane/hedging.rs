//! Second copies of requests whose response is late: who gets one, who wins, what is left.
//! When a quantile is known, and what the budget is, is for the tests of `balance`.

use std::sync::Arc;

use model::{Endpoint, Hedge, HedgeAfter};
use testkit::HttpOrigin;

use crate::instance::{Instance, broken_off, send};
use crate::plane::{Plane, SOON, Setup};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const SENT: &str = r#"herder_hedges_total{service="shop"}"#;
const WON: &str = r#"herder_hedges_won_total{service="shop"}"#;

/// A plane that has earned a few copies with requests to the second of the endpoints.
async fn hedging(
    percent: u32,
    first: &Instance,
    second: &HttpOrigin,
) -> (Plane, [Arc<Endpoint>; 2]) {
    let hedge = Hedge { after: HedgeAfter::Time(SOON), budget_percent: percent };
    let plane = Setup { hedge: Some(hedge), ..Setup::default() }.start();
    let endpoints = [first.addr(), second.addr()].map(|addr| plane.endpoint(addr));
    plane.publish(&endpoints[1..]);
    let mut client = plane.client().await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    plane.metric_becomes(r#"herder_requests_total{service="shop",status="2xx"}"#, 4.0).await;
    plane.publish(&endpoints);
    (plane, endpoints)
}

#[tokio::test]
async fn a_late_response_is_overtaken_by_that_of_another_instance() {
    let (slow, good) = (Instance::start().await, HttpOrigin::echo("good").await);
    let (plane, endpoints) = hedging(100, &slow, &good).await;
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let wire = slow.asked().await;
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.fields.get("x-instance")), (200, Some("good")));
    broken_off(wire).await;
    assert_eq!((plane.metric(SENT), plane.metric(WON)), (1.0, 1.0));
    plane.metric_becomes(r#"herder_requests_in_flight{service="shop"}"#, 0.0).await;
    let counts = endpoints.map(|one| (one.in_flight(), one.failures()));
    assert_eq!(counts, [(0, 0); 2], "being overtaken says nothing about an instance");
    assert_eq!(good.connections(), 1, "the winner's connection is as good as any");
    assert_eq!(client.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn the_first_instance_may_still_win() {
    let (one, other) = (Instance::start().await, Instance::start().await);
    let good = HttpOrigin::echo("good").await;
    let (plane, _) = hedging(100, &one, &good).await;
    plane.publish(&[plane.endpoint(one.addr()), plane.endpoint(other.addr())]);
    let mut client = plane.client().await;
    client.send(GET).await.unwrap();
    let (mut first, mut second) = tokio::join!(one.asked(), other.asked());
    assert_eq!(plane.metric(SENT), 1.0);
    // Whichever of the two has the copy: the one that answers is heard, the other is let go.
    send(&mut first, "HTTP/1.1 204 First\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 204);
    assert!(second.to_end().await.is_ok_and(|rest| rest.is_empty()) || plane.metric(WON) > 0.5);
}

#[tokio::test]
async fn what_may_not_be_copied_waits_for_its_own_response() {
    for (percent, request) in [
        (100, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        (100, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        (100, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"),
        (2, GET),
    ] {
        let (slow, good) = (Instance::start().await, HttpOrigin::echo("good").await);
        let (plane, _) = hedging(percent, &slow, &good).await;
        let mut client = plane.client().await;
        client.send(request).await.unwrap();
        let mut wire = slow.asked().await;
        let early = tokio::time::timeout(SOON * 3, client.response()).await;
        assert!(early.is_err(), "{request}: {early:?}");
        send(&mut wire, "HTTP/1.1 204 Late\r\n\r\n").await;
        assert_eq!(client.response().await.unwrap().status, 204, "{request}");
        assert_eq!(plane.metric(SENT), 0.0, "{request}");
    }
}
