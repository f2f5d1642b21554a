//! Knative's Pod Autoscaler: the same numbers from the same figures, its panic included.
//! It sends no instance to sleep and keeps no bounds: `decide` does, for every policy.

use std::time::Duration;

use model::{Kpa, Phase, ScaleMetric, Time};

use crate::decision::{Asked, Decision, LimitedBy, Signal};
use crate::extreme::{Extreme, Keep};
use crate::look::Look;
use crate::window::{Sample, Window};

/// It aims at no less per instance.
const TARGET_MIN: f64 = 0.01;

/// What it remembers.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// When it is to look again. None: at once.
    next_at: Option<Time>,
    /// When panic was last called for. None: there is none.
    panicked_at: Option<Time>,
    /// What the worst moment of the panic needed.
    panic_most: u32,
    delayed: Extreme,
}

impl Memory {
    /// It begins in panic: what runs stays until a whole window has been seen.
    pub(crate) fn new(desired: u32, now: Time) -> Self {
        Self {
            next_at: None,
            panicked_at: (desired > 1).then_some(now),
            panic_most: desired,
            delayed: Extreme::new(Keep::Largest),
        }
    }

    /// Whether it is time, and if so, when the next time is: as a clock ticks, so that being late
    /// once does not make all that follow late.
    fn ticks(&mut self, now: Time, tick: Duration) -> bool {
        if self.next_at.is_some_and(|at| now < at) {
            return false;
        }
        let next = self.next_at.unwrap_or(now) + tick;
        self.next_at = Some(if next > now { next } else { now + tick });
        true
    }
}

/// What one of the two windows needs.
#[derive(Clone, Copy)]
struct Need {
    asked: Asked,
    /// Rounded up.
    needed: u32,
    /// As far as it may go in one step.
    allowed: u32,
    /// Not fewer than wake together.
    active: u32,
}

/// What it desires, once in a tick. None: it is not the time.
pub(crate) fn propose(
    policy: &Kpa,
    memory: &mut Memory,
    look: &Look<'_>,
    was: u32,
) -> Option<Decision> {
    if !memory.ticks(look.now, policy.tick) {
        return None;
    }
    let mut decision = Decision::stay(was);
    let mean = |span| average(look.window, look.now, policy.metric, span);
    let Some(stable) = mean(policy.stable_window) else {
        decision.asked.push(ask(policy, None));
        return Some(decision);
    };
    let ready = look.count(Phase::Ready).max(1);
    let stable = need(policy, stable, ready);
    let panic = need(policy, mean(panic_window(policy)).unwrap_or_default(), ready);
    let over = f64::from(panic.needed) / f64::from(ready);
    memory.panic_or_calm(policy, look.now, over);
    let is_panicking = memory.panicked_at.is_some();
    let need = if is_panicking && panic.active > stable.active { panic } else { stable };
    decision.asked.push(need.asked);
    decision.desired = need.needed;
    decision.limit(LimitedBy::Rate, need.allowed);
    decision.limit(LimitedBy::Min, need.active);
    if is_panicking {
        memory.panic_most = memory.panic_most.max(decision.desired);
        decision.limit(LimitedBy::Panic, memory.panic_most);
    }
    memory.delay(policy, look.now, &mut decision);
    Some(decision)
}

impl Memory {
    /// Panic goes on until a whole stable window has passed without a call for it.
    fn panic_or_calm(&mut self, policy: &Kpa, now: Time, over: f64) {
        if over >= f64::from(policy.panic_threshold_percent) / 100.0 {
            self.panicked_at = Some(now);
        } else if self.panicked_at.is_some_and(|at| at + policy.stable_window < now) {
            self.panicked_at = None;
            self.panic_most = 0;
        }
    }

    /// The most of the last `scale_down_delay`, counted in whole ticks.
    fn delay(&mut self, policy: &Kpa, now: Time, decision: &mut Decision) {
        if policy.scale_down_delay.is_zero() {
            return;
        }
        let tick_ms = as_ms(policy.tick).max(1);
        let ticks = as_ms(policy.scale_down_delay).div_ceil(tick_ms);
        let window = Duration::from_millis(ticks.saturating_mul(tick_ms));
        let began = Time::from_ms(now.as_ms() / tick_ms * tick_ms);
        let most = self.delayed.push(began, decision.desired, window);
        decision.limit(LimitedBy::Window, most);
    }
}

fn need(policy: &Kpa, value: f64, ready: u32) -> Need {
    let asked = ask(policy, Some(value));
    let ready = f64::from(ready);
    let most = (of_thousand(policy.scale_up_rate_max_permille) * ready).ceil();
    let least = (ready / of_thousand(policy.scale_down_rate_max_permille)).floor();
    let needed = asked.wants.unwrap_or_default().ceil();
    let allowed = count(needed.max(least).min(most));
    let active = if needed > 0.0 { allowed.max(policy.activation_scale) } else { allowed };
    Need { asked, needed: count(needed), allowed, active }
}

fn ask(policy: &Kpa, value: Option<f64>) -> Asked {
    let signal = match policy.metric {
        ScaleMetric::RequestsPerS => Signal::Requests,
        _ => Signal::Concurrency,
    };
    let part = f64::from(policy.target_utilization_percent) / 100.0;
    let target = (of_thousand(policy.target_permille) * part).max(TARGET_MIN);
    Asked { signal, value, target, wants: value.map(|value| value / target) }
}

/// Its mean over the window before `now`, in buckets of a second.
///
/// Before a window has passed since the first sample, or since the first after a gap as long as a
/// window, it is the mean of the seconds since then. Seconds without a sample between others count
/// as zero; those after the newest one do not count. None: there was none for a whole window.
fn average(window: &Window, now: Time, metric: ScaleMetric, span: Duration) -> Option<f64> {
    let buckets = as_ms(span).div_ceil(1000).max(1);
    let now_bucket = now.as_ms() / 1000;
    let mut newest = None;
    let mut first = now_bucket;
    let mut total = 0.0;
    for sample in window.last(now, span.saturating_mul(2)) {
        let value = of(metric, sample);
        if !value.is_finite() {
            continue;
        }
        let bucket = sample.at.as_ms() / 1000;
        if newest.is_some() && first.saturating_sub(bucket) >= buckets {
            break;
        }
        newest.get_or_insert(bucket);
        first = bucket;
        if now_bucket.saturating_sub(bucket) < buckets {
            total += value;
        }
    }
    let newest: u64 = newest?;
    let silent = now_bucket.saturating_sub(newest);
    if silent > buckets {
        return None;
    }
    let counted = (newest - first + 1).min(buckets.saturating_sub(silent));
    let mean = if counted == 0 { 0.0 } else { total / counted as f64 };
    Some((mean * 1e6).round() / 1e6)
}

fn of(metric: ScaleMetric, sample: &Sample) -> f64 {
    match metric {
        ScaleMetric::RequestsPerS => sample.arrivals,
        _ => sample.in_flight + sample.queued,
    }
}

/// In whole seconds, and one at least.
fn panic_window(policy: &Kpa) -> Duration {
    let s = policy.stable_window.as_secs_f64() * f64::from(policy.panic_window_percent) / 100.0;
    Duration::try_from_secs_f64(s.round().max(1.0)).unwrap_or(policy.stable_window)
}

fn of_thousand(permille: u64) -> f64 {
    permille as f64 / 1000.0
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and what is no number is none"
)]
fn count(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests;
