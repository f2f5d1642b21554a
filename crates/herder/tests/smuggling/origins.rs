//! Servers that others wrote, started behind Herder: what each has understood is written down.
//! It installs nothing (`scripts/test` does) and leaves nothing running.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{PATIENCE, places, proc, wait_for};

use crate::payloads::Request;
use crate::recorder::{Recorder, Seen};

/// A free port may be taken by somebody else before the server has it.
const STARTS_MAX: usize = 5;

/// How to start a server. In texts, `@DIR@` is a folder of its own, `@PORT@` and `@RECORDER@` are
/// ports to listen on and to pass requests on to, `@ORIGINS@` is the folder of the applications.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// A program of the Python environment, or of the system.
    pub(crate) program: Program,
    pub(crate) arguments: &'static [&'static str],
    /// Written to `@DIR@/conf`, for a server that passes requests on instead of noting them.
    pub(crate) config: Option<&'static str>,
}

/// Where a program is.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    Python(&'static str),
    System(&'static str),
}

/// A running server; dropping it ends it.
pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    child: Child,
    dir: TempDir,
    passes_on: bool,
    lines: usize,
}

impl Origin {
    /// Starts `server` before `recorder`, and waits until it listens.
    pub(crate) async fn start(server: &Server, recorder: &Recorder) -> Self {
        for _ in 0..STARTS_MAX {
            let dir = TempDir::new().expect("there is room for a folder");
            let mut child = spawn(server, dir.path(), recorder.addrs[0].port());
            let what = format!("{} to listen", server.name);
            let listening = wait_for(PATIENCE, &what, async || {
                let has_ended = child.try_wait().expect("a child of ours").is_some();
                let listening = proc::listening(child.id()).first().copied();
                (has_ended || listening.is_some()).then_some(listening)
            });
            if let Some(addr) = listening.await {
                let passes_on = server.config.is_some();
                return Self { addr, child, dir, passes_on, lines: 0 };
            }
            eprintln!("{} ended: {}", server.name, output(dir.path()));
        }
        panic!("{} does not start", server.name);
    }

    /// What its application was handed since the last call, or `recorder` behind it was.
    pub(crate) fn take(&mut self, recorder: &Recorder) -> Vec<Seen> {
        if self.passes_on {
            let mut seen = recorder.take();
            for seen in &mut seen {
                // A server that passes a request on may add whom it got it from: Herder.
                seen.tag.truncate(
                    seen.tag.strip_suffix(", 127.0.0.1").map_or(seen.tag.len(), str::len),
                );
            }
            return seen;
        }
        let text = fs::read_to_string(self.dir.path().join("seen")).unwrap_or_default();
        let seen: Vec<Seen> = text.lines().skip(self.lines).map(parse).collect();
        self.lines += seen.len();
        seen
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        proc::kill(self.child.id());
        self.child.wait().expect("a killed child of ours ends");
        if std::thread::panicking() {
            eprintln!("--- the origin wrote:\n{}\n---", output(self.dir.path()));
        }
    }
}

/// Starts a server that the kernel kills when the test ends in any way.
fn spawn(server: &Server, dir: &Path, recorder: u16) -> Child {
    let origins = places::root().join("crates/herder/tests/origins");
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = free.local_addr().expect("a bound socket has an address").port();
    drop(free);
    let fill = |text: &str| {
        text.replace("@DIR@", dir.to_str().expect("a folder of plain letters"))
            .replace("@ORIGINS@", origins.to_str().expect("a folder of UTF-8"))
            .replace("@PORT@", &port.to_string())
            .replace("@RECORDER@", &recorder.to_string())
    };
    if let Some(config) = server.config {
        fs::write(dir.join("conf"), fill(config)).expect("a fresh folder can be written to");
    }
    let log = fs::File::create(dir.join("output")).expect("a fresh folder can be written to");
    let log_too = log.try_clone().expect("a file has more than one descriptor");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program(server.program));
    command.args(server.arguments.iter().map(|argument| fill(argument)));
    command.env("SEEN", dir.join("seen")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("PYTHONPATH", &origins).current_dir(dir);
    command.stdin(Stdio::null()).stdout(log).stderr(log_too);
    command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}; it is part of util-linux"))
}

fn program(program: Program) -> PathBuf {
    let name = match program {
        Program::Python(name) => return places::venv(name),
        Program::System(name) => name,
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin"]);
    let mut found = folders.map(|folder| Path::new(folder).join(name));
    let found = found.find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: run `scripts/test --install-only` once"))
}

/// What it wrote, to any file of its folder.
fn output(dir: &Path) -> String {
    let files = ["output", "error.log"].map(|name| fs::read_to_string(dir.join(name)));
    files.into_iter().flatten().collect()
}

fn parse(line: &str) -> Seen {
    let line: Value = serde_json::from_str(line).expect("an application writes JSON");
    let text = |key: &str| line[key].as_str().expect("it is text").to_owned();
    let latin1 = |key| {
        let chars = text(key).chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>();
        chars.expect("it is Latin-1")
    };
    let body = text("body");
    let hex = (0..body.len()).step_by(2).map(|at| u8::from_str_radix(&body[at..at + 2], 16));
    let body = hex.collect::<Result<_, _>>().expect("it is hexadecimal");
    let request = Request { method: latin1("method"), target: latin1("target"), body };
    Seen { tag: text("tag"), request: Ok(request) }
}
