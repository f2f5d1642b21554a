//! When something becomes due with the time alone.
//! It plans nothing: at that time the shell applies `Event::Tick` and plans again.

use model::{Phase, Time};

use crate::state::State;
use crate::state::instance::{Ending, Instance, Origin};
use crate::state::service::ServiceState;

/// The next time after `now` at which a deadline makes something due, when nothing happens before.
/// Nothing that is due already counts: [`crate::plan::next`] as of the same `now` has found it.
/// At that time apply [`crate::Event::Tick`], which does what is due with the time alone, and plan.
pub fn wake_at(state: &State, now: Time) -> Option<Time> {
    let services = state.services().flat_map(service_deadlines);
    let strays = state.strays().filter_map(|(_, ending)| ending.and_then(Ending::until));
    services.chain(strays).filter(|at| *at > now).min()
}

fn service_deadlines(service: &ServiceState) -> impl Iterator<Item = Time> {
    let instances = service.instances.values();
    let starts_again = Some(service.backoff.until());
    let forgiven = service.forgiven_at();
    let deadlines = instances.filter_map(|instance| instance_deadline(service, instance));
    deadlines.chain(starts_again).chain(forgiven)
}

/// Each phase waits for one thing at most.
fn instance_deadline(service: &ServiceState, instance: &Instance) -> Option<Time> {
    match instance.phase() {
        Phase::Starting => Some(instance.boot_deadline),
        Phase::Unready if instance.origin == Origin::Process => {
            Some(service.unready_deadline(instance))
        }
        Phase::Draining => instance.ending.as_ref().and_then(Ending::until),
        Phase::Unready | Phase::Ready | Phase::Gone => None,
    }
}
