//! Where one instance is reached, with the counters that all workers share.
//! It reads no clock and opens no socket; a guard counts one request while it lives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::live::{Entered, Live};
use crate::streaks::Streaks;
use crate::{InstanceId, Latency, Notice, Outcome, Samples, Streak, Time, Trial};

/// The bit of `load` that says that no new request may begin.
const CLOSED: u32 = 1 << 31;

/// The limit of an endpoint that has none: more requests cannot be counted.
pub const UNLIMITED: u32 = CLOSED - 1;

/// Where an instance is reached. One exists per instance, for the whole life of the instance, and
/// every table that contains the instance holds the same one: counters survive every rebuild.
///
/// What a pick reads of each endpoint, and what every request writes, comes first and fills one
/// line of the cache: a worker that looks at an endpoint, of which others change the count all the
/// time, has to get that line anyway, and needs no other one.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Endpoint {
    /// Requests in flight; the top bit is `CLOSED`. Both in one word, so that closing and
    /// beginning cannot miss each other.
    load: AtomicU32,
    /// Requests that may be in flight at once.
    limit: AtomicU32,
    latency: Latency,
    /// The share of requests relative to the others of its pool; at least 1.
    pub weight: u32,
    /// See [`Endpoint::share`].
    share: AtomicU32,
    /// Distinguishes endpoints within this process cheaply: unique and never given twice.
    pub key: u64,
    requests: AtomicU64,
    /// What the endpoints of its service have in common.
    live: Arc<Live>,
    /// Whether [`Endpoint::samples`] are wanted.
    is_sampled: AtomicBool,
    /// Whose endpoint this is.
    pub id: InstanceId,
    /// The address that the data plane connects to.
    pub addr: SocketAddr,
    /// What it is known by beyond the life of a table.
    identity: Identity,
    streaks: Streaks,
    failures: AtomicU64,
    /// See [`Endpoint::rests_until`]; in milliseconds.
    rests_until: AtomicU64,
    /// What they took, while its limit is to follow that.
    samples: Box<Samples>,
}

/// As the doc of the type says.
const _: () = assert!(std::mem::offset_of!(Endpoint, is_sampled) < 64);

/// What tells an endpoint from the others of its service, for Herder and for its kin in front of
/// the same instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Number,
    Address,
}

/// The whole of an endpoint's weight: see [`Endpoint::share`].
pub const SHARE_FULL: u32 = 1024;

/// One request in flight at an endpoint. Dropping it, for whatever reason, ends the request.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
    /// Whether it has a place under the limit of the service.
    is_counted: bool,
}

impl Endpoint {
    /// An endpoint that is open and has no request in flight. A `weight` of 0 counts as 1.
    pub fn new(id: InstanceId, key: u64, addr: SocketAddr, weight: u32) -> Self {
        Self {
            id,
            key,
            addr,
            weight: weight.max(1),
            identity: Identity::Number,
            load: AtomicU32::new(0),
            limit: AtomicU32::new(UNLIMITED),
            share: AtomicU32::new(SHARE_FULL),
            latency: Latency::default(),
            samples: Box::default(),
            is_sampled: AtomicBool::new(false),
            rests_until: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            streaks: Streaks::new(),
            live: Arc::default(),
        }
    }

    /// The same, known by its address: somebody else runs the instance, and its number says no more
    /// than when it was added.
    pub fn known_by_address(self) -> Self {
        Self { identity: Identity::Address, ..self }
    }

    /// What hashes and cookies know it by: its number, or its address if it is known by that.
    pub fn identity(&self) -> String {
        match self.identity {
            Identity::Number => self.id.number.to_string(),
            Identity::Address => self.addr.to_string(),
        }
    }

    /// The same as one of a service's.
    #[must_use]
    pub fn of(self, live: &Arc<Live>) -> Self {
        Self { live: Arc::clone(live), ..self }
    }

    /// Counts one more request in flight, unless the endpoint is closed or full, or its service is.
    ///
    /// Together with [`Endpoint::close`] this is what makes "no request reaches an instance that
    /// was told to stop" true and not likely: one atomic word holds the count and the closed bit,
    /// so either the request is counted before the close and waited for, or it sees the close and
    /// goes elsewhere.
    pub fn begin(self: &Arc<Self>) -> Option<InFlight> {
        let entered = self.live.enter();
        if entered == Entered::Full {
            return None;
        }
        let is_counted = entered == Entered::Counted;
        if !self.take() {
            if is_counted {
                self.live.leave();
                self.live.freed();
            }
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(InFlight { endpoint: Arc::clone(self), is_counted })
    }

    /// Takes a place, if there is one.
    fn take(&self) -> bool {
        let limit = self.limit();
        if limit == UNLIMITED {
            let is_closed = self.load.fetch_add(1, Ordering::AcqRel) & CLOSED != 0;
            if is_closed {
                self.load.fetch_sub(1, Ordering::AcqRel);
            }
            return !is_closed;
        }
        // Not added and taken back: others would see a place as taken that is not. A closed one is
        // above every limit.
        let one_more = |load| (load < limit).then_some(load + 1);
        self.load.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    /// From now on no request begins here. Cannot be undone: draining never becomes ready.
    pub fn close(&self) {
        self.load.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Whether [`Endpoint::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.load.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How many requests may be in flight at once from now on; those that are stay. Never none:
    /// 0 counts as 1.
    pub fn set_limit(&self, in_flight_max: u32) {
        let limit = in_flight_max.clamp(1, UNLIMITED);
        if self.limit.swap(limit, Ordering::SeqCst) < limit {
            self.live.freed();
        }
    }

    /// How many requests may be in flight at once; [`UNLIMITED`] if nothing limits them.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether a request could begin now.
    pub fn is_free(&self) -> bool {
        self.load.load(Ordering::Acquire) < self.limit()
    }

    /// How many more requests may begin, as far as the endpoint's own limit goes.
    pub fn room(&self) -> u32 {
        self.limit.load(Ordering::SeqCst).saturating_sub(self.load.load(Ordering::SeqCst))
    }

    /// The part of its weight that counts now, out of [`SHARE_FULL`], while it is new or has asked
    /// for less.
    pub fn share(&self) -> u32 {
        self.share.load(Ordering::Relaxed)
    }

    /// Sets [`Endpoint::share`]: at least 1, at most [`SHARE_FULL`].
    pub fn set_share(&self, share: u32) {
        self.share.store(share.clamp(1, SHARE_FULL), Ordering::Relaxed);
    }

    /// How fast it answers, and how much trouble there is with it.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// How long its answers take, counted from the first call on. One alone takes windows from it.
    pub fn samples(&self) -> &Samples {
        self.is_sampled.store(true, Ordering::Relaxed);
        &self.samples
    }

    /// When it wants to be asked again: it has said so with Retry-After. No request is sent again
    /// to it before.
    pub fn rests_until(&self) -> Time {
        Time::from_ms(self.rests_until.load(Ordering::Relaxed))
    }

    /// It has said that it wants to be asked again at `time`; what it said before is forgotten.
    pub fn rest_until(&self, time: Time) {
        self.rests_until.store(time.as_ms(), Ordering::Relaxed);
    }

    /// How many failures there were in a row, up to now.
    pub fn streak(&self) -> Streak {
        self.streaks.now()
    }

    /// From how many failures in a row on [`InFlight::observe`] calls for attention; 0 of a kind
    /// never does.
    pub fn set_streak_bounds(&self, bounds: Streak) {
        self.streaks.set_bounds(bounds);
    }

    /// Begins the failures in a row anew.
    pub fn forget_streak(&self) {
        self.streaks.forget();
    }

    /// The next outcome decides a trial: see [`Endpoint::trial`].
    pub fn begin_trial(&self) {
        self.streaks.begin_trial();
    }

    /// How the trial stands; none without one.
    pub fn trial(&self) -> Option<Trial> {
        self.streaks.trial()
    }

    /// Ends the trial, whatever came of it.
    pub fn end_trial(&self) {
        self.streaks.end_trial();
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.load.load(Ordering::Acquire) & !CLOSED
    }

    /// Requests begun so far, retries included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that failed through the instance's fault so far.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl InFlight {
    /// Where the request is in flight.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Takes note of what the instance made of the request, once per attempt. Whoever is told to
    /// [`Notice::Look`] says so to control.
    pub fn observe(&self, outcome: Outcome, now: Time) -> Notice {
        self.endpoint.latency.learn(outcome, now);
        if self.endpoint.is_sampled.load(Ordering::Relaxed)
            && let Outcome::Answered(Some(latency)) = outcome
        {
            self.endpoint.samples.add(latency, self.endpoint.in_flight());
        }
        match outcome {
            Outcome::Failed | Outcome::ServerError { .. } => {
                self.endpoint.failures.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Answered(_)
            | Outcome::Overloaded(_)
            | Outcome::Abandoned(_)
            | Outcome::Unknown => {}
        }
        self.endpoint.streaks.observe(outcome)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.load.fetch_sub(1, Ordering::SeqCst);
        if self.is_counted {
            self.endpoint.live.leave();
        }
        self.endpoint.live.freed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Arc<Endpoint> {
        let addr = "127.0.0.1:1".parse().unwrap();
        Arc::new(Endpoint::new("shop.1".parse().unwrap(), 1, addr, 0))
    }

    #[test]
    fn a_guard_counts_until_it_is_dropped() {
        let endpoint = endpoint();
        let (a, b) = (endpoint.begin().unwrap(), endpoint.begin().unwrap());
        assert_eq!((endpoint.in_flight(), endpoint.requests()), (2, 2));
        assert_eq!(a.observe(Outcome::Failed, Time::default()), Notice::Nothing);
        drop(a);
        drop(b);
        assert_eq!((endpoint.in_flight(), endpoint.requests(), endpoint.failures()), (0, 2, 1));
    }

    #[test]
    fn closing_lets_the_begun_finish_and_none_begin() {
        let endpoint = endpoint();
        let begun = endpoint.begin().unwrap();
        endpoint.close();
        assert!(endpoint.begin().is_none());
        assert_eq!((endpoint.in_flight(), endpoint.requests()), (1, 1));
        drop(begun);
        assert_eq!(endpoint.in_flight(), 0);
        assert!(endpoint.is_closed());
    }

    #[test]
    fn a_full_endpoint_takes_no_more_until_one_ends() {
        let endpoint = endpoint();
        endpoint.set_limit(2);
        let (one, _two) = (endpoint.begin().unwrap(), endpoint.begin().unwrap());
        assert!(!endpoint.is_free() && endpoint.begin().is_none());
        drop(one);
        assert!(endpoint.is_free());
        let _three = endpoint.begin().unwrap();
        endpoint.set_limit(0);
        assert_eq!((endpoint.limit(), endpoint.in_flight(), endpoint.requests()), (1, 2, 3));
        endpoint.set_limit(u32::MAX);
        endpoint.close();
        assert!(endpoint.begin().is_none() && !endpoint.is_free());
    }

    #[test]
    fn a_full_service_takes_no_more_wherever_there_is_room() {
        let live = Arc::new(Live::default());
        let [a, b] = [1, 2].map(|key| {
            let addr = "127.0.0.1:1".parse().unwrap();
            Arc::new(Endpoint::new("shop.1".parse().unwrap(), key, addr, 1).of(&live))
        });
        let before = a.begin().unwrap();
        live.set_limit(2);
        b.set_limit(1);
        let (one, two) = (a.begin().unwrap(), b.begin().unwrap());
        assert!(a.begin().is_none() && live.room() == 0);
        drop(before);
        assert!(a.begin().is_none(), "it was not counted");
        drop(one);
        assert!(b.begin().is_none() && live.room() == 1, "what a full endpoint refuses is free");
        drop(two);
        live.set_limit(u32::MAX);
        assert_eq!((live.room(), a.room(), b.room()), (UNLIMITED, UNLIMITED, 1));
        b.close();
        assert_eq!(b.room(), 0);
    }

    /// The claim in the doc of `begin`: once closed and seen at zero, it stays at zero.
    #[test]
    fn no_request_begins_after_a_close_that_saw_none() {
        for _ in 0..200 {
            let endpoint = endpoint();
            let late = std::thread::scope(|scope| {
                let workers: Vec<_> = (0..2)
                    .map(|_| {
                        scope.spawn(|| {
                            while let Some(guard) = endpoint.begin() {
                                drop(guard);
                            }
                        })
                    })
                    .collect();
                endpoint.close();
                while endpoint.in_flight() != 0 {
                    std::hint::spin_loop();
                }
                let seen = endpoint.requests();
                for worker in workers {
                    worker.join().unwrap();
                }
                endpoint.requests() - seen
            });
            assert_eq!(late, 0);
        }
    }
}
