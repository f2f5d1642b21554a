//! Which addresses of a static service have to be let in, and which let go.
//! Addresses are compared one by one: those that stay in the list are not touched.

use model::{StaticEndpoint, Time};

use crate::plan::Change;
use crate::state::instance::{Instance, Origin};
use crate::state::service::ServiceState;

/// Those that have to go, and the listed addresses that nobody stands for then.
pub(super) fn change(service: &ServiceState, now: Time) -> Change<'_> {
    let listed = listed(service);
    let (leaving, staying): (Vec<_>, Vec<_>) =
        service.staying().partition(|instance| has_to_go(service, &listed, instance, now));
    let origins = listed.into_iter().map(Origin::Address);
    let is_missing = |origin: &Origin| staying.iter().all(|instance| instance.origin != *origin);
    Change { leaving, missing: origins.filter(is_missing).collect() }
}

/// The addresses that are to have an instance now.
fn listed(service: &ServiceState) -> Vec<StaticEndpoint> {
    let addresses = service.addresses().into_iter().flatten().copied();
    if service.target() == 0 { Vec::new() } else { addresses.collect() }
}

/// An address goes when it is not listed; with another weight, once the endpoint with the new
/// weight is ready. A process that was there before the addresses goes once one of them is ready.
/// Those that are not ready themselves are not waited for.
fn has_to_go(
    service: &ServiceState,
    listed: &[StaticEndpoint],
    instance: &Instance,
    now: Time,
) -> bool {
    let mut ready = service.ready().filter_map(|other| match other.origin {
        Origin::Address(entry) => Some(entry).filter(|entry| listed.contains(entry)),
        Origin::Process => None,
    });
    match instance.origin {
        Origin::Address(entry) if listed.contains(&entry) => instance.is_overdue(now),
        Origin::Address(entry) if listed.iter().any(|other| other.addr == entry.addr) => {
            !instance.is_ready() || ready.any(|other| other.addr == entry.addr)
        }
        Origin::Address(_) => true,
        Origin::Process => !instance.is_ready() || listed.is_empty() || ready.next().is_some(),
    }
}
