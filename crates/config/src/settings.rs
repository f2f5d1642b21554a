//! What a configuration asks for, in two lifetimes: what may change while Herder runs, and what
//! takes a restart. Everything is resolved: no default is left to anybody else.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Everything a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What may change while Herder runs.
    pub desired: model::Desired,
    /// What takes a restart.
    pub settings: Settings,
}

/// What takes a restart to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads that carry requests; one per core when absent.
    pub workers: Option<NonZeroUsize>,
    /// The Unix socket of the admin API; chosen by the binary when absent.
    pub admin_socket: Option<PathBuf>,
    /// The loopback address of the read-only admin API; none when it is off.
    pub admin_bind: Option<SocketAddr>,
    /// The ports given to instances, first and last.
    pub ports: (u16, u16),
    /// Entries kept in the journal; older ones are dropped.
    pub journal_max: usize,
    /// Last lines kept per instance; older ones are dropped.
    pub lines_max: usize,
    /// One line per request, if there is to be one.
    pub access_log: Option<AccessLog>,
    /// How Herder's own log is written.
    pub log_format: LogFormat,
    /// What is kept on disk; a path that is not absolute is beside the file.
    pub storage_dir: PathBuf,
    /// How long samples are kept; none are when it is off.
    pub history: Option<Duration>,
}

/// One line per request: how, where and of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// How a line is written.
    pub format: LogFormat,
    /// The file, which is appended to; standard output when absent.
    pub path: Option<PathBuf>,
    /// One in so many of the requests that end well has a line, and all others.
    pub one_in: NonZeroU32,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs, one object per line.
    Json,
}
