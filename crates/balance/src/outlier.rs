//! Which instances of a pool fare worse than they may: by streaks, by success rate, by failures.
//! It counts nothing and ejects nobody; how many may be ejected at once is for others to say.

use std::time::Duration;

use model::{Eject, Streak};

/// How far below the mean of its pool a success rate has to be at least. In a pool of five a single
/// instance is always two standard deviations away, however little it differs: one failure in a
/// thousand requests is not worth an ejection.
const GAP_MIN: f64 = 0.05;

/// What became of the requests of one instance within one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that ended.
    pub requests: u64,
    /// Of these, failed through its fault.
    pub failures: u64,
}

/// Why an instance is an outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// So many failures in a row.
    Errors(u32),
    /// So many answers 502, 503 or 504 in a row.
    Gateway(u32),
    /// So many times no answer in a row.
    Silent(u32),
    /// Its rate is below what the pool's allows.
    SuccessRate {
        /// Its own, from 0 to 1.
        rate: f64,
        /// The mean of the pool.
        mean: f64,
        /// The standard deviation of the pool.
        deviation: f64,
        /// The least that is allowed.
        least: f64,
    },
    /// Too many of its requests failed.
    Failures(Tally),
}

impl Tally {
    /// The part that did not fail, from 0 to 1; all of none.
    pub fn success_rate(&self) -> f64 {
        if self.requests == 0 {
            return 1.0;
        }
        1.0 - self.failures.min(self.requests) as f64 / self.requests as f64
    }
}

/// The streak that has reached its bound, if one has; a bound of 0 is none. The most telling comes
/// first.
pub fn streak_fault(streak: &Streak, bounds: &Streak) -> Option<Fault> {
    let reached = |count: u32, bound: u32| (bound > 0 && count >= bound).then_some(count);
    None.or_else(|| reached(streak.silent, bounds.silent).map(Fault::Silent))
        .or_else(|| reached(streak.gateway, bounds.gateway).map(Fault::Gateway))
        .or_else(|| reached(streak.errors, bounds.errors).map(Fault::Errors))
}

/// The outliers of an interval: for each instance of the pool why it is one, if it is.
///
/// By success rate as Envoy does it: of the instances with enough requests, whoever is below mean
/// − 1.9 σ (of the population), here only if that is `GAP_MIN` below the mean. By failures: whoever
/// failed the percentage of its requests. Neither says anything with too few such instances.
pub fn interval_faults(tallies: &[Tally], eject: &Eject) -> Vec<Option<Fault>> {
    let has_enough = |tally: &&Tally| tally.requests >= u64::from(eject.requests_min.max(1));
    let counted = tallies.iter().filter(has_enough).count();
    if counted < eject.instances_min as usize {
        return vec![None; tallies.len()];
    }
    let rates = || tallies.iter().filter(has_enough).map(Tally::success_rate);
    let mean = rates().sum::<f64>() / counted as f64;
    let variance = rates().map(|rate| (rate - mean).powi(2)).sum::<f64>() / counted as f64;
    let deviation = variance.sqrt();
    let by_rate = |tally: &Tally| {
        let milli = Some(eject.deviations_milli).filter(|&milli| milli > 0)?;
        let factor = f64::from(milli) / 1e3;
        let least = (mean - factor * deviation).min(mean - GAP_MIN);
        let rate = tally.success_rate();
        (rate < least).then_some(Fault::SuccessRate { rate, mean, deviation, least })
    };
    let by_failures = |tally: &Tally| {
        let percent = Some(u64::from(eject.failure_percent)).filter(|&percent| percent > 0)?;
        let is_over = tally.failures.saturating_mul(100) >= tally.requests.saturating_mul(percent);
        is_over.then_some(Fault::Failures(*tally))
    };
    let fault = |tally: &Tally| {
        Some(tally).filter(has_enough)?;
        by_rate(tally).or_else(|| by_failures(tally))
    };
    tallies.iter().map(fault).collect()
}

/// How many of `count` instances may be ejected at once: one, or so many percent, rounded down.
/// That the last one that is available stays is besides.
pub fn ejected_max(count: usize, percent: u32) -> usize {
    (count * percent as usize / 100).max(1)
}

/// How long the `times`-th ejection lasts, from 1: twice as long each time, up to the maximum, and
/// up to a tenth more by chance, so that those that were ejected together come back apart.
pub fn ejection_time(eject: &Eject, times: u32, rng: &mut fastrand::Rng) -> Duration {
    let doublings = times.saturating_sub(1).min(31);
    let time = eject.time.saturating_mul(1 << doublings).min(eject.time_max.max(eject.time));
    time + time.mul_f64(0.1 * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eject() -> Eject {
        Eject { deviations_milli: 1900, instances_min: 5, requests_min: 100, ..Eject::never() }
    }

    fn tallies(list: &[(u64, u64)]) -> Vec<Tally> {
        list.iter().map(|&(requests, failures)| Tally { requests, failures }).collect()
    }

    /// The places of the outliers.
    fn found(list: &[(u64, u64)], eject: &Eject) -> Vec<usize> {
        let faults = interval_faults(&tallies(list), eject);
        faults.iter().enumerate().filter_map(|(at, fault)| fault.map(|_| at)).collect()
    }

    #[test]
    fn envoys_worked_example() {
        let list = [(100, 50), (100, 0), (100, 0), (100, 0), (100, 0)];
        let faults = interval_faults(&tallies(&list), &eject());
        let Some(Fault::SuccessRate { rate, mean, deviation, least }) = faults[0] else {
            panic!("{faults:?}")
        };
        let percent = |part: f64| (part * 1e4).round() / 1e2;
        assert_eq!((percent(rate), percent(mean)), (50.0, 90.0));
        assert_eq!((percent(deviation), percent(least)), (20.0, 52.0));
        assert_eq!(&faults[1..], [None; 4]);
    }

    #[test]
    fn who_is_an_outlier_by_success_rate() {
        let check = |list: &[(u64, u64)], expected: &[usize]| {
            assert_eq!(found(list, &eject()), expected, "{list:?}");
        };
        let well = (1000, 0);
        check(&[], &[]);
        check(&[(1000, 900), well, well, well], &[]);
        check(&[(99, 99), well, well, well, well], &[]);
        check(&[(1000, 900), well, well, well, well], &[0]);
        check(&[well, well, well, (100, 60), well], &[3]);
        // Two standard deviations, and nothing to speak of.
        check(&[(1000, 1), well, well, well, well], &[]);
        check(&[(1000, 59), well, well, well, well], &[]);
        check(&[(1000, 70), well, well, well, well], &[0]);
        // All alike: nobody stands out, however bad it is.
        check(&[(1000, 900); 6], &[]);
        check(&[(1000, 500), (1000, 500), well, well, well, well], &[]);
        check(&[(1000, 1200), well, well, well, well], &[0]);
    }

    #[test]
    fn who_is_an_outlier_by_failures() {
        let by_percent = |percent, instances_min| Eject {
            failure_percent: percent,
            instances_min,
            requests_min: 50,
            ..Eject::never()
        };
        assert_eq!(found(&[(100, 85), (100, 84), (49, 49)], &by_percent(85, 2)), [0]);
        assert_eq!(found(&[(100, 85), (100, 84), (49, 49)], &by_percent(85, 3)), [0; 0]);
        assert_eq!(found(&[(100, 100), (100, 100)], &by_percent(85, 2)), [0, 1]);
    }

    #[test]
    fn streaks() {
        let bounds = Streak { errors: 5, gateway: 0, silent: 3 };
        let check = |errors, gateway, silent, expected: Option<Fault>| {
            let streak = Streak { errors, gateway, silent };
            assert_eq!(streak_fault(&streak, &bounds), expected, "{streak:?}");
            assert_eq!(streak.reaches(&bounds), expected.is_some(), "{streak:?}");
        };
        check(4, 9, 2, None);
        check(5, 5, 0, Some(Fault::Errors(5)));
        check(7, 0, 3, Some(Fault::Silent(3)));
    }

    #[test]
    fn how_many_at_once() {
        let check = |count, percent, expected| {
            assert_eq!(ejected_max(count, percent), expected, "{percent} % of {count}");
        };
        check(3, 10, 1);
        check(3, 50, 1);
        check(4, 50, 2);
        check(9, 50, 4);
        check(10, 0, 1);
        check(100, 33, 33);
    }

    #[test]
    fn ejections_double_up_to_the_maximum_and_a_tenth() {
        let eject = Eject {
            time: Duration::from_secs(10),
            time_max: Duration::from_secs(300),
            ..Eject::never()
        };
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            for (times, seconds) in [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (900, 300)] {
                let time = ejection_time(&eject, times, &mut rng).as_secs_f64();
                let range = f64::from(seconds)..=f64::from(seconds) * 1.1;
                assert!(range.contains(&time), "{times}: {time}");
            }
        }
    }
}
