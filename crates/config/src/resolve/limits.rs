//! Limits and queues, from what is written to what is desired.
//! Who counts and who waits is not known here.

use model::{
    Adaptive, Admission, Codel, Limits, PriorityFrom, PriorityHeader, QueuePolicy, RateKey,
    RateLimit, UNLIMITED,
};

use crate::defaults;
use crate::report::Report;
use crate::schema::limits as written;

/// Resolves `limits`.
pub(super) fn limits(path: &str, written: &written::Limits, report: &mut Report<'_>) -> Limits {
    Limits {
        adaptive: adaptive(&format!("{path}.limits.adaptive"), written.adaptive.as_ref(), report),
        in_flight_max: limit(written.in_flight_max.get()),
        service_in_flight_max: limit(written.service_in_flight_max.get()),
    }
}

fn adaptive(
    path: &str,
    written: Option<&written::AdaptiveForm>,
    report: &mut Report<'_>,
) -> Adaptive {
    let (is_on, table) = match written {
        None => (false, &written::Adaptive::default()),
        Some(written::AdaptiveForm::Switch(is_on)) => (*is_on, &written::Adaptive::default()),
        Some(written::AdaptiveForm::Table(table)) => (true, table),
    };
    let min = table.min.get();
    let max = match table.max {
        Some(max) => max.get(),
        None => defaults::AdaptiveMax::default().get::<u32>().max(min),
    };
    if max < min {
        report.problem(
            &[&format!("{path}.max"), &format!("{path}.min")],
            format!("{max} is less than min ({min})"),
            "raise max or lower min".to_owned(),
        );
    }
    let tolerance_percent = table.tolerance_percent.get();
    Adaptive { is_on, min, max, tolerance_percent, remeasure: table.remeasure.get() }
}

/// Resolves `admission`.
pub(super) fn admission(written: Option<&written::AdmissionForm>) -> Admission {
    let (is_on, table) = match written {
        None => (false, &written::Admission::default()),
        Some(written::AdmissionForm::Switch(is_on)) => (*is_on, &written::Admission::default()),
        Some(written::AdmissionForm::Table(table)) => (true, table),
    };
    Admission {
        is_on,
        success_percent: table.success_percent.get(),
        window: table.window.get(),
        rate_min: table.rate_min.get(),
        refused_percent_max: table.refused_percent_max.get(),
    }
}

/// Resolves `queue`.
pub(super) fn queue(written: &written::Queue) -> QueuePolicy {
    let interval = written.interval.get();
    QueuePolicy {
        waiting_max: written.max.get(),
        timeout_wait: written.timeout.get(),
        codel: written.target.get().map(|target| Codel { target: target.get(), interval }),
        sheds: written.shed,
        priority: written.priority_header.as_ref().map(|name| PriorityHeader {
            name: name.value.0.clone(),
            from: match written.priority_from {
                written::PriorityFrom::Trusted => PriorityFrom::Trusted,
                written::PriorityFrom::Anyone => PriorityFrom::Anyone,
            },
        }),
    }
}

/// Resolves `rate_limit`.
pub(super) fn rate_limits(written: Option<&written::RateLimits>) -> Box<[RateLimit]> {
    match written {
        None => Box::default(),
        Some(written::RateLimits::One(one)) => rate_limit(one).into_iter().collect(),
        Some(written::RateLimits::Many(all)) => all.iter().filter_map(rate_limit).collect(),
    }
}

/// None without a rate: that is reported elsewhere.
fn rate_limit(written: &written::RateLimit) -> Option<RateLimit> {
    let written::Rate { count, per } = written.rate.as_ref()?.value;
    let in_a_second = u64::from(count) / per.as_secs().max(1);
    Some(RateLimit {
        key: written.key.as_ref().map_or(RateKey::Client, |key| key.value.0.clone()),
        count,
        per,
        burst: match written.burst {
            Some(burst) => burst.get(),
            None => u32::try_from(in_a_second).unwrap_or(u32::MAX).max(1),
        },
    })
}

fn limit(written: u64) -> u32 {
    u32::try_from(written).map_or(UNLIMITED, |limit| limit.min(UNLIMITED))
}
