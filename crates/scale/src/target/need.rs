//! How many instances are needed, from samples: what each signal says, and the largest of them.
//! It knows nothing of the number that there is to be; that is for those that change it.

use std::time::Duration;

use model::{Phase, ScaleTarget};

use super::{Memory, SLOW, start_up};
use crate::decision::{Asked, Signal};
use crate::look::Look;
use crate::window::Sample;

/// The present, for signals that change slowly.
const FAST: Duration = Duration::from_secs(6);
/// Looks back for arrivals, in seconds: a step shows in the shortest, a slope in the longest.
const LOOKS_S: [u64; 8] = [1, 2, 3, 4, 6, 8, 12, 20];
/// A short look counts as what it is at least, by so many standard deviations: eight looks a second
/// are many, and chance alone is to order nothing for hours.
const CERTAINTY: f64 = 3.5;
/// Fewer seconds make no line.
const LINE_MIN_S: f64 = 30.0;
/// A line is one if seconds spread no more than so many times as much around it as by chance.
const LINE_SPREAD_MAX: f64 = 2.0;
/// The middle of squared differences of two equal normal variables, of the variance of one.
const MEDIAN_OF_SQUARES: f64 = 0.91;
/// The least that the latency objective leaves of the utilisation.
const EASE_MIN: f64 = 0.5;

/// Signals that only count where they were asked for by name.
const OTHERS: [Signal; 4] = [Signal::Requests, Signal::Cpu, Signal::Memory, Signal::Prometheus];

/// What is needed.
pub(super) struct Need {
    pub(super) asked: Vec<Asked>,
    /// Instances, not rounded. None: nothing is known.
    pub(super) instances: Option<f64>,
    /// Whether a signal that was asked for by name says nothing: it might ask for more.
    pub(super) is_partial: bool,
}

impl Need {
    /// Notes what a signal said, and returns how many instances that makes.
    fn ask(&mut self, signal: Signal, value: Option<f64>, target: f64, wants: Option<f64>) {
        let wants = wants.filter(|wants| wants.is_finite()).map(|wants| wants.max(0.0));
        self.asked.push(Asked { signal, value, target, wants });
    }

    fn wants(&self, signal: Signal) -> Option<f64> {
        self.asked.iter().find(|asked| asked.signal == signal).and_then(|asked| asked.wants)
    }
}

/// What the samples say, with what is learned from them.
pub(super) fn need(policy: &ScaleTarget, memory: &mut Memory, look: &Look<'_>) -> Need {
    let mut need = Need { asked: Vec::with_capacity(8), instances: None, is_partial: false };
    let Some(newest) = look.window.last(look.now, FAST).next().copied() else { return need };
    memory.knee.learn(look, &newest);
    let ready = f64::from(look.count(Phase::Ready)).max(1.0);
    let concurrency = super::concurrency(policy, memory);
    let mean =
        |span, of: fn(&Sample) -> f64| look.window.mean(look.now, span, |sample| Some(of(sample)));

    // Little's law; what is in flight beyond what an instance serves at once waits in it.
    let took_s = |span| {
        let answered = mean(span, |sample| sample.completions).filter(|&rate| rate > 0.0)?;
        let in_flight = mean(span, |sample| sample.in_flight)?;
        Some(in_flight.min(concurrency * ready) / answered)
    };
    // What was slow for a while and is no longer is not slow for another minute.
    let has_ended = memory.brownout.has_ended(look.now, SLOW);
    memory.service_s = took_s(if has_ended { FAST } else { SLOW }).or(memory.service_s);
    let service_s = memory.service_s;
    ease(policy, memory, look, &mut need);
    let aim = concurrency * f64::from(policy.utilisation_percent.max(1)) / 100.0 * memory.ease;

    let arrivals = arrivals(look);
    let by_rate = arrivals.zip(service_s).map(|(rate, service_s)| rate * service_s / aim);
    need.ask(Signal::Arrivals, arrivals, aim / service_s.unwrap_or(1.0), by_rate);
    let in_flight = mean(FAST, |sample| sample.in_flight);
    let busy = in_flight.map(|in_flight| in_flight.min(concurrency * ready));
    let sure = busy.map(|busy| certain(busy, 2.0 * busy * service_s.unwrap_or(0.0), FAST));
    need.ask(Signal::InFlight, busy, aim, sure.map(|busy| busy / aim));
    let drain_s = policy.backlog_drain.max(start_up(look)).as_secs_f64().max(1.0);
    let queued = mean(FAST, |sample| sample.queued);
    let backlog = queued.zip(in_flight.zip(busy)).map(|(queued, (all, busy))| queued + all - busy);
    let by_backlog =
        backlog.map(|backlog| backlog * service_s.unwrap_or(1.0) / (concurrency * drain_s));
    need.ask(Signal::Backlog, backlog, concurrency * drain_s, by_backlog);
    let own = need.wants(Signal::Arrivals).into_iter().chain(need.wants(Signal::InFlight));
    let own = own.reduce(f64::max);
    let own = own.map(|own| own + need.wants(Signal::Backlog).unwrap_or(0.0));
    others(policy, look, arrivals, &mut need);
    let is_other = |asked: &&Asked| OTHERS.contains(&asked.signal);
    need.is_partial = need.asked.iter().filter(is_other).any(|asked| asked.wants.is_none());
    let others = OTHERS.into_iter().filter_map(|signal| need.wants(signal));
    need.instances = others.chain(own).reduce(f64::max);
    need
}

/// Signals that were asked for by name.
fn others(policy: &ScaleTarget, look: &Look<'_>, arrivals: Option<f64>, need: &mut Need) {
    if let Some(per_s) = policy.requests_per_s {
        let per_s = f64::from(per_s.max(1));
        need.ask(Signal::Requests, arrivals, per_s, arrivals.map(|all| all / per_s));
    }
    let ready = f64::from(look.count(Phase::Ready)).max(1.0);
    let mut used = |signal, percent: Option<u32>, of: fn(&Sample) -> Option<f64>| {
        let Some(percent) = percent else { return };
        let value = look.window.mean(look.now, FAST, of);
        let part = f64::from(percent.max(1)) / 100.0;
        need.ask(signal, value, part, value.map(|value| value * ready / part));
    };
    used(Signal::Cpu, policy.cpu_percent, |sample| sample.cpu);
    used(Signal::Memory, policy.memory_percent, |sample| sample.memory);
    if let Some(query) = &policy.prometheus {
        let each = query.target_permille.max(1) as f64 / 1000.0;
        let value = look.window.mean(look.now, FAST, |sample| sample.prometheus);
        need.ask(Signal::Prometheus, value, each, value.map(|all| all / each));
    }
}

/// Requests per second that are to be expected: what came in the last minute on average, what
/// certainly comes more than that since some seconds, or what will come once an instance that is
/// ordered now is ready, if they go on becoming more as steadily as they did for a minute.
fn arrivals(look: &Look<'_>) -> Option<f64> {
    let mean = |span| look.window.mean(look.now, span, |sample| Some(sample.arrivals));
    let slow = mean(SLOW)?;
    let seconds: Vec<f64> =
        look.window.last(look.now, SLOW).map(|sample| sample.arrivals).collect();
    let spread = spread(&seconds);
    let surely = |seconds: u64| {
        let span = Duration::from_secs(seconds);
        mean(span).map_or(0.0, |mean| certain(mean, mean * spread, span))
    };
    let recent = LOOKS_S.into_iter().map(surely).fold(slow, f64::max);
    let rising = rising(&seconds, slow, spread, start_up(look).as_secs_f64());
    Some(rising.map_or(recent, |rising| rising.max(recent)))
}

/// Where a straight line through the seconds, the newest first, goes within `ahead_s`, if it is
/// certain that it rises, and that it is one: around a line seconds spread as they do by chance.
fn rising(seconds: &[f64], mean: f64, spread: f64, ahead_s: f64) -> Option<f64> {
    let count = seconds.len() as f64;
    if count < LINE_MIN_S {
        return None;
    }
    let middle = (count - 1.0) / 2.0;
    let squares = count * (count * count - 1.0) / 12.0;
    let points = || seconds.iter().enumerate().map(|(ago, value)| (middle - ago as f64, value));
    let slope = points().map(|(at, value)| at * (value - mean)).sum::<f64>() / squares;
    let off = |(at, value): (f64, &f64)| (value - mean - slope * at).powi(2);
    let variance = points().map(off).sum::<f64>() / (count - 2.0);
    if variance > LINE_SPREAD_MAX * spread * mean.max(1.0) {
        return None;
    }
    let slope = slope - CERTAINTY * (variance / squares).sqrt();
    (slope > 0.0).then(|| mean + slope * (middle + ahead_s.min(count)))
}

/// What a mean over a span is at least, with some certainty, by its variance within a second.
fn certain(mean: f64, variance: f64, span: Duration) -> f64 {
    mean - CERTAINTY * (variance.max(0.0) / span.as_secs_f64()).sqrt()
}

/// How much more arrivals spread than those of many clients, of which each comes on its own: the
/// variance ÷ the mean, from differences of seconds that follow each other. The middle one of
/// them, so that a step, which is one large difference, is no spread.
fn spread(seconds: &[f64]) -> f64 {
    let mut squares: Vec<f64> =
        seconds.windows(2).map(|pair| (pair[0] - pair[1]).powi(2)).collect();
    let mut sorted = seconds.to_vec();
    squares.sort_unstable_by(f64::total_cmp);
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = |of: &[f64]| of.get(of.len() / 2).copied().unwrap_or(0.0);
    let spread = middle(&squares) / MEDIAN_OF_SQUARES / middle(&sorted).max(1.0);
    if spread.is_finite() { spread.max(1.0) } else { 1.0 }
}

/// The latency objective limits the utilisation: while it is missed, and requests wait, less and
/// less of it is aimed at. Where nobody waits, more instances would answer no sooner.
fn ease(policy: &ScaleTarget, memory: &mut Memory, look: &Look<'_>, need: &mut Need) {
    let Some(objective) = policy.latency else { return };
    let latency = look
        .window
        .mean(look.now, FAST, |sample| sample.latency.map(|latency| latency.as_secs_f64()));
    need.ask(Signal::Latency, latency, objective.as_secs_f64(), None);
    let Some(latency) = latency else { return };
    let waits = memory.service_s.is_some_and(|service_s| latency > 3.0 * service_s);
    memory.ease = match latency > objective.as_secs_f64() && waits {
        true => (memory.ease * 0.99).max(EASE_MIN),
        false => (memory.ease * 1.001).min(1.0),
    };
}
