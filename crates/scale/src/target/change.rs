//! From a need to a number: up at once, within what may be ordered; down late, and by and by.
//! It measures nothing.

use std::time::Duration;

use model::{Phase, ScaleTarget, Time};

use super::{Memory, ceil};
use crate::decision::{Decision, LimitedBy};
use crate::look::Look;

/// Numbers are remembered for as long as the longest period of growth.
const RAISED_MAX: usize = 1024;

/// Takes note of how many there are.
pub(super) fn note(memory: &mut Memory, now: Time, was: u32) {
    memory.raised.push_back((now, was));
    if memory.raised.len() > RAISED_MAX {
        memory.raised.pop_front();
    }
}

/// Takes note of what is needed now, and forgets what is older than the window.
pub(super) fn remember(memory: &mut Memory, now: Time, needed: u32, window: Duration) {
    while memory.needs.back().is_some_and(|&(_, earlier)| earlier <= needed) {
        memory.needs.pop_back();
    }
    memory.needs.push_back((now, needed));
    while memory.needs.front().is_some_and(|&(at, _)| now.since(at) > window) {
        memory.needs.pop_front();
    }
}

/// At once, within what may be ordered in one period, and may be starting at the same time.
pub(super) fn raise(
    policy: &ScaleTarget,
    memory: &mut Memory,
    look: &Look<'_>,
    decision: &mut Decision,
) {
    let was = decision.was;
    memory.level = f64::from(was);
    memory.decayed_at = look.now;
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
    // What was ordered stays for a window, even if a part of it turns out to be within tolerance.
    remember(memory, look.now, decision.desired, Duration::MAX);
}

/// Nothing, because a signal is missing.
pub(super) fn keep(memory: &mut Memory, look: &Look<'_>, decision: &mut Decision) {
    memory.level = f64::from(decision.was);
    memory.decayed_at = look.now;
    decision.limit(LimitedBy::Missing, decision.was);
}

/// Only what was not needed for a whole window, and of that the half, and of the rest the half.
pub(super) fn lower(
    policy: &ScaleTarget,
    memory: &mut Memory,
    look: &Look<'_>,
    decision: &mut Decision,
) {
    let was = decision.was;
    let passed = look.now.since(memory.decayed_at);
    memory.decayed_at = look.now;
    let window = memory.calm.window(policy, look);
    let most = memory.needs.front().map_or(0, |&(_, needed)| needed);
    if look.now.since(memory.began_at) < window || most >= was {
        memory.level = f64::from(was);
        return decision.limit(LimitedBy::Window, was);
    }
    decision.limit(LimitedBy::Window, most);
    let half_lives = passed.as_secs_f64() / policy.down_half_life.as_secs_f64().max(0.001);
    let too_many = (memory.level.min(f64::from(was)) - f64::from(most)).max(0.0);
    memory.level = f64::from(most) + too_many * 0.5_f64.powf(half_lives);
    // The last half of an instance does not take for ever.
    let level = ceil(memory.level - 0.5).clamp(most, was);
    decision.limit(LimitedBy::Decay, level);
}

fn percent_of(count: u32, percent: u32) -> u32 {
    let part = (u64::from(count) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX)
}
