//! What a configuration asks for, in two lifetimes: what may change while Herder runs, and what
//! takes a restart. Everything is resolved: no default is left to anybody else.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

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
    /// One line per request.
    pub access_log: AccessLog,
    /// How Herder's own log is written.
    pub log_format: LogFormat,
}

/// Whether there is a line per request, and where. Without a path it goes to standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// There is none.
    #[default]
    Off,
    /// For people.
    Text {
        /// The file, which is appended to.
        path: Option<PathBuf>,
    },
    /// For programs, one object per line.
    Json {
        /// The file, which is appended to.
        path: Option<PathBuf>,
    },
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
