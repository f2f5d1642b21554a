//! Desired against observed: what has to be done now, and when to look again.
//! It changes nothing: every action is recorded by `State::commit` before it is carried out, and
//! planning again right after that finds nothing to do.

mod addresses;
mod ending;
mod herd;
mod probing;
mod waking;

use std::sync::Arc;

use model::{InstanceId, Phase, Source, Time};

use crate::Action;
use crate::state::State;
use crate::state::instance::{Instance, Origin};
use crate::state::service::ServiceState;

pub use waking::wake_at;

/// What has to be done now, in this order.
///
/// For each service: those on their way out take their next step, those that have to go are told
/// to, those that are missing are started, and the probe watches those that stay.
pub fn next(state: &State, now: Time) -> Vec<Action> {
    let mut actions = Vec::new();
    for service in state.services() {
        let change = change(service, now);
        actions.extend(ending::next_steps(service, now));
        actions.extend(change.leaving.iter().map(|instance| farewell(instance)));
        if may_start(service, &change, now) {
            actions.extend(starts(service, change.missing));
        }
        actions.extend(probing::adjustments(service, &change.leaving));
    }
    actions.extend(ending::stray_steps(state, now));
    actions
}

/// How the instances of a service differ from those that it is to have.
struct Change<'a> {
    /// Those that have to go.
    leaving: Vec<&'a Instance>,
    /// What has to be started: one instance for each.
    missing: Vec<Origin>,
}

fn change(service: &ServiceState, now: Time) -> Change<'_> {
    match service.policy.source {
        Source::Command(_) => herd::change(service, now),
        Source::Static(_) => addresses::change(service, now),
    }
}

/// Failures hold back every start of their service, and a failure that is only being found now
/// sets its back-off before anything is started.
fn may_start(service: &ServiceState, change: &Change<'_>, now: Time) -> bool {
    let fails_now = change.leaving.iter().any(|instance| instance.is_overdue(now));
    !fails_now && !service.backoff.holds(now)
}

fn starts(service: &ServiceState, missing: Vec<Origin>) -> impl Iterator<Item = Action> {
    (service.number_next..).zip(missing).map(|(number, origin)| Action::Start {
        id: InstanceId { service: service.policy.name.clone(), number },
        service: Arc::clone(&service.policy),
        addr: origin.addr(),
    })
}

/// The first step out: requests finish first where there may be any. An instance that never was
/// ready never was in the pool, and is told to end at once.
fn farewell(instance: &Instance) -> Action {
    match &instance.endpoint {
        Some(endpoint) if instance.phase() != Phase::Starting => {
            Action::Drain { endpoint: Arc::clone(endpoint) }
        }
        _ => Action::Terminate { id: instance.id.clone() },
    }
}
