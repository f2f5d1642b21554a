//! Header rules, path rewrites and redirects from the file to the wire, and what a reload makes of
//! them. What each rule does in all its cases is for the tests of the data plane.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use testkit::{Herd, Herder, HttpOrigin, RawClient, Reply, Response};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// A file with one service at this origin, and these further keys and tables.
fn file(origin: &HttpOrigin, tables: &str) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[service.shop]\nstatic = [\"{}\"]\n{tables}\n",
        origin.addr()
    )
}

async fn serve(origin: &HttpOrigin, tables: &str) -> Herd {
    let herd = Herder::serve(HERDER, &file(origin, tables)).start();
    herd.wait_ready("shop", 1).await;
    herd
}

async fn get(herd: &Herd, host: &str, target: &str) -> Response {
    let mut client = RawClient::connect(herd.addr().await).await;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX_User: root\r\n\r\n");
    client.send(request).await.unwrap();
    client.response().await.unwrap()
}

fn values(echo: &Value, name: &str) -> Vec<String> {
    let fields = echo["fields"].as_array().unwrap().iter();
    let named = fields.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|field| field[1].as_str().unwrap().to_owned()).collect()
}

const RULES: &str = r#"
[service.shop.request_headers]
set = { X-User = "nobody", Host = "shop.internal" }
add = { X-Way = "{client} {host} {path} {instance}" }
remove = ["X-Debug"]

[service.shop.response_headers]
set = { X-Served-By = "{instance}" }
remove = ["X-Instance"]

[service.shop.rewrite]
strip_prefix = "/api"
match = "^/old/(.*)$"
with = "/new/$1"
add_prefix = "/v1"
"#;

#[tokio::test]
async fn rules_of_the_file_are_obeyed_and_a_reload_changes_them() {
    let origin = HttpOrigin::start("a", |_| Reply::echo()).await;
    let herd = serve(&origin, RULES).await;
    let response = get(&herd, "shop.example.com", "/api/old/cart?item=7").await;
    assert_eq!(response.fields.all("x-served-by"), ["shop.1"], "{response}");
    assert_eq!(response.fields.all("x-instance"), [""; 0], "{response}");
    let echo = response.json();
    assert_eq!(echo["target"], "/v1/new/cart?item=7", "{echo}");
    assert_eq!(values(&echo, "x-forwarded-prefix"), ["/api"]);
    assert_eq!(values(&echo, "x-user"), ["nobody"]);
    assert_eq!(values(&echo, "x_user"), [""; 0]);
    assert_eq!(values(&echo, "host"), ["shop.internal"]);
    assert_eq!(values(&echo, "x-forwarded-host"), ["shop.example.com"]);
    let way = "127.0.0.1 shop.example.com /api/old/cart?item=7 shop.1";
    assert_eq!(values(&echo, "x-way"), [way]);

    herd.rewrite(&file(&origin, "rewrite = { add_prefix = \"/v2\" }"));
    herd.ordered(["reload"]).await;
    let response = get(&herd, "shop.example.com", "/api/x").await;
    assert_eq!(response.fields.all("x-instance"), ["a"], "{response}");
    let echo = response.json();
    assert_eq!(echo["target"], "/v2/api/x", "{echo}");
    assert_eq!(values(&echo, "x-user"), [""; 0]);
    assert_eq!(herd.instances("shop").await[0].id, "shop.1", "nothing was started anew");

    herd.rewrite(&file(&origin, "rewrite = { match = \"^/\", with = \"\" }"));
    herd.ordered(["reload"]).await;
    let refused = get(&herd, "shop.example.com", "/x").await;
    assert_eq!(refused.status, 500, "{refused}");
    assert_eq!(refused.fields.get("herder-error"), Some("rewrite_failed"), "{refused}");
    herd.stop().await;
}

#[tokio::test]
async fn redirects_take_part_in_routing_and_a_reload_changes_them() {
    let origin = HttpOrigin::start("a", |_| Reply::echo()).await;
    let redirects = r#"
[redirect.www]
route = "www.example.com"
to = "https://shop.example.com"

[redirect.summer]
route = ["/summer", { host = "www.example.com", path = "/summer" }]
to = "/offers?from={path}"
status = 302
"#;
    let herd = serve(&origin, redirects).await;
    let led = async |host: &str, target: &str| {
        let response = get(&herd, host, target).await;
        (response.status, response.fields.get("location").map(str::to_owned))
    };
    let to = |status: u16, place: &str| (status, Some(place.to_owned()));
    let shop = "https://shop.example.com/a?b=c";
    assert_eq!(led("www.example.com", "/a?b=c").await, to(308, shop));
    let place = "https://shop.example.com//evil.example";
    assert_eq!(led("WWW.example.com:8080", "//evil.example").await, to(308, place));
    assert_eq!(led("www.example.com", "/summer").await, to(302, "/offers?from=/summer"));
    assert_eq!(led("a.example", "/summer/hats").await, to(302, "/offers?from=/summer/hats"));
    assert_eq!(led("a.example", "/summers").await, (200, None));
    let metrics = herd.admin("/metrics").await.unwrap().text();
    assert!(metrics.contains("\nherder_redirects_total 4\n"), "{metrics}");

    let changed = "[redirect.www]\nroute = \"www.example.com\"\nto = \"https://new.example\"";
    herd.rewrite(&file(&origin, changed));
    let said = herd.ordered(["reload"]).await;
    assert!(said.contains("herder.toml was taken"), "{said}");
    assert_eq!(led("www.example.com", "/a").await, to(308, "https://new.example/a"));
    assert_eq!(led("a.example", "/summer").await, (200, None));
    herd.rewrite(&file(&origin, ""));
    herd.ordered(["reload"]).await;
    assert_eq!(led("www.example.com", "/a").await, (200, None));
    herd.stop().await;
}

#[tokio::test]
async fn a_file_with_rules_that_cannot_be_is_refused() {
    let origin = HttpOrigin::start("a", |_| Reply::echo()).await;
    let herd = serve(&origin, "").await;
    let wrong = "[service.shop.request_headers]\nset = { Connection = \"close\" }\n\
                 [service.shop.rewrite]\nmatch = \"(\"\nwith = \"\"\n\
                 [redirect.a]\nroute = \"/\"\nto = \"//evil.example\"";
    herd.rewrite(&file(&origin, wrong));
    let answer = herd.command(["reload"]).await;
    let text = format!("{answer:?}");
    for part in [
        "Connection decides how messages and connections end",
        "is not a regular expression: unclosed group",
        "would lead to another host",
        "already leads to service.shop",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(get(&herd, "a.example", "/x").await.status, 200);
    herd.stop().await;
}
