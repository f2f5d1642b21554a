//! Tries an autoscaler on a made-up service: what its clients would get, and what it would cost.
//! It decides nothing itself: decisions are those that real services get.

mod chance;
mod contender;
mod instances;
mod judge;
mod load;
mod plant;
mod shape;
mod trace;

use std::time::Duration;

use model::{Autoscale, Scale, Time};

use crate::calendar::Calendar;
use crate::decide::decide;
use crate::decision::{Decision, LimitedBy};
use crate::foresight::Foresight;
use crate::look::{Bounds, Look};
use crate::memory::Memory;
use crate::window::{Sample, Window};

pub use self::contender::{Contender, Says};
pub use self::judge::{Verdict, mean};
pub use self::load::{Arrivals, Load, Second, Trouble};
pub use self::shape::Shape;
pub use self::trace::{TraceError, parse};

use self::instances::moment;
use self::plant::Plant;

/// Requests that an instance works on at once.
pub const PARALLEL: u32 = 8;
/// What it needs for one of them on average.
pub const SERVICE_TIME: Duration = Duration::from_millis(400);
/// How far instances are meant to be used, in percent: what all policies aim at.
pub const UTILISATION_PERCENT: u32 = 70;
/// Requests per second of an instance that is used so far: 8 ÷ 0.4 s × 0.7.
pub const AIM_PER_S: f64 = 14.0;
/// A request that waits for longer is a bad one, whatever becomes of it.
pub const WAIT_SLO: Duration = Duration::from_millis(250);
/// The fewest instances.
pub const MIN: u32 = 1;
/// The most.
pub const MAX: u32 = 100;
/// Before a load begins its first second lasts so long, and counts for nothing.
pub const WARM_UP_S: usize = 300;

/// The queue in front of the instances is Herder's, with its defaults: so many may wait,
const QUEUE_MAX: usize = 4096;
/// for so long,
const QUEUE_TIMEOUT: Step = 10 * STEPS_PER_S;
/// and once the oldest have waited this long
const QUEUE_OVERLOAD: Step = STEPS_PER_S / 2;
/// for this long the newest go first.
const QUEUE_OVERLOAD_AFTER: Step = 5 * STEPS_PER_S;
const WAIT_MAX: Step = STEPS_PER_S / 4;

/// Time in the plant, in hundredths of a second.
type Step = u64;
const STEPS_PER_S: Step = STEPS as Step;
const STEPS: usize = 100;
/// What a decision may look back on.
const WINDOW: Duration = Duration::from_secs(3600);

/// Where requests wait that no instance works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// In one queue before all of them: it is known what an instance bears, and it gets no more.
    InFront,
    /// Inside of the instance that they were given to: nobody knows what it bears.
    Inside,
}

/// One experiment. The same one gives the same result, whatever machine it runs on.
#[derive(Clone, Copy, Debug)]
pub struct Experiment<'a> {
    /// What comes.
    pub load: &'a Load,
    /// Who says how many instances there are.
    pub contender: &'a Contender,
    /// What half of the instances take less than to become ready.
    pub start_up: Duration,
    /// Where requests wait.
    pub waits: Waits,
    /// Decides when requests come, how long they take, and how long starts take.
    pub seed: u64,
}

/// One second of an experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The demand in instances that are used as far as they are meant to be.
    pub demand: f64,
    /// See [`Load::oracle`].
    pub oracle: u32,
    /// Instances that were ready.
    pub ready: u32,
    /// Instances that cost: those that start and drain, too.
    pub running: u32,
    /// What was decided.
    pub desired: u32,
    /// What had the last word.
    pub limited_by: Option<LimitedBy>,
    /// Requests that came.
    pub arrivals: u64,
    /// Requests of which it came out that they are bad.
    pub bad: u64,
    /// Of these: those that were not answered at all.
    pub lost: u64,
    /// Requests that were answered.
    pub completions: u64,
    /// Instances that became ready while somebody waited for them.
    pub awaited: u64,
    /// Requests in front of instances and in them when it ended.
    pub left: u64,
}

impl Experiment<'_> {
    /// Runs it, and returns every second of the load.
    pub fn run(&self) -> Vec<Moment> {
        let begins_with = self.contender.begins_with(self.load.oracle(0));
        let mut plant = Plant::new(self, begins_with);
        let autoscale = self.contender.autoscale();
        let mut floors = Floors::of(autoscale, self.load.begins);
        let mut memory = autoscale.map(|it| Memory::new(it, begins_with, moment(0)));
        let mut window = autoscale.map_or(Window::new(WINDOW), Window::of);
        let mut course = Vec::with_capacity(self.load.seconds.len());
        for second in 0..WARM_UP_S + self.load.seconds.len() {
            let at_s = second.saturating_sub(WARM_UP_S);
            plant.second(self.load, at_s);
            let (sample, members) = plant.measure();
            let is_blind = second >= WARM_UP_S && self.load.is_blind(at_s);
            if !is_blind {
                window.push(sample);
            }
            let start_up = plant.instances.start_up();
            let is_blind = is_blind || second < WARM_UP_S;
            let clock = self.load.begins + Duration::from_secs(at_s as u64);
            let look = Look {
                now: sample.at,
                window: &window,
                members: &members,
                start_up,
                is_rolling_out: plant.instances.old() > 0,
                is_failing_to_start: false,
                bounds: floors.bounds(self.contender.scale, clock, start_up),
            };
            let (desired, limited_by) = match (autoscale, &mut memory) {
                (Some(autoscale), Some(memory)) => {
                    let decision = decide(autoscale, memory, &look);
                    if !is_blind {
                        floors.note(&Sample { at: clock, ..sample }, &decision);
                    }
                    (decision.desired, decision.limited_by())
                }
                _ => (self.contender.foretell(self.load, at_s, self.start_up), None),
            };
            if second >= WARM_UP_S {
                let moment = plant.moment(self.load, at_s);
                course.push(Moment { desired, limited_by, ..moment });
            }
            plant.have(desired);
        }
        course
    }
}

/// What holds by the clock of a load.
struct Floors {
    calendar: Calendar,
    foresight: Option<Foresight>,
}

impl Floors {
    fn of(autoscale: Option<&Autoscale>, begins: Time) -> Self {
        let schedules = autoscale.map_or(&[][..], |it| &it.schedules);
        Self {
            // A file with others is refused.
            calendar: Calendar::new(schedules).unwrap_or_default(),
            foresight: autoscale.filter(|it| it.forecasts).map(|_| Foresight::new(begins)),
        }
    }

    fn bounds(&mut self, scale: Scale, clock: Time, start_up: Option<Duration>) -> Bounds {
        let foresight = self.foresight.as_mut();
        Bounds {
            min: scale.min,
            max: scale.max,
            room: None,
            share: None,
            calendar: self.calendar.floor(clock),
            forecast: foresight.map_or(0, |it| it.floor(clock, start_up)),
        }
    }

    fn note(&mut self, sample: &Sample, decision: &Decision) {
        if let Some(foresight) = &mut self.foresight {
            foresight.note(sample, decision);
        }
    }
}

fn steps(time: Duration) -> Step {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / (1000 / STEPS_PER_S)
}

fn span(steps: Step) -> Duration {
    Duration::from_millis(steps * (1000 / STEPS_PER_S))
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

/// A number that is whole already, or rounded by the caller; less than nothing is nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and what is no number is none"
)]
fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests;
