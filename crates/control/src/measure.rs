//! What instances use of the machine, what it has, and how fast services answer, looked at once a
//! second on a thread of its own.
//! It measures, and draws no conclusion: what follows is for the state and for `scale` to say.

mod latency;
pub(crate) mod machine;
mod meter;
pub(crate) mod process;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use model::InstanceId;
use telemetry::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use self::latency::Answering;

use self::latency::Stopwatch;
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

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// What they use.
    pub(crate) instances: Vec<Subject>,
    /// How fast they answer.
    pub(crate) services: Vec<Answering>,
}

/// Looks at instances, one look at a time. Dropping it stops it after the look that runs.
pub(crate) struct Measurer {
    /// Holds the next look. While one runs and another waits, further ones are left out.
    looks: mpsc::Sender<Look>,
    task: JoinHandle<()>,
}

impl Measurer {
    /// A measurer that reports to `events`, in the `LocalSet` of the caller. Workers time answers
    /// in `registry`.
    pub(crate) fn start(events: mpsc::Sender<Event>, registry: Arc<Registry>) -> Self {
        let (looks, asked) = mpsc::channel(1);
        let eyes = Eyes { meter: Meter::new(), stopwatch: Stopwatch::new(registry) };
        Self { looks, task: tokio::task::spawn_local(run(eyes, asked, events)) }
    }

    /// Looks at all this, soon; `Measured` follows. Not while an earlier look is late.
    pub(crate) fn look(&self, look: Look) {
        if self.looks.try_send(look).is_err() {
            tracing::debug!("left out a look at what instances use: the one before is not done");
        }
    }
}

impl Drop for Measurer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What remembers how things stood before.
struct Eyes {
    meter: Meter,
    stopwatch: Stopwatch,
}

impl Eyes {
    fn look(&mut self, look: &Look) -> Measured {
        Measured {
            instances: self.meter.look(&look.instances),
            latencies: self.stopwatch.look(&look.services),
            hardware: machine::look(),
        }
    }
}

async fn run(mut eyes: Eyes, mut asked: mpsc::Receiver<Look>, events: mpsc::Sender<Event>) {
    while let Some(look) = asked.recv().await {
        let looks = tokio::task::spawn_blocking(move || {
            let measured = eyes.look(&look);
            (eyes, measured)
        });
        let Ok((again, measured)) = looks.await else {
            tracing::error!("a look at what instances use failed; please report this");
            return;
        };
        eyes = again;
        if events.send(Event::Measured(measured)).await.is_err() {
            return;
        }
    }
}
