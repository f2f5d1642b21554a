//! What all workers share about one service, and every table of it holds.
//! It outlives tables. Nobody waits for another to read a counter.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::UNLIMITED;

/// The living state of one service. One exists per service name for the whole life of Herder, so
/// that a rebuild of the table starts nothing again.
#[derive(Debug)]
pub struct Live {
    /// Counts picks: whose turn it is.
    turn: Apart<AtomicU64>,
    /// Attempts after the first that are under way.
    retrying: AtomicU32,
    /// What retries have cost so far.
    spent: AtomicU64,
    /// What second copies have cost so far.
    hedged: AtomicU64,
    /// What few answers are slower than, in microseconds, and how many answers it was learned from.
    slow: AtomicU64,
    slow_samples: AtomicU32,
    /// The same of what half of the answers are slower than.
    usual: AtomicU64,
    usual_samples: AtomicU32,
    /// Requests that wait for an endpoint.
    waiting: AtomicU32,
    /// Those among them that take any endpoint, and so have a place in line.
    in_line: AtomicU32,
    /// Requests that wanted an endpoint and did not get one.
    turned_away: AtomicU64,
    /// Requests in flight at all endpoints, while there is a limit.
    in_flight: Apart<AtomicU32>,
    /// See [`Live::set_limit`].
    limit: AtomicU32,
    /// Made by the first that waits; looked at only while somebody waits.
    line: Mutex<Option<Arc<dyn Line>>>,
}

/// On lines of the cache of its own (two, as processors fetch them in pairs): every request writes
/// it, and what lies beside it is read by every request and hardly ever written.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Where the data plane keeps those who wait. It is told when there may be a place for one.
pub trait Line: Any + fmt::Debug + Send + Sync {
    /// A request in flight has ended, or a limit was raised. Called by whichever thread did it,
    /// only while somebody waits.
    fn freed(&self);

    /// How long the one that waits longest has waited; none when nobody waits.
    fn oldest(&self) -> Option<Duration>;

    /// How many percent of the requests are refused now because too many fail.
    fn refused_percent(&self) -> u32;
}

impl Default for Live {
    fn default() -> Self {
        Self {
            turn: Apart::default(),
            retrying: AtomicU32::default(),
            spent: AtomicU64::default(),
            hedged: AtomicU64::default(),
            slow: AtomicU64::default(),
            slow_samples: AtomicU32::default(),
            usual: AtomicU64::default(),
            usual_samples: AtomicU32::default(),
            waiting: AtomicU32::default(),
            in_line: AtomicU32::default(),
            turned_away: AtomicU64::default(),
            in_flight: Apart::default(),
            limit: AtomicU32::new(UNLIMITED),
            line: Mutex::default(),
        }
    }
}

impl Live {
    /// Takes the next turn.
    pub fn take_turn(&self) -> u64 {
        self.turn.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The same for who needs no exact order: two workers that take one in the same moment may get
    /// the same, and neither waits for the other.
    pub fn take_turn_loosely(&self) -> u64 {
        let turn = self.turn.0.load(Ordering::Relaxed);
        self.turn.0.store(turn.wrapping_add(1), Ordering::Relaxed);
        turn
    }

    /// Attempts after the first that are under way, over all workers.
    pub fn retrying(&self) -> &AtomicU32 {
        &self.retrying
    }

    /// What retries have cost so far, over all workers, in the measure of `balance::budget`.
    pub fn spent(&self) -> &AtomicU64 {
        &self.spent
    }

    /// What second copies of requests have cost so far, in the same measure.
    pub fn hedged(&self) -> &AtomicU64 {
        &self.hedged
    }

    /// What few answers are slower than, in microseconds: `balance::quantile` learns it.
    pub fn slow(&self) -> &AtomicU64 {
        &self.slow
    }

    /// How many answers that was learned from, up to a bound.
    pub fn slow_samples(&self) -> &AtomicU32 {
        &self.slow_samples
    }

    /// What half of the answers are slower than, in microseconds: `balance::quantile` learns it.
    pub fn usual(&self) -> &AtomicU64 {
        &self.usual
    }

    /// How many answers that was learned from, up to a bound.
    pub fn usual_samples(&self) -> &AtomicU32 {
        &self.usual_samples
    }

    /// Requests that wait for an endpoint, over all workers.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether requests that take any endpoint wait: a new one goes behind them.
    pub fn has_line(&self) -> bool {
        self.in_line.load(Ordering::Relaxed) > 0
    }

    /// Counts those who wait, and those among them that have a place in line. To be called before
    /// the last look for a free endpoint: see [`Live::freed`].
    pub fn count_waiting(&self, waiting: u32, in_line: u32) {
        self.in_line.store(in_line, Ordering::SeqCst);
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Counts a request that has waited for nothing, or was not let into the queue.
    pub fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that wanted an endpoint and did not get one, so far: they are demand too.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// How many requests may be in flight at all endpoints together from now on, [`UNLIMITED`] for
    /// no bound; those that are stay, and those that began without a limit are not counted. Never
    /// none: 0 counts as 1.
    pub fn set_limit(&self, in_flight_max: u32) {
        let limit = in_flight_max.clamp(1, UNLIMITED);
        if self.limit.swap(limit, Ordering::SeqCst) < limit {
            self.freed();
        }
    }

    /// How many more requests may begin, as far as the limit of the service goes.
    pub fn room(&self) -> u32 {
        match self.limit.load(Ordering::SeqCst) {
            UNLIMITED => UNLIMITED,
            limit => limit.saturating_sub(self.in_flight.0.load(Ordering::SeqCst)),
        }
    }

    /// The line of this service, made when it is asked for first.
    ///
    /// # Panics
    /// When it is asked for as two different types.
    pub fn line<L: Line + Default>(&self) -> Arc<L> {
        let line = Arc::clone(self.kept().get_or_insert_with(|| Arc::new(L::default())));
        let line: Arc<dyn Any + Send + Sync> = line;
        line.downcast().expect("one data plane keeps the line of a service")
    }

    /// How long the request that waits longest has waited; none when none waits.
    pub fn oldest_waiting(&self) -> Option<Duration> {
        let line = self.kept().clone()?;
        line.oldest()
    }

    /// How many percent of the requests are refused now because too many fail.
    pub fn refused_percent(&self) -> u32 {
        let line = self.kept().clone();
        line.map_or(0, |line| line.refused_percent())
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<dyn Line>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place under the limit of the service.
    pub(crate) fn enter(&self) -> Entered {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == UNLIMITED {
            return Entered::Free;
        }
        let one_more = |in_flight| (in_flight < limit).then_some(in_flight + 1);
        match self.in_flight.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more) {
            Ok(_) => Entered::Counted,
            Err(_) => Entered::Full,
        }
    }

    /// Gives a place back that was counted. [`Live::freed`] has to follow.
    pub(crate) fn leave(&self) {
        self.in_flight.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// Tells the line that there may be a place, if anybody waits: all that a request costs while
    /// nobody does is this one load.
    ///
    /// Nobody is forgotten: whoever waits is counted first and looks for a place then, and who
    /// frees one does so first and looks at the count then, all of it in one order that all threads
    /// see alike (`SeqCst`). So one of the two sees the other.
    pub(crate) fn freed(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let line = self.kept().clone();
        if let Some(line) = line {
            line.freed();
        }
    }
}

/// Whether there is a place under the limit of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// There is no limit, and nothing to give back.
    Free,
    /// It was taken.
    Counted,
    /// There is none.
    Full,
}
