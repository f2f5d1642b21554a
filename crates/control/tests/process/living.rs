//! From the start of an instance to its end: how it is stopped, what it leaves behind, what it
//! wrote. That Herder itself may be killed is in `guarding`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use control::ExitStatus;
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{EVENTS_MAX, Herd, children, id, runs, state, tests, until};

tests!(
    every_way_to_end_is_reported,
    an_order_to_end_is_not_lost_however_early_it_comes,
    an_instance_that_ignores_the_order_is_killed,
    what_is_left_in_the_group_is_killed_before_the_end_is_reported,
    what_left_the_group_is_killed_before_the_end_is_reported,
    what_hides_from_the_sweep_is_killed_at_the_very_end,
    orphans_leave_no_zombie_and_take_no_exit_status,
    exit_statuses_wait_for_whoever_is_busy,
    a_group_whose_rest_nobody_waits_for_counts_as_gone,
    output_comes_by_line_and_the_last_lines_are_kept,
    an_instance_that_writes_without_end_is_stopped_like_any_other,
    closing_ends_what_runs,
);

async fn every_way_to_end_is_reported() {
    let mut herd = Herd::new();
    for (script, expected) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 7", ExitStatus::Code(7)),
        ("kill -9 $$", ExitStatus::Signal(9)),
        ("kill -11 $$", ExitStatus::Signal(11)),
    ] {
        let shop = herd.sh(1, script);
        herd.started().await;
        let (id, exit) = herd.exited().await;
        assert_eq!((id, exit.status), (shop, expected), "{script}");
    }
    // Somebody else kills it.
    herd.sh(1, "exec sleep 1000");
    let (.., pid) = herd.started().await;
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(herd.exited().await.1.status, ExitStatus::Signal(9));
    // A second order, and one for nobody, do nothing.
    herd.driver.terminate(&id(1));
    herd.driver.kill(&id(99));
    herd.close().await;
}

async fn an_order_to_end_is_not_lost_however_early_it_comes() {
    let mut herd = Herd::new();
    for number in 1..=10 {
        let shop = herd.sh(number, "exec sleep 1000");
        herd.driver.terminate(&shop);
    }
    let mut ends = BTreeMap::new();
    while ends.len() < 10 {
        if let control::Event::Exited { id, exit } = herd.next().await {
            ends.insert(id, exit.status);
        }
    }
    assert!(ends.values().all(|&status| status == ExitStatus::Signal(15)), "{ends:?}");
    herd.close().await;
}

async fn an_instance_that_ignores_the_order_is_killed() {
    let mut herd = Herd::new();
    let script =
        "trap 'echo told > $DIR/told' TERM; echo 1 > $DIR/up; while :; do sleep 0.02; done";
    let shop = herd.sh(1, script);
    let (.., pid) = herd.started().await;
    herd.file("up").await;
    herd.driver.terminate(&shop);
    herd.file("told").await;
    assert!(runs(pid));
    herd.driver.kill(&shop);
    assert_eq!(herd.exited().await.1.status, ExitStatus::Signal(9));
    assert!(!runs(pid));
    herd.close().await;
}

async fn what_is_left_in_the_group_is_killed_before_the_end_is_reported() {
    let mut herd = Herd::new();
    // It does not listen, and hides its environment, so that only the group leads to it.
    let script = "env -i sh -c 'trap \"\" TERM; echo $$ > '$DIR'/child; sleep 1000' &
                  while [ ! -s $DIR/child ]; do sleep 0.01; done; exit 5";
    herd.sh(1, script);
    herd.started().await;
    let start = Instant::now();
    let (_, exit) = herd.exited().await;
    assert_eq!(exit.status, ExitStatus::Code(5));
    assert!(!runs(herd.pid_in("child").await));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    herd.close().await;
}

async fn what_left_the_group_is_killed_before_the_end_is_reported() {
    let mut herd = Herd::new();
    let escape = "import os, time
def say(name):
    with open(os.environ['DIR'] + '/' + name, 'w') as f:
        f.write(f'{os.getpid()}\\n')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say('escaped')
        time.sleep(1000)
    os._exit(0)
time.sleep(1000)";
    let shop = herd.launch(1, &["python3", "-c", escape], |_| {});
    herd.started().await;
    let escaped = herd.pid_in("escaped").await;
    // Another instance of the same service is left alone.
    let other =
        herd.sh(2, "setsid sh -c 'echo $$ > $DIR/other; exec sleep 1000' & exec sleep 1000");
    herd.started().await;
    let others = herd.pid_in("other").await;
    until("the adoption", || children().iter().any(|&(pid, _)| pid == escaped)).await;

    herd.driver.terminate(&shop);
    assert_eq!(herd.exited().await.1.status, ExitStatus::Signal(15));
    assert!(!runs(escaped));
    assert!(runs(others));
    herd.driver.kill(&other);
    herd.exited().await;
    assert!(!runs(others));
    herd.close().await;
}

async fn what_hides_from_the_sweep_is_killed_at_the_very_end() {
    let mut herd = Herd::new();
    let script = "env -i setsid sh -c 'echo $$ > '$DIR'/hidden; exec sleep 1000' &
                  while [ ! -s $DIR/hidden ]; do sleep 0.01; done";
    herd.sh(1, script);
    herd.started().await;
    herd.exited().await;
    let hidden = herd.pid_in("hidden").await;
    assert!(runs(hidden), "then it was found by the sweep, which is better still");
    herd.close().await;
    assert!(!runs(hidden));
    assert_eq!(state(hidden), None, "a zombie");
}

async fn orphans_leave_no_zombie_and_take_no_exit_status() {
    let mut herd = Herd::new();
    herd.sh(100, "while :; do (sleep 0.01 &) ; (setsid sleep 0.01 &); sleep 0.02; done");
    herd.started().await;
    for number in 1..=20 {
        herd.sh(number, &format!("(sleep 0.02 &); (setsid true &); exit {number}"));
    }
    let mut ended = 0;
    while ended < 20 {
        if let control::Event::Exited { id, exit } = herd.next().await {
            assert_eq!(exit.status, ExitStatus::Code(id.number.try_into().unwrap()));
            ended += 1;
        }
    }
    herd.driver.kill(&id(100));
    herd.exited().await;
    until("no zombies", || children().iter().all(|&(_, state)| state != 'Z')).await;
    herd.close().await;
    assert_eq!(children(), []);
}

/// As long as nobody reads the events, nobody waits for the processes, and they stay zombies: a
/// temptation for whoever reaps orphans.
async fn exit_statuses_wait_for_whoever_is_busy() {
    let mut herd = Herd::new();
    let count = 2 * EVENTS_MAX;
    for number in 1..=count {
        herd.sh(u32::try_from(number).unwrap(), "(sleep 0.1 &); exit 7");
    }
    let zombies = || children().iter().filter(|&&(_, state)| state == 'Z').count();
    until("the zombies", || zombies() >= EVENTS_MAX).await;
    // The reaper has its look when the orphans end.
    let patience = Instant::now() + Duration::from_millis(300);
    until("the reaper", || Instant::now() > patience).await;
    let mut ended = 0;
    while ended < count {
        if let control::Event::Exited { exit, .. } = herd.next().await {
            assert_eq!(exit.status, ExitStatus::Code(7));
            ended += 1;
        }
    }
    herd.close().await;
}

/// A child that left the group keeps a zombie in it, which nobody can kill.
async fn a_group_whose_rest_nobody_waits_for_counts_as_gone() {
    let mut herd = Herd::new();
    let careless = "import os, time
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)
    os.setsid()
    os.environ.clear()
    os.execv('/bin/sh', ['sh', '-c', 'sleep 1000'])
time.sleep(0.2)";
    herd.launch(1, &["python3", "-c", careless], |_| {});
    herd.started().await;
    let start = Instant::now();
    herd.exited().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    herd.close().await;
}

async fn output_comes_by_line_and_the_last_lines_are_kept() {
    let mut herd = Herd::new();
    herd.sh(1, "echo one; echo two >&2; sleep 0.05; echo three; printf 'four\\n\\033[31mfive'");
    herd.started().await;
    let (_, exit) = herd.exited().await;
    assert_eq!(exit.last_lines, ["three", "four", "five"]);
    let shown = herd.close().await.text();
    let mut lines: Vec<&str> = shown.lines().collect();
    lines[..2].sort_unstable();
    let expected = ["one", "two", "three", "four", "five"].map(|line| format!("shop.1 | {line}"));
    assert_eq!(lines, expected);
}

async fn an_instance_that_writes_without_end_is_stopped_like_any_other() {
    let mut herd = Herd::new();
    let shop = herd.sh(1, "exec yes the same line over and over");
    herd.started().await;
    until("some output", || herd.shown.text().len() > 1_000_000).await;
    let start = Instant::now();
    herd.driver.terminate(&shop);
    let (_, exit) = herd.exited().await;
    assert_eq!(exit.status, ExitStatus::Signal(15));
    assert_eq!(exit.last_lines.len(), 3);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    herd.close().await;
}

async fn closing_ends_what_runs() {
    let mut herd = Herd::new();
    let mut pids: Vec<Pid> = Vec::new();
    for number in 1..=3 {
        herd.sh(number, "trap '' TERM; sleep 1000 & echo $! > $DIR/child; wait; sleep 1000");
        pids.push(herd.started().await.2);
    }
    pids.push(herd.pid_in("child").await);
    herd.close().await;
    assert!(pids.iter().all(|&pid| !runs(pid)));
    assert_eq!(children(), []);
}
