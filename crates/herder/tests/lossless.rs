//! The main proof: under a steady load, whatever happens to instances, no request is lost.
//! Its service is the sample shop; it judges by what clients got and by what is left in `/proc`.
//!
//! `cargo test -p herder --test lossless -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use rustix::process::Signal;
use testkit::{Herd, Herder, Load, LoadReport, PATIENCE, proc, wait_for, wait_until};
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// The GETs that have to be answered each second.
const RATE_MIN: u32 = 2_000;
/// What is offered on top of them, so that a hiccup of the machine is no failure.
const RATE_SPARE: u32 = 200;
/// How long they go on, one thing after the other.
const LOAD: Duration = Duration::from_secs(30);
/// Kills in that time, one a second, when the rest of it is done.
const KILLS_MIN: u32 = 10;
/// Reloads in a row.
const RELOADS: u32 = 10;

/// One load at a time: each wants a good part of the machine.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// GETs, through all that can happen to a herd, one after the other.
#[tokio::test]
async fn no_get_is_lost_to_a_restart_scaling_reloads_and_kills() {
    let _machine = MACHINE.lock().await;
    let herd = Herder::serve(HERDER, &config(0)).start();
    herd.wait_settled("shop", 2).await;
    let (load, begun) = (start_gets(&herd).await, Instant::now());
    herd.ordered(["restart", "shop"]).await;
    for count in ["8", "2"] {
        herd.ordered(["scale", "shop", count]).await;
    }
    reload_ten_times(&herd).await;
    herd.ordered(["scale", "shop", "4"]).await;
    let mut kills = 0;
    let mut second = every_second();
    while begun.elapsed() < LOAD {
        second.tick().await;
        kill_one(&herd).await;
        kills += 1;
    }
    herd.wait_settled("shop", 4).await;
    let report = load.stop().await;
    let retries = retries(&herd).await;
    println!("one after the other: a restart, 2 to 8 to 2, {RELOADS} reloads, {kills} kills");
    println!("{retries} requests sent again to another instance");
    assert!(retries > 0, "no kill hit a request: the test proves nothing");
    assert!(kills >= KILLS_MIN, "only {kills} kills: is the machine busy?");
    judge_gets(&report);
    end_without_trace(herd).await;
}

/// GETs, while an instance is killed every second through all of the rest.
#[tokio::test]
async fn no_get_is_lost_when_it_all_happens_at_once() {
    let _machine = MACHINE.lock().await;
    let herd = Herder::serve(HERDER, &config(0)).start();
    herd.wait_settled("shop", 2).await;
    herd.ordered(["scale", "shop", "6"]).await;
    let load = start_gets(&herd).await;
    let mut kills = 0;
    let killing = async {
        let mut second = every_second();
        loop {
            second.tick().await;
            kill_one(&herd).await;
            kills += 1;
        }
    };
    let ordering = async {
        herd.ordered(["restart", "shop"]).await;
        herd.ordered(["scale", "shop", "8"]).await;
        reload_ten_times(&herd).await;
        herd.ordered(["scale", "shop", "4"]).await;
    };
    tokio::select! {
        () = killing => unreachable!("it goes on until the orders are carried out"),
        () = ordering => {}
    }
    herd.wait_settled("shop", 4).await;
    let report = load.stop().await;
    println!("at once: {kills} kills, a restart, 6 to 8 to 4, {RELOADS} reloads");
    judge_gets(&report);
    end_without_trace(herd).await;
}

/// POSTs, which are never repeated: whatever Herder does itself loses none. Kills are left out,
/// for nobody can know what a killed instance has done with a POST.
#[tokio::test]
async fn no_post_is_lost_to_a_restart_scaling_drains_and_reloads() {
    let _machine = MACHINE.lock().await;
    let herd = Herder::serve(HERDER, &config(0)).start();
    herd.wait_settled("shop", 2).await;
    let load = Load::echo(herd.addr().await, "/echo?ms=5", 2_000).rate_per_s(1_000).start();
    herd.ordered(["restart", "shop"]).await;
    for count in ["8", "2"] {
        herd.ordered(["scale", "shop", count]).await;
    }
    let first = herd.instances("shop").await[0].id.clone();
    herd.ordered(["drain", &first]).await;
    reload_ten_times(&herd).await;
    let report = load.stop().await;
    println!("POSTs: a restart, 2 to 8 to 2, a drain, {RELOADS} reloads\n{report}");
    assert_eq!((report.failed(), report.stopping), (0, 0), "{report}");
    assert_eq!(report.ok, report.sent, "{report}");
    end_without_trace(herd).await;
}

/// The file: each edition has another algorithm and environment, every other one a listener more.
fn config(edition: u32) -> String {
    let balance = ["round-robin", "least-request", "random"][edition as usize % 3];
    let extra = if edition % 2 == 1 { "[listener.extra]\nbind = \"127.0.0.1:0\"\n" } else { "" };
    format!(
        r#"
        [listener.web]
        bind = "127.0.0.1:0"
        {extra}
        [service.shop]
        run = ["{HERDER}", "__shop"]
        health = "/healthz"
        balance = "{balance}"
        env = {{ EDITION = "{edition}" }}

        [service.shop.scale]
        min = 2
        max = 8
        "#
    )
}

/// Requests that take so long that every kill finds some in flight.
async fn start_gets(herd: &Herd) -> testkit::Running {
    Load::get(herd.addr().await, "/work?ms=5").rate_per_s(RATE_MIN + RATE_SPARE).start()
}

fn every_second() -> Interval {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second
}

/// SIGKILL to the ready instance that is there for longest.
async fn kill_one(herd: &Herd) {
    let instances = herd.instances("shop").await;
    let victim = instances.iter().find(|instance| instance.phase == "ready");
    let victim = victim.unwrap_or_else(|| panic!("none is ready: {instances:#?}"));
    proc::kill(victim.pid.unwrap());
    wait_until(PATIENCE, "the killed instance to be gone", async || {
        herd.instances("shop").await.iter().all(|instance| instance.id != victim.id)
    })
    .await;
}

/// Reloads without waiting for what follows, but for the last, whose edition has to come about.
async fn reload_ten_times(herd: &Herd) {
    let mut moment = interval(Duration::from_millis(400));
    moment.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for edition in 1..=RELOADS {
        moment.tick().await;
        herd.rewrite(&config(edition));
        herd.ordered(["reload"]).await;
    }
    let last = Some(RELOADS.to_string());
    wait_until(Duration::from_secs(60), "the last edition everywhere", async || {
        let instances = herd.instances("shop").await;
        let ready = instances.iter().filter(|instance| instance.phase == "ready");
        let mut editions = ready.map(|instance| proc::env(instance.pid?, "EDITION"));
        editions.all(|edition| edition == last)
    })
    .await;
}

/// Requests that were sent again to another instance.
async fn retries(herd: &Herd) -> u64 {
    let metrics = herd.admin("/metrics").await.unwrap().text();
    let lines = metrics.lines().filter(|line| line.starts_with("herder_retries_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

fn judge_gets(report: &LoadReport) {
    println!("{report}");
    assert_eq!((report.failed(), report.stopping), (0, 0), "{report}");
    assert_eq!(report.ok, report.sent, "{report}");
    let due = u64::from(RATE_MIN) * report.elapsed.as_secs();
    assert!(report.ok >= due, "fewer than {RATE_MIN} a second: is the machine busy?\n{report}");
}

/// Ends the herd: no zombie before, and nothing that ever belonged to it after.
async fn end_without_trace(mut herd: Herd) {
    let run = wait_for(PATIENCE, "the mark of an instance", async || {
        herd.processes().iter().find_map(|process| proc::env(process.pid, "HERDER_RUN"))
    })
    .await;
    wait_until(Duration::from_secs(5), "no zombies", async || proc::zombies(herd.pid()).is_empty())
        .await;
    herd.signal(Signal::TERM);
    assert_eq!(herd.exited().await.code(), Some(0));
    assert_eq!(proc::with_env("HERDER_RUN", Some(&run)), []);
    herd.assert_clean();
}
