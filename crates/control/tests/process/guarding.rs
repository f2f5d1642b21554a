//! Herder itself is killed: whatever its instances have become, nothing of them survives.
//! Here this program plays Herder in a process of its own, so that it can be killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use control::{Colour, Driver, Event, Sink};
use model::Source;
use rustix::process::{Pid, Signal, getpid, kill_process};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::kit::{Cleanup, Herd, id, runs, service, settings, state, subcommands, tests, until};

tests!(
    the_guard_lives_as_long_as_herder_and_does_not_mind_signals,
    a_guard_that_was_killed_is_replaced,
    instances_end_with_herder_even_without_a_guard,
    nothing_survives_when_herder_is_killed,
    a_new_guard_knows_what_the_old_one_knew,
);

/// What this program does as `__herder`: runs two instances of the script and waits, with a guard
/// unless the first argument is [`ALONE`].
pub(crate) fn herder(guarded: &str, script: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (sender, mut events) = mpsc::channel(64);
        let mut settings = settings(Sink::new(std::io::sink(), Colour::Off));
        if guarded == ALONE {
            settings.guard = None;
        }
        let mut driver = Driver::start(settings, sender, 5).unwrap();
        for number in 1..=2 {
            let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
            let command = model::Command { argv, env: Default::default(), dir: None };
            driver.launch(id(number), &service(Source::Command(command)), None);
        }
        while let Some(event) = events.recv().await {
            if let Event::Started { pid, .. } = event {
                println!("{}", pid.unwrap());
            }
        }
    });
    ExitCode::SUCCESS
}

const GUARDED: &str = "guarded";
const ALONE: &str = "alone";

/// A Herder in a process of its own.
struct Victim {
    process: Child,
    leaders: Vec<Pid>,
    cleanup: Cleanup,
    dir: TempDir,
}

impl Victim {
    /// Starts one; `script` is what its two instances are.
    fn start(guarded: &str, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cleanup = Cleanup::of(&dir);
        let (name, mark) = cleanup.mark();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["__herder", guarded, script])
            .env(name, mark)
            .env("DIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let leaders = lines.take(2).map(|line| pid(&line.unwrap())).collect();
        Self { process, leaders, cleanup, dir }
    }

    fn pid(&self) -> Pid {
        pid(&self.process.id().to_string())
    }

    /// A pid that each instance wrote to a file of its own.
    async fn pids_in(&self, name: &str) -> Vec<Pid> {
        let mut found = Vec::new();
        for number in 1..=2 {
            let path = self.dir.path().join(format!("{name}.shop.{number}"));
            let read = || std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
            until(name, || read().is_some()).await;
            found.push(pid(&read().unwrap()));
        }
        found
    }

    /// SIGKILL, and waits until it is gone.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
        }
    }
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Waits until these processes have nothing left to do but to wait, ten looks in a row: what one
/// had to tell the other is told, and was heard.
async fn until_all_wait(pids: &[Pid]) {
    let mut looks = 0;
    let wait = || {
        looks = if pids.iter().all(|&pid| state(pid) == Some('S')) { looks + 1 } else { 0 };
        looks == 10
    };
    until("both to wait", wait).await;
}

fn guard_of(herder: Pid) -> Option<Pid> {
    subcommands(herder, "__guard").into_iter().find(|&pid| runs(pid))
}

/// The guard of a Herder that has just started it. For a moment after `spawn` has returned the
/// kernel shows no arguments of the new program.
async fn guard_started(herder: Pid) -> Pid {
    until("the guard", || guard_of(herder).is_some()).await;
    guard_of(herder).unwrap()
}

async fn the_guard_lives_as_long_as_herder_and_does_not_mind_signals() {
    let herd = Herd::new();
    let guard = guard_started(getpid()).await;
    until("a session of its own", || rustix::process::getsid(Some(guard)) == Ok(guard)).await;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        kill_process(guard, signal).unwrap();
    }
    // Were one of them deadly, it would be by the time that a later instance has ended.
    let mut herd = herd;
    herd.sh(1, "exit 0");
    herd.started().await;
    herd.exited().await;
    assert!(runs(guard));
    herd.close().await;
    assert!(!runs(guard));
}

async fn a_guard_that_was_killed_is_replaced() {
    let herd = Herd::new();
    let guard = guard_started(getpid()).await;
    kill_process(guard, Signal::KILL).unwrap();
    until("another guard", || guard_of(getpid()).is_some_and(|pid| pid != guard)).await;
    herd.close().await;
    assert_eq!(guard_of(getpid()), None);
}

async fn instances_end_with_herder_even_without_a_guard() {
    let mut victim = Victim::start(ALONE, "trap '' TERM; while :; do sleep 0.05; done");
    let leaders = victim.leaders.clone();
    assert_eq!(guard_of(victim.pid()), None);
    assert!(leaders.iter().all(|&pid| runs(pid)));
    victim.kill();
    until("the instances to be gone", || !leaders.iter().any(|&pid| runs(pid))).await;
}

async fn nothing_survives_when_herder_is_killed() {
    let script = "
        (trap '' TERM; exec sleep 1000) & echo $! > $DIR/child.$HERDER_INSTANCE
        setsid sh -c '(sh -c \"echo \\$\\$ > $DIR/escaped.$HERDER_INSTANCE; exec sleep 1000\" &)'
        wait";
    let mut victim = Victim::start(GUARDED, script);
    let mut pids = victim.leaders.clone();
    pids.extend(victim.pids_in("child").await);
    pids.extend(victim.pids_in("escaped").await);
    let guard = guard_started(victim.pid()).await;
    assert_eq!(pids.len(), 6);
    assert!(pids.iter().all(|&pid| runs(pid)), "{pids:?}");

    victim.kill();
    until("the instances to be gone", || !pids.iter().any(|&pid| runs(pid))).await;
    until("the guard to be gone", || !runs(guard)).await;
    assert_eq!(victim.cleanup.left(), []);
}

/// The children hide their environment, so that only the list of groups leads to them.
async fn a_new_guard_knows_what_the_old_one_knew() {
    let script = "
        env -i sh -c 'trap \"\" TERM; echo $$ > '$DIR/hidden.$HERDER_INSTANCE'; sleep 1000' &
        wait";
    let mut victim = Victim::start(GUARDED, script);
    let hidden = victim.pids_in("hidden").await;
    let guard = guard_started(victim.pid()).await;
    kill_process(guard, Signal::KILL).unwrap();
    until("another guard", || guard_of(victim.pid()).is_some_and(|pid| pid != guard)).await;
    let guard = guard_started(victim.pid()).await;
    until_all_wait(&[victim.pid(), guard]).await;
    assert!(hidden.iter().all(|&pid| runs(pid)));
    victim.kill();
    until("the children to be gone", || !hidden.iter().any(|&pid| runs(pid))).await;
}
