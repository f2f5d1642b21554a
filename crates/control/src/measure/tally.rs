//! From what the processes of an instance have used to what the instance uses: it never counts
//! backwards, and what was found late is no burst. It reads nothing.

use std::time::{Duration, Instant};

use crate::Usage;

/// Two looks that are closer say nothing about a rate: clock ticks are ten milliseconds.
const RATE_MIN: Duration = Duration::from_millis(200);

/// What the processes of one instance have used, added up at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Clock ticks of the processor, those of ended children that were waited for included.
    pub(super) ticks: u64,
    /// Of these, those of processes that were there before and had not been found yet.
    pub(super) found_ticks: u64,
    /// Bytes of memory.
    pub(super) memory_bytes: u64,
    /// How many they are.
    pub(super) processes: u32,
}

/// What is known of one instance from one look to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    at: Instant,
    /// The sum at the last look that was long enough ago for a rate.
    sum_ticks: u64,
    /// What was used in all; never less than before.
    total_ticks: u64,
    /// The last rate, in cores.
    cores: Option<f64>,
}

impl Tally {
    /// What is known after the first look.
    pub(super) fn begin(at: Instant, sum: &Sum) -> Self {
        Self { at, sum_ticks: sum.ticks, total_ticks: sum.ticks, cores: None }
    }

    /// Takes the next look.
    pub(super) fn add(&mut self, at: Instant, sum: &Sum, ticks_per_s: u64) {
        let passed = at.saturating_duration_since(self.at);
        if passed < RATE_MIN {
            return;
        }
        // A process that ended and was not waited for takes its ticks with it.
        let grew = sum.ticks.saturating_sub(self.sum_ticks);
        let burst = grew.saturating_sub(sum.found_ticks);
        self.cores = Some(burst as f64 / ticks_per_s as f64 / passed.as_secs_f64());
        self.total_ticks += grew;
        (self.at, self.sum_ticks) = (at, sum.ticks);
    }

    /// What it uses, as far as is known.
    pub(super) fn usage(&self, sum: &Sum, ticks_per_s: u64) -> Usage {
        Usage {
            cpu: Duration::from_secs_f64(self.total_ticks as f64 / ticks_per_s as f64),
            cores: self.cores,
            memory_bytes: sum.memory_bytes,
            processes: sum.processes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks a second apart, in hundredths of a second: all of it, and what was found late.
    fn check(looks: &[(u64, u64)], cores: Option<f64>, total_ticks: u64) {
        let began = Instant::now();
        let sum = |&(ticks, found_ticks): &(u64, u64)| Sum { ticks, found_ticks, ..Sum::default() };
        let mut tally = Tally::begin(began, &sum(&looks[0]));
        for (second, look) in (1..).zip(&looks[1..]) {
            tally.add(began + Duration::from_secs(second), &sum(look), 100);
        }
        let usage = tally.usage(&Sum::default(), 100);
        assert_eq!(usage.cores, cores, "{looks:?}");
        assert_eq!(usage.cpu, Duration::from_millis(total_ticks * 10), "{looks:?}");
    }

    #[test]
    fn a_rate_is_what_the_last_second_took() {
        check(&[(50, 0)], None, 50);
        check(&[(50, 0), (150, 0)], Some(1.0), 150);
        check(&[(50, 0), (150, 0), (150, 0)], Some(0.0), 150);
        check(&[(0, 0), (250, 0)], Some(2.5), 250);
    }

    #[test]
    fn what_was_found_late_is_no_burst_and_still_counts() {
        check(&[(50, 0), (450, 380)], Some(0.2), 450);
    }

    #[test]
    fn it_never_counts_backwards() {
        check(&[(500, 0), (100, 0)], Some(0.0), 500);
        check(&[(500, 0), (100, 0), (150, 0)], Some(0.5), 550);
    }

    #[test]
    fn looks_that_are_too_close_are_one() {
        let began = Instant::now();
        let mut tally = Tally::begin(began, &Sum::default());
        let sum = Sum { ticks: 10, ..Sum::default() };
        tally.add(began + Duration::from_millis(20), &sum, 100);
        assert_eq!(tally.usage(&sum, 100).cores, None);
        tally.add(began + Duration::from_millis(1000), &sum, 100);
        assert_eq!(tally.usage(&sum, 100).cores, Some(0.1));
    }
}
