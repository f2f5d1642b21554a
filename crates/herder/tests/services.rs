//! Real services, whose servers others wrote, through `herder run`: Python's own, gunicorn, Node.
//! What each of them has to show is the same list; how Herder does it is not looked at.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use testkit::places::{example, venv};
use testkit::{Herd, Herder, PATIENCE, RawClient, proc, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

#[tokio::test]
async fn python_with_its_own_server() {
    check("plain", &["python3".into(), example("python/plain.py")]).await;
}

#[tokio::test]
async fn flask_under_gunicorn() {
    let (settings, app) = (example("python/gunicorn.conf.py"), example("python/app.py"));
    let folder = app.parent().unwrap().to_owned();
    let command = [venv("gunicorn"), "-c".into(), settings, "--chdir".into(), folder];
    check("flask", &[command.as_slice(), &["app:app".into()]].concat()).await;
}

#[tokio::test]
async fn node_with_its_own_server() {
    check("node", &["node".into(), example("node/server.js")]).await;
}

/// A service from its first instance to its last: in turn, replaced after a kill, scaled,
/// restarted, and ended with a request in flight.
async fn check(name: &str, command: &[PathBuf]) {
    let flags = ["--name", name, "--min", "3", "--health", "/healthz", "--balance", "round-robin"];
    let herd = Herder::run(HERDER).flags(flags).command(command).start();
    herd.wait_settled(name, 3).await;
    herd.output().line(&format!("{name}: 3 of 3 instances ready")).await;
    let probed = RawClient::connect(herd.addr().await).await.get("/healthz").await.unwrap();
    assert!(probed.text().starts_with("ok "), "{probed}");
    takes_turns(&herd, name).await;

    let victim = herd.instances(name).await[1].clone();
    proc::kill(victim.pid.unwrap());
    wait_until(PATIENCE, "the killed instance to be replaced", async || {
        let instances = herd.instances(name).await;
        let ready = instances.iter().filter(|instance| instance.phase == "ready").count();
        ready == 3 && instances.iter().all(|instance| instance.id != victim.id)
    })
    .await;
    takes_turns(&herd, name).await;

    herd.ordered(["scale", name, "4"]).await;
    let before = herd.instances(name).await;
    assert_eq!(before.len(), 4);
    herd.ordered(["restart", name]).await;
    let after = herd.instances(name).await;
    assert_eq!(after.len(), 4);
    assert!(after.iter().all(|new| before.iter().all(|old| old.id != new.id)), "{after:#?}");
    takes_turns(&herd, name).await;
    end_with_a_request_in_flight(herd, name).await;
}

/// Each instance answers once, in an order that comes again and again.
async fn takes_turns(herd: &Herd, name: &str) {
    let instances = herd.instances(name).await;
    let mut client = RawClient::connect(herd.addr().await).await;
    let mut answered = Vec::new();
    for _ in 0..3 * instances.len() {
        let response = client.get("/").await.unwrap();
        assert_eq!(response.status, 200, "{response}");
        let instance = response.fields.get("x-instance").unwrap().to_owned();
        assert!(response.text().contains(&instance), "{response}");
        answered.push(instance);
    }
    let (first, rest) = answered.split_at(instances.len());
    assert!(rest.chunks(first.len()).all(|turn| turn == first), "{answered:?}");
    let mut first = first.to_vec();
    first.sort();
    let mut expected: Vec<_> = instances.into_iter().map(|instance| instance.id).collect();
    expected.sort();
    assert_eq!(first, expected);
}

/// SIGTERM to Herder: the request is answered, then the instances are told, and end by themselves.
async fn end_with_a_request_in_flight(mut herd: Herd, name: &str) {
    let mut client = RawClient::connect(herd.addr().await).await;
    client.send("GET /work?ms=1000 HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    herd.wait_in_flight(name).await;
    let count = herd.instances(name).await.len();
    herd.signal(Signal::TERM);
    let response = client.patience(Duration::from_secs(10)).response().await.unwrap();
    assert_eq!(response.status, 200, "{response}");
    assert!(response.text().contains("worked for 1000 ms"), "{response}");
    assert_eq!(herd.exited().await.code(), Some(0));
    let lines = herd.output().lines();
    let ended = |line: &&String| line.contains(" gone: exit code 0, ") && line.contains("SIGTERM");
    let shutdown = lines.iter().skip_while(|line| !line.contains("draining; a second"));
    assert_eq!(shutdown.filter(ended).count(), count, "{lines:#?}");
    herd.assert_clean();
}
