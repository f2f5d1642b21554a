//! What instances use of the machine, looked at once a second on a thread of its own.
//! It measures, and draws no conclusion: what follows is for the state and for `scale` to say.

mod meter;
mod process;
mod tally;

use std::time::Duration;

use model::InstanceId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::meter::Meter;
use crate::{Event, Measured};

/// Between two looks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// An instance that is to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Which.
    pub(crate) id: InstanceId,
    /// The process that leads its process group.
    pub(crate) leader: i32,
}

/// Looks at instances, one look at a time. Dropping it stops it after the look that runs.
pub(crate) struct Measurer {
    /// Holds the next look. While one runs and another waits, further ones are left out.
    looks: mpsc::Sender<Vec<Subject>>,
    task: JoinHandle<()>,
}

impl Measurer {
    /// A measurer that reports to `events`, in the `LocalSet` of the caller.
    pub(crate) fn start(events: mpsc::Sender<Event>) -> Self {
        let (looks, asked) = mpsc::channel(1);
        Self { looks, task: tokio::task::spawn_local(run(asked, events)) }
    }

    /// Looks at these instances, soon; `Measured` follows. Not while an earlier look is late.
    pub(crate) fn look(&self, subjects: Vec<Subject>) {
        if self.looks.try_send(subjects).is_err() {
            tracing::debug!("left out a look at what instances use: the one before is not done");
        }
    }
}

impl Drop for Measurer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut asked: mpsc::Receiver<Vec<Subject>>, events: mpsc::Sender<Event>) {
    let mut meter = Meter::new();
    while let Some(subjects) = asked.recv().await {
        let look = tokio::task::spawn_blocking(move || {
            let measured = meter.look(&subjects);
            (meter, measured)
        });
        let Ok((again, measured)) = look.await else {
            tracing::error!("a look at what instances use failed; please report this");
            return;
        };
        meter = again;
        if events.send(Event::Measured(Measured { instances: measured })).await.is_err() {
            return;
        }
    }
}
