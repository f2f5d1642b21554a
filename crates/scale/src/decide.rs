//! From a look at a service to a number of instances: the policy proposes, then the limits that
//! hold for every policy are applied, each with its name. It starts and stops nothing.

use std::time::Duration;

use model::{Autoscale, ScalePolicy};

use crate::decision::{Decision, LimitedBy, Signal};
use crate::look::{BLIND_AFTER, Bounds, Look};
use crate::memory::{Memory, OfPolicy};
use crate::{hpa, kpa, step, target};

/// No policy has samples kept for longer, whatever it is configured to look back on.
const SPAN_MAX: Duration = Duration::from_secs(2 * 3600);

/// How far back a policy looks at samples.
pub fn span(autoscale: &Autoscale) -> Duration {
    let span = match &autoscale.policy {
        // So that it is known whether anything is measured.
        ScalePolicy::Fixed => BLIND_AFTER,
        ScalePolicy::Target(_) => target::SLOW,
        ScalePolicy::Hpa(policy) => policy.sync_period,
        // A window as long before it says whether there was a gap.
        ScalePolicy::Kpa(policy) => policy.stable_window.saturating_mul(2),
        ScalePolicy::Step(policy) => policy.window,
    };
    span.min(SPAN_MAX)
}

/// Decides, and remembers.
///
/// It is a total function: whatever is not finite is not known, and what is not known never takes
/// an instance away.
pub fn decide(autoscale: &Autoscale, memory: &mut Memory, look: &Look<'_>) -> Decision {
    memory.settle();
    let was = memory.desired;
    let mut decision = propose(autoscale, memory, look);
    let proposed = decision.desired;
    hold(&mut decision, look);
    if decision.desired != proposed && memory.said.is_some() {
        // What was held is not made up for before the policy decides again: it counted on now.
        memory.said = Some(decision.clone());
    }
    bound(&mut decision, look.bounds);
    sleep(autoscale, memory, look, &mut decision);
    memory.decided = Some((look.now, was));
    memory.desired = decision.desired;
    decision
}

/// What the policy desires, or desired when it last decided.
fn propose(autoscale: &Autoscale, memory: &mut Memory, look: &Look<'_>) -> Decision {
    let was = memory.desired;
    let proposed = match (&autoscale.policy, &mut memory.of_policy) {
        (ScalePolicy::Target(policy), OfPolicy::Target(memory)) => {
            return target::propose(policy, memory, look, was);
        }
        (ScalePolicy::Step(policy), OfPolicy::Step(memory)) => {
            return step::propose(policy, memory, look, was);
        }
        (ScalePolicy::Hpa(policy), OfPolicy::Hpa(memory)) => {
            hpa::propose(policy, memory, look, was)
        }
        (ScalePolicy::Kpa(policy), OfPolicy::Kpa(memory)) => {
            kpa::propose(policy, memory, look, was)
        }
        // Without a calendar it is whatever somebody ordered.
        (ScalePolicy::Fixed, OfPolicy::Fixed) if !autoscale.schedules.is_empty() => {
            return Decision { desired: look.bounds.min, ..Decision::stay(was) };
        }
        // A memory of another policy knows nothing that this one could go by.
        _ => return Decision::stay(was),
    };
    if proposed.is_some() {
        memory.said.clone_from(&proposed);
    }
    let said = proposed.or_else(|| memory.said.clone());
    said.map_or_else(|| Decision::stay(was), |said| Decision { was, ..said })
}

/// What must not be mistaken for less demand: nothing is taken away for it.
fn hold(decision: &mut Decision, look: &Look<'_>) {
    let was = decision.was;
    if decision.desired < was && look.is_blind() {
        decision.limit(LimitedBy::Missing, was);
    }
    if decision.desired < was && look.is_rolling_out {
        decision.limit(LimitedBy::Rollout, was);
    }
    if decision.desired > was && look.is_failing_to_start {
        decision.limit(LimitedBy::Failing, was);
    }
}

/// The floors first: they bend to `max`, and all of it to the machine.
fn bound(decision: &mut Decision, bounds: Bounds) {
    let desired = decision.desired;
    decision.limit(LimitedBy::Calendar, desired.max(bounds.calendar));
    let desired = decision.desired;
    decision.limit(LimitedBy::Forecast, desired.max(bounds.forecast));
    let desired = decision.desired;
    decision.limit(LimitedBy::Min, desired.max(bounds.min));
    let desired = decision.desired;
    decision.limit(LimitedBy::Max, desired.min(bounds.max.max(bounds.min)));
    if let Some(room) = bounds.room {
        let desired = decision.desired;
        // Never fewer than run already: that they fit was found out by running them.
        decision.limit(LimitedBy::Room, desired.min(room.max(decision.was.min(desired))));
    }
    if let Some(share) = bounds.share {
        // Here others want what runs too much.
        let desired = decision.desired;
        decision.limit(LimitedBy::Share, desired.min(share.max(bounds.min)));
    }
}

/// None at all while nobody wants anything, if the service may sleep; it wakes up for a request
/// that waits, and for a floor.
fn sleep(autoscale: &Autoscale, memory: &mut Memory, look: &Look<'_>, decision: &mut Decision) {
    let newest = look.window.last(look.now, look.now.since(memory.busy_at)).next();
    let in_flight = look.members.iter().any(|member| member.in_flight > 0);
    // What nobody asks Herder for may be wanted all the same, and what is not known may be.
    let is_wanted = decision.asked.iter().any(|asked| {
        asked.signal == Signal::Prometheus && asked.wants.is_some_and(|wants| wants > 0.0)
    });
    let is_missing = decision.limits.iter().any(|limit| limit.by == LimitedBy::Missing);
    let is_busy = in_flight
        || is_wanted
        || ((look.is_blind() || is_missing) && decision.was > 0)
        || newest.is_some_and(|sample| sample.arrivals > 0.0 || sample.queued > 0.0);
    if is_busy {
        memory.busy_at = look.now;
    }
    let Some(idle_after) = autoscale.idle_after else { return };
    let sleeps = !is_busy && (decision.was == 0 || look.now.since(memory.busy_at) >= idle_after);
    let may_sleep = look.bounds.calendar == 0 && look.bounds.forecast == 0;
    if sleeps && may_sleep && !look.is_rolling_out {
        decision.limit(LimitedBy::Idle, 0);
    }
}
