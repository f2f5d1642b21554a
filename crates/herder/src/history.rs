//! What services were asked, second by second, kept on disk for some days: to replay a load
//! against another policy, and to begin where a Herder that ended had been.
//! It decides nothing, and nobody waits for it: what it cannot keep is lost, and it says so.

mod minute;
mod store;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Record, Remembered, Sampled};
use model::ServiceName;

use self::minute::Minute;
use self::store::Store;
use self::writer::{Message, Seen, Writer};

pub(crate) use self::store::Error;

/// What was measured and is not written yet. Beyond: it is lost, and counted.
const MESSAGES_MAX: usize = 256;
/// What was desired longer ago than that says nothing of the demand of now.
const REMEMBERED_MAX: Duration = Duration::from_secs(3600);
/// The name of its file in the directory.
const FILE: &str = "history.redb";

/// The samples of some days. Dropping it without [`History::close`] may lose the last minute.
#[derive(Debug)]
pub(crate) struct History {
    store: Arc<Store>,
    messages: SyncSender<Message>,
    thread: JoinHandle<()>,
}

/// Answers questions about the samples, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Archive(Arc<Store>);

impl History {
    /// Opens the file in this directory, which is there, and keeps samples for so long.
    ///
    /// # Errors
    /// It cannot be used; another Herder may have it.
    pub(crate) fn open(dir: &Path, kept: Duration) -> Result<Self, Error> {
        let store = Arc::new(Store::open(&dir.join(FILE))?);
        let (messages, inbox) = sync_channel(MESSAGES_MAX);
        let writer = Writer::new(Arc::clone(&store), kept.as_secs());
        let thread = thread::Builder::new()
            .name("history".into())
            .spawn(move || writer.run(&inbox))
            .map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Self { store, messages, thread })
    }

    /// What each service had when it was measured last, if that was not long ago.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn remembered(&self) -> Result<BTreeMap<ServiceName, Remembered>, Error> {
        let now_s = unix_s();
        let recent = |(name, last): (ServiceName, store::Last)| {
            let ago = Duration::from_secs(now_s.saturating_sub(last.at_s));
            (ago <= REMEMBERED_MAX).then_some((name, Remembered { desired: last.desired, ago }))
        };
        Ok(self.store.last()?.into_iter().filter_map(recent).collect())
    }

    /// What hands over samples; it never waits.
    pub(crate) fn recorder(&self) -> Record {
        let messages = self.messages.clone();
        let lost = self.store.lost();
        Box::new(move |sampled: &[Sampled]| {
            let at_s = unix_s();
            let seen = sampled.iter().map(|sampled| Seen::of(sampled, at_s)).collect();
            if let Err(TrySendError::Full(_)) = messages.try_send(Message::Seen(seen)) {
                lost.add();
            }
        })
    }

    /// What answers questions.
    pub(crate) fn archive(&self) -> Archive {
        Archive(Arc::clone(&self.store))
    }

    /// Writes what is left and ends. It waits for the disk.
    pub(crate) fn close(self) {
        // It may have ended by a defect, which was told.
        self.messages.send(Message::End).ok();
        if self.thread.join().is_err() {
            tracing::error!("the thread that keeps the history failed; please report this");
        }
    }
}

impl Archive {
    /// What a service was asked from one second to before another, in Unix time, as a trace: CSV
    /// with a heading, as `herder simulate scale --trace` reads it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn trace(
        &self,
        service: &ServiceName,
        from_s: u64,
        to_s: u64,
    ) -> Result<String, Error> {
        let minutes = self.0.minutes(service, from_s / 60, to_s.div_ceil(60))?;
        Ok(minute::trace(&minutes, from_s, to_s))
    }

    /// What a service was asked in the last minutes that are kept, as a forecast wants it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn past(&self, service: &ServiceName) -> Result<Vec<scale::Minute>, Error> {
        let minutes = self.0.minutes(service, 0, u64::MAX)?;
        Ok(minutes.iter().map(Minute::mean).collect())
    }
}

/// Seconds since 1970; a clock before that is at 1970.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}
