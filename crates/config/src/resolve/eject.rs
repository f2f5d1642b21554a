//! Ejection of a service's instances, from what is written to what is desired.
//! Who is ejected when is not known here.

use model::{Eject, Streak};

use crate::defaults;
use crate::report::Report;
use crate::resolve::service::text;
use crate::schema::eject as written;

/// Resolves `eject` of the service at this path.
pub(super) fn eject(
    path: &str,
    written: Option<&written::EjectForm>,
    report: &mut Report<'_>,
) -> Eject {
    let (is_on, table) = match written {
        None => (true, written::Eject::default()),
        Some(written::EjectForm::Switch(is_on)) => (*is_on, written::Eject::default()),
        Some(written::EjectForm::Table(table)) => (true, table.clone()),
    };
    let time = table.time.get();
    let time_max = match table.time_max {
        Some(time_max) => time_max.get(),
        None => defaults::EjectTimeMax::default().get().max(time),
    };
    if time_max < time {
        let [max, first] = ["time_max", "time"].map(|key| format!("{path}.eject.{key}"));
        report.problem(
            &[&max, &first],
            format!("{} is less than time ({})", text(time_max), text(time)),
            "raise time_max or lower time".into(),
        );
    }
    Eject {
        is_on,
        streak: Streak {
            errors: table.errors.get(),
            gateway: table.gateway_errors.get(),
            silent: table.connection_errors.get(),
        },
        deviations_milli: table.success_rate_deviations.get(),
        failure_percent: table.failure_percent.get(),
        instances_min: table.instances_min.get(),
        requests_min: table.requests_min.get(),
        interval: table.interval.get(),
        time,
        time_max,
        percent_max: table.percent_max.get(),
    }
}
