//! The limit of each instance that follows what its answers take, looked at several times a second.
//! How it is found is `balance`'s; `pool.rs` tells it to the endpoints.

use std::collections::BTreeMap;
use std::time::Duration;

use balance::gradient::{ANSWERS_MIN, Gradient};
use model::{Time, UNLIMITED};

use crate::state::instance::Instance;
use crate::state::service::ServiceState;

/// How long answers are counted at least until the limit changes: some round trips of most
/// services, and soon enough for a burst.
const WINDOW: Duration = Duration::from_millis(250);

/// What was found so far, for the instances of one service.
#[derive(Debug, Default)]
pub(crate) struct Adapting {
    /// By number.
    gradients: BTreeMap<u32, Gradient>,
    looks_next: Time,
}

impl ServiceState {
    /// Looks at the answers of each instance that gets requests, when it is time to.
    pub(crate) fn adapt(&mut self, now: Time, rng: &mut fastrand::Rng) {
        let policy = self.policy.limits.adaptive;
        if !policy.is_on {
            self.adapting = Adapting::default();
            return;
        }
        if now < self.adapting.looks_next {
            return;
        }
        self.adapting.looks_next = now + WINDOW;
        let instances = &self.instances;
        let gradients = &mut self.adapting.gradients;
        gradients.retain(|number, _| instances.contains_key(number));
        let taking = instances.values().filter(|it| it.is_ready() && it.ejection.is_admitted());
        for instance in taking {
            let Some(endpoint) = &instance.endpoint else { continue };
            let gradient = gradients.entry(instance.id.number);
            let gradient = gradient.or_insert_with(|| Gradient::new(&policy, now));
            if endpoint.samples().count() >= ANSWERS_MIN {
                let seen = (endpoint.samples().take(), endpoint.limit());
                gradient.step(&policy, now, seen, rng.f64());
            }
        }
    }

    /// When it is time to look again.
    pub(crate) fn adapts_at(&self) -> Option<Time> {
        let is_on = self.policy.limits.adaptive.is_on && self.ready().next().is_some();
        is_on.then_some(self.adapting.looks_next)
    }

    /// The limit of an instance that was found, or where finding it begins.
    pub(crate) fn adaptive_limit(&self, instance: &Instance, now: Time) -> u32 {
        let policy = &self.policy.limits.adaptive;
        if !policy.is_on {
            return UNLIMITED;
        }
        match self.adapting.gradients.get(&instance.id.number) {
            Some(gradient) => gradient.limit(),
            None => Gradient::new(policy, now).limit(),
        }
    }
}
