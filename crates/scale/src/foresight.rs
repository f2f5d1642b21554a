//! A forecast for one service as it runs: requests of each minute into a history, and once a minute
//! what it says of the next ones, in instances. It measures nothing and decides nothing.

use std::time::Duration;

use model::Time;

use crate::decision::Decision;
use crate::forecast::{Backtest, Distrust, Forecast, History, Season};
use crate::window::Sample;

/// Between two forecasts: each judges a whole day.
const ASKED_EVERY: Duration = Duration::from_secs(60);
const MINUTE_MS: u64 = 60_000;
/// What an instance is good for is a mean; after so many seconds half of it is forgotten.
const HALF_LIFE_S: f64 = 600.0;
/// A start whose time is not known yet takes so long.
const START_UP_UNKNOWN: Duration = Duration::from_secs(2);
/// Two whole days are what a forecast takes at least.
const KNOWN_MIN: Duration = Duration::from_secs(2 * 86_400);

/// What a service was asked in a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    /// When it began.
    pub at: Time,
    /// Requests per second, the mean.
    pub arrivals: f32,
}

/// The past of a service, and what it says of the future. Bounded: 15 days in steps of 5 minutes.
#[derive(Clone, Debug)]
pub struct Foresight {
    history: History,
    /// The minute that runs: its number since the epoch, requests per second of its seconds so
    /// far, and how many those are.
    minute: (u64, f64, f64),
    /// Requests per second, and the instances that they needed, over the last minutes.
    capacity: (f64, f64),
    asked_next: Time,
    told: Option<Told>,
}

/// What a forecast says, once a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// At least so many instances. Zero unless it is trusted.
    pub floor: u32,
    /// What it goes by, in requests per second.
    pub forecast: Forecast,
    /// How much of the past is known.
    pub known: Duration,
}

impl Foresight {
    /// One that knows nothing, and is first asked at a time of its own: not all services at once.
    pub fn new(asked_first: Time) -> Self {
        Self {
            history: History::new(),
            minute: (0, 0.0, 0.0),
            capacity: (0.0, 0.0),
            asked_next: asked_first,
            told: None,
        }
    }

    /// Hears of the past, in any order, once or several times.
    pub fn recall(&mut self, minutes: &[Minute]) {
        for minute in minutes {
            self.history.push(minute.at, f64::from(minute.arrivals));
        }
    }

    /// Notes a second, and what its policy made of it.
    pub fn note(&mut self, sample: &Sample, decision: &Decision) {
        let number = sample.at.as_ms() / MINUTE_MS;
        let (running, sum, count) = self.minute;
        if running != number {
            if count > 0.0 {
                self.history.push(Time::from_ms(running * MINUTE_MS), sum / count);
            }
            self.minute = (number, 0.0, 0.0);
        }
        if sample.arrivals.is_finite() {
            self.minute.1 += sample.arrivals;
            self.minute.2 += 1.0;
        }
        let needed = decision.strongest().and_then(|asked| asked.wants);
        if let Some(needed) = needed.filter(|it| it.is_finite() && sample.arrivals.is_finite()) {
            let kept = 0.5_f64.powf(1.0 / HALF_LIFE_S);
            let (arrivals, instances) = self.capacity;
            self.capacity = (arrivals * kept + sample.arrivals, instances * kept + needed);
        }
    }

    /// At least so many instances at `now`, for those that take `start_up` to be ready.
    pub fn floor(&mut self, now: Time, start_up: Option<Duration>) -> u32 {
        if now >= self.asked_next {
            self.asked_next = now + ASKED_EVERY;
            let forecast = self.history.forecast(now, start_up.unwrap_or(START_UP_UNKNOWN));
            let (arrivals, instances) = self.capacity;
            let each = if instances > 0.0 { arrivals / instances } else { 0.0 };
            let known = self.history.known();
            self.told = Some(Told { floor: forecast.floor(each), forecast, known });
        }
        self.told.map_or(0, |told| told.floor)
    }

    /// What it said last. None: it was not asked yet.
    pub fn told(&self) -> Option<Told> {
        self.told
    }
}

impl Told {
    /// Whether it is trusted, and why, for people.
    pub fn words(&self) -> String {
        let percent = |part: f64| (part * 100.0).round();
        let off =
            |backtest: &Backtest| format!("off by {} % on the last day", percent(backtest.error));
        match &self.forecast.trust {
            Ok(backtest) => {
                let season = match backtest.season {
                    Season::Day => "by the day",
                    Season::Week => "by the week",
                };
                format!("at least {}; {season}, {}", self.floor, off(backtest))
            }
            Err(Distrust::TooShort) => {
                let days = |time: Duration| time.as_secs_f64() / 86_400.0;
                let (known, least) = (days(self.known), days(KNOWN_MIN));
                format!("not trusted: {known:.1} days are known, {least:.0} are the least")
            }
            Err(Distrust::Wrong(backtest)) => {
                format!("not trusted: {}, 25 % are the most", off(backtest))
            }
            Err(Distrust::TooLow(backtest)) => format!(
                "not trusted: {}, and the demand itself would have done better",
                off(backtest)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Asked, Signal};

    const DAY_S: u64 = 86_400;

    /// From eight on 100 requests a second, which need 10 instances; 20 at night.
    fn arrivals(second: u64) -> f64 {
        if second % DAY_S >= 8 * 3600 { 100.0 } else { 20.0 }
    }

    fn minute(number: u64) -> Minute {
        let at = Time::from_ms(number * MINUTE_MS);
        #[expect(clippy::cast_possible_truncation, reason = "both are whole")]
        Minute { at, arrivals: arrivals(number * 60) as f32 }
    }

    fn second(foresight: &mut Foresight, at_s: u64) -> u32 {
        let at = Time::from_ms(at_s * 1000);
        let asked = Asked {
            signal: Signal::Arrivals,
            value: Some(arrivals(at_s)),
            target: 10.0,
            wants: Some(arrivals(at_s) / 10.0),
        };
        let sample = Sample { at, arrivals: arrivals(at_s), ..Sample::default() };
        let floor = foresight.floor(at, Some(Duration::from_secs(30)));
        foresight.note(&sample, &Decision { asked: vec![asked], ..Decision::stay(1) });
        floor
    }

    #[test]
    fn a_morning_like_others_is_met_before_it_comes() {
        let midnight = 3 * DAY_S;
        let mut foresight = Foresight::new(Time::from_ms(midnight * 1000));
        assert_eq!(foresight.told(), None);
        // An hour of the night is seen, and what came before is told.
        let begun = midnight + 6 * 3600;
        for at_s in begun..begun + 3600 {
            assert_eq!(second(&mut foresight, at_s), 0, "two days are not known");
        }
        let said = foresight.told().unwrap().words();
        assert_eq!(said, "not trusted: 0.0 days are known, 2 are the least");
        let past: Vec<Minute> = (0..begun / 60).map(minute).collect();
        foresight.recall(&past);
        let eight = midnight + 8 * 3600;
        let course: Vec<u32> =
            (begun + 3600..eight).map(|at_s| second(&mut foresight, at_s)).collect();
        assert_eq!(course[120], 2, "the night");
        assert_eq!(course.last(), Some(&10), "before eight there are those of eight");
        let told = foresight.told().unwrap();
        assert!(told.known > 3 * Duration::from_secs(DAY_S), "{told:?}");
        assert_eq!(told.words(), "at least 10; by the day, off by 0 % on the last day");
    }

    #[test]
    fn without_an_idea_of_what_an_instance_is_good_for_there_is_no_floor() {
        let mut foresight = Foresight::new(Time::from_ms(0));
        foresight.recall(&(0..5 * 1440).map(minute).collect::<Vec<_>>());
        let floor = foresight.floor(Time::from_ms(5 * DAY_S * 1000), None);
        let told = foresight.told().unwrap();
        assert_eq!((floor, told.forecast.trust.is_ok()), (0, true), "{told:?}");
    }
}
