//! Outages of two instances of three and of all, and what comes after them: who is served, who
//! waits, and how much more than what clients send the instances get.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use testkit::{Herd, Herder, HttpOrigin, Load, PATIENCE, Reply, wait_until};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Requests that instances may get for each that a client sends.
const AMPLIFIED_MAX: f64 = 1.2;

async fn origin(name: &str, addr: Option<SocketAddr>) -> HttpOrigin {
    let answer = |_: &_| Reply::bytes("ok").delay(Duration::from_millis(2));
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    HttpOrigin::start_at(addr.unwrap_or(anywhere), name, answer).await
}

async fn three() -> Vec<HttpOrigin> {
    let mut origins = Vec::new();
    for name in NAMES {
        origins.push(origin(name, None).await);
    }
    origins
}

/// Puts the same number of origins in the place of those that are gone.
async fn again(origins: &mut Vec<HttpOrigin>, gone: &[SocketAddr]) {
    for (&addr, name) in gone.iter().zip(NAMES) {
        origins.push(origin(name, Some(addr)).await);
    }
}

async fn serve(origins: &[HttpOrigin]) -> Herd {
    let addrs: Vec<String> =
        origins.iter().map(|origin| format!("{:?}", origin.addr().to_string())).collect();
    let config = format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[service.shop]
static = [{}]
health = {{ interval = "200ms", interval_fast = "100ms" }}
"#,
        addrs.join(", ")
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 3).await;
    herd
}

async fn load(herd: &Herd) -> testkit::Running {
    Load::get(herd.addr().await, "/").connections(32).rate_per_s(400).start()
}

async fn ready(herd: &Herd) -> usize {
    let instances = herd.instances("shop").await;
    instances.iter().filter(|instance| instance.phase == "ready").count()
}

#[tokio::test]
async fn two_of_three_go_and_come_back_and_no_request_is_lost() {
    let mut origins = three().await;
    let herd = serve(&origins).await;
    let load = load(&herd).await;
    wait_until(PATIENCE, "some answers", async || load.answered() > 200).await;
    let lost: Vec<_> = origins.drain(..2).collect();
    let gone: Vec<_> = lost.iter().map(HttpOrigin::addr).collect();
    let mut seen: u64 = lost.iter().map(HttpOrigin::requests).sum();
    drop(lost);
    wait_until(PATIENCE, "one left", async || ready(&herd).await == 1).await;
    let before = load.answered();
    wait_until(PATIENCE, "the one alone", async || load.answered() > before + 200).await;
    again(&mut origins, &gone).await;
    wait_until(PATIENCE, "all back", async || origins.iter().all(|it| it.answered() > 50)).await;
    assert_eq!(ready(&herd).await, 3);
    let report = load.stop().await;
    seen += origins.iter().map(HttpOrigin::requests).sum::<u64>();
    println!("{report}");
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    assert!(seen as f64 <= report.sent as f64 * AMPLIFIED_MAX, "{seen} of {}", report.sent);
    herd.stop().await;
}

/// Requests wait for the first that comes back; those that were under way when all went may have
/// failed, and no more than those.
#[tokio::test]
async fn all_go_and_come_back_and_those_who_waited_are_served() {
    let mut origins = three().await;
    let herd = serve(&origins).await;
    let load = load(&herd).await;
    wait_until(PATIENCE, "some answers", async || load.answered() > 200).await;
    let gone: Vec<_> = origins.iter().map(HttpOrigin::addr).collect();
    let mut seen: u64 = origins.iter().map(HttpOrigin::requests).sum();
    origins.clear();
    wait_until(PATIENCE, "none left", async || ready(&herd).await == 0).await;
    let before = load.answered();
    again(&mut origins, &gone).await;
    wait_until(PATIENCE, "all back", async || ready(&herd).await == 3).await;
    wait_until(PATIENCE, "served", async || load.answered() > before + 400).await;
    let report = load.stop().await;
    seen += origins.iter().map(HttpOrigin::requests).sum::<u64>();
    println!("{report}");
    assert!(report.failed() <= 32, "{report}");
    assert!(seen as f64 <= report.sent as f64 * AMPLIFIED_MAX, "{seen} of {}", report.sent);
    herd.stop().await;
}
