//! A floor from the past: what was asked at this time of the day or the week, and is again.
//! It only adds to what a policy decides, and says nothing before it was right for a day.

use std::collections::VecDeque;
use std::time::Duration;

use model::Time;

/// The past is kept, and the future told, in steps of so long.
const STEP: Duration = Duration::from_secs(300);
const STEPS_OF_HOUR: u64 = 12;
const STEPS_OF_DAY: u64 = 24 * STEPS_OF_HOUR;
/// Two weeks to learn from and a day to be tried on: 4,320 steps, 70 KB.
const STEPS_MAX: u64 = 15 * STEPS_OF_DAY;
/// Of a season as many repetitions are averaged, the newest first.
const REPETITIONS_MAX: u64 = 3;
/// What the last hour may say about this day, compared with those before: half as much, or twice.
const GROWTH_MIN: f64 = 0.5;
const GROWTH_MAX: f64 = 2.0;
/// A forecast is trusted when what it was off by is no more of what was needed than this.
const ERROR_MAX: f64 = 0.25;
/// So many of a hundred steps of the last day have to be known, and foretold, to judge by them.
const KNOWN_PERCENT_MIN: usize = 80;

/// What a service was asked, the newest step last. Bounded: 15 days, then the oldest is forgotten.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The most of each step. None: nothing is known of it.
    steps: VecDeque<Option<f64>>,
    /// The number of the newest step since the epoch.
    newest: u64,
}

/// What comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// Each day is like the ones before.
    Day,
    /// Each day of the week is like that of the weeks before.
    Week,
}

/// What is to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The most that is expected before what is started now could be ready, whether or not that is
    /// trusted. None: the past is too short.
    pub expected: Option<f64>,
    /// How it would have done on the last day, or why it is not trusted.
    pub trust: Result<Backtest, Distrust>,
}

/// How a forecast would have done on the last day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backtest {
    /// What it goes by.
    pub season: Season,
    /// What it was off by in all, as a part of what was asked.
    pub error: f64,
    /// What was missing in all, as a part of what was needed, if there had been as many as it said.
    pub missing: f64,
    /// What was missing with as many as were needed when they would have had to be started.
    pub missing_reactive: f64,
}

/// Why a forecast is not trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distrust {
    /// Two whole days are the least: one to learn from and one to be tried on.
    TooShort,
    /// It was off by too much.
    Wrong(Backtest),
    /// Waiting for the demand and then starting instances would have left less missing.
    TooLow(Backtest),
}

impl History {
    /// One that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what was asked in a minute that began at `at`, in whatever unit; in any order. What is
    /// not finite is not known, and what is older than 15 days before the newest does not count.
    pub fn push(&mut self, at: Time, needed: f64) {
        if !needed.is_finite() {
            return;
        }
        let step = step_of(at);
        if self.steps.is_empty() || step >= self.newest + STEPS_MAX {
            self.steps.clear();
            self.newest = step;
            self.steps.push_back(None);
        }
        let oldest = self.newest + 1 - self.steps.len() as u64;
        if step < oldest && self.newest - step < STEPS_MAX {
            (step..oldest).for_each(|_| self.steps.push_front(None));
        }
        while self.newest < step {
            self.newest += 1;
            self.steps.push_back(None);
        }
        while self.steps.len() as u64 > STEPS_MAX {
            self.steps.pop_front();
        }
        if let Some(known) = self.at_mut(step) {
            *known = Some(known.unwrap_or(0.0).max(needed));
        }
    }

    /// What is to come, for instances that take `start_up` to be ready.
    ///
    /// It judges a whole day each time: ask once a minute, not each second. A start that takes
    /// longer than a day is taken for one of a day.
    pub fn forecast(&self, now: Time, start_up: Duration) -> Forecast {
        let lead = start_up.as_secs().div_ceil(STEP.as_secs()).clamp(1, STEPS_OF_DAY);
        let tried = [Season::Week, Season::Day].map(|season| self.backtest(season, lead));
        let best = tried.into_iter().flatten().min_by(|a, b| a.error.total_cmp(&b.error));
        let Some(best) = best else {
            return Forecast { expected: None, trust: Err(Distrust::TooShort) };
        };
        let step = step_of(now);
        let ahead = (step..=step + lead).filter_map(|ahead| self.expect(best.season, ahead, step));
        let expected = ahead.reduce(f64::max);
        let trust = if best.error > ERROR_MAX {
            Err(Distrust::Wrong(best))
        } else if best.missing > best.missing_reactive {
            Err(Distrust::TooLow(best))
        } else {
            Ok(best)
        };
        Forecast { expected, trust }
    }

    /// How much of the past is known.
    pub fn known(&self) -> Duration {
        let known = self.steps.iter().flatten().count();
        STEP.saturating_mul(u32::try_from(known).unwrap_or(u32::MAX))
    }

    fn at(&self, step: u64) -> Option<f64> {
        let back = usize::try_from(self.newest.checked_sub(step)?).ok()?;
        let index = self.steps.len().checked_sub(back + 1)?;
        self.steps[index]
    }

    fn at_mut(&mut self, step: u64) -> Option<&mut Option<f64>> {
        let back = usize::try_from(self.newest.checked_sub(step)?).ok()?;
        let index = self.steps.len().checked_sub(back + 1)?;
        self.steps.get_mut(index)
    }

    /// What `step` is going to need, by what was known when `known_before` began.
    fn expect(&self, season: Season, step: u64, known_before: u64) -> Option<f64> {
        let usual = self.usual(season, step, known_before)?;
        let hour = known_before.saturating_sub(STEPS_OF_HOUR)..known_before;
        let (there, then) = hour
            .filter_map(|step| self.at(step).zip(self.usual(season, step, step)))
            .fold((0.0, 0.0), |(there, then), (now, usual)| (there + now, then + usual));
        let growth = if then > 0.0 { (there / then).clamp(GROWTH_MIN, GROWTH_MAX) } else { 1.0 };
        Some(usual * growth)
    }

    /// The mean of what it needed in the seasons before.
    fn usual(&self, season: Season, step: u64, known_before: u64) -> Option<f64> {
        let season = season.steps();
        let before = (1..)
            .map_while(|times| step.checked_sub(times * season))
            .take_while(|&step| step + STEPS_MAX > self.newest)
            .filter(|&step| step < known_before)
            .filter_map(|step| self.at(step))
            .take(usize::try_from(REPETITIONS_MAX).unwrap_or(usize::MAX));
        let (sum, count) = before.fold((0.0, 0.0), |(sum, count), of| (sum + of, count + 1.0));
        (count > 0.0).then(|| sum / count)
    }

    /// As if each step of the last day had been foretold when its instances had to be ordered.
    /// None: too little of the day is known, or of what came before it.
    fn backtest(&self, season: Season, lead: u64) -> Option<Backtest> {
        let (mut needed, mut off, mut missing, mut missing_reactive) = (0.0, 0.0, 0.0, 0.0);
        let mut known = 0;
        // The newest step is not over yet.
        let day = self.newest.checked_sub(STEPS_OF_DAY)?..self.newest;
        for step in day {
            let ordered = step.saturating_sub(lead);
            let Some(there) = self.at(step) else { continue };
            let Some(expected) = self.expect(season, step, ordered) else { continue };
            let Some(reactive) = self.at(ordered) else { continue };
            known += 1;
            needed += there;
            off += (expected - there).abs();
            missing += (there - expected).max(0.0);
            missing_reactive += (there - reactive).max(0.0);
        }
        let steps = usize::try_from(STEPS_OF_DAY).ok()?;
        if known * 100 < steps * KNOWN_PERCENT_MIN || needed <= 0.0 {
            return None;
        }
        let part = |of: f64| of / needed;
        Some(Backtest {
            season,
            error: part(off),
            missing: part(missing),
            missing_reactive: part(missing_reactive),
        })
    }
}

impl Forecast {
    /// At least so many instances, if each is good for `each`: zero unless the forecast is trusted.
    pub fn floor(&self, each: f64) -> u32 {
        let trusted = self.expected.filter(|_| self.trust.is_ok() && each > 0.0);
        trusted.map_or(0, |expected| ceil(expected / each))
    }
}

impl Season {
    fn steps(self) -> u64 {
        match self {
            Season::Day => STEPS_OF_DAY,
            Season::Week => 7 * STEPS_OF_DAY,
        }
    }
}

fn step_of(at: Time) -> u64 {
    at.as_ms() / 1000 / STEP.as_secs()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and what is no number is none"
)]
fn ceil(instances: f64) -> u32 {
    (instances - 1e-9).ceil() as u32
}

#[cfg(test)]
mod tests;
