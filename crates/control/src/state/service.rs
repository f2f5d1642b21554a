//! One service as the control state knows it: its policies, its instances, what is known of them.
//! Questions about it are answered here; what follows from the answers is decided in `plan`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::{Live, Phase, Service, Source, StaticEndpoint, Time};

use scale::Foresight;

use crate::Kind;
use crate::journal::{Journal, span};
use crate::state::adapt::Adapting;
use crate::state::autoscaler::Autoscaler;
use crate::state::backoff::Backoff;
use crate::state::decision::Decision;
use crate::state::door::Door;
use crate::state::instance::{Instance, Origin};
use crate::state::meter::Meter;
use crate::state::pool::Said;
use crate::state::rollout::Rollout;
use crate::state::usage::Told;

/// Everything about one service name. It is kept when the service is removed from the
/// configuration: its slot, its counters and its instance numbers are never given twice.
#[derive(Debug)]
pub(crate) struct ServiceState {
    /// As configured last.
    pub(crate) policy: Arc<Service>,
    pub(crate) standing: Standing,
    /// See [`model::Pool::slot`].
    pub(crate) slot: usize,
    /// What its pools have in common, across all tables.
    pub(crate) live: Arc<Live>,
    /// Counts up with every change that replaces instances.
    pub(crate) generation: u64,
    /// Instances of older generations are being replaced.
    pub(crate) rollout: Option<Rollout>,
    pub(crate) decision: Decision,
    /// None before it was measured for the first time.
    pub(crate) meter: Option<Meter>,
    /// None while the number follows nothing.
    pub(crate) autoscaler: Option<Autoscaler>,
    /// What it was told from outside.
    pub(crate) told: Told,
    /// None unless its number is to follow a forecast as well.
    pub(crate) foresight: Option<Foresight>,
    /// How far the wall clock is ahead of the time of events.
    pub(crate) wall_ahead_ms: i64,
    /// How long the last starts took, the newest last.
    pub(crate) starts: VecDeque<Duration>,
    pub(crate) backoff: Backoff,
    /// By number; those that are gone are not here.
    pub(crate) instances: BTreeMap<u32, Instance>,
    /// By number: whom the probe watches, whether or not they are still here.
    pub(crate) probes: BTreeMap<u32, Watched>,
    /// Addresses that an operator took out of the pool; until a reload drops them from the list.
    pub(crate) set_aside: BTreeSet<SocketAddr>,
    /// When the requests of the interval that runs are judged.
    pub(crate) judged_next: Time,
    /// Ejections so far.
    pub(crate) ejections: u64,
    /// The limits that follow what answers take.
    pub(crate) adapting: Adapting,
    /// What the journal says about its pool.
    pub(crate) said: Said,
    /// And about its door.
    pub(crate) door: Door,
    /// The next instance gets this number, or a higher one.
    pub(crate) number_next: u32,
}

/// Whether a service is to have instances at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is in the configuration.
    Configured,
    /// It was, and its instances leave.
    Removed,
    /// Herder shuts down.
    Stopping,
}

/// An instance that the probe watches.
#[derive(Debug)]
pub(crate) struct Watched {
    /// By which policy.
    pub(crate) service: Arc<Service>,
    /// Whether it is to be probed now, and not at its next turn.
    pub(crate) hasten: bool,
}

/// Why an instance is to be replaced by another one of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outdated {
    /// An operator ordered it.
    Ordered,
    /// The service has a newer generation.
    Generation,
    /// It is a process that has been unready for as long as a new one may take to boot.
    ///
    /// It is replaced like the others, a new one first: when all are unready because of something
    /// that they all need, none is given up before a new one proves that giving up helps.
    Unready,
    /// Its address is listed with another weight, which only a new endpoint can have.
    Weight,
    /// Its address is listed with another priority.
    Priority,
}

impl ServiceState {
    /// A service that was configured just now and has no instance.
    pub(crate) fn new(policy: Arc<Service>, slot: usize) -> Self {
        Self {
            decision: Decision::configured(&policy),
            policy,
            standing: Standing::Configured,
            slot,
            live: Arc::default(),
            generation: 1,
            rollout: None,
            meter: None,
            autoscaler: None,
            told: Told::default(),
            foresight: None,
            wall_ahead_ms: 0,
            starts: VecDeque::new(),
            backoff: Backoff::default(),
            instances: BTreeMap::new(),
            probes: BTreeMap::new(),
            set_aside: BTreeSet::new(),
            judged_next: Time::default(),
            ejections: 0,
            adapting: Adapting::default(),
            said: Said::default(),
            door: None,
            number_next: 1,
        }
    }

    /// The instances that are not on their way out, by number.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(|instance| instance.stays())
    }

    /// The instances that may receive requests, by number.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(|instance| instance.is_ready())
    }

    /// How many instances are to stay.
    pub(crate) fn target(&self) -> usize {
        match (self.standing, self.addresses()) {
            (Standing::Removed | Standing::Stopping, _) => 0,
            (Standing::Configured, Some(addresses)) => addresses.count(),
            (Standing::Configured, None) => self.decision.count as usize,
        }
    }

    /// The addresses that are to have an instance, when they are what the service consists of.
    pub(crate) fn addresses(&self) -> Option<impl Iterator<Item = &StaticEndpoint>> {
        match &self.policy.source {
            Source::Command(_) => None,
            Source::Static(list) => {
                Some(list.iter().filter(|entry| !self.set_aside.contains(&entry.addr)))
            }
        }
    }

    /// Why an instance is to be replaced by another one, if it is.
    pub(crate) fn outdated(&self, instance: &Instance, now: Time) -> Option<Outdated> {
        if instance.to_be_replaced {
            return Some(Outdated::Ordered);
        }
        if instance.generation < self.generation {
            return Some(Outdated::Generation);
        }
        match instance.origin {
            Origin::Process => {
                let unready = instance.phase() == Phase::Unready;
                (unready && now >= self.unready_deadline(instance)).then_some(Outdated::Unready)
            }
            Origin::Address(origin) => {
                let same_addr = |entry: &&StaticEndpoint| entry.addr == origin.addr;
                let listed = self.addresses()?.find(same_addr)?;
                if listed.weight != origin.weight {
                    return Some(Outdated::Weight);
                }
                (listed.priority != origin.priority).then_some(Outdated::Priority)
            }
        }
    }

    /// When an unready process has been unready for too long.
    pub(crate) fn unready_deadline(&self, instance: &Instance) -> Time {
        instance.since() + self.policy.health.timeout_boot
    }

    /// Why another instance is started, for the journal.
    pub(crate) fn why_start(&self, origin: Origin) -> String {
        let desired = format!("{} desired ({})", self.decision.count, self.decision.reason);
        match (origin, &self.rollout) {
            (Origin::Address(entry), _) => format!("{} is in the configuration", entry.addr),
            (Origin::Process, _) if self.staying().count() < self.target() => desired,
            (Origin::Process, Some(rollout)) => {
                format!("generation {} ({})", self.generation, rollout.reason)
            }
            (Origin::Process, None) => "to replace another".to_owned(),
        }
    }

    /// Why an instance is told to go, for the journal.
    pub(crate) fn why_leave(&self, instance: &Instance, now: Time) -> String {
        match self.standing {
            Standing::Stopping => return "Herder shuts down".to_owned(),
            Standing::Removed => {
                return format!("{} was removed from the configuration", self.policy.name);
            }
            Standing::Configured => {}
        }
        if instance.is_overdue(now) {
            let timeout = span(instance.boot_deadline.since(instance.ordered_at));
            return format!("not ready within {timeout}; {}", instance.boot_trouble());
        }
        match (self.outdated(instance, now), instance.origin) {
            (Some(Outdated::Ordered), _) => format!("drain {}", instance.id),
            (Some(Outdated::Generation), _) => match &self.rollout {
                Some(rollout) => format!("replaced, {}", rollout.reason),
                None => format!("replaced by generation {}", self.generation),
            },
            (Some(Outdated::Unready), _) => {
                let unready = span(now.since(instance.since()));
                format!("replaced, unready for {unready}")
            }
            (Some(Outdated::Weight), _) => "replaced, its weight changed".to_owned(),
            (Some(Outdated::Priority), _) => "replaced, its priority changed".to_owned(),
            (None, Origin::Address(entry)) if self.set_aside.contains(&entry.addr) => {
                format!("drain {}", instance.id)
            }
            (None, Origin::Address(entry)) => {
                format!("{} was removed from the configuration", entry.addr)
            }
            (None, Origin::Process) => {
                format!("only {} desired ({})", self.decision.count, self.decision.reason)
            }
        }
    }

    /// Whether every instance that is wanted is there, and every one that is there is ready.
    pub(crate) fn is_whole(&self) -> bool {
        let staying = self.staying().count();
        staying > 0 && staying >= self.target() && self.staying().all(Instance::is_ready)
    }

    /// Takes a decision, clamped into the bounds. A changed count is an entry.
    pub(crate) fn decide(&mut self, now: Time, decision: Decision, journal: &mut Journal) {
        let decision = decision.within(&self.policy);
        if decision.count != self.decision.count {
            let (name, was) = (&self.policy.name, self.decision.count);
            let Decision { count, reason, .. } = &decision;
            let text = format!("{name}: {count} desired, was {was} ({reason})");
            journal.service(now, Kind::Decision, name, text);
        }
        self.decision = decision;
    }
}
