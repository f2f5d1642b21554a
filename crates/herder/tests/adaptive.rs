//! Limits that follow what answers take, through the real `herder serve` and an instance that works
//! on so many requests at once. The algorithm is tested in `balance`.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use testkit::{Herd, Herder, HttpOrigin, Load, PATIENCE, Reply, wait_for, wait_until};

/// What a request takes by itself.
const TAKES: Duration = Duration::from_millis(30);

/// An instance that works on `hands` requests at once, in order.
async fn origin(hands: usize) -> HttpOrigin {
    let free = Mutex::new(vec![Instant::now(); hands]);
    let origin = HttpOrigin::start("a", move |_| {
        let mut free = free.lock().unwrap();
        let next = free.iter_mut().min().unwrap();
        *next = Instant::now().max(*next) + TAKES;
        Reply::bytes("ok").delay(next.saturating_duration_since(Instant::now()))
    });
    origin.await
}

async fn limit(herd: &Herd) -> Option<u64> {
    let status = herd.admin("/v1/status").await?.json();
    status["services"][0]["instances"][0]["in_flight_max"].as_u64()
}

#[tokio::test]
async fn an_instance_gets_about_as_many_as_it_works_on_and_the_rest_wait() {
    let origin = origin(12).await;
    let config = format!(
        "listener.web.bind = '127.0.0.1:0'\n[service.shop]\nstatic = ['{}']\n\
         limits.adaptive = {{ min = 2 }}\nqueue.target = 'off'\n",
        origin.addr()
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 1).await;
    assert_eq!(limit(&herd).await, Some(4));
    let load = Load::get(herd.addr().await, "/").connections(64).rate_per_s(2000).start();
    wait_until(PATIENCE, "room for all hands", async || {
        limit(&herd).await.is_some_and(|limit| limit >= 12)
    })
    .await;
    let answered = load.answered();
    let mut most = 0;
    wait_until(PATIENCE, "more answers", async || {
        most = limit(&herd).await.unwrap_or(0).max(most);
        load.answered() > answered + 2000
    })
    .await;
    assert!((12..45).contains(&most), "of 64: {most}");
    let line = "herder_instance_requests_in_flight_max{service=\"shop\",instance_id=\"shop.1\"} ";
    let told = wait_for(PATIENCE, "the limit in the metrics", async || {
        let page = herd.admin("/metrics").await?.text();
        page.lines().find_map(|found| found.strip_prefix(line).map(str::to_owned))
    });
    assert!(told.await.parse::<u64>().unwrap() < 45);
    let status = herd.ordered(["status"]).await;
    let row = status.lines().find(|line| line.starts_with("shop.1 ")).unwrap();
    assert!(row.contains('/'), "in flight, of how many: {row}");
    let report = load.stop().await;
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    herd.rewrite(&config.replace("limits.adaptive = { min = 2 }\n", ""));
    herd.ordered(["reload"]).await;
    assert_eq!(limit(&herd).await, None);
    herd.stop().await;
}
