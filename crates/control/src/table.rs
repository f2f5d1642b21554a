//! Makes the table that the data plane reads, when it would differ from the last one.
//! It copies facts: who is ready, who is whose; it decides nothing about them.

use std::sync::Arc;

use model::{
    Destination, Endpoint, HostPattern, Mode, Pool, Redirect, Route, RouteRule, Service, Table,
};

use crate::state::service::{ServiceState, Standing};

/// The last table, as far as a comparison with the next one needs it.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    version: u64,
    pools: Vec<Published>,
    redirects: Vec<Arc<Redirect>>,
}

/// What a pool of the last table was made from.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    service: Arc<Service>,
    /// The loads of its tiers, and the keys of their endpoints.
    tiers: Vec<(u32, Vec<u64>)>,
}

impl Publication {
    /// The version of the last table; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The next table, unless it would say the same as the last one.
    ///
    /// It is compared with what it is made from, so that no change can be forgotten: a note of what
    /// changed would have to be made in every place that changes something.
    pub(crate) fn next<'a>(
        &mut self,
        services: impl Iterator<Item = &'a ServiceState>,
        redirects: impl Iterator<Item = &'a Arc<Redirect>>,
    ) -> Option<Table> {
        let routed: Vec<&ServiceState> = services.filter(|service| is_routed(service)).collect();
        let pools: Vec<Published> = routed.iter().map(|service| published(service)).collect();
        let redirects: Vec<Arc<Redirect>> = redirects.map(Arc::clone).collect();
        if pools == self.pools && redirects == self.redirects {
            return None;
        }
        self.version += 1;
        self.pools = pools;
        self.redirects = redirects;
        Some(table(self.version, &routed, &self.redirects))
    }
}

/// Whether requests or connections are led to a service. One without a ready instance has an empty
/// pool, so that they wait instead of going nowhere.
fn is_routed(service: &ServiceState) -> bool {
    service.standing != Standing::Removed
        && (!service.policy.routes.is_empty() || service.policy.mode == Mode::Tcp)
}

fn published(service: &ServiceState) -> Published {
    let keys = |(load, endpoints): (u32, Vec<Arc<Endpoint>>)| {
        (load, endpoints.iter().map(|endpoint| endpoint.key).collect())
    };
    Published {
        service: Arc::clone(&service.policy),
        tiers: service.tiers().into_iter().map(keys).collect(),
    }
}

fn table(version: u64, services: &[&ServiceState], redirects: &[Arc<Redirect>]) -> Table {
    let to_pools = services
        .iter()
        .enumerate()
        .flat_map(|(at, service)| lead(&service.policy.routes, Destination::Pool(at)));
    let to_redirects = redirects
        .iter()
        .enumerate()
        .flat_map(|(at, redirect)| lead(&redirect.routes, Destination::Redirect(at)));
    let mut routes: Vec<Route> = to_pools.chain(to_redirects).collect();
    routes.sort_by_key(Route::precedence);
    let pools = services.iter().map(|service| pool(service)).collect();
    Table { version, routes, pools, redirects: redirects.to_vec() }
}

fn lead(rules: &[RouteRule], to: Destination) -> impl Iterator<Item = Route> + use<'_> {
    rules.iter().map(move |rule| Route {
        host: HostPattern::of(rule.host.as_deref()),
        path: rule.path.clone(),
        to,
    })
}

fn pool(service: &ServiceState) -> Arc<Pool> {
    let tiers = service.tiers();
    let selector = balance::tiered(service.policy.balance, &tiers, &service.live);
    let endpoints: Vec<_> = tiers.into_iter().flat_map(|(_, endpoints)| endpoints).collect();
    let Service { affinity, name, .. } = &*service.policy;
    let homes = affinity.as_ref().and_then(|it| balance::homes(it, name, &endpoints));
    Arc::new(Pool {
        service: Arc::clone(&service.policy),
        slot: service.slot,
        live: Arc::clone(&service.live),
        endpoints,
        selector,
        homes: homes.map(Box::new),
    })
}
