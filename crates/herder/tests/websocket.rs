//! WebSocket conformance: the Autobahn test suite through Herder and straight to the same server.
//! It does not judge the server: what counts is that Herder between the two changes no verdict.
//!
//! `HERDER_AUTOBAHN=all` runs all of its more than 500 cases, which takes some minutes;
//! `cargo test -p herder --test websocket -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::places::{root, venv};
use testkit::{Herd, Herder};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// Which cases to run; those of [`SOME`] without it.
const CASES: &str = "HERDER_AUTOBAHN";
/// Set where there is no Python 2.7, which the suite needs; `scripts/test` reads it too.
const WITHOUT: &str = "HERDER_WITHOUT_AUTOBAHN";
/// Everything about the protocol, and of the long cases about large messages and compression those
/// that differ in kind and not in the number of their messages.
const SOME: &[&str] = &[
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "9.1.3", "9.2.3", "9.3.5", "9.4.5",
    "9.5.3", "9.6.3", "9.7.2", "9.8.2", "12.1.1", "12.1.10", "12.2.5", "13.1.5", "13.3.5",
    "13.5.5", "13.7.10",
];
/// Fewer cases than this is a suite that was not run.
const SOME_MIN: usize = 250;
const ALL_MIN: usize = 500;
/// How often a case is run again whose verdicts differ. Some hang on what the server has read when
/// it finds a fault, and straight to it they come out one way or the other, too.
const AGAIN_MAX: usize = 4;
/// How long one run may take.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// What the suite said about a case: of the messages, of the closing, and the code of the closing.
type Verdict = (String, String, Value);

#[tokio::test]
async fn every_case_has_the_same_verdict_through_herder_as_straight() {
    if std::env::var_os(WITHOUT).is_some() {
        println!("left out: {WITHOUT} is set");
        return;
    }
    let is_all = std::env::var(CASES).is_ok_and(|cases| cases == "all");
    let (cases, count_min) = if is_all { (&["*"][..], ALL_MIN) } else { (SOME, SOME_MIN) };
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config()).start();
    herd.wait_settled("echo", 1).await;
    let begun = Instant::now();
    let (straight, through) = both(&herd, cases).await;
    let counts = tally(&straight);
    println!("{} cases in {:.0?}, straight: {counts}", straight.len(), begun.elapsed());
    assert!(straight.len() >= count_min, "only {} cases", straight.len());
    let mut seen: BTreeMap<String, [Vec<Verdict>; 2]> = BTreeMap::new();
    note(&mut seen, straight, through);
    for _ in 0..AGAIN_MAX {
        let differ = differences(&seen);
        if differ.is_empty() {
            break;
        }
        println!("again, because the verdicts differ: {differ:?}");
        let (straight, through) = both(&herd, &differ).await;
        note(&mut seen, straight, through);
    }
    let differ = differences(&seen);
    let told: Vec<_> = differ.iter().map(|case| format!("{case}: {:?}", seen[*case])).collect();
    assert!(differ.is_empty(), "verdicts straight and through Herder:\n{}", told.join("\n"));
    herd.stop().await;
}

/// The server is an instance of Herder's, so that straight and through lead to the same process.
fn config() -> String {
    let (python, library) = (venv("python"), venv("../autobahn/server"));
    let echo = root().join("crates/herder/tests/websocket/echo.py");
    format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[service.echo]
run = [{python:?}, {echo:?}]
env = {{ PYTHONPATH = {library:?} }}
scale = {{ min = 1, max = 1 }}
"#
    )
}

/// Runs the cases both ways at the same time.
async fn both(
    herd: &Herd,
    cases: &[&str],
) -> (BTreeMap<String, Verdict>, BTreeMap<String, Verdict>) {
    let direct = herd.instances("echo").await[0].addr.unwrap();
    tokio::join!(verdicts(direct, cases), verdicts(herd.addr().await, cases))
}

/// Runs cases of the suite against a server.
async fn verdicts(addr: SocketAddr, cases: &[&str]) -> BTreeMap<String, Verdict> {
    let dir = tempfile::tempdir().unwrap();
    let (spec, reports) = (dir.path().join("spec.json"), dir.path().join("reports"));
    let server = json!({ "agent": "it", "url": format!("ws://{addr}") });
    let wanted = json!({ "outdir": reports, "servers": [server], "cases": cases });
    fs::write(&spec, wanted.to_string()).unwrap();
    let mut command = Command::new(venv("../autobahn/bin/wstest"));
    command.args(["-m", "fuzzingclient", "-s"]).arg(&spec).current_dir(dir.path());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(TIMEOUT, command.output()).await.expect("the suite ends in time").unwrap();
    assert!(ended.status.success(), "{ended:?}");
    read_verdicts(&reports.join("index.json"))
}

fn read_verdicts(index: &Path) -> BTreeMap<String, Verdict> {
    let index: Value = serde_json::from_str(&fs::read_to_string(index).unwrap()).unwrap();
    let cases = index["it"].as_object().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let verdict = |case: &Value| {
        (text(&case["behavior"]), text(&case["behaviorClose"]), case["remoteCloseCode"].clone())
    };
    cases.iter().map(|(name, case)| (name.clone(), verdict(case))).collect()
}

fn note(
    seen: &mut BTreeMap<String, [Vec<Verdict>; 2]>,
    straight: BTreeMap<String, Verdict>,
    through: BTreeMap<String, Verdict>,
) {
    for (side, verdicts) in [straight, through].into_iter().enumerate() {
        for (case, verdict) in verdicts {
            seen.entry(case).or_default()[side].push(verdict);
        }
    }
}

/// Cases with a verdict through Herder that never came straight, or never run one way.
fn differences(seen: &BTreeMap<String, [Vec<Verdict>; 2]>) -> Vec<&str> {
    let differs = |[straight, through]: &[Vec<Verdict>; 2]| {
        straight.is_empty()
            || through.is_empty()
            || through.iter().any(|verdict| !straight.contains(verdict))
    };
    seen.iter().filter(|(_, sides)| differs(sides)).map(|(case, _)| case.as_str()).collect()
}

/// How often each verdict was given.
fn tally(verdicts: &BTreeMap<String, Verdict>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (behavior, _, _) in verdicts.values() {
        *counts.entry(behavior).or_default() += 1;
    }
    counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect::<Vec<_>>()
        .join(", ")
}
