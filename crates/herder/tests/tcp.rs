//! Services in TCP mode, and the PROXY protocol, from outside: the real binary carries connections
//! to real instances, through restarts, kills and reloads. The details are for `proxy`'s tests.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;
use testkit::{Herd, Herder, PATIENCE, RawClient, proc, wait_for, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// The sample shop, which speaks HTTP, over connections that Herder does not look into.
fn config(drain: &str, more: &str) -> String {
    format!(
        r#"
        [listener.raw]
        bind = "127.0.0.1:0"
        tcp = "shop"
        {more}
        [service.shop]
        run = ["{HERDER}", "__shop"]
        mode = "tcp"
        health = "/healthz"
        drain = "{drain}"

        [service.shop.scale]
        min = 2
        "#
    )
}

async fn serve(drain: &str) -> Herd {
    let herd = Herder::serve(HERDER, &config(drain, "")).start();
    herd.wait_settled("shop", 2).await;
    herd
}

/// A connection, and the instance that it leads to.
async fn connected(herd: &Herd) -> (RawClient, String) {
    let mut client = RawClient::connect(herd.addr_of("raw").await).await;
    let instance = who(&mut client).await;
    (client, instance)
}

/// Who answers on this connection.
async fn who(client: &mut RawClient) -> String {
    let response = client.get("/").await.unwrap();
    assert_eq!(response.status, 200, "{response}");
    response.fields.get("x-instance").unwrap().to_owned()
}

async fn phase(herd: &Herd, id: &str) -> Option<String> {
    let instances = herd.instances("shop").await;
    Some(instances.into_iter().find(|instance| instance.id == id)?.phase)
}

async fn is_drained(herd: &Herd, id: &str) {
    wait_until(PATIENCE, "the instance to drain", async || {
        phase(herd, id).await.as_deref() == Some("draining")
    })
    .await;
}

#[tokio::test]
async fn connections_are_spread_and_stay_where_they_are_through_a_restart() {
    let herd = serve("1h").await;
    let (mut first, one) = connected(&herd).await;
    let (mut second, other) = connected(&herd).await;
    assert_ne!(one, other);
    assert_eq!((who(&mut first).await, who(&mut second).await), (one.clone(), other.clone()));
    let status = herd.ordered(["status"]).await;
    assert!(status.contains("raw tcp://127.0.0.1:"), "{status}");
    assert!(status.contains(", carried to shop\n"), "{status}");

    let restart = async { herd.ordered(["restart", "shop"]).await };
    let lives = async {
        is_drained(&herd, &one).await;
        let (_, new) = connected(&herd).await;
        assert!(new != one, "{new} takes no new connection");
        for _ in 0..20 {
            assert_eq!(who(&mut first).await, one);
        }
        drop(first);
        is_drained(&herd, &other).await;
        assert_eq!(who(&mut second).await, other);
        drop(second);
    };
    tokio::join!(restart, lives);
    herd.wait_settled("shop", 2).await;
    assert!(phase(&herd, &one).await.is_none() && phase(&herd, &other).await.is_none());
}

#[tokio::test]
async fn what_lasts_longer_than_the_drain_is_cut_with_its_instance() {
    let herd = serve("200ms").await;
    let (mut client, instance) = connected(&herd).await;
    herd.ordered(["drain", &instance]).await;
    client.vanished().await.unwrap();
    assert_ne!(connected(&herd).await.1, instance);
}

#[tokio::test]
async fn a_killed_instance_takes_only_its_own_connections() {
    let herd = serve("1h").await;
    let (mut first, one) = connected(&herd).await;
    let (mut second, other) = connected(&herd).await;
    let instances = herd.instances("shop").await;
    let victim = instances.iter().find(|instance| instance.id == one).unwrap();
    proc::kill(victim.pid.unwrap());
    first.vanished().await.unwrap();
    wait_until(PATIENCE, "its end to be noticed", async || phase(&herd, &one).await.is_none())
        .await;
    assert_eq!(who(&mut second).await, other);
    for _ in 0..10 {
        assert_ne!(connected(&herd).await.1, one);
    }
}

#[tokio::test]
async fn a_reload_keeps_connections_and_the_end_waits_for_them() {
    let mut herd = serve("1h").await;
    let (mut client, instance) = connected(&herd).await;
    let web = "[listener.web]\nbind = \"127.0.0.1:0\"\n[service.web]\nstatic = [\"127.0.0.1:9\"]";
    herd.rewrite(&config("1h", web));
    herd.ordered(["reload"]).await;
    assert_eq!(who(&mut client).await, instance);
    connected(&herd).await;
    herd.rewrite(&config("1h", &format!("{web}\nmode = \"tcp\"")));
    let refused = herd.command(["reload"]).await;
    assert!(refused.stderr.contains("service.web.mode: no listener leads to this"), "{refused:?}");

    let addr = herd.addr_of("raw").await;
    herd.signal(Signal::TERM);
    wait_until(PATIENCE, "the listener to go", async || TcpStream::connect(addr).await.is_err())
        .await;
    assert_eq!(who(&mut client).await, instance);
    drop(client);
    assert_eq!(herd.exited().await.code(), Some(0));
    herd.assert_clean();
}

/// Takes connections that begin with a line of the PROXY protocol, tells of the line, and echoes
/// what follows it; of probes it tells nothing.
async fn echo(listener: TcpListener, lines: mpsc::Sender<String>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let lines = lines.clone();
        tokio::spawn(async move {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(stream.read_u8().await.unwrap());
            }
            if line != b"PROXY UNKNOWN\r\n" {
                lines.send(String::from_utf8(line).unwrap()).await.unwrap();
            }
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.ok();
        });
    }
}

#[tokio::test]
async fn the_client_is_known_behind_proxies_and_to_instances() {
    let instance = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = instance.local_addr().unwrap();
    let (lines, mut told) = mpsc::channel(8);
    let _echo = tokio::spawn(echo(instance, lines));
    let herd = Herder::serve(
        HERDER,
        &format!(
            r#"
            [listener.raw]
            bind = "127.0.0.1:0"
            tcp = "echo"
            proxy_protocol = "trusted"
            trusted_proxies = ["127.0.0.0/8"]
            connections_per_client_max = 1

            [service.echo]
            static = ["{addr}"]
            mode = "tcp"
            proxy_protocol = "v1"
            "#
        ),
    )
    .start();
    herd.wait_ready("echo", 1).await;
    let header = "PROXY TCP6 2001:db8::7 2001:db8::8 51000 443\r\n";
    let open = async |header: &str| {
        let mut stream = TcpStream::connect(herd.addr_of("raw").await).await.unwrap();
        stream.write_all(format!("{header}hello").as_bytes()).await.unwrap();
        stream
    };
    let mut stream = open(header).await;
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!((&heard, told.recv().await.as_deref()), (b"hello", Some(header)));

    // One more from the same /64, and one without a header.
    for header in ["PROXY TCP6 2001:db8::9 2001:db8::8 1 2\r\n", ""] {
        let error = open(header).await.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{header:?}");
    }
    let metrics = wait_for(Duration::from_secs(5), "both to be counted", async || {
        let text = herd.admin("/metrics").await.unwrap().text();
        text.contains(r#"herder_refused_requests_total{error="bad_proxy_header"} 1"#)
            .then_some(text)
    })
    .await;
    let crowded = r#"herder_refused_requests_total{error="too_many_connections"} 1"#;
    assert!(metrics.contains(crowded), "{metrics}");
    drop(stream);
    herd.stop().await;
}
