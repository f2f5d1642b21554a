//! The policies of scaling that others have, from what is written to what is desired.
//! What they do with it is `scale`'s to say; what is not written is as over there.

use model::{
    Hpa, HpaAmount, HpaChange, HpaRules, HpaSelect, Kpa, ScaleMetric, ScalePolicy, ScaleStep, Step,
    StepChange,
};

use crate::report::Report;
use crate::resolve::scale::each;
use crate::rule::list;
use crate::schema::policies as written;

/// Resolves the policy `hpa` of the scale at this path.
pub(super) fn hpa(
    path: &str,
    written: Option<&written::Hpa>,
    report: &mut Report<'_>,
) -> ScalePolicy {
    let Some(written) = written else {
        let hint = "add hpa.metrics = [{ metric = \"concurrency\", target = 10 }]";
        return nothing(path, "hpa", hint, report);
    };
    let at = format!("{path}.hpa.metrics");
    let all = match &written.metrics {
        None => Vec::new(),
        Some(written::HpaMetrics::Many(all)) => each(&at, all),
        Some(written::HpaMetrics::One(one)) => vec![(at, one)],
    };
    let mut metrics = Vec::new();
    for (_, one) in all {
        let (Some(metric), Some(target)) = (one.metric, one.target) else { continue };
        metrics.push((self::metric(metric), target.permille()));
    }
    let usual = Hpa::as_in_kubernetes(Vec::new());
    let (up, down) = (&written.up, &written.down);
    let mut changes = |direction: &str, written: Option<&_>, usual| match written {
        Some(written) => self::changes(&format!("{path}.hpa.{direction}"), written, report),
        None => usual,
    };
    ScalePolicy::Hpa(Hpa {
        metrics,
        sync_period: written.sync_period.get(),
        up: HpaRules {
            stabilization_window: up.stabilization_window.get(),
            tolerance_permille: up.tolerance.permille(),
            policies: changes("up", up.policies.as_ref(), usual.up.policies),
            select: select(up.select),
        },
        down: HpaRules {
            stabilization_window: down.stabilization_window.get(),
            tolerance_permille: down.tolerance.permille(),
            policies: changes("down", down.policies.as_ref(), usual.down.policies),
            select: select(down.select),
        },
        cpu_initialization_period: written.cpu_initialization_period.get(),
        initial_readiness_delay: written.initial_readiness_delay.get(),
    })
}

/// Resolves the policy `kpa`.
pub(super) fn kpa(written: Option<&written::Kpa>) -> ScalePolicy {
    let written = written.cloned().unwrap_or_default();
    let metric = match written.metric {
        written::KpaMetric::Concurrency => ScaleMetric::Concurrency,
        written::KpaMetric::RequestsPerS => ScaleMetric::RequestsPerS,
    };
    let usual = Kpa::as_in_knative(metric).target_permille;
    ScalePolicy::Kpa(Kpa {
        metric,
        target_permille: written.target.map_or(usual, |target| target.permille()),
        target_utilization_percent: written.target_utilization_percent.get(),
        stable_window: written.stable_window.get(),
        panic_window_percent: written.panic_window_percent.get(),
        panic_threshold_percent: written.panic_threshold_percent.get(),
        scale_up_rate_max_permille: written.scale_up_rate_max.permille(),
        scale_down_rate_max_permille: written.scale_down_rate_max.permille(),
        scale_down_delay: written.scale_down_delay.get(),
        tick: written.tick.get(),
        activation_scale: written.activation_scale.get(),
    })
}

/// Resolves the policy `step` of the scale at this path.
pub(super) fn step(
    path: &str,
    written: Option<&written::Step>,
    report: &mut Report<'_>,
) -> ScalePolicy {
    let Some(written) = written else {
        let hint = "add step.metric = \"concurrency\" and \
                    step.steps = [{ from = 8, count = 1 }, { to = 2, count = -1 }]";
        return nothing(path, "step", hint, report);
    };
    let at = format!("{path}.step");
    // Without one, which is reported elsewhere, it does not matter.
    let metric = written.metric.unwrap_or(written::Metric::Concurrency);
    let at = format!("{at}.steps");
    let all = match &written.steps {
        None => Vec::new(),
        Some(written::Steps::Many(all)) => each(&at, all),
        Some(written::Steps::One(one)) => vec![(at, one)],
    };
    let steps = all.into_iter().filter_map(|(at, one)| one_step(&at, one, report));
    ScalePolicy::Step(ScaleStep {
        steps: steps.collect(),
        metric: self::metric(metric),
        window: written.window.get(),
        cooldown: written.cooldown.get(),
    })
}

/// A policy that cannot do without its table, and has none.
fn nothing(path: &str, policy: &str, hint: &str, report: &mut Report<'_>) -> ScalePolicy {
    let message = format!("the policy is {policy:?}, and there is nothing that it goes by");
    report.missing(&format!("{path}.policy"), &[&format!("{path}.{policy}")], message, hint.into());
    ScalePolicy::Fixed
}

fn metric(written: written::Metric) -> ScaleMetric {
    match written {
        written::Metric::CpuPercent => ScaleMetric::CpuPercent,
        written::Metric::MemoryPercent => ScaleMetric::MemoryPercent,
        written::Metric::Concurrency => ScaleMetric::Concurrency,
        written::Metric::RequestsPerS => ScaleMetric::RequestsPerS,
        written::Metric::QueueTimeMs => ScaleMetric::QueueTimeMs,
    }
}

fn select(written: written::HpaSelect) -> HpaSelect {
    match written {
        written::HpaSelect::Max => HpaSelect::Max,
        written::HpaSelect::Min => HpaSelect::Min,
        written::HpaSelect::Disabled => HpaSelect::Disabled,
    }
}

fn changes(path: &str, written: &written::HpaChanges, report: &mut Report<'_>) -> Vec<HpaChange> {
    let path = format!("{path}.policies");
    let all = match written {
        written::HpaChanges::Many(all) => each(&path, all),
        written::HpaChanges::One(one) => vec![(path, one)],
    };
    let change = |(path, one): (String, &written::HpaChange)| {
        let amounts = [
            ("count", one.count.map(|count| HpaAmount::Count(count.get()))),
            ("percent", one.percent.map(|percent| HpaAmount::Percent(percent.get()))),
        ];
        let amount = only(&path, &amounts, report)?;
        Some(HpaChange { amount, period: one.period.get() })
    };
    all.into_iter().filter_map(change).collect()
}

fn one_step(path: &str, written: &written::OneStep, report: &mut Report<'_>) -> Option<Step> {
    let from_permille = written.from.permille();
    let to_permille = written.to.map_or(u64::MAX, |to| to.permille());
    if to_permille <= from_permille {
        report.problem(
            &[&format!("{path}.to"), &format!("{path}.from")],
            "is not above from, so that no value is between them".to_owned(),
            "raise to or lower from".to_owned(),
        );
    }
    let changes = [
        ("count", written.count.map(|count| StepChange::Count(count.get()))),
        ("percent", written.percent.map(|percent| StepChange::Percent(percent.get()))),
        ("exactly", written.exactly.map(|count| StepChange::Exactly(count.get()))),
    ];
    Some(Step { from_permille, to_permille, change: only(path, &changes, report)? })
}

/// The one key of several that is to be there alone.
fn only<T: Copy>(path: &str, of: &[(&str, Option<T>)], report: &mut Report<'_>) -> Option<T> {
    let written: Vec<(&str, T)> = of.iter().filter_map(|&(key, it)| Some((key, it?))).collect();
    let names = list(of.iter().map(|(key, _)| (*key).to_owned()), "or");
    match *written.as_slice() {
        [(_, it)] => Some(it),
        [(one, it), (other, _), ..] => {
            report.problem(
                &[&format!("{path}.{other}"), &format!("{path}.{one}")],
                format!("stands beside {one}"),
                format!("keep one: {names}"),
            );
            Some(it)
        }
        [] => {
            let keys: Vec<String> = of.iter().map(|(key, _)| format!("{path}.{key}")).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            report.missing(path, &keys, format!("has no {names}"), format!("add {names}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever brings their settings leaves out what is the default over there.
    #[test]
    fn what_is_not_written_is_as_over_there() {
        assert_eq!(kpa(None), ScalePolicy::Kpa(Kpa::as_in_knative(ScaleMetric::Concurrency)));
        let per_s = written::Kpa { metric: written::KpaMetric::RequestsPerS, ..Default::default() };
        let expected = Kpa::as_in_knative(ScaleMetric::RequestsPerS);
        assert_eq!(kpa(Some(&per_s)), ScalePolicy::Kpa(expected));
    }
}
