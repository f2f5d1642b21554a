//! The admin API: full rights over the Unix socket, read-only on a loopback port.
//! It serves what `control` shows and passes orders on; it decides nothing about the herd.

pub(crate) mod api;
mod host;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use control::View;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use routes::HISTORY_SECONDS_MAX;
pub(crate) use serve::{Admin, Listeners};

use crate::history::Archive;

use api::{Listener, Problem, Surroundings, Traffic};

/// Questions to the composition root that may wait. Beyond: whoever asks waits.
pub(crate) const ASKS_MAX: usize = 8;

/// Something that only the composition root can do.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Read the file again; the answer says what was taken, or why nothing was.
    Reload(oneshot::Sender<Result<String, Problem>>),
    /// Drain everything and end.
    Stop,
}

/// Writes every metric, to be sent with [`telemetry::CONTENT_TYPE`].
pub(crate) type Metrics = dyn Fn(&View) -> Result<String, std::fmt::Error> + Send + Sync;

/// What the routes can reach.
pub(crate) struct Herd {
    /// Views, journal and orders.
    pub(crate) control: control::Handle,
    /// The composition root.
    pub(crate) asks: mpsc::Sender<Ask>,
    /// Where the data plane listens now.
    pub(crate) listeners: watch::Receiver<Vec<Listener>>,
    /// What `/metrics` answers.
    pub(crate) metrics: Arc<Metrics>,
    /// What the last seconds were like, by service.
    pub(crate) traffic: watch::Receiver<BTreeMap<String, Traffic>>,
    /// The file that is run, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// What services were asked; none when it is not kept.
    pub(crate) archive: Option<Archive>,
    /// When Herder started.
    pub(crate) started: Instant,
}

impl Herd {
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            uptime: self.started.elapsed(),
            file: self.file.as_ref().map(|file| file.display().to_string()),
            listeners: self.listeners.borrow().clone(),
            traffic: self.traffic.borrow().clone(),
        }
    }
}
