//! What came of an experiment with a queue: latencies, and who went without.
//! It counts; whether that is good is for the reader.

use std::time::Duration;

use model::Priority;

/// What became of the requests. The parts of all of them are together 1, but for those that are
/// under way at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waited {
    /// Requests that came.
    pub requests: u64,
    /// How long half of those that were answered in time took at most; none if none was.
    pub p50: Option<Duration>,
    /// 99 %.
    pub p99: Option<Duration>,
    /// The part of them that was answered before its client gave up.
    pub answered: f64,
    /// The part that was refused with 503.
    pub refused: f64,
    /// The part that its client gave up on, after [`crate::simulate::CLIENT_TIMEOUT`].
    pub given_up: f64,
    /// The part of the highest class that was answered.
    pub answered_high: f64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    from_ns: u64,
    requests: u64,
    high: u64,
    answered_high: u64,
    refused: u64,
    given_up: u64,
    took_us: Vec<u64>,
}

impl Tally {
    /// Requests that come before this moment count for nothing.
    pub(super) fn from(from_ns: u64) -> Self {
        Self { from_ns, ..Self::default() }
    }

    fn counts(&self, came_ns: u64) -> u64 {
        u64::from(came_ns >= self.from_ns)
    }

    pub(super) fn came(&mut self, came_ns: u64, class: Priority) {
        self.requests += self.counts(came_ns);
        self.high += self.counts(came_ns) * u64::from(class == Priority::High);
    }

    pub(super) fn refused(&mut self, came_ns: u64) {
        self.refused += self.counts(came_ns);
    }

    pub(super) fn given_up(&mut self, came_ns: u64) {
        self.given_up += self.counts(came_ns);
    }

    pub(super) fn answered(&mut self, came_ns: u64, now_ns: u64, class: Priority) {
        if self.counts(came_ns) > 0 {
            self.took_us.push((now_ns - came_ns) / 1000);
            self.answered_high += u64::from(class == Priority::High);
        }
    }

    pub(super) fn report(mut self) -> Waited {
        self.took_us.sort_unstable();
        let part = |count: u64, of: u64| count as f64 / of.max(1) as f64;
        let quantile = |of_100: usize| {
            let rank = (self.took_us.len() * of_100).div_ceil(100);
            self.took_us.get(rank.max(1) - 1).copied().map(Duration::from_micros)
        };
        Waited {
            requests: self.requests,
            p50: quantile(50),
            p99: quantile(99),
            answered: part(self.took_us.len() as u64, self.requests),
            refused: part(self.refused, self.requests),
            given_up: part(self.given_up, self.requests),
            answered_high: part(self.answered_high, self.high),
        }
    }
}
