//! Bounds on requests and connections, and what the access log says at them: from the file to the
//! client, through the real `herder serve`. What happens at each bound in detail is for `proxy`.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use testkit::{Herder, HttpOrigin, RawClient, Reply, Vanished};

#[tokio::test]
async fn bounds_of_the_file_hold_and_the_log_is_a_sample_of_what_went_well() {
    let origin = HttpOrigin::start("a", |ask| match ask.request.target.as_str() {
        "/slow" => Reply::bytes("late").delay(Duration::from_secs(60)),
        _ => Reply::bytes("ok"),
    });
    let origin = origin.await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let config = format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"
pipelined_max = 2
body_discard_max = "10B"

[service.shop]
static = ["{}"]
route = "/"
http = {{ timeout_request = "300ms", timeout_continue = "0s", connection_requests_max = 2 }}

[log.access]
path = "{}"
format = "json"
one_in = 1000000
"#,
        origin.addr(),
        log.display()
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 1).await;
    let addr = herd.addr().await;

    let mut client = RawClient::connect(addr).await;
    client.send("GET /piped HTTP/1.1\r\nHost: h\r\n\r\n".repeat(4)).await.unwrap();
    for connection in [None, None, Some("close")] {
        assert_eq!(client.response().await.unwrap().fields.get("connection"), connection);
    }
    assert_eq!(client.vanished().await.unwrap(), Vanished::Closed);

    let mut client = RawClient::connect(addr).await;
    let slow = client.get("/slow").await.unwrap();
    assert_eq!((slow.status, slow.fields.get("herder-error")), (504, Some("request_timeout")));
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n").await.unwrap();
    let slow = client.response().await.unwrap();
    assert_eq!((slow.status, slow.fields.get("connection")), (504, Some("close")));

    herd.stop().await;
    let lines = std::fs::read_to_string(&log).unwrap();
    let ends: Vec<[String; 4]> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| ["target", "error", "ended_by", "phase"].map(|key| line[key].to_string()))
        .collect();
    let slow = |phase| ["/slow", "request_timeout", "herder", phase].map(|t| format!("{t:?}"));
    assert_eq!(ends, [slow("response"), slow("request")]);
}
