//! The commands that read: their JSON is the API's, their text says the same, and they end well.
//! How the text looks is tested with the command line.

use std::process::Stdio;

use serde_json::Value;
use testkit::{Herd, PATIENCE, json_schema::problems};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{HERDER, shop};

#[tokio::test]
async fn status_as_json_is_what_the_api_answers() {
    let herd = shop(2).await;
    let printed: Value = serde_json::from_str(&herd.ordered(["status", "--json"]).await).unwrap();
    let document = herd.admin("/v1/openapi.json").await.unwrap().json();
    let schema = &document["components"]["schemas"]["Status"];
    assert_eq!(problems(&document, schema, &printed), [""; 0]);
    let asked = herd.admin("/v1/status").await.unwrap().json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&printed), keys(&asked));
    let (service, instance) = (&printed["services"][0], &printed["services"][0]["instances"][1]);
    assert_eq!(keys(service), keys(&asked["services"][0]));
    assert_eq!(keys(instance), keys(&asked["services"][0]["instances"][1]));
    for (found, expected) in [
        (&printed["pid"], Value::from(herd.pid())),
        (&printed["stopping"], Value::from(false)),
        (&service["desired"], Value::from(2)),
        (&service["desired_reason"], Value::from("min")),
        (&service["balance"], Value::from("least-latency")),
        (&service["rollout"], Value::Null),
        (&service["backoff"], Value::Null),
        (&instance["id"], Value::from("shop.2")),
        (&instance["phase"], Value::from("ready")),
        (&instance["trouble"], Value::Null),
    ] {
        assert_eq!(*found, expected, "{printed:#}");
    }
    herd.stop().await;
}

#[tokio::test]
async fn the_journal_tells_everything_in_order() {
    let herd = shop(1).await;
    herd.ordered(["scale", "shop", "2"]).await;
    let page = herd.admin("/v1/journal").await.unwrap().json();
    let entries = page["entries"].as_array().unwrap();
    for (entry, expected) in entries.iter().zip(1_u64..) {
        assert_eq!(entry["seq"], expected, "{page:#}");
    }
    assert_eq!(page["next_after"], entries.len());
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    let expected =
        ["configured", "decision", "phase", "phase", "ordered", "decision", "phase", "phase"];
    assert_eq!(kinds, expected, "{page:#}");
    assert!(entries[5]["text"].as_str().unwrap().contains("scale shop 2"), "{page:#}");

    let after = herd.admin("/v1/journal?after=4").await.unwrap().json();
    assert_eq!(after["entries"].as_array().unwrap()[..], entries[4..]);
    let last = herd.admin("/v1/journal?last=3").await.unwrap().json();
    assert_eq!(last["entries"].as_array().unwrap()[..], entries[5..]);
    let none = herd.admin("/v1/journal?after=1000").await.unwrap().json();
    assert_eq!(
        (&none["entries"], &none["next_after"]),
        (&Value::from([0; 0].to_vec()), &Value::from(1000))
    );

    let printed = herd.ordered(["journal", "--json", "-n", "3"]).await;
    let lines: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[..], entries[5..]);
    let printed = herd.ordered(["journal", "-n", "3"]).await;
    assert_eq!(printed.lines().count(), 3, "{printed}");
    for (line, entry) in printed.lines().zip(&entries[5..]) {
        assert!(line.contains(entry["text"].as_str().unwrap()), "{line}: {entry}");
    }
    herd.stop().await;
}

#[tokio::test]
async fn the_journal_can_be_followed() {
    let herd = shop(1).await;
    let (_child, mut lines) = follow(&herd, &["journal", "--follow", "-n", "1"]);
    assert!(next(&mut lines).await.contains("shop.1 ready"));
    herd.ordered(["scale", "shop", "2"]).await;
    assert!(next(&mut lines).await.contains("ordered     shop      scale shop 2"));
    herd.stop().await;
}

#[tokio::test]
async fn the_status_can_be_watched() {
    let herd = shop(1).await;
    let (_child, mut lines) = follow(&herd, &["status", "--watch"]);
    for _ in 0..2 {
        while !next(&mut lines).await.starts_with("herder ") {}
    }
    herd.stop().await;
}

/// As in `herder journal | head -1`.
#[tokio::test]
async fn whoever_reads_may_go_away() {
    let herd = shop(1).await;
    let (mut child, lines) = follow(&herd, &["journal", "--follow"]);
    drop(lines);
    herd.ordered(["scale", "shop", "2"]).await;
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    herd.stop().await;
}

#[tokio::test]
async fn an_order_says_what_it_waits_for() {
    let herd = shop(1).await;
    let text = herd.ordered(["scale", "shop", "3"]).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"shop is to have 3 instances"), "{text}");
    assert_eq!(lines.last(), Some(&"shop: 3 of 3 instances ready"), "{text}");
    let text = herd.ordered(["restart", "shop", "--no-wait"]).await;
    assert_eq!(text, "all instances of shop are to be replaced\n");
    let late = herd.command(["restart", "shop", "--timeout", "0"]).await;
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("not done in time\nthe order stands"), "{late:?}");
    herd.wait_settled("shop", 3).await;
    let text = herd.ordered(["reload"]).await;
    assert!(text.ends_with("herder.toml was taken\n"), "{text}");
    herd.stop().await;
}

/// Starts a command that goes on until it is dropped.
fn follow(herd: &Herd, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(HERDER);
    command.args(arguments).arg("--socket").arg(herd.socket()).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    line.expect("no line in time").unwrap().expect("the command ended")
}
