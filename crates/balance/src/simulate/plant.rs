//! One made-up instance: how long it takes, how many at once, and what is the matter with it.
//! It knows nothing of the balancer in front of it.

use std::time::Duration;

use super::{PARALLEL, SERVICE_TIME, Scenario, Waiting};

/// From one standstill to the next.
pub(super) const PAUSE_EVERY_NS: u64 = 5_000_000_000;
/// How long it stands still.
const PAUSE_NS: u64 = 200_000_000;
/// Later than any experiment, and no sum of two of them overflows.
const FOR_EVER_NS: u64 = u64::MAX / 4;
/// How many times longer a slow one takes, and a cold one at first.
const SLOWER: f64 = 5.0;
/// Until a cold one is warm.
const COLD: Duration = Duration::from_secs(10);
/// What a failing one takes.
const FAILS_AFTER_NS: f64 = 1e6;
/// The spread of service times: log-normal, the 99th percentile at 3.2 times the median.
const SIGMA: f64 = 0.5;

/// What an instance is like, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Like the others.
    Sound,
    /// The one that something is the matter with.
    Odd,
    /// Joined later.
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Sound,
    Slow,
    Failing,
    Pausing,
    Frozen,
    Cold { since_ns: u64 },
}

/// One instance.
#[derive(Debug)]
pub(super) struct Plant {
    habit: Habit,
    busy: u32,
    waiting: Waiting,
    paused_until_ns: u64,
    /// How long it has stood still in all, the whole of the present standstill included.
    stood_ns: u64,
}

/// What one request takes there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) fails: bool,
    takes_ns: u64,
    /// The standstills that its end takes into account already.
    stood_ns: u64,
}

impl Plant {
    /// One of those that are there from the beginning; the first one is the odd one.
    pub(super) fn of(scenario: Scenario, number: u32) -> Self {
        let habit = match scenario {
            _ if number > 0 => Habit::Sound,
            Scenario::Equal | Scenario::Joining | Scenario::Overload => Habit::Sound,
            Scenario::Slow => Habit::Slow,
            Scenario::Failing => Habit::Failing,
            Scenario::Pausing => Habit::Pausing,
            Scenario::Frozen => Habit::Frozen,
        };
        Self::new(habit)
    }

    /// One that joins now.
    pub(super) fn cold(now_ns: u64) -> Self {
        Self::new(Habit::Cold { since_ns: now_ns })
    }

    fn new(habit: Habit) -> Self {
        Self { habit, busy: 0, waiting: Waiting::new(), paused_until_ns: 0, stood_ns: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.habit {
            Habit::Sound => Kind::Sound,
            Habit::Slow | Habit::Failing | Habit::Pausing | Habit::Frozen => Kind::Odd,
            Habit::Cold { .. } => Kind::New,
        }
    }

    /// What a request that comes now will take.
    pub(super) fn work(&self, now_ns: u64, rng: &mut fastrand::Rng) -> Work {
        let mean_ns = SERVICE_TIME.as_secs_f64() * 1e9;
        let takes_ns = (SIGMA * normal(rng) - SIGMA * SIGMA / 2.0).exp() * mean_ns;
        let (fails, takes_ns) = match self.habit {
            Habit::Sound | Habit::Pausing | Habit::Frozen => (false, takes_ns),
            Habit::Slow => (false, takes_ns * SLOWER),
            Habit::Failing => (true, FAILS_AFTER_NS),
            Habit::Cold { since_ns } => {
                let age = Duration::from_nanos(now_ns.saturating_sub(since_ns));
                let cold = (1.0 - age.as_secs_f64() / COLD.as_secs_f64()).max(0.0);
                (false, takes_ns * (1.0 + (SLOWER - 1.0) * cold))
            }
        };
        Work { fails, takes_ns: rounded_ns(takes_ns), stood_ns: 0 }
    }

    /// Whether it begins with a request at once; else the request waits here.
    pub(super) fn takes(&mut self, number: usize) -> bool {
        let takes = self.busy < PARALLEL;
        match takes {
            true => self.busy += 1,
            false => self.waiting.push_back(number),
        }
        takes
    }

    /// When it will be done with a request that it begins with now.
    pub(super) fn done_ns(&self, now_ns: u64, work: &mut Work) -> u64 {
        work.stood_ns = self.stood_ns;
        now_ns.max(self.paused_until_ns) + work.takes_ns
    }

    /// When it will be done instead, if it stood still while it worked on a request.
    pub(super) fn delayed_ns(&self, done_ns: u64, work: &mut Work) -> Option<u64> {
        let stood_ns = self.stood_ns - std::mem::replace(&mut work.stood_ns, self.stood_ns);
        (stood_ns > 0).then_some(done_ns + stood_ns)
    }

    /// It is done with one request. Returns the next one to begin with.
    pub(super) fn release(&mut self) -> Option<usize> {
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.busy -= 1;
        }
        next
    }

    /// Nobody waits for a request any more. Whether it had not been begun: then it never is.
    pub(super) fn forget(&mut self, number: usize) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|&waiting| waiting != number);
        self.waiting.len() < before
    }

    pub(super) fn pause(&mut self, now_ns: u64) {
        self.paused_until_ns = now_ns + PAUSE_NS;
        self.stood_ns += PAUSE_NS;
    }

    pub(super) fn freeze(&mut self) {
        self.paused_until_ns = FOR_EVER_NS;
        self.stood_ns += FOR_EVER_NS;
    }
}

/// A number of the standard normal distribution, by Box and Muller.
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let (a, b) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// At least one, so that time goes on.
pub(super) fn rounded_ns(ns: f64) -> u64 {
    Duration::from_secs_f64(ns / 1e9).as_nanos().try_into().unwrap_or(u64::MAX).max(1)
}
