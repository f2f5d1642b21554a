//! Services and configurations to test with.
//! Plain values with the defaults of the documentation; a test changes what it is about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Command, Desired, Drain, Health, HttpProbe, Probe, Restart, RouteRule, Scale, Service, Source,
    StaticEndpoint,
};

/// So many seconds.
pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A service of processes.
pub(crate) fn shop(min: u32, max: u32) -> Service {
    service("shop", command("./shop"), Scale { min, max })
}

/// A service of addresses, each with its weight.
pub(crate) fn api(addresses: &[(&str, u32)]) -> Service {
    let count = u32::try_from(addresses.len()).unwrap();
    service("api", fixed(addresses), Scale { min: count, max: count })
}

/// A process to start.
pub(crate) fn command(program: &str) -> Source {
    Source::Command(Command { argv: vec![program.to_owned()], env: BTreeMap::new(), dir: None })
}

/// Addresses with their weights.
pub(crate) fn fixed(addresses: &[(&str, u32)]) -> Source {
    let entry = |&(addr, weight): &(&str, u32)| StaticEndpoint {
        addr: addr.parse().unwrap(),
        weight,
        priority: 0,
    };
    Source::Static(addresses.iter().map(entry).collect())
}

/// A service with a route of its own and the default policies.
pub(crate) fn service(name: &str, source: Source, scale: Scale) -> Service {
    Service {
        routes: vec![RouteRule { host: None, path: format!("/{name}").into() }],
        health: Health {
            probe: Probe::Http(Box::new(HttpProbe::get("/healthz"))),
            interval: s(2),
            interval_fast: Duration::from_millis(250),
            timeout: s(1),
            healthy: 2,
            unhealthy: 3,
            timeout_boot: s(60),
            feedback: true,
        },
        scale,
        drain: Drain { timeout_drain: s(30), timeout_grace: s(10) },
        restart: Restart {
            backoff_min: s(1),
            backoff_max: s(60),
            forgive_after: s(60),
            crash_loop: 5,
        },
        ..Service::unbounded(name.parse().unwrap(), source)
    }
}

/// A configuration of these services.
pub(crate) fn desired(services: &[Service]) -> Desired {
    let by_name = |service: &Service| (service.name.clone(), Arc::new(service.clone()));
    Desired { services: services.iter().map(by_name).collect(), ..Desired::default() }
}
