//! Who the client is when a proxy stands in front, for instances and for the access log; `Via`.
//! All the forms in which a proxy can say it are in the tables of the crate `http1`.

use model::HttpPolicy;
use testkit::{HttpOrigin, Reply};

use crate::forwarding::{ask, values};
use crate::plane::{Plane, Setup};

/// In front of whom everybody on the loopback is a proxy that is trusted.
fn trusting() -> Setup {
    Setup {
        trusted_proxies: ["127.0.0.0/8".parse().unwrap()].into_iter().collect(),
        has_access_log: true,
        ..Setup::default()
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_of_each_request() {
    let origin = HttpOrigin::echo("a").await;
    let plane = trusting().serving([origin.addr()]);
    let mut client = plane.client().await;
    let local = client.local_addr().unwrap().to_string();
    let mut check = async |lines: &str, xff: &str| {
        let echo = ask(&mut client, &format!("GET / HTTP/1.1\nHost: h\n{lines}\n")).await;
        assert_eq!(values(&echo, "x-forwarded-for"), [xff]);
        assert_eq!(values(&echo, "forwarded"), [""; 0]);
        assert_eq!(values(&echo, "via"), [""; 0]);
    };
    check("X-Forwarded-For: 6.6.6.6, 192.0.2.7\n", "6.6.6.6, 192.0.2.7, 127.0.0.1").await;
    check("X-Forwarded-For: [2001:db8::7]:1234\n", "[2001:db8::7]:1234, 127.0.0.1").await;
    check("Forwarded: for=192.0.2.8\n", "192.0.2.8, 127.0.0.1").await;
    check("", "127.0.0.1").await;
    client.send("GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n").await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 400);
    let lines = plane.log_lines(5).await;
    let clients: Vec<_> = lines.iter().map(|line| line["client"].as_str().unwrap()).collect();
    let expected = ["192.0.2.7:0", "[2001:db8::7]:1234", "192.0.2.8:0", &local, &local];
    assert_eq!(clients, expected);
}

#[tokio::test]
async fn what_is_believed_survives_a_body_and_a_retry() {
    let (gone, origin) = (crate::instance::Refusing::new(), HttpOrigin::echo("a").await);
    let plane = trusting().serving([gone.addr(), origin.addr()]);
    let mut client = plane.client().await;
    for _ in 0..2 {
        let request = "POST / HTTP/1.1\nHost: h\nX-Forwarded-Proto: https\n\
            X-Forwarded-For: 192.0.2.7\nX-Real-IP: 1.1.1.1\nContent-Length: 0\n\n";
        let echo = ask(&mut client, request).await;
        assert_eq!(values(&echo, "x-forwarded-for"), ["192.0.2.7, 127.0.0.1"]);
        assert_eq!(values(&echo, "x-forwarded-proto"), ["https"]);
        assert_eq!(values(&echo, "x-real-ip"), ["192.0.2.7"]);
    }
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_is_not_believed() {
    let origin = HttpOrigin::echo("a").await;
    let elsewhere = ["192.0.2.0/24".parse().unwrap()].into_iter().collect();
    let plane = Setup { trusted_proxies: elsewhere, ..trusting() }.serving([origin.addr()]);
    let mut client = plane.client().await;
    let request = "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Prefix: /a\n\n";
    let echo = ask(&mut client, request).await;
    assert_eq!(values(&echo, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&echo, "x-forwarded-prefix"), [""; 0]);
    let logged = plane.log_lines(1).await.remove(0);
    assert_eq!(logged["client"], client.local_addr().unwrap().to_string());
}

#[tokio::test]
async fn forwarded_and_via_are_added_where_they_are_asked_for() {
    let adding = |setup: Setup| Setup {
        policy: HttpPolicy { adds_forwarded: true, adds_via: true, ..setup.policy },
        ..setup
    };
    let origin = HttpOrigin::echo("a").await;
    let check = async |plane: &Plane, forwarded: &str| {
        let mut client = plane.client().await;
        let request = "GET / HTTP/1.1\nHost: h:80\nVia: 1.0 fred\nForwarded: for=192.0.2.7\n\n";
        client.send(request.replace('\n', "\r\n")).await.unwrap();
        let response = client.response().await.unwrap();
        assert_eq!(response.fields.all("via"), ["1.1 herder"]);
        let echo = response.json();
        assert_eq!(values(&echo, "forwarded"), [forwarded]);
        assert_eq!(values(&echo, "via"), ["1.0 fred", "1.1 herder"]);
        let request = "GET / HTTP/1.0\nHost: h:80\n\n";
        assert_eq!(values(&ask(&mut plane.client().await, request).await, "via"), ["1.0 herder"]);
    };
    let ours = "for=127.0.0.1;host=\"h:80\";proto=http";
    check(&adding(Setup::default()).serving([origin.addr()]), ours).await;
    let appended = format!("for=192.0.2.7, {ours}");
    check(&adding(trusting()).serving([origin.addr()]), &appended).await;

    let gateway = HttpOrigin::start("a", |_| Reply::bytes("ok").field("Via", "1.1 cache")).await;
    let plane = adding(Setup::default()).serving([gateway.addr()]);
    let response = plane.client().await.get("/").await.unwrap();
    assert_eq!(response.fields.all("via"), ["1.1 cache", "1.1 herder"]);
}
