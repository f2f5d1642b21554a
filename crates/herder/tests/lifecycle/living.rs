//! How instances come and go while Herder runs, and what requests get meanwhile.
//! How Herder itself ends is in `ending`.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::time::Instant;

use testkit::{Herd, Herder, PATIENCE, RawClient, proc, wait_until};

use crate::{AT_ONCE, HERDER, MOODY, journal, served, shop};

#[tokio::test]
async fn a_request_waits_for_the_replacement_of_the_only_instance() {
    let herd = shop(1).start();
    herd.wait_ready("shop", 1).await;
    let mut in_flight = RawClient::connect(herd.addr().await).await;
    in_flight.send("GET /work?ms=300 HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let only = herd.wait_in_flight("shop").await;
    proc::kill(only.pid.unwrap());
    wait_until(PATIENCE, "nobody to be ready", async || {
        herd.up().await["services"][0]["ready"] == 0
    })
    .await;
    let mut late = RawClient::connect(herd.addr().await).await;
    for response in [late.get("/").await.unwrap(), in_flight.response().await.unwrap()] {
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(response.fields.get("x-instance"), Some("shop.2"), "{response}");
    }
    herd.stop().await;
}

#[tokio::test]
async fn a_drained_instance_finishes_what_it_has() {
    let herd = shop(2).start();
    herd.wait_ready("shop", 2).await;
    let mut client = RawClient::connect(herd.addr().await).await;
    client.send("GET /work?ms=2000 HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let drained = herd.wait_in_flight("shop").await;
    herd.ordered(["drain", &drained.id, "--no-wait"]).await;
    wait_until(PATIENCE, "it to drain", async || {
        herd.instances("shop").await.iter().any(|it| it.id == drained.id && it.phase == "draining")
    })
    .await;
    let others = answering(&herd, 20).await;
    assert!(!others.contains(&drained.id), "{others:?}");
    let response = client.response().await.unwrap();
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(response.fields.get("x-instance"), Some(drained.id.as_str()), "{response}");
    assert_eq!(response.fields.get("x-stopping"), None, "{response}");
    journal(&herd, &format!("{} gone: exit code 0, ", drained.id)).await;
    herd.wait_settled("shop", 2).await;
    herd.stop().await;
}

/// Beyond the time to drain, nobody waits for a request.
#[tokio::test]
async fn a_drain_has_an_end() {
    let keys = "health = \"/healthz\"\ndrain = { timeout = \"300ms\", grace = \"200ms\" }";
    let herd = served(&format!("[\"{HERDER}\", \"__shop\"]"), keys).start();
    herd.wait_ready("shop", 1).await;
    let mut client = RawClient::connect(herd.addr().await).await;
    client.send("GET /work?ms=60000 HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let drained = herd.wait_in_flight("shop").await;
    let told = Instant::now();
    herd.ordered(["drain", &drained.id]).await;
    assert!(told.elapsed() < 2 * AT_ONCE, "{:?}", told.elapsed());
    let text = journal(&herd, &format!("{} gone: ", drained.id)).await;
    assert!(text.contains(" gone: signal 9, "), "{text}");
    // The request began anew at the next instance; with its client gone, nobody waits for it.
    herd.wait_in_flight("shop").await;
    drop(client);
    herd.stop().await;
}

#[tokio::test]
async fn a_new_instance_gets_nothing_before_it_is_ready() {
    let herd = moody().start();
    herd.wait_ready("shop", 1).await;
    let sick = herd.dir().join("shop.2.sick");
    fs::write(&sick, "").unwrap();
    herd.ordered(["scale", "shop", "2", "--no-wait"]).await;
    wait_until(PATIENCE, "the second instance to be probed", async || {
        let status = herd.up().await;
        status["services"][0]["instances"][1]["trouble"] == "GET /healthz answered 500"
    })
    .await;
    assert_eq!(answering(&herd, 50).await, BTreeSet::from(["shop.1".to_owned()]));
    fs::remove_file(sick).unwrap();
    herd.wait_settled("shop", 2).await;
    assert_eq!(answering(&herd, 50).await.len(), 2);

    // The same for one that was ready once.
    let sick = herd.dir().join("shop.1.sick");
    fs::write(&sick, "").unwrap();
    let text = journal(&herd, "shop.1 unready").await;
    assert!(text.ends_with("failed 3 probes, the last: GET /healthz answered 500"), "{text}");
    assert_eq!(answering(&herd, 50).await, BTreeSet::from(["shop.2".to_owned()]));
    fs::remove_file(sick).unwrap();
    journal(&herd, "shop.1 ready: passed 2 probes again").await;
    assert_eq!(answering(&herd, 50).await.len(), 2);
    herd.stop().await;
}

#[tokio::test]
async fn an_instance_that_is_not_ready_by_its_deadline_is_given_up() {
    let keys = "health = { path = \"/fail\", timeout_boot = \"1s\", interval_fast = \"50ms\" }\n\
                restart = { backoff_min = \"10ms\", backoff_max = \"10ms\" }";
    let herd = served(&format!("[\"{HERDER}\", \"__shop\"]"), keys).start();
    let text = journal(&herd, "shop.1 draining: ").await;
    let expected = "not ready within 1 s; its last failed probe: GET /fail answered 500";
    assert!(text.ends_with(expected), "{text}");
    journal(&herd, "shop.1 gone: exit code 0, ").await;
    journal(&herd, "shop.2 starting").await;
    herd.stop().await;
}

/// Ports outside of those that the system gives to clients, which would be in the way.
#[tokio::test]
async fn ports_that_somebody_has_are_passed_over() {
    let first = 30_000 + u16::try_from(std::process::id() % 200).unwrap() * 10;
    let taken: Vec<_> =
        (first..first + 5).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).collect();
    let ports = format!("{first}-{}", first + 9);
    let herd = shop(3).flags(["--max", "3", "--ports", &ports]).start();
    herd.wait_settled("shop", 3).await;
    for instance in herd.instances("shop").await {
        let port = instance.addr.unwrap().port();
        assert!((first + 5..first + 10).contains(&port), "{instance:?}");
    }
    drop(taken);
    herd.stop().await;
}

#[tokio::test]
async fn instances_know_who_they_are_and_their_lines_say_so() {
    let script = "echo \"$HERDER_SERVICE $HERDER_INSTANCE $PORT {port} $COLOUR\"; \
                  echo oops >&2; exec \"$0\" __shop";
    let herd = Herder::run(HERDER)
        .flags(["--name", "shop", "--env", "COLOUR=red"])
        .command(["sh", "-c", script, HERDER])
        .start();
    herd.wait_settled("shop", 2).await;
    for instance in herd.instances("shop").await {
        let (id, port) = (&instance.id, instance.addr.unwrap().port());
        herd.output().line(&format!("{id} | shop {id} {port} {port} red")).await;
        herd.output().line(&format!("{id} | oops")).await;
        let group = rustix::process::Pid::from_raw(instance.pid.unwrap().try_into().unwrap());
        assert_eq!(rustix::process::getpgid(group).ok(), group, "not in a group of its own");
    }
    herd.stop().await;
}

fn moody() -> Herder {
    let keys = "balance = \"round-robin\"\n\
                health = { path = \"/healthz\", interval = \"100ms\", interval_fast = \"50ms\" }";
    served(&format!("[\"python3\", \"-c\", {MOODY:?}]"), keys)
}

/// Who answers so many requests.
async fn answering(herd: &Herd, count: u32) -> BTreeSet<String> {
    let mut client = RawClient::connect(herd.addr().await).await;
    let mut answered = BTreeSet::new();
    for _ in 0..count {
        let response = client.get("/").await.unwrap();
        assert_eq!(response.status, 200, "{response}");
        answered.insert(response.fields.get("x-instance").unwrap().to_owned());
    }
    answered
}
