//! When something becomes due with the time alone.
//! It plans nothing: at that time the shell applies `Event::Tick` and plans again.

use model::{Phase, Time};

use crate::state::State;
use crate::state::instance::{Ending, Instance, Origin};
use crate::state::service::ServiceState;

/// The next time at which a deadline makes something due, when nothing happens before; never
/// before `now`. At that time apply [`crate::Event::Tick`], which does what is due with the time
/// alone, and plan.
///
/// A deadline counts until an event was applied at or after it: what was due then, the plan found
/// then. So no deadline is lost between two readings of the clock, and none wakes twice.
pub fn wake_at(state: &State, now: Time) -> Option<Time> {
    let services = state.services().flat_map(|it| service_deadlines(it, state.applied_at()));
    let strays = state.strays().filter_map(|(_, ending)| ending.and_then(Ending::until));
    let next = services.chain(strays).filter(|at| *at > state.applied_at()).min();
    next.map(|at| at.max(now))
}

fn service_deadlines(service: &ServiceState, applied_at: Time) -> impl Iterator<Item = Time> {
    let instances = service.instances.values();
    let starts_again = Some(service.backoff.until());
    let forgiven = service.forgiven_at();
    let deadlines = instances.filter_map(|instance| instance_deadline(service, instance));
    let ramped = service.ramped_at(applied_at);
    deadlines
        .chain(starts_again)
        .chain(forgiven)
        .chain(service.judged_at())
        .chain(ramped)
        .chain(service.adapts_at())
        .chain(service.looks_at())
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
