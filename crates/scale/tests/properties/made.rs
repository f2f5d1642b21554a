//! Policies and loads, made by chance, such as people have.
//! It decides nothing about what holds for which of them.

use std::time::Duration;

use model::{
    Autoscale, Hpa, HpaAmount, HpaChange, HpaRules, HpaSelect, Kpa, ScaleMetric, ScalePolicy,
    ScaleStep, ScaleTarget, Step, StepChange,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::world::Load;

pub(crate) fn autoscale(policy: ScalePolicy) -> Autoscale {
    Autoscale { policy, ..Autoscale::fixed() }
}

/// Any policy that a file can ask for.
pub(crate) fn policy() -> BoxedStrategy<Autoscale> {
    prop_oneof![aiming(), step().prop_map(|step| autoscale(ScalePolicy::Step(step)))].boxed()
}

/// One that has an aim: all but steps.
pub(crate) fn aiming() -> BoxedStrategy<Autoscale> {
    let policy = prop_oneof![
        Just(ScalePolicy::Fixed),
        target().prop_map(ScalePolicy::Target),
        hpa().prop_map(ScalePolicy::Hpa),
        kpa().prop_map(ScalePolicy::Kpa),
    ];
    policy.prop_map(autoscale).boxed()
}

fn s(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

pub(crate) fn target() -> impl Strategy<Value = ScaleTarget> {
    let signals = (option::of(1..50_u32), option::of(20..100_u32), option::of(1..100_u32));
    let tolerances = (0..30_u32, 0..30_u32);
    let up = (1..400_u32, 1..10_u32, s(5..30), 10..90_u32);
    let down = (s(10..90), s(1..30), s(1..30));
    (50..100_u32, signals, tolerances, up, down).prop_map(
        |(used, signals, tolerances, up, down)| ScaleTarget {
            utilisation_percent: used,
            concurrency: signals.0,
            cpu_percent: signals.1,
            memory_percent: None,
            requests_per_s: signals.2,
            latency: None,
            latency_percent: 95,
            prometheus: None,
            tolerance_up_percent: tolerances.0,
            tolerance_down_percent: tolerances.1,
            up_percent_max: up.0,
            up_count_max: up.1,
            up_period: up.2,
            starting_percent_max: up.3,
            down_window: down.0,
            down_half_life: down.1,
            backlog_drain: down.2,
        },
    )
}

fn metric() -> impl Strategy<Value = (ScaleMetric, u64)> {
    prop_oneof![
        (10..100_u64).prop_map(|target| (ScaleMetric::CpuPercent, target * 1000)),
        (10..100_u64).prop_map(|target| (ScaleMetric::MemoryPercent, target * 1000)),
        (500..50_000_u64).prop_map(|target| (ScaleMetric::Concurrency, target)),
        (500..50_000_u64).prop_map(|target| (ScaleMetric::RequestsPerS, target)),
    ]
}

pub(crate) fn change() -> impl Strategy<Value = HpaChange> {
    let amount = prop_oneof![
        (1..20_u32).prop_map(HpaAmount::Count),
        (1..=100_u32).prop_map(HpaAmount::Percent),
    ];
    (amount, s(5..30)).prop_map(|(amount, period)| HpaChange { amount, period })
}

fn rules() -> impl Strategy<Value = HpaRules> {
    let select = prop_oneof![Just(HpaSelect::Max), Just(HpaSelect::Min)];
    (s(0..90), 0..200_u32, vec(change(), 1..4), select).prop_map(
        |(stabilization_window, tolerance_permille, policies, select)| HpaRules {
            stabilization_window,
            tolerance_permille,
            policies,
            select,
        },
    )
}

pub(crate) fn hpa() -> impl Strategy<Value = Hpa> {
    (vec(metric(), 1..4), s(1..20), rules(), rules(), s(0..60), s(0..30)).prop_map(
        |(metrics, sync_period, up, down, cpu_initialization_period, initial_readiness_delay)| {
            Hpa {
                metrics,
                sync_period,
                up,
                down,
                cpu_initialization_period,
                initial_readiness_delay,
            }
        },
    )
}

pub(crate) fn kpa() -> impl Strategy<Value = Kpa> {
    let metric = prop_oneof![Just(ScaleMetric::Concurrency), Just(ScaleMetric::RequestsPerS)];
    let windows = (s(6..60), 1..=100_u32, 110..1000_u32);
    let rates = (1100..5000_u64, 1100..5000_u64);
    (metric, 500..50_000_u64, windows, rates, s(0..30), s(1..6), 0..5_u32).prop_map(
        |(metric, target_permille, windows, rates, scale_down_delay, tick, activation_scale)| Kpa {
            metric,
            target_permille,
            target_utilization_percent: 70,
            stable_window: windows.0,
            panic_window_percent: windows.1,
            panic_threshold_percent: windows.2,
            scale_up_rate_max_permille: rates.0,
            scale_down_rate_max_permille: rates.1,
            scale_down_delay,
            tick,
            activation_scale,
        },
    )
}

/// Whose lowest step leads down to nothing.
pub(crate) fn step() -> impl Strategy<Value = ScaleStep> {
    let change = prop_oneof![
        (-5..5_i32).prop_map(StepChange::Count),
        (-60..60_i32).prop_map(StepChange::Percent),
        (0..20_u32).prop_map(StepChange::Exactly),
    ];
    let step = (1000..40_000_u64, 1000..60_000_u64, change).prop_map(|(from, more, change)| Step {
        from_permille: from,
        to_permille: from + more,
        change,
    });
    let lowest = Step { from_permille: 0, to_permille: 1000, change: StepChange::Count(-1) };
    (s(1..60), s(0..30), vec(step, 0..5)).prop_map(move |(window, cooldown, mut steps)| {
        steps.push(lowest);
        ScaleStep { metric: ScaleMetric::Concurrency, window, cooldown, steps }
    })
}

/// Levels of load for some seconds each, sometimes unknown.
pub(crate) fn loads() -> impl Strategy<Value = Vec<Load>> {
    let load = prop_oneof![
        8 => (0..600_u32).prop_map(|requests| Load::Of(f64::from(requests))),
        2 => Just(Load::Of(0.0)),
        1 => Just(Load::Unknown),
    ];
    vec((load, 1..50_usize), 1..8).prop_map(|parts| {
        parts.into_iter().flat_map(|(load, s)| std::iter::repeat_n(load, s)).collect()
    })
}
