//! A running Herder: the real binary, watched and ordered about by a test.
//! It knows of Herder what a user can know: commands, output, the admin API. No code is shared.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::message::Response;
use crate::proc::{self, Process};
use crate::wire::Wire;
use crate::{Output, PATIENCE, wait_for, wait_until};

/// The environment variable that marks everything that one herd started; instances inherit it.
pub(crate) const MARK: &str = "TESTKIT_HERD";
/// How long a herd that is dropped may take to end in order before it is killed.
const DROP_GRACE: Duration = Duration::from_secs(5);
/// Lines of a herd's output that a failing test shows.
const SHOWN_MAX: usize = 200;

/// A running Herder. Dropping it stops it, and kills whatever it left behind.
#[derive(Debug)]
pub struct Herd {
    binary: PathBuf,
    dir: TempDir,
    child: Child,
    output: Output,
}

/// What a command of a running Herder answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// An instance, as `status` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Such as `shop.1`.
    pub id: String,
    /// Such as `ready`.
    pub phase: String,
    /// Its process.
    pub pid: Option<u32>,
    /// Where it is reached.
    pub addr: Option<SocketAddr>,
    /// Counts up with each change that replaces instances.
    pub generation: u64,
    /// Requests in flight.
    pub in_flight: u64,
}

impl Herd {
    /// A Herder that runs as `child` in `dir`, its output piped.
    pub(crate) fn new(binary: PathBuf, dir: TempDir, mut child: Child) -> Self {
        let output = Output::default();
        output.collect(child.stdout.take().expect("it was piped"));
        output.collect(child.stderr.take().expect("it was piped"));
        Self { binary, dir, child, output }
    }

    /// Herder's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder in which it runs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// What it and its instances wrote, standard output and standard error together.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Replaces the file of [`crate::Herder::serve`]; nothing happens before a reload.
    pub fn rewrite(&self, config: &str) {
        fs::write(self.dir.path().join("herder.toml"), config).expect("a file of ours");
    }

    /// Runs another command of the binary against this Herder, such as `["scale", "shop", "3"]`.
    ///
    /// # Panics
    ///
    /// When it does not end within three times [`PATIENCE`].
    pub async fn command<T: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = T>) -> Answer {
        answer(&self.binary, self.dir.path(), arguments).await
    }

    /// The same, and it must succeed. Returns its standard output.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn ordered<T: AsRef<OsStr>>(&self, order: impl IntoIterator<Item = T>) -> String {
        let answer = self.command(order).await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        answer.stdout
    }

    /// What the admin API answers on the socket to a GET of `path`; nothing while nobody does.
    pub async fn admin(&self, path: &str) -> Option<Response> {
        self.admin_ask("GET", path, "").await
    }

    /// The same with any method and body.
    pub async fn admin_ask(&self, method: &str, path: &str, body: &str) -> Option<Response> {
        let mut stream = UnixStream::connect(self.socket()).await.ok()?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: herder\r\nConnection: close\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.ok()?;
        Wire::new(stream).response(method).await.ok()
    }

    /// The status, as soon as there is one.
    ///
    /// # Panics
    ///
    /// When Herder ended or does not answer.
    pub async fn up(&self) -> Value {
        wait_for(PATIENCE, "an answer on the socket", async || {
            assert!(proc::runs(self.pid()), "herder ended");
            self.admin("/v1/status").await.map(|response| response.json())
        })
        .await
    }

    /// Where the first listener accepts.
    pub async fn addr(&self) -> SocketAddr {
        let status = self.up().await;
        parse_addr(&status["listeners"][0]["address"]).unwrap_or_else(|| panic!("{status:#}"))
    }

    /// Where the listener called `name` accepts.
    pub async fn addr_of(&self, name: &str) -> SocketAddr {
        let status = self.up().await;
        let listeners = status["listeners"].as_array().into_iter().flatten();
        let named = listeners.into_iter().find(|listener| listener["name"] == name);
        named.and_then(|it| parse_addr(&it["address"])).unwrap_or_else(|| panic!("{status:#}"))
    }

    /// Where the admin API accepts TCP: the only address that it listens on and no listener's.
    pub async fn admin_addr(&self) -> SocketAddr {
        let status = self.up().await;
        let listeners = status["listeners"].as_array().into_iter().flatten();
        let known: Vec<_> = listeners.filter_map(|it| parse_addr(&it["address"])).collect();
        let all = proc::listening(self.pid());
        let rest: Vec<_> = all.iter().filter(|addr| !known.contains(addr)).collect();
        assert_eq!(rest.len(), 1, "listening: {all:?}, listeners: {known:?}");
        *rest[0]
    }

    /// The instances of `service`, those that are gone left out.
    pub async fn instances(&self, service: &str) -> Vec<Instance> {
        let service = self.service(service).await;
        let instances = service["instances"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        instances
            .map(|instance| Instance {
                id: text(&instance["id"]),
                phase: text(&instance["phase"]),
                pid: instance["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
                addr: parse_addr(&instance["address"]),
                generation: instance["generation"].as_u64().unwrap_or_default(),
                in_flight: instance["in_flight"].as_u64().unwrap_or_default(),
            })
            .collect()
    }

    /// Waits until `service` has at least `count` instances in phase ready.
    ///
    /// # Panics
    ///
    /// When it does not come to that within three times [`PATIENCE`].
    pub async fn wait_ready(&self, service: &str, count: u64) {
        wait_until(PATIENCE * 3, &format!("{count} ready in {service}"), async || {
            self.service(service).await["ready"].as_u64() >= Some(count)
        })
        .await;
    }

    /// Waits until `service` has exactly `count` instances, all ready, wants no other number, and
    /// replaces none.
    ///
    /// # Panics
    ///
    /// When it does not come to that within three times [`PATIENCE`].
    pub async fn wait_settled(&self, service: &str, count: u64) {
        wait_until(PATIENCE * 3, &format!("{service} settled at {count}"), async || {
            let now = self.service(service).await;
            let instances = now["instances"].as_array().map_or(0, Vec::len);
            now["desired"] == count
                && now["ready"] == count
                && now["rollout"].is_null()
                && u64::try_from(instances) == Ok(count)
        })
        .await;
    }

    /// Waits until an instance of `service` has a request in flight, and tells which.
    ///
    /// # Panics
    ///
    /// When that does not happen within [`PATIENCE`].
    pub async fn wait_in_flight(&self, service: &str) -> Instance {
        wait_for(PATIENCE, &format!("a request in flight in {service}"), async || {
            self.instances(service).await.into_iter().find(|instance| instance.in_flight > 0)
        })
        .await
    }

    /// Processes that this herd started and that run now, whatever their parents are by now.
    pub fn processes(&self) -> Vec<Process> {
        let marked = proc::with_env(MARK, self.dir.path().to_str());
        marked.into_iter().filter(|process| process.pid != self.pid()).collect()
    }

    /// Sends a signal to Herder itself.
    pub fn signal(&self, signal: Signal) {
        proc::signal(self.pid(), signal);
    }

    /// How it ended, once it has.
    ///
    /// # Panics
    ///
    /// When it has not within three times [`PATIENCE`], longer than a drain and a grace together.
    pub async fn exited(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for(PATIENCE * 3, "herder to end", async || {
            child.try_wait().expect("a child of ours can be waited for")
        })
        .await
    }

    /// Ends it in order with SIGTERM, and checks that it succeeded and left nothing behind.
    ///
    /// # Panics
    ///
    /// When it failed, did not end, or left anything behind, as [`Herd::assert_clean`] tells.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.exited().await;
        assert!(status.success(), "herder ended with {status}");
        self.assert_clean();
    }

    /// Checks that nothing of it is left: no process, and in its folder no more than its file and
    /// what it keeps there.
    ///
    /// # Panics
    ///
    /// When there is something.
    pub fn assert_clean(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "left behind: {left:#?}");
        let entries = fs::read_dir(self.dir.path()).expect("a folder of ours").flatten();
        let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        let is_kept = |name: &OsString| name == "herder.toml" || name == ".herder";
        assert!(names.iter().all(is_kept), "left behind: {names:?}");
    }

    async fn service(&self, name: &str) -> Value {
        let status = self.up().await;
        let services = status["services"].as_array().into_iter().flatten();
        services.into_iter().find(|service| service["name"] == name).cloned().unwrap_or_default()
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            wait_blocking(&self.child, DROP_GRACE);
            proc::kill(self.pid());
            self.child.wait().expect("a killed child of ours ends");
        }
        for process in self.processes() {
            proc::kill(process.pid);
        }
        if std::thread::panicking() {
            let lines = self.output.lines();
            let shown = &lines[lines.len().saturating_sub(SHOWN_MAX)..];
            eprintln!("--- herder wrote last:\n{}\n---", shown.join("\n"));
        }
    }
}

/// Runs a command of the binary to its end, with the socket of `dir`, within `dir`.
pub(crate) async fn answer<T: AsRef<OsStr>>(
    binary: &Path,
    dir: &Path,
    arguments: impl IntoIterator<Item = T>,
) -> Answer {
    let mut command = tokio::process::Command::new(binary);
    command.args(arguments).env("HERDER_SOCKET", socket_in(dir)).env("NO_COLOR", "1");
    command.current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE * 3, command.output()).await;
    let ended = ended.unwrap_or_else(|_| panic!("{command:?} did not end"));
    let ended = ended.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    Answer {
        code: ended.status.code(),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// The socket of the Herder that runs in `dir`.
pub(crate) fn socket_in(dir: &Path) -> PathBuf {
    dir.join("herder.sock")
}

fn parse_addr(value: &Value) -> Option<SocketAddr> {
    value.as_str()?.parse().ok()
}

/// Waits until `child` has ended, but not longer than `within`. Whether it has is for the caller
/// to find out.
fn wait_blocking(child: &Child, within: Duration) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let within = Timespec::try_from(within).expect("a few seconds fit");
    // An interrupted wait is a shorter one; the child is killed then.
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&within)).ok();
}
