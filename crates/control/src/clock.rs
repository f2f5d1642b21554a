//! The one place in control that reads a clock: once per event, and for the sleep until the next.
//! It decides nothing; what a moment means is for the state and the plan.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::Time;
use tokio::time::Instant;

/// Counts on the monotonic clock from where the wall clock stood when it was made, so that time
/// never goes backwards and can still be printed as a date.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    start_time: Time,
}

impl Clock {
    /// A clock that starts at the wall clock's now; at the epoch when that lies before it.
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { start: Instant::now(), start_time: Time::default() + since_epoch }
    }

    /// Now.
    pub(crate) fn now(&self) -> Time {
        self.start_time + self.start.elapsed()
    }

    /// How far the wall clock is ahead of this one, in milliseconds: it was put forward or back
    /// since, or the machine slept.
    pub(crate) fn wall_ahead_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let wall_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        wall_ms.saturating_sub(i64::try_from(self.now().as_ms()).unwrap_or(i64::MAX))
    }

    /// When `time` is on the clock that sleeps are measured by; at the latest `within` from now,
    /// which bounds every sleep.
    pub(crate) fn instant(&self, time: Time, within: Duration) -> Instant {
        Instant::now() + time.since(self.now()).min(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_the_monotonic_clock_and_bounds_sleeps() {
        let clock = Clock::start();
        let before = clock.now();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().since(before), Duration::from_millis(1500));

        let check_at = |time: Time, expected_ms| {
            let sleep = clock.instant(time, Duration::from_secs(1)) - Instant::now();
            assert_eq!(sleep, Duration::from_millis(expected_ms));
        };
        check_at(before, 0);
        check_at(clock.now() + Duration::from_millis(300), 300);
        check_at(clock.now() + Duration::from_secs(9), 1000);
    }
}
