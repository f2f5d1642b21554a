//! How the command ends: one exit code per kind of end, and the failure that carries it.
//! It prints nothing itself and decides nothing; `cli` turns a failure into text once.

use std::fmt;
use std::process::ExitCode;

/// What the exit code says. The numbers are a promise: scripts and service managers read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Whoever read the output went away, as in `herder journal | head`: nothing is left to say.
    Unread = 0,
    /// Something was refused, failed, or was not done in time.
    Failed = 1,
    /// The command line is not right; what clap finds wrong with it ends the same way.
    Usage = 2,
    /// No running Herder answers at the socket.
    NotRunning = 3,
    /// The configuration has problems; `EX_CONFIG` of sysexits, which systemd knows by name.
    Config = 78,
    /// A second signal came while Herder was draining: everything was killed at once.
    Killed = 130,
}

/// Why the command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The kind of end.
    pub(crate) exit: Exit,
    /// What went wrong, where, and what was expected.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// What stands below `herder --help`: an example, and the codes.
pub(crate) const HELP: &str = "\
EXAMPLE:
    herder run --health /healthz -- node server.js

EXIT CODES:
    0  done
    1  refused, failed, or not done in time; the message says which
    2  the command line is not right
    3  no running Herder answers at the socket
   78  the configuration has problems; all of them are printed
  130  a second signal during shutdown: everything was killed at once";

impl Failure {
    /// A failure of the ordinary kind.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string(), hint: None }
    }

    /// The same with another exit code.
    pub(crate) fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The same with what to do about it.
    pub(crate) fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }
}

impl From<std::io::Error> for Failure {
    /// For writing to standard output, the one place where the command does so unprompted.
    fn from(error: std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::BrokenPipe => Exit::Unread,
            _ => Exit::Failed,
        };
        Self::new(format!("could not write the output: {error}")).exit(exit)
    }
}

impl From<anyhow::Error> for Failure {
    /// The chain in one line: the outermost first, each cause after a colon.
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n{hint}"),
            None => Ok(()),
        }
    }
}
