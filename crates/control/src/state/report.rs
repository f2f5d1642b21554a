//! Takes note of what drivers, probes and workers report; what cannot be is noted as a defect.
//! A report never starts, stops or probes anything: it changes facts.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Endpoint, InstanceId, Phase, Time};

use crate::journal::span;
use crate::state::backoff::Failure;
use crate::state::instance::{Ending, Instance, Origin};
use crate::state::{State, find, take};
use crate::{Exit, ExitStatus, Kind, ProbeOutcome};

/// Instances at once that a driver may claim to run without being owned. Further ones are noted
/// and left alone.
const STRAYS_MAX: usize = 64;

impl State {
    pub(super) fn started(
        &mut self,
        now: Time,
        id: InstanceId,
        addr: SocketAddr,
        pid: Option<u32>,
    ) {
        let live = self.services.get(&id.service).map(|service| Arc::clone(&service.live));
        let (Some(instance), Some(live)) = (find(&mut self.services, &id), live) else {
            return self.take_stray(now, id);
        };
        if instance.has_started() {
            let text = format!("{id} was reported as started twice; the second is ignored");
            return self.journal.instance(now, Kind::Defect, &id, text);
        }
        (instance.addr, instance.pid) = (Some(addr), pid);
        if instance.stays() {
            let endpoint = |weight| Endpoint::new(id, self.endpoint_key_next, addr, weight);
            let endpoint = match instance.origin {
                Origin::Process => endpoint(1),
                Origin::Address(entry) => endpoint(entry.weight).known_by_address(),
            };
            instance.endpoint = Some(Arc::new(endpoint.of(&live)));
            self.endpoint_key_next += 1;
        }
    }

    /// Something runs that nobody owns: it is killed.
    fn take_stray(&mut self, now: Time, id: InstanceId) {
        let taken = self.strays.len() < STRAYS_MAX;
        let fate = if taken { "it is killed" } else { "left alone, as too many others are" };
        let text = format!("{id} was reported as started, and nobody owns it; {fate}");
        self.journal.instance(now, Kind::Defect, &id, text);
        if taken {
            self.strays.entry(id).or_default();
        }
    }

    pub(super) fn start_failed(&mut self, now: Time, id: &InstanceId, reason: &str) {
        let is_starting = |instance: &Instance| !instance.has_started();
        let Some((service, mut instance)) = take(&mut self.services, id, is_starting) else {
            let text = format!("{id} was reported as not started, and is not starting: {reason}");
            return self.journal.instance(now, Kind::Defect, id, text);
        };
        let staying = instance.stays();
        let reason = format!("could not start: {reason}");
        instance.enter(Phase::Gone, now, reason.clone(), &mut self.journal);
        if staying {
            let failure = Failure {
                ordered_at: instance.ordered_at,
                excused: service.excuses(&instance, now),
                reason: format!("{id} {reason}"),
                last_lines: Vec::new(),
            };
            service.fail(now, failure, &mut self.journal, &mut self.rng);
        }
    }

    pub(super) fn exited(&mut self, now: Time, id: &InstanceId, exit: Exit) {
        let Some((service, mut instance)) = take(&mut self.services, id, |_| true) else {
            return self.stray_exited(now, id, exit.status);
        };
        let Some(ending) = instance.ending else {
            let reason = format!("it ended without being told to: {}", exit.status);
            instance.enter(Phase::Gone, now, reason, &mut self.journal);
            if exit.port_taken && instance.boot.is_none() && service.backoff.retries_port() {
                let text = format!("{id}: somebody else had its port; the next start is at once");
                return self.journal.instance(now, Kind::Failure, id, text);
            }
            let failure = Failure {
                ordered_at: instance.ordered_at,
                excused: service.excuses(&instance, now),
                reason: format!("{id} ended: {}", exit.status),
                last_lines: exit.last_lines,
            };
            return service.fail(now, failure, &mut self.journal, &mut self.rng);
        };
        let reason = end_as_told(now, ending, exit.status, instance.reason());
        instance.enter(Phase::Gone, now, reason, &mut self.journal);
        if instance.failed {
            service.backoff.last_lines = exit.last_lines;
        }
    }

    fn stray_exited(&mut self, now: Time, id: &InstanceId, status: ExitStatus) {
        let (kind, text) = if self.strays.remove(id).is_some() {
            (Kind::Failure, format!("{id}, which nobody owned, ended: {status}"))
        } else {
            (Kind::Defect, format!("{id} was reported as ended ({status}), and is not there"))
        };
        self.journal.instance(now, kind, id, text);
    }

    pub(super) fn probed(&mut self, now: Time, id: &InstanceId, outcome: ProbeOutcome) {
        // A probe may come back after its instance is gone or draining: that is no defect.
        let Some(service) = self.services.get_mut(&id.service) else {
            return;
        };
        let Some(instance) = service.instances.get_mut(&id.number) else {
            return;
        };
        if !instance.stays() || instance.endpoint.is_none() {
            return;
        }
        let health = &service.policy.health;
        let Some((phase, why)) = instance.count_probe(now, outcome, health) else {
            return;
        };
        instance.enter(phase, now, why, &mut self.journal);
        if instance.is_ready() && instance.boot.is_none() {
            let took = now.since(instance.ordered_at);
            instance.boot = Some(took);
            service.backoff.port_was_free();
            service.learn_start(took);
        }
        let Some(instance) = service.instances.get_mut(&id.number) else {
            return;
        };
        if instance.is_ready() {
            // It was away, and is another one now than the one that failed.
            if let Some(endpoint) = &instance.endpoint {
                endpoint.forget_streak();
            }
            instance.begin_trial(now, &mut self.journal);
        }
    }

    /// A worker saw a streak or the end of a trial. Both were judged before this event, as they are
    /// before every one; what is left is to probe it.
    pub(super) fn look(&mut self, id: &InstanceId) {
        let service = self.services.get_mut(&id.service);
        if let Some(watched) = service.and_then(|service| service.probes.get_mut(&id.number)) {
            watched.hasten = true;
        }
    }

    /// Takes a ready instance out of the pool at once. Others are out already, so that any number
    /// of workers may report the same instance at the cost of one entry.
    pub(super) fn unreachable(&mut self, now: Time, id: &InstanceId) {
        let Some(service) = self.services.get_mut(&id.service) else {
            return;
        };
        let Some(instance) = service.instances.get_mut(&id.number) else {
            return;
        };
        if instance.is_ready() {
            let why = "a request was refused or reset by it".to_owned();
            instance.enter(Phase::Unready, now, why, &mut self.journal);
            instance.answers = false;
            if let Some(watched) = service.probes.get_mut(&id.number) {
                watched.hasten = true;
            }
        }
    }

    pub(super) fn quiet(&mut self, id: &InstanceId) {
        let ending = find(&mut self.services, id).and_then(|instance| instance.ending.as_mut());
        if let Some(Ending::Finishing { quiet, .. }) = ending {
            *quiet = true;
        }
    }
}

/// Why an instance that was told to go is gone.
fn end_as_told(now: Time, ending: Ending, status: ExitStatus, why: &str) -> String {
    if status == ExitStatus::Released {
        return format!("{status}; {why}");
    }
    match ending {
        Ending::Finishing { .. } => format!("{status} before it was told to; {why}"),
        Ending::Terminated { at, .. } => {
            format!("{status}, {} after SIGTERM; {why}", span(now.since(at)))
        }
        Ending::Killed { at, .. } => {
            format!("{status}, {} after SIGKILL; {why}", span(now.since(at)))
        }
    }
}
