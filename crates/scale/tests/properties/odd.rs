//! Policies and loads, made by chance, such as nobody has: any numbers at all.
//! What can be said of decisions about them is little, and is said elsewhere.

use std::time::Duration;

use model::{
    Autoscale, Hpa, HpaAmount, HpaChange, HpaRules, HpaSelect, Kpa, ScaleMetric, ScalePolicy,
    ScaleStep, ScaleTarget, Step, StepChange,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::made::autoscale;
use super::world::Load;

/// Numbers that no service has.
pub(crate) fn load() -> impl Strategy<Value = Load> {
    prop_oneof![
        Just(Load::Unknown),
        (0..600_u32).prop_map(|requests| Load::Of(f64::from(requests))),
        [any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()].prop_map(Load::Odd),
        Just(Load::Odd([f64::NAN; 4])),
        Just(Load::Odd([f64::INFINITY; 4])),
        Just(Load::Odd([f64::MAX; 4])),
    ]
}

pub(crate) fn policy() -> BoxedStrategy<Autoscale> {
    prop_oneof![
        hpa().prop_map(ScalePolicy::Hpa),
        kpa().prop_map(ScalePolicy::Kpa),
        step().prop_map(ScalePolicy::Step),
        target().prop_map(ScalePolicy::Target),
    ]
    .prop_map(autoscale)
    .boxed()
}

fn duration() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_millis),
        (0..100_u64).prop_map(Duration::from_secs),
    ]
}

fn three() -> impl Strategy<Value = [Duration; 3]> {
    [duration(), duration(), duration()]
}

fn metric() -> impl Strategy<Value = ScaleMetric> {
    prop_oneof![
        Just(ScaleMetric::CpuPercent),
        Just(ScaleMetric::MemoryPercent),
        Just(ScaleMetric::Concurrency),
        Just(ScaleMetric::RequestsPerS),
        Just(ScaleMetric::QueueTimeMs),
    ]
}

fn rules() -> impl Strategy<Value = HpaRules> {
    let amount = prop_oneof![
        any::<u32>().prop_map(HpaAmount::Count),
        any::<u32>().prop_map(HpaAmount::Percent),
    ];
    let change = (amount, duration()).prop_map(|(amount, period)| HpaChange { amount, period });
    let select = prop_oneof![Just(HpaSelect::Max), Just(HpaSelect::Min), Just(HpaSelect::Disabled)];
    (duration(), any::<u32>(), vec(change, 0..3), select).prop_map(
        |(stabilization_window, tolerance_permille, policies, select)| HpaRules {
            stabilization_window,
            tolerance_permille,
            policies,
            select,
        },
    )
}

fn hpa() -> impl Strategy<Value = Hpa> {
    (vec((metric(), any::<u64>()), 0..3), three(), rules(), rules()).prop_map(
        |(metrics, spans, up, down)| Hpa {
            metrics,
            sync_period: spans[0],
            up,
            down,
            cpu_initialization_period: spans[1],
            initial_readiness_delay: spans[2],
        },
    )
}

fn kpa() -> impl Strategy<Value = Kpa> {
    (metric(), any::<[u64; 3]>(), any::<[u32; 4]>(), three()).prop_map(
        |(metric, wide, narrow, spans)| Kpa {
            metric,
            target_permille: wide[0],
            target_utilization_percent: narrow[0],
            stable_window: spans[0],
            panic_window_percent: narrow[1],
            panic_threshold_percent: narrow[2],
            scale_up_rate_max_permille: wide[1],
            scale_down_rate_max_permille: wide[2],
            scale_down_delay: spans[1],
            tick: spans[2],
            activation_scale: narrow[3],
        },
    )
}

fn step() -> impl Strategy<Value = ScaleStep> {
    let change = prop_oneof![
        any::<i32>().prop_map(StepChange::Count),
        any::<i32>().prop_map(StepChange::Percent),
        any::<u32>().prop_map(StepChange::Exactly),
    ];
    let step = (any::<u64>(), any::<u64>(), change).prop_map(|(from, to, change)| Step {
        from_permille: from,
        to_permille: to,
        change,
    });
    (metric(), duration(), duration(), vec(step, 0..4))
        .prop_map(|(metric, window, cooldown, steps)| ScaleStep { metric, window, cooldown, steps })
}

fn target() -> impl Strategy<Value = ScaleTarget> {
    (any::<[u32; 10]>(), three(), duration()).prop_map(|(n, spans, last)| ScaleTarget {
        utilisation_percent: n[0],
        concurrency: Some(n[1]),
        cpu_percent: Some(n[2]),
        memory_percent: Some(n[3]),
        requests_per_s: Some(n[4]),
        latency: Some(last),
        latency_percent: n[5],
        prometheus: None,
        tolerance_up_percent: n[5],
        tolerance_down_percent: n[6],
        up_percent_max: n[7],
        up_count_max: n[8],
        up_period: spans[0],
        starting_percent_max: n[9],
        down_window: spans[1],
        down_half_life: spans[2],
        backlog_drain: last,
    })
}
