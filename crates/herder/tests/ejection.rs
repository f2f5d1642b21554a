//! An instance whose requests fail, behind the real binary: who is served then, for how long it is
//! left alone, and how it comes back. Its probes pass all the while.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::{Herd, Herder, HttpOrigin, Load, PATIENCE, Reply, wait_until};
use tokio::time::Instant;

/// The part of the requests that an instance that fails may get, once it was found out.
const FAILING_MAX: f64 = 0.01;
/// When that has to be.
const FOUND_OUT: Duration = Duration::from_secs(2);

/// An instance that answers 500 at once while it is told to.
struct Instance {
    origin: HttpOrigin,
    fails: Arc<AtomicBool>,
}

async fn instance(name: &str) -> Instance {
    let fails = Arc::<AtomicBool>::default();
    let is_failing = Arc::clone(&fails);
    let origin = HttpOrigin::start(name, move |_: &_| match is_failing.load(Ordering::Relaxed) {
        true => Reply::bytes("no").status(500),
        false => Reply::bytes("ok").delay(Duration::from_millis(2)),
    });
    Instance { origin: origin.await, fails }
}

/// Three of them, with ejections that are short enough for a test; by what else is said.
async fn serve(more: &str) -> (Vec<Instance>, Herd) {
    let mut instances = Vec::new();
    for name in ["a", "b", "c"] {
        instances.push(instance(name).await);
    }
    let addrs: Vec<String> =
        instances.iter().map(|one| format!("{:?}", one.origin.addr().to_string())).collect();
    let config = format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[service.shop]
static = [{}]
{more}
"#,
        addrs.join(", ")
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 3).await;
    (instances, herd)
}

async fn journal(herd: &Herd) -> String {
    herd.ordered(["journal", "-n", "200"]).await
}

#[tokio::test]
async fn one_that_fails_gets_next_to_nothing_and_comes_back_once_it_is_well() {
    // In turn, because least latency leaves it alone before it has failed often enough.
    let more = "balance = 'round-robin'\neject = { time = '500ms', interval = '1s' }";
    let (instances, herd) = serve(more).await;
    let load = Load::get(herd.addr().await, "/").connections(16).rate_per_s(500).start();
    wait_until(PATIENCE, "some answers", async || load.answered() > 200).await;
    let bad = &instances[1];
    bad.fails.store(true, Ordering::Relaxed);
    let found_out = Instant::now() + FOUND_OUT;
    wait_until(PATIENCE, "the time to find out", async || Instant::now() >= found_out).await;
    let (of_bad, of_all) = (bad.origin.requests(), load.answered());
    wait_until(PATIENCE, "more answers", async || load.answered() > of_all + 2_000).await;
    let share = (bad.origin.requests() - of_bad) as f64 / (load.answered() - of_all) as f64;
    assert!(share < FAILING_MAX, "{share} of the requests");
    let told = journal(&herd).await;
    assert!(told.contains("shop.2 ejected for "), "{told}");

    bad.fails.store(false, Ordering::Relaxed);
    let before = bad.origin.requests();
    wait_until(PATIENCE, "it to be back", async || bad.origin.requests() > before + 100).await;
    let told = journal(&herd).await;
    assert!(told.contains("shop.2 admitted: its trial request succeeded"), "{told}");
    load.stop().await;
    herd.stop().await;
}

/// One kind of request that every instance fails must not empty the pool.
#[tokio::test]
async fn when_all_fail_most_of_them_stay_and_the_journal_says_so() {
    let (instances, herd) = serve("").await;
    for instance in &instances {
        instance.fails.store(true, Ordering::Relaxed);
    }
    let load = Load::get(herd.addr().await, "/").connections(16).rate_per_s(500).start();
    let spared = "are out already";
    wait_until(PATIENCE, "somebody spared", async || journal(&herd).await.contains(spared)).await;
    for instance in &instances {
        instance.fails.store(false, Ordering::Relaxed);
    }
    let before: Vec<u64> = instances.iter().map(|it| it.origin.requests()).collect();
    let served = || {
        let pairs = instances.iter().zip(&before);
        pairs.filter(|(it, before)| it.origin.requests() > **before + 50).count()
    };
    wait_until(PATIENCE, "two to serve on", async || served() >= 2).await;
    let told = journal(&herd).await;
    assert_eq!(told.matches(" ejected for ").count(), 1, "{told}");
    load.stop().await;
    herd.stop().await;
}
