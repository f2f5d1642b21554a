//! How many instances a service has, and what decides it, as written.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::schema::policies::{Hpa, Kpa, Step};
use crate::schema::resources::Prometheus;
use crate::schema::schedule::Schedules;

/// How many instances run, and what their number follows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scale {
    /// Never fewer instances, unless the service sleeps: see `idle_after`.
    pub min: defaults::ScaleMin,
    /// Never more instances, but for the one that a rolling restart starts first. When absent, 8
    /// or `min`, whichever is more.
    #[schemars(extend("default" = defaults::ScaleMax::default()))]
    pub max: Option<defaults::ScaleMax>,
    /// What decides between `min` and `max`.
    pub policy: ScalePolicy,
    /// What becomes of a decision of the policy.
    pub mode: ScaleMode,
    /// After so long without a request, a tunnel or anybody who waits, the last instance is
    /// stopped. The next request waits in the queue until one is ready.
    #[schemars(extend("default" = "off"))]
    pub idle_after: Option<defaults::ScaleIdleAfter>,
    /// Floors from the calendar, for every policy: one, or several.
    #[schemars(example = serde_json::json!([
        { "cron": "0 8 * * MON-FRI", "lasts": "10h", "min": 4 }
    ]))]
    pub schedule: Option<Schedules>,
    /// Whether what was asked at this time of other days is a floor too. It says nothing before it
    /// was right for a whole day.
    pub forecast: bool,
    /// The policy `"target"`.
    pub target: Option<ScaleTarget>,
    /// The policy `"hpa"`.
    pub hpa: Option<Hpa>,
    /// The policy `"kpa"`.
    pub kpa: Option<Kpa>,
    /// The policy `"step"`.
    pub step: Option<Step>,
}

/// What decides how many instances run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ScalePolicy {
    /// Demand: what arrives, what is in flight and what waits.
    #[default]
    Target,
    /// `min`, or what `herder scale` orders.
    Fixed,
    /// Metrics and their targets, as Kubernetes' HorizontalPodAutoscaler.
    Hpa,
    /// The mean of a minute, and of some seconds in a panic, as Knative's Pod Autoscaler.
    Kpa,
    /// Steps at thresholds of one metric, as the clouds and Nomad.
    Step,
}

/// What becomes of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ScaleMode {
    /// It is obeyed.
    #[default]
    Act,
    /// It is shown, logged and counted, and the number of instances stays as it is.
    Recommend,
}

/// As many instances as the demand needs: requests in flight as they arrive and take their time, a
/// part of what waits, and whatever other signals have a bound here. The most counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScaleTarget {
    /// The part of what an instance can do that is to be in use. The rest is for what comes while
    /// another one starts.
    pub utilisation_percent: defaults::ScaleUtilisation,
    /// Requests that one instance serves at once before they make each other slower: threads or
    /// worker processes, say. Absent: `limits.in_flight_max` if that is written, else it is
    /// learned.
    #[schemars(example = 10)]
    pub concurrency: Option<defaults::ScaleConcurrency>,
    /// Requests per second and instance. Absent: no signal.
    #[schemars(example = 200)]
    pub requests_per_second: Option<defaults::ScaleRequests>,
    /// Mean use of the processor per instance, in percent of `resources.cpu_percent`, or of one
    /// core where that is not written. Absent: no signal.
    #[schemars(example = 70)]
    pub cpu_percent: Option<defaults::ScaleCpu>,
    /// Mean use of memory per instance, in percent of `resources.memory`, which it needs. Absent:
    /// no signal.
    #[schemars(example = 80)]
    pub memory_percent: Option<defaults::ScaleMemory>,
    /// What `latency_percent` of 100 responses are to be faster than, waiting included. While they
    /// are not, and requests wait for each other, down to half of `utilisation_percent` is aimed
    /// at. Absent: nothing.
    #[schemars(example = &"200ms")]
    pub latency: Option<defaults::ScaleLatency>,
    /// See `latency`.
    pub latency_percent: defaults::ScaleLatencyPercent,
    /// What somebody else counts, such as jobs in a queue. Absent: no signal.
    pub prometheus: Option<Prometheus>,
    /// How far above the present number the need has to be, in percent of it.
    pub tolerance_up_percent: defaults::ScaleToleranceUp,
    /// How far below.
    pub tolerance_down_percent: defaults::ScaleToleranceDown,
    /// Within any `up_period` the number grows by so many percent at most, or by `up_count_max` if
    /// that is more.
    pub up_percent_max: defaults::ScaleUpPercent,
    /// See `up_percent_max`.
    pub up_count_max: defaults::ScaleUpCount,
    /// See `up_percent_max`.
    pub up_period: defaults::ScaleUpPeriod,
    /// The part of all instances that may be starting at the same time, in percent. One may always.
    pub starting_percent_max: defaults::ScaleStarting,
    /// Only instances that were not needed for so long are stopped; never sooner than one and a
    /// half times the time that one takes to start. It grows while stopping was wrong.
    pub down_window: defaults::ScaleDownWindow,
    /// Half of what is too much goes within so long, half of the rest within as long again.
    pub down_half_life: defaults::ScaleHalfLife,
    /// What waits is to be worked off within so long, or within the time of a start if that is
    /// longer.
    pub backlog_drain: defaults::ScaleBacklog,
}
