//! How long answers of one endpoint took within one window: counted by all workers, taken by one.
//! It reads no clock and judges nothing; what is taken is gone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Buckets of one power of two, so that each is an eighth wide at most.
const STEPS: u32 = 8;
/// The power of two, in microseconds, at which the first bucket begins: what is faster is as fast.
const FIRST: u32 = 6;
/// Powers of two that are told apart: up to 134 s.
const POWERS: u32 = 21;
const BUCKETS: usize = (STEPS * POWERS) as usize;

/// The answers of the window that runs. Adding one costs two or three atomic operations.
#[derive(Debug)]
pub struct Samples {
    buckets: [AtomicU32; BUCKETS],
    count: AtomicU32,
    /// See [`Window::in_flight_max`].
    in_flight_max: AtomicU32,
}

/// What one window was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// How long half of the answers took at most; none without any.
    pub median: Option<Duration>,
    /// The most requests that were in flight when one of them was answered, itself included.
    pub in_flight_max: u32,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            count: AtomicU32::new(0),
            in_flight_max: AtomicU32::new(0),
        }
    }
}

impl Samples {
    /// An answer took so long, and with it so many requests were in flight.
    pub fn add(&self, latency: Duration, in_flight: u32) {
        self.buckets[bucket(latency)].fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        if in_flight > self.in_flight_max.load(Ordering::Relaxed) {
            self.in_flight_max.fetch_max(in_flight, Ordering::Relaxed);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends the window, and begins the next. An answer that comes meanwhile is in one of the two.
    pub fn take(&self) -> Window {
        self.count.store(0, Ordering::Relaxed);
        let in_flight_max = self.in_flight_max.swap(0, Ordering::Relaxed);
        let counts: [u32; BUCKETS] =
            std::array::from_fn(|at| self.buckets[at].swap(0, Ordering::Relaxed));
        Window { median: median(&counts), in_flight_max }
    }
}

/// Where half of them are below, as if those of a bucket were spread evenly over it.
fn median(counts: &[u32; BUCKETS]) -> Option<Duration> {
    let half = counts.iter().map(|&count| f64::from(count)).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (at, count) in counts.iter().map(|&count| f64::from(count)).enumerate() {
        if count > 0.0 && below + count >= half {
            let part = (half - below) / count;
            let (from, to) = (bound_us(at), bound_us(at + 1));
            return Some(Duration::from_secs_f64((from + (to - from) * part) / 1e6));
        }
        below += count;
    }
    None
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1 << FIRST);
    let power = micros.ilog2();
    // The three bits behind the first one.
    let step = usize::try_from(micros >> (power - STEPS.ilog2())).unwrap_or(0) - STEPS as usize;
    ((power - FIRST) as usize * STEPS as usize + step).min(BUCKETS - 1)
}

/// Where a bucket begins.
fn bound_us(at: usize) -> f64 {
    let (power, step) = (at / STEPS as usize, at % STEPS as usize);
    let whole = 2_f64.powi(i32::try_from(power).unwrap_or(0)) * f64::from(1 << FIRST);
    whole * (1.0 + step as f64 / f64::from(STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_within_the_bounds_of_its_bucket() {
        for micros in (64..5000).chain([1 << 20, (1 << 20) + 1, 100_000_000]) {
            let at = bucket(Duration::from_micros(micros));
            let micros = micros as f64;
            assert!(bound_us(at) <= micros && micros < bound_us(at + 1), "{micros}");
        }
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::from_secs(1_000_000)), BUCKETS - 1);
    }

    #[test]
    fn a_window_has_its_median_and_is_gone_when_taken() {
        let samples = Samples::default();
        assert_eq!(samples.take(), Window { median: None, in_flight_max: 0 });
        for ms in 1..=99 {
            samples.add(Duration::from_millis(ms), u32::try_from(ms % 7).unwrap());
        }
        assert_eq!(samples.count(), 99);
        let Window { median, in_flight_max } = samples.take();
        let ms = median.unwrap().as_secs_f64() * 1e3;
        assert!((47.0..53.0).contains(&ms), "{ms}");
        assert_eq!((in_flight_max, samples.count()), (6, 0));
        assert_eq!(samples.take().median, None);
    }
}
