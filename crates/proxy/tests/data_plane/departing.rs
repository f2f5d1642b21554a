//! Clients that go while an instance works for them: the work is given up.
//! Clients that break off in the middle of what they send are for `chaos`.

use testkit::{ScriptedOrigin, Step};

use crate::plane::Plane;

#[tokio::test]
async fn a_client_that_goes_frees_its_place_and_the_instance_hears_of_it() {
    let origin = ScriptedOrigin::start([vec![Step::ReadHead, Step::ReadToEnd]]).await;
    let plane = Plane::of([]);
    let endpoint = plane.endpoint(origin.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    testkit::wait_until(testkit::PATIENCE, "the request", async || endpoint.in_flight() == 1).await;
    drop(client);
    testkit::wait_until(testkit::PATIENCE, "its end", async || endpoint.in_flight() == 0).await;
    origin.ended().await;
    assert_eq!(endpoint.failures(), 0, "the instance is not to blame");
    plane.metric_becomes(r#"herder_errors_total{service="shop",error="client_gone"}"#, 1.0).await;
}

#[tokio::test]
async fn a_client_that_has_sent_something_ahead_is_not_taken_to_be_gone() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let origin = ScriptedOrigin::start([vec![
        Step::ReadHead,
        Step::send(ok),
        Step::ReadHead,
        Step::send(ok),
    ]])
    .await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("{request}{request}")).await.unwrap();
    client.finish().await.unwrap();
    assert_eq!(client.response().await.unwrap().text(), "ok");
}
