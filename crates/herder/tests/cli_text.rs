//! What people read: help with examples, tables that fit, colours where they are wanted only.
//! What the commands do is tested elsewhere.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::process::Stdio;
use std::time::Duration;

use testkit::{Answer, Herd, Herder, Load, PATIENCE, wait_until};
use tokio::process::Command;

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// Columns of a terminal that nobody made wider.
const COLUMNS: usize = 80;

/// Runs a command with a pseudo-terminal as its standard output and error.
const IN_TERMINAL: &str = "
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
";

#[tokio::test]
async fn every_subcommand_has_help_with_an_example() {
    let help = printed(["--help"]).await;
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let expected = [
        "run",
        "serve",
        "check",
        "schema",
        "status",
        "journal",
        "explain",
        "scale",
        "drain",
        "history",
        "restart",
        "reload",
        "stop",
        "demo",
        "simulate",
        "state",
        "completions",
    ];
    assert_eq!(names[..], [&expected[..], &["help"]].concat());
    assert!(!help.contains("__"), "a hidden subcommand shows: {help}");
    for name in expected {
        let long = printed([name, "--help"]).await;
        assert!(long.contains(&format!("\nEXAMPLE:\n    herder {name}")), "{long}");
        assert!(long.starts_with(|c: char| c.is_uppercase()), "{name} has no first line: {long}");
        assert!(long.lines().all(|line| line.chars().count() <= 100), "{long}");
        let short = printed([name, "-h"]).await;
        assert!(short.contains("Usage: herder "), "{short}");
    }
}

#[tokio::test]
async fn a_simulation_prints_a_table_and_refuses_what_there_is_not() {
    let some = ["--scenario=slow", "--instances=3", "--algorithm=round-robin,least-request"];
    let text = printed(["simulate", "balance", some[0], some[1], some[2], "--length=6"]).await;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("slow: one is 5 times slower, 3 instances"));
    assert!(lines.next().unwrap().starts_with("ALGORITHM"), "{text}");
    let rows: Vec<Vec<&str>> =
        lines.by_ref().take(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], rows[1][0]), ("round-robin", "least-request"), "{text}");
    // The last columns: its part of the requests, the unit, and nobody who is new.
    let odd = |row: &[&str]| row[row.len() - 3].parse::<f64>().unwrap();
    assert!(odd(&rows[0]) > 33.0 && odd(&rows[1]) < 20.0, "{text}");
    let order = ["simulate", "balance", "--scenario=queue", "--instances=3", "--length=20"];
    let text = printed(order).await;
    let row = |name: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    // The median of those that were answered in time, and how many of them there were.
    let (in_order, queue) = (row("in-order"), row("default"));
    assert!(in_order[0] > 1000.0 && queue[0] < 100.0 && queue[2] > 70.0, "{text}");
    let refused = Herder::once(HERDER, ["simulate", "balance", "--algorithm=best"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let error = refused.stderr;
    assert!(error.contains("there is no algorithm `best`") && error.contains("round-robin"));
}

#[tokio::test]
async fn a_simulation_of_scaling_prints_tables_lines_of_json_and_a_page() {
    let some = ["simulate", "scale", "--shape=step,sine", "--start-up=2s", "--seeds=7"];
    let policies = ["--policy=target,kpa,static"];
    let text = printed([&some[..], &policies].concat()).await;
    let heading = "step: 10 times as much at once, for half an hour; a start takes 2s";
    assert_eq!(text.lines().next(), Some(heading), "{text}");
    let row = |name| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(row("POLICY").ends_with("RECOVER  COLD") && row("static").contains(" 1.8"), "{text}");
    assert!(text.contains("target costs ") && text.contains("all of them"), "{text}");

    let directory = tempfile::tempdir().unwrap();
    let (page, trace) = (directory.path().join("page.html"), directory.path().join("day.csv"));
    std::fs::write(&trace, "second,arrivals\n0,20\n60,60,0.2\n120,20\n").unwrap();
    let files = [format!("--trace={}", trace.display()), format!("--html={}", page.display())];
    let order = ["simulate", "scale", "--json", "--policy=target", "--seeds=1,2", "--start-up=1s"];
    let lines = printed([&order[..], &[&files[0], &files[1]]].concat()).await;
    let objects: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2, "{lines}");
    assert_eq!((&objects[1]["load"], &objects[1]["seed"]), (&"day".into(), &2.into()), "{lines}");
    assert!(objects[0]["cost"].as_f64().unwrap() >= 0.5, "{lines}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("desired") && page.contains("REV/H"), "{page}");
    assert!(!page.contains("http://") || page.contains("http://www.w3.org/2000/svg"), "{page}");
}

#[tokio::test]
async fn a_simulation_of_scaling_tries_the_policies_of_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let shop = "[service.shop]\nrun = \"node\"\n";
    let today = write("herder.toml", &format!("{shop}scale = {{ min = 3, max = 3 }}\n"));
    let other = "[service.docs]\nrun = \"node\"\nroute = \"/docs\"\n";
    let kpa = "scale = { max = 20, policy = \"kpa\", kpa.target = 8 }\n";
    let tomorrow = write("tomorrow.toml", &format!("{shop}{kpa}{other}"));
    let trace = write("day.csv", "second,arrivals\n0,20\n300,120\n600,20\n");
    let order = ["simulate", "scale", "--trace", &trace, "--seeds=1", "--start-up=2s"];
    let files = ["--config", &today, "--config", &tomorrow, "--policy=static"];
    let text = printed([&order[..], &files, &["--service=shop"]].concat()).await;
    let rows: Vec<&str> = text.lines().filter(|line| line.contains(" % ")).collect();
    let is_row = |row: &str, name: &str| row.starts_with(&format!("{name} "));
    assert!(is_row(rows[0], &today) && is_row(rows[1], &tomorrow), "{text}");
    assert!(is_row(rows[2], "static") && rows.len() == 3, "{text}");
    assert!(text.contains(&format!("{today} costs ")), "{text}");

    let refuse = async |files: &[&str], expected: &str| {
        let refused = Herder::once(HERDER, [&order[..], files].concat()).await;
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains(expected), "{expected}: {refused:?}");
    };
    let which = "does not say which service is meant";
    refuse(&["--config", &tomorrow], which).await;
    refuse(&["--config", &tomorrow], "those there are: docs, shop").await;
    let none = "starts no instances of a service `web`";
    refuse(&["--config", &tomorrow, "--service=web"], none).await;
    refuse(&["--service=web"], "--config").await;
    let bad = write("bad.toml", &format!("{shop}scale.policy = \"best\"\n"));
    refuse(&["--config", &bad], "there is no \"best\"").await;
}

#[tokio::test]
async fn a_simulation_of_scaling_says_what_it_cannot_do() {
    let refuse = async |arguments: &[&str], expected: &str| {
        let order = [&["simulate", "scale"], arguments].concat();
        let refused = Herder::once(HERDER, order).await;
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains(expected), "{expected}: {refused:?}");
    };
    refuse(&[], "--all").await;
    refuse(&["--shape=round"], "there is no such shape; those there are: steady, step").await;
    refuse(&["--all", "--policy=best"], "there is no such policy; those there are: target").await;
    refuse(&["--all", "--start-up=soon"], "expected a time up to 600 s, such as 500ms, 90s or 2h")
        .await;
    refuse(&["--trace=/nowhere.csv"], "could not read /nowhere.csv").await;
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("bad.csv");
    std::fs::write(&trace, "0,20\n1,many\n").unwrap();
    refuse(&[&format!("--trace={}", trace.display())], "line 2: `many` is no number of").await;
}

#[tokio::test]
async fn the_help_documents_the_exit_codes() {
    let help = printed(["--help"]).await;
    let table = help.split_once("EXIT CODES:\n").unwrap().1;
    let codes: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "78", "130"]);
    let version = printed(["--version"]).await;
    assert_eq!(version, format!("herder {}\n", env!("CARGO_PKG_VERSION")));
    let none = Herder::once(HERDER, [""; 0]).await;
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("Usage: herder "), "{none:?}");
}

#[tokio::test]
async fn completions_know_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(["completions", shell]).await;
        for word in ["status", "scale", "--health", "--socket"] {
            let bare = word.trim_start_matches('-');
            assert!(script.contains(bare), "{shell} does not know {word}");
        }
        assert!(!script.contains("__shop"), "{shell} offers a hidden subcommand");
    }
    let script = printed(["completions", "bash"]).await;
    let complete = format!(
        "{script}\nCOMP_WORDS=(herder sca); COMP_CWORD=1\n_herder herder sca herder\n\
         echo \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    let done = bash.arg("-c").arg(complete).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "scale\n", "{done:?}");
}

/// Under load and in the middle of a restart, when all columns have something to show.
#[tokio::test]
async fn the_status_fits_a_terminal() {
    let herd = Herder::run(HERDER)
        .flags(["--name", "shop", "--min", "4", "--health", "/healthz"])
        .command([HERDER, "__shop"])
        .start();
    herd.wait_ready("shop", 4).await;
    let load = Load::get(herd.addr().await, "/work?ms=5").rate_per_s(500).start();
    wait_until(PATIENCE, "traffic in the status", async || {
        let status = herd.up().await;
        status["services"][0]["traffic"]["requests_per_second"].as_f64() > Some(100.0)
    })
    .await;
    herd.ordered(["restart", "shop", "--no-wait"]).await;
    let mut seen = BTreeSet::new();
    wait_until(PATIENCE, "the restart in the status", async || {
        let text = herd.ordered(["status"]).await;
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line:?} is too long:\n{text}");
        }
        let words = ["starting", "draining", "rollout: ", "ready"];
        seen.extend(words.into_iter().filter(|word| text.contains(word)));
        herd.instances("shop").await.iter().all(|instance| instance.generation > 1)
    })
    .await;
    assert!(seen.contains("rollout: "), "the restart was never seen: {seen:?}");
    assert_eq!(load.stop().await.failed(), 0);
    herd.wait_settled("shop", 4).await;
    let text = herd.ordered(["status"]).await;
    let heads: Vec<_> = text.lines().filter(|line| line.starts_with(char::is_uppercase)).collect();
    assert!(heads[0].starts_with("SERVICE  READY  DESIRED  MIN  MAX  BALANCE "), "{text}");
    assert!(heads[1].starts_with("INSTANCE  PHASE  SINCE  ADDRESS "), "{text}");
    let rows = text.lines().filter(|line| line.starts_with("shop.") && line.contains(" ready "));
    assert_eq!(rows.count(), 4, "{text}");
    herd.stop().await;
}

/// Colours at a terminal, unless somebody wants none; never elsewhere.
#[tokio::test]
async fn colours_are_for_terminals_and_no_color_turns_them_off() {
    let herd = Herder::run(HERDER)
        .flags(["--name", "shop", "--health", "/healthz"])
        .command([HERDER, "__shop"])
        .start();
    herd.wait_ready("shop", 2).await;
    for arguments in [&["status"][..], &["journal"], &["scale", "shop", "99"]] {
        let check = async |terminal: bool, env: &[(&str, &str)], coloured: bool| {
            let answer = shown(&herd, arguments, terminal, env).await;
            let text = answer.stdout + &answer.stderr;
            assert!(!text.is_empty());
            assert_eq!(text.contains('\x1b'), coloured, "{arguments:?} {env:?}: {text:?}");
        };
        check(true, &[("TERM", "xterm")], true).await;
        check(true, &[("TERM", "xterm"), ("NO_COLOR", "")], true).await;
        check(true, &[("TERM", "xterm"), ("NO_COLOR", "1")], false).await;
        check(true, &[("TERM", "dumb")], false).await;
        check(false, &[("TERM", "xterm")], false).await;
    }
    herd.stop().await;
}

/// The lines of instances are told apart by colours, and read without them.
#[tokio::test]
async fn lines_of_instances_have_colours_at_a_terminal() {
    let script = "echo hello; exec \"$0\" __shop";
    for (no_color, line) in [("", "\x1b["), ("1", "shop.1 | hello")] {
        let mut command = Command::new("python3");
        command.args(["-c", IN_TERMINAL, HERDER, "run", "--name", "shop", "--admin", "off"]);
        command.args(["--bind", "127.0.0.1:0", "--min", "1", "--", "sh", "-c", script, HERDER]);
        let dir = tempfile::tempdir().unwrap();
        command.env("HERDER_SOCKET", dir.path().join("herder.sock")).env("TERM", "xterm");
        command.env("NO_COLOR", no_color).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.kill_on_drop(true).spawn().unwrap();
        let stop = async {
            wait_until(PATIENCE, "an answer", async || {
                let mut stop = Command::new(HERDER);
                stop.arg("--socket").arg(dir.path().join("herder.sock")).args(["status"]);
                stop.output().await.unwrap().stdout.windows(5).any(|word| word == b"ready")
            })
            .await;
            let mut stop = Command::new(HERDER);
            stop.arg("--socket").arg(dir.path().join("herder.sock")).arg("stop");
            stop.output().await.unwrap()
        };
        let (_, done) = tokio::join!(stop, child.wait_with_output());
        let text = String::from_utf8_lossy(&done.unwrap().stdout).into_owned();
        assert!(text.lines().any(|it| it.contains("hello") && it.contains(line)), "{text:?}");
        assert_eq!(text.contains('\x1b'), no_color.is_empty(), "{text:?}");
    }
}

/// Standard output of a command that succeeds.
async fn printed<T: AsRef<OsStr> + Debug>(arguments: impl AsRef<[T]>) -> String {
    let arguments = arguments.as_ref();
    let answer = Herder::once(HERDER, arguments).await;
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{arguments:?} {answer:?}");
    answer.stdout
}

/// What a command shows, at a terminal or not, with only this of the environment.
async fn shown(herd: &Herd, arguments: &[&str], terminal: bool, env: &[(&str, &str)]) -> Answer {
    let mut command = Command::new(if terminal { "python3" } else { HERDER });
    if terminal {
        command.args(["-c", IN_TERMINAL, HERDER]);
    }
    command.args(arguments).arg("--socket").arg(herd.socket());
    command.env_remove("NO_COLOR").envs(env.iter().copied());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let ended = ended.expect("it ends in time").unwrap();
    Answer {
        code: ended.status.code(),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}
