//! Takes a configuration: which services there are, and what changed in each.
//! It starts and stops nothing; the difference to what runs is `plan`'s to find.

use std::sync::Arc;

use model::{Desired, ScaleMode, Service, ServiceName, Source, Time};
use scale::Calendar;

use crate::journal::Journal;
use crate::state::State;
use crate::state::affinity;
use crate::state::backoff::Backoff;
use crate::state::decision::{By, Decision};
use crate::state::instance::Origin;
use crate::state::service::{ServiceState, Standing};
use crate::{Kind, Refusal};

/// Service names that one run of Herder can know. Each keeps its slot and its numbers for ever, so
/// that there has to be an end; a configuration that would go beyond is refused.
const SERVICE_NAMES_MAX: usize = 4096;

impl State {
    /// Takes a configuration, or refuses it whole.
    pub(super) fn take_configuration(
        &mut self,
        now: Time,
        desired: Desired,
    ) -> Result<(), Refusal> {
        if self.stopping {
            let text = "Herder shuts down: no configuration is taken any more".to_owned();
            return Err(self.refuse(now, None, text));
        }
        let unknown = |name: &&ServiceName| !self.services.contains_key(*name);
        let names = self.services.len() + desired.services.keys().filter(unknown).count();
        if names > SERVICE_NAMES_MAX {
            let text = format!(
                "the configuration would make it {names} service names since Herder started, the \
                 most is {SERVICE_NAMES_MAX}; restart Herder to forget those of removed services"
            );
            return Err(self.refuse(now, None, text));
        }
        for (name, service) in &desired.services {
            if let Err(why) = Calendar::new(&service.autoscale.schedules) {
                let text = format!("the calendar of {name}: {why}; {}", why.hint());
                return Err(self.refuse(now, None, text));
            }
        }
        let text = format!("configuration taken: {}", difference(&self.desired, &desired));
        self.journal.herder(now, Kind::Configured, text);
        for (name, service) in &mut self.services {
            if !desired.services.contains_key(name) {
                service.standing = Standing::Removed;
            }
        }
        for (name, policy) in &desired.services {
            match self.services.get_mut(name) {
                Some(service) => service.configure(now, policy, &mut self.journal),
                None => self.add(now, policy),
            }
        }
        for service in self.services.values_mut() {
            service.settle_foresight(now);
        }
        // What ran before is no reason for a service that is configured later.
        self.remembered.clear();
        self.desired = desired;
        Ok(())
    }

    fn add(&mut self, now: Time, policy: &Arc<Service>) {
        let mut service = ServiceState::new(Arc::clone(policy), self.services.len());
        let acts = service.follows_demand() && policy.autoscale.mode == ScaleMode::Act;
        if let Some(&before) = self.remembered.get(&policy.name).filter(|_| acts) {
            service.decision = Decision::remembered(policy, before);
        }
        announce(now, &service, &mut self.journal);
        self.services.insert(policy.name.clone(), service);
    }
}

impl ServiceState {
    /// Takes the policies of a service whose name was there before.
    fn configure(&mut self, now: Time, policy: &Arc<Service>, journal: &mut Journal) {
        let returned = self.standing == Standing::Removed;
        if *policy == self.policy && !returned {
            return;
        }
        let before = std::mem::replace(&mut self.policy, Arc::clone(policy));
        if before.autoscale != policy.autoscale || returned {
            self.forget_demand();
        }
        self.standing = Standing::Configured;
        if returned {
            (self.rollout, self.backoff) = (None, Backoff::default());
            self.set_aside.clear();
            self.decision = Decision::configured(policy);
            announce(now, self, journal);
        } else {
            affinity::note(Some(&before), policy, now, journal);
            let decision = match (self.decision.by, &policy.source) {
                (By::Operator, Source::Command(_)) => self.decision.clone(),
                (By::Autoscaler, Source::Command(_)) if !policy.autoscale.is_fixed() => {
                    self.decision.clone()
                }
                (By::Configuration | By::Autoscaler, _) | (_, Source::Static(_)) => {
                    Decision::configured(policy)
                }
            };
            self.decide(now, decision, journal);
        }
        let listed = match &policy.source {
            Source::Command(_) => [].as_slice(),
            Source::Static(list) => list,
        };
        self.set_aside.retain(|addr| listed.iter().any(|entry| entry.addr == *addr));
        if let Some(reason) = renewal(&before.source, &policy.source) {
            self.begin_generation(now, reason.to_owned(), journal);
            // An address from before the service had a command, which is listed again.
            for instance in self.instances.values_mut() {
                if matches!(instance.origin, Origin::Address(entry) if listed.contains(&entry)) {
                    instance.generation = self.generation;
                    instance.to_be_replaced = false;
                }
            }
        }
    }
}

/// What an added service starts with is a decision too.
fn announce(now: Time, service: &ServiceState, journal: &mut Journal) {
    let (name, decision) = (&service.policy.name, &service.decision);
    let text = format!("{name}: {} desired ({})", decision.count, decision.reason);
    journal.service(now, Kind::Decision, name, text);
    affinity::note(None, &service.policy, now, journal);
}

/// Why the instances of the one source are not instances of the other, if they are not. Addresses
/// are compared one by one instead: see `plan::addresses`.
fn renewal(before: &Source, after: &Source) -> Option<&'static str> {
    match (before, after) {
        (Source::Static(_), Source::Static(_)) => None,
        (Source::Command(before), Source::Command(after)) => {
            if before.argv != after.argv {
                Some("command changed")
            } else if before.env != after.env {
                Some("environment changed")
            } else if before.dir != after.dir {
                Some("directory changed")
            } else {
                None
            }
        }
        (Source::Static(_), Source::Command(_)) => Some("addresses became a command"),
        (Source::Command(_), Source::Static(_)) => Some("the command became addresses"),
    }
}

/// What the second configuration has that the first has not, on one line.
fn difference(before: &Desired, after: &Desired) -> String {
    let mut parts = Vec::new();
    if before.listeners != after.listeners {
        parts.push("listeners changed".to_owned());
    }
    for (name, service) in &after.services {
        match before.services.get(name) {
            None => parts.push(format!("{name} added")),
            Some(was) if was != service => {
                parts.push(format!("{name} changed ({})", changes(was, service).join(", ")));
            }
            Some(_) => {}
        }
    }
    let removed = before.services.keys().filter(|name| !after.services.contains_key(*name));
    parts.extend(removed.map(|name| format!("{name} removed")));
    if before.redirects != after.redirects {
        parts.push("redirects changed".to_owned());
    }
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join("; ") }
}

fn changes(before: &Service, after: &Service) -> Vec<&'static str> {
    let parts = [
        ("routes", before.routes != after.routes),
        ("mode", before.mode != after.mode),
        ("PROXY protocol", before.proxy_protocol != after.proxy_protocol),
        ("source", before.source != after.source),
        ("health", before.health != after.health),
        ("balance", before.balance != after.balance || before.hash_on != after.hash_on),
        ("affinity", before.affinity != after.affinity),
        ("ejection", before.eject != after.eject || before.panic_percent != after.panic_percent),
        ("slow start", before.slow_start != after.slow_start),
        ("scale", before.scale != after.scale || before.autoscale != after.autoscale),
        ("drain", before.drain != after.drain),
        ("restart", before.restart != after.restart),
        ("http", before.http != after.http),
        ("limits", before.limits != after.limits || before.rate_limits != after.rate_limits),
        ("admission", before.admission != after.admission),
        ("queue", before.queue != after.queue),
        ("retries", before.retry != after.retry || before.hedge != after.hedge),
        ("compression", before.compression != after.compression),
        ("rules", before.rules != after.rules),
    ];
    parts.into_iter().filter_map(|(part, changed)| changed.then_some(part)).collect()
}
