//! Everything counted for one service: a shard per worker, and their sum for those who read.
//! Reading adds up; it never changes a counter and never stops a worker.

use std::time::Duration;

use model::ServiceName;

use crate::exposition::{Exposition, Value};
use crate::histogram::Distribution;
use crate::names;
use crate::shard::{RETRY_LABELS, SETTLED_LABELS, STATUS_5XX, STATUS_LABELS, Shard};
use crate::timings::{Timings, TimingsSum};

/// Everything counted for one service since Herder started.
#[derive(Debug)]
pub struct ServiceSeries {
    label: Box<str>,
    error_labels: &'static [&'static str],
    shards: Box<[Shard]>,
}

/// What was counted up to one moment, or between two; 7.2 KB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    requests: u64,
    errors_5xx: u64,
    retries: u64,
    retries_denied: u64,
    hedges: u64,
    durations: Distribution,
}

/// The few numbers that a person wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Completed requests.
    pub requests: u64,
    /// Those among them answered with 500 to 599, by an instance or by Herder.
    pub errors_5xx: u64,
    /// Times that a request was sent again.
    pub retries: u64,
    /// Failures passed on because the budget of retries was used up.
    pub retries_denied: u64,
    /// Second copies of requests.
    pub hedges: u64,
    /// The duration that half of the requests did not exceed; none without requests.
    pub p50: Option<Duration>,
    /// The duration that 99 of 100 requests did not exceed; none without requests.
    pub p99: Option<Duration>,
}

impl ServiceSeries {
    pub(crate) fn new(
        label: &str,
        workers: usize,
        error_labels: &'static [&'static str],
    ) -> ServiceSeries {
        let shards = (0..workers).map(|_| Shard::new(error_labels.len())).collect();
        ServiceSeries { label: label.into(), error_labels, shards }
    }

    /// The shard that this worker, and no other thread, counts in.
    ///
    /// # Panics
    /// When `worker` is not below the number of workers that the registry was made for.
    pub fn worker(&self, worker: usize) -> &Shard {
        &self.shards[worker]
    }

    /// Requests completed since Herder started.
    pub fn requests(&self) -> u64 {
        (0..STATUS_LABELS.len()).map(|i| self.status(i)).sum()
    }

    /// What was counted since Herder started.
    pub fn snapshot(&self) -> Snapshot {
        let mut durations = Distribution::new();
        self.shards.iter().for_each(|shard| durations.add(&shard.histogram));
        let sum = |of: fn(&Shard) -> u64| self.shards.iter().map(of).sum();
        Snapshot {
            requests: self.requests(),
            errors_5xx: self.status(STATUS_5XX),
            retries: sum(|shard| shard.retries.iter().map(|reason| reason.get()).sum()),
            retries_denied: sum(|shard| shard.retries_denied.get()),
            hedges: sum(|shard| shard.hedges.get()),
            durations,
        }
    }

    /// The summary of [`ServiceSeries::snapshot`]. For the recent past, see [`crate::Recent`].
    pub fn summary(&self) -> Summary {
        self.snapshot().summary()
    }

    pub(crate) fn is_named(&self, name: &ServiceName) -> bool {
        *self.label == *name.as_str()
    }

    /// Adds this service's series to the metrics.
    pub(crate) fn expose(&self, to: &mut Exposition) {
        let service = &*self.label;
        for (i, status) in STATUS_LABELS.iter().enumerate() {
            to.add(&names::REQUESTS, &[service, status], Value::Count(self.status(i)));
        }
        for (i, reason) in RETRY_LABELS.iter().enumerate() {
            let count = self.shards.iter().map(|shard| shard.retries[i].get()).sum();
            to.add(&names::RETRIES, &[service, reason], Value::Count(count));
        }
        for (i, reason) in SETTLED_LABELS.iter().enumerate() {
            let count = self.shards.iter().map(|shard| shard.settled[i].get()).sum();
            to.add(&names::AFFINITY_COOKIES, &[service, reason], Value::Count(count));
        }
        for (label, count) in self.errors() {
            to.add(&names::ERRORS, &[service, label], Value::Count(count));
        }
        let count = |of: fn(&Shard) -> u64| Value::Count(self.shards.iter().map(of).sum());
        let level = |of: fn(&Shard) -> i64| Value::Level(self.shards.iter().map(of).sum());
        let timings = |of: fn(&Shard) -> &Timings| {
            let mut sum = TimingsSum::default();
            self.shards.iter().for_each(|shard| sum.add(of(shard)));
            Value::Timings(sum)
        };
        for (metric, value) in [
            (&names::REQUEST_DURATION, timings(|shard| &shard.durations)),
            (&names::WAIT_DURATION, timings(|shard| &shard.waits)),
            (&names::RECEIVED, count(|shard| shard.bytes_in.get())),
            (&names::SENT, count(|shard| shard.bytes_out.get())),
            (&names::COMPRESSION_INPUT, count(|shard| shard.plain_bytes.get())),
            (&names::COMPRESSION_OUTPUT, count(|shard| shard.coded_bytes.get())),
            (&names::HEDGES, count(|shard| shard.hedges.get())),
            (&names::HEDGES_WON, count(|shard| shard.hedges_won.get())),
            (&names::RETRIES_DENIED, count(|shard| shard.retries_denied.get())),
            (&names::INSTANCE_CONNECTIONS, count(|shard| shard.connects.get())),
            (&names::INSTANCE_REUSES, count(|shard| shard.reuses.get())),
            (&names::REQUESTS_IN_FLIGHT, level(|shard| shard.in_flight.get())),
            (&names::REQUESTS_WAITING, level(|shard| shard.waiting.get())),
        ] {
            to.add(metric, &[service], value);
        }
    }

    fn status(&self, index: usize) -> u64 {
        self.shards.iter().map(|shard| shard.statuses[index].get()).sum()
    }

    fn errors(&self) -> Vec<(&'static str, u64)> {
        let labels = self.error_labels.iter().copied().chain([names::OTHER]);
        let mut sums = vec![0; self.error_labels.len() + 1];
        self.shards.iter().for_each(|shard| shard.errors.add_to(&mut sums));
        labels.zip(sums).collect()
    }
}

impl Snapshot {
    /// What was counted after `earlier`, a former snapshot of the same service.
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let mut durations = self.durations.clone();
        durations.subtract(&earlier.durations);
        Snapshot {
            requests: self.requests.saturating_sub(earlier.requests),
            errors_5xx: self.errors_5xx.saturating_sub(earlier.errors_5xx),
            retries: self.retries.saturating_sub(earlier.retries),
            retries_denied: self.retries_denied.saturating_sub(earlier.retries_denied),
            hedges: self.hedges.saturating_sub(earlier.hedges),
            durations,
        }
    }

    /// The duration that the share `p` (0 to 1) of the requests did not exceed, to within 1.6 %
    /// between 512 ns and 137 s; none without requests.
    pub fn quantile(&self, p: f64) -> Option<Duration> {
        self.durations.quantile(p)
    }

    /// The few numbers that a person wants to see.
    pub fn summary(&self) -> Summary {
        Summary {
            requests: self.requests,
            errors_5xx: self.errors_5xx,
            retries: self.retries,
            retries_denied: self.retries_denied,
            hedges: self.hedges,
            p50: self.quantile(0.5),
            p99: self.quantile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Sample;

    fn sample(status: u16, ms: u64) -> Sample {
        Sample { status, duration: Duration::from_millis(ms), bytes_in: 10, bytes_out: 20 }
    }

    /// Runs under threads that all write, so that a shard shared by mistake would lose counts.
    #[test]
    fn nothing_is_lost_when_all_workers_count_at_once() {
        const EACH: u64 = 20_000;
        let series = ServiceSeries::new("shop", 4, &["timeout"]);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let shard = series.worker(worker);
                scope.spawn(move || {
                    for i in 0..EACH {
                        shard.begin();
                        shard.record(&sample(if i % 10 == 0 { 503 } else { 200 }, i % 50));
                        shard.error(0);
                        shard.end();
                    }
                });
            }
            assert!(series.summary().requests <= 4 * EACH);
        });
        let summary = series.summary();
        assert_eq!((summary.requests, summary.errors_5xx), (4 * EACH, 4 * EACH / 10));
        assert_eq!(series.snapshot().durations.count(), 4 * EACH);
        assert_eq!(series.errors(), [("timeout", 4 * EACH), ("other", 0)]);
        assert_eq!(series.shards.iter().map(|shard| shard.in_flight.get()).sum::<i64>(), 0);
    }

    #[test]
    fn a_snapshot_since_another_has_only_what_came_between() {
        let series = ServiceSeries::new("shop", 2, &[]);
        (0..100).for_each(|_| series.worker(0).record(&sample(500, 900)));
        let before = series.snapshot();
        (0..10).for_each(|_| series.worker(1).record(&sample(200, 10)));
        let since = series.snapshot().since(&before).summary();
        assert_eq!((since.requests, since.errors_5xx), (10, 0));
        let p99 = since.p99.unwrap();
        assert!((9..=11).contains(&p99.as_millis()), "{p99:?}");
        assert!(series.summary().p99.unwrap() > Duration::from_millis(850));
        assert_eq!(before.since(&before).summary(), Summary::default());
    }

    #[test]
    fn an_error_without_a_label_counts_as_other() {
        let series = ServiceSeries::new("shop", 1, &["timeout"]);
        [0, 1, usize::MAX].iter().for_each(|&i| series.worker(0).error(i));
        assert_eq!(series.errors(), [("timeout", 1), ("other", 2)]);
    }
}
