//! What services were asked, second by second, kept on disk for some days: to replay a load
//! against another policy, and to begin where a Herder that ended had been.
//! It decides nothing, and nobody waits for it: what it cannot keep is lost, and it says so.

mod minute;
mod store;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Record, Remembered, Sampled};
use model::ServiceName;

use self::store::Store;
use self::writer::{Message, Seen, Writer};

pub(crate) use self::store::Error;

/// What was measured and is not written yet. Beyond: it is lost, and counted.
const MESSAGES_MAX: usize = 256;
/// What was desired longer ago than that says nothing of the demand of now.
const REMEMBERED_MAX: Duration = Duration::from_secs(3600);
/// What a forecast goes by: 15 days.
const PAST_MINUTES: u64 = 15 * 1440;
/// The wall clock was put forward or back, or the machine slept.
const CLOCKS_APART_MAX_MS: u64 = 3000;
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
        let ahead_ms = AtomicI64::new(0);
        Box::new(move |sampled: &[Sampled]| {
            let of = |sampled: &Sampled| Seen::of(sampled, dated_s(sampled, &ahead_ms));
            let seen = sampled.iter().map(of).collect();
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
        let from = (unix_s() / 60).saturating_sub(PAST_MINUTES);
        let mut past = Vec::new();
        self.0.each(service, (from, u64::MAX), |minute| past.push(minute.mean()))?;
        Ok(minute::whole(&past))
    }
}

/// The second that a sample is of. Samples follow each other evenly on their own clock, so each has
/// a second to itself; the wall clock is looked at only where that clock is off by seconds.
fn dated_s(sampled: &Sampled, ahead_ms: &AtomicI64) -> u64 {
    let at_ms = i64::try_from(sampled.sample.at.as_ms()).unwrap_or(i64::MAX);
    let wall_ms = i64::try_from(unix_s()).unwrap_or(i64::MAX).saturating_mul(1000);
    let off_ms = wall_ms.saturating_sub(at_ms);
    if off_ms.abs_diff(ahead_ms.load(Ordering::Relaxed)) > CLOCKS_APART_MAX_MS {
        ahead_ms.store(off_ms, Ordering::Relaxed);
    }
    let dated_ms = at_ms.saturating_add(ahead_ms.load(Ordering::Relaxed)).max(0);
    dated_ms.unsigned_abs() / 1000
}

/// Seconds since 1970; a clock before that is at 1970.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}
