//! What instances use and what services were told, as it was measured last, and what part of what
//! they may use that is. It decides nothing, and what was not measured lately is not known.

use std::time::Duration;

use model::{PrometheusQuery, ScalePolicy, ServiceName, Time};
use scale::Sample;

use crate::state::instance::Instance;
use crate::state::room::Rooms;
use crate::state::service::ServiceState;
use crate::state::{State, find};
use crate::{Kind, Measured, Usage};

/// A look may come late; three in a row do not. What is older is not known any more.
const STALE_AFTER: Duration = Duration::from_secs(3);
/// What an instance uses of the processor right after it became ready is its start, not its work.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// An answer counts for so many intervals: two may fail.
const ANSWER_INTERVALS: u32 = 3;

/// What a service was told from outside of it, and when.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What most of its responses took less than.
    latency: Option<(Time, Duration)>,
    /// What its Prometheus said last.
    answer: Option<(Time, f64)>,
    /// Why it said nothing the last time.
    trouble: Option<String>,
}

impl State {
    /// Takes note of what was measured. What belongs to nobody came too late.
    pub(super) fn measured(&mut self, now: Time, measured: &Measured) {
        for (id, usage) in &measured.instances {
            if let Some(instance) = find(&mut self.services, id) {
                instance.used = Some((now, *usage));
            }
        }
        for (name, latency) in &measured.latencies {
            if let Some(service) = self.services.get_mut(name) {
                service.told.latency = Some((now, *latency));
            }
        }
        match measured.hardware {
            Some(hardware) => {
                let services = self.services.values();
                self.rooms.look(now, self.desired.machine, hardware, services);
            }
            // Nothing is limited by what nobody knows.
            None => self.rooms = Rooms::default(),
        }
    }

    /// Takes note of whether instances are held to their resources.
    pub(super) fn enforced(&mut self, now: Time, verdict: Result<(), String>) {
        let (kind, text) = match &verdict {
            Ok(()) => (Kind::Configured, "resources of instances are enforced".to_owned()),
            Err(why) => (Kind::Failure, format!("resources of instances are not enforced: {why}")),
        };
        self.journal.herder(now, kind, text);
        self.enforced = Some(verdict);
    }

    /// Takes note of what a Prometheus said, or of why it did not.
    pub(super) fn answered(&mut self, now: Time, name: &ServiceName, answer: Result<f64, String>) {
        let Some(service) = self.services.get_mut(name) else { return };
        let before = service.told.trouble.take();
        match (before, answer) {
            (before, Ok(value)) => {
                service.told.answer = Some((now, value));
                if before.is_some() {
                    let text = format!("{name}: its Prometheus answers again");
                    self.journal.service(now, Kind::Decision, name, text);
                }
            }
            (before, Err(why)) => {
                // `herder explain` has the newest reason; the journal is not filled with all.
                if before.is_none() {
                    let text = format!(
                        "{name}: its Prometheus said nothing, and without it no instance is taken \
                         away: {why}"
                    );
                    self.journal.service(now, Kind::Failure, name, text);
                }
                service.told.trouble = Some(why);
            }
        }
    }
}

impl Instance {
    /// What it uses, if that is known.
    pub(crate) fn usage(&self, now: Time) -> Option<Usage> {
        let (at, usage) = self.used?;
        (now.since(at) < STALE_AFTER).then_some(usage)
    }
}

impl ServiceState {
    /// Adds to a sample what is not counted at endpoints.
    pub(super) fn add_told(&self, sample: Sample, now: Time) -> Sample {
        Sample {
            latency: self
                .told
                .latency
                .filter(|(at, _)| now.since(*at) < STALE_AFTER)
                .map(|it| it.1),
            cpu: self.mean_part(now, Self::cpu_part),
            memory: self.mean_part(now, Self::memory_part),
            prometheus: self.answer(now),
            ..sample
        }
    }

    /// What an instance uses of the processor, of what it may use. None: not known, or nobody said
    /// how much it may.
    pub(super) fn cpu_part(&self, instance: &Instance, now: Time) -> Option<f64> {
        Some(instance.usage(now)?.cores? / self.cores_each()?)
    }

    /// What an instance uses of memory, likewise.
    pub(super) fn memory_part(&self, instance: &Instance, now: Time) -> Option<f64> {
        let may = self.policy.resources.memory_bytes?;
        Some(instance.usage(now)?.memory_bytes as f64 / may as f64)
    }

    /// What is asked of a Prometheus for it, if anything is.
    pub(crate) fn query(&self) -> Option<&PrometheusQuery> {
        match &self.policy.autoscale.policy {
            ScalePolicy::Target(policy) if self.follows_demand() => policy.prometheus.as_deref(),
            _ => None,
        }
    }

    /// How many of 100 responses have an objective, if they have one.
    pub(crate) fn latency_percent(&self) -> Option<u32> {
        match &self.policy.autoscale.policy {
            ScalePolicy::Target(policy) if self.follows_demand() => {
                policy.latency.map(|_| policy.latency_percent)
            }
            _ => None,
        }
    }

    /// Why its Prometheus says nothing, while it does not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.query()?;
        let why = self.told.trouble.as_ref()?;
        Some(format!("Prometheus said nothing: {why}"))
    }

    /// Forgets what another policy was told.
    pub(crate) fn forget_told(&mut self) {
        self.told = Told::default();
    }

    fn answer(&self, now: Time) -> Option<f64> {
        let counts_for = self.query()?.interval.saturating_mul(ANSWER_INTERVALS);
        let (at, value) = self.told.answer?;
        (now.since(at) <= counts_for).then_some(value)
    }

    /// The mean of a part over the instances that are ready: those that became so a moment ago
    /// count only where there are no others.
    fn mean_part(
        &self,
        now: Time,
        part: impl Fn(&Self, &Instance, Time) -> Option<f64>,
    ) -> Option<f64> {
        let settled = self.ready().filter(|it| now.since(it.since()) >= SETTLED_AFTER);
        let parts: Vec<f64> = settled.filter_map(|it| part(self, it, now)).collect();
        let parts = match parts.is_empty() {
            true => self.ready().filter_map(|it| part(self, it, now)).collect(),
            false => parts,
        };
        (!parts.is_empty()).then(|| parts.iter().sum::<f64>() / parts.len() as f64)
    }

    /// Cores that an instance may use. Where nobody said it, it is one for a policy that asks;
    /// nothing else is concluded from the processor then: it may not be what an instance waits for.
    fn cores_each(&self) -> Option<f64> {
        let asks = match &self.policy.autoscale.policy {
            ScalePolicy::Fixed => false,
            ScalePolicy::Target(policy) => policy.cpu_percent.is_some(),
            ScalePolicy::Hpa(_) | ScalePolicy::Kpa(_) | ScalePolicy::Step(_) => true,
        };
        let written = self.policy.resources.cpu_percent;
        written.or(asks.then_some(100)).map(|percent| f64::from(percent.max(1)) / 100.0)
    }
}
