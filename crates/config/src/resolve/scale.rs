//! How many instances a service has, from what is written to what is desired.
//! What follows from a policy is `scale`'s to say.

mod policies;

use std::time::Duration;

use model::{
    Autoscale, Scale, ScaleMode, ScalePolicy, ScaleSchedule, ScaleTarget, Source, UNLIMITED,
};

use crate::defaults;
use crate::report::Report;
use crate::resolve::resources::prometheus;
use crate::schema::scale as written;
use crate::schema::schedule::{Schedule, Schedules};
use crate::schema::service::Service;
use crate::tree::element;

/// Resolves `scale` of the service at this path.
pub(super) fn scale(
    path: &str,
    service: &Service,
    source: &Source,
    report: &mut Report<'_>,
) -> (Scale, Autoscale) {
    let path = format!("{path}.scale");
    let table = service.scale.clone().unwrap_or_default();
    if let Source::Static(endpoints) = source {
        if service.scale.is_some() {
            let run = path.replace(".scale", ".run");
            report.problem(
                &[&path, &run],
                "has no effect: a static service has one instance per address".into(),
                "remove it".into(),
            );
        }
        let count = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
        return (Scale { min: count, max: count }, Autoscale::fixed());
    }
    let bounds = bounds(&path, &table, report);
    let autoscale = autoscale(&path, service, &table, report);
    (bounds, Autoscale { schedules: schedules(&path, &table, bounds.max, report), ..autoscale })
}

fn bounds(path: &str, table: &written::Scale, report: &mut Report<'_>) -> Scale {
    let min: u32 = table.min.get();
    let max = match table.max {
        Some(max) => max.get(),
        None => defaults::ScaleMax::default().get::<u32>().max(min),
    };
    if max < min {
        let [max_path, min_path] = ["max", "min"].map(|key| format!("{path}.{key}"));
        let (max_name, min_name) = (report.name(&max_path), report.name(&min_path));
        report.problem(
            &[&max_path, &min_path],
            format!("{max} is less than {min_name} ({min})"),
            format!("raise {max_name} or lower {min_name}"),
        );
    }
    Scale { min, max }
}

fn autoscale(
    path: &str,
    service: &Service,
    table: &written::Scale,
    report: &mut Report<'_>,
) -> Autoscale {
    without_effect(path, table, report);
    let policy = match table.policy {
        written::ScalePolicy::Fixed => ScalePolicy::Fixed,
        written::ScalePolicy::Target => {
            let in_flight_max = u32::try_from(service.limits.in_flight_max.get()).ok();
            let limit = in_flight_max.filter(|&limit| limit < UNLIMITED);
            ScalePolicy::Target(target(&table.target.clone().unwrap_or_default(), limit))
        }
        written::ScalePolicy::Hpa => policies::hpa(path, table.hpa.as_ref(), report),
        written::ScalePolicy::Kpa => policies::kpa(table.kpa.as_ref()),
        written::ScalePolicy::Step => policies::step(path, table.step.as_ref(), report),
    };
    Autoscale {
        policy,
        mode: match table.mode {
            written::ScaleMode::Act => ScaleMode::Act,
            written::ScaleMode::Recommend => ScaleMode::Recommend,
        },
        idle_after: idle_after(table),
        schedules: Vec::new(),
        forecasts: table.forecast,
    }
}

fn schedules(
    path: &str,
    table: &written::Scale,
    max: u32,
    report: &mut Report<'_>,
) -> Vec<ScaleSchedule> {
    let max_path = format!("{path}.max");
    let path = format!("{path}.schedule");
    let all = match &table.schedule {
        None => Vec::new(),
        Some(Schedules::Many(all)) => each(&path, all),
        Some(Schedules::One(one)) => vec![(path, one)],
    };
    let schedule = |(path, one): (String, &Schedule)| {
        let count: u32 = one.min?.get();
        if count > max {
            report.problem(
                &[&format!("{path}.min"), &max_path],
                format!("{count} is more than scale.max ({max})"),
                "raise scale.max or lower it".to_owned(),
            );
        }
        Some(ScaleSchedule {
            cron: one.cron.as_ref()?.value.0.clone(),
            zone: one.time_zone.value.0.clone(),
            lasts: one.lasts?.get(),
            count,
        })
    };
    all.into_iter().filter_map(schedule).collect()
}

/// Each of several, with its path.
fn each<'a, T>(path: &str, all: &'a [T]) -> Vec<(String, &'a T)> {
    all.iter().enumerate().map(|(index, one)| (element(path, index), one)).collect()
}

fn idle_after(table: &written::Scale) -> Option<Duration> {
    table.idle_after.and_then(|after| after.get()).map(|period| period.get())
}

/// The keys of a policy mean nothing when another one decides.
fn without_effect(path: &str, table: &written::Scale, report: &mut Report<'_>) {
    let policies = [
        ("target", table.target.is_some(), written::ScalePolicy::Target),
        ("hpa", table.hpa.is_some(), written::ScalePolicy::Hpa),
        ("kpa", table.kpa.is_some(), written::ScalePolicy::Kpa),
        ("step", table.step.is_some(), written::ScalePolicy::Step),
    ];
    let name = |policy| policies.iter().find(|it| it.2 == policy).map_or("fixed", |it| it.0);
    let now = name(table.policy);
    let mut problem = |key: &str, policy: &str| {
        report.problem(
            &[&format!("{path}.{key}"), &format!("{path}.policy")],
            format!("has no effect: the policy is {now:?}"),
            format!("write policy = {policy:?}, or remove it"),
        );
    };
    for (key, is_written, policy) in policies {
        if is_written && policy != table.policy {
            problem(key, key);
        }
    }
    if table.policy == written::ScalePolicy::Fixed && idle_after(table).is_some() {
        problem("idle_after", "target");
    }
    // Neither of them knows how many instances what is asked needs.
    if matches!(table.policy, written::ScalePolicy::Fixed | written::ScalePolicy::Step)
        && table.forecast
    {
        problem("forecast", "target");
    }
}

fn target(written: &written::ScaleTarget, in_flight_max: Option<u32>) -> ScaleTarget {
    ScaleTarget {
        utilisation_percent: written.utilisation_percent.get(),
        concurrency: written.concurrency.map(|count| count.get()).or(in_flight_max),
        cpu_percent: written.cpu_percent.map(|percent| percent.get()),
        memory_percent: written.memory_percent.map(|percent| percent.get()),
        requests_per_s: written.requests_per_second.map(|count| count.get()),
        latency: written.latency.map(|period| period.get()),
        latency_percent: written.latency_percent.get(),
        prometheus: written.prometheus.as_ref().and_then(prometheus).map(Box::new),
        tolerance_up_percent: written.tolerance_up_percent.get(),
        tolerance_down_percent: written.tolerance_down_percent.get(),
        up_percent_max: written.up_percent_max.get(),
        up_count_max: written.up_count_max.get(),
        up_period: written.up_period.get(),
        starting_percent_max: written.starting_percent_max.get(),
        down_window: written.down_window.get(),
        down_half_life: written.down_half_life.get(),
        backlog_drain: written.backlog_drain.get(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both are read by people: the one in the file's reference, the other in what was simulated.
    #[test]
    fn the_defaults_of_the_file_are_those_that_were_tried_out() {
        assert_eq!(target(&written::ScaleTarget::default(), None), ScaleTarget::default());
    }
}
