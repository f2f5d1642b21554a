//! What only control and the composition root know, handed over at each scrape.
//! Copies of facts that live elsewhere; nothing here is counted twice.

use model::{InstanceId, Phase, ServiceName, Time};

use crate::exposition::{Exposition, Value};
use crate::{Lost, names};

/// What is not counted by the workers, as of the scrape.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Herder's version, such as `0.1.0`.
    pub version: &'static str,
    /// When Herder started.
    pub started: Time,
    /// Version of the table that was published last.
    pub table_version: u64,
    /// Reports of workers about instances that control's full queue did not take, so far.
    pub reports_dropped: u64,
    /// Lines that the access log lost; zero when there is none.
    pub access_log_lost: Lost,
    /// Journal entries so far.
    pub journal: Vec<JournalCount>,
    /// The services that are configured now.
    pub services: Vec<ServiceGauges>,
}

/// How many journal entries there have been about one subject, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalCount {
    /// About which service; none when about Herder as a whole.
    pub service: Option<ServiceName>,
    /// The word for the kind.
    pub kind: &'static str,
    /// How many so far.
    pub count: u64,
}

/// One service as control sees it.
#[derive(Clone, Debug)]
pub struct ServiceGauges {
    /// Its name.
    pub name: ServiceName,
    /// How many instances are wanted now.
    pub desired: u32,
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// What its autoscaler says, if it has one that has decided.
    pub scaling: Option<ScalingGauges>,
    /// Ejections so far.
    pub ejections: u64,
    /// Whether requests go to instances that are ejected or fail their probes.
    pub in_panic: bool,
    /// Its instances. Those that are gone are left out of the metrics, so that the number of
    /// series is bounded by the number of instances that exist.
    pub instances: Vec<InstanceGauges>,
}

/// What an autoscaler says.
#[derive(Clone, Debug)]
pub struct ScalingGauges {
    /// How many instances each signal asks for.
    pub wanted: Vec<(&'static str, f64)>,
    /// What changed the number last, if anything did.
    pub limited_by: Option<&'static str>,
}

/// One instance.
#[derive(Clone, Debug)]
pub struct InstanceGauges {
    /// Its id.
    pub id: InstanceId,
    /// Where it is in its life.
    pub phase: Phase,
    /// Requests in flight.
    pub in_flight: u32,
    /// How many may be, if something bounds them.
    pub in_flight_max: Option<u32>,
    /// Requests begun so far.
    pub requests: u64,
    /// Requests that failed through its fault.
    pub failures: u64,
    /// Whether it is ejected.
    pub is_ejected: bool,
    /// Seconds of the processor that it has used, if that was measured.
    pub cpu_s: Option<f64>,
    /// Bytes of memory that it uses, if that was measured.
    pub memory_bytes: Option<u64>,
}

impl Gauges {
    /// Adds these series to the metrics.
    pub(crate) fn expose(&self, to: &mut Exposition) {
        to.add(&names::BUILD, &[self.version], Value::Info);
        to.add(&names::START_TIME, &[], Value::Seconds(self.started.as_ms() as f64 / 1e3));
        to.add(&names::TABLE_VERSION, &[], Value::Version(self.table_version));
        let dropped = Value::Count(self.reports_dropped);
        to.add(&names::REPORTS_DROPPED, &[], dropped);
        let Lost { queue_full, write_failed } = self.access_log_lost;
        to.add(&names::ACCESS_LOG_LOST, &["queue_full"], Value::Count(queue_full));
        to.add(&names::ACCESS_LOG_LOST, &["write_failed"], Value::Count(write_failed));
        for JournalCount { service, kind, count } in &self.journal {
            let service = service.as_ref().map_or("", ServiceName::as_str);
            to.add(&names::JOURNAL_ENTRIES, &[service, kind], Value::Count(*count));
        }
        self.services.iter().for_each(|service| service.expose(to));
    }
}

impl ServiceGauges {
    fn expose(&self, to: &mut Exposition) {
        let name = self.name.as_str();
        to.add(&names::INSTANCES_DESIRED, &[name], Value::Level(self.desired.into()));
        to.add(&names::INSTANCES_MIN, &[name], Value::Level(self.min.into()));
        to.add(&names::INSTANCES_MAX, &[name], Value::Level(self.max.into()));
        if let Some(scaling) = &self.scaling {
            for (signal, wanted) in &scaling.wanted {
                to.add(&names::INSTANCES_WANTED, &[name, signal], Value::Number(*wanted));
            }
            if let Some(by) = scaling.limited_by {
                to.add(&names::SCALE_LIMITED, &[name, by], Value::Level(1));
            }
        }
        let alive = || self.instances.iter().filter(|instance| instance.phase != Phase::Gone);
        for phase in Phase::ALL.into_iter().filter(|&phase| phase != Phase::Gone) {
            let count = alive().filter(|instance| instance.phase == phase).count();
            to.add(&names::INSTANCES, &[name, phase.label()], Value::Size(count));
        }
        let ejected = alive().filter(|instance| instance.is_ejected).count();
        to.add(&names::INSTANCES_EJECTED, &[name], Value::Size(ejected));
        to.add(&names::EJECTIONS, &[name], Value::Count(self.ejections));
        to.add(&names::PANIC, &[name], Value::Level(self.in_panic.into()));
        for instance in alive() {
            let id = instance.id.to_string();
            let labels: &[&str] = &[name, &id];
            to.add(&names::INSTANCE_REQUESTS, labels, Value::Count(instance.requests));
            to.add(&names::INSTANCE_FAILURES, labels, Value::Count(instance.failures));
            to.add(&names::INSTANCE_IN_FLIGHT, labels, Value::Level(instance.in_flight.into()));
            if let Some(most) = instance.in_flight_max {
                to.add(&names::INSTANCE_LIMIT, labels, Value::Level(most.into()));
            }
            if let Some(cpu_s) = instance.cpu_s {
                to.add(&names::INSTANCE_CPU, labels, Value::CountedSeconds(cpu_s));
            }
            if let Some(bytes) = instance.memory_bytes {
                to.add(&names::INSTANCE_MEMORY, labels, Value::Bytes(bytes));
            }
        }
    }
}
