//! What screens, the admin API and metrics are shown: a copy, never the state itself.
//! Not serialised here: the admin API has types of its own for the wire.

use std::net::SocketAddr;
use std::time::Duration;

use model::{Algorithm, InstanceId, Phase, ScaleMode, ServiceName, Time};

use crate::Usage;

/// What one service was asked over a second, and what it had for that.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// Its name.
    pub service: ServiceName,
    /// What was measured.
    pub sample: scale::Sample,
    /// How many instances are wanted.
    pub desired: u32,
    /// How many of them are ready.
    pub ready: u32,
}

/// Everything worth seeing as of one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The moment.
    pub at: Time,
    /// Version of the table that was published last.
    pub table_version: u64,
    /// Whether Herder is shutting down.
    pub stopping: bool,
    /// By name.
    pub services: Vec<ServiceView>,
}

/// One service.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// Its index in per-worker arrays; see [`model::Pool::slot`].
    pub slot: usize,
    /// How many instances are wanted now.
    pub desired: u32,
    /// Why that many, such as `min` or `scale shop 5`.
    pub desired_reason: String,
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// How requests are spread.
    pub balance: Algorithm,
    /// What its instances are asked, such as `GET /healthz`.
    pub probe: String,
    /// How clients stay with instances, if they do.
    pub affinity: Option<String>,
    /// What its number of instances follows, if anything.
    pub scaling: Option<ScalingView>,
    /// How many instances the machine carries and why, if that is a limit.
    pub room: Option<String>,
    /// What is wrong with something that its number of instances follows.
    pub trouble: Option<String>,
    /// Counts up with every change that replaces instances.
    pub generation: u64,
    /// Requests that wait for an endpoint.
    pub waiting: u32,
    /// For how long the one among them has waited that has waited longest.
    pub waiting_oldest: Option<Duration>,
    /// How many percent of the requests are refused because too many fail.
    pub refused_percent: u32,
    /// A replacement that is under way.
    pub rollout: Option<RolloutView>,
    /// Failures that hold back the next start.
    pub backoff: Option<BackoffView>,
    /// Why requests go to all instances that answer, if they do.
    pub panic: Option<String>,
    /// Ejections so far, of all instances there were.
    pub ejections: u64,
    /// By number; those that are gone are left out.
    pub instances: Vec<InstanceView>,
}

/// What the number of instances of a service follows.
#[derive(Clone, Debug)]
pub struct ScalingView {
    /// The policy, as in the configuration.
    pub policy: &'static str,
    /// Whether its decisions are obeyed.
    pub mode: ScaleMode,
    /// An operator ordered a number, which holds until further notice.
    pub is_overruled: bool,
    /// After how long without demand the service sleeps, if it does.
    pub idle_after: Option<Duration>,
    /// What nine of ten starts took less than. None: there was no start yet.
    pub start_up: Option<Duration>,
    /// Instances that are ready.
    pub ready: u32,
    /// Instances that are starting.
    pub starting: u32,
    /// The last decision, and when it was made. None: it has not seen enough yet.
    pub decision: Option<(Time, scale::Decision)>,
    /// What the calendar says, in words. None: it has no entry.
    pub calendar: Option<String>,
    /// What the forecast says. None: there is none, or it has not been asked yet.
    pub forecast: Option<scale::Told>,
    /// Where the demand would change that. None: nothing is known of it.
    pub turn: Option<scale::Turn>,
}

/// Instances are being replaced by those of a new generation.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// Ready instances of the new generation.
    pub replaced: u32,
    /// How many there will be.
    pub total: u32,
    /// Why, such as `restart shop` or `command changed`.
    pub reason: String,
}

/// Starts are held back because instances failed.
#[derive(Clone, Debug)]
pub struct BackoffView {
    /// Consecutive failures.
    pub failures: u32,
    /// No start before this.
    pub until: Time,
    /// Whether it is called a crash loop.
    pub crash_loop: bool,
    /// Why the last one failed.
    pub reason: String,
    /// What it wrote last, oldest first.
    pub last_lines: Vec<String>,
}

/// One instance.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when.
    pub since: Time,
    /// Why it is in this phase, in the journal's words.
    pub reason: String,
    /// What its last failed probe found, while it is not ready.
    pub trouble: Option<String>,
    /// How its last probe went, once one came back.
    pub probed: Option<ProbedView>,
    /// The percentage of its part of the requests that it wants by its own account; 0 for no more.
    pub wants_percent: u32,
    /// Its generation; older than the service's while it waits to be replaced.
    pub generation: u64,
    /// Where it is reached, once the driver has told.
    pub addr: Option<SocketAddr>,
    /// Its process, when it is one.
    pub pid: Option<u32>,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests so far.
    pub requests: u64,
    /// Requests that failed through its fault.
    pub failures: u64,
    /// What it uses. None: it is no process of Herder's, or has not been looked at lately.
    pub usage: Option<Usage>,
    /// From the order to start it to its first ready.
    pub boot: Option<Duration>,
    /// Whether it is let into the pool while it is ready.
    pub admission: AdmissionView,
    /// Ejections that are not forgiven yet.
    pub ejections: u32,
    /// The part of its weight that counts now, of [`model::SHARE_FULL`].
    pub share: u32,
    /// Requests that may be in flight at once.
    pub limit: u32,
    /// Whether requests are sent to it.
    pub in_pool: bool,
}

/// How a probe went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbedView {
    /// When it came back.
    pub at: Time,
    /// What was wrong; nothing if it passed.
    pub failure: Option<String>,
}

/// Whether a ready instance is let into the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdmissionView {
    /// It is.
    #[default]
    Admitted,
    /// It is not.
    Ejected {
        /// Since when.
        since: Time,
        /// Until when at least.
        until: Time,
        /// Why.
        why: String,
    },
    /// One request decides.
    Trial {
        /// Since when.
        since: Time,
        /// Why it was ejected.
        why: String,
    },
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts up by one from 1; gaps at the front mean that older entries were dropped.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What kind of thing happened.
    pub kind: Kind,
    /// To which service; none when to Herder as a whole.
    pub service: Option<ServiceName>,
    /// To which instance.
    pub instance: Option<InstanceId>,
    /// What happened and why, in one sentence.
    pub text: String,
}

/// The kinds of journal entries: bounded, so that they can be a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A configuration was taken.
    Configured,
    /// An order was taken.
    Ordered,
    /// An order or a configuration was not taken.
    Refused,
    /// The desired number of instances changed.
    Decision,
    /// An instance changed its phase.
    Phase,
    /// A start, an instance or a probe failed.
    Failure,
    /// An instance was taken out of the pool because its requests failed.
    Ejected,
    /// An instance was to be taken out and stays, because too many are out.
    Spared,
    /// An ejected instance gets one request, which decides.
    Trial,
    /// An ejected instance was let back in.
    Admitted,
    /// So few are available that requests go to all that answer; or no longer.
    Panic,
    /// Requests are refused at the door because too many fail; or no longer.
    Admission,
    /// An instance wants fewer requests than its part, or more again.
    Feedback,
    /// Other parts of the requests go to other priorities than before.
    Failover,
    /// Starts are held back.
    Backoff,
    /// A replacement began, was held or ended.
    Rollout,
    /// Something that must not happen; please report it.
    Defect,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 17] = [
        Kind::Configured,
        Kind::Ordered,
        Kind::Refused,
        Kind::Decision,
        Kind::Phase,
        Kind::Failure,
        Kind::Ejected,
        Kind::Spared,
        Kind::Trial,
        Kind::Admitted,
        Kind::Panic,
        Kind::Admission,
        Kind::Feedback,
        Kind::Failover,
        Kind::Backoff,
        Kind::Rollout,
        Kind::Defect,
    ];

    /// The word used in logs, metrics and screens.
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Configured => "configured",
            Kind::Ordered => "ordered",
            Kind::Refused => "refused",
            Kind::Decision => "decision",
            Kind::Phase => "phase",
            Kind::Failure => "failure",
            Kind::Ejected => "ejected",
            Kind::Spared => "spared",
            Kind::Trial => "trial",
            Kind::Admitted => "admitted",
            Kind::Panic => "panic",
            Kind::Admission => "admission",
            Kind::Feedback => "feedback",
            Kind::Failover => "failover",
            Kind::Backoff => "backoff",
            Kind::Rollout => "rollout",
            Kind::Defect => "defect",
        }
    }
}
