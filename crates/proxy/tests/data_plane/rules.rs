//! Services with header rules and rewrites: what instances see, and clients of their answers.
//! What each rule does to a head is for the crate `http1`.

use http1::{Direction, FieldRule, FieldRules, Pattern, Rewrite};
use model::Rules;
use serde_json::{Value, json};
use testkit::{HttpOrigin, RawClient, Reply, ScriptedOrigin, Step};

use crate::instance::{Instance, connect, head, send};
use crate::plane::Setup;

fn setup(rules: Rules) -> Setup {
    Setup { rules: Some(Box::new(rules)), ..Setup::default() }
}

fn request(rules: &[FieldRule<'_>]) -> Rules {
    let request = FieldRules::new(Direction::Request, rules).unwrap();
    Rules { request, ..Rules::default() }
}

fn response(rules: &[FieldRule<'_>]) -> Rules {
    let response = FieldRules::new(Direction::Response, rules).unwrap();
    Rules { response, ..Rules::default() }
}

fn rewrite(strip: &str, pattern: Option<(&str, &str)>, add: &str) -> Rules {
    let pattern = pattern.map(|(pattern, with)| Pattern::new(pattern, with).unwrap());
    Rules { rewrite: Rewrite::new(strip, pattern, add).unwrap(), ..Rules::default() }
}

async fn ask(client: &mut RawClient, request: &str) -> Value {
    client.send(request.replace('\n', "\r\n")).await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!(response.status, 200, "{request}: {response}");
    response.json()
}

fn values(echo: &Value, name: &str) -> Vec<String> {
    let fields = echo["fields"].as_array().unwrap().iter();
    let named = fields.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|field| field[1].as_str().unwrap().to_owned()).collect()
}

const EVERYTHING: &str = "{client} {host} {path} {request_id} {instance} {service} {scheme}";

#[tokio::test]
async fn an_instance_sees_requests_as_the_rules_want_them() {
    let origin = HttpOrigin::echo("a").await;
    let plane = setup(request(&[
        FieldRule::Remove("X-Debug"),
        FieldRule::Set("X-User", "nobody"),
        FieldRule::Set("Host", "shop.internal"),
        FieldRule::Add("X-All", EVERYTHING),
        FieldRule::Add("Accept", "*/*"),
    ]))
    .serving([origin.addr()]);
    let mut client = plane.client().await;
    for _ in 0..2 {
        let echo = ask(
            &mut client,
            "GET /a?b HTTP/1.1\nHost: Shop:80\nX-Request-Id: id-1\nx-debug: 1\nX_User: root\n\
             Accept: text/html\nX-Debug: 2\nx-user: root\n\n",
        )
        .await;
        assert_eq!(values(&echo, "x-debug"), [""; 0]);
        assert_eq!(values(&echo, "x-user"), ["nobody"]);
        assert_eq!(values(&echo, "x_user"), [""; 0]);
        assert_eq!(values(&echo, "host"), ["shop.internal"]);
        assert_eq!(values(&echo, "x-forwarded-host"), ["Shop:80"]);
        assert_eq!(values(&echo, "accept"), ["text/html", "*/*"]);
        assert_eq!(values(&echo, "x-all"), ["127.0.0.1 Shop /a?b id-1 shop.1 shop http"]);
    }
}

#[tokio::test]
async fn a_retry_is_told_its_own_instance() {
    let bad = HttpOrigin::start("bad", |_| Reply::echo().cut(0)).await;
    let good = HttpOrigin::echo("good").await;
    let plane = setup(request(&[FieldRule::Set("X-Instance-Asked", "{instance}")]))
        .serving([bad.addr(), good.addr()]);
    let echo = ask(&mut plane.client().await, "GET / HTTP/1.1\nHost: h\n\n").await;
    assert_eq!((values(&echo, "x-instance-asked"), bad.requests()), (vec!["shop.2".into()], 1));
}

/// The head of the request is gone from its buffer when a body followed it.
#[tokio::test]
async fn a_client_sees_answers_as_the_rules_want_them() {
    let origin = HttpOrigin::start("a", |_| {
        Reply::bytes("hello").field("Server", "secret/1.0").field("X-All", "instance").close()
    })
    .await;
    for has_access_log in [false, true] {
        let rules = response(&[
            FieldRule::Remove("Server"),
            FieldRule::Set("X-All", EVERYTHING),
            FieldRule::Add("X-Frame-Options", "DENY"),
        ]);
        let plane = Setup { has_access_log, ..setup(rules) }.serving([origin.addr()]);
        let mut client = plane.client().await;
        let bodies =
            ["\r\n", "Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"];
        for body in bodies {
            let fields = "Host: Shop:80\r\nX-Request-Id: id-1";
            client.send(format!("POST /a?b HTTP/1.1\r\n{fields}\r\n{body}")).await.unwrap();
            let response = client.response().await.unwrap();
            assert_eq!(response.body, b"hello", "{response}");
            assert_eq!(response.fields.all("server"), [""; 0], "{response}");
            assert_eq!(response.fields.all("x-frame-options"), ["DENY"], "{response}");
            let all = "127.0.0.1 Shop /a?b id-1 shop.1 shop http";
            assert_eq!(response.fields.all("x-all"), [all], "{response}");
        }
    }
}

#[tokio::test]
async fn interim_answers_switches_and_answers_of_herder_have_no_rules() {
    let instance = Instance::start().await;
    let plane = setup(response(&[FieldRule::Set("X-A", "ruled")])).serving([instance.addr()]);
    let mut client = connect(plane.addr()).await;
    send(&mut client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut wire = instance.asked().await;
    send(&mut wire, "HTTP/1.1 103 Hints\r\nX-A: 1\r\n\r\nHTTP/1.1 204 No\r\nX-A: 2\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 103 Hints\r\nX-A: 1\r\n\r\n");
    assert_eq!(head(&mut client).await, "HTTP/1.1 204 No\r\nX-A: ruled\r\n\r\n");

    let switch = "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\nX-A: 1\r\n\r\n";
    let origin = ScriptedOrigin::start([vec![Step::ReadHead, Step::send(switch)]]).await;
    plane.publish(&[plane.endpoint(origin.addr())]);
    let ask = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut asking = plane.client().await;
    asking.send(ask).await.unwrap();
    let switched = asking.response_to_head().await.unwrap();
    assert_eq!((switched.status, switched.fields.all("x-a")), (101, vec!["1"]));

    plane.publish(&[plane.endpoint(crate::instance::Refusing::new().addr())]);
    let refused = plane.client().await.get("/").await.unwrap();
    assert_eq!((refused.status, refused.fields.get("x-a")), (502, None), "{refused}");
}

#[tokio::test]
async fn paths_are_rewritten_and_routes_look_at_what_was_sent() {
    let origin = HttpOrigin::echo("a").await;
    let rules = rewrite("/api", Some(("^/old/(.*)$", "/new/$1")), "/v1");
    let plane = setup(rules).serving([origin.addr()]);
    let mut client = plane.client().await;
    let mut check = async |target: &str, expected: &str, prefix: &[&str]| {
        let echo = ask(&mut client, &format!("OPTIONS {target} HTTP/1.1\nHost: h\n\n")).await;
        assert_eq!(echo["target"], json!(expected), "{target}");
        assert_eq!(values(&echo, "x-forwarded-prefix"), prefix, "{target}");
    };
    check("/api/old/x?y=/old/", "/v1/new/x?y=/old/", &["/api"]).await;
    check("/api", "/v1/", &["/api"]).await;
    check("/old/x", "/v1/new/x", &[]).await;
    check("http://h/api/x", "/v1/x", &["/api"]).await;
    check("http://h", "*", &[]).await;
    check("*", "*", &[]).await;
}

#[tokio::test]
async fn a_path_that_cannot_be_rewritten_is_herders_fault_and_costs_no_connection() {
    let origin = HttpOrigin::echo("a").await;
    let rules = rewrite("", Some(("^/bad/", "")), "");
    let plane = Setup { has_access_log: true, ..setup(rules) }.start();
    let endpoint = plane.endpoint(origin.addr());
    plane.publish(std::slice::from_ref(&endpoint));
    let mut client = plane.client().await;
    assert_eq!(client.get("/good").await.unwrap().status, 200);
    let refused = client.get("/bad/x").await.unwrap();
    let label = refused.fields.get("herder-error").map(str::to_owned);
    assert_eq!((refused.status, label.as_deref()), (500, Some("rewrite_failed")), "{refused}");
    assert_eq!(client.post("/bad/x", "body").await.unwrap().status, 500);
    let mut client = plane.client().await;
    assert_eq!(client.get("/good").await.unwrap().status, 200);
    assert_eq!((origin.connections(), origin.requests(), endpoint.failures()), (1, 2, 0));
    let error = r#"herder_errors_total{service="shop",error="rewrite_failed"}"#;
    plane.metric_becomes(error, 2.0).await;
    assert_eq!(plane.log_lines(2).await[1]["error"], json!("rewrite_failed"));
}

#[tokio::test]
async fn a_path_that_becomes_too_long_is_refused() {
    let origin = HttpOrigin::echo("a").await;
    let mut setup = setup(rewrite("", None, "/v1"));
    setup.limits.target_bytes_max = 10;
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    assert_eq!(client.get("/345678").await.unwrap().json()["target"], json!("/v1/345678"));
    assert_eq!(client.get("/345678?").await.unwrap().status, 500);
    assert_eq!(client.get("/2345678901").await.unwrap().status, 414);
}

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is_and_what_it_has_taken_off() {
    let origin = HttpOrigin::echo("a").await;
    let rules = request(&[FieldRule::Set("X-All", "{client} {host} {scheme}")]);
    let rules = Rules { rewrite: Rewrite::new("/api", None, "").unwrap(), ..rules };
    let trusted_proxies = ["127.0.0.0/8".parse().unwrap()].into_iter().collect();
    let plane = Setup { trusted_proxies, ..setup(rules) }.serving([origin.addr()]);
    let mut client = plane.client().await;
    let fields = "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: https\n";
    for (claimed, prefix) in [("/outer", "/outer/api"), ("/outer/", "/outer/api"), ("/", "/api")] {
        let claimed = format!("X-Forwarded-Prefix: {claimed}\n");
        let asked = format!("GET /api/x HTTP/1.1\nHost: h:1\n{fields}{claimed}\n");
        let echo = ask(&mut client, &asked).await;
        assert_eq!(echo["target"], json!("/x"));
        assert_eq!(values(&echo, "x-all"), ["192.0.2.7 h https"]);
        assert_eq!(values(&echo, "x-forwarded-prefix"), [prefix]);
    }
    let asked = format!("GET /x HTTP/1.1\nHost: h\n{fields}X-Forwarded-Prefix: /outer\n\n");
    let echo = ask(&mut client, &asked).await;
    assert_eq!(values(&echo, "x-forwarded-prefix"), ["/outer"]);
}
