//! Kubernetes' HorizontalPodAutoscaler, API version autoscaling/v2: its numbers from its figures.
//! It improves on nothing, odd corners included; what is different is in docs/autoscaling.md.

mod ask;

use std::collections::VecDeque;
use std::time::Duration;

use model::{Hpa, HpaAmount, HpaRules, HpaSelect, Time};

use crate::decision::{Decision, LimitedBy};
use crate::extreme::{Extreme, Keep};
use crate::look::Look;

/// Of so many changes the oldest is forgotten: one each second of the longest period of a policy,
/// half an hour.
const CHANGES_MAX: usize = 1800;

/// What it remembers.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// When it last asked the metrics. None: never.
    synced_at: Option<Time>,
    /// What the metrics asked for, before anything held that back.
    least: Extreme,
    most: Extreme,
    added: Changes,
    removed: Changes,
}

/// So many more, or fewer, and when.
#[derive(Clone, Debug, Default)]
struct Changes(VecDeque<(Time, u32)>);

impl Memory {
    pub(crate) fn new(desired: u32, now: Time) -> Self {
        // As if it had been asked for: a restart takes nothing away within the window.
        let seeded = |keep| {
            let mut extreme = Extreme::new(keep);
            extreme.push(now, desired, Duration::ZERO);
            extreme
        };
        Self {
            synced_at: None,
            least: seeded(Keep::Smallest),
            most: seeded(Keep::Largest),
            added: Changes::default(),
            removed: Changes::default(),
        }
    }

    /// Notes a change that was made, for the policies that allow so many in a period.
    pub(crate) fn settle(&mut self, now: Time, was: u32, desired: u32) {
        if desired > was {
            self.added.push(now, desired - was);
        } else if desired < was {
            self.removed.push(now, was - desired);
        }
    }

    /// How many there were when the period began.
    fn at_begin(&self, now: Time, period: Duration, was: u32) -> i64 {
        i64::from(was) - self.added.within(now, period) + self.removed.within(now, period)
    }
}

impl Changes {
    fn push(&mut self, at: Time, count: u32) {
        self.0.push_back((at, count));
        if self.0.len() > CHANGES_MAX {
            self.0.pop_front();
        }
    }

    fn within(&self, now: Time, period: Duration) -> i64 {
        let recent = self.0.iter().rev().take_while(|&&(at, _)| now.since(at) < period);
        recent.map(|&(_, count)| i64::from(count)).sum()
    }
}

/// What it desires, once in a sync period. None: it is not the time.
pub(crate) fn propose(
    policy: &Hpa,
    memory: &mut Memory,
    look: &Look<'_>,
    was: u32,
) -> Option<Decision> {
    if memory.synced_at.is_some_and(|at| look.now.since(at) < policy.sync_period) {
        return None;
    }
    memory.synced_at = Some(look.now);
    let mut decision = Decision::stay(was);
    let (min, max) = (look.bounds.min, look.bounds.max.max(look.bounds.min));
    if was > max {
        decision.limit(LimitedBy::Max, max);
    } else if was < min {
        decision.limit(LimitedBy::Min, min);
    } else if ask(policy, look, &mut decision) {
        stabilise(policy, memory, look, &mut decision);
        if decision.desired > was {
            raise(&policy.up, memory, look, &mut decision);
        } else if decision.desired < was {
            lower(&policy.down, memory, look, &mut decision);
        }
    }
    Some(decision)
}

/// Asks each metric; the largest answer counts. False: that is no answer.
fn ask(policy: &Hpa, look: &Look<'_>, decision: &mut Decision) -> bool {
    let was = decision.was;
    let mut most: Option<ask::Answer> = None;
    let mut fails = false;
    for &(metric, target_permille) in &policy.metrics {
        let answer = ask::Question { policy, look, was, target_permille }.ask(metric);
        decision.asked.push(answer.asked);
        fails |= answer.count.is_none();
        if answer.count > most.and_then(|most| most.count) {
            most = Some(answer);
        }
    }
    let Some((most, count)) = most.and_then(|most| most.count.map(|count| (most, count))) else {
        return false;
    };
    decision.desired = most.wants();
    decision.limit(LimitedBy::Tolerance, count);
    if fails && count < was {
        decision.limit(LimitedBy::Missing, was);
        return false;
    }
    true
}

/// Up to the least, down to the most that was asked for within the window of the direction.
fn stabilise(policy: &Hpa, memory: &mut Memory, look: &Look<'_>, decision: &mut Decision) {
    let asked_for = decision.desired;
    let least = memory.least.push(look.now, asked_for, policy.up.stabilization_window);
    let most = memory.most.push(look.now, asked_for, policy.down.stabilization_window);
    decision.limit(LimitedBy::Window, decision.was.max(least).min(most));
}

fn raise(rules: &HpaRules, memory: &Memory, look: &Look<'_>, decision: &mut Decision) {
    let was = decision.was;
    let most = rules.policies.iter().map(|change| {
        let begin = memory.at_begin(look.now, change.period, was);
        match change.amount {
            HpaAmount::Count(count) => begin.saturating_add(i64::from(count)),
            HpaAmount::Percent(percent) => {
                whole((begin as f64 * (1.0 + f64::from(percent) / 100.0)).ceil())
            }
        }
    });
    let most = match rules.select {
        HpaSelect::Max => most.max(),
        HpaSelect::Min => most.min(),
        HpaSelect::Disabled => None,
    };
    let most = count(most.unwrap_or_default()).max(was);
    decision.limit(LimitedBy::Rate, decision.desired.min(most));
    let max = look.bounds.max.max(look.bounds.min);
    decision.limit(LimitedBy::Max, decision.desired.min(max));
}

fn lower(rules: &HpaRules, memory: &Memory, look: &Look<'_>, decision: &mut Decision) {
    let was = decision.was;
    let least = rules.policies.iter().map(|change| {
        let begin = memory.at_begin(look.now, change.period, was);
        match change.amount {
            HpaAmount::Count(count) => begin.saturating_sub(i64::from(count)),
            HpaAmount::Percent(percent) => {
                whole((begin as f64 * (1.0 - f64::from(percent) / 100.0)).trunc())
            }
        }
    });
    let least = match rules.select {
        HpaSelect::Max => least.min(),
        HpaSelect::Min => least.max(),
        HpaSelect::Disabled => None,
    };
    let least = least.map_or(was, count).min(was);
    decision.limit(LimitedBy::Rate, decision.desired.max(least));
    decision.limit(LimitedBy::Min, decision.desired.max(look.bounds.min));
}

#[expect(clippy::cast_possible_truncation, reason = "it saturates, and what is no number is none")]
fn whole(number: f64) -> i64 {
    number as i64
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
