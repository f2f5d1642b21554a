//! Slow uploads, streams and switched protocols, while their instances are replaced and killed.
//! What nobody can save when an instance is killed is counted, and has to look like what it is.
//!
//! `cargo test -p herder --test mix -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used)]

#[path = "mix/clients.rs"]
mod clients;

use std::time::Duration;

use clients::Crowd;
use testkit::places::root;
use testkit::{Herd, Herder, Load, PATIENCE, RawClient, Vanished, proc, wait_for, wait_until};
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};

/// How long an instance may take to finish what it has.
const DRAIN: Duration = Duration::from_secs(4);
/// How much later than at the end of a drain a connection may be cut, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);
/// Kills, one a second.
const KILLS: u32 = 6;
/// Reloads in a row.
const RELOADS: u32 = 5;

/// One test at a time: each wants a good part of the machine.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// Whatever Herder does itself loses nothing, POSTs included.
#[tokio::test]
async fn nothing_is_lost_to_a_restart_scaling_drains_and_reloads() {
    let _machine = MACHINE.lock().await;
    let herd = start(2).await;
    let addr = herd.addr().await;
    let load = Load::get(addr, "/healthz").connections(16).rate_per_s(200).start();
    let crowd = Crowd::start(addr);
    wait_until(PATIENCE, "some of each kind", async || crowd.has_all()).await;
    herd.ordered(["restart", "mix"]).await;
    for count in ["6", "2"] {
        herd.ordered(["scale", "mix", count]).await;
    }
    let first = herd.instances("mix").await[0].id.clone();
    herd.ordered(["drain", &first]).await;
    for edition in 1..=RELOADS {
        herd.rewrite(&config(2, edition));
        herd.ordered(["reload"]).await;
    }
    herd.wait_settled("mix", 2).await;
    let (report, tally) = (load.stop().await, crowd.stop().await);
    println!("a restart, 2 to 6 to 2, a drain, {RELOADS} reloads: {tally}\nGETs: {report}");
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    assert_eq!((tally.lost(), tally.unsaved()), (0, 0), "{tally}");
    herd.stop().await;
}

/// A kill loses no GET. What was in flight on the killed instance and is no GET, or has begun to be
/// answered, cannot be saved by anybody: the upload is answered with 502, the stream ends without
/// its end. Nothing else fails, and no more than was in flight.
#[tokio::test]
async fn a_kill_loses_no_get_and_of_others_what_was_in_flight_there() {
    let _machine = MACHINE.lock().await;
    let herd = start(3).await;
    let addr = herd.addr().await;
    let load = Load::get(addr, "/healthz").connections(16).rate_per_s(200).start();
    let crowd = Crowd::start(addr);
    wait_until(PATIENCE, "some of each kind", async || crowd.has_all()).await;
    let mut second = interval(Duration::from_secs(1));
    let mut in_flight = 0;
    for _ in 0..KILLS {
        second.tick().await;
        herd.wait_ready("mix", 3).await;
        let victim = herd.instances("mix").await.into_iter().max_by_key(|it| it.in_flight).unwrap();
        in_flight += victim.in_flight;
        proc::kill(victim.pid.unwrap());
        wait_until(PATIENCE, "the killed instance to be gone", async || {
            herd.instances("mix").await.iter().all(|instance| instance.id != victim.id)
        })
        .await;
    }
    let (report, tally) = (load.stop().await, crowd.stop().await);
    println!("{KILLS} kills, {in_flight} requests and tunnels in flight: {tally}\nGETs: {report}");
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    assert_eq!(tally.lost(), 0, "{tally}");
    assert!(tally.unsaved() > 0, "no kill hit anything: the test proves nothing");
    // What came and went between the look and the kill is in neither number: hence some more.
    let unsaved_max = in_flight + u64::from(KILLS) * 4;
    assert!(tally.unsaved() <= unsaved_max, "{in_flight} were in flight: {tally}");
    herd.stop().await;
}

/// A tunnel on a draining instance goes on both ways until the drain is over, one that ends its own
/// side hears the other's last words, and those on other instances are not touched.
#[tokio::test]
async fn tunnels_last_until_the_drain_is_over_and_through_reloads() {
    let _machine = MACHINE.lock().await;
    let herd = start(2).await;
    let addr = herd.addr().await;
    let (mut staying, stays) = clients::switch(addr).await;
    let (mut draining, drains) = other(&herd, &stays).await;
    let (mut ending, _) = other(&herd, &stays).await;
    for edition in 1..=RELOADS {
        herd.rewrite(&config(2, edition));
        herd.ordered(["reload"]).await;
    }
    for tunnel in [&mut staying, &mut draining, &mut ending] {
        assert!(clients::echoes(tunnel).await, "a reload has cut a tunnel");
    }
    let ordering = herd.ordered(["drain", &drains]);
    let echoing = async {
        wait_for(PATIENCE, "the drain", async || {
            let phase = phase(&herd, &drains).await;
            (phase == "draining").then_some(())
        })
        .await;
        let begun = Instant::now();
        ending.finish().await.unwrap();
        assert_eq!(ending.bytes(8).await.unwrap(), b"good-bye");
        assert_eq!(ending.vanished().await.unwrap(), Vanished::Closed);
        let mut echoes = 0;
        while clients::echoes(&mut draining).await {
            echoes += 1;
        }
        (begun.elapsed(), echoes)
    };
    let (_, (lasted, echoes)) = tokio::join!(ordering, echoing);
    println!("a drain of {DRAIN:?}: the tunnel lasted {lasted:?}, {echoes} echoes");
    let early = Duration::from_millis(500);
    assert!(lasted + early >= DRAIN && lasted <= DRAIN + SLACK, "{lasted:?}");
    assert!(clients::echoes(&mut staying).await, "a drain elsewhere has cut a tunnel");
    assert_eq!(phase(&herd, &stays).await, "ready");
    drop(staying);
    herd.stop().await;
}

async fn start(count: u32) -> Herd {
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config(count, 0)).start();
    herd.wait_settled("mix", count.into()).await;
    herd
}

/// The file: each edition has another algorithm, every other one a listener more. None of it
/// replaces an instance.
fn config(min: u32, edition: u32) -> String {
    let balance = ["round-robin", "least-request", "random"][edition as usize % 3];
    let extra = if edition % 2 == 1 { "[listener.extra]\nbind = \"127.0.0.1:0\"\n" } else { "" };
    let server = root().join("crates/herder/tests/mix/server.js");
    format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"
{extra}
[service.mix]
run = ["node", {server:?}]
health = "/healthz"
balance = "{balance}"
drain = "{}ms"

[service.mix.scale]
min = {min}
max = 8
"#,
        DRAIN.as_millis()
    )
}

/// A tunnel to another instance than `not`.
async fn other(herd: &Herd, not: &str) -> (RawClient, String) {
    let addr = herd.addr().await;
    wait_for(PATIENCE, "a tunnel to another instance", async || {
        let (client, instance) = clients::switch(addr).await;
        (instance != not).then_some((client, instance))
    })
    .await
}

async fn phase(herd: &Herd, id: &str) -> String {
    let instances = herd.instances("mix").await;
    instances.into_iter().find(|it| it.id == id).map(|it| it.phase).unwrap_or_default()
}
