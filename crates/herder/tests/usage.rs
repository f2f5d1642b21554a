//! What instances use of the machine is measured and shown: all processes of each, as they come.
//! How much that is depends on the machine; that it is there and grows is what is looked at.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use testkit::{Herd, Herder, PATIENCE, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// Two instances, each of which is a shop and a process beside it that keeps a core busy.
fn config() -> String {
    format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[service.shop]
run = "while :; do :; done & exec {HERDER} __shop"
health = "/healthz"
scale = {{ min = 2, max = 2, policy = "fixed" }}
"#
    )
}

async fn usages(herd: &Herd) -> Vec<Value> {
    let status = herd.up().await;
    let instances = status["services"][0]["instances"].as_array().unwrap();
    instances.iter().map(|instance| instance["usage"].clone()).collect()
}

#[tokio::test]
async fn processor_and_memory_of_all_processes_of_an_instance_are_shown() {
    let herd = Herder::serve(HERDER, &config()).start();
    herd.wait_ready("shop", 2).await;
    wait_until(PATIENCE, "what both instances use", async || {
        let usages = usages(&herd).await;
        usages.len() == 2
            && usages.iter().all(|usage| {
                usage["cpu_ms"].as_u64() >= Some(100)
                    && usage["cpu_percent"].as_u64() >= Some(1)
                    && usage["memory_bytes"].as_u64() >= Some(1024 * 1024)
                    && usage["processes"] == 2
            })
    })
    .await;
    let status = herd.ordered(["status"]).await;
    assert!(status.contains(" CPU ") && status.contains(" MEM "), "{status}");
    // What was measured too long ago is not shown, as on a machine that is busy with other things.
    wait_until(PATIENCE, "the same in words", async || {
        let why = herd.ordered(["explain", "shop.1"]).await;
        why.contains("of memory, in 2 processes (pid ")
    })
    .await;
    wait_until(PATIENCE, "the same as metrics", async || {
        let metrics = herd.admin("/metrics").await.unwrap().text();
        ["herder_instance_cpu_seconds_total", "herder_instance_memory_bytes"].iter().all(|name| {
            metrics.contains(&format!("{name}{{service=\"shop\",instance_id=\"shop.2\"}} "))
        })
    })
    .await;
    herd.stop().await;
}
