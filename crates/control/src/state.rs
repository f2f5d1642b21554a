//! All that control knows: what is desired, what was observed, what was ordered, and the journal.
//! Facts only: what follows from them is decided in `plan`, and nothing here does I/O.

mod adapt;
mod affinity;
mod autoscaler;
mod backoff;
mod commit;
mod configuration;
mod decision;
mod door;
pub(crate) mod ejection;
mod failure;
mod feedback;
pub(crate) mod instance;
mod meter;
mod order;
mod outlier;
mod picture;
mod pool;
mod report;
mod rollout;
mod room;
pub(crate) mod service;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Desired, Endpoint, InstanceId, Report, ServiceName, Table, Time};

use crate::journal::Journal;
use crate::state::instance::{Ending, Instance};
use crate::state::room::Rooms;
use crate::state::service::ServiceState;
use crate::table::Publication;
use crate::{Action, Event, Kind, Refusal, Sampled, ServiceView, View};

/// What a state needs to know for its whole life.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Entries that the journal keeps; at the limit the oldest makes room.
    pub journal_max: usize,
    /// Seeds the jitter of back-offs.
    pub seed: u64,
}

/// What a service had before Herder was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// How many instances were desired last.
    pub desired: u32,
    /// How long ago that was.
    pub ago: Duration,
}

/// What is desired and what is known. One writer owns it.
#[derive(Debug)]
pub struct State {
    /// As it was taken last.
    desired: Desired,
    /// Whether Herder shuts down.
    stopping: bool,
    /// When the last event was applied.
    applied_at: Time,
    services: Services,
    /// What a driver says it runs and nobody owns. It is killed, `None` until that was ordered.
    strays: BTreeMap<InstanceId, Option<Ending>>,
    /// What the machine carries.
    rooms: Rooms,
    /// Whether instances are held to their resources, or why not. None: nobody asked for it yet.
    enforced: Option<Result<(), String>>,
    /// The next endpoint gets this key.
    endpoint_key_next: u64,
    publication: Publication,
    journal: Journal,
    /// What services had before, until the first configuration is taken.
    remembered: BTreeMap<ServiceName, Remembered>,
    wall_ahead_ms: i64,
    /// What was measured when the last event was applied.
    sampled: Vec<Sampled>,
    rng: fastrand::Rng,
}

/// Every service there ever was, by name.
type Services = BTreeMap<ServiceName, ServiceState>;

impl State {
    /// Nothing desired, nothing observed.
    pub fn new(settings: Settings) -> Self {
        Self {
            desired: Desired::default(),
            stopping: false,
            applied_at: Time::default(),
            services: BTreeMap::new(),
            strays: BTreeMap::new(),
            rooms: Rooms::default(),
            enforced: None,
            endpoint_key_next: 1,
            publication: Publication::default(),
            journal: Journal::new(settings.journal_max),
            remembered: BTreeMap::new(),
            wall_ahead_ms: 0,
            sampled: Vec::new(),
            rng: fastrand::Rng::with_seed(settings.seed),
        }
    }

    /// Where services whose number follows demand begin, if the first configuration has them.
    pub fn remember(&mut self, before: BTreeMap<ServiceName, Remembered>) {
        self.remembered = before;
    }

    /// How far the wall clock is ahead of the time that events come with. The calendar goes by it.
    pub fn wall_is_ahead(&mut self, ahead_ms: i64) {
        self.wall_ahead_ms = ahead_ms;
    }

    /// Takes note of an event. `now` never goes backwards.
    ///
    /// # Errors
    /// A [`Refusal`] of a configuration or an order that cannot be taken; then nothing changed but
    /// the journal, which has the refusal.
    pub fn apply(&mut self, now: Time, event: Event) -> Result<(), Refusal> {
        self.applied_at = now;
        self.sampled.clear();
        for service in self.services.values_mut() {
            service.pass(now, &mut self.journal);
            service.judge(now, &mut self.journal, &mut self.rng);
            service.adapt(now, &mut self.rng);
            if let Some(sample) = service.measure(now) {
                service.watch_door(now, &mut self.journal);
                let sample = service.add_told(sample, now);
                service.wall_ahead_ms = self.wall_ahead_ms;
                service.autoscale(now, sample, &mut self.rooms, &mut self.journal);
                self.sampled.push(service.sampled(sample));
            }
        }
        let taken = self.take(now, event);
        self.settle(now);
        taken
    }

    fn take(&mut self, now: Time, event: Event) -> Result<(), Refusal> {
        match event {
            Event::Configured(desired) => self.take_configuration(now, desired)?,
            Event::Ordered(order) => self.take_order(now, &order)?,
            Event::Started { id, addr, pid } => self.started(now, id, addr, pid),
            Event::StartFailed { id, reason } => self.start_failed(now, &id, &reason),
            Event::Exited { id, exit } => self.exited(now, &id, exit),
            Event::Probed { id, outcome } => self.probed(now, &id, outcome),
            Event::FedBack { id, feedback: said } => {
                feedback::take(&mut self.services, now, &id, said, &mut self.journal);
            }
            Event::Reported { id, report: Report::Unreachable } => self.unreachable(now, &id),
            Event::Reported { id, report: Report::Look } => self.look(&id),
            Event::Quiet { id } => self.quiet(&id),
            Event::Measured(measured) => self.measured(now, &measured),
            Event::Enforced(verdict) => self.enforced(now, verdict),
            Event::Answered { service, answer } => self.answered(now, &service, answer),
            Event::Recalled { service, minutes } => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.recall(&minutes);
                }
            }
            Event::Tick => {}
        }
        Ok(())
    }

    /// Takes note that an action was ordered, before it is carried out: what is to drain leaves the
    /// next table with this call.
    pub fn commit(&mut self, now: Time, action: &Action) {
        self.record(now, action);
        self.settle(now);
    }

    /// A new table, if routes, pools, redirects or policies changed since the last call that
    /// returned one.
    pub fn table(&mut self) -> Option<Table> {
        self.publication.next(self.services.values(), self.desired.redirects.values())
    }

    /// What is known as of now, as a copy.
    pub fn view(&self, now: Time) -> View {
        View {
            at: now,
            table_version: self.publication.version(),
            stopping: self.stopping,
            services: self.views(now).collect(),
        }
    }

    fn views(&self, now: Time) -> impl Iterator<Item = ServiceView> {
        self.services.values().filter_map(move |service| {
            let room = self.rooms.words(service, self.enforced.as_ref());
            Some(ServiceView { room, ..service.view(now)? })
        })
    }

    /// The recent decisions, transitions and refusals.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What the last event was the occasion to measure: of each service at most one sample.
    pub fn sampled(&self) -> &[Sampled] {
        &self.sampled
    }

    /// Where requests reach an instance, once it has started.
    pub fn endpoint(&self, id: &InstanceId) -> Option<Arc<Endpoint>> {
        self.services.get(&id.service)?.instances.get(&id.number)?.endpoint.clone()
    }

    /// The instances that are processes, each with the one that leads its group.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (&InstanceId, u32)> {
        let instances = self.services.values().flat_map(|service| service.instances.values());
        instances.filter_map(|instance| Some((&instance.id, instance.pid?)))
    }

    /// Whether Herder shuts down and no instance is left.
    pub fn finished(&self) -> bool {
        self.stopping
            && self.strays.is_empty()
            && self.services.values().all(|service| service.instances.is_empty())
    }

    /// When the last event was applied.
    pub(crate) fn applied_at(&self) -> Time {
        self.applied_at
    }

    /// The services, by name.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceState> {
        self.services.values()
    }

    /// What runs and nobody owns, and how far it is on its way out.
    pub(crate) fn strays(&self) -> impl Iterator<Item = (&InstanceId, Option<&Ending>)> {
        self.strays.iter().map(|(id, ending)| (id, ending.as_ref()))
    }

    /// Ends what has come to its end through the last change.
    fn settle(&mut self, now: Time) {
        for service in self.services.values_mut() {
            service.end_rollout(now, &mut self.journal);
            service.admit_all(now, &mut self.journal);
            service.forget_feedback(now, &mut self.journal);
            service.settle_pool(now, &mut self.journal);
        }
    }

    /// Refuses: the journal has it, and nothing else changed.
    fn refuse(&mut self, now: Time, service: Option<&ServiceName>, text: String) -> Refusal {
        match service {
            Some(name) => self.journal.service(now, Kind::Refused, name, text.clone()),
            None => self.journal.herder(now, Kind::Refused, text.clone()),
        }
        Refusal(text)
    }
}

fn find<'a>(services: &'a mut Services, id: &InstanceId) -> Option<&'a mut Instance> {
    services.get_mut(&id.service)?.instances.get_mut(&id.number)
}

/// Takes an instance out of its service, if it is there and the one that is meant. It is put back,
/// or it is gone.
fn take<'a>(
    services: &'a mut Services,
    id: &InstanceId,
    is_meant: impl Fn(&Instance) -> bool,
) -> Option<(&'a mut ServiceState, Instance)> {
    let service = services.get_mut(&id.service)?;
    if !is_meant(service.instances.get(&id.number)?) {
        return None;
    }
    let instance = service.instances.remove(&id.number)?;
    Some((service, instance))
}
