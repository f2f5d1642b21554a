//! The signals that Herder obeys, as what they mean.
//! It only listens; what follows is `run`'s business.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGINT or SIGTERM: end.
    End,
    /// SIGHUP: read the file again.
    Reload,
}

/// The signals of this process, from when it was made. None is lost while nobody waits.
#[derive(Debug)]
pub(crate) struct Signals {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Signals {
    /// Listens from now on, on the current runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Dropping the wait loses none.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            Some(()) = self.int.recv() => Asked::End,
            Some(()) = self.term.recv() => Asked::End,
            Some(()) = self.hup.recv() => Asked::Reload,
            // The streams never end; should they, nothing is asked for any more.
            else => std::future::pending().await,
        }
    }
}
