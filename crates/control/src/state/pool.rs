//! Who of a service gets requests now, how many each, and what the journal says when that changes.
//! Which of them gets a certain request is the business of `balance`.

use std::collections::BTreeMap;
use std::sync::Arc;

use balance::{Candidate, LOAD_FULL, Panic, Standing as Stands, Tier, ramp, ramp_limit, ramp_step};
use model::{Endpoint, Limits, Phase, SHARE_FULL, Time};

use crate::journal::Journal;
use crate::state::instance::Instance;
use crate::state::service::ServiceState;
use crate::{AdmissionView as Admission, Kind};

/// What was said about the pool last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// By priority, those in a panic.
    pub(crate) panics: BTreeMap<u32, Panic>,
    /// By priority, the part of the requests; empty as long as the service has only one.
    loads: BTreeMap<u32, u32>,
}

impl ServiceState {
    /// The tiers of the pool, each with its load and its endpoints in the order of the instances.
    pub(crate) fn tiers(&self) -> Vec<(u32, Vec<Arc<Endpoint>>)> {
        let staying: Vec<&Instance> = self.staying().collect();
        let endpoints = |tier: &Tier| {
            let members = tier.members.iter().filter_map(|at| staying[*at].endpoint.clone());
            (tier.load, members.collect())
        };
        self.roster(&staying).iter().map(endpoints).collect()
    }

    fn roster(&self, staying: &[&Instance]) -> Vec<Tier> {
        let candidate = |instance: &&Instance| Candidate {
            priority: instance.priority(),
            standing: instance.stands(),
        };
        let candidates: Vec<Candidate> = staying.iter().map(candidate).collect();
        balance::roster(&candidates, self.policy.panic_percent)
    }

    /// The panic that the service is in, in words.
    pub(crate) fn panic(&self) -> Option<String> {
        let words: Vec<String> = self.said.panics.values().map(|panic| self.words(panic)).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    fn words(&self, Panic { available, alive }: &Panic) -> String {
        let percent = self.policy.panic_percent;
        format!(
            "only {available} of {alive} that answer are available, less than {percent} %: \
             requests go to all {alive}"
        )
    }

    /// Says what is new about the pool, and tells the endpoints how much they get.
    pub(crate) fn settle_pool(&mut self, now: Time, journal: &mut Journal) {
        let staying: Vec<&Instance> = self.staying().collect();
        let tiers = self.roster(&staying);
        let several = staying.iter().any(|it| it.priority() != staying[0].priority());
        let loads = tiers.iter().filter(|_| several).map(|tier| (tier.priority, tier.load));
        let panics = tiers.iter().filter_map(|tier| Some((tier.priority, tier.panic?)));
        let said = Said { panics: panics.collect(), loads: loads.collect() };
        self.say(now, &said, journal);
        self.said = said;
        self.allow(now);
    }

    fn say(&self, now: Time, said: &Said, journal: &mut Journal) {
        let name = &self.policy.name;
        for (priority, panic) in &said.panics {
            if !self.said.panics.contains_key(priority) {
                let text = format!("{name}: panic at priority {priority}: {}", self.words(panic));
                journal.service(now, Kind::Panic, name, text);
            }
        }
        for priority in self.said.panics.keys() {
            if !said.panics.contains_key(priority) {
                let text = format!("{name}: the panic at priority {priority} is over");
                journal.service(now, Kind::Panic, name, text);
            }
        }
        if self.said.loads != said.loads && !said.loads.is_empty() {
            let part = |(priority, load): (&u32, &u32)| {
                format!("{} % to priority {priority}", load * 100 / LOAD_FULL)
            };
            let parts: Vec<String> = said.loads.iter().map(part).collect();
            let text = format!("{name}: requests go {}", parts.join(", "));
            journal.service(now, Kind::Failover, name, text);
        }
    }

    /// The one place that tells endpoints how much they get: their share, their limit, and how many
    /// failures in a row are worth a report. Telling them the same again changes nothing.
    fn allow(&self, now: Time) {
        let Limits { in_flight_max, service_in_flight_max, .. } = self.policy.limits;
        self.live.set_limit(service_in_flight_max);
        let most = self.ready().map(|it| self.ramped(it, now)).max().unwrap_or(SHARE_FULL);
        for instance in self.staying() {
            let Some(endpoint) = &instance.endpoint else { continue };
            // Relative to the one that is furthest: where all are new, all get all.
            let share = self.ramped(instance, now) * SHARE_FULL / most.max(1);
            endpoint.set_share(share.min(SHARE_FULL) * instance.wants.granted() / 100);
            endpoint.set_limit(match instance.ejection.admission {
                Admission::Trial { .. } => 1,
                _ => ramp_limit(in_flight_max.min(self.adaptive_limit(instance, now)), share),
            });
            endpoint.set_streak_bounds(self.policy.eject.streak_bounds());
        }
    }

    /// How far an instance is in its slow start.
    fn ramped(&self, instance: &Instance, now: Time) -> u32 {
        ramp(now.since(instance.began_at()), self.policy.slow_start)
    }

    /// When the next step of a slow start is due.
    pub(crate) fn ramped_at(&self, applied_at: Time) -> Option<Time> {
        let window = self.policy.slow_start;
        let is_ramping = |it: &Instance| applied_at.since(it.began_at()) < window;
        self.ready().any(is_ramping).then(|| applied_at + ramp_step(window))
    }
}

impl Instance {
    fn stands(&self) -> Stands {
        match (self.phase(), &self.ejection.admission) {
            _ if self.endpoint.is_none() => Stands::Away,
            (Phase::Ready, Admission::Ejected { .. }) => Stands::Ejected,
            (Phase::Ready, _) if self.wants.rests() => Stands::Resting,
            (Phase::Ready, Admission::Admitted) => Stands::Available,
            (Phase::Ready, Admission::Trial { .. }) => Stands::OnTrial,
            (Phase::Unready, _) if self.answers => Stands::Unwell,
            _ => Stands::Away,
        }
    }

    /// Since when it gets requests.
    fn began_at(&self) -> Time {
        self.since().max(self.ejection.admitted_at)
    }
}
