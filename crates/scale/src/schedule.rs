//! Floors from the calendar: at least so many instances from these minutes on, for so long.
//! It reads no clock and no file: the time zones it knows are those that it was built with.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use model::{ScaleSchedule, Time};

/// At least so many instances, from each time that a cron expression names, for so long.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    lasts: Duration,
    count: u32,
}

/// How many instances there are to be at least, and how long that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// So many.
    pub count: u32,
    /// Before this nothing changes, so nobody need ask.
    pub until: Time,
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression cannot be read.
    #[error("{text:?} is no cron expression ({why})")]
    Cron {
        /// The expression.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The expression can be read and means nothing.
    #[error("{0:?} never comes")]
    Never(String),
    /// The time zone is not known.
    #[error("{0:?} is no time zone")]
    Zone(String),
}

impl ScheduleError {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            ScheduleError::Cron { .. } => {
                "write minute, hour, day of the month, month and day of the week, such as \
                 \"0 8 * * MON-FRI\""
            }
            ScheduleError::Never(_) => "write a day that there is, such as \"0 8 28 2 *\"",
            ScheduleError::Zone(_) => {
                "write a name of the IANA database, such as \"Europe/Berlin\", or \"UTC\""
            }
        }
    }
}

impl Schedule {
    /// Reads a cron expression of five fields, to be understood by the clock of a time zone.
    ///
    /// Names of days and months, ranges, lists, steps, `L`, `W`, `#` and nicknames such as `@daily`
    /// are understood; day of the month and day of the week are alternatives when both are given.
    /// A time that the clock skips comes when it would have been; one that it repeats comes once.
    pub fn parse(
        cron: &str,
        zone: &str,
        lasts: Duration,
        count: u32,
    ) -> Result<Self, ScheduleError> {
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|why| {
            let why = why.to_string().trim_end_matches('.').to_owned();
            ScheduleError::Cron { text: cron.to_owned(), why }
        })?;
        let known = TimeZoneDatabase::bundled();
        let zone = known.get(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        let schedule = Self { cron: parsed, zone, lasts, count };
        let never = || ScheduleError::Never(cron.to_owned());
        schedule.next_after(Time::from_ms(0)).ok_or_else(never)?;
        Ok(schedule)
    }

    /// That of a service.
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn of(schedule: &ScaleSchedule) -> Result<Self, ScheduleError> {
        Self::parse(&schedule.cron, &schedule.zone, schedule.lasts, schedule.count)
    }

    /// How many it wants while it holds.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How a moment is said by its clock: `Mon 18:00 in Europe/Berlin`.
    pub(crate) fn said(&self, at: Time) -> String {
        let Some(clock) = self.clock(at) else { return "never".to_owned() };
        let zone = self.zone.iana_name().unwrap_or("UTC");
        format!("{} in {zone}", clock.strftime("%a %H:%M"))
    }

    /// What it says at `now`. It searches a calendar: ask again when the answer ends, not sooner.
    pub fn floor(&self, now: Time) -> Floor {
        let ends = self.last_before(now).map(|began| began + self.lasts);
        if let Some(until) = ends.filter(|&ends| now < ends) {
            return Floor { count: self.count, until };
        }
        Floor { count: 0, until: self.next_after(now).unwrap_or(Time::from_ms(u64::MAX)) }
    }

    /// When it last began, `now` included.
    fn last_before(&self, now: Time) -> Option<Time> {
        let zoned = self.clock(now)?;
        at(&self.cron.find_previous_occurrence(&zoned, true).ok()?)
    }

    fn next_after(&self, now: Time) -> Option<Time> {
        let zoned = self.clock(now)?;
        at(&self.cron.find_next_occurrence(&zoned, false).ok()?)
    }

    /// What the clock of the time zone shows, to the second.
    fn clock(&self, now: Time) -> Option<Zoned> {
        let s = i64::try_from(now.as_ms() / 1000).ok()?;
        Some(Timestamp::from_second(s).ok()?.to_zoned(self.zone.clone()))
    }
}

fn at(zoned: &Zoned) -> Option<Time> {
    let ms = zoned.timestamp().as_millisecond();
    u64::try_from(ms).ok().map(Time::from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A moment as the clock of UTC shows it.
    fn utc(text: &str) -> Time {
        let timestamp: Timestamp = format!("{text}Z").parse().unwrap();
        Time::from_ms(u64::try_from(timestamp.as_millisecond()).unwrap())
    }

    #[test]
    fn says_when_and_for_how_long() {
        let check = |cron: &str, zone: &str, now: &str, expected: (u32, &str)| {
            let schedule = Schedule::parse(cron, zone, 10 * HOUR, 5).unwrap();
            let floor = schedule.floor(utc(now));
            let expected = Floor { count: expected.0, until: utc(expected.1) };
            assert_eq!(floor, expected, "{cron} in {zone} at {now}");
        };
        let work = "0 8 * * MON-FRI";
        // A Monday.
        check(work, "UTC", "2026-11-23T07:59:59", (0, "2026-11-23T08:00:00"));
        check(work, "UTC", "2026-11-23T08:00:00", (5, "2026-11-23T18:00:00"));
        check(work, "UTC", "2026-11-23T17:59:59.999", (5, "2026-11-23T18:00:00"));
        check(work, "UTC", "2026-11-23T18:00:00", (0, "2026-11-24T08:00:00"));
        check(work, "UTC", "2026-11-27T18:00:00", (0, "2026-11-30T08:00:00"));
        check(work, "Europe/Berlin", "2026-11-23T07:00:00", (5, "2026-11-23T17:00:00"));
        check(work, "Europe/Berlin", "2026-07-06T06:00:00", (5, "2026-07-06T16:00:00"));
        check(work, "America/New_York", "2026-11-23T12:59:59", (0, "2026-11-23T13:00:00"));
        // It begins again before it ends.
        check("0 * * * *", "UTC", "2026-11-23T08:30:00", (5, "2026-11-23T18:00:00"));
        // The day of the month or that of the week.
        check("0 0 13 * FRI", "UTC", "2026-11-20T00:00:00", (5, "2026-11-20T10:00:00"));
        check("@monthly", "UTC", "2026-11-02T00:00:00", (0, "2026-12-01T00:00:00"));
        check("0 9 L * *", "UTC", "2026-02-28T09:00:00", (5, "2026-02-28T19:00:00"));
    }

    #[test]
    fn follows_clocks_that_are_put_forward_and_back() {
        let schedule = Schedule::parse("30 2 * * *", "Europe/Berlin", HOUR, 3).unwrap();
        let check = |now: &str, expected: (u32, &str)| {
            let expected = Floor { count: expected.0, until: utc(expected.1) };
            assert_eq!(schedule.floor(utc(now)), expected, "{now}");
        };
        // 2:30 was skipped on the 29th of March; the hour after it is when it would have been.
        check("2026-03-29T00:00:00", (0, "2026-03-29T01:00:00"));
        check("2026-03-29T01:00:00", (3, "2026-03-29T02:00:00"));
        // 2:30 came twice on the 25th of October.
        check("2026-10-25T00:30:00", (3, "2026-10-25T01:30:00"));
        check("2026-10-25T01:30:00", (0, "2026-10-26T01:30:00"));
    }

    #[test]
    fn refuses_what_it_cannot_follow() {
        let check = |cron: &str, zone: &str, expected: &str| {
            let why = Schedule::parse(cron, zone, HOUR, 1).unwrap_err();
            assert!(why.to_string().starts_with(expected), "{why}");
            assert!(why.hint().starts_with("write "), "{why}");
        };
        check("", "UTC", "\"\" is no cron expression");
        check("8 o'clock", "UTC", "\"8 o'clock\" is no cron expression");
        check("0 0 8 * * *", "UTC", "\"0 0 8 * * *\" is no cron expression");
        check("61 * * * *", "UTC", "\"61 * * * *\" is no cron expression");
        check("0 8 30 2 *", "UTC", "\"0 8 30 2 *\" never comes");
        check("0 8 * * *", "Berlin", "\"Berlin\" is no time zone");
    }
}
