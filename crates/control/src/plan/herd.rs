//! How many processes a service has to have, and which of them have to go.
//! Rules over facts only; a process that has to go drains the same way whatever the rule was.

use std::cmp::Reverse;

use model::{Phase, Time};

use crate::plan::Change;
use crate::state::instance::{Instance, Origin};
use crate::state::service::ServiceState;

/// Those that have to go, found one at a time, and how many are missing then.
pub(super) fn change(service: &ServiceState, now: Time) -> Change<'_> {
    let mut herd = Herd::of(service, now);
    let mut leaving = Vec::new();
    while let Some(instance) = herd.next_to_leave() {
        herd.forget(instance);
        leaving.push(instance);
    }
    let missing = herd.room().saturating_sub(herd.len());
    Change { leaving, missing: vec![Origin::Process; missing] }
}

/// The instances that stay, fewer with every one that is found to have to go.
struct Herd<'a> {
    /// How many are desired.
    target: usize,
    now: Time,
    /// Those that another one is to take the place of.
    outdated: Vec<&'a Instance>,
    /// The others.
    fresh: Vec<&'a Instance>,
}

impl<'a> Herd<'a> {
    fn of(service: &'a ServiceState, now: Time) -> Self {
        let is_outdated = |instance: &&Instance| service.outdated(instance, now).is_some();
        let (outdated, fresh) = service.staying().partition(is_outdated);
        Self { target: service.target(), now, outdated, fresh }
    }

    /// The rules, the most pressing first.
    fn next_to_leave(&self) -> Option<&'a Instance> {
        self.overdue()
            .or_else(|| self.outdated_and_never_ready())
            .or_else(|| self.one_too_many())
            .or_else(|| self.replaced())
    }

    /// One that was to be ready by now and is not.
    fn overdue(&self) -> Option<&'a Instance> {
        self.all().find(|instance| instance.is_overdue(self.now))
    }

    /// One that is to be replaced before it ever served: nobody misses it.
    fn outdated_and_never_ready(&self) -> Option<&'a Instance> {
        self.outdated.iter().copied().find(|instance| instance.phase() == Phase::Starting)
    }

    /// The least useful one while there are more than there is room for.
    fn one_too_many(&self) -> Option<&'a Instance> {
        let groups = [self.outdated.as_slice(), self.fresh.as_slice()];
        if self.len() > self.room() { least_useful_of(&groups) } else { None }
    }

    /// One whose replacement is there: one more than desired is ready; or one more is there, it is
    /// not ready itself, and everything that could take its place is.
    fn replaced(&self) -> Option<&'a Instance> {
        let candidate = least_useful_of(&[&self.outdated])?;
        let ready = self.all().filter(|instance| instance.is_available()).count();
        let is_replaced = if candidate.is_available() {
            ready > self.target
        } else {
            self.len() > self.target && self.fresh.iter().all(|instance| instance.is_ready())
        };
        is_replaced.then_some(candidate)
    }

    /// How many may be there: those desired, and one more while another is to be replaced. That
    /// one starts first, so that a replacement never costs a ready instance.
    fn room(&self) -> usize {
        let replaces = self.target > 0 && !self.outdated.is_empty();
        self.target + usize::from(replaces)
    }

    fn len(&self) -> usize {
        self.outdated.len() + self.fresh.len()
    }

    fn all(&self) -> impl Iterator<Item = &'a Instance> {
        self.outdated.iter().chain(&self.fresh).copied()
    }

    fn forget(&mut self, instance: &Instance) {
        let is_other = |other: &&Instance| other.id != instance.id;
        self.outdated.retain(is_other);
        self.fresh.retain(is_other);
    }
}

/// Starting before unready before ready; within a phase those of the groups in their order; within
/// a group those that are ejected, then the one with the fewest requests in flight, and of these
/// the newest.
fn least_useful_of<'a>(groups: &[&[&'a Instance]]) -> Option<&'a Instance> {
    let phases = [Phase::Starting, Phase::Unready, Phase::Ready];
    phases.into_iter().find_map(|phase| {
        groups.iter().find_map(|group| {
            let in_phase = group.iter().copied().filter(|instance| instance.phase() == phase);
            in_phase.min_by_key(|instance| {
                (instance.is_available(), instance.in_flight(), Reverse(instance.id.number))
            })
        })
    })
}
