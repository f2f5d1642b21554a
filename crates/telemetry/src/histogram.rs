//! A log-linear histogram of durations: 32 equal buckets in every power of two, as HdrHistogram
//! has them. It only counts; it must not allocate or compute on the way of a request.

use std::time::Duration;

use crate::counter::Counter;

/// Buckets per power of two, as a power of two. A bucket is 1/32 as wide as its lower edge, and
/// its middle stands for it: the error is at most 1/64 = 1.6 %.
const SUB_BITS: u32 = 5;
/// Durations below 2⁹ = 512 ns share the first bucket.
const OCTAVE_FIRST: u32 = 9;
/// Durations from 2³⁷ ns = 137 s share the last bucket.
const OCTAVE_END: u32 = 37;
const SUBS: usize = 1 << SUB_BITS;
const SUB_MASK: u64 = (1 << SUB_BITS) - 1;
/// 898 buckets of 8 bytes: 7.2 KB.
const BUCKETS: usize = 2 + (OCTAVE_END - OCTAVE_FIRST) as usize * SUBS;

/// What one thread timed.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [Counter; BUCKETS],
    max_ns: Counter,
}

/// Several histograms added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Distribution {
    buckets: Box<[u64]>,
    max_ns: u64,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Self { buckets: [const { Counter::new() }; BUCKETS], max_ns: Counter::new() }
    }

    /// Counts one duration.
    pub(crate) fn record(&self, ns: u64) {
        self.buckets[index(ns)].add(1);
        self.max_ns.raise(ns);
    }
}

impl Distribution {
    /// Of nothing.
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), max_ns: 0 }
    }

    /// Adds what one thread timed.
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
        self.max_ns = self.max_ns.max(histogram.max_ns.get());
    }

    /// Takes away what `earlier`, a former state of the same histograms, already had. The longest
    /// duration cannot be taken away and remains an upper bound.
    pub(crate) fn subtract(&mut self, earlier: &Distribution) {
        for (sum, before) in self.buckets.iter_mut().zip(&earlier.buckets) {
            *sum = sum.saturating_sub(*before);
        }
    }

    /// How many durations.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The shortest duration that at least the share `p` (0 to 1) of all durations does not
    /// exceed, to within 1.6 % between 512 ns and 137 s. None of nothing. Beyond 137 s it is the
    /// longest duration seen.
    pub(crate) fn quantile(&self, p: f64) -> Option<Duration> {
        let count = self.count();
        let wanted = p.clamp(0.0, 1.0) * count as f64;
        let mut below = 0;
        for (i, &bucket) in self.buckets.iter().enumerate() {
            below += bucket;
            if bucket > 0 && below as f64 >= wanted {
                return Some(Duration::from_nanos(self.representative(i)));
            }
        }
        None
    }

    /// What stands for the durations of a bucket: its middle, but nothing longer than was seen.
    fn representative(&self, index: usize) -> u64 {
        if index == BUCKETS - 1 {
            return self.max_ns;
        }
        let (lower, width) = edges(index);
        (lower + width / 2).min(self.max_ns)
    }
}

/// The bucket of a duration.
fn index(ns: u64) -> usize {
    let octave = ns.checked_ilog2().unwrap_or(0);
    if octave < OCTAVE_FIRST {
        return 0;
    }
    if octave >= OCTAVE_END {
        return BUCKETS - 1;
    }
    let sub = ((ns >> (octave - SUB_BITS)) & SUB_MASK) as usize;
    1 + (octave - OCTAVE_FIRST) as usize * SUBS + sub
}

/// Lower edge and width of a bucket other than the last.
fn edges(index: usize) -> (u64, u64) {
    let Some(i) = index.checked_sub(1) else {
        return (0, 1 << OCTAVE_FIRST);
    };
    let (octave, sub) = (i / SUBS, i % SUBS);
    let width = (1_u64 << (OCTAVE_FIRST - SUB_BITS)) << octave;
    ((SUBS + sub) as u64 * width, width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distribution(values: &[u64]) -> Distribution {
        let histogram = Histogram::new();
        values.iter().for_each(|&ns| histogram.record(ns));
        let mut distribution = Distribution::new();
        distribution.add(&histogram);
        distribution
    }

    #[test]
    fn buckets_join_without_gap_or_overlap() {
        let mut next = 0;
        for i in 0..BUCKETS - 1 {
            let (lower, width) = edges(i);
            assert_eq!(lower, next, "bucket {i}");
            assert_eq!((index(lower), index(lower + width - 1)), (i, i), "bucket {i}");
            next = lower + width;
        }
        assert_eq!(next, 1 << OCTAVE_END);
        assert_eq!((index(next), index(u64::MAX)), (BUCKETS - 1, BUCKETS - 1));
    }

    #[test]
    fn quantiles_of_known_sets() {
        let check = |values: &[u64], p: f64, expected_us: u64| {
            let found = distribution(values).quantile(p).unwrap().as_nanos() as f64;
            let expected = expected_us as f64 * 1e3;
            assert!((found - expected).abs() <= 0.02 * expected, "p{p} of {values:?}: {found}");
        };
        let hundred: Vec<u64> = (1..=100).map(|us| us * 1_000_000).collect();
        check(&hundred, 0.0, 1_000);
        check(&hundred, 0.5, 50_000);
        check(&hundred, 0.99, 99_000);
        check(&hundred, 1.0, 100_000);
        check(&[7_000_000], 0.5, 7_000);
        check(&[1_000, 3_600_000_000_000], 1.0, 3_600_000_000);
        assert_eq!(distribution(&[]).quantile(0.5), None);
    }

    #[test]
    fn a_quantile_is_never_longer_than_the_longest() {
        assert_eq!(distribution(&[1_000_000]).quantile(0.5), Some(Duration::from_millis(1)));
        assert_eq!(distribution(&[3]).quantile(1.0), Some(Duration::from_nanos(3)));
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_two_percent_of_the_sorted_list(
            mut values in prop::collection::vec(1_000_u64..130_000_000_000, 1..300),
            p in 0.0_f64..=1.0,
        ) {
            let found = distribution(&values).quantile(p).unwrap().as_nanos() as f64;
            values.sort_unstable();
            let rank = (1..=values.len()).find(|&n| n as f64 >= p * values.len() as f64).unwrap();
            let exact = values[rank - 1] as f64;
            prop_assert!((found - exact).abs() <= 0.02 * exact, "{found} for {exact}");
        }

        #[test]
        fn merging_equals_recording_in_one(
            a in prop::collection::vec(any::<u64>(), 0..100),
            b in prop::collection::vec(any::<u64>(), 0..100),
        ) {
            let (one, two) = (Histogram::new(), Histogram::new());
            a.iter().for_each(|&ns| one.record(ns));
            b.iter().for_each(|&ns| two.record(ns));
            let mut merged = Distribution::new();
            merged.add(&one);
            merged.add(&two);
            prop_assert_eq!(&merged, &distribution(&[a.clone(), b].concat()));
            merged.subtract(&distribution(&a));
            prop_assert_eq!(merged.count(), two.buckets.iter().map(Counter::get).sum::<u64>());
        }
    }
}
