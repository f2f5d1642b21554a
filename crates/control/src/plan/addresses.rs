//! Which addresses of a static service have to be let in, and which let go.
//! Addresses are compared one by one: those that stay in the list are not touched.

use model::StaticEndpoint;

use crate::plan::Change;
use crate::state::instance::{Instance, Origin};
use crate::state::service::ServiceState;

pub(super) fn change(service: &ServiceState) -> Change<'_> {
    let listed: Vec<StaticEndpoint> = if service.target() == 0 {
        Vec::new()
    } else {
        service.addresses().into_iter().flatten().copied().collect()
    };
    let has_to_go = |instance: &&Instance| has_to_go(service, &listed, instance);
    let leaving: Vec<&Instance> = service.staying().filter(has_to_go).collect();
    let is_there = |entry: &StaticEndpoint| {
        service.staying().any(|instance| instance.origin == Origin::Address(*entry))
    };
    let absent = listed.iter().filter(|entry| !is_there(entry));
    Change { leaving, missing: absent.map(|entry| Origin::Address(*entry)).collect() }
}

/// An address goes when it is not listed; with another weight, once the endpoint with the new
/// weight is ready. A process that was there before the addresses goes once one of them is ready.
/// Those that are not ready themselves are not waited for.
fn has_to_go(service: &ServiceState, listed: &[StaticEndpoint], instance: &Instance) -> bool {
    let ready = |takes_over: &dyn Fn(&StaticEndpoint) -> bool| {
        service.ready().any(|other| match other.origin {
            Origin::Address(entry) => listed.contains(&entry) && takes_over(&entry),
            Origin::Process => false,
        })
    };
    match instance.origin {
        Origin::Address(entry) if listed.contains(&entry) => false,
        Origin::Address(entry) if listed.iter().any(|other| other.addr == entry.addr) => {
            !instance.is_ready() || ready(&|other| other.addr == entry.addr)
        }
        Origin::Address(_) => true,
        Origin::Process => !instance.is_ready() || listed.is_empty() || ready(&|_| true),
    }
}
