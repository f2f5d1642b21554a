//! An operator who scales, drains, restarts and reloads at random, and errs now and then.
//! He knows what he configured, and what has to be refused; nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use control::{Event, Order, View};
use model::{
    Algorithm, Autoscale, Desired, Eject, Hpa, InstanceId, Kpa, Scale, ScaleMetric, ScaleMode,
    ScalePolicy, ScaleStep, ScaleTarget, Service, ServiceName, Source, StaticEndpoint, Step,
    StepChange, Streak,
};

use crate::desire::{command, desired, fixed, s, service};

/// What the operator wants at present.
pub(crate) struct Operator {
    pub(crate) services: Vec<Service>,
    /// Addresses that were drained and are listed.
    pub(crate) set_aside: BTreeSet<SocketAddr>,
    /// Instances that were drained.
    pub(crate) drained: BTreeSet<InstanceId>,
    /// Counts changed commands.
    edition: u32,
    /// Every service as it was configured last, and the longest back-off it ever had.
    last: BTreeMap<ServiceName, (Service, Duration)>,
}

/// What he does, and whether it has to be taken.
pub(crate) struct Deed {
    pub(crate) event: Event,
    pub(crate) fits: bool,
}

impl Operator {
    pub(crate) fn new(rng: &mut fastrand::Rng) -> Self {
        let mut operator = Self {
            services: Vec::new(),
            set_aside: BTreeSet::new(),
            drained: BTreeSet::new(),
            edition: 0,
            last: BTreeMap::new(),
        };
        for name in ["shop", "web"] {
            let scale = some_scale(rng);
            operator.services.push(service(name, command("./v0"), scale));
        }
        operator.services.push(some_addresses(rng));
        for service in &mut operator.services {
            vary(service, rng);
            service.restart.backoff_max = s(rng.u64(2..=30));
            service.restart.forgive_after = s(rng.u64(5..=60));
        }
        operator
    }

    pub(crate) fn desired(&self) -> Desired {
        desired(&self.services)
    }

    /// The service of this name, if it is configured.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }

    /// From the next configuration on no number follows anything, so that it stays what it is.
    pub(crate) fn follow_nothing(&mut self) {
        for service in &mut self.services {
            service.autoscale = Autoscale::fixed();
        }
    }

    /// The configuration was taken.
    pub(crate) fn was_taken(&mut self) {
        let is_listed = |addr: &SocketAddr| {
            self.services.iter().any(|service| match &service.source {
                Source::Static(list) => list.iter().any(|entry| entry.addr == *addr),
                Source::Command(_) => false,
            })
        };
        self.set_aside.retain(is_listed);
        for service in &self.services {
            let backoff = service.restart.backoff_max;
            let before = self.last.get(&service.name).map_or(backoff, |(_, longest)| *longest);
            self.last.insert(service.name.clone(), (service.clone(), backoff.max(before)));
        }
    }

    /// The addresses of a service that are to be ready; nothing when it has processes.
    pub(crate) fn addresses(&self, service: &Service) -> Option<Vec<StaticEndpoint>> {
        let Source::Static(list) = &service.source else { return None };
        let is_wanted = |entry: &&StaticEndpoint| !self.set_aside.contains(&entry.addr);
        Some(list.iter().filter(is_wanted).copied().collect())
    }

    /// A service as it was configured last.
    pub(crate) fn last(&self, name: &ServiceName) -> &Service {
        &self.last[name].0
    }

    /// The longest back-off that a service ever had.
    pub(crate) fn longest_backoff(&self, name: &ServiceName) -> Duration {
        self.last[name].1
    }

    /// Something that an operator might do now.
    pub(crate) fn deed(&mut self, view: &View, rng: &mut fastrand::Rng) -> Deed {
        match rng.u32(0..10) {
            0..=2 => self.scale(rng),
            3..=4 => self.drain(view, rng),
            5 => self.restart(rng),
            6 => Deed { event: Event::Configured(self.desired()), fits: true },
            _ => {
                self.change(rng);
                Deed { event: Event::Configured(self.desired()), fits: true }
            }
        }
    }

    /// Something that replaces processes and takes none away.
    pub(crate) fn replacement(&mut self, view: &View, rng: &mut fastrand::Rng) -> Deed {
        let which = rng.usize(0..2);
        let name = self.services[which].name.clone();
        match rng.u32(0..4) {
            0 => Deed { event: Event::Ordered(Order::Restart { service: name }), fits: true },
            1 => {
                self.edition += 1;
                self.services[which].source = command(&format!("./v{}", self.edition));
                Deed { event: Event::Configured(self.desired()), fits: true }
            }
            2 => {
                vary(&mut self.services[which], rng);
                Deed { event: Event::Configured(self.desired()), fits: true }
            }
            _ => {
                let service = view.services.iter().find(|service| service.name == name).unwrap();
                let instance = rng.choice(&service.instances).unwrap().id.clone();
                Deed { event: Event::Ordered(Order::Drain { instance }), fits: true }
            }
        }
    }

    fn scale(&self, rng: &mut fastrand::Rng) -> Deed {
        let Some(service) = rng.choice(&self.services) else { return nonsense() };
        let count = rng.u32(0..=service.scale.max + 1);
        let within = (service.scale.min..=service.scale.max).contains(&count);
        let fits = within && is_command(service);
        let order = Order::Scale { service: service.name.clone(), count };
        Deed { event: Event::Ordered(order), fits }
    }

    fn restart(&self, rng: &mut fastrand::Rng) -> Deed {
        let Some(service) = rng.choice(&self.services) else { return nonsense() };
        let order = Order::Restart { service: service.name.clone() };
        Deed { event: Event::Ordered(order), fits: is_command(service) }
    }

    /// One that is there, or was, or will be.
    fn drain(&self, view: &View, rng: &mut fastrand::Rng) -> Deed {
        let Some(service) = rng.choice(&view.services) else { return nonsense() };
        let last = service.instances.last().map_or(1, |it| it.id.number);
        let number = rng.u32(1..=last + 1);
        let is_there = service.instances.iter().any(|it| it.id.number == number);
        let fits = is_there && self.service(service.name.as_str()).is_some();
        let instance = InstanceId { service: service.name.clone(), number };
        Deed { event: Event::Ordered(Order::Drain { instance }), fits }
    }

    fn change(&mut self, rng: &mut fastrand::Rng) {
        if self.services.is_empty() || rng.u32(0..6) == 0 {
            return self.add_or_remove(rng);
        }
        let which = rng.usize(0..self.services.len());
        let edition = self.edition + 1;
        let service = &mut self.services[which];
        match (rng.u32(0..6), &mut service.source) {
            (0 | 1, Source::Command(it)) => {
                it.argv = vec![format!("./v{edition}")];
                self.edition = edition;
            }
            (0 | 1, Source::Static(_)) => {
                let source = some_addresses(rng);
                (service.source, service.scale) = (source.source, source.scale);
            }
            (2, Source::Command(_)) => service.scale = some_scale(rng),
            (2, Source::Static(list)) => rng.shuffle(list),
            (3, Source::Command(_)) if service.name.as_str() == "api" => {
                let source = some_addresses(rng);
                (service.source, service.scale) = (source.source, source.scale);
            }
            (3, Source::Static(_)) => {
                (service.source, service.scale) = (command("./api"), some_scale(rng));
            }
            _ => vary(service, rng),
        }
    }

    fn add_or_remove(&mut self, rng: &mut fastrand::Rng) {
        let name = rng.choice(["shop", "web", "api", "extra"]).unwrap_or("shop");
        let before = self.services.len();
        self.services.retain(|service| service.name.as_str() != name);
        if self.services.len() == before {
            let mut added = if name == "api" {
                some_addresses(rng)
            } else {
                service(name, command("./v0"), some_scale(rng))
            };
            vary(&mut added, rng);
            self.services.push(added);
        }
    }
}

/// An order about a service that there never was.
fn nonsense() -> Deed {
    let service = "nonsense".parse().unwrap();
    Deed { event: Event::Ordered(Order::Restart { service }), fits: false }
}

pub(crate) fn is_command(service: &Service) -> bool {
    matches!(service.source, Source::Command(_))
}

fn some_scale(rng: &mut fastrand::Rng) -> Scale {
    let min = rng.u32(1..=3);
    Scale { min, max: min + rng.u32(0..=3) }
}

/// Nothing, or one that a single request moves, and that moves back soon.
fn some_autoscale(rng: &mut fastrand::Rng) -> Autoscale {
    if rng.bool() {
        return Autoscale::fixed();
    }
    let (mode, idle_after) = (ScaleMode::Act, rng.bool().then_some(s(5)));
    Autoscale { policy: some_policy(rng), mode, idle_after, ..Autoscale::fixed() }
}

fn some_policy(rng: &mut fastrand::Rng) -> ScalePolicy {
    let target = ScaleTarget {
        concurrency: Some(1),
        down_window: s(rng.u64(1..=10)),
        down_half_life: s(2),
        ..ScaleTarget::default()
    };
    let metric = ScaleMetric::Concurrency;
    let mut hpa = Hpa::as_in_kubernetes(vec![(metric, 1000)]);
    (hpa.sync_period, hpa.down.stabilization_window) = (s(2), s(rng.u64(1..=10)));
    let kpa = Kpa { target_permille: 1000, stable_window: s(6), ..Kpa::as_in_knative(metric) };
    let step = |from_permille, to_permille, count| Step {
        from_permille,
        to_permille,
        change: StepChange::Count(count),
    };
    let steps = vec![step(1000, u64::MAX, 1), step(0, 500, -1)];
    match rng.u32(0..5) {
        0 => ScalePolicy::Hpa(hpa),
        1 => ScalePolicy::Kpa(kpa),
        2 => ScalePolicy::Step(ScaleStep { metric, window: s(2), cooldown: s(3), steps }),
        _ => ScalePolicy::Target(target),
    }
}

fn some_addresses(rng: &mut fastrand::Rng) -> Service {
    let mut list: Vec<StaticEndpoint> = Vec::new();
    for host in 1..=4 {
        if host == 1 || rng.bool() {
            let addr = ([10, 0, 0, host], 80).into();
            list.push(StaticEndpoint { addr, weight: rng.u32(1..=2), priority: 0 });
        }
    }
    let count = u32::try_from(list.len()).unwrap();
    let mut api = service("api", fixed(&[]), Scale { min: count, max: count });
    api.source = Source::Static(list);
    api
}

fn some_eject(rng: &mut fastrand::Rng) -> Eject {
    Eject {
        is_on: rng.u32(0..4) > 0,
        streak: Streak { errors: rng.u32(1..=5), gateway: 0, silent: rng.u32(0..=3) },
        deviations_milli: 1000,
        failure_percent: rng.choice([0, 60]).unwrap_or_default(),
        instances_min: rng.u32(1..=3),
        requests_min: rng.u32(1..=10),
        interval: s(rng.u64(2..=10)),
        time: s(rng.u64(1..=10)),
        time_max: s(20),
        percent_max: rng.u32(0..=100),
    }
}

/// Changes policies that replace nothing.
fn vary(service: &mut Service, rng: &mut fastrand::Rng) {
    service.health.healthy = rng.u32(1..=3);
    service.health.unhealthy = rng.u32(1..=3);
    service.health.interval = s(rng.u64(1..=3));
    service.health.timeout_boot = s(rng.u64(5..=30));
    service.drain.timeout_drain = s(rng.u64(1..=20));
    service.drain.timeout_grace = s(rng.u64(1..=10));
    service.eject = some_eject(rng);
    service.panic_percent = rng.choice([0, 50, 80]).unwrap_or_default();
    service.slow_start = s(rng.choice([0, 0, 5]).unwrap_or_default());
    service.autoscale = some_autoscale(rng);
    service.balance =
        rng.choice([Algorithm::RoundRobin, Algorithm::LeastRequest]).unwrap_or_default();
}
