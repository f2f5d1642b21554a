//! What the tests of the driver are made with: a driver, services of one line, and a look at
//! `/proc`. Whatever a test leaves behind is killed when it ends, failed or not.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::{Colour, Driver, DriverSettings, Event, Exit, Launcher, Orphans, Sink};
use model::{Command, Drain, Health, InstanceId, Probe, Restart, Scale, Service, Source};
use rustix::process::{Pid, Signal, getpid, kill_process};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// A test by its name.
pub(crate) type Test = (&'static str, fn());

/// How long anything in these tests may take. Beyond: the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Events that wait for a test to read them.
pub(crate) const EVENTS_MAX: usize = 16;
/// Marks everything that a test starts.
const MARK: &str = "HERDER_TEST";

/// A table of tests from their functions.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::kit::Test] =
            &[$((stringify!($name), || crate::kit::run($name)),)*];
    };
}
pub(crate) use tests;

/// A driver under test, what it reports, and a directory for what instances write.
pub(crate) struct Herd {
    pub(crate) driver: Driver,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) shown: Shown,
    pub(crate) cleanup: Cleanup,
    pub(crate) dir: TempDir,
}

/// What instances wrote.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Vec<u8>>>);

/// Runs a test on a thread and a runtime of its own, as the driver wants it.
pub(crate) fn run<F: AsyncFnOnce() + Send + 'static>(test: F) {
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            tokio::time::timeout(3 * DEADLINE, test()).await.expect("the test takes too long");
        });
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

/// What the driver is made from here: ports far from those that others use.
pub(crate) fn settings(sink: Sink) -> DriverSettings {
    let program = std::env::current_exe().unwrap();
    let launcher = |word: &str| Launcher { program: program.clone(), args: vec![word.into()] };
    DriverSettings {
        launcher: Some(launcher("__exec")),
        guard: Some(launcher("__guard")),
        ports: (21_000, 21_999),
        output: sink,
        lines_kept: 3,
        orphans: Orphans::Adopt,
    }
}

impl Herd {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut DriverSettings)) -> Self {
        let shown = Shown::default();
        let mut settings = settings(Sink::new(shown.clone(), Colour::Off));
        change(&mut settings);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let driver = Driver::start(settings, sender, u64::from(std::process::id())).unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { driver, events, shown, cleanup: Cleanup::of(&dir), dir }
    }

    /// Starts `shop.NUMBER` as a shell script, which finds the test's directory in `$DIR`.
    pub(crate) fn sh(&mut self, number: u32, script: &str) -> InstanceId {
        self.launch(number, &["sh", "-c", script], |_| {})
    }

    pub(crate) fn launch(
        &mut self,
        number: u32,
        argv: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> InstanceId {
        let dir = self.dir.path().display().to_string();
        let env = [(MARK, dir.clone()), ("DIR", dir)];
        let mut command = Command {
            argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            dir: None,
        };
        change(&mut command);
        let id = id(number);
        self.driver.launch(id.clone(), &service(Source::Command(command)), None);
        id
    }

    pub(crate) async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(DEADLINE, self.events.recv());
        next.await.expect("no event in time").expect("the driver is there")
    }

    pub(crate) async fn started(&mut self) -> (InstanceId, SocketAddr, Pid) {
        match self.next().await {
            Event::Started { id, addr, pid: Some(pid) } => {
                (id, addr, Pid::from_raw(pid.try_into().unwrap()).unwrap())
            }
            event => panic!("{event:?}"),
        }
    }

    pub(crate) async fn exited(&mut self) -> (InstanceId, Exit) {
        match self.next().await {
            Event::Exited { id, exit } => (id, exit),
            event => panic!("{event:?}"),
        }
    }

    pub(crate) async fn start_failed(&mut self) -> String {
        match self.next().await {
            Event::StartFailed { reason, .. } => reason,
            event => panic!("{event:?}"),
        }
    }

    /// What an instance wrote to a file of the test's directory, once it is a whole line.
    pub(crate) async fn file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        let read = || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        until(&format!("the file {name}"), || read().is_some()).await;
        read().unwrap().trim().to_owned()
    }

    pub(crate) async fn pid_in(&self, name: &str) -> Pid {
        Pid::from_raw(self.file(name).await.parse().unwrap()).unwrap()
    }

    /// Closes the driver; what it took to tell that nothing is left.
    pub(crate) async fn close(self) -> Shown {
        let Self { driver, events, shown, cleanup, dir } = self;
        drop(events);
        driver.close().await;
        assert_eq!(cleanup.left(), [], "left behind");
        drop(dir);
        shown
    }
}

impl Shown {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn id(number: u32) -> InstanceId {
    InstanceId { service: "shop".parse().unwrap(), number }
}

pub(crate) fn service(source: Source) -> Arc<Service> {
    let second = Duration::from_secs(1);
    Arc::new(Service {
        health: Health {
            probe: Probe::Tcp,
            interval: second,
            interval_fast: Duration::from_millis(50),
            timeout: second,
            healthy: 1,
            unhealthy: 3,
            timeout_boot: DEADLINE,
            feedback: false,
        },
        scale: Scale { min: 1, max: 4 },
        drain: Drain { timeout_drain: second, timeout_grace: second },
        restart: Restart {
            backoff_min: Duration::from_millis(20),
            backoff_max: second,
            forgive_after: second,
            crash_loop: 3,
        },
        ..Service::unbounded("shop".parse().unwrap(), source)
    })
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

/// The state letter of a process; none when there is no such process.
pub(crate) fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat[stat.rfind(')')? + 1..].trim().chars().next()
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: Pid) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Children of this process, with their state letters.
pub(crate) fn children() -> Vec<(Pid, char)> {
    let own = getpid().as_raw_nonzero().to_string();
    let is_child = |pid: Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
        let state = fields.next()?.chars().next()?;
        (fields.next()? == own).then_some((pid, state))
    };
    pids().into_iter().filter_map(is_child).collect()
}

/// Processes with this word among their arguments, whose parent is `parent`.
pub(crate) fn subcommands(parent: Pid, word: &str) -> Vec<Pid> {
    let matches = |&pid: &Pid| {
        let raw = pid.as_raw_nonzero();
        let stat = fs::read_to_string(format!("/proc/{raw}/stat")).unwrap_or_default();
        let line = fs::read_to_string(format!("/proc/{raw}/cmdline")).unwrap_or_default();
        let parent = parent.as_raw_nonzero().to_string();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&parent)
            && line.split('\0').any(|arg| arg == word)
    };
    pids().into_iter().filter(matches).collect()
}

/// The processes of one test: they carry its directory as a mark. Dropping it kills those that
/// are left.
pub(crate) struct Cleanup(PathBuf);

impl Cleanup {
    pub(crate) fn of(dir: &TempDir) -> Self {
        Self(dir.path().to_owned())
    }

    /// The variable that marks what the driver does not start.
    pub(crate) fn mark(&self) -> (&'static str, &Path) {
        (MARK, &self.0)
    }

    /// Those that still run.
    pub(crate) fn left(&self) -> Vec<Pid> {
        let entry = format!("{MARK}={}", self.0.display());
        let has_mark = |pid: &Pid| {
            fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()))
                .is_ok_and(|environ| environ.split(|&b| b == 0).any(|e| e == entry.as_bytes()))
        };
        pids().into_iter().filter(has_mark).collect()
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        for pid in self.left() {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

fn pids() -> Vec<Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}
