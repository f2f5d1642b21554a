//! Makes the copy of the state that screens, the admin API and metrics are shown.
//! It changes nothing, and says nothing that the journal says differently.

use model::{SHARE_FULL, Time, UNLIMITED};

use crate::state::affinity;
use crate::state::instance::Instance;
use crate::state::service::{ServiceState, Standing};
use crate::{BackoffView, InstanceView, ProbedView, RolloutView, ServiceView};

impl ServiceState {
    /// What is to be seen; nothing of a service that was removed and has no instance left.
    pub(crate) fn view(&self, now: Time) -> Option<ServiceView> {
        if self.standing == Standing::Removed && self.instances.is_empty() {
            return None;
        }
        let (desired, desired_reason) = match self.standing {
            Standing::Configured => (self.decision.count, self.decision.reason.clone()),
            Standing::Removed => (0, "removed from the configuration".to_owned()),
            Standing::Stopping => (0, "Herder shuts down".to_owned()),
        };
        let tiers = self.tiers();
        let in_pool: Vec<u64> = tiers.iter().flat_map(|(_, it)| it).map(|it| it.key).collect();
        Some(ServiceView {
            name: self.policy.name.clone(),
            slot: self.slot,
            desired,
            desired_reason,
            min: self.policy.scale.min,
            max: self.policy.scale.max,
            balance: self.policy.balance,
            probe: self.policy.health.probe.name(),
            affinity: affinity::words(&self.policy),
            scaling: self.scaling_view(),
            room: None,
            trouble: self.trouble(),
            generation: self.generation,
            waiting: self.live.waiting(),
            waiting_oldest: self.live.oldest_waiting(),
            refused_percent: self.live.refused_percent(),
            rollout: self.rollout_view(),
            backoff: self.backoff_view(now),
            panic: self.panic(),
            ejections: self.ejections,
            instances: self.instances.values().map(|it| it.view(now, &in_pool)).collect(),
        })
    }

    fn rollout_view(&self) -> Option<RolloutView> {
        let total = u32::try_from(self.target()).unwrap_or(u32::MAX);
        let replaced = u32::try_from(self.replaced().count()).unwrap_or(u32::MAX).min(total);
        let reason = self.rollout.as_ref()?.reason.clone();
        Some(RolloutView { replaced, total, reason })
    }

    /// Shown while it holds; that of a crash loop until it is forgotten.
    fn backoff_view(&self, now: Time) -> Option<BackoffView> {
        let crash_loop = self.backoff.is_crash_loop(&self.policy.restart);
        (self.backoff.holds(now) || crash_loop).then(|| BackoffView {
            failures: self.backoff.failures(),
            until: self.backoff.until(),
            crash_loop,
            reason: self.backoff.reason.clone(),
            last_lines: self.backoff.last_lines.clone(),
        })
    }
}

impl Instance {
    /// `in_pool`: the keys of those that requests are sent to.
    fn view(&self, now: Time, in_pool: &[u64]) -> InstanceView {
        let endpoint = self.endpoint.as_ref();
        InstanceView {
            id: self.id.clone(),
            phase: self.phase(),
            since: self.since(),
            reason: self.reason().to_owned(),
            trouble: self.trouble().map(str::to_owned),
            probed: self.probed.clone().map(|(at, failure)| ProbedView { at, failure }),
            wants_percent: self.wants.percent(),
            generation: self.generation,
            addr: self.addr,
            pid: self.pid,
            in_flight: self.in_flight(),
            requests: endpoint.map_or(0, |endpoint| endpoint.requests()),
            failures: endpoint.map_or(0, |endpoint| endpoint.failures()),
            usage: self.usage(now),
            boot: self.boot,
            admission: self.ejection.admission.clone(),
            ejections: self.ejection.times,
            share: endpoint.map_or(SHARE_FULL, |endpoint| endpoint.share()),
            limit: endpoint.map_or(UNLIMITED, |endpoint| endpoint.limit()),
            in_pool: endpoint.is_some_and(|endpoint| in_pool.contains(&endpoint.key)),
        }
    }
}
