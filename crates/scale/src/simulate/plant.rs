//! A made-up service, a hundredth of a second at a time: requests come, wait, are worked on, go.
//! It does as it is told about instances; it scales nothing.

use std::collections::VecDeque;

use model::Phase;

use crate::look::Member;
use crate::simulate::instances::{Instances, Which, moment};
use crate::simulate::load::{Arrivals, Load, Trouble};
use crate::simulate::{
    Experiment, Moment, PARALLEL, QUEUE_MAX, QUEUE_OVERLOAD, QUEUE_OVERLOAD_AFTER, QUEUE_TIMEOUT,
    STEPS, STEPS_PER_S, Step, WAIT_MAX, Waits, chance, steps, whole,
};
use crate::window::Sample;

/// The longest that a request may take, in steps: what would take longer takes as long.
const WHEEL: usize = 120 * STEPS;
/// How finely service times are drawn.
const QUANTILES: usize = 4096;
/// The spread of start-up times: of 100, 5 take 1.4 times as long as half of them or longer.
const START_SIGMA: f64 = 0.2;

/// A request that is worked on.
#[derive(Clone, Copy, Debug)]
struct Work {
    at: usize,
    number: u64,
    came: Step,
}

/// What is counted in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) arrivals: u64,
    pub(super) completions: u64,
    /// Waited too long, or were lost.
    pub(super) bad: u64,
    /// Were refused, gave up, or died with their instance.
    pub(super) lost: u64,
    /// Instances that became ready while somebody waited for them.
    pub(super) awaited: u64,
}

/// What instances call, in one second.
#[derive(Clone, Copy)]
struct Calls {
    /// Requests per second that it finishes for all of them together; none: as many as they ask.
    per_s: Option<f64>,
    /// The part of a request's time in which it is not waited for.
    worked: f64,
}

pub(super) struct Plant {
    waits: Waits,
    start_up: f64,
    pub(super) instances: Instances,
    now: Step,
    /// Those that wait in front of all instances, by when they came.
    queue: VecDeque<Step>,
    /// Since when the oldest has always waited for longer than [`QUEUE_OVERLOAD`].
    late_since: Option<Step>,
    /// Requests by the step in which they are done, as a ring.
    wheel: Vec<Vec<Work>>,
    /// Service times in equal parts of all, with 1 as their mean.
    quantiles: Vec<f64>,
    /// Until when what all instances call is at what it was asked, in steps.
    called_until: f64,
    /// The part of a request's time in which it is worked on; less in a brown-out.
    strain: f64,
    comes: fastrand::Rng,
    takes: fastrand::Rng,
    starts: fastrand::Rng,
    pub(super) count: Count,
    /// Sums over the steps of this second.
    in_flight: u64,
    queued: u64,
    /// Of the responses of this second, in steps, waiting included.
    took: Vec<Step>,
}

impl Plant {
    pub(super) fn new(experiment: &Experiment<'_>, ready: u32) -> Self {
        let mut root = fastrand::Rng::with_seed(experiment.seed);
        let mut plant = Self {
            waits: experiment.waits,
            start_up: steps(experiment.start_up) as f64,
            instances: Instances::default(),
            now: 0,
            queue: VecDeque::new(),
            late_since: None,
            wheel: vec![Vec::new(); WHEEL],
            quantiles: chance::log_normal(experiment.load.sigma, QUANTILES),
            called_until: 0.0,
            strain: 1.0,
            comes: root.fork(),
            takes: root.fork(),
            starts: root.fork(),
            count: Count::default(),
            in_flight: 0,
            queued: 0,
            took: Vec::new(),
        };
        (0..ready).for_each(|_| plant.instances.order(0, 0));
        plant.instances.step(0);
        plant
    }

    /// One second of the load. Nothing goes wrong before it is meant to.
    pub(super) fn second(&mut self, load: &Load, at_s: usize) {
        (self.count, self.in_flight, self.queued) = (Count::default(), 0, 0);
        self.instances.became_ready = 0;
        self.took.clear();
        let second = load.second(at_s);
        let mut calls = Calls { per_s: None, worked: 1.0 };
        for trouble in &load.troubles {
            match *trouble {
                Trouble::Brownout { from_s, until_s, per_s }
                    if (from_s..until_s).contains(&at_s) =>
                {
                    calls.per_s = Some(per_s);
                }
                Trouble::SlowCalls { from_s, until_s, worked }
                    if (from_s..until_s).contains(&at_s) =>
                {
                    calls.worked = worked;
                }
                Trouble::Crash { at_s: when, percent } if when == at_s => {
                    let lost = self.instances.crash(percent);
                    self.lose(lost);
                }
                Trouble::Deploy { at_s: when } if when == at_s => self.instances.revision += 1,
                _ => {}
            }
        }
        let come = self.come(load.arrivals, second.arrivals);
        for come in come {
            self.step(come, second.service_s * STEPS_PER_S as f64, calls);
        }
        if !self.queue.is_empty() || self.count.bad > 0 {
            self.count.awaited = u64::from(self.instances.became_ready);
        }
    }

    /// How many come in each step: those of a second, thrown at it.
    fn come(&mut self, arrivals: Arrivals, mean: f64) -> [u32; STEPS] {
        let mut come = [0; STEPS];
        let count = match arrivals {
            Arrivals::Poisson => chance::poisson(mean, &mut self.comes),
            Arrivals::Counted => u64::from(whole(mean.round())),
        };
        for _ in 0..count {
            come[self.comes.usize(..come.len())] += 1;
        }
        self.count.arrivals = count;
        come
    }

    fn step(&mut self, come: u32, service: f64, calls: Calls) {
        self.now += 1;
        let lost = self.instances.step(self.now);
        self.lose(lost);
        self.finish(service, calls);
        self.expire();
        for _ in 0..come {
            match self.queue.len() < QUEUE_MAX {
                true => self.queue.push_back(self.now),
                false => self.lose(1),
            }
        }
        self.dispatch(service, calls);
        self.queued += self.queue.len() as u64;
        self.in_flight += self.instances.all().map(|it| u64::from(it.in_flight())).sum::<u64>();
    }

    /// Whoever is done goes, and the next one inside the instance is begun with.
    fn finish(&mut self, service: f64, calls: Calls) {
        let mut done = std::mem::take(&mut self.wheel[place(self.now)]);
        for work in done.drain(..) {
            let Some(instance) = self.instances.at(work.at) else { continue };
            if instance.number != work.number {
                continue;
            }
            instance.busy -= 1;
            let next = instance.waiting.pop_front();
            self.count.completions += 1;
            self.took.push(self.now - work.came);
            if let Some(came) = next {
                self.begin(work.at, came, service, calls);
            }
        }
        self.wheel[place(self.now)] = done;
    }

    /// Whoever has waited in front for too long goes without.
    fn expire(&mut self) {
        while self.queue.front().is_some_and(|&came| self.now - came >= QUEUE_TIMEOUT) {
            self.queue.pop_front();
            self.lose(1);
        }
        let is_late = self.queue.front().is_some_and(|&came| self.now - came >= QUEUE_OVERLOAD);
        self.late_since = is_late.then(|| self.late_since.unwrap_or(self.now));
    }

    /// Gives those that wait in front to instances: the oldest, or the newest when it is certain
    /// that the oldest are only waiting to give up.
    fn dispatch(&mut self, service: f64, calls: Calls) {
        let below = match self.waits {
            Waits::InFront => PARALLEL,
            Waits::Inside => u32::MAX,
        };
        while !self.queue.is_empty() {
            let Some(at) = self.instances.least(below) else { return };
            let is_overloaded =
                self.late_since.is_some_and(|since| self.now - since >= QUEUE_OVERLOAD_AFTER);
            let came = match is_overloaded {
                true => self.queue.pop_back(),
                false => self.queue.pop_front(),
            };
            let (Some(came), Some(instance)) = (came, self.instances.at(at)) else { return };
            match instance.busy < PARALLEL {
                true => self.begin(at, came, service, calls),
                false => instance.waiting.push_back(came),
            }
        }
    }

    fn begin(&mut self, at: usize, came: Step, service: f64, calls: Calls) {
        let own = self.quantiles[self.takes.usize(..QUANTILES)] * service;
        let mut takes = own;
        if let Some(per_s) = calls.per_s {
            let now = self.now as f64;
            self.called_until = self.called_until.max(now) + STEPS_PER_S as f64 / per_s;
            takes = own.max(self.called_until - now);
        }
        self.strain += 0.02 * (calls.worked * own / takes.max(own) - self.strain);
        let takes = u64::from(whole(takes.round())).clamp(1, WHEEL as u64 - 1);
        let Some(instance) = self.instances.at(at) else { return };
        instance.busy += 1;
        let work = Work { at, number: instance.number, came };
        self.wheel[place(self.now + takes)].push(work);
        self.count.bad += u64::from(self.now - came > WAIT_MAX);
    }

    fn lose(&mut self, count: u32) {
        self.count.bad += u64::from(count);
        self.count.lost += u64::from(count);
    }

    /// Makes it have so many instances, as the herd would: what is too much is taken away, what is
    /// missing is ordered, and while there are old ones there may be one more.
    pub(super) fn have(&mut self, desired: u32) {
        let old = self.instances.old();
        let wanted = desired + u32::from(old > 0 && desired > 0);
        while self.instances.staying() > wanted {
            self.instances.take_away(self.now, Which::Any);
        }
        while self.instances.staying() < wanted {
            let takes = self.start_up * (START_SIGMA * chance::normal(&mut self.starts)).exp();
            self.instances.order(self.now, u64::from(whole(takes.round())));
        }
        while self.instances.old() > 0 && self.instances.count(Phase::Ready) > desired {
            self.instances.take_away(self.now, Which::Old);
        }
    }

    /// What came of the second that has ended, for the judge.
    pub(super) fn moment(&self, load: &Load, at_s: usize) -> Moment {
        let in_flight: u64 = self.instances.all().map(|it| u64::from(it.in_flight())).sum();
        Moment {
            demand: load.demand(at_s),
            oracle: load.oracle(at_s),
            ready: self.instances.count(Phase::Ready),
            running: super::count(self.instances.all()),
            desired: 0,
            limited_by: None,
            arrivals: self.count.arrivals,
            bad: self.count.bad,
            lost: self.count.lost,
            completions: self.count.completions,
            awaited: self.count.awaited,
            left: self.queue.len() as u64 + in_flight,
        }
    }

    /// What is measured of the second that has ended, as the real herd would tell it.
    pub(super) fn measure(&mut self) -> (Sample, Vec<Member>) {
        let members = self.instances.members(self.strain);
        let ready: Vec<_> = members.iter().filter(|it| it.phase == Phase::Ready).collect();
        let mean = |of: fn(&Member) -> Option<f64>| {
            let sum: f64 = ready.iter().filter_map(|member| of(member)).sum();
            (!ready.is_empty()).then(|| sum / ready.len() as f64)
        };
        self.took.sort_unstable();
        let rank = (self.took.len() * 95).div_ceil(100);
        let p95 = rank.checked_sub(1).and_then(|rank| self.took.get(rank));
        let oldest = self.queue.front().map(|&came| self.now - came);
        let sample = Sample {
            at: moment(self.now),
            arrivals: self.count.arrivals as f64,
            completions: self.count.completions as f64,
            in_flight: self.in_flight as f64 / STEPS_PER_S as f64,
            queued: self.queued as f64 / STEPS_PER_S as f64,
            queue_time: oldest.map(super::span),
            latency: p95.copied().map(super::span),
            cpu: mean(|member| member.cpu),
            memory: mean(|member| member.memory),
            prometheus: None,
        };
        (sample, members)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is less than the length of the wheel")]
fn place(step: Step) -> usize {
    (step % WHEEL as u64) as usize
}
