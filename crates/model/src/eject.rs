//! When an instance is taken out of the pool because of how its requests fare, and for how long.
//! Policies only; who is out now is `control`'s to know.

use std::time::Duration;

use crate::Streak;

/// When an instance is ejected, for how long, and how many may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eject {
    /// Whether anybody is ejected at all.
    pub is_on: bool,
    /// Failures in a row that eject at once; 0 of a kind never does.
    pub streak: Streak,
    /// How many thousandths of a standard deviation the success rate of an instance may be below
    /// the mean of its pool; 0: it is not compared.
    pub deviations_milli: u32,
    /// Percentage of failed requests in an interval that ejects; 0 never does.
    pub failure_percent: u32,
    /// Instances with enough requests that an interval must have for either of the two.
    pub instances_min: u32,
    /// Requests of an instance in an interval that are enough.
    pub requests_min: u32,
    /// How long requests are counted until they are judged.
    pub interval: Duration,
    /// How long the first ejection lasts; each further one twice as long.
    pub time: Duration,
    /// The longest ejection, but for the jitter.
    pub time_max: Duration,
    /// Percentage of the instances of one priority that may be ejected at once. One always may,
    /// and never the last one.
    pub percent_max: u32,
}

impl Eject {
    /// Nobody is ever ejected.
    pub const fn never() -> Self {
        Self {
            is_on: false,
            streak: Streak { errors: 0, gateway: 0, silent: 0 },
            deviations_milli: 0,
            failure_percent: 0,
            instances_min: 1,
            requests_min: 1,
            interval: Duration::from_secs(10),
            time: Duration::from_secs(10),
            time_max: Duration::from_secs(10),
            percent_max: 0,
        }
    }

    /// The bounds of streaks that hold: none while nobody is ejected.
    pub fn streak_bounds(&self) -> Streak {
        if self.is_on { self.streak } else { Streak::default() }
    }
}
