//! What has to hold after every event of a simulation, whatever went wrong.
//! It looks at what everybody can see: views, tables, the journal and the orders.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use control::{Action, AdmissionView, Entry, Event, InstanceView, Kind, ServiceView, View};
use model::{InstanceId, Phase, ServiceName, Table, Time};

use crate::operator::{Operator, is_command};
use crate::world::World;

/// The longest way from SIGTERM to the end: grace, lost SIGKILLs, and the process itself.
const END_MAX: Duration = Duration::from_secs(10 + 4 * 5 + 1);

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Invariants {
    lives: BTreeMap<InstanceId, Life>,
    slots: BTreeMap<ServiceName, usize>,
    numbers: BTreeMap<ServiceName, u32>,
    /// Endpoint keys that were published, with whose they are.
    keys: BTreeMap<u64, InstanceId>,
    table_version: u64,
    seq: u64,
}

/// One instance from its start on.
struct Life {
    /// As it was seen last; nothing before the first time.
    phase: Option<Phase>,
    /// Where it is, when somebody else runs it.
    addr: Option<SocketAddr>,
    boot_deadline: Time,
    was_ready: bool,
    /// By when its requests had to be finished, once it drained.
    drain_deadline: Option<Time>,
    is_quiet: bool,
    is_told_to_end: bool,
}

impl Invariants {
    /// An event that the state is about to be told. What was due before it happened before it: the
    /// plan asked to be woken up in time.
    pub(crate) fn told(&mut self, event: &Event, before: &View) {
        for service in &before.services {
            for instance in &service.instances {
                let life = &self.lives[&instance.id];
                let deadline = match instance.phase {
                    Phase::Starting if life.addr.is_none() => Some(life.boot_deadline),
                    Phase::Draining if !life.is_told_to_end => life.drain_deadline,
                    _ => None,
                };
                let missed = deadline.is_some_and(|at| before.at > at);
                assert!(!missed, "{} was not dealt with at {deadline:?}", instance.id);
            }
        }
        if let Event::Quiet { id } = event
            && let Some(life) = self.lives.get_mut(id)
        {
            life.is_quiet |= life.drain_deadline.is_some();
        }
    }

    /// An order, as recorded and not yet carried out. `view` is from before it was recorded.
    pub(crate) fn ordered(
        &mut self,
        action: &Action,
        view: &View,
        table: &Table,
        operator: &Operator,
    ) {
        let now = view.at;
        match action {
            Action::Start { id, service, addr } => {
                let last = self.numbers.insert(id.service.clone(), id.number);
                assert!(last.is_none_or(|last| last < id.number), "{id} is started twice");
                let life = Life {
                    phase: None,
                    addr: *addr,
                    boot_deadline: now + service.health.timeout_boot,
                    was_ready: false,
                    drain_deadline: None,
                    is_quiet: false,
                    is_told_to_end: false,
                };
                self.lives.insert(id.clone(), life);
                let service = view.services.iter().find(|it| it.name == id.service);
                let backoff = service.and_then(|service| service.backoff.as_ref());
                assert!(
                    backoff.is_none_or(|it| now >= it.until),
                    "{id} does not wait: {backoff:?}"
                );
            }
            Action::Drain { endpoint } => {
                let id = &endpoint.id;
                let published = table.pools.iter().flat_map(|pool| &pool.endpoints);
                assert!(published.into_iter().all(|it| it.id != *id), "{id} drains, published");
                self.drains(id, view, operator);
            }
            Action::Terminate { id } => {
                let life = self.lives.get_mut(id).expect("it was started");
                life.is_told_to_end = true;
                let finished = life.drain_deadline.is_some_and(|at| life.is_quiet || now >= at);
                assert!(!life.was_ready || finished, "{id} ends before its requests do");
            }
            Action::Watch { .. }
            | Action::Hasten { .. }
            | Action::Forget { .. }
            | Action::Kill { .. } => {}
        }
    }

    /// A ready instance of a service of processes is never taken away below the desired count.
    fn drains(&mut self, id: &InstanceId, view: &View, operator: &Operator) {
        let policy = operator.last(&id.service);
        let life = self.lives.get_mut(id).expect("it was started");
        life.drain_deadline = Some(view.at + policy.drain.timeout_drain);
        let mut services = view.services.iter();
        let service = services.find(|it| it.name == id.service).expect("it is in the view");
        let is_ready = |it: &&InstanceView| it.phase == Phase::Ready;
        let ready: Vec<_> = service.instances.iter().filter(is_ready).map(|it| &it.id).collect();
        if ready.contains(&id) {
            life.was_ready = true;
            let desired = service.desired as usize;
            let spared = ready.len() > desired || !is_command(policy);
            assert!(spared, "{id} drains: {} ready, {desired} desired", ready.len());
        }
    }

    /// The address of an instance, when somebody else runs it.
    pub(crate) fn addr(&self, id: &InstanceId) -> Option<SocketAddr> {
        self.lives.get(id)?.addr
    }

    /// Everything that holds when an event has been dealt with.
    pub(crate) fn check(
        &mut self,
        view: &View,
        news: &[Entry],
        table: &Table,
        world: &World,
        operator: &Operator,
    ) {
        assert!(news.iter().all(|entry| entry.seq > self.seq), "the journal counts up");
        self.seq = news.last().map_or(self.seq, |entry| entry.seq);
        self.table(view, table, operator);
        for service in &view.services {
            self.service(service, view, operator);
            for instance in &service.instances {
                self.instance(instance, view.at);
            }
        }
        self.transitions(view, news);
        ownership(view, world);
    }

    /// A published pool holds those that are ready, not ejected and want requests, in the order of
    /// their numbers, and all open; in a panic others that answer too.
    pub(crate) fn table(&mut self, view: &View, table: &Table, operator: &Operator) {
        assert!(table.version >= self.table_version && table.version == view.table_version);
        self.table_version = table.version;
        for service in &view.services {
            let pool = table.pools.iter().find(|pool| pool.service.name == service.name);
            let is_configured = operator.service(service.name.as_str()).is_some();
            assert!(pool.is_some() || !is_configured, "{} has a pool", service.name);
            let Some(pool) = pool else { continue };
            let in_pool: Vec<_> = pool.endpoints.iter().map(|endpoint| &endpoint.id).collect();
            in_pool_are_right(service, &in_pool);
            assert_eq!(pool.slot, service.slot);
            assert_eq!(&*pool.service, operator.last(&service.name), "policies are as configured");
            for endpoint in &pool.endpoints {
                assert!(!endpoint.is_closed(), "{} is published and closed", endpoint.id);
                let owner = self.keys.entry(endpoint.key).or_insert_with(|| endpoint.id.clone());
                assert_eq!(*owner, endpoint.id, "a key is given once");
            }
        }
    }

    fn service(&mut self, service: &ServiceView, view: &View, operator: &Operator) {
        let ServiceView { name, desired, min, max, .. } = service;
        let slot = *self.slots.entry(name.clone()).or_insert(service.slot);
        assert_eq!(slot, service.slot, "{name} keeps its slot");
        let configured = operator.service(name.as_str()).filter(|_| !view.stopping);
        let staying = service.instances.iter().filter(|it| it.phase != Phase::Draining).count();
        match configured {
            None => assert_eq!((staying, *desired), (0, 0), "{name} is not wanted"),
            Some(policy) => {
                let sleeps = *desired == 0 && policy.autoscale.idle_after.is_some();
                let is_within = sleeps || (min..=max).contains(&desired);
                assert!(is_within, "{name}: {min} ≤ {desired} ≤ {max}");
                assert_eq!((*min, *max), (policy.scale.min, policy.scale.max));
                let room = *desired as usize + 1;
                assert!(!is_command(policy) || staying <= room, "{name}: {staying} of {room}");
            }
        }
        if let Some(backoff) = &service.backoff {
            let longest = operator.longest_backoff(name).mul_f64(1.2);
            assert!(backoff.until.since(view.at) <= longest, "{name} waits for {backoff:?}");
        }
    }

    /// Every start ends ready, or gone, by its deadline; so does every drain.
    fn instance(&mut self, instance: &InstanceView, now: Time) {
        let InstanceView { id, phase, since, .. } = instance;
        let life = &self.lives[id];
        match phase {
            Phase::Starting if life.addr.is_none() || instance.addr.is_none() => {
                assert!(now < life.boot_deadline, "{id} is starting beyond its deadline");
            }
            Phase::Draining => {
                let longest = Duration::from_secs(20) + END_MAX;
                assert!(now.since(*since) <= longest, "{id} drains since {since}");
            }
            Phase::Gone => panic!("{id} is gone and seen"),
            Phase::Starting | Phase::Ready | Phase::Unready => {}
        }
    }

    /// Phases change as they may, and every change is in the journal, once and with its reason.
    fn transitions(&mut self, view: &View, news: &[Entry]) {
        for entry in news.iter().filter(|entry| entry.kind == Kind::Phase) {
            let id = entry.instance.as_ref().expect("a phase is an instance's");
            let text = entry.text.strip_prefix(&format!("{id} "));
            let (word, reason) = text.and_then(|it| it.split_once(": ")).expect("phase and reason");
            let phase = Phase::ALL.into_iter().find(|phase| phase.label() == word);
            let (phase, life) = (phase.expect("a phase"), self.lives.get_mut(id));
            let life = life.unwrap_or_else(|| panic!("{id} was never ordered, or gone before"));
            assert!(is_legal(life.phase, phase), "{id} went from {:?} to {phase}", life.phase);
            assert!(!reason.is_empty(), "{id} is {phase} for no reason");
            life.phase = Some(phase);
            life.was_ready |= phase == Phase::Ready;
        }
        self.lives.retain(|_, life| life.phase != Some(Phase::Gone));
        let instances = view.services.iter().flat_map(|service| &service.instances);
        let seen: Vec<(&InstanceId, Option<Phase>)> =
            instances.map(|it| (&it.id, Some(it.phase))).collect();
        let told: Vec<_> = self.lives.iter().map(|(id, life)| (id, life.phase)).collect();
        assert_eq!(told, seen, "the journal and the view differ");
    }
}

/// Ready, not ejected and wanting requests, or panic; whoever is on trial has one request at most.
fn in_pool_are_right(service: &ServiceView, in_pool: &[&InstanceId]) {
    let is_ejected = |it: &InstanceView| matches!(it.admission, AdmissionView::Ejected { .. });
    let available =
        |it: &&InstanceView| it.phase == Phase::Ready && !is_ejected(it) && it.wants_percent > 0;
    let expected: Vec<_> = service.instances.iter().filter(available).map(|it| &it.id).collect();
    let ServiceView { name, panic, .. } = service;
    if panic.is_none() {
        assert_eq!(in_pool, expected, "the pool of {name} is ready");
    } else {
        let may_be = |it: &&InstanceView| matches!(it.phase, Phase::Ready | Phase::Unready);
        let others: Vec<_> = service.instances.iter().filter(may_be).map(|it| &it.id).collect();
        assert!(expected.iter().all(|id| in_pool.contains(id)), "{name}: {in_pool:?}");
        assert!(in_pool.is_sorted() && in_pool.iter().all(|id| others.contains(id)), "{name}");
        assert!(in_pool.len() > expected.len(), "{name}: a panic that brings nobody");
    }
    for instance in &service.instances {
        let is_ready = instance.phase == Phase::Ready;
        assert_eq!(instance.in_pool, in_pool.contains(&&instance.id), "{}", instance.id);
        assert!(is_ready || !is_ejected(instance) || instance.ejections > 0, "{}", instance.id);
        if is_ready && matches!(instance.admission, AdmissionView::Trial { .. }) {
            assert_eq!(instance.limit, 1, "{} is on trial", instance.id);
        }
    }
}

/// Written down once more: draining never becomes ready, and gone never anything.
fn is_legal(from: Option<Phase>, to: Phase) -> bool {
    match from {
        None => to == Phase::Starting,
        Some(Phase::Starting | Phase::Unready) => {
            matches!(to, Phase::Ready | Phase::Draining | Phase::Gone)
        }
        Some(Phase::Ready) => matches!(to, Phase::Unready | Phase::Draining | Phase::Gone),
        Some(Phase::Draining) => to == Phase::Gone,
        Some(Phase::Gone) => false,
    }
}

/// Nothing runs that nobody owns, and the probe watches exactly those that stay and have started.
fn ownership(view: &View, world: &World) {
    let instances = || view.services.iter().flat_map(|service| &service.instances);
    let known: BTreeSet<&InstanceId> = instances().map(|it| &it.id).collect();
    for id in world.owned() {
        assert!(known.contains(id), "{id} runs and nobody owns it");
    }
    let stays = |it: &&InstanceView| it.phase != Phase::Draining && it.addr.is_some();
    let staying: Vec<&InstanceId> = instances().filter(stays).map(|it| &it.id).collect();
    assert!(world.watched().eq(staying), "the probe watches others than those that stay");
}
