//! Admission control through the real `herder serve`: a service that fails is spared, which is
//! said, and has all requests again when it is well.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::{Herder, HttpOrigin, Load, PATIENCE, Reply, wait_until};

#[tokio::test]
async fn a_service_that_fails_is_spared_until_it_is_well() {
    let fails = Arc::<AtomicBool>::default();
    let is_failing = Arc::clone(&fails);
    let origin = HttpOrigin::start("a", move |_| match is_failing.load(Ordering::Relaxed) {
        true => Reply::bytes("no").status(500),
        false => Reply::bytes("ok"),
    });
    let origin = origin.await;
    let config = format!(
        "listener.web.bind = '127.0.0.1:0'\n[service.shop]\nstatic = ['{}']\neject = false\n\
         admission = {{ window = '2s', rate_min = 20 }}\n",
        origin.addr()
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 1).await;
    let load = Load::get(herd.addr().await, "/").connections(8).rate_per_s(400).start();
    wait_until(PATIENCE, "answers", async || load.answered() > 400).await;
    let refused = async || {
        let status = herd.admin("/v1/status").await.unwrap().json();
        status["services"][0]["refused_percent"].as_u64().unwrap()
    };
    assert_eq!(refused().await, 0);
    fails.store(true, Ordering::Relaxed);
    wait_until(PATIENCE, "most to be refused", async || refused().await >= 80).await;
    let status = herd.ordered(["status"]).await;
    assert!(status.contains(" % of the requests are refused, too many fail"), "{status}");
    wait_until(PATIENCE, "the journal to tell", async || {
        let journal = herd.ordered(["journal"]).await;
        journal.contains("admission ") && journal.contains("of the requests from now on")
    })
    .await;
    let metrics = herd.admin("/metrics").await.unwrap().text();
    let series = "herder_errors_total{service=\"shop\",error=\"not_admitted\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    assert!(count.parse::<u64>().unwrap() > 100, "{count}");
    fails.store(false, Ordering::Relaxed);
    wait_until(PATIENCE, "nobody to be refused", async || refused().await == 0).await;
    load.stop().await;
    herd.stop().await;
}
