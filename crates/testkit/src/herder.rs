//! What to start: the real binary, with a folder and a socket of its own.
//! It sets nothing else that a user would not set, and waits for nothing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::herd::{MARK, answer, socket_in};
use crate::{Answer, Herd};

/// What to start.
#[derive(Debug)]
pub struct Herder {
    binary: PathBuf,
    dir: TempDir,
    subcommand: Vec<OsString>,
    flags: Vec<OsString>,
    command: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    socket: Option<PathBuf>,
    shell: Option<String>,
}

impl Herder {
    /// `herder run` with a socket, a listener and an admin port of its own. `binary` is
    /// `env!("CARGO_BIN_EXE_herder")`, which only tests of that crate have.
    pub fn run(binary: impl AsRef<Path>) -> Self {
        let this = Self::new(binary.as_ref());
        let flags = ["--admin", "127.0.0.1:0", "--bind", "127.0.0.1:0"];
        Self { subcommand: vec!["run".into()], ..this }.flags(flags)
    }

    /// The same without the admin port, so that a flag can name another.
    #[must_use]
    pub fn without_admin(mut self) -> Self {
        let at = self.flags.iter().position(|flag| flag == "--admin");
        if let Some(at) = at {
            self.flags.drain(at..at + 2);
        }
        self
    }

    /// `herder serve` of a file with this text, with a socket and an admin port of its own. The
    /// ports of listeners are the file's to name, as 0.
    pub fn serve(binary: impl AsRef<Path>, config: &str) -> Self {
        let this = Self::new(binary.as_ref());
        let file = this.dir.path().join("herder.toml");
        fs::write(&file, config).expect("a fresh folder can be written to");
        let subcommand = vec!["serve".into(), "--config".into(), file.into()];
        Self { subcommand, ..this }.flags(["--admin", "127.0.0.1:0"])
    }

    /// `herder demo`, whose folder for scratch files is its own, too.
    pub fn demo(binary: impl AsRef<Path>) -> Self {
        let this = Self::new(binary.as_ref());
        let scratch = this.dir.path().to_owned();
        Self { subcommand: vec!["demo".into()], ..this }.env("TMPDIR", scratch)
    }

    /// More flags of the subcommand.
    #[must_use]
    pub fn flags<T: AsRef<OsStr>>(mut self, flags: impl IntoIterator<Item = T>) -> Self {
        self.flags.extend(flags.into_iter().map(|flag| flag.as_ref().to_owned()));
        self
    }

    /// The command of the instances, for [`Herder::run`].
    #[must_use]
    pub fn command<T: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = T>) -> Self {
        self.command = command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// An environment variable of Herder.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// This socket instead of one of its own; [`Herd::socket`] and the commands stay with its own.
    #[must_use]
    pub fn socket(self, socket: impl Into<PathBuf>) -> Self {
        Self { socket: Some(socket.into()), ..self }
    }

    /// What a shell is to do before it becomes Herder, such as `ulimit -n 64`.
    #[must_use]
    pub fn shell(self, shell: &str) -> Self {
        Self { shell: Some(shell.to_owned()), ..self }
    }

    /// Runs the binary with these arguments to its end, such as `["check"]`, in a folder of its
    /// own and where no Herder runs.
    ///
    /// # Panics
    ///
    /// When it does not end within three times [`crate::PATIENCE`].
    pub async fn once<T: AsRef<OsStr>>(
        binary: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = T>,
    ) -> Answer {
        let dir = TempDir::new().expect("there is room for a folder");
        answer(binary.as_ref(), dir.path(), arguments).await
    }

    /// The folder in which Herder will run; it goes with the herd.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it. That it is up, or why it ended, is for [`Herd::up`] and [`Herd::exited`].
    ///
    /// # Panics
    ///
    /// When the binary cannot be executed.
    pub fn start(self) -> Herd {
        let mut command = match &self.shell {
            None => Command::new(&self.binary),
            Some(shell) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(format!("{shell}\nexec \"$0\" \"$@\"")).arg(&self.binary);
                command
            }
        };
        let socket = self.socket.unwrap_or_else(|| socket_in(self.dir.path()));
        command.args(&self.subcommand).arg("--socket").arg(socket);
        command.args(&self.flags);
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        command.env("NO_COLOR", "1").env(MARK, self.dir.path()).envs(self.env);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Herd::new(self.binary, self.dir, child)
    }

    fn new(binary: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            dir: TempDir::new().expect("there is room for a folder"),
            subcommand: Vec::new(),
            flags: Vec::new(),
            command: Vec::new(),
            env: Vec::new(),
            socket: None,
            shell: None,
        }
    }
}
