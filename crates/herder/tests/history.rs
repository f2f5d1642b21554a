//! What was asked of a service is kept: to be replayed, and to begin where a Herder had ended.
//! How the file is written is tested beside it; here it is a user who wants it back.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;
use testkit::{Herd, Herder, Load, PATIENCE, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// A shop that follows demand and keeps its history there.
fn shop(data: &Path) -> Herder {
    let config = format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[storage]
dir = {data:?}

[service.shop]
run = ["{HERDER}", "__shop"]
health = "/healthz"

[service.shop.scale]
min = 1
max = 6
"#
    );
    Herder::serve(HERDER, &config)
}

/// The rows of `herder history`: second, arrivals, desired.
async fn rows(herd: &Herd) -> Vec<(u64, f64, u32)> {
    let text = herd.ordered(["history", "shop", "--last", "1h"]).await;
    let (heading, rows) = text.split_once('\n').unwrap();
    assert_eq!(heading, "seconds,arrivals,service_s,in_flight,queued,desired,ready");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells[at].parse::<f64>().unwrap_or(0.0);
        (cells[0].parse().unwrap(), number(1), cells[5].parse().unwrap_or(0))
    };
    rows.lines().map(row).collect()
}

#[tokio::test]
async fn what_was_asked_is_kept_and_can_be_replayed() {
    let dir = TempDir::new().unwrap();
    let kept = dir.path().join("new/kept");
    let herd = shop(&kept).start();
    herd.wait_ready("shop", 1).await;
    let load = Load::get(herd.addr().await, "/").connections(4).rate_per_s(50).start();
    wait_until(PATIENCE, "some answers", async || load.answered() >= 100).await;
    // A change of the number is written at once, and with it what led to it.
    herd.ordered(["scale", "shop", "2"]).await;
    wait_until(PATIENCE, "a row with two", async || {
        rows(&herd).await.iter().any(|&(_, arrivals, desired)| desired == 2 && arrivals > 0.0)
    })
    .await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    let seen = rows(&herd).await;
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
    assert!(seen.iter().any(|&(_, arrivals, _)| (20.0..=100.0).contains(&arrivals)), "{seen:?}");

    let text = herd.ordered(["history", "shop", "--last", "1h"]).await;
    let file = dir.path().join("trace.csv");
    std::fs::write(&file, text).unwrap();
    let trace = format!("--trace={}", file.display());
    let table = herd
        .ordered(["simulate", "scale", &trace, "--policy=target,kpa", "--start-up=2s", "--seeds=1"])
        .await;
    assert!(table.contains("recorded") && table.contains("kpa"), "{table}");

    assert_eq!(std::fs::read_to_string(kept.join(".gitignore")).unwrap(), "*\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    herd.stop().await;
}

#[tokio::test]
async fn a_herder_that_was_killed_at_its_peak_begins_where_it_was() {
    let data = TempDir::new().unwrap();
    let mut herd = shop(data.path()).start();
    herd.wait_ready("shop", 1).await;
    let load = Load::get(herd.addr().await, "/").connections(4).rate_per_s(50).start();
    herd.ordered(["scale", "shop", "5"]).await;
    wait_until(PATIENCE, "the number on disk", async || {
        rows(&herd).await.iter().any(|&(_, _, desired)| desired == 5)
    })
    .await;
    load.stop().await;
    herd.signal(Signal::KILL);
    herd.exited().await;

    let herd = shop(data.path()).start();
    herd.wait_ready("shop", 5).await;
    let said = herd.ordered(["journal", "-n", "100"]).await;
    assert!(said.contains("shop: 5 desired (as before Herder ended, "), "{said}");
    herd.stop().await;
}

#[tokio::test]
async fn without_its_directory_herder_runs_and_says_what_is_missing() {
    let data = TempDir::new().unwrap();
    let first = shop(data.path()).start();
    first.wait_ready("shop", 1).await;
    let second = shop(data.path()).start();
    second.wait_ready("shop", 1).await;
    let warning = "no history is kept, and after a restart every service begins with `min`: ";
    let said = second.output().text();
    assert!(said.contains(warning) && said.contains("is in use by another Herder"), "{said}");
    let answer = second.command(["history", "shop"]).await;
    assert!(answer.stderr.contains("no history is kept"), "{answer:?}");
    assert!(answer.stderr.contains("[storage] history"), "{answer:?}");
    second.stop().await;
    first.stop().await;
}
