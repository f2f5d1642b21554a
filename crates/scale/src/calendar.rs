//! All schedules of one service: the largest floor of those that hold, and until when it is known.
//! It decides nothing; a floor bends to `max` like everything else.

use model::{ScaleSchedule, Time};

use crate::schedule::{Floor, Schedule, ScheduleError};

/// The schedules of a service, and what they said last.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    entries: Vec<(Schedule, String)>,
    /// It is asked each second, and a schedule searches a calendar.
    said: Option<Said>,
}

/// What the schedules say.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// Nothing changes from then on
    since: Time,
    /// until then.
    until: Time,
    /// The one whose floor is the largest, with that.
    holds: Option<(usize, Floor)>,
    /// The one that is next to begin.
    next: Option<(usize, Time)>,
}

impl Calendar {
    /// That of a service.
    ///
    /// # Errors
    /// The first schedule that cannot be read.
    pub fn new(schedules: &[ScaleSchedule]) -> Result<Self, ScheduleError> {
        let entry = |it: &ScaleSchedule| Ok((Schedule::of(it)?, it.cron.to_string()));
        Ok(Self { entries: schedules.iter().map(entry).collect::<Result<_, _>>()?, said: None })
    }

    /// At least so many instances at `now`.
    pub fn floor(&mut self, now: Time) -> u32 {
        if self.entries.is_empty() {
            return 0;
        }
        let said = match self.said {
            Some(said) if said.since <= now && now < said.until => said,
            _ => self.look_up(now),
        };
        self.said = Some(said);
        said.holds.map_or(0, |(_, floor)| floor.count)
    }

    /// What it said last, for people: which entry holds, and until when by its clock; else which
    /// one is next. None: there is no entry, or nobody has asked yet.
    pub fn words(&self) -> Option<String> {
        let said = self.said?;
        let entry = |index: usize| &self.entries[index];
        Some(match (said.holds, said.next) {
            (Some((index, floor)), _) => {
                let (schedule, cron) = entry(index);
                let until = schedule.said(floor.until);
                format!("at least {} until {until} ({cron})", floor.count)
            }
            (None, Some((index, at))) => {
                let (schedule, cron) = entry(index);
                let from = schedule.said(at);
                format!("nothing now; at least {} from {from} ({cron})", schedule.count())
            }
            (None, None) => "nothing any more".to_owned(),
        })
    }

    fn look_up(&self, now: Time) -> Said {
        let all = self.entries.iter().map(|(schedule, _)| schedule.floor(now));
        let (holding, waiting): (Vec<_>, Vec<_>) =
            all.enumerate().partition(|(_, floor)| floor.count > 0);
        let until = |(_, floor): &(usize, Floor)| floor.until;
        let end = holding.iter().chain(&waiting).map(until).min();
        Said {
            since: now,
            until: end.unwrap_or(NEVER),
            // Of two that are alike the one that holds longer.
            holds: holding.into_iter().max_by_key(|(_, floor)| (floor.count, floor.until)),
            next: waiting
                .into_iter()
                .map(|(index, floor)| (index, floor.until))
                .filter(|&(_, at)| at < NEVER)
                .min_by_key(|&(_, at)| at),
        }
    }
}

/// The end of time.
const NEVER: Time = Time::from_ms(u64::MAX);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A Monday at eight, by the clock of UTC.
    const MONDAY_8: u64 = 1_795_420_800_000;
    const HOUR_MS: u64 = 3_600_000;

    fn schedule(cron: &str, zone: &str, hours: u64, count: u32) -> ScaleSchedule {
        let lasts = Duration::from_secs(hours * 3600);
        ScaleSchedule { cron: cron.into(), zone: zone.into(), lasts, count }
    }

    #[test]
    fn of_several_the_largest_holds_and_is_named() {
        let day = schedule("0 8 * * MON-FRI", "UTC", 10, 5);
        let noon = schedule("0 13 * * *", "Europe/Berlin", 1, 9);
        let mut calendar = Calendar::new(&[day, noon]).unwrap();
        assert_eq!(calendar.words(), None, "nobody has asked");
        let mut check = |hours: u64, count: u32, words: &str| {
            let now = Time::from_ms(MONDAY_8 + hours * HOUR_MS);
            // Asked before or not, it is the same.
            for _ in 0..2 {
                assert_eq!(calendar.floor(now), count, "after {hours} h");
                assert_eq!(calendar.words().as_deref(), Some(words), "after {hours} h");
            }
        };
        check(0, 5, "at least 5 until Mon 18:00 in UTC (0 8 * * MON-FRI)");
        check(1, 5, "at least 5 until Mon 18:00 in UTC (0 8 * * MON-FRI)");
        check(4, 9, "at least 9 until Mon 14:00 in Europe/Berlin (0 13 * * *)");
        check(5, 5, "at least 5 until Mon 18:00 in UTC (0 8 * * MON-FRI)");
        check(10, 0, "nothing now; at least 5 from Tue 08:00 in UTC (0 8 * * MON-FRI)");
        check(
            10 + 5 * 24,
            0,
            "nothing now; at least 9 from Sun 13:00 in Europe/Berlin (0 13 * * *)",
        );
        // A clock that goes back is asked anew.
        check(4, 9, "at least 9 until Mon 14:00 in Europe/Berlin (0 13 * * *)");
    }

    #[test]
    fn without_entries_there_is_no_floor_and_with_bad_ones_no_calendar() {
        let mut empty = Calendar::new(&[]).unwrap();
        assert_eq!((empty.floor(NEVER), empty.words()), (0, None));
        let mut day = Calendar::new(&[schedule("0 8 * * *", "UTC", 1, 5)]).unwrap();
        assert_eq!(day.floor(NEVER), 0, "the end of time has no days");
        assert_eq!(day.words().as_deref(), Some("nothing any more"));
        assert!(Calendar::new(&[schedule("0 8 * * *", "Berlin", 1, 5)]).is_err());
    }
}
