//! Steps at thresholds of one signal, as alarms of the clouds and Nomad's strategy know them.
//! It aims at nothing: between the steps the number stays.

use model::{Phase, ScaleMetric, ScaleStep, Step, StepChange, Time};

use crate::decision::{Asked, Decision, LimitedBy, Signal};
use crate::look::Look;
use crate::window::Sample;

/// What it remembers.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Since when there is an autoscaler.
    began_at: Time,
    /// When the number last changed. None: it has not.
    changed_at: Option<Time>,
}

impl Memory {
    pub(crate) fn new(now: Time) -> Self {
        Self { began_at: now, changed_at: None }
    }

    /// Notes a change that was made: the cooldown begins.
    pub(crate) fn settle(&mut self, now: Time, was: u32, desired: u32) {
        if was != desired {
            self.changed_at = Some(now);
        }
    }
}

/// What it would desire if there were no bounds.
pub(crate) fn propose(policy: &ScaleStep, memory: &Memory, look: &Look<'_>, was: u32) -> Decision {
    let mut decision = Decision::stay(was);
    let value = value(policy, look);
    let step = value.and_then(|value| {
        let holds = |step: &&Step| {
            let (from, to) = (of_thousand(step.from_permille), of_thousand(step.to_permille));
            from <= value && value < to
        };
        policy.steps.iter().filter(holds).max_by_key(|step| changed(was, step.change))
    });
    let wants = step.map_or(was, |step| changed(was, step.change));
    decision.asked.push(Asked {
        signal: signal(policy.metric),
        value: value.map(|value| value / units(policy.metric)),
        target: threshold(policy, step, value) / units(policy.metric),
        wants: value.map(|_| f64::from(wants)),
    });
    decision.desired = wants;
    let is_cooling = |at| look.now.since(at) < policy.cooldown;
    if memory.changed_at.is_some_and(is_cooling) {
        decision.limit(LimitedBy::Cooldown, was);
    }
    if wants < was && look.now.since(memory.began_at) < policy.window {
        decision.limit(LimitedBy::Window, was);
    }
    decision
}

/// Away from the present number when it is not whole.
pub(crate) fn changed(was: u32, change: StepChange) -> u32 {
    let was = i64::from(was);
    let to = match change {
        StepChange::Count(count) => was + i64::from(count),
        StepChange::Percent(percent) => {
            let part = was * i64::from(percent).abs();
            let part = (part + 99) / 100;
            if percent < 0 { was - part } else { was + part }
        }
        StepChange::Exactly(count) => i64::from(count),
    };
    u32::try_from(to.max(0)).unwrap_or(u32::MAX)
}

/// The threshold that was passed, or else the next one above.
fn threshold(policy: &ScaleStep, step: Option<&Step>, value: Option<f64>) -> f64 {
    let above = || {
        let value = value.unwrap_or_default();
        let starts = policy.steps.iter().map(|step| of_thousand(step.from_permille));
        starts.filter(|&from| from > value).reduce(f64::min).unwrap_or_default()
    };
    step.map_or_else(above, |step| of_thousand(step.from_permille))
}

/// The mean over the window, in the unit of the metric.
fn value(policy: &ScaleStep, look: &Look<'_>) -> Option<f64> {
    let mean = |of: fn(&Sample) -> Option<f64>| look.window.mean(look.now, policy.window, of);
    let ready = f64::from(look.count(Phase::Ready).max(1));
    match policy.metric {
        ScaleMetric::CpuPercent => mean(|sample| sample.cpu).map(|part| part * 100.0),
        ScaleMetric::MemoryPercent => mean(|sample| sample.memory).map(|part| part * 100.0),
        ScaleMetric::Concurrency => {
            mean(|sample| Some(sample.in_flight + sample.queued)).map(|all| all / ready)
        }
        ScaleMetric::RequestsPerS => mean(|sample| Some(sample.arrivals)).map(|all| all / ready),
        ScaleMetric::QueueTimeMs => mean(|sample| {
            let waited = sample.queue_time.unwrap_or_default();
            Some(waited.as_secs_f64() * 1000.0)
        }),
    }
}

fn signal(metric: ScaleMetric) -> Signal {
    match metric {
        ScaleMetric::CpuPercent => Signal::Cpu,
        ScaleMetric::MemoryPercent => Signal::Memory,
        ScaleMetric::Concurrency => Signal::Concurrency,
        ScaleMetric::RequestsPerS => Signal::Requests,
        ScaleMetric::QueueTimeMs => Signal::QueueTime,
    }
}

/// How many of the metric's unit are one of the signal's.
pub(crate) fn units(metric: ScaleMetric) -> f64 {
    match metric {
        ScaleMetric::CpuPercent | ScaleMetric::MemoryPercent => 100.0,
        ScaleMetric::QueueTimeMs => 1000.0,
        ScaleMetric::Concurrency | ScaleMetric::RequestsPerS => 1.0,
    }
}

fn of_thousand(permille: u64) -> f64 {
    permille as f64 / 1000.0
}

#[cfg(test)]
mod tests;
