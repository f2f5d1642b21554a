//! Requests that are led elsewhere: the answer, the connection, what is counted and logged.
//! What a place becomes for each path is for the crate `http1`.

use http1::Location;
use model::{Redirect, RedirectStatus};
use serde_json::json;
use testkit::RawClient;

use crate::instance::{connect, exchange, head, send};
use crate::plane::{Plane, Setup};

fn leading(to: &str, status: RedirectStatus, setup: Setup) -> Plane {
    let plane = setup.start();
    let to = Location::parse(to).unwrap();
    plane.publish_redirect(Redirect { name: "old".into(), routes: Vec::new(), to, status });
    plane
}

fn permanent(to: &str) -> Plane {
    leading(to, RedirectStatus::Permanent, Setup::default())
}

async fn led(client: &mut RawClient, path: &str) -> String {
    let response = client.get(path).await.unwrap();
    assert_eq!(response.status, 308, "{response}");
    response.fields.get("location").unwrap().to_owned()
}

#[tokio::test]
async fn the_answer_is_whole() {
    let plane = permanent("https://shop.example.com");
    let answer = |connection: &str| {
        format!(
            "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://shop.example.com/a?b=c\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n\
             Connection: {connection}\r\nX-Request-Id: id-1\r\n\r\n"
        )
    };
    let text = "308 Permanent Redirect\n";
    let ask = |method: &str, fields: &str| {
        format!("{method} /a?b=c HTTP/1.1\r\nHost: h\r\nX-Request-Id: id-1\r\n{fields}\r\n")
    };
    let mut client = connect(plane.addr()).await;
    for method in ["GET", "DELETE"] {
        send(&mut client, ask(method, "")).await;
        assert_eq!(head(&mut client).await, answer("keep-alive"));
        assert_eq!(client.bytes(text.len()).await.unwrap(), text.as_bytes());
    }
    send(&mut client, ask("HEAD", "")).await;
    assert_eq!(head(&mut client).await, answer("keep-alive"));
    send(&mut client, ask("POST", "Content-Length: 3\r\n") + "abc").await;
    assert_eq!(head(&mut client).await, answer("keep-alive"));
    assert_eq!(client.bytes(text.len()).await.unwrap(), text.as_bytes());
    let waiting = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    send(&mut client, ask("PUT", waiting)).await;
    assert_eq!(head(&mut client).await, answer("close"));
    assert_eq!(client.to_end().await.unwrap(), text.as_bytes());
    let all = exchange(plane.addr(), ask("GET", "Connection: close\r\n")).await;
    assert_eq!(all, answer("close") + text);
}

#[tokio::test]
async fn every_status_has_its_reason() {
    let expected = [
        (RedirectStatus::MovedPermanently, "301 Moved Permanently"),
        (RedirectStatus::Found, "302 Found"),
        (RedirectStatus::SeeOther, "303 See Other"),
        (RedirectStatus::Temporary, "307 Temporary Redirect"),
        (RedirectStatus::Permanent, "308 Permanent Redirect"),
    ];
    for (status, line) in expected {
        let plane = leading("/new", status, Setup::default());
        let response = plane.client().await.get("/").await.unwrap();
        assert_eq!(response.text(), format!("{line}\n"));
        assert_eq!(response.status, status.code());
    }
}

#[tokio::test]
async fn no_path_leads_to_another_host() {
    let plane = permanent("/{path}");
    let mut client = plane.client().await;
    assert_eq!(led(&mut client, "/x?y").await, "/x?y");
    assert_eq!(led(&mut client, "//evil.example/").await, "/evil.example/");
    assert_eq!(led(&mut client, "/\\/\\evil.example").await, "/evil.example");
    let plane = permanent("https://shop.example.com");
    let mut client = plane.client().await;
    let place = led(&mut client, "/%0d%0aSet-Cookie:x=1").await;
    assert_eq!(place, "https://shop.example.com/%0d%0aSet-Cookie:x=1");
    assert_eq!(led(&mut client, "/@evil.example").await, "https://shop.example.com/@evil.example");
}

#[tokio::test]
async fn a_host_that_is_needed_has_to_be_named() {
    let plane = permanent("https://{host}:8443");
    let mut client = plane.client().await;
    assert_eq!(led(&mut client, "/x").await, "https://test:8443/x");
    let answer = exchange(plane.addr(), "GET /x HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("\r\nHerder-Error: malformed_request\r\n"), "{answer}");
    assert!(!answer.contains("Location"), "{answer}");
    let asked = "GET /x HTTP/1.0\r\nHost: Shop.example:81\r\n\r\n";
    let answer = exchange(plane.addr(), asked).await;
    assert!(answer.contains("\r\nLocation: https://Shop.example:8443/x\r\n"), "{answer}");
}

#[tokio::test]
async fn it_is_counted_and_logged() {
    let setup = Setup { has_access_log: true, ..Setup::default() };
    let plane = leading("/new", RedirectStatus::Found, setup);
    let mut client = plane.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/old?x").await.unwrap().status, 302);
    }
    plane.metric_becomes("herder_redirects_total", 2.0).await;
    let line = &plane.log_lines(2).await[1];
    let expected = json!({
        "service": null, "instance": null, "status": 302, "target": "/old?x", "attempts": 0,
        "error": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} of {line}");
    }
    assert!(line["bytes_out"].as_u64().unwrap() > 100, "{line}");
}
