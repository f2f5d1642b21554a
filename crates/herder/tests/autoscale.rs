//! The number of instances follows the load, up and down, to none and back; and Herder says why.
//! How good the policies are is shown by the simulation, not here.
#![allow(clippy::unwrap_used)]

use testkit::{Herd, Herder, Load, PATIENCE, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// A request takes this long, and an instance serves four at once: 40 a second.
const WORK: &str = "/work?ms=100";

/// A shop with one instance to `max`; `keys` are of its `scale`.
async fn shop(max: u32, keys: &str) -> Herd {
    let config = format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[service.shop]
run = ["{HERDER}", "__shop"]
health = "/healthz"
limits.in_flight_max = 4

[service.shop.scale]
min = 1
max = {max}
{keys}
"#
    );
    let herd = Herder::serve(HERDER, &config).start();
    herd.wait_ready("shop", 1).await;
    herd
}

const QUICK: &str = "target = { down_window = \"1s\", down_half_life = \"500ms\" }";

async fn desired(herd: &Herd) -> u64 {
    let services = herd.up().await["services"].take();
    services[0]["desired"].as_u64().unwrap()
}

/// A load that four instances carry, and then one that a single one does: the number goes up and
/// back, nothing is lost, and `signal` is why.
async fn follow(policy: &str, keys: &str, signal: &str) {
    let herd = shop(5, &format!("policy = \"{policy}\"\n{keys}")).await;
    let load = Load::get(herd.addr().await, WORK).connections(32).rate_per_s(110).start();
    wait_until(PATIENCE, "more instances", async || desired(&herd).await >= 4).await;
    let why = herd.ordered(["explain", "shop"]).await;
    assert!(why.contains(&format!("policy {policy}")) && why.contains(signal), "{why}");
    let metrics = herd.admin("/metrics").await.unwrap().text();
    let wanted = format!("herder_instances_wanted{{service=\"shop\",signal=\"{signal}\"}}");
    assert!(metrics.contains(&wanted), "{wanted}: {metrics}");
    let report = load.stop().await;
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    let slow = Load::get(herd.addr().await, WORK).connections(2).rate_per_s(10).start();
    herd.wait_settled("shop", 1).await;
    let why = herd.ordered(["explain", "shop"]).await;
    assert!(why.contains("ore as soon as") && why.contains("No fewer: min is 1."), "{why}");
    let report = slow.stop().await;
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    let said = herd.ordered(["journal", "-n", "500"]).await;
    let went_down =
        said.lines().any(|line| line.contains("shop: 1 desired, was ") && line.contains(" each: "));
    assert!(went_down, "{said}");
    herd.stop().await;
}

#[tokio::test]
async fn the_herd_follows_the_load_and_loses_nothing_on_the_way() {
    follow("target", QUICK, "arrivals").await;
}

#[tokio::test]
async fn the_herd_follows_the_ratio_of_a_metric_and_its_target() {
    let keys = "\
        hpa.metrics = { metric = \"concurrency\", target = 3 }\n\
        hpa.sync_period = \"1s\"\n\
        hpa.down.policies = { percent = 100, period = \"1s\" }\n\
        hpa.down.stabilization_window = \"2s\"";
    follow("hpa", keys, "concurrency").await;
}

#[tokio::test]
async fn the_herd_follows_the_mean_of_a_window_and_panics() {
    let keys = "kpa = { target = 4, stable_window = \"6s\", panic_window_percent = 20 }";
    follow("kpa", keys, "concurrency").await;
}

#[tokio::test]
async fn the_herd_follows_steps() {
    let keys = "\
        step = { metric = \"requests-per-s\", window = \"1s\", cooldown = \"1s\", steps = [\
            { from = 25, count = 2 }, { to = 20, count = -1 }] }";
    follow("step", keys, "requests").await;
}

#[tokio::test]
async fn the_calendar_is_a_floor_for_every_policy() {
    let always = "\
        schedule = { cron = \"* * * * *\", time_zone = \"Asia/Tokyo\", lasts = \"2m\", min = 3 }";
    for policy in ["target", "fixed"] {
        let herd = shop(5, &format!("policy = \"{policy}\"\n{always}")).await;
        herd.wait_settled("shop", 3).await;
        let why = herd.ordered(["explain", "shop"]).await;
        assert!(why.contains("calendar: at least 3 until "), "{why}");
        assert!(why.contains(" in Asia/Tokyo (* * * * *)"), "{why}");
        assert!(why.contains("at least 3 by the calendar"), "{why}");
        let metrics = herd.admin("/metrics").await.unwrap().text();
        assert!(metrics.contains("herder_scale_limited{service=\"shop\",by=\"calendar\"} 1"));
        // Without it, it is as it was.
        let config = std::fs::read_to_string(herd.dir().join("herder.toml")).unwrap();
        let quick = if policy == "target" { QUICK } else { "" };
        herd.rewrite(&config.replace(always, quick));
        herd.ordered(["reload"]).await;
        herd.wait_settled("shop", 1).await;
        herd.stop().await;
    }
}

#[tokio::test]
async fn a_forecast_says_that_it_is_not_trusted_yet() {
    let herd = shop(5, "forecast = true").await;
    wait_until(PATIENCE, "a forecast", async || {
        let why = herd.ordered(["explain", "shop"]).await;
        why.contains("forecast: not trusted: 0.0 days are known, 2 are the least")
    })
    .await;
    let status = herd.up().await["services"].take();
    assert_eq!(status[0]["scaling"]["forecast"]["trusted"], false, "{status}");
    herd.stop().await;
}

#[tokio::test]
async fn a_service_that_sleeps_is_woken_once_and_everybody_is_answered() {
    let herd = shop(1, "idle_after = \"1s\"").await;
    let addr = herd.addr().await;
    wait_until(PATIENCE, "asleep", async || herd.instances("shop").await.is_empty()).await;
    let load = Load::get(addr, "/").connections(200).rate_per_s(2000).start();
    wait_until(PATIENCE, "an answer for each", async || load.answered() >= 200).await;
    let report = load.stop().await;
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    let said = herd.ordered(["journal", "-n", "500"]).await;
    let starts = said.lines().filter(|line| line.contains(" starting: ")).count();
    assert_eq!(starts, 2, "the first one, and one for all of them: {said}");
    wait_until(PATIENCE, "asleep again", async || herd.instances("shop").await.is_empty()).await;
    herd.stop().await;
}

#[tokio::test]
async fn a_recommendation_is_shown_and_an_order_holds_until_auto() {
    let herd = shop(5, "mode = \"recommend\"").await;
    let load = Load::get(herd.addr().await, WORK).connections(32).rate_per_s(110).start();
    wait_until(PATIENCE, "a recommendation", async || {
        herd.ordered(["status"]).await.contains("the autoscaler recommends")
    })
    .await;
    assert_eq!(desired(&herd).await, 1);
    let config = std::fs::read_to_string(herd.dir().join("herder.toml")).unwrap();
    herd.rewrite(&config.replace("mode = \"recommend\"", QUICK));
    herd.ordered(["scale", "shop", "2", "--no-wait"]).await;
    herd.ordered(["reload"]).await;
    wait_until(PATIENCE, "what it would have", async || {
        let status = herd.ordered(["status"]).await;
        status.contains("2 desired: scale shop 2") && status.contains("an operator ordered")
    })
    .await;
    herd.ordered(["scale", "shop", "auto", "--no-wait"]).await;
    wait_until(PATIENCE, "more instances", async || desired(&herd).await >= 4).await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    herd.stop().await;
}

#[tokio::test]
async fn an_instance_is_explained_too() {
    let herd = shop(5, "policy = \"fixed\"").await;
    let why = herd.ordered(["explain", "shop.1"]).await;
    assert!(why.contains("shop.1: ready for") && why.contains("requests are sent to it"), "{why}");
    assert!(why.contains("lately") && why.contains("shop.1 ready: passed 2 probes"), "{why}");
    let why = herd.ordered(["explain", "shop"]).await;
    assert!(why.contains("follows nothing"), "{why}");
    let json = herd.ordered(["explain", "shop.1", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["instance"]["phase"], "ready");
    let answer = herd.command(["explain", "shop.7"]).await;
    assert!(answer.stderr.contains("there is no instance `shop.7`"), "{answer:?}");
    herd.stop().await;
}
