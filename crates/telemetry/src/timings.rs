//! Durations counted under the fixed bounds that the metrics show.
//! Exact at the bounds and blind between them; percentiles come from `histogram`.

use std::time::Duration;

use crate::counter::Counter;

/// The upper bounds (`le`) of every exposed duration histogram, in nanoseconds: 100 µs to 60 s.
/// They are part of what Herder promises: dashboards and alerts name them.
pub const BOUNDS_NS: [u64; 18] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// One counter per bound and one for everything beyond the last.
const COUNTS: usize = BOUNDS_NS.len() + 1;

/// What one thread timed.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    counts: [Counter; COUNTS],
    sum_ns: Counter,
}

/// Several [`Timings`] added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimingsSum {
    counts: [u64; COUNTS],
    sum_ns: u64,
}

impl Timings {
    /// Counts one duration.
    pub(crate) fn record(&self, ns: u64) {
        self.counts[BOUNDS_NS.partition_point(|&bound| bound < ns)].add(1);
        self.sum_ns.add(ns);
    }
}

impl TimingsSum {
    /// Adds what one thread timed.
    pub(crate) fn add(&mut self, timings: &Timings) {
        for (sum, count) in self.counts.iter_mut().zip(&timings.counts) {
            *sum += count.get();
        }
        self.sum_ns = self.sum_ns.wrapping_add(timings.sum_ns.get());
    }

    /// How many durations. Taken from the same numbers as the buckets, so that the two agree even
    /// while others count.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All durations together, in seconds.
    pub(crate) fn sum_s(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// Upper bound in seconds and how many durations were at most that long but longer than the
    /// bound before; the last bound is infinite.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_NS.iter().map(|&ns| ns as f64 / 1e9).chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }
}

/// The whole nanoseconds of a duration; 584 years at most.
pub(crate) fn whole_ns(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_at_a_bound_counts_under_it_and_one_beyond_it_does_not() {
        let timings = Timings::default();
        for (i, &bound) in BOUNDS_NS.iter().enumerate() {
            timings.record(bound);
            timings.record(bound + 1);
            assert_eq!(timings.counts[i].get(), if i == 0 { 1 } else { 2 }, "{bound}");
            assert_eq!(timings.counts[i + 1].get(), 1, "{bound}");
        }
    }

    #[test]
    fn durations_beyond_the_last_bound_are_counted() {
        let timings = Timings::default();
        timings.record(whole_ns(Duration::from_secs(90)));
        timings.record(whole_ns(Duration::MAX) / 2);
        let mut sum = TimingsSum::default();
        sum.add(&timings);
        assert_eq!(sum.count(), 2);
        assert_eq!(sum.buckets().last(), Some(&(f64::INFINITY, 2)));
    }

    #[test]
    fn whole_ns_agrees_with_std_and_saturates() {
        for duration in [Duration::ZERO, Duration::from_nanos(1_999_999_999), Duration::new(9, 7)] {
            assert_eq!(u128::from(whole_ns(duration)), duration.as_nanos());
        }
        assert_eq!(whole_ns(Duration::MAX), u64::MAX);
    }
}
