//! What one worker counts for one service: the only part that requests touch.
//! One writer each; it must not lock, allocate or read a clock.

use std::time::Duration;

use crate::counter::{Counter, Gauge};
use crate::histogram::Histogram;
use crate::timings::{Timings, whole_ns};

/// The values of the label `status`, in the order of the counters. `none` is a request that ended
/// before it had an answer.
pub(crate) const STATUS_LABELS: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Where 5xx is in it.
pub(crate) const STATUS_5XX: usize = 5;

/// The values of the label `reason` of retries, in the order of [`RetryReason`].
pub(crate) const RETRY_LABELS: [&str; 4] = ["connect_failure", "reset", "timeout", "status"];

/// The values of the label `reason` of clients that stay, in the order of [`Settled`].
pub(crate) const SETTLED_LABELS: [&str; 2] = ["new", "moved"];

/// Why a client was told to stay with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It had said nothing of an instance that is in the pool.
    New,
    /// The one that it stayed with did not answer its request.
    Moved,
}

/// Why a request was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// No connection could be had.
    ConnectFailure,
    /// It ended before a response began.
    Reset,
    /// No response began in time.
    Timeout,
    /// The response had a status that the policy names.
    Status,
}

/// One completed request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The status sent to the client; 0 when none was.
    pub status: u16,
    /// From the request head read to the last byte of the response sent.
    pub duration: Duration,
    /// Bytes of its head and body received from the client.
    pub bytes_in: u64,
    /// Bytes of the response's head and body sent to the client.
    pub bytes_out: u64,
}

/// What one worker counts for one service: about 7.8 KB, on cache lines of its own (128 bytes,
/// because processors fetch them in pairs).
///
/// Only the worker it belongs to may call what changes it. A second thread would do no harm to
/// memory, but counts would be lost.
#[repr(align(128))]
#[derive(Debug)]
pub struct Shard {
    pub(crate) in_flight: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) plain_bytes: Counter,
    pub(crate) coded_bytes: Counter,
    pub(crate) statuses: [Counter; STATUS_LABELS.len()],
    pub(crate) retries: [Counter; RETRY_LABELS.len()],
    pub(crate) retries_denied: Counter,
    pub(crate) hedges: Counter,
    pub(crate) hedges_won: Counter,
    pub(crate) settled: [Counter; SETTLED_LABELS.len()],
    pub(crate) connects: Counter,
    pub(crate) reuses: Counter,
    pub(crate) durations: Timings,
    pub(crate) waits: Timings,
    pub(crate) histogram: Histogram,
    pub(crate) errors: Errors,
}

/// A counter per error label, and a last one for an index that has no label.
#[derive(Debug)]
pub(crate) struct Errors(Box<[Counter]>);

impl Shard {
    pub(crate) fn new(error_labels: usize) -> Self {
        Self {
            in_flight: Gauge::default(),
            waiting: Gauge::default(),
            bytes_in: Counter::new(),
            bytes_out: Counter::new(),
            plain_bytes: Counter::new(),
            coded_bytes: Counter::new(),
            statuses: Default::default(),
            retries: Default::default(),
            retries_denied: Counter::new(),
            hedges: Counter::new(),
            hedges_won: Counter::new(),
            settled: Default::default(),
            connects: Counter::new(),
            reuses: Counter::new(),
            durations: Timings::default(),
            waits: Timings::default(),
            histogram: Histogram::new(),
            errors: Errors::new(error_labels),
        }
    }

    /// A request completed. Does not end what [`Shard::begin`] began.
    pub fn record(&self, sample: &Sample) {
        let ns = whole_ns(sample.duration);
        self.statuses[status_index(sample.status)].add(1);
        self.bytes_in.add(sample.bytes_in);
        self.bytes_out.add(sample.bytes_out);
        self.durations.record(ns);
        self.histogram.record(ns);
    }

    /// An error was answered, or ended a connection. `label_index` points into the error labels
    /// of the registry; one that points nowhere counts as `other`.
    pub fn error(&self, label_index: usize) {
        self.errors.add(label_index);
    }

    /// A part of a response body was compressed: bytes before and after.
    pub fn compress(&self, plain_bytes: u64, coded_bytes: u64) {
        self.plain_bytes.add(plain_bytes);
        self.coded_bytes.add(coded_bytes);
    }

    /// A request was sent again, to another endpoint.
    pub fn retry(&self, reason: RetryReason) {
        self.retries[reason as usize].add(1);
    }

    /// A second copy of a request was sent.
    pub fn hedge(&self) {
        self.hedges.add(1);
    }

    /// The second copy was answered first.
    pub fn hedge_won(&self) {
        self.hedges_won.add(1);
    }

    /// A client was told to stay with an instance.
    pub fn settle(&self, reason: Settled) {
        self.settled[reason as usize].add(1);
    }

    /// A failure was passed on because the budget of retries was used up.
    pub fn deny_retry(&self) {
        self.retries_denied.add(1);
    }

    /// Requests began (1) or ceased (-1) to wait for an endpoint.
    pub fn waiting(&self, delta: i64) {
        self.waiting.add(delta);
    }

    /// A request has waited for an endpoint this long, whether it got one or not.
    pub fn waited(&self, duration: Duration) {
        self.waits.record(whole_ns(duration));
    }

    /// A connection to an instance was opened.
    pub fn connect(&self) {
        self.connects.add(1);
    }

    /// A request went over a connection that was already open.
    pub fn reuse(&self) {
        self.reuses.add(1);
    }

    /// A request is in flight from now on.
    pub fn begin(&self) {
        self.in_flight.add(1);
    }

    /// A request that began is no longer in flight, however it ended.
    pub fn end(&self) {
        self.in_flight.add(-1);
    }
}

impl Errors {
    pub(crate) fn new(labels: usize) -> Self {
        Self((0..=labels).map(|_| Counter::new()).collect())
    }

    /// Counts one error.
    pub(crate) fn add(&self, label_index: usize) {
        self.0[label_index.min(self.0.len() - 1)].add(1);
    }

    /// Adds to `sums` what was counted, the one without label last.
    pub(crate) fn add_to(&self, sums: &mut [u64]) {
        for (sum, count) in sums.iter_mut().zip(&self.0) {
            *sum += count.get();
        }
    }
}

/// Where a status is counted. RFC 9110 section 15 knows 100 to 599 only.
fn status_index(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status / 100),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let check = |status, label| assert_eq!(STATUS_LABELS[status_index(status)], label);
        check(0, "none");
        check(99, "none");
        check(100, "1xx");
        check(204, "2xx");
        check(304, "3xx");
        check(499, "4xx");
        check(500, "5xx");
        check(599, "5xx");
        check(600, "none");
        check(u16::MAX, "none");
        assert_eq!(STATUS_LABELS[STATUS_5XX], "5xx");
    }

    /// The doc of `Shard` and docs/metrics.md state the size.
    #[test]
    fn a_shard_is_as_small_as_stated() {
        let bytes = size_of::<Shard>();
        assert!((7_000..=7_808).contains(&bytes), "{bytes}");
    }
}
