//! How Herder ends: in order, at once, or killed; and that nothing it started outlives it.
//! How single instances come and go while it runs is in `living`.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{PATIENCE, RawClient, proc, wait_until};

use crate::{AT_ONCE, HERDER, served, shop};

/// A shop that leaves a child in its group, one in a session of its own whose parent ended, and one
/// that also threw its environment away; each is a `sleep` of its own length.
const HIDING: &str = "\
    sleep 1001 & (setsid sleep 1002 & true); \
    (env -i setsid sh -c 'sleep 1003 & true'); \
    exec \"$0\" __shop";

const SLOW: &str = "GET /work?ms=1500 HTTP/1.1\r\nHost: test\r\n\r\n";

#[tokio::test]
async fn sigterm_finishes_a_slow_request() {
    drains(|pid| proc::signal(pid, Signal::TERM)).await;
}

#[tokio::test]
async fn ctrl_c_finishes_a_slow_request() {
    drains(|pid| proc::signal(pid, Signal::INT)).await;
}

async fn drains(tell: impl Fn(u32)) {
    let mut herd = shop(1).start();
    herd.wait_ready("shop", 1).await;
    let addr = herd.addr().await;
    let mut idle = RawClient::connect(addr).await;
    assert_eq!(idle.get("/").await.unwrap().status, 200);
    let mut client = RawClient::connect(addr).await;
    client.send(SLOW).await.unwrap();
    herd.wait_in_flight("shop").await;
    tell(herd.pid());
    idle.vanished().await.unwrap();
    wait_until(AT_ONCE, "nobody to accept new connections", async || {
        tokio::net::TcpStream::connect(addr).await.is_err()
    })
    .await;
    let response = client.response().await.unwrap();
    assert_eq!((response.status, response.fields.get("x-stopping")), (200, None), "{response}");
    assert_eq!(response.fields.get("connection"), Some("close"), "{response}");
    client.vanished().await.unwrap();
    assert_eq!(herd.exited().await.code(), Some(0));
    herd.assert_clean();
}

#[tokio::test]
async fn a_second_ctrl_c_ends_it_at_once() {
    let mut herd = shop(2).start();
    herd.wait_ready("shop", 2).await;
    let mut client = RawClient::connect(herd.addr().await).await;
    client.send("GET /work?ms=60000 HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    herd.wait_in_flight("shop").await;
    herd.signal(Signal::INT);
    herd.output().line("a second Ctrl-C or SIGTERM kills everything at once").await;
    let told = Instant::now();
    herd.signal(Signal::INT);
    assert_eq!(herd.exited().await.code(), Some(130));
    assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
    // It says so to whoever still listens, if there is time for that.
    if let Ok(answer) = client.response().await {
        assert_eq!((answer.status, answer.fields.get("herder-error")), (503, Some("stopped")));
    }
    herd.output().line("requests in flight were lost").await;
    herd.assert_clean();
}

#[tokio::test]
async fn herder_stop_says_when_all_is_over() {
    let mut herd = shop(2).start();
    herd.wait_ready("shop", 2).await;
    let text = herd.ordered(["stop"]).await;
    assert!(text.ends_with("Herder has ended\n"), "{text}");
    assert_eq!(herd.exited().await.code(), Some(0));
    herd.assert_clean();
}

#[tokio::test]
async fn an_end_in_order_takes_along_what_hides() {
    let mut herd = served(&format!("[\"sh\", \"-c\", {HIDING:?}, \"{HERDER}\"]"), "").start();
    herd.wait_settled("shop", 1).await;
    let hidden = hidden(&herd).await;
    herd.signal(Signal::TERM);
    assert_eq!(herd.exited().await.code(), Some(0));
    assert_eq!(hidden.map(proc::runs), [false; 3]);
    herd.assert_clean();
}

/// The one that has neither parent, group, session nor environment of the herd is out of reach:
/// only a cgroup would find it.
#[tokio::test]
async fn a_sigkill_of_herder_takes_along_instances_and_all_that_they_started() {
    let mut herd = served(&format!("[\"sh\", \"-c\", {HIDING:?}, \"{HERDER}\"]"), "").start();
    herd.wait_settled("shop", 1).await;
    let [in_group, in_session, naked] = hidden(&herd).await;
    assert!(herd.processes().len() >= 4, "{:#?}", herd.processes());
    herd.signal(Signal::KILL);
    herd.exited().await;
    wait_until(AT_ONCE, "the end of all that it started", async || herd.processes().is_empty())
        .await;
    assert_eq!([in_group, in_session].map(proc::runs), [false; 2]);
    proc::kill(naked);

    // What is left are files, and they are in nobody's way.
    let next = shop(1).socket(herd.socket()).start();
    next.output().line("shop: 1 of 1 instances ready").await;
    next.signal(Signal::TERM);
    let mut next = next;
    assert_eq!(next.exited().await.code(), Some(0));
    herd.assert_clean();
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_after_its_grace() {
    let deaf = "[\"sh\", \"-c\", \"trap '' TERM; sleep 1004 & exec python3 -m http.server \
                --bind 127.0.0.1 $PORT\"]";
    let mut herd = served(deaf, "drain = { grace = \"700ms\" }").start();
    herd.wait_settled("shop", 1).await;
    let pid = herd.instances("shop").await[0].pid.unwrap();
    let told = Instant::now();
    herd.signal(Signal::TERM);
    assert_eq!(herd.exited().await.code(), Some(0));
    assert!(told.elapsed() >= Duration::from_millis(700), "{:?}", told.elapsed());
    assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
    herd.output().line("shop.1 gone: signal 9, ").await;
    assert!(!proc::runs(pid));
    herd.assert_clean();
}

/// The processes of [`HIDING`], in its order, once all have settled where they hide.
async fn hidden(herd: &testkit::Herd) -> [u32; 3] {
    let family = || proc::descendants(herd.pid());
    let sleeper = |seconds: u32| {
        let command = format!("sleep {seconds}");
        family().into_iter().find(|process| process.command == command)
    };
    wait_until(PATIENCE, "all that an instance started", async || {
        [1001, 1002, 1003].iter().all(|&seconds| sleeper(seconds).is_some())
    })
    .await;
    let naked = sleeper(1003).unwrap().pid;
    assert_eq!(proc::env(naked, "HERDER_RUN"), None);
    assert!(Path::new(&format!("/proc/{naked}")).exists());
    [sleeper(1001).unwrap().pid, sleeper(1002).unwrap().pid, naked]
}
