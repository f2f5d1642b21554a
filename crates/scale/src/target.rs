//! Herder's own policy: arrivals × service time, plus what waits ÷ the time to work it off, with
//! what is in flight as a floor. Bounds that hold for every policy are not its concern.

use std::collections::VecDeque;
use std::time::Duration;

use model::{Phase, ScaleTarget, Time};

use crate::decision::{Asked, Decision, LimitedBy, Signal};
use crate::look::Look;

/// What arrives is averaged over these two: the fast one follows a step, the slow one keeps a
/// moment without requests from counting as less demand.
const FAST: Duration = Duration::from_secs(6);
pub(crate) const SLOW: Duration = Duration::from_secs(60);
/// What an instance serves at once until more is known: a small server with a few threads.
const CONCURRENCY_UNKNOWN: f64 = 10.0;
/// A start whose time is not known yet takes so long.
const START_UP_UNKNOWN: Duration = Duration::from_secs(2);
/// Numbers are remembered for as long as the longest window.
const RAISED_MAX: usize = 1024;

/// What it remembers.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Since when there is an autoscaler.
    began_at: Time,
    /// When how many were needed: the largest of each second, the oldest first, and only those
    /// which no later one has reached.
    needs: VecDeque<(Time, u32)>,
    /// The numbers there were within the last period of growth, the oldest first.
    raised: VecDeque<(Time, u32)>,
    /// What is desired, with the part of an instance that decay has not yet taken.
    level: f64,
    decayed_at: Time,
}

/// What is needed, from the samples.
struct Need {
    asked: Vec<Asked>,
    /// Instances, not rounded. None: nothing is known.
    instances: Option<f64>,
}

impl Memory {
    pub(crate) fn new(desired: u32, now: Time) -> Self {
        Self {
            began_at: now,
            needs: VecDeque::from([(now, desired)]),
            raised: VecDeque::new(),
            level: f64::from(desired),
            decayed_at: now,
        }
    }
}

/// What it would desire if there were no bounds.
pub(crate) fn propose(
    policy: &ScaleTarget,
    memory: &mut Memory,
    look: &Look<'_>,
    was: u32,
) -> Decision {
    let mut decision = Decision::stay(was);
    memory.raised.push_back((look.now, was));
    if memory.raised.len() > RAISED_MAX {
        memory.raised.pop_front();
    }
    let need = need(policy, look);
    decision.asked = need.asked;
    let Some(instances) = need.instances else {
        decision.limit(LimitedBy::Missing, was);
        return decision;
    };
    let needed = ceil(instances);
    decision.desired = needed;
    memory.remember_need(policy, look, needed);
    if needed > was {
        raise(policy, memory, look, &mut decision);
    } else {
        lower(policy, memory, look, &mut decision);
    }
    decision
}

fn need(policy: &ScaleTarget, look: &Look<'_>) -> Need {
    let ready = f64::from(look.count(Phase::Ready)).max(1.0);
    let concurrency = policy.concurrency.map_or(CONCURRENCY_UNKNOWN, f64::from).max(1.0);
    let aim = concurrency * f64::from(policy.utilisation_percent.max(1)) / 100.0;
    let mean = |span, of: fn(&crate::Sample) -> f64| {
        look.window.mean(look.now, span, |sample| Some(of(sample)))
    };
    let mut asked = Vec::with_capacity(6);
    let mut ask = |signal, value: Option<f64>, target: f64, wants: Option<f64>| {
        let wants = wants.filter(|wants| wants.is_finite()).map(|wants| wants.max(0.0));
        asked.push(Asked { signal, value, target, wants });
        wants
    };

    let arrivals = mean(FAST, |sample| sample.arrivals)
        .map(|fast| fast.max(mean(SLOW, |sample| sample.arrivals).unwrap_or(fast)));
    let in_flight = mean(FAST, |sample| sample.in_flight);
    let busy = in_flight.map(|in_flight| in_flight.min(concurrency * ready));
    let queued = mean(FAST, |sample| sample.queued);
    let completions = mean(SLOW, |sample| sample.completions).filter(|&rate| rate > 0.0);
    let busy_slow = mean(SLOW, |sample| sample.in_flight).map(|all| all.min(concurrency * ready));
    // Little's law; what is in flight beyond what an instance serves at once waits in it.
    let service_s = busy_slow.zip(completions).map(|(busy, rate)| busy / rate);

    let by_rate = arrivals.zip(service_s).map(|(rate, service_s)| rate * service_s / aim);
    let by_rate = ask(Signal::Arrivals, arrivals, aim / service_s.unwrap_or(1.0), by_rate);
    let by_busy = ask(Signal::InFlight, busy, aim, busy.map(|busy| busy / aim));
    let start_up = look.start_up.unwrap_or(START_UP_UNKNOWN);
    let drain_s = policy.backlog_drain.max(start_up).as_secs_f64().max(1.0);
    let backlog = queued.zip(in_flight.zip(busy)).map(|(queued, (all, busy))| queued + all - busy);
    let waiting = backlog
        .zip(service_s.or(Some(1.0)))
        .map(|(backlog, service_s)| backlog * service_s / (concurrency * drain_s));
    let waiting = ask(Signal::Backlog, backlog, concurrency * drain_s, waiting);
    let own = by_rate.into_iter().chain(by_busy).reduce(f64::max);
    let own = own.map(|own| own + waiting.unwrap_or(0.0));

    let mut others = Vec::new();
    if let Some(target) = policy.requests_per_s {
        let target = f64::from(target.max(1));
        others.push(ask(Signal::Requests, arrivals, target, arrivals.map(|all| all / target)));
    }
    let per_member = [
        (Signal::Cpu, policy.cpu_percent, look.window.mean(look.now, FAST, |sample| sample.cpu)),
        (
            Signal::Memory,
            policy.memory_percent,
            look.window.mean(look.now, FAST, |sample| sample.memory),
        ),
    ];
    for (signal, percent, value) in per_member {
        let Some(percent) = percent else { continue };
        let target = f64::from(percent.max(1)) / 100.0;
        others.push(ask(signal, value, target, value.map(|value| value * ready / target)));
    }
    let instances = others.into_iter().flatten().chain(own).reduce(f64::max);
    Need { asked, instances }
}

impl Memory {
    fn remember_need(&mut self, policy: &ScaleTarget, look: &Look<'_>, needed: u32) {
        while self.needs.back().is_some_and(|&(_, earlier)| earlier <= needed) {
            self.needs.pop_back();
        }
        self.needs.push_back((look.now, needed));
        let window = down_window(policy, look);
        while self.needs.front().is_some_and(|&(at, _)| look.now.since(at) > window) {
            self.needs.pop_front();
        }
    }

    /// The most that was needed within the window.
    fn needed_most(&self) -> u32 {
        self.needs.front().map_or(0, |&(_, needed)| needed)
    }
}

/// At once, within what may be ordered in one period, and may be starting at the same time.
fn raise(policy: &ScaleTarget, memory: &mut Memory, look: &Look<'_>, decision: &mut Decision) {
    let was = decision.was;
    memory.level = f64::from(was);
    memory.decayed_at = look.now;
    let least = f64::from(was) * (1.0 + f64::from(policy.tolerance_up_percent) / 100.0);
    if f64::from(decision.desired) <= least {
        return decision.limit(LimitedBy::Tolerance, was);
    }
    while memory.raised.front().is_some_and(|&(at, _)| look.now.since(at) >= policy.up_period) {
        memory.raised.pop_front();
    }
    let from = memory.raised.iter().map(|&(_, there)| there).min().unwrap_or(was).min(was);
    let by_percent = percent_of(from, policy.up_percent_max.saturating_add(100));
    let most = by_percent.max(from.saturating_add(policy.up_count_max)).max(was);
    let desired = decision.desired;
    decision.limit(LimitedBy::Rate, desired.min(most));
    let settled = look.count(Phase::Ready);
    let part = u64::from(policy.starting_percent_max.min(99));
    let starting = u64::from(settled) * part / (100 - part);
    let starting = u32::try_from(starting).unwrap_or(u32::MAX).max(1);
    let desired = decision.desired;
    decision.limit(LimitedBy::Starting, desired.min(settled.saturating_add(starting).max(was)));
    memory.level = f64::from(decision.desired);
}

/// Only what was not needed for a whole window, and of that the half, and of the rest the half.
fn lower(policy: &ScaleTarget, memory: &mut Memory, look: &Look<'_>, decision: &mut Decision) {
    let was = decision.was;
    let passed = look.now.since(memory.decayed_at);
    memory.decayed_at = look.now;
    let decay = |memory: &mut Memory, to: f64| {
        let half_lives = passed.as_secs_f64() / policy.down_half_life.as_secs_f64().max(0.001);
        memory.level = to + (memory.level - to).max(0.0) * 0.5_f64.powf(half_lives);
    };
    if look.now.since(memory.began_at) < down_window(policy, look) {
        memory.level = f64::from(was);
        return decision.limit(LimitedBy::Window, was);
    }
    let most = memory.needed_most();
    if most >= was {
        memory.level = f64::from(was);
        return decision.limit(LimitedBy::Window, was);
    }
    decision.limit(LimitedBy::Window, most);
    let tolerated = f64::from(was) * (1.0 - f64::from(policy.tolerance_down_percent) / 100.0);
    if f64::from(most) > tolerated {
        memory.level = f64::from(was);
        return decision.limit(LimitedBy::Tolerance, was);
    }
    decay(memory, f64::from(most));
    // The last half of an instance does not take for ever.
    let level = ceil(memory.level - 0.5).clamp(most, was);
    decision.limit(LimitedBy::Decay, level);
}

fn down_window(policy: &ScaleTarget, look: &Look<'_>) -> Duration {
    let start_up = look.start_up.unwrap_or(START_UP_UNKNOWN);
    policy.down_window.max(start_up.saturating_mul(2))
}

fn percent_of(count: u32, percent: u32) -> u32 {
    let part = (u64::from(count) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX)
}

/// Rounded up, but not for the sake of what arithmetic adds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and what is no number is none"
)]
fn ceil(instances: f64) -> u32 {
    (instances - 1e-9).ceil() as u32
}
