//! What instances may use of the machine, and what a Prometheus is asked, from what is written to
//! what is desired. What there is, is not looked at.

use model::{Machine, PrometheusQuery, Resources, Source};

use crate::report::Report;
use crate::schema::policies::{HpaMetrics, Metric};
use crate::schema::resources as written;
use crate::schema::service::Service;
use crate::tree::element;

/// Resolves `machine`.
pub(super) fn machine(written: &written::Machine) -> Machine {
    Machine {
        memory_bytes: written.memory.map(|size| size.get()),
        cpu_percent: written.cpu_percent.map(|percent| percent.get()),
    }
}

/// Resolves `resources` of the service at this path, and holds them against what needs them.
pub(super) fn resources(
    path: &str,
    service: &Service,
    source: &Source,
    report: &mut Report<'_>,
) -> Resources {
    let table = service.resources.clone().unwrap_or_default();
    let path_resources = format!("{path}.resources");
    if matches!(source, Source::Static(_)) && service.resources.is_some() {
        report.problem(
            &[&path_resources, &format!("{path}.run"), &format!("{path}.static")],
            "has no effect: Herder does not start the instances of a static service".into(),
            "remove it".into(),
        );
    }
    if table.memory.is_none() {
        for key in parts_of_memory(service) {
            report.problem(
                &[&format!("{path}.scale.{key}"), &format!("{path_resources}.memory")],
                "is a part of the memory that an instance may use, and nobody says how much".into(),
                "write resources.memory = \"1GiB\", or take another one".into(),
            );
        }
    }
    Resources {
        memory_bytes: table.memory.map(|size| size.get()),
        cpu_percent: table.cpu_percent.map(|percent| percent.get()),
    }
}

/// The keys of `scale` that go by the memory that an instance uses of what it may.
fn parts_of_memory(service: &Service) -> Vec<String> {
    let Some(scale) = &service.scale else { return Vec::new() };
    let mut keys = Vec::new();
    if scale.target.as_ref().is_some_and(|target| target.memory_percent.is_some()) {
        keys.push("target.memory_percent".to_owned());
    }
    let of_memory = |metric: Option<Metric>| metric == Some(Metric::MemoryPercent);
    match scale.hpa.as_ref().and_then(|hpa| hpa.metrics.as_ref()) {
        Some(HpaMetrics::One(one)) if of_memory(one.metric) => {
            keys.push("hpa.metrics.metric".to_owned());
        }
        Some(HpaMetrics::Many(all)) => {
            let meant = all.iter().enumerate().filter(|(_, one)| of_memory(one.metric));
            keys.extend(meant.map(|(nth, _)| format!("{}.metric", element("hpa.metrics", nth))));
        }
        _ => {}
    }
    if scale.step.as_ref().is_some_and(|step| of_memory(step.metric)) {
        keys.push("step.metric".to_owned());
    }
    keys
}

/// Resolves `scale.target.prometheus`. None: something that it needs is missing, and was reported.
pub(super) fn prometheus(written: &written::Prometheus) -> Option<PrometheusQuery> {
    let url = &written.url.as_ref()?.value;
    Some(PrometheusQuery {
        authority: url.authority.as_str().into(),
        prefix: url.prefix.as_str().into(),
        query: written.query.as_ref()?.value.0.as_str().into(),
        target_permille: written.target?.permille(),
        interval: written.interval.get(),
        timeout: written.timeout.get(),
    })
}
