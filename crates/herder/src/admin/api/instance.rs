//! One instance on the wire of the admin API: its phase, its counters, its ejection.
//! Conversions only.

use control::{AdmissionView, InstanceView};
use model::{Phase, SHARE_FULL, Time, UNLIMITED};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::api::ms;

/// One running copy of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Instance {
    /// Its id, such as `shop.2`.
    pub(crate) id: String,
    /// Where it is in its life.
    pub(crate) phase: PhaseWord,
    /// For how long.
    pub(crate) phase_age_ms: u64,
    /// Why.
    pub(crate) reason: String,
    /// What its last failed probe found, while it is not ready.
    pub(crate) trouble: Option<String>,
    /// How its last probe went, once one came back.
    #[serde(default)]
    pub(crate) last_probe: Option<LastProbe>,
    /// The percentage of its part of the requests that it wants by its own account; 0 for no more.
    #[serde(default = "whole")]
    pub(crate) wants_percent: u32,
    /// Its generation; older than the service's while it waits to be replaced.
    pub(crate) generation: u64,
    /// Where it is reached, once known.
    pub(crate) address: Option<String>,
    /// Its process, when it is one.
    pub(crate) pid: Option<u32>,
    /// What it uses of the machine; absent until it was measured, and of addresses.
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    /// Requests in flight.
    pub(crate) in_flight: u32,
    /// How many may be in flight at once, fixed or found; absent where nothing bounds them.
    #[serde(default)]
    pub(crate) in_flight_max: Option<u32>,
    /// Requests so far.
    pub(crate) requests: u64,
    /// Requests that failed through its fault.
    pub(crate) failures: u64,
    /// From the order to start it to its first ready.
    pub(crate) boot_ms: Option<u64>,
    /// Whether requests are sent to it.
    pub(crate) in_pool: bool,
    /// The percentage of its part of the requests that it gets: less than 100 in a slow start, or
    /// if it wants less.
    pub(crate) share_percent: u32,
    /// Its ejection, while it lasts and until a trial request succeeded.
    #[serde(default)]
    pub(crate) ejection: Option<Ejection>,
}

/// What an instance uses of the machine: all its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Usage {
    /// Processor time since it started.
    pub(crate) cpu_ms: u64,
    /// What it used of one core within the last second: 150 is one and a half. Absent at first.
    pub(crate) cpu_percent: Option<u32>,
    /// Memory; what its processes share counts once.
    pub(crate) memory_bytes: u64,
    /// How many processes it is.
    pub(crate) processes: u32,
}

/// How a probe went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LastProbe {
    /// How long ago it came back.
    pub(crate) age_ms: u64,
    /// What was wrong; absent if it passed.
    pub(crate) failure: Option<String>,
}

/// An instance is out of the pool, or on trial, because its requests failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Ejection {
    /// Why.
    pub(crate) reason: String,
    /// How many there were lately, this one included.
    pub(crate) times: u32,
    /// For how long it is out, or on trial, already.
    pub(crate) age_ms: u64,
    /// Until it is tried; absent once it is on trial: its next request decides.
    pub(crate) trial_in_ms: Option<u64>,
}

/// The phases of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PhaseWord {
    /// Running, and has not passed its first probes.
    Starting,
    /// In the pool.
    Ready,
    /// Was ready, now fails.
    Unready,
    /// Told to go, finishes what it has.
    Draining,
    /// Not running.
    Gone,
}

impl Instance {
    /// The instance that a view shows at `now`.
    pub(crate) fn of(view: &InstanceView, now: Time) -> Self {
        Self {
            id: view.id.to_string(),
            phase: view.phase.into(),
            phase_age_ms: ms(now.since(view.since)),
            reason: view.reason.clone(),
            trouble: view.trouble.clone(),
            last_probe: view.probed.as_ref().map(|probed| LastProbe {
                age_ms: ms(now.since(probed.at)),
                failure: probed.failure.clone(),
            }),
            wants_percent: view.wants_percent,
            generation: view.generation,
            address: view.addr.map(|addr| addr.to_string()),
            pid: view.pid,
            usage: view.usage.as_ref().map(Usage::of),
            in_flight: view.in_flight,
            in_flight_max: Some(view.limit).filter(|&limit| limit < UNLIMITED),
            requests: view.requests,
            failures: view.failures,
            boot_ms: view.boot.map(ms),
            in_pool: view.in_pool,
            share_percent: (view.share * 100).div_ceil(SHARE_FULL),
            ejection: Ejection::of(view, now),
        }
    }
}

impl Usage {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it saturates, and is for people"
    )]
    fn of(usage: &control::Usage) -> Self {
        Self {
            cpu_ms: ms(usage.cpu),
            cpu_percent: usage.cores.map(|cores| (cores * 100.0).round() as u32),
            memory_bytes: usage.memory_bytes,
            processes: usage.processes,
        }
    }
}

/// What an instance wants that says nothing.
fn whole() -> u32 {
    100
}

impl Ejection {
    fn of(view: &InstanceView, now: Time) -> Option<Self> {
        let (reason, since, until) = match &view.admission {
            AdmissionView::Admitted => return None,
            AdmissionView::Ejected { since, until, why } => (why, since, Some(until)),
            AdmissionView::Trial { since, why } => (why, since, None),
        };
        Some(Self {
            reason: reason.clone(),
            times: view.ejections,
            age_ms: ms(now.since(*since)),
            trial_in_ms: until.map(|until| ms(until.since(now))),
        })
    }
}

impl From<Phase> for PhaseWord {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Starting => Self::Starting,
            Phase::Ready => Self::Ready,
            Phase::Unready => Self::Unready,
            Phase::Draining => Self::Draining,
            Phase::Gone => Self::Gone,
        }
    }
}

impl PhaseWord {
    /// The word used in logs, metrics and screens.
    pub(crate) fn label(self) -> &'static str {
        let phase = match self {
            Self::Starting => Phase::Starting,
            Self::Ready => Phase::Ready,
            Self::Unready => Phase::Unready,
            Self::Draining => Phase::Draining,
            Self::Gone => Phase::Gone,
        };
        phase.label()
    }
}
