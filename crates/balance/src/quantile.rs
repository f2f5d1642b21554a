//! A quantile of a stream of durations that forgets: what 95 of 100 did not exceed lately.
//! One word, which all workers share; two that learn at once may lose one of the two.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::Live;

/// By what part of itself the estimate moves. In balance, 19 small steps down for each large one
/// up; it follows a doubling within a few dozen samples and is within a tenth or so when nothing
/// changes.
const STEP: f64 = 0.02;
/// The quantile.
const SHARE: f64 = 0.95;
/// Samples before which the estimate says nothing.
const SAMPLES_MIN: u32 = 100;

/// Takes a sample into account.
pub fn learn(live: &Live, sample: Duration) {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let slow = live.slow();
    let before = Duration::from_micros(slow.load(Ordering::Relaxed));
    slow.store(micros(after(before, sample)), Ordering::Relaxed);
    if live.slow_samples().load(Ordering::Relaxed) < SAMPLES_MIN {
        live.slow_samples().fetch_add(1, Ordering::Relaxed);
    }
}

/// What 95 of 100 samples did not exceed lately, once there were enough of them.
pub fn p95(live: &Live) -> Option<Duration> {
    let is_known = live.slow_samples().load(Ordering::Relaxed) >= SAMPLES_MIN;
    is_known.then(|| Duration::from_micros(live.slow().load(Ordering::Relaxed)))
}

/// The estimate after one more sample: up by 0.95 steps if that was more, down by 0.05 steps if
/// not, so that it rests where one of twenty is more.
fn after(before: Duration, sample: Duration) -> Duration {
    if before.is_zero() {
        return sample;
    }
    let factor =
        if sample > before { STEP.mul_add(SHARE, 1.0) } else { 1.0 - STEP * (1.0 - SHARE) };
    // At least a microsecond up, so that it never sticks at the bottom.
    before.mul_f64(factor).max(Duration::from_micros(20))
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
        for _ in 1..SAMPLES_MIN {
            learn(&live, ms(10));
            assert_eq!(p95(&live), None);
        }
        learn(&live, ms(10));
        assert!(p95(&live).is_some());
    }
}
