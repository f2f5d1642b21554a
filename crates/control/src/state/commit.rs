//! Takes note of actions that were ordered: the phases, deadlines and probes that follow from them.
//! It orders nothing itself; the plan does, and finds its own order recorded here the next time.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Drain, InstanceId, Phase, Service, Source, Time};

use crate::journal::{Journal, count, span};
use crate::state::backoff::Failure;
use crate::state::instance::{Ending, Instance, Origin};
use crate::state::service::Watched;
use crate::state::{State, take};
use crate::{Action, Kind};

impl State {
    pub(super) fn record(&mut self, now: Time, action: &Action) {
        match action {
            Action::Start { id, service, addr } => self.record_start(now, id, service, *addr),
            Action::Watch { endpoint, service } => {
                let watched = Watched { service: Arc::clone(service), hasten: false };
                if let Some(service) = self.services.get_mut(&endpoint.id.service) {
                    service.probes.insert(endpoint.id.number, watched);
                }
            }
            Action::Hasten { id } => {
                let service = self.services.get_mut(&id.service);
                if let Some(watched) = service.and_then(|it| it.probes.get_mut(&id.number)) {
                    watched.hasten = false;
                }
            }
            Action::Forget { id } => {
                if let Some(service) = self.services.get_mut(&id.service) {
                    service.probes.remove(&id.number);
                }
            }
            Action::Drain { endpoint } => self.record_step(now, &endpoint.id, drained),
            Action::Terminate { id } => self.record_step(now, id, terminated),
            Action::Kill { id } if self.strays.contains_key(id) => self.record_stray_kill(now, id),
            Action::Kill { id } => self.record_step(now, id, killed),
        }
    }

    fn record_start(
        &mut self,
        now: Time,
        id: &InstanceId,
        policy: &Service,
        addr: Option<SocketAddr>,
    ) {
        let Some(service) = self.services.get_mut(&id.service) else {
            return self.defect(now, id, "was ordered to start, and its service is not there");
        };
        let Some(origin) = origin(policy, addr) else {
            return self.defect(now, id, "was ordered to start at an address that is not listed");
        };
        let reason = service.why_start(origin);
        let text = format!("{id} starting: {reason}");
        self.journal.instance(now, Kind::Phase, id, text);
        let boot_deadline = now + policy.health.timeout_boot;
        let generation = service.generation;
        let instance =
            Instance::ordered(id.clone(), origin, generation, now, boot_deadline, reason);
        service.instances.insert(id.number, instance);
        service.number_next = service.number_next.max(id.number.saturating_add(1));
    }

    /// Records a step of an instance on its way out; the first one takes it out of the pool.
    fn record_step(
        &mut self,
        now: Time,
        id: &InstanceId,
        step: fn(&Instance, Time, &Drain, &mut Journal) -> Ending,
    ) {
        let Some((service, mut instance)) = take(&mut self.services, id, |_| true) else {
            return self.defect(now, id, "was told to go, and is not there");
        };
        let overdue = instance.is_overdue(now);
        if instance.stays() {
            let why = service.why_leave(&instance, now);
            instance.enter(Phase::Draining, now, why, &mut self.journal);
        }
        instance.ending = Some(step(&instance, now, &service.policy.drain, &mut self.journal));
        if overdue {
            instance.failed = true;
            let failure = Failure {
                ordered_at: instance.ordered_at,
                excused: service.excuses(&instance, now),
                reason: format!("{id} was {}", instance.reason()),
                last_lines: Vec::new(),
            };
            service.fail(now, failure, &mut self.journal, &mut self.rng);
        }
        service.instances.insert(id.number, instance);
    }

    fn record_stray_kill(&mut self, now: Time, id: &InstanceId) {
        let Some(before) = self.strays.get(id) else {
            return;
        };
        let ending = Ending::killed(*before, now);
        if ending.until().is_some() {
            self.strays.insert(id.clone(), Some(ending));
        } else {
            self.strays.remove(id);
            self.defect(now, id, "was killed once more, and is not waited for any longer");
        }
    }

    fn defect(&mut self, now: Time, id: &InstanceId, what: &str) {
        self.journal.instance(now, Kind::Defect, id, format!("{id} {what}"));
    }
}

/// What an instance of this service is; at an address, the entry that lists it.
fn origin(policy: &Service, addr: Option<SocketAddr>) -> Option<Origin> {
    match (&policy.source, addr) {
        (Source::Command(_), None) => Some(Origin::Process),
        (Source::Static(list), Some(addr)) => {
            list.iter().find(|entry| entry.addr == addr).copied().map(Origin::Address)
        }
        (Source::Command(_), Some(_)) | (Source::Static(_), None) => None,
    }
}

fn drained(_: &Instance, now: Time, drain: &Drain, _: &mut Journal) -> Ending {
    Ending::Finishing { until: now + drain.timeout_drain, quiet: false }
}

fn terminated(instance: &Instance, now: Time, drain: &Drain, journal: &mut Journal) -> Ending {
    if let Some(Ending::Finishing { quiet: false, .. }) = instance.ending {
        let requests = count(instance.in_flight() as usize, "request");
        let (id, timeout) = (&instance.id, span(drain.timeout_drain));
        let text =
            format!("{id}: {requests} did not finish within {timeout}; it ends all the same");
        journal.instance(now, Kind::Failure, id, text);
    }
    Ending::terminated(now, drain.timeout_grace)
}

fn killed(instance: &Instance, now: Time, drain: &Drain, journal: &mut Journal) -> Ending {
    let ending = Ending::killed(instance.ending, now);
    let id = &instance.id;
    let text = match (instance.ending, ending) {
        (Some(Ending::Killed { at, .. }), Ending::Killed { times, until: None, .. }) => {
            let pid = instance.pid.map_or_else(|| "its process".to_owned(), |pid| pid.to_string());
            format!(
                "{id} did not end {} after SIGKILL and is killed for the {times}th and last time; \
                 look what {pid} waits for (`ps -o stat,wchan -p PID`)",
                span(now.since(at))
            )
        }
        (Some(Ending::Killed { at, .. }), _) => {
            format!("{id} did not end {} after SIGKILL; killed again", span(now.since(at)))
        }
        _ => format!("{id} did not end within {} of SIGTERM; killed", span(drain.timeout_grace)),
    };
    journal.instance(now, Kind::Failure, id, text);
    ending
}
