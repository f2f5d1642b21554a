//! A point in time as the pure crates see it: an argument, never a call.
//! It must not read a clock; the shell makes one `Time` per event.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// Milliseconds since the Unix epoch, counted on a monotonic clock from where the wall clock
/// stood when Herder started. It never goes backwards, it can be printed as a date, and a
/// simulation may start it at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    ms: u64,
}

impl Time {
    /// The time `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> u64 {
        self.ms
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.ms.saturating_sub(earlier.ms))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at the end of time instead of wrapping, so that a deadline of "never" stays later
    /// than every now.
    fn add(self, after: Duration) -> Time {
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Time { ms: self.ms.saturating_add(ms) }
    }
}

impl fmt::Display for Time {
    /// UTC as `2026-11-23T04:05:06.789Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms_of_day) = (self.ms / 86_400_000, self.ms % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (s, ms) = (ms_of_day / 1000, ms_of_day % 1000);
        let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
    }
}

/// Year, month and day of a day number since 1970-01-01, by Howard Hinnant's `civil_from_days`
/// for non-negative days: 400-year eras that begin on 1 March, so that leap days come last.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_dates_that_date_agrees_with() {
        let check = |ms, text: &str| assert_eq!(Time::from_ms(ms).to_string(), text);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_709_251_199_000, "2024-02-29T23:59:59.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn never_wraps_and_never_goes_negative() {
        let end = Time::from_ms(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Time::from_ms(5).since(Time::from_ms(9)), Duration::ZERO);
    }
}
