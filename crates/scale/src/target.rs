//! Herder's own policy: arrivals × service time, plus what waits ÷ the time to work it off, with
//! what is in flight as a floor. Bounds that hold for every policy are not its concern.

mod brownout;
mod calm;
mod change;
mod knee;
mod need;

use std::collections::VecDeque;
use std::time::Duration;

use model::{ScaleTarget, Time};

use crate::decision::{Decision, LimitedBy};
use crate::look::Look;

use self::brownout::Brownout;
use self::calm::Calm;
use self::knee::Knee;
use self::need::need;

/// The longest look back of all: a moment without requests is not less demand.
pub(crate) const SLOW: Duration = Duration::from_secs(60);
/// A start whose time is not known yet takes so long.
const START_UP_UNKNOWN: Duration = Duration::from_secs(2);

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
    /// What a request takes, in seconds, as long as requests were answered. None: none was.
    service_s: Option<f64>,
    /// The part of the utilisation that the latency objective leaves.
    ease: f64,
    knee: Knee,
    calm: Calm,
    brownout: Brownout,
}

impl Memory {
    pub(crate) fn new(desired: u32, now: Time) -> Self {
        Self {
            began_at: now,
            needs: VecDeque::from([(now, desired)]),
            raised: VecDeque::new(),
            level: f64::from(desired),
            decayed_at: now,
            service_s: None,
            ease: 1.0,
            knee: Knee::default(),
            calm: Calm::default(),
            brownout: Brownout::default(),
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
    change::note(memory, look.now, was);
    let need = need(policy, memory, look);
    let concurrency = concurrency(policy, memory);
    decision.asked = need.asked;
    let Some(instances) = need.instances else {
        decision.limit(LimitedBy::Missing, was);
        return decision;
    };
    decision.desired = ceil(instances);
    // As many are enough as long as no more of each is used than is tolerated.
    let tolerated = 1.0 + f64::from(policy.tolerance_up_percent) / 100.0;
    let least = ceil(instances / tolerated);
    let spare = 1.0 - f64::from(policy.tolerance_down_percent.min(99)) / 100.0;
    let window = memory.calm.window(policy, look);
    change::remember(memory, look.now, ceil(instances / tolerated / spare), window);
    if let Some(most) = memory.brownout.look(concurrency, look, was) {
        let desired = decision.desired;
        decision.limit(LimitedBy::Brownout, desired.min(most.max(was)));
    }
    if least > was {
        change::raise(policy, memory, look, &mut decision);
    } else {
        decision.limit(LimitedBy::Tolerance, decision.desired.min(was));
        if need.is_partial {
            change::keep(memory, look, &mut decision);
        } else {
            change::lower(policy, memory, look, &mut decision);
        }
    }
    memory.calm.note(look.now, was, decision.desired, window);
    decision
}

/// Requests that an instance serves at once: as configured, or as learned.
fn concurrency(policy: &ScaleTarget, memory: &Memory) -> f64 {
    policy.concurrency.map_or(memory.knee.concurrency(), f64::from).max(1.0)
}

fn start_up(look: &Look<'_>) -> Duration {
    look.start_up.unwrap_or(START_UP_UNKNOWN)
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

#[cfg(test)]
mod tests;
