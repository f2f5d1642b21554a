//! A store as a process of the real binary, and connections to it that read answers strictly.
//! Everything waits with a deadline, and a process that was started is gone at the end.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::PATIENCE;
use testkit::proc::{Signal, signal};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

pub(crate) struct Store {
    child: Child,
    socket: PathBuf,
}

pub(crate) struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Store {
    /// Starts one that listens on a Unix socket in `dir`, and waits until it does.
    pub(crate) fn start(dir: &Path, flags: &[&str]) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let socket = dir.join("s");
        let listen = format!("unix:{}", socket.display());
        let mut command = serve(&dir.join("kept"));
        command.args(["--listen", &listen]).args(flags);
        Self { child: ready(command), socket }
    }

    /// Starts one that keeps nothing and may have so many files open.
    pub(crate) fn with_files(dir: &Path, files: usize) -> Self {
        let socket = dir.join("s");
        let line = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &line, HERDER, "state", "serve", "--durability", "none", "--listen"]);
        command.arg(format!("unix:{}", socket.display())).stdout(Stdio::piped());
        Self { child: ready(command), socket }
    }

    /// Starts one whose socket is its standard input.
    pub(crate) fn inherit(dir: &Path, listener: OwnedFd) -> Self {
        let mut command = serve(dir);
        command.args(["--listen", "stdin"]).stdin(listener);
        Self { child: ready(command), socket: PathBuf::new() }
    }

    pub(crate) fn connect(&self) -> Connection {
        unix(&self.socket)
    }

    /// Tells it to end, and waits for that.
    pub(crate) fn end(mut self) {
        signal(self.child.id(), Signal::TERM);
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it did not end");
            std::thread::yield_now();
        };
        assert!(status.success(), "{status}");
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

fn serve(dir: &Path) -> Command {
    let mut command = Command::new(HERDER);
    command.args(["state", "serve", "--dir"]).arg(dir).stdout(Stdio::piped());
    command
}

fn ready(mut command: Command) -> Child {
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (told, telling) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut line = String::new();
        told.send(output.read_line(&mut line).map(|_| line))
    });
    let line = telling.recv_timeout(PATIENCE);
    if !matches!(&line, Ok(Ok(line)) if line.starts_with("herder: state on ")) {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("it did not begin to serve: {line:?}");
    }
    child
}

/// What a store says that is not to listen like this.
pub(crate) fn refused_on(listen: &str) -> String {
    let mut command = Command::new(HERDER);
    command.args(["state", "serve", "--durability", "none", "--listen", listen]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What a store says that cannot use `dir`.
pub(crate) fn refused(dir: &Path) -> String {
    let output = serve(dir).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// What `herder state password` prints.
pub(crate) fn password(name: &str, secret: &str) -> String {
    let output = Command::new(HERDER)
        .args(["state", "password", name, "--secret", secret])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn unix(path: &Path) -> Connection {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE.max(Duration::from_secs(20)))).unwrap();
    Connection { stream, buffer: Vec::new() }
}

impl Connection {
    pub(crate) fn asks(&mut self, words: &[&str], expected: &str) {
        let answer = self.ask(words);
        assert_eq!(String::from_utf8_lossy(&answer), expected, "{words:?}");
    }

    pub(crate) fn ask(&mut self, words: &[&str]) -> Vec<u8> {
        self.try_ask(words).unwrap()
    }

    pub(crate) fn try_ask(&mut self, words: &[&str]) -> io::Result<Vec<u8>> {
        self.stream.write_all(&wire(words))?;
        self.read()
    }

    pub(crate) fn send(&mut self, words: &[&str]) {
        self.stream.write_all(&wire(words)).unwrap();
    }

    /// Sends it as somebody would who types.
    pub(crate) fn send_line(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    /// The next answer.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = length(&self.buffer) {
                return Ok(self.buffer.drain(..length).collect());
            }
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&bytes[..count]),
            }
        }
    }
}

fn wire(words: &[&str]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", words.len());
    for word in words {
        wire += &format!("${}\r\n{word}\r\n", word.len());
    }
    wire.into_bytes()
}

/// The length of the first answer in `bytes`, if it is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number: i64 = std::str::from_utf8(&bytes[1..end - 2]).unwrap().parse().unwrap_or(-1);
    match (bytes[0], usize::try_from(number)) {
        (b'$', Ok(count)) => (bytes.len() >= end + count + 2).then_some(end + count + 2),
        (b'*', Ok(count)) => (0..count).try_fold(end, |at, _| Some(at + length(bytes.get(at..)?)?)),
        _ => Some(end),
    }
}
