//! Quantiles of a stream of durations that forget: what 95, or half, of 100 did not exceed lately.
//! One word each, which all workers share; two that learn at once may lose one of the two.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use model::Live;

/// One of the quantiles that are learned.
#[derive(Clone, Copy)]
struct Quantile<'a> {
    word: &'a AtomicU64,
    samples: &'a AtomicU32,
    share: f64,
    /// By what part of itself the estimate moves. In balance, with 0.95, 19 small steps down for
    /// each large one up; with 0.02 it follows a doubling within a few dozen samples and is within
    /// a tenth or so when nothing changes.
    step: f64,
    /// Samples before which it says nothing.
    samples_min: u32,
}

fn slow(live: &Live) -> Quantile<'_> {
    let (word, samples) = (live.slow(), live.slow_samples());
    Quantile { word, samples, share: 0.95, step: 0.02, samples_min: 100 }
}

/// It is learned only while somebody waits, and has to be there soon: in larger steps.
fn usual(live: &Live) -> Quantile<'_> {
    let (word, samples) = (live.usual(), live.usual_samples());
    Quantile { word, samples, share: 0.5, step: 0.1, samples_min: 20 }
}

/// Takes a sample into account for [`p95`].
pub fn learn(live: &Live, sample: Duration) {
    slow(live).learn(sample);
}

/// What 95 of 100 samples did not exceed lately, once there were enough of them.
pub fn p95(live: &Live) -> Option<Duration> {
    slow(live).get()
}

/// Takes a sample into account for [`median`].
pub fn learn_usual(live: &Live, sample: Duration) {
    usual(live).learn(sample);
}

/// What half of the samples did not exceed lately, once there were enough of them.
pub fn median(live: &Live) -> Option<Duration> {
    usual(live).get()
}

impl Quantile<'_> {
    fn learn(self, sample: Duration) {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let before = Duration::from_micros(self.word.load(Ordering::Relaxed));
        self.word.store(micros(self.after(before, sample)), Ordering::Relaxed);
        if self.samples.load(Ordering::Relaxed) < self.samples_min {
            self.samples.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn get(self) -> Option<Duration> {
        let is_known = self.samples.load(Ordering::Relaxed) >= self.samples_min;
        is_known.then(|| Duration::from_micros(self.word.load(Ordering::Relaxed)))
    }

    /// The estimate after one more sample: up by 0.95 steps if that was more, down by 0.05 steps if
    /// not, so that it rests where one of twenty is more.
    fn after(self, before: Duration, sample: Duration) -> Duration {
        if before.is_zero() {
            return sample;
        }
        let factor = match sample > before {
            true => self.step.mul_add(self.share, 1.0),
            false => 1.0 - self.step * (1.0 - self.share),
        };
        // At least a microsecond up, so that it never sticks at the bottom.
        before.mul_f64(factor).max(Duration::from_micros(20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_finds_the_quantile_and_follows_it() {
        let live = Live::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut learn_many = |low: u64, high: u64| {
            for _ in 0..5000 {
                learn(&live, ms(rng.u64(low..high)));
            }
            p95(&live).unwrap()
        };
        let check = |found: Duration, low, high| {
            assert!((ms(low)..=ms(high)).contains(&found), "{found:?}");
        };
        check(learn_many(0, 1000), 850, 1050);
        check(learn_many(0, 100), 85, 110);
        check(learn_many(2000, 3000), 2700, 3100);
    }

    #[test]
    fn it_says_nothing_before_there_is_enough() {
        let live = Live::default();
        for _ in 1..100 {
            learn(&live, ms(10));
            assert_eq!(p95(&live), None);
        }
        learn(&live, ms(10));
        assert!(p95(&live).is_some() && median(&live).is_none());
    }

    #[test]
    fn the_median_is_there_sooner() {
        let live = Live::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut learn_many = |low: u64, high: u64| {
            for _ in 0..60 {
                learn_usual(&live, ms(rng.u64(low..high)));
            }
            median(&live).unwrap()
        };
        let check = |found: Duration, low, high| {
            assert!((ms(low)..=ms(high)).contains(&found), "{found:?}");
        };
        check(learn_many(0, 1000), 300, 700);
        check(learn_many(0, 100), 30, 70);
        check(learn_many(900, 1100), 850, 1150);
    }
}
