//! Takes an operator's order, or refuses it with what to do instead.
//! It changes what is desired and nothing else; nothing is started or stopped here.

use model::{InstanceId, ServiceName, Source, Time};

use crate::journal::count;
use crate::state::decision::{By, Decision};
use crate::state::instance::Origin;
use crate::state::service::{ServiceState, Standing};
use crate::state::{Services, State};
use crate::{Kind, Order, Refusal};

/// Names listed in a refusal.
const NAMES_SHOWN_MAX: usize = 20;

impl State {
    /// Takes an order, or refuses it.
    pub(super) fn take_order(&mut self, now: Time, order: &Order) -> Result<(), Refusal> {
        let taken = match order {
            Order::Shutdown => {
                self.shut_down(now);
                Ok(())
            }
            _ if self.stopping => Err("Herder shuts down: no order is taken any more".to_owned()),
            Order::Scale { service, count } => self.scale(now, service, *count),
            Order::Autoscale { service } => self.follow_demand(now, service),
            Order::Drain { instance } => self.drain(now, instance),
            Order::Restart { service } => self.restart(now, service),
        };
        taken.map_err(|text| {
            let known = order.service().filter(|name| self.services.contains_key(*name));
            self.refuse(now, known, text)
        })
    }

    fn shut_down(&mut self, now: Time) {
        let text = if self.stopping {
            "stop: already under way".to_owned()
        } else {
            let instances = self.services.values().map(|service| service.instances.len()).sum();
            format!("stop: {} to drain and end", count(instances, "instance"))
        };
        self.journal.herder(now, Kind::Ordered, text);
        self.stopping = true;
        for service in self.services.values_mut() {
            service.standing = Standing::Stopping;
        }
    }

    fn scale(&mut self, now: Time, name: &ServiceName, count: u32) -> Result<(), String> {
        let service = known(&mut self.services, name)?;
        let scale = service.policy.scale;
        if let Source::Static(_) = service.policy.source {
            return Err(format!(
                "{name} has static addresses, which Herder does not start; to have more or fewer, \
                 change `static` in the configuration and reload"
            ));
        }
        if count < scale.min {
            return Err(format!(
                "{name}: {count} is below min ({min}); lower min or ask for at least {min}",
                min = scale.min
            ));
        }
        if count > scale.max {
            return Err(format!(
                "{name}: {count} is above max ({max}); raise max or ask for at most {max}",
                max = scale.max
            ));
        }
        let mut text = format!("scale {name} {count}");
        if !service.policy.autoscale.is_fixed() {
            text.push_str(&format!("; it stays until `herder scale {name} auto`"));
        }
        self.journal.service(now, Kind::Ordered, name, text);
        let decision = Decision::ordered(&service.policy, count);
        service.decide(now, decision, &mut self.journal);
        Ok(())
    }

    fn follow_demand(&mut self, now: Time, name: &ServiceName) -> Result<(), String> {
        let service = known(&mut self.services, name)?;
        if let Source::Static(_) = service.policy.source {
            return Err(format!("{name} has static addresses: their number follows nothing"));
        }
        if service.policy.autoscale.is_fixed() {
            return Err(format!(
                "the number of instances of {name} follows nothing: its policy is \"fixed\"; \
                 write policy = \"target\" under [service.{name}.scale] and reload"
            ));
        }
        self.journal.service(now, Kind::Ordered, name, format!("scale {name} auto"));
        service.decision.by = By::Autoscaler;
        Ok(())
    }

    fn drain(&mut self, now: Time, id: &InstanceId) -> Result<(), String> {
        let service = known(&mut self.services, &id.service)?;
        let is_static = matches!(service.policy.source, Source::Static(_));
        let Some(instance) = service.instances.get_mut(&id.number) else {
            let there = service.instances.values().map(|instance| instance.id.to_string());
            let there = listed(there, "it has none now");
            return Err(format!("there is no instance {id}; those of {}: {there}", id.service));
        };
        let text = match instance.origin {
            _ if !instance.stays() => format!("drain {id}: it is draining already"),
            Origin::Address(entry) if is_static => {
                service.set_aside.insert(entry.addr);
                format!(
                    "drain {id}: {} stays out of the pool until a reload without it and one with \
                     it again, or a restart of Herder",
                    entry.addr
                )
            }
            Origin::Address(_) | Origin::Process => {
                instance.to_be_replaced = true;
                format!("drain {id}: another one is started first where it is needed")
            }
        };
        self.journal.instance(now, Kind::Ordered, id, text);
        Ok(())
    }

    fn restart(&mut self, now: Time, name: &ServiceName) -> Result<(), String> {
        let service = known(&mut self.services, name)?;
        if let Source::Static(_) = service.policy.source {
            return Err(format!(
                "{name} has static addresses, which Herder does not start; restart them where \
                 they run"
            ));
        }
        let text = format!("restart {name}");
        self.journal.service(now, Kind::Ordered, name, text.clone());
        service.begin_generation(now, text, &mut self.journal);
        Ok(())
    }
}

impl Order {
    /// The service that it is about, if it is about one.
    pub(crate) fn service(&self) -> Option<&ServiceName> {
        match self {
            Order::Scale { service, .. }
            | Order::Autoscale { service }
            | Order::Restart { service } => Some(service),
            Order::Drain { instance } => Some(&instance.service),
            Order::Shutdown => None,
        }
    }
}

/// The service of this name, if it is in the configuration; else a refusal that names those.
fn known<'a>(
    services: &'a mut Services,
    name: &ServiceName,
) -> Result<&'a mut ServiceState, String> {
    let is_configured = |service: &ServiceState| service.standing == Standing::Configured;
    if !services.get(name).is_some_and(is_configured) {
        let configured = services.iter().filter(|(_, service)| is_configured(service));
        let names = listed(configured.map(|(name, _)| name.to_string()), "none is configured");
        return Err(format!("there is no service `{name}`; the services: {names}"));
    }
    Ok(services.get_mut(name).expect("it was found just now"))
}

/// The names in a row, not too many.
fn listed(names: impl Iterator<Item = String>, none: &str) -> String {
    let mut names: Vec<String> = names.collect();
    if names.is_empty() {
        return none.to_owned();
    }
    let more = names.len().saturating_sub(NAMES_SHOWN_MAX);
    names.truncate(NAMES_SHOWN_MAX);
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}
