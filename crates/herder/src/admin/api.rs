//! The admin API on the wire: what goes over the socket, as types. A promise, unlike the model.
//! Conversions only; no route, no state, no decision.

mod instance;
mod scaling;

use std::collections::BTreeMap;

use control::{BackoffView, Entry, RolloutView, ServiceView, View};
use model::{Phase, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use self::instance::{Ejection, Instance, LastProbe, PhaseWord, Usage};
pub(crate) use self::scaling::{Scaling, ScalingDecision};

/// A running Herder as of one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Status {
    /// Herder's version.
    pub(crate) version: String,
    /// Herder's process.
    pub(crate) pid: u32,
    /// The moment, as an RFC 3339 date in UTC.
    pub(crate) at: String,
    /// How long Herder has been running.
    pub(crate) uptime_ms: u64,
    /// The file it runs; absent under `herder run`.
    pub(crate) file: Option<String>,
    /// Whether it is shutting down.
    pub(crate) stopping: bool,
    /// Counts up with every change of what the data plane sees.
    pub(crate) table_version: u64,
    /// Where it accepts.
    pub(crate) listeners: Vec<Listener>,
    /// What it runs, by name.
    pub(crate) services: Vec<Service>,
}

/// An address on which Herder accepts requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Listener {
    /// Its name in the file.
    pub(crate) name: String,
    /// Where it really listens: a port 0 is resolved.
    pub(crate) address: String,
    /// The service that every connection is carried to as it is; absent where requests are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tcp: Option<String>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// How many instances are wanted now.
    pub(crate) desired: u32,
    /// Why that many.
    pub(crate) desired_reason: String,
    /// How many are in the pool.
    pub(crate) ready: u32,
    /// Never fewer.
    pub(crate) min: u32,
    /// Never more.
    pub(crate) max: u32,
    /// How requests are spread.
    pub(crate) balance: String,
    /// What its instances are asked, such as `GET /healthz`.
    #[serde(default)]
    pub(crate) probe: String,
    /// How clients stay with instances, if they do.
    #[serde(default)]
    pub(crate) affinity: Option<String>,
    /// What the number follows, if anything.
    #[serde(default)]
    pub(crate) scaling: Option<Scaling>,
    /// How many instances the machine carries and why, if that is a limit.
    #[serde(default)]
    pub(crate) room: Option<String>,
    /// What is wrong with something that the number follows.
    #[serde(default)]
    pub(crate) trouble: Option<String>,
    /// Counts up with every change that replaces instances.
    pub(crate) generation: u64,
    /// What the last ten seconds were like; absent at first.
    pub(crate) traffic: Option<Traffic>,
    /// Requests that wait in the queue.
    #[serde(default)]
    pub(crate) waiting: u32,
    /// How long the one among them has waited that has waited longest.
    #[serde(default)]
    pub(crate) waiting_oldest_ms: Option<u64>,
    /// How many percent of the requests are refused because too many fail.
    #[serde(default)]
    pub(crate) refused_percent: u32,
    /// A replacement that is under way.
    pub(crate) rollout: Option<Rollout>,
    /// Failures that hold back the next start.
    pub(crate) backoff: Option<Backoff>,
    /// Why requests go to all instances that answer, if they do.
    #[serde(default)]
    pub(crate) panic: Option<String>,
    /// By number; those that are gone are left out.
    pub(crate) instances: Vec<Instance>,
}

/// The requests of a service within the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Traffic {
    /// Requests that ended, per second.
    pub(crate) requests_per_second: f64,
    /// Of these, answered with 500 to 599.
    pub(crate) errors_5xx_per_second: f64,
    /// Times that a request was sent again, to another instance.
    #[serde(default)]
    pub(crate) retries_per_second: f64,
    /// Failures passed on to clients because the budget of retries was used up.
    #[serde(default)]
    pub(crate) retries_denied_per_second: f64,
    /// Second copies of slow requests.
    #[serde(default)]
    pub(crate) hedges_per_second: f64,
    /// How long half of them took at most; absent without any.
    pub(crate) p50_ms: Option<f64>,
    /// How long all but one in a hundred took at most.
    pub(crate) p99_ms: Option<f64>,
}

/// Instances are being replaced by those of a new generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rollout {
    /// Ready instances of the new generation.
    pub(crate) replaced: u32,
    /// How many there will be.
    pub(crate) total: u32,
    /// Why.
    pub(crate) reason: String,
}

/// Starts are held back because instances failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Backoff {
    /// Consecutive failures.
    pub(crate) failures: u32,
    /// Until the next start; 0 when it is due.
    pub(crate) retry_in_ms: u64,
    /// Whether it is called a crash loop.
    pub(crate) crash_loop: bool,
    /// Why the last one failed.
    pub(crate) reason: String,
    /// What it wrote last, oldest first.
    pub(crate) last_lines: Vec<String>,
}

/// A part of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct JournalPage {
    /// Oldest first.
    pub(crate) entries: Vec<JournalEntry>,
    /// What to pass as `after` to get what came later.
    pub(crate) next_after: u64,
}

/// Something that happened, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct JournalEntry {
    /// Counts up by one; a gap at the front means that older entries were dropped.
    pub(crate) seq: u64,
    /// When, as an RFC 3339 date in UTC.
    pub(crate) at: String,
    /// What kind of thing.
    pub(crate) kind: String,
    /// To which service.
    pub(crate) service: Option<String>,
    /// To which instance.
    pub(crate) instance: Option<String>,
    /// What and why, in one sentence.
    pub(crate) text: String,
}

/// Which part of the journal.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JournalQuery {
    /// Only entries with a greater `seq`.
    pub(crate) after: Option<u64>,
    /// Only the last so many.
    pub(crate) last: Option<usize>,
}

/// Which part of a history.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// From this second since 1970 on.
    pub(crate) from: u64,
    /// Before this one, at most a day later.
    pub(crate) to: u64,
}

/// Sets how many instances a service has.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleRequest {
    /// How many, from the service's min to its max.
    pub(crate) count: u32,
}

/// An order was taken; what follows from it shows in status and journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Accepted {
    /// What was taken, in one sentence.
    pub(crate) accepted: String,
}

/// A request was refused, and changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// What was wrong, where, and what was expected.
    pub(crate) error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// What a status needs to know beyond the view of the herd.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// How long Herder has been running.
    pub(crate) uptime: std::time::Duration,
    /// The file it runs.
    pub(crate) file: Option<String>,
    /// Where it accepts.
    pub(crate) listeners: Vec<Listener>,
    /// What the last seconds were like, by service.
    pub(crate) traffic: BTreeMap<String, Traffic>,
}

impl Status {
    /// The status that shows a view.
    pub(crate) fn of(view: &View, surroundings: Surroundings) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            at: view.at.to_string(),
            uptime_ms: ms(surroundings.uptime),
            file: surroundings.file,
            stopping: view.stopping,
            table_version: view.table_version,
            listeners: surroundings.listeners,
            services: view
                .services
                .iter()
                .map(|service| Service {
                    traffic: surroundings.traffic.get(service.name.as_str()).copied(),
                    ..Service::of(service, view.at)
                })
                .collect(),
        }
    }

    /// The service of a name.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

impl Service {
    /// The service that a view shows at `now`, without its traffic.
    pub(crate) fn of(view: &ServiceView, now: Time) -> Self {
        let ready = view.instances.iter().filter(|instance| instance.phase == Phase::Ready).count();
        Self {
            name: view.name.to_string(),
            desired: view.desired,
            desired_reason: view.desired_reason.clone(),
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            min: view.min,
            max: view.max,
            balance: view.balance.name().to_owned(),
            probe: view.probe.clone(),
            affinity: view.affinity.clone(),
            scaling: view.scaling.as_ref().map(|scaling| Scaling::of(scaling, now)),
            room: view.room.clone(),
            trouble: view.trouble.clone(),
            generation: view.generation,
            traffic: None,
            waiting: view.waiting,
            waiting_oldest_ms: view.waiting_oldest.map(ms),
            refused_percent: view.refused_percent,
            rollout: view.rollout.as_ref().map(Rollout::of),
            backoff: view.backoff.as_ref().map(|backoff| Backoff::of(backoff, now)),
            panic: view.panic.clone(),
            instances: view.instances.iter().map(|inst| Instance::of(inst, now)).collect(),
        }
    }
}

impl Listener {
    /// Where it accepts and what, on one line: a URL, or an address and a service.
    pub(crate) fn place(&self) -> String {
        match &self.tcp {
            None => format!("http://{}", self.address),
            Some(service) => format!("tcp://{}, carried to {service}", self.address),
        }
    }
}

impl Rollout {
    fn of(view: &RolloutView) -> Self {
        Self { replaced: view.replaced, total: view.total, reason: view.reason.clone() }
    }
}

impl Backoff {
    fn of(view: &BackoffView, now: Time) -> Self {
        Self {
            failures: view.failures,
            retry_in_ms: ms(view.until.since(now)),
            crash_loop: view.crash_loop,
            reason: view.reason.clone(),
            last_lines: view.last_lines.clone(),
        }
    }
}

impl From<&Entry> for JournalEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at.to_string(),
            kind: entry.kind.label().to_owned(),
            service: entry.service.as_ref().map(ToString::to_string),
            instance: entry.instance.as_ref().map(ToString::to_string),
            text: entry.text.clone(),
        }
    }
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
