//! Every route by socket and by port: who may, what is answered, and that OpenAPI says the same.
//! What an order does to a herd is tested elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use testkit::json_schema::problems;
use testkit::{Herd, Herder, RawClient, Response};

use crate::{HERDER, shop};

/// A call: method, path as OpenAPI has it, path and body as they are sent, status.
type Call = (&'static str, &'static str, &'static str, &'static str, u16);

const CALLS: &[Call] = &[
    ("GET", "/healthz", "/healthz", "", 200),
    ("GET", "/metrics", "/metrics", "", 200),
    ("GET", "/v1/status", "/v1/status", "", 200),
    ("GET", "/v1/journal", "/v1/journal", "", 200),
    ("GET", "/v1/journal", "/v1/journal?after=2&last=1", "", 200),
    ("GET", "/v1/journal", "/v1/journal?first=1", "", 400),
    ("POST", "/v1/services/{name}/scale", "/v1/services/shop/scale", "{\"count\": 2}", 202),
    ("POST", "/v1/services/{name}/scale", "/v1/services/shop/scale", "{\"count\": 9}", 409),
    ("POST", "/v1/services/{name}/scale", "/v1/services/shop/scale", "{\"count\": -1}", 400),
    ("POST", "/v1/services/{name}/scale", "/v1/services/shop/scale", "many", 400),
    ("POST", "/v1/services/{name}/scale", "/v1/services/shp/scale", "{\"count\": 2}", 404),
    ("POST", "/v1/services/{name}/autoscale", "/v1/services/shop/autoscale", "", 202),
    ("POST", "/v1/services/{name}/autoscale", "/v1/services/shp/autoscale", "", 404),
    ("GET", "/v1/services/{name}/history", "/v1/services/shop/history?from=0&to=60", "", 200),
    ("GET", "/v1/services/{name}/history", "/v1/services/shp/history?from=0&to=60", "", 404),
    ("GET", "/v1/services/{name}/history", "/v1/services/shop/history?from=0&to=86401", "", 400),
    ("GET", "/v1/services/{name}/history", "/v1/services/shop/history?from=0", "", 400),
    ("POST", "/v1/services/{name}/restart", "/v1/services/shop/restart", "", 202),
    ("POST", "/v1/services/{name}/restart", "/v1/services/shp/restart", "", 404),
    ("POST", "/v1/instances/{id}/drain", "/v1/instances/shop.1/drain", "", 202),
    ("POST", "/v1/instances/{id}/drain", "/v1/instances/shop.99/drain", "", 404),
    ("POST", "/v1/reload", "/v1/reload", "", 200),
    ("POST", "/v1/stop", "/v1/stop", "", 202),
];

#[tokio::test]
async fn the_socket_is_its_owners_alone() {
    let herd = shop(1).await;
    for name in ["herder.sock", "herder.sock.lock"] {
        let mode = fs::metadata(herd.dir().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    herd.stop().await;
}

/// Each answers as the document says; and the document has no more than is called here.
#[tokio::test]
async fn every_route_of_the_document_answers_as_it_says() {
    let mut herd = shop(1).await;
    let document = herd.admin("/v1/openapi.json").await.unwrap().json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut documented = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.push((method.to_uppercase(), path.as_str()));
        }
    }
    for (method, path) in &documented {
        let is_called = CALLS.iter().any(|call| (call.0, call.1) == (method, path));
        assert!(is_called, "{method} {path} is documented, and not tested");
    }
    for &(method, path, sent, body, status) in CALLS {
        let response = herd.admin_ask(method, sent, body).await.unwrap();
        assert_eq!(response.status, status, "{method} {sent}: {response}");
        assert!(documented.contains(&(method.to_owned(), path)), "{method} {path} is not listed");
        let operation = &document["paths"][path][method.to_lowercase()];
        agrees(&document, operation, &response);
    }
    assert_eq!(herd.exited().await.code(), Some(0));
    herd.assert_clean();
}

/// The response is one of those that the operation lists, and its body is as the schema there says.
fn agrees(document: &Value, operation: &Value, response: &Response) {
    let listed = &operation["responses"][response.status.to_string()];
    assert!(listed.is_object(), "{} is not listed: {operation:#}", response.status);
    let schema = &listed["content"]["application/json"]["schema"];
    if schema.is_object() {
        assert_eq!(response.fields.get("content-type"), Some("application/json"), "{response}");
        let found = problems(document, schema, &response.json());
        assert!(found.is_empty(), "{found:#?}\n{response}");
    }
}

#[tokio::test]
async fn the_port_only_reads() {
    let herd = shop(1).await;
    let before = herd.admin("/v1/journal").await.unwrap().json();
    let addr = herd.admin_addr().await;
    assert!(addr.ip().is_loopback());
    for (method, _, path, body, status) in CALLS {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let mut client = RawClient::connect(addr).await;
        client.send(request).await.unwrap();
        let response = client.response().await.unwrap();
        if *method == "GET" {
            assert_eq!(response.status, *status, "{path}: {response}");
        } else {
            assert_eq!(response.status, 403, "{path}: {response}");
            assert!(response.text().contains("read-only"), "{path}: {response}");
        }
    }
    assert_eq!(herd.admin("/v1/journal").await.unwrap().json(), before, "an order was taken");
    herd.stop().await;
}

/// A web page of a stranger, whose name leads here, gets nothing.
#[tokio::test]
async fn the_port_is_asked_by_its_own_names_only() {
    let herd = shop(1).await;
    let addr = herd.admin_addr().await;
    let check = async |hosts: &str, status: u16| {
        let mut client = RawClient::connect(addr).await;
        client.send(format!("GET /v1/status HTTP/1.1\r\n{hosts}\r\n")).await.unwrap();
        let response = client.response().await.unwrap();
        assert_eq!(response.status, status, "{hosts:?}: {response}");
    };
    check("Host: localhost\r\n", 200).await;
    check(&format!("Host: {addr}\r\n"), 200).await;
    check("Host: [::1]:7070\r\n", 200).await;
    check("Host: herder.example\r\n", 421).await;
    check("Host: localhost.herder.example\r\n", 421).await;
    check("Host: localhost\r\nHost: herder.example\r\n", 421).await;
    check("", 421).await;
    herd.stop().await;
}

#[tokio::test]
async fn the_port_can_be_off_and_may_not_be_public() {
    let command = |herder: Herder| herder.command([HERDER, "__shop"]);
    let off = Herder::run(HERDER).without_admin().flags(["--admin", "off"]);
    let herd = command(off).start();
    herd.wait_ready("web", 2).await;
    let listeners = vec![herd.addr().await];
    assert_eq!(testkit::proc::listening(herd.pid()), listeners);
    herd.stop().await;
    let mut herd =
        command(Herder::run(HERDER).without_admin().flags(["--admin", "0.0.0.0:0"])).start();
    assert_eq!(herd.exited().await.code(), Some(2));
    herd.output().line("0.0.0.0:0\" can be reached from other machines").await;
    herd.assert_clean();
}

#[tokio::test]
async fn whatever_else_is_asked_is_refused_with_what_to_do() {
    let herd: Herd = shop(1).await;
    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/v1/services", 404), ("DELETE", "/v1/status", 405)]
    {
        let response = herd.admin_ask(method, path, "").await.unwrap();
        assert_eq!(response.status, status, "{response}");
        assert_eq!(response.json()["hint"], "see /v1/openapi.json", "{response}");
    }
    let long = "x".repeat(100_000);
    let response = herd.admin_ask("POST", "/v1/services/shop/scale", &long).await.unwrap();
    assert_eq!(response.status, 413, "{response}");
    herd.stop().await;
}
