//! The policies of scaling that others have, as written, with the names that they have here.
//! It holds what the file says and decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;

/// What a policy with a target of its own looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum Metric {
    /// Use of the processor by each instance, in percent of `resources.cpu_percent`, or of one
    /// core.
    CpuPercent,
    /// Use of memory, in percent of `resources.memory`.
    MemoryPercent,
    /// Requests in flight and waiting.
    Concurrency,
    /// Requests per second.
    RequestsPerS,
    /// How long the request waits that waits longest.
    QueueTimeMs,
}

// What is required is optional here, so that a bad value does not keep the rest from being judged.
/// As many instances as the ratio of metrics and their targets asks for, as Kubernetes'
/// HorizontalPodAutoscaler (autoscaling/v2) decides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["metrics"]))]
pub(crate) struct Hpa {
    /// What is compared with what; of several the one that asks for most counts.
    #[schemars(example = serde_json::json!([{ "metric": "concurrency", "target": 10 }]))]
    pub metrics: Option<HpaMetrics>,
    /// How often it decides.
    pub sync_period: defaults::HpaSync,
    /// `behavior.scaleUp`.
    pub up: HpaUp,
    /// `behavior.scaleDown`.
    pub down: HpaDown,
    /// So long after it was ordered, what an instance uses of the processor counts only once it has
    /// been ready for 15 s.
    pub cpu_initialization_period: defaults::HpaCpuInitialization,
    /// An instance that was last ready within so long of its order counts as one that starts.
    pub initial_readiness_delay: defaults::HpaReadinessDelay,
}

// Several come first: see `Routes`.
/// One metric or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum HpaMetrics {
    /// Several.
    Many(#[schemars(length(min = 1, max = 10))] Vec<HpaMetric>),
    /// One.
    One(HpaMetric),
}

/// A metric and what one instance is to have of it; of `queue-time-ms`, what it is to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["metric", "target"]))]
pub(crate) struct HpaMetric {
    /// Which one.
    #[schemars(example = &"concurrency")]
    pub metric: Option<Metric>,
    /// `averageUtilization`, `averageValue` or `value`.
    #[schemars(example = 10)]
    pub target: Option<defaults::ScaleGoal>,
}

/// How the number grows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HpaUp {
    /// It grows to the least that was asked for within so long.
    pub stabilization_window: defaults::HpaUpWindow,
    /// How far above 1 the ratio of a metric and its target may be.
    pub tolerance: defaults::HpaTolerance,
    /// How much it may grow within how long. Absent: by 100 % or by 4 in 15 s.
    #[schemars(example = serde_json::json!([{ "percent": 100, "period": "15s" }]))]
    pub policies: Option<HpaChanges>,
    /// Which of the policies counts.
    pub select: HpaSelect,
}

/// How the number shrinks.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HpaDown {
    /// It shrinks to the most that was asked for within so long.
    pub stabilization_window: defaults::HpaDownWindow,
    /// How far below 1 the ratio of a metric and its target may be.
    pub tolerance: defaults::HpaTolerance,
    /// How much it may shrink within how long. Absent: by 100 % in 15 s.
    #[schemars(example = serde_json::json!([{ "count": 1, "period": "1m" }]))]
    pub policies: Option<HpaChanges>,
    /// Which of the policies counts.
    pub select: HpaSelect,
}

/// One policy or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum HpaChanges {
    /// Several.
    Many(#[schemars(length(min = 1, max = 10))] Vec<HpaChange>),
    /// One.
    One(HpaChange),
}

/// How much the number may change within a period: `count` or `percent`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HpaChange {
    /// So many instances: `Pods`.
    #[schemars(example = 4)]
    pub count: Option<defaults::HpaCount>,
    /// So many percent of them: `Percent`.
    #[schemars(example = 100)]
    pub percent: Option<defaults::HpaPercent>,
    /// `periodSeconds`.
    pub period: defaults::HpaPeriod,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum HpaSelect {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest.
    Min,
    /// None: the number does not change in this direction.
    Disabled,
}

/// As many instances as the mean of a minute asks for, and of some seconds in a panic, as Knative's
/// Pod Autoscaler decides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Kpa {
    /// What is counted.
    pub metric: KpaMetric,
    /// How much of it one instance can do. Absent: 100, or 200 per second.
    #[schemars(example = 10)]
    pub target: Option<defaults::KpaTarget>,
    /// The part of that which is to be in use.
    pub target_utilization_percent: defaults::KpaUtilization,
    /// What a decision looks back on.
    pub stable_window: defaults::KpaWindow,
    /// The part of it that a panic looks back on.
    pub panic_window_percent: defaults::KpaPanicWindow,
    /// How much of what is ready has to be needed for a panic.
    pub panic_threshold_percent: defaults::KpaPanicThreshold,
    /// How many times more at most, in one decision.
    pub scale_up_rate_max: defaults::KpaUpRate,
    /// How many times fewer at most, in one decision.
    pub scale_down_rate_max: defaults::KpaDownRate,
    /// A lower number counts once it has been lower for so long.
    pub scale_down_delay: defaults::KpaDownDelay,
    /// The least number above none.
    pub activation_scale: defaults::KpaActivation,
    /// How often it decides.
    pub tick: defaults::KpaTick,
}

/// What Knative's autoscaler counts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum KpaMetric {
    /// Requests in flight and waiting.
    #[default]
    Concurrency,
    /// Requests per second.
    RequestsPerS,
}

/// More or fewer instances at thresholds of one metric, as the step policies of clouds and Nomad's
/// threshold strategy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["metric", "steps"]))]
pub(crate) struct Step {
    /// What is held against the steps: its mean per ready instance.
    #[schemars(example = &"concurrency")]
    pub metric: Option<Metric>,
    /// What the mean is taken over.
    pub window: defaults::StepWindow,
    /// After a change nothing changes for so long.
    pub cooldown: defaults::StepCooldown,
    /// What is done at which values. Of several that hold the value, the one that leaves most
    /// instances counts; where none does, nothing changes.
    #[schemars(example = serde_json::json!([{ "from": 8, "count": 2 }, { "to": 2, "count": -1 }]))]
    pub steps: Option<Steps>,
}

/// One step or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Steps {
    /// Several.
    Many(#[schemars(length(min = 1, max = 100))] Vec<OneStep>),
    /// One.
    One(OneStep),
}

/// What is done while the metric is between two values: `count`, `percent` or `exactly`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OneStep {
    /// From this on.
    pub from: defaults::StepBound,
    /// Below this. Absent: however much it is.
    #[schemars(example = 2)]
    pub to: Option<defaults::StepBound>,
    /// So many more, or fewer.
    #[schemars(example = 2)]
    pub count: Option<defaults::StepCount>,
    /// So many percent more, or fewer.
    #[schemars(example = -10)]
    pub percent: Option<defaults::StepPercent>,
    /// So many.
    #[schemars(example = 4)]
    pub exactly: Option<defaults::StepExactly>,
}
