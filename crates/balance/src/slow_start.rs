//! How much of its part a new instance gets: a ramp from a tenth to all of it.
//! Pure: a function of the time since it became ready, which others apply.

use std::time::Duration;

use model::{SHARE_FULL, UNLIMITED};

/// The least part that an instance gets, of `SHARE_FULL`: a tenth, enough to warm up on and to be
/// measured by.
const SHARE_MIN: u32 = SHARE_FULL / 10;

/// The part, of [`SHARE_FULL`], that an instance gets so long after it became ready: linear over
/// the window, from a tenth up.
pub fn ramp(since_ready: Duration, window: Duration) -> u32 {
    if since_ready >= window {
        return SHARE_FULL;
    }
    let share = since_ready.as_micros() * u128::from(SHARE_FULL) / window.as_micros().max(1);
    u32::try_from(share).unwrap_or(SHARE_FULL).clamp(SHARE_MIN, SHARE_FULL)
}

/// That part of a limit of requests in flight; at least one, and of no limit none.
pub fn ramp_limit(limit: u32, share: u32) -> u32 {
    if limit == UNLIMITED || share >= SHARE_FULL {
        return limit;
    }
    let scaled = u64::from(limit) * u64::from(share) / u64::from(SHARE_FULL);
    u32::try_from(scaled).unwrap_or(UNLIMITED).max(1)
}

/// How long one step of the ramp lasts, so that it is a ramp and not a staircase.
pub fn ramp_step(window: Duration) -> Duration {
    (window / 32).clamp(Duration::from_millis(50), Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_a_tenth_to_all() {
        let check = |ms: u64, expected: u32| {
            let (since, window) = (Duration::from_millis(ms), Duration::from_secs(10));
            assert_eq!(ramp(since, window), expected, "after {ms} ms");
        };
        check(0, 102);
        check(900, 102);
        check(2_500, 256);
        check(5_000, 512);
        check(9_999, 1023);
        check(10_000, 1024);
        check(1_000_000, 1024);
        assert_eq!(ramp(Duration::ZERO, Duration::ZERO), SHARE_FULL);
    }

    #[test]
    fn limits_follow() {
        let check = |limit, share, expected| assert_eq!(ramp_limit(limit, share), expected);
        check(100, SHARE_FULL, 100);
        check(100, SHARE_FULL / 2, 50);
        check(3, SHARE_MIN, 1);
        check(UNLIMITED, SHARE_MIN, UNLIMITED);
        check(UNLIMITED - 1, SHARE_FULL / 2, (UNLIMITED - 1) / 2);
    }

    #[test]
    fn a_step_is_short_against_the_window() {
        assert_eq!(ramp_step(Duration::from_secs(30)), Duration::from_micros(937_500));
        assert_eq!(ramp_step(Duration::from_secs(300)), Duration::from_secs(1));
        assert_eq!(ramp_step(Duration::ZERO), Duration::from_millis(50));
    }
}
