//! Whom the probe has to watch: every instance that stays and has started, by the policy of now.
//! What its probes find is taken note of elsewhere.

use std::sync::Arc;

use crate::Action;
use crate::state::instance::Instance;
use crate::state::service::ServiceState;

/// The difference between whom the probe watches and whom it is to watch, given those that leave
/// with the same plan.
pub(super) fn adjustments(service: &ServiceState, leaving: &[&Instance]) -> Vec<Action> {
    let is_leaving = |number: u32| leaving.iter().any(|instance| instance.id.number == number);
    let stays = |number: &u32| {
        let instance = service.instances.get(number)?;
        (instance.stays() && !is_leaving(*number)).then_some(instance)
    };
    let mut actions = Vec::new();
    for (number, watched) in &service.probes {
        let Some(instance) = stays(number) else {
            let service = service.policy.name.clone();
            actions.push(Action::Forget { id: model::InstanceId { service, number: *number } });
            continue;
        };
        let id = instance.id.clone();
        let (before, now) = (&watched.service, &service.policy);
        if before.health != now.health || before.proxy_protocol != now.proxy_protocol {
            actions.push(Action::Forget { id });
            actions.extend(watch(service, instance));
        } else if watched.hasten {
            actions.push(Action::Hasten { id });
        }
    }
    let unwatched = service
        .staying()
        .filter(|instance| !service.probes.contains_key(&instance.id.number))
        .filter(|instance| !is_leaving(instance.id.number));
    actions.extend(unwatched.filter_map(|instance| watch(service, instance)));
    actions
}

fn watch(service: &ServiceState, instance: &Instance) -> Option<Action> {
    let endpoint = Arc::clone(instance.endpoint.as_ref()?);
    Some(Action::Watch { endpoint, service: Arc::clone(&service.policy) })
}
