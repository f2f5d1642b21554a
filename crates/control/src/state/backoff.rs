//! How long the starts of a service are held back after failures: 1, 2, 4 … seconds.
//! It knows nothing of instances; who failed, and whether that is excused, is its caller's to say.

use std::time::Duration;

use model::{Restart, Time};

/// The jitter around a hold, so that services that failed together do not retry together.
const JITTER: f64 = 0.2;

/// Starts in a row that may find their port taken and are retried at once. Further ones count as
/// failures: then it is not bad luck but something that always takes the port.
pub(crate) const PORTS_TAKEN_MAX: u32 = 5;

/// The failures of a service that are not forgotten yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    /// Failures in a row that each doubled the hold.
    counted: u32,
    /// No start before this.
    until: Time,
    /// When the last failure was counted. What was started before that is part of the same attempt:
    /// three instances that crash together are one failure, not three.
    counted_at: Option<Time>,
    /// Starts in a row that found their port taken.
    ports_taken: u32,
    /// Why the last one failed.
    pub(crate) reason: String,
    /// What it wrote last, oldest first.
    pub(crate) last_lines: Vec<String>,
}

/// An instance failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// When it was ordered to start.
    pub(crate) ordered_at: Time,
    /// Whether it says nothing against the next start; see `ServiceState::excuses`.
    pub(crate) excused: bool,
    /// Why.
    pub(crate) reason: String,
    /// What it wrote last, oldest first.
    pub(crate) last_lines: Vec<String>,
}

impl Backoff {
    /// Takes note of a failure. Returns how long starts are held back from now on, or nothing when
    /// an earlier hold covers this failure too.
    ///
    /// An excused failure, or one of an attempt that was counted already, does not double the hold
    /// and does not lengthen one that runs: the herd gets its replacement after the first back-off,
    /// however often it is hit.
    pub(crate) fn record(
        &mut self,
        now: Time,
        failure: Failure,
        restart: &Restart,
        rng: &mut fastrand::Rng,
    ) -> Option<Duration> {
        let counted_already = self.counted_at.is_some_and(|at| failure.ordered_at <= at);
        let escalates = !failure.excused && !counted_already;
        (self.reason, self.last_lines) = (failure.reason, failure.last_lines);
        let doublings = if escalates {
            self.counted = self.counted.saturating_add(1);
            self.counted_at = Some(now);
            self.counted - 1
        } else if self.holds(now) {
            return None;
        } else {
            0
        };
        let hold = jittered(doubled(restart, doublings), rng);
        self.until = self.until.max(now + hold);
        Some(self.until.since(now))
    }

    /// Takes note of a start that found its port taken. True when it is to be retried at once.
    pub(crate) fn retries_port(&mut self) -> bool {
        self.ports_taken = self.ports_taken.saturating_add(1);
        self.ports_taken <= PORTS_TAKEN_MAX
    }

    /// A start found a port that was free.
    pub(crate) fn port_was_free(&mut self) {
        self.ports_taken = 0;
    }

    /// Whether starts are held back.
    pub(crate) fn holds(&self, now: Time) -> bool {
        now < self.until
    }

    /// No start before this.
    pub(crate) fn until(&self) -> Time {
        self.until
    }

    /// Consecutive failures: 1 for those that doubled nothing.
    pub(crate) fn failures(&self) -> u32 {
        self.counted.max(1)
    }

    /// Whether there is something to forget.
    pub(crate) fn remembers(&self) -> bool {
        self.counted > 0
    }

    /// Whether the failures are called a crash loop.
    pub(crate) fn is_crash_loop(&self, restart: &Restart) -> bool {
        self.counted > 0 && self.counted >= restart.crash_loop
    }
}

/// The first back-off doubled so many times, at most the longest one.
fn doubled(restart: &Restart, doublings: u32) -> Duration {
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    restart.backoff_min.saturating_mul(factor).min(restart.backoff_max)
}

fn jittered(hold: Duration, rng: &mut fastrand::Rng) -> Duration {
    hold.mul_f64(1.0 - JITTER + 2.0 * JITTER * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: Restart = Restart {
        backoff_min: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60),
        forgive_after: Duration::from_secs(60),
        crash_loop: 5,
    };

    fn failure(ordered_at: Time) -> Failure {
        Failure { ordered_at, excused: false, reason: "exit code 1".into(), last_lines: vec![] }
    }

    #[test]
    fn holds_double_up_to_the_longest_with_a_fifth_of_jitter() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut seen = Vec::new();
        for _ in 0..50 {
            let mut backoff = Backoff::default();
            let mut now = Time::from_ms(1);
            for nominal_s in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                let ordered_at = backoff.until();
                now = now.max(ordered_at) + Duration::from_millis(1);
                let hold = backoff.record(now, failure(now), &RESTART, &mut rng).unwrap();
                let ratio = hold.as_secs_f64() / f64::from(nominal_s);
                assert!((0.8..=1.2).contains(&ratio), "{hold:?} for {nominal_s} s");
                assert!(backoff.holds(now) && !backoff.holds(now + hold), "{hold:?}");
                seen.push(ratio);
            }
            assert_eq!(backoff.is_crash_loop(&RESTART), backoff.failures() >= 5);
        }
        assert!(seen.iter().any(|&r| r < 0.9) && seen.iter().any(|&r| r > 1.1), "no jitter");
    }

    #[test]
    fn the_number_of_failures_never_overflows_a_hold() {
        let mut backoff = Backoff { counted: u32::MAX - 1, ..Backoff::default() };
        let now = Time::from_ms(5);
        let mut rng = fastrand::Rng::with_seed(1);
        let hold = backoff.record(now, failure(now), &RESTART, &mut rng).unwrap();
        assert!(hold <= RESTART.backoff_max.mul_f64(1.2));
    }

    #[test]
    fn what_was_started_together_fails_together_and_counts_once() {
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let (ordered_at, now) = (Time::from_ms(10), Time::from_ms(500));
        assert!(backoff.record(now, failure(ordered_at), &RESTART, &mut rng).is_some());
        let until = backoff.until();
        let later = now + Duration::from_millis(100);
        assert_eq!(backoff.record(later, failure(ordered_at), &RESTART, &mut rng), None);
        assert_eq!((backoff.failures(), backoff.until()), (1, until));
    }

    #[test]
    fn excused_failures_neither_double_nor_lengthen() {
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut now = Time::from_ms(1);
        for _ in 0..20 {
            let excused = Failure { excused: true, ..failure(now) };
            let hold = backoff.record(now, excused, &RESTART, &mut rng).unwrap();
            assert!(hold <= RESTART.backoff_min.mul_f64(1.2));
            let until = backoff.until();
            let again = Failure { excused: true, ..failure(now) };
            let halfway = now + hold / 2;
            assert_eq!(backoff.record(halfway, again, &RESTART, &mut rng), None);
            assert_eq!(backoff.until(), until);
            now = until;
        }
        assert_eq!((backoff.failures(), backoff.remembers()), (1, false));
    }

    #[test]
    fn ports_taken_are_retried_a_few_times() {
        let mut backoff = Backoff::default();
        let retried: Vec<bool> = (0..7).map(|_| backoff.retries_port()).collect();
        assert_eq!(retried, [true, true, true, true, true, false, false]);
        backoff.port_was_free();
        assert!(backoff.retries_port());
    }
}
