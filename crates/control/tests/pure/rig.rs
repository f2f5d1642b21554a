//! A state with somebody who tells it what happened and writes down what it orders.
//! It behaves like the shell does, and does nothing by itself: no order is carried out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use control::{
    Action, Entry, Event, Exit, ExitStatus, InstanceView, Kind, Order, ProbeOutcome, Refusal,
    Remembered, ServiceView, Settings, State, plan,
};
use model::{Endpoint, InstanceId, Live, Phase, Report, Service, Table, Time};

use crate::desire::desired;

/// Planning rounds after one event; the shell has such a limit too.
const ROUNDS_MAX: usize = 8;

/// The state under test, its time, and its last table.
pub(crate) struct Rig {
    pub(crate) state: State,
    pub(crate) now: Time,
    pub(crate) table: Arc<Table>,
    services: Vec<Service>,
    /// Where the instances of static services were ordered to be.
    addrs: BTreeMap<InstanceId, SocketAddr>,
    seen: u64,
}

impl Rig {
    /// Configured, and nothing happened since.
    pub(crate) fn with(services: &[Service]) -> Self {
        Self::after(&[], services)
    }

    /// Configured, where services had so many instances a minute ago.
    pub(crate) fn after(before: &[(&str, u32)], services: &[Service]) -> Self {
        let settings = Settings { journal_max: 10_000, seed: 1 };
        let mut rig = Self {
            state: State::new(settings),
            now: Time::from_ms(1_000_000),
            table: Arc::default(),
            services: Vec::new(),
            addrs: BTreeMap::new(),
            seen: 0,
        };
        let ago = Duration::from_secs(60);
        let remembered =
            |&(name, desired): &(&str, u32)| (name.parse().unwrap(), Remembered { desired, ago });
        rig.state.remember(before.iter().map(remembered).collect());
        rig.configure(services).unwrap();
        rig
    }

    /// Configured, and every instance that was ordered is ready.
    pub(crate) fn ready(services: &[Service]) -> Self {
        let mut rig = Self::with(services);
        let all = rig.state.view(rig.now).services;
        for id in all.iter().flat_map(|service| &service.instances).map(|it| it.id.to_string()) {
            rig.boot(&id);
        }
        rig
    }

    /// Applies an event, and plans until nothing is left to do. Returns what was ordered.
    pub(crate) fn event(&mut self, event: Event) -> Result<Vec<String>, Refusal> {
        let taken = self.state.apply(self.now, event);
        self.publish();
        let mut ordered = Vec::new();
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the plan does not come to an end: {ordered:?}");
            let actions = plan::next(&self.state, self.now);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.state.commit(self.now, &action);
                self.publish();
                ordered.push(words(&action));
                match action {
                    Action::Drain { endpoint } => endpoint.close(),
                    Action::Start { id, addr: Some(addr), .. } => {
                        self.addrs.insert(id, addr);
                    }
                    _ => {}
                }
            }
        }
        taken.map(|()| ordered)
    }

    pub(crate) fn told(&mut self, event: Event) -> Vec<String> {
        self.event(event).unwrap()
    }

    fn publish(&mut self) {
        if let Some(table) = self.state.table() {
            assert_eq!(table.version, self.table.version + 1);
            self.table = Arc::new(table);
        }
    }

    pub(crate) fn configure(&mut self, services: &[Service]) -> Result<Vec<String>, Refusal> {
        self.services = services.to_vec();
        self.event(Event::Configured(desired(services)))
    }

    /// Changes one service of the configuration and applies it.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Service)) -> Vec<String> {
        let mut services = self.services.clone();
        change(services.iter_mut().find(|service| service.name.as_str() == name).unwrap());
        self.configure(&services).unwrap()
    }

    pub(crate) fn scale(&mut self, name: &str, count: u32) -> Result<Vec<String>, Refusal> {
        self.event(Event::Ordered(Order::Scale { service: name.parse().unwrap(), count }))
    }

    pub(crate) fn restart(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        self.event(Event::Ordered(Order::Restart { service: name.parse().unwrap() }))
    }

    pub(crate) fn drain(&mut self, instance: &str) -> Result<Vec<String>, Refusal> {
        self.event(Event::Ordered(Order::Drain { instance: id(instance) }))
    }

    pub(crate) fn shut_down(&mut self) -> Result<Vec<String>, Refusal> {
        self.event(Event::Ordered(Order::Shutdown))
    }

    pub(crate) fn started(&mut self, instance: &str) -> Vec<String> {
        let id = id(instance);
        let own = || format!("127.0.0.1:{}", 20_000 + id.number).parse().unwrap();
        let addr = self.addrs.get(&id).copied().unwrap_or_else(own);
        let pid = Some(id.number);
        self.told(Event::Started { id, addr, pid })
    }

    pub(crate) fn start_fails(&mut self, instance: &str, reason: &str) -> Vec<String> {
        self.told(Event::StartFailed { id: id(instance), reason: reason.to_owned() })
    }

    pub(crate) fn passes(&mut self, instance: &str, times: u32) -> Vec<String> {
        self.probed(instance, times, &ProbeOutcome::Pass)
    }

    pub(crate) fn fails(&mut self, instance: &str, times: u32) -> Vec<String> {
        self.probed(instance, times, &ProbeOutcome::Fail("GET /healthz answered 500".into()))
    }

    pub(crate) fn silent(&mut self, instance: &str, times: u32) -> Vec<String> {
        self.probed(instance, times, &ProbeOutcome::Silent("connection refused".into()))
    }

    fn probed(&mut self, instance: &str, times: u32, outcome: &ProbeOutcome) -> Vec<String> {
        let probed = || Event::Probed { id: id(instance), outcome: outcome.clone() };
        (0..times).flat_map(|_| self.told(probed())).collect()
    }

    /// Started and passed its probes. Returns what was ordered at last.
    pub(crate) fn boot(&mut self, instance: &str) -> Vec<String> {
        self.started(instance);
        self.passes(instance, 2)
    }

    pub(crate) fn unreachable(&mut self, instance: &str) -> Vec<String> {
        self.told(Event::Reported { id: id(instance), report: Report::Unreachable })
    }

    pub(crate) fn quiet(&mut self, instance: &str) -> Vec<String> {
        self.told(Event::Quiet { id: id(instance) })
    }

    pub(crate) fn exits(&mut self, instance: &str, code: i32) -> Vec<String> {
        let last_lines = vec![format!("last words of {instance}")];
        let exit = Exit { status: ExitStatus::Code(code), last_lines, port_taken: false };
        self.told(Event::Exited { id: id(instance), exit })
    }

    pub(crate) fn loses_port(&mut self, instance: &str) -> Vec<String> {
        let status = ExitStatus::Code(1);
        let exit = Exit { status, last_lines: vec![], port_taken: true };
        self.told(Event::Exited { id: id(instance), exit })
    }

    /// Drained, quiet, ended.
    pub(crate) fn leaves(&mut self, instance: &str) -> Vec<String> {
        let mut ordered = self.quiet(instance);
        ordered.extend(self.exits(instance, 0));
        ordered
    }

    /// Lets time pass, waking up when the plan wants to be woken. Returns what was ordered.
    pub(crate) fn wait(&mut self, span: Duration) -> Vec<String> {
        let end = self.now + span;
        let mut ordered = Vec::new();
        while let Some(at) = plan::wake_at(&self.state, self.now).filter(|at| *at <= end) {
            self.now = at;
            ordered.extend(self.told(Event::Tick));
        }
        self.now = end;
        ordered
    }

    /// Lets time pass until something is ordered. Returns how long that took, and what.
    pub(crate) fn wait_for_order(&mut self) -> (Duration, Vec<String>) {
        let began = self.now;
        while let Some(at) = plan::wake_at(&self.state, self.now) {
            self.now = at;
            let ordered = self.told(Event::Tick);
            if !ordered.is_empty() {
                return (self.now.since(began), ordered);
            }
        }
        panic!("nothing is waited for");
    }

    pub(crate) fn service(&self, name: &str) -> ServiceView {
        let services = self.state.view(self.now).services;
        services.into_iter().find(|service| service.name.as_str() == name).unwrap()
    }

    pub(crate) fn instance(&self, instance: &str) -> InstanceView {
        let id = id(instance);
        let instances = self.service(id.service.as_str()).instances;
        instances.into_iter().find(|instance| instance.id == id).unwrap()
    }

    /// The instances with their phases: `1 ready, 2 starting`.
    pub(crate) fn phases(&self, name: &str) -> String {
        let words = |it: &InstanceView| format!("{} {}", it.id.number, it.phase);
        self.service(name).instances.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    /// How many instances are in a phase.
    pub(crate) fn count(&self, name: &str, phase: Phase) -> usize {
        self.service(name).instances.iter().filter(|it| it.phase == phase).count()
    }

    /// The numbers of the instances that the last table sends requests to.
    pub(crate) fn pool(&self, name: &str) -> Vec<u32> {
        self.endpoints(name).iter().map(|endpoint| endpoint.id.number).collect()
    }

    pub(crate) fn endpoints(&self, name: &str) -> Vec<Arc<Endpoint>> {
        let pools = self.table.pools.iter();
        let mut of_service = pools.filter(|pool| pool.service.name.as_str() == name);
        of_service.next().map(|pool| pool.endpoints.clone()).unwrap_or_default()
    }

    /// What all tables of the service have in common.
    pub(crate) fn live(&self, name: &str) -> Arc<Live> {
        let pools = self.table.pools.iter();
        let mut of_service = pools.filter(|pool| pool.service.name.as_str() == name);
        Arc::clone(&of_service.next().expect("it is in the table").live)
    }

    pub(crate) fn endpoint(&self, instance: &str) -> Arc<Endpoint> {
        self.state.endpoint(&id(instance)).unwrap()
    }

    /// The journal entries since the last call.
    pub(crate) fn news(&mut self) -> Vec<Entry> {
        let entries = self.state.journal().after(self.seen);
        self.seen = self.state.journal().last_seq();
        entries
    }

    /// The texts of the new entries of a kind.
    pub(crate) fn said(&mut self, kind: Kind) -> Vec<String> {
        self.news().into_iter().filter(|it| it.kind == kind).map(|it| it.text).collect()
    }
}

/// The id that is written like this.
pub(crate) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

/// What was ordered, in words: `start shop.1`.
pub(crate) fn words(action: &Action) -> String {
    match action {
        Action::Start { id, .. } => format!("start {id}"),
        Action::Watch { endpoint, .. } => format!("watch {}", endpoint.id),
        Action::Hasten { id } => format!("hasten {id}"),
        Action::Forget { id } => format!("forget {id}"),
        Action::Drain { endpoint } => format!("drain {}", endpoint.id),
        Action::Terminate { id } => format!("terminate {id}"),
        Action::Kill { id } => format!("kill {id}"),
    }
}
