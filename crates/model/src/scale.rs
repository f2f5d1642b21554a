//! What decides how many instances a service has: the policy of its autoscaler, as configured.
//! It decides nothing; `scale` does, and its units and defaults are documented where they are used.

use std::time::Duration;

use crate::PrometheusQuery;

/// How the number of instances of a service follows its demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscale {
    /// What turns signals into a number.
    pub policy: ScalePolicy,
    /// Whether that number is obeyed.
    pub mode: ScaleMode,
    /// Without a request, a tunnel or somebody who waits for so long: no instance at all. None: at
    /// least `min` stay, always.
    pub idle_after: Option<Duration>,
    /// Floors from the calendar, for every policy.
    pub schedules: Vec<ScaleSchedule>,
    /// Whether what was asked on other days is a floor, once it has shown to be right.
    pub forecasts: bool,
}

/// At least so many instances, from each time that a cron expression names, for so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleSchedule {
    /// Minute, hour, day of the month, month, day of the week.
    pub cron: Box<str>,
    /// The name of the time zone whose clock is meant, as the IANA database has it.
    pub zone: Box<str>,
    /// How long it holds each time.
    pub lasts: Duration,
    /// How many, up to the service's `max`.
    pub count: u32,
}

impl Autoscale {
    /// None: the number is `min`, or what an operator orders.
    pub const fn fixed() -> Self {
        Self {
            policy: ScalePolicy::Fixed,
            mode: ScaleMode::Act,
            idle_after: None,
            schedules: Vec::new(),
            forecasts: false,
        }
    }

    /// Whether nothing decides the number but the configuration and an operator.
    pub fn is_fixed(&self) -> bool {
        self.policy == ScalePolicy::Fixed && self.schedules.is_empty()
    }
}

/// What becomes of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleMode {
    /// Instances are started and stopped.
    Act,
    /// It is shown and logged, and the number stays what it is.
    Recommend,
}

/// What turns signals into a number of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScalePolicy {
    /// `min`, or what an operator orders.
    Fixed,
    /// Herder's own: arrivals × service time, and what waits.
    Target(ScaleTarget),
    /// That of Kubernetes' HorizontalPodAutoscaler v2.
    Hpa(Hpa),
    /// That of Knative's KPA.
    Kpa(Kpa),
    /// Steps at thresholds of one signal.
    Step(ScaleStep),
}

/// Herder's own policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleTarget {
    /// The part of an instance that is to be in use, in percent: the rest is for what comes while
    /// another one starts.
    pub utilisation_percent: u32,
    /// Requests that one instance serves at once without making them wait for each other. None: it
    /// is learned.
    pub concurrency: Option<u32>,
    /// Mean use of the processor, of what an instance may use, in percent. None: it is no signal.
    pub cpu_percent: Option<u32>,
    /// Mean use of memory, of what an instance may use, in percent. None: it is no signal.
    pub memory_percent: Option<u32>,
    /// Requests per second and instance. None: they are no signal of their own.
    pub requests_per_s: Option<u32>,
    /// What `latency_percent` of 100 responses are to be faster than, waiting included: beyond it
    /// the utilisation that is aimed at falls. None: it is no signal.
    pub latency: Option<Duration>,
    /// How many of 100 responses are to be faster than `latency`, from 1 to 99.
    pub latency_percent: u32,
    /// What somebody else counts. None: it is no signal.
    pub prometheus: Option<Box<PrometheusQuery>>,
    /// How far above the present number the need has to be, in percent of it, for more of them.
    pub tolerance_up_percent: u32,
    /// How far below what is tolerated the need has to be after that, in percent, for fewer.
    pub tolerance_down_percent: u32,
    /// Within any `up_period` the number grows by so many percent at most, or by `up_count_max` if
    /// that is more.
    pub up_percent_max: u32,
    /// See `up_percent_max`.
    pub up_count_max: u32,
    /// See `up_percent_max`.
    pub up_period: Duration,
    /// The part of all instances that may be starting, in percent; one may always.
    pub starting_percent_max: u32,
    /// Only what was not needed for so long is taken away, and never sooner than one and a half
    /// times the time that an instance takes to start; longer after it was too soon.
    pub down_window: Duration,
    /// Then half of what is too much goes within so long, and half of the rest, and so on.
    pub down_half_life: Duration,
    /// What waits is to be gone after so long, or after a start if that takes longer.
    pub backlog_drain: Duration,
}

impl Default for ScaleTarget {
    /// What Herder does unless it is told otherwise. `herder simulate scale` shows what these
    /// numbers do; docs/autoscaling.md has the table.
    fn default() -> Self {
        Self {
            // Half as much again is what comes while another one starts, and what noise is.
            utilisation_percent: 70,
            concurrency: None,
            cpu_percent: None,
            memory_percent: None,
            requests_per_s: None,
            latency: None,
            latency_percent: 95,
            prometheus: None,
            // At 78 % of an instance instead of 70 % nobody waits yet; one more is not worth it.
            tolerance_up_percent: 12,
            // With the one above: what was needed is what stays.
            tolerance_down_percent: 10,
            // A step of ten times is ordered at once: what is measured is certain by then, and
            // `max` and the room of the machine bound what a mistake can cost.
            up_percent_max: 900,
            up_count_max: 100,
            up_period: Duration::from_secs(15),
            starting_percent_max: 99,
            // Short, as a first guess: every wrong one makes it three times longer.
            down_window: Duration::from_secs(30),
            // What goes by halves is back sooner if it was the wrong guess.
            down_half_life: Duration::from_secs(15),
            // As long as the queue lets requests wait.
            backlog_drain: Duration::from_secs(10),
        }
    }
}

/// What a policy that brings its own target looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleMetric {
    /// Mean use of the processor per instance, in percent of what it may use.
    CpuPercent,
    /// Mean use of memory per instance, in percent of what it may use.
    MemoryPercent,
    /// Requests in flight per instance, those that wait included.
    Concurrency,
    /// Requests per second and instance.
    RequestsPerS,
    /// The time that requests wait for an instance, in milliseconds.
    QueueTimeMs,
}

/// The policy of Kubernetes' HorizontalPodAutoscaler, API version autoscaling/v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hpa {
    /// What is compared with what, in thousandths of the metric's unit: the largest answer counts.
    pub metrics: Vec<(ScaleMetric, u64)>,
    /// How often it decides.
    pub sync_period: Duration,
    /// `behavior.scaleUp`.
    pub up: HpaRules,
    /// `behavior.scaleDown`.
    pub down: HpaRules,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`.
    pub cpu_initialization_period: Duration,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`.
    pub initial_readiness_delay: Duration,
}

/// One direction of [`Hpa`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpaRules {
    /// `stabilizationWindowSeconds`.
    pub stabilization_window: Duration,
    /// The ratio of metric and target that is as good as 1: how far off, in thousandths.
    pub tolerance_permille: u32,
    /// How much may change within how long.
    pub policies: Vec<HpaChange>,
    /// Which of the policies counts.
    pub select: HpaSelect,
}

/// How much may change within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HpaChange {
    /// So many instances, or percent of them.
    pub amount: HpaAmount,
    /// `periodSeconds`.
    pub period: Duration,
}

/// `type` and `value` of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpaAmount {
    /// `Pods`.
    Count(u32),
    /// `Percent`.
    Percent(u32),
}

/// `selectPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpaSelect {
    /// The policy that allows the largest change.
    Max,
    /// The one that allows the smallest.
    Min,
    /// No change in this direction.
    Disabled,
}

/// The policy of Knative's Pod Autoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kpa {
    /// [`ScaleMetric::Concurrency`] or [`ScaleMetric::RequestsPerS`].
    pub metric: ScaleMetric,
    /// The metric per instance at full use, in thousandths.
    pub target_permille: u64,
    /// The part of it to aim at, in percent.
    pub target_utilization_percent: u32,
    /// What a decision looks back on.
    pub stable_window: Duration,
    /// The part of it that panic looks at, in percent.
    pub panic_window_percent: u32,
    /// How many times what there is has to be needed for a panic, in percent.
    pub panic_threshold_percent: u32,
    /// How many times more at most, in one decision, in thousandths.
    pub scale_up_rate_max_permille: u64,
    /// How many times fewer at most, in one decision, in thousandths.
    pub scale_down_rate_max_permille: u64,
    /// A lower number counts once it has been lower for so long.
    pub scale_down_delay: Duration,
    /// How often it decides.
    pub tick: Duration,
    /// The least number above none.
    pub activation_scale: u32,
}

/// Steps at thresholds of one signal, as alarms of the clouds know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleStep {
    /// What is looked at: its mean over `window`.
    pub metric: ScaleMetric,
    /// What a decision looks back on.
    pub window: Duration,
    /// After a change nothing changes for so long.
    pub cooldown: Duration,
    /// Those whose bounds hold the metric apply; of several the one that leaves most instances.
    pub steps: Vec<Step>,
}

/// One step of [`ScaleStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// From this on, in thousandths of the metric's unit.
    pub from_permille: u64,
    /// Below this.
    pub to_permille: u64,
    /// What is done.
    pub change: StepChange,
}

/// What a step does to the number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepChange {
    /// So many more, or fewer.
    Count(i32),
    /// So many percent more, or fewer; away from the present number when it is not whole.
    Percent(i32),
    /// So many.
    Exactly(u32),
}

impl Hpa {
    /// What Kubernetes does for these metrics when a manifest says nothing else: autoscaling/v2's
    /// `behavior` and the flags of its controller manager.
    pub fn as_in_kubernetes(metrics: Vec<(ScaleMetric, u64)>) -> Self {
        let change = |amount| HpaChange { amount, period: Duration::from_secs(15) };
        let rules = |window_s, policies| HpaRules {
            stabilization_window: Duration::from_secs(window_s),
            tolerance_permille: 100,
            policies,
            select: HpaSelect::Max,
        };
        let doubled = change(HpaAmount::Percent(100));
        Self {
            metrics,
            sync_period: Duration::from_secs(15),
            up: rules(0, vec![doubled, change(HpaAmount::Count(4))]),
            down: rules(300, vec![doubled]),
            cpu_initialization_period: Duration::from_secs(300),
            initial_readiness_delay: Duration::from_secs(30),
        }
    }
}

impl Kpa {
    /// What Knative does for this metric when a service says nothing else, with its own target for
    /// the metric: 100 requests at once, or 200 per second.
    pub fn as_in_knative(metric: ScaleMetric) -> Self {
        let target = if metric == ScaleMetric::RequestsPerS { 200 } else { 100 };
        Self {
            metric,
            target_permille: target * 1000,
            target_utilization_percent: 70,
            stable_window: Duration::from_secs(60),
            panic_window_percent: 10,
            panic_threshold_percent: 200,
            scale_up_rate_max_permille: 1_000_000,
            scale_down_rate_max_permille: 2000,
            scale_down_delay: Duration::ZERO,
            tick: Duration::from_secs(2),
            activation_scale: 1,
        }
    }
}
