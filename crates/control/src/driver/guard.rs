//! The guard: a process that outlives Herder for a moment and kills what Herder had no time to.
//! It only ever acts when Herder ended without a word; stopping instances is Herder's own work.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write as _};
use std::process::{ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, setsid};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::census::{Tags, sweep};
use super::{Children, Launcher, RUN_VARIABLE};

/// From the start of one guard process to that of the next at the earliest, so that one that
/// cannot live does not keep Herder busy.
const PAUSE_RESTART: Duration = Duration::from_secs(1);
/// How long the guard may take to end after the goodbye. Beyond: it is killed.
const TIMEOUT_GOODBYE: Duration = Duration::from_secs(1);
/// Sweeps of the guard, each of many rounds. What is left after the last cannot be killed.
const SWEEPS_MAX: u32 = 5;

/// Herder's side: keeps one guard process alive and tells it which groups run.
pub(super) struct Guard {
    watched: Rc<Watched>,
    /// None when there is no guard, as in tests.
    keeper: Option<JoinHandle<()>>,
}

/// What the guard process is to know. The keeper sends what it has not told yet, so no queue can
/// overflow and a new guard process is told everything.
#[derive(Default)]
struct Watched {
    groups: RefCell<HashSet<Pid>>,
    stopping: Cell<bool>,
    changed: Notify,
}

/// One guard process, as long as it lives.
struct GuardProcess {
    child: Child,
    pipe: ChildStdin,
    told: HashSet<Pid>,
}

/// How to start one.
struct Recipe {
    launcher: Launcher,
    run: String,
    children: Rc<Children>,
}

/// The body of the hidden subcommand: reads from standard input which process groups run, and
/// when Herder ends without saying `bye`, kills them and everything that carries the run's token.
///
/// Call it first thing in `main`, before any thread exists.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return say(&format!("the guard could not start: {error}")),
    };
    // Whoever signals "all of Herder" means Herder, which tells the guard when it ends. Listening
    // replaces the default action; the signals themselves are never read.
    let ignored = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let ignored = runtime.block_on(async { ignored.map(signal) });
    // Out of Herder's group and terminal. It fails only for a group leader, which is out already.
    if let Err(error) = setsid() {
        tracing::debug!(%error, "the guard stayed in its session");
    }
    let (run, groups) = match listen(io::stdin().lock()) {
        Heard::Bye => return ExitCode::SUCCESS,
        Heard::Silence { run, groups } => (run, groups),
    };
    for &group in &groups {
        // One that is gone already is what we want.
        kill_process_group(group, Signal::KILL).ok();
    }
    let strays = runtime.block_on(kill_run(&run));
    drop(ignored);
    if groups.is_empty() && strays == 0 {
        return ExitCode::SUCCESS;
    }
    say(&format!(
        "Herder ended without stopping its instances; killed {} process groups and {strays} \
         processes outside of them",
        groups.len()
    ))
}

impl Guard {
    /// Starts the guard process and the task that keeps it alive.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub(super) fn start(
        launcher: Option<Launcher>,
        run: &str,
        children: &Rc<Children>,
    ) -> io::Result<Self> {
        let Some(launcher) = launcher else { return Ok(Self::none()) };
        let watched = Rc::new(Watched::default());
        let recipe = Recipe { launcher, run: run.to_owned(), children: Rc::clone(children) };
        let first = recipe.start().map_err(|error| {
            let program = recipe.launcher.program.display();
            io::Error::new(error.kind(), format!("cannot start the guard, `{program}`: {error}"))
        })?;
        let keeper = tokio::task::spawn_local(keep(recipe, first, Rc::clone(&watched)));
        Ok(Self { watched, keeper: Some(keeper) })
    }

    /// No guard process.
    pub(super) fn none() -> Self {
        Self { watched: Rc::default(), keeper: None }
    }

    /// From now on the group is killed when Herder ends without a word.
    pub(super) fn add(&self, group: Pid) {
        self.watched.groups.borrow_mut().insert(group);
        self.watched.changed.notify_one();
    }

    /// The group is gone.
    pub(super) fn remove(&self, group: Pid) {
        self.watched.groups.borrow_mut().remove(&group);
        self.watched.changed.notify_one();
    }

    /// Herder ends with everything in order: the guard ends too.
    pub(super) async fn goodbye(&mut self) {
        self.watched.stopping.set(true);
        self.watched.changed.notify_one();
        let Some(keeper) = self.keeper.take() else { return };
        let abort = keeper.abort_handle();
        // Twice the bound: the keeper itself waits once, then kills.
        if tokio::time::timeout(2 * TIMEOUT_GOODBYE, keeper).await.is_err() {
            // The pipe closes with the task, and the guard ends, with nothing left to kill.
            abort.abort();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

/// Tells one guard process after the other, until the goodbye.
async fn keep(recipe: Recipe, first: GuardProcess, watched: Rc<Watched>) {
    let (mut process, mut started) = (first, Instant::now());
    loop {
        let pid = process.child.id();
        match process.serve(&recipe.run, &watched).await {
            Ok(()) => process.end().await,
            Err(error) => tracing::warn!(%error, "the guard process ended; starting another"),
        }
        recipe.children.remove(pid);
        if watched.stopping.get() {
            return;
        }
        process = loop {
            tokio::time::sleep_until(started + PAUSE_RESTART).await;
            started = Instant::now();
            match recipe.start() {
                Ok(process) => break process,
                Err(error) => tracing::error!(
                    %error,
                    "could not start the guard process; until it runs, instances that start \
                     processes of their own may survive a SIGKILL of Herder"
                ),
            }
        };
    }
}

impl Recipe {
    fn start(&self) -> io::Result<GuardProcess> {
        let mut child = Command::new(&self.launcher.program)
            .arg0("herder")
            .args(&self.launcher.args)
            // A Herder that runs as an instance of another: its guard is not to be swept away
            // before it has done its work.
            .env_remove(RUN_VARIABLE)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let pipe = child.stdin.take().expect("stdin was just asked for");
        self.children.add(child.id());
        Ok(GuardProcess { child, pipe, told: HashSet::new() })
    }
}

impl GuardProcess {
    /// Tells every change. Ends with Ok when Herder stops, with an error when the process did.
    async fn serve(&mut self, run: &str, watched: &Watched) -> io::Result<()> {
        self.pipe.write_all(format!("run {run}\n").as_bytes()).await?;
        loop {
            let news = self.news(&watched.groups.borrow());
            self.pipe.write_all(news.as_bytes()).await?;
            if watched.stopping.get() {
                return Ok(());
            }
            tokio::select! {
                () = watched.changed.notified() => {}
                ended = self.child.wait() => return Err(io::Error::other(ended?.to_string())),
            }
        }
    }

    /// What it has not been told yet, as lines.
    fn news(&mut self, groups: &HashSet<Pid>) -> String {
        let mut news = String::new();
        let mut line = |word: &str, group: &Pid| {
            writeln!(news, "{word} {}", group.as_raw_nonzero()).expect("a String takes every text");
        };
        groups.difference(&self.told).for_each(|group| line("add", group));
        self.told.difference(groups).for_each(|group| line("remove", group));
        self.told.clone_from(groups);
        news
    }

    async fn end(mut self) {
        let bye = async {
            self.pipe.write_all(b"bye\n").await?;
            drop(self.pipe);
            self.child.wait().await
        };
        match tokio::time::timeout(TIMEOUT_GOODBYE, bye).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the guard process was gone already"),
            Err(_) => {
                tracing::warn!("killed the guard process, which did not end when told to");
                if let Err(error) = self.child.kill().await {
                    tracing::debug!(%error, "the guard process ended meanwhile");
                }
            }
        }
    }
}

/// What the guard process read until its pipe ended.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// Herder ended in order.
    Bye,
    /// Herder ended without a word.
    Silence { run: String, groups: HashSet<Pid> },
}

/// Blocks until the pipe ends. A line that it does not understand is passed over: better to guard
/// the rest than to die of it. So is one without an end, for half a number is another number.
fn listen(mut pipe: impl BufRead) -> Heard {
    let (mut run, mut groups) = (String::new(), HashSet::new());
    let mut line = String::new();
    while pipe.read_line(&mut line).is_ok() {
        let Some(whole) = line.strip_suffix('\n') else { break };
        let (word, rest) = whole.split_once(' ').unwrap_or((whole, ""));
        let group = rest.parse().ok().and_then(Pid::from_raw);
        match (word, group) {
            ("bye", _) => return Heard::Bye,
            ("run", _) => rest.clone_into(&mut run),
            ("add", Some(group)) => drop(groups.insert(group)),
            ("remove", Some(group)) => drop(groups.remove(&group)),
            _ => {}
        }
        line.clear();
    }
    Heard::Silence { run, groups }
}

/// Everything that carries the token, those that left their group included; how many there were.
async fn kill_run(run: &str) -> usize {
    let mut killed = 0;
    if run.is_empty() {
        return killed;
    }
    for _ in 0..SWEEPS_MAX {
        let swept = sweep(Tags::of_run(run)).await;
        killed += swept.killed;
        if swept.clean {
            break;
        }
    }
    killed
}

/// The guard has nobody to report to but whoever reads Herder's standard error.
fn say(text: &str) -> ExitCode {
    match writeln!(io::stderr(), "herder: {text}") {
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guard_hears() {
        let silence = |run: &str, groups: &[i32]| Heard::Silence {
            run: run.to_owned(),
            groups: groups.iter().filter_map(|&pid| Pid::from_raw(pid)).collect(),
        };
        let check = |text: &str, expected: Heard| assert_eq!(listen(text.as_bytes()), expected);
        check("", silence("", &[]));
        check("run ab\nadd 5\nadd 6\nremove 5\n", silence("ab", &[6]));
        check("run ab\nadd 5\nbye\n", Heard::Bye);
        check("run ab\nadd 5\nbye", silence("ab", &[5]));
        check("run ab\nadd x\nadd 0\nwhat\nadd 7\n", silence("ab", &[7]));
        check("run ab\nadd 12345\nadd 1234", silence("ab", &[12_345]));
        check("run ab\nadd 1\n\n\nadd 2\n", silence("ab", &[1, 2]));
    }
}
