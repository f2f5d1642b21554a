//! Heads on their way: what an instance sees of a request, and a client of a response.
//! How bodies are delimited is for `framing`.

use serde_json::{Value, json};
use testkit::{HttpOrigin, RawClient};

use crate::instance::{Instance, connect, head, send};
use crate::plane::Plane;

/// The request line and the fields that an echoing instance has seen.
fn seen(echo: &Value) -> (String, Vec<(String, String)>) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = ["method", "target", "version"].map(|part| text(&echo[part])).join(" ");
    let fields = echo["fields"].as_array().unwrap();
    (line, fields.iter().map(|field| (text(&field[0]), text(&field[1]))).collect())
}

/// The values that the instance has seen under a name.
pub(crate) fn values(echo: &Value, name: &str) -> Vec<String> {
    let (_, fields) = seen(echo);
    let named = fields.into_iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value).collect()
}

pub(crate) async fn ask(client: &mut RawClient, request: &str) -> Value {
    client.send(request.replace('\n', "\r\n")).await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!(response.status, 200, "{request}: {response}");
    response.json()
}

#[tokio::test]
async fn an_instance_sees_the_request_without_what_was_for_one_connection() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    let request = "GET /a/b%20c?d=e HTTP/1.1\nHost: Shop.example.com:81\nConnection: x-hop, close\n\
        X-Hop: 1\nKeep-Alive: 5\nProxy-Connection: keep-alive\nTE: trailers\nUpgrade: h2c\n\
        x-forwarded-for: 6.6.6.6\nX-Forwarded-For: 7.7.7.7\nX-Forwarded-Proto: https\n\
        X-Forwarded-Host: evil\nX-Request-Id: abc-1\naccept:  */*  \nX-Twice: 1\nX-Twice: 2\n\n";
    let echo = ask(&mut plane.client().await, request).await;
    let (line, fields) = seen(&echo);
    assert_eq!(line, "GET /a/b%20c?d=e HTTP/1.1");
    let expected = [
        ("Host", "Shop.example.com:81"),
        ("X-Request-Id", "abc-1"),
        ("accept", "*/*"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "Shop.example.com:81"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_connection_header_cannot_take_off_what_herder_puts_on() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    let request = "GET / HTTP/1.1\nHost: h\nConnection: host, x-forwarded-for, x-request-id\n\
        X-Request-Id: mine\n\n";
    let echo = ask(&mut plane.client().await, request).await;
    assert_eq!(values(&echo, "host"), ["h"]);
    assert_eq!(values(&echo, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&echo, "x-request-id").len(), 1);
    assert_ne!(values(&echo, "x-request-id"), ["mine"]);
}

#[tokio::test]
async fn the_target_becomes_origin_form() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    let mut check = async |request: &str, line: &str, host: &str| {
        let echo = ask(&mut client, &format!("{request}\n\n")).await;
        assert_eq!(seen(&echo).0, line, "{request}");
        assert_eq!(values(&echo, "host"), [host], "{request}");
        let is_named = host != origin.addr().to_string();
        let forwarded: &[&str] = if is_named { &[host] } else { &[] };
        assert_eq!(values(&echo, "x-forwarded-host"), forwarded, "{request}");
    };
    check("GET http://a.b:1/c?d HTTP/1.1\nHost: a.b:1", "GET /c?d HTTP/1.1", "a.b:1").await;
    check("GET http://a.b HTTP/1.1\nHost: a.b", "GET / HTTP/1.1", "a.b").await;
    check("OPTIONS http://a.b HTTP/1.1\nHost: a.b", "OPTIONS * HTTP/1.1", "a.b").await;
    check("OPTIONS * HTTP/1.1\nHost: a.b", "OPTIONS * HTTP/1.1", "a.b").await;
    check("PURGE /x HTTP/1.1\nHost: [::1]:8080", "PURGE /x HTTP/1.1", "[::1]:8080").await;
    let old = "HTTP/1.0\nConnection: keep-alive";
    check(&format!("GET http://a.b/ {old}"), "GET / HTTP/1.1", "a.b").await;
    check(&format!("GET / {old}"), "GET / HTTP/1.1", &origin.addr().to_string()).await;
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_is_plain_and_made_otherwise() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    let mut passed_on = async |headers: &str| {
        let echo = ask(&mut client, &format!("GET / HTTP/1.1\nHost: h\n{headers}\n")).await;
        let [id] = &values(&echo, "x-request-id")[..] else { panic!("{headers}: {echo}") };
        id.clone()
    };
    for plain in ["a", "0af7651916cd43dd-B.7:/+=@_", &"x".repeat(128)] {
        assert_eq!(passed_on(&format!("X-Request-ID: {plain}\n")).await, plain);
    }
    let mut made = Vec::new();
    let long = format!("X-Request-Id: {}\n", "x".repeat(129));
    let other =
        ["", "X-Request-Id:\n", "X-Request-Id: a b\n", "X-Request-Id: \"><script>\n", &long];
    for headers in other {
        made.push(passed_on(headers).await);
    }
    made.push(passed_on("X-Request-Id: plain\nX-Request-Id: a;b\n").await);
    for id in &made {
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{made:?}");
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 6, "an id was made twice");
    let last = passed_on("X-Request-Id: a;b\nX-Request-Id: plain\n").await;
    assert_eq!(last, "plain", "one of two is passed on, and it is the one that was looked at");
}

#[tokio::test]
async fn a_response_head_passes_as_the_instance_wrote_it() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    let mut check = async |request: &str, response: &str, expected: &str| {
        send(&mut client, format!("{request}\r\nHost: h\r\n\r\n")).await;
        let mut wire = instance.asked().await;
        send(&mut wire, response.replace('\n', "\r\n")).await;
        let head = head(&mut client).await;
        assert_eq!(head.replace("\r\n", "\n"), expected, "{response}");
    };
    check(
        "GET / HTTP/1.1",
        "HTTP/1.1 404 Nope, sorry\nset-cookie: a=1\nSet-Cookie: b=2\nContent-Length: 0\nVia: x\n\
         Connection: x-hop, close\nX-Hop: 1\nKeep-Alive: 5\nX-Obs: caf\u{e9}\n\n",
        "HTTP/1.1 404 Nope, sorry\nset-cookie: a=1\nSet-Cookie: b=2\nContent-Length: 0\nVia: x\n\
         X-Obs: caf\u{e9}\n\n",
    )
    .await;
    check(
        "GET / HTTP/1.1",
        "HTTP/1.0 599\nContent-Length: 0\n\n",
        "HTTP/1.1 599 \nContent-Length: 0\n\n",
    )
    .await;
    check(
        "GET / HTTP/1.0\r\nConnection: keep-alive",
        "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: keep-alive\n\n",
    )
    .await;
    check(
        "GET / HTTP/1.0",
        "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close\n\n",
    )
    .await;
}

#[tokio::test]
async fn a_response_head_of_64_kib_passes() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    let fixed = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n".len();
    let filler = "x".repeat(64 * 1024 - fixed);
    let answered = async {
        let mut wire = instance.asked().await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {filler}\r\n\r\n");
        send(&mut wire, head).await;
        wire
    };
    let (response, _wire) = tokio::join!(client.get("/"), answered);
    assert_eq!(response.unwrap().fields.get("x"), Some(filler.as_str()));
}

#[tokio::test]
async fn one_hundred_continue_and_early_hints_pass_in_their_time() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    let request = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    send(&mut client, request).await;
    let mut wire = instance.accept().await;
    assert!(head(&mut wire).await.contains("\r\nExpect: 100-continue\r\n"));
    send(&mut wire, "HTTP/1.1 100 Continue\r\nX-Why: not\r\nConnection: x\r\nX: 1\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 100 Continue\r\nX-Why: not\r\n\r\n");
    send(&mut client, "hello").await;
    assert_eq!(wire.bytes(5).await.unwrap(), b"hello");
    send(&mut wire, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    send(&mut wire, "HTTP/1.1 103 \r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 103 \r\n\r\n");
    assert_eq!(head(&mut client).await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.bytes(2).await.unwrap(), b"ok");
}

#[tokio::test]
async fn http_1_0_gets_no_interim_response() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut client = plane.client().await;
    let request = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";
    client.send(request).await.unwrap();
    let mut wire = instance.asked().await;
    let response = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 H\r\n\r\nHTTP/1.1 200 OK\r\n\
        Content-Length: 0\r\n\r\n";
    send(&mut wire, response).await;
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.interim.as_slice()), (200, &[][..]));
}

#[tokio::test]
async fn a_final_answer_instead_of_100_continue_ends_the_connection() {
    let origin = HttpOrigin::start("a", |_| testkit::Reply::bytes("no").status(417).early()).await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    let request = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client.send(request).await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.fields.get("connection")), (417, Some("close")));
    client.vanished().await.unwrap();
}

#[tokio::test]
async fn routes_lead_to_the_pools_of_the_table() {
    let origin = HttpOrigin::echo("a").await;
    let plane = Plane::of([origin.addr()]);
    let mut client = plane.client().await;
    assert_eq!(client.get("/x").await.unwrap().json()["target"], json!("/x"));
    plane.publish_nothing();
    assert_eq!(client.get("/x").await.unwrap().status, 404);
    plane.publish(&[plane.endpoint(origin.addr())]);
    assert_eq!(client.get("/x").await.unwrap().status, 200);
}
