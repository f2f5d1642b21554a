//! Who a client is: by its own address, or by the header of the PROXY protocol of a proxy in front,
//! and how many connections it may have. What such headers look like is for `proxy_protocol`.

use std::net::SocketAddr;

use model::{Listener, ProxyProtocolIn};
use testkit::{HttpOrigin, RawClient, Reply, Vanished, wait_for, wait_until};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::instance::{Instance, send};
use crate::plane::{Plane, SOON, Setup};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.8 51000 443\r\n";
/// The same ends.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x08\xc7\x38\x01\xbb";
const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Answers with whom it takes for the client.
async fn origin() -> HttpOrigin {
    HttpOrigin::start("a", |ask| {
        Reply::bytes(ask.request.fields.get("x-forwarded-for").unwrap_or("nobody"))
    })
    .await
}

/// A data plane whose listener was changed.
async fn plane(setup: Setup, origin: &HttpOrigin, change: impl FnOnce(&mut Listener)) -> Plane {
    let plane = setup.serving([origin.addr()]);
    let mut listener = plane.listener();
    change(&mut listener);
    plane.listen_on([listener]);
    plane
}

fn required(listener: &mut Listener) {
    listener.proxy_protocol = ProxyProtocolIn::Required;
}

fn refused(label: &str) -> String {
    format!(r#"herder_refused_requests_total{{error="{label}"}}"#)
}

#[tokio::test]
async fn the_header_says_who_the_client_is_however_it_comes() {
    let origin = origin().await;
    let setup = Setup { has_access_log: true, ..Setup::default() };
    let plane = plane(setup, &origin, required).await;
    for (header, expected) in
        [(V1, "192.0.2.7"), (V2, "192.0.2.7"), (V1_UNKNOWN, "127.0.0.1"), (V2_LOCAL, "127.0.0.1")]
    {
        let mut whole = plane.client().await;
        whole.send([header, GET, GET].concat()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(whole.response().await.unwrap().text(), expected, "{header:?}");
        }
        let mut split = plane.client().await;
        for byte in [header, GET].concat() {
            split.send([byte]).await.unwrap();
        }
        assert_eq!(split.response().await.unwrap().text(), expected, "{header:?}");
    }
    let lines = plane.log_lines(12).await;
    let from = |line: &serde_json::Value, client| line["client"] == client;
    assert_eq!(lines.iter().filter(|line| from(line, "192.0.2.7:51000")).count(), 6);
}

#[tokio::test]
async fn what_does_not_begin_with_a_header_is_reset_and_counted() {
    let origin = origin().await;
    let setup = Setup { has_access_log: true, ..Setup::default() };
    let plane = plane(setup, &origin, required).await;
    let mut count = 0.0;
    for bytes in [GET, b"PROXY TCP4 a b c d\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31"] {
        let mut client = plane.client().await;
        client.send(bytes).await.unwrap();
        assert_eq!(client.vanished().await.unwrap(), Vanished::Reset, "{bytes:?}");
        count += 1.0;
        plane.metric_becomes(&refused("bad_proxy_header"), count).await;
    }
    let mut half = plane.client().await;
    half.send(&V1[..20]).await.unwrap();
    half.finish().await.unwrap();
    assert_eq!(half.vanished().await.unwrap(), Vanished::Reset);
    plane.metric_becomes(&refused("bad_proxy_header"), count + 1.0).await;
    let lines = plane.log_lines(4).await;
    assert!(lines.iter().all(|line| line["error"] == "bad_proxy_header"), "{lines:?}");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn the_header_has_its_time_and_looking_whether_somebody_listens_is_no_error() {
    let origin = origin().await;
    let mut setup = Setup::default();
    setup.limits.timeout_head = SOON;
    let plane = plane(setup, &origin, required).await;
    let (mut silent, mut slow) = (plane.client().await, plane.client().await);
    slow.send(&V1[..20]).await.unwrap();
    for client in [&mut silent, &mut slow] {
        assert_eq!(client.vanished().await.unwrap(), Vanished::Reset);
    }
    plane.metric_becomes(&refused("bad_proxy_header"), 2.0).await;
    let mut looking = plane.client().await;
    looking.finish().await.unwrap();
    assert_eq!(looking.vanished().await.unwrap(), Vanished::Closed);
    plane.metric_becomes("herder_connections_open", 0.0).await;
    plane.metric_becomes(&refused("bad_proxy_header"), 2.0).await;
}

#[tokio::test]
async fn only_trusted_proxies_are_believed() {
    let origin = origin().await;
    let believing = |network: &'static str| {
        move |listener: &mut Listener| {
            listener.proxy_protocol = ProxyProtocolIn::Trusted;
            listener.trusted_proxies = [network.parse().unwrap()].into_iter().collect();
        }
    };
    let trusting = plane(Setup::default(), &origin, believing("127.0.0.0/8")).await;
    let mut client = trusting.client().await;
    client.send([V2, GET].concat()).await.unwrap();
    assert_eq!(client.response().await.unwrap().text(), "192.0.2.7");
    let mut client = trusting.client().await;
    client.send(GET).await.unwrap();
    assert_eq!(client.vanished().await.unwrap(), Vanished::Reset);

    let wary = plane(Setup::default(), &origin, believing("10.0.0.0/8")).await;
    assert_eq!(wary.client().await.get("/").await.unwrap().text(), "127.0.0.1");
    let mut client = wary.client().await;
    client.send([V1, GET].concat()).await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 400);
}

#[tokio::test]
async fn a_client_has_no_more_connections_than_allowed() {
    let origin = origin().await;
    let mut setup = Setup { workers: 2, ..Setup::default() };
    setup.limits.connections_per_client_max = 2;
    let plane = plane(setup, &origin, |_| {}).await;
    let (mut first, mut second) = (plane.client().await, plane.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    // So soon that even connecting may fail of it.
    let error = match TcpStream::connect(plane.addr()).await {
        Ok(mut stream) => stream.read_u8().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    plane.metric_becomes(&refused("too_many_connections"), 1.0).await;
    plane.metric_becomes("herder_connections_open", 2.0).await;
    drop(first);
    plane.metric_becomes("herder_connections_open", 1.0).await;
    assert_eq!(plane.client().await.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn behind_a_proxy_it_is_its_clients_that_are_counted() {
    let origin = origin().await;
    let mut setup = Setup::default();
    setup.limits.connections_per_client_max = 1;
    let plane = plane(setup, &origin, required).await;
    let header = |client: u8| format!("PROXY TCP4 192.0.2.{client} 192.0.2.8 1 2\r\n").into_bytes();
    let connect = async |client| {
        let mut connection = plane.client().await;
        connection.send([&header(client), GET].concat()).await.unwrap();
        connection
    };
    let mut clients = Vec::new();
    for client in 1..=3 {
        let mut connection = connect(client).await;
        assert_eq!(connection.response().await.unwrap().status, 200);
        clients.push(connection);
    }
    assert_eq!(connect(2).await.vanished().await.unwrap(), Vanished::Reset);
    plane.metric_becomes(&refused("too_many_connections"), 1.0).await;
    clients.remove(1);
    plane.metric_becomes("herder_connections_open", 2.0).await;
    assert_eq!(connect(2).await.response().await.unwrap().status, 200);
}

/// Draining does not wait for a header that was not begun.
#[tokio::test]
async fn a_connection_without_header_holds_up_no_drain() {
    let origin = origin().await;
    let plane = plane(Setup::default(), &origin, required).await;
    let mut silent = plane.client().await;
    plane.metric_becomes("herder_connections_open", 1.0).await;
    assert_eq!(plane.proxy.drain(testkit::PATIENCE / 2).await, 0);
    assert_eq!(silent.vanished().await.unwrap(), Vanished::Closed);
    assert!(plane.metric(&refused("bad_proxy_header")) < 0.5);
}

/// The timer of the kernel's that is set for a connection, seen from `local`: none, or the seconds
/// until it asks whether the other end is still there.
fn keepalive(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let hex = |addr: SocketAddr| match addr {
        SocketAddr::V4(v4) => {
            format!("{:08X}:{:04X}", u32::from_le_bytes(v4.ip().octets()), v4.port())
        }
        SocketAddr::V6(_) => panic!("these tests use IPv4"),
    };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!(" {} {} 01 ", hex(local), hex(remote));
    let line = table.lines().find(|line| line.contains(&ends))?;
    let (kind, after) = line.split_whitespace().nth(5)?.split_once(':')?;
    // In hundredths of a second.
    (kind == "02").then(|| u64::from_str_radix(after, 16).unwrap() / 100)
}

async fn keepalive_of(plane: &Plane, client: &mut RawClient) -> Option<u64> {
    assert_eq!(client.get("/").await.unwrap().status, 200);
    let remote = client.local_addr().unwrap();
    // Until an acknowledgement that is put off has gone out, the timer is another.
    wait_for(testkit::PATIENCE, "the connection to be quiet", async || {
        let after = keepalive(plane.addr(), remote);
        (after != Some(0)).then_some(after)
    })
    .await
}

#[tokio::test]
async fn the_kernel_asks_after_silent_connections_as_configured() {
    let origin = origin().await;
    let plane = plane(Setup::default(), &origin, |_| {}).await;
    let mut before = plane.client().await;
    assert_eq!(keepalive_of(&plane, &mut before).await, None);
    let mut listener = plane.listener();
    listener.keepalive = Some(std::time::Duration::from_millis(300_500));
    plane.listen_on([listener.clone()]);
    for _ in 0..2 {
        let after = keepalive_of(&plane, &mut plane.client().await).await.unwrap();
        assert!((290..=301).contains(&after), "{after}");
    }
    assert_eq!(keepalive_of(&plane, &mut before).await, None, "it is as it was");
    listener.keepalive = None;
    plane.listen_on([listener]);
    assert_eq!(keepalive_of(&plane, &mut plane.client().await).await, None);
}

/// More connections at once than are accepted in a row: all are served.
#[tokio::test]
async fn a_crowd_is_served() {
    let instance = Instance::start().await;
    let plane = Plane::of([instance.addr()]);
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(plane.client().await);
    }
    wait_until(testkit::PATIENCE, "all to be accepted", async || {
        plane.metric("herder_connections_open") > 199.5
    })
    .await;
    for client in &mut clients {
        client.send(GET).await.unwrap();
        let mut wire = instance.asked().await;
        send(&mut wire, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        assert_eq!(client.response().await.unwrap().status, 204);
    }
}
