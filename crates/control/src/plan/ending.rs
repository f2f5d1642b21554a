//! The way out of an instance that was told to go: requests finish, SIGTERM, SIGKILL.
//! Every wait has a deadline; what made the instance go does not matter here.

use model::Time;

use crate::Action;
use crate::state::State;
use crate::state::instance::{Ending, Instance};
use crate::state::service::ServiceState;

/// The steps that are due.
pub(super) fn next_steps(service: &ServiceState, now: Time) -> impl Iterator<Item = Action> {
    service.instances.values().filter_map(move |instance| next_step(instance, now))
}

/// What runs and nobody owns is killed at once, and again like every other.
pub(super) fn stray_steps(state: &State, now: Time) -> impl Iterator<Item = Action> {
    let is_due = move |ending: Option<&Ending>| match ending {
        None => true,
        Some(ending) => ending.until().is_some_and(|until| now >= until),
    };
    state
        .strays()
        .filter(move |(_, ending)| is_due(*ending))
        .map(|(id, _)| Action::Kill { id: id.clone() })
}

fn next_step(instance: &Instance, now: Time) -> Option<Action> {
    let id = || instance.id.clone();
    match instance.ending? {
        Ending::Finishing { until, quiet } => {
            (quiet || now >= until).then(|| Action::Terminate { id: id() })
        }
        Ending::Terminated { until, .. } => (now >= until).then(|| Action::Kill { id: id() }),
        Ending::Killed { until, .. } => {
            until.is_some_and(|until| now >= until).then(|| Action::Kill { id: id() })
        }
    }
}
