//! The two that are compared: a redis-server of its own, and the store without a socket.
//! Both are asked the same on two connections; a sequence begins with nothing in either.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use state::{Options, Parser, Reply, Store, Trust};
use tempfile::TempDir;

use crate::commands::Step;
use crate::reply::Frame;

/// How long a server may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Redis {
    child: Child,
    dir: TempDir,
}

pub(crate) struct Connections(Vec<UnixStream>);

impl Redis {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--databases", "2", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", "s", "--logfile", "log", "--enable-debug-command", "no"])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is there: scripts/test --install-only brings it");
        let redis = Self { child, dir };
        let told = redis.connect().answers(&[Step::new(0, &["INFO", "server"])]);
        let told = String::from_utf8_lossy(&told[0]).into_owned();
        let version = told.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let found = version.unwrap_or("none that says so");
        assert!(
            found.starts_with("7.0."),
            "redis-server 7.0 expected, found {found}: others answer otherwise"
        );
        redis
    }

    pub(crate) fn connect(&self) -> Connections {
        let path = self.dir.path().join("s");
        let end = Instant::now() + PATIENCE;
        let connect = || loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < end, "redis-server: {error}"),
            }
            std::thread::yield_now();
        };
        let mut connections = Connections(vec![connect(), connect()]);
        for stream in &connections.0 {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let flushed = connections.answers(&[Step::new(0, &["FLUSHALL"])]);
        assert_eq!(flushed, [b"+OK\r\n"]);
        connections
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Connections {
    /// One answer to each step. As long as the client stays the same its steps go out at once.
    pub(crate) fn answers(&mut self, steps: &[Step]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        for run in steps.chunk_by(|a, b| a.client == b.client) {
            let stream = &mut self.0[run[0].client];
            let commands: Vec<u8> = run.iter().flat_map(Step::wire).collect();
            stream.write_all(&commands).unwrap();
            let mut read = Vec::new();
            for _ in run {
                let length = loop {
                    if let Some(length) = Frame::length(&read).filter(|_| !read.is_empty()) {
                        break length;
                    }
                    let mut buffer = [0; 65_536];
                    let bytes = stream.read(&mut buffer).unwrap();
                    assert_ne!(bytes, 0, "redis-server ended the connection");
                    read.extend_from_slice(&buffer[..bytes]);
                };
                answers.push(read.drain(..length).collect());
            }
        }
        answers
    }
}

pub(crate) struct Ours(Store);

impl Ours {
    pub(crate) fn start() -> Self {
        let mut store = Store::new(Options::unbounded(), fastrand::Rng::with_seed(7), 0);
        for client in 0..2 {
            store.connect(client, "unix:0".to_owned(), "unix:0".to_owned());
        }
        Self(store)
    }

    pub(crate) fn answers(&mut self, steps: &[Step]) -> Vec<Vec<u8>> {
        let mut parser = Parser::default();
        let answer = |step: &Step| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
            self.0.set_time(i64::try_from(now).unwrap());
            let (wire, mut out) = (step.wire(), Reply::default());
            assert_eq!(parser.next(&wire, Trust::Known), Ok(Some(wire.len())));
            self.0.execute(step.client, parser.args(&wire), &mut out);
            out.bytes().to_vec()
        };
        steps.iter().map(answer).collect()
    }
}
