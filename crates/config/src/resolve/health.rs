//! Health of a service's instances, from what is written to what is desired.
//! What a probe then finds is not known here.

use http1::{is_authority, is_field_value, is_token};
use model::{BodyPattern, Health, HttpProbe, Probe};

use crate::defaults;
use crate::report::Report;
use crate::resolve::service::{argv, text};
use crate::schema::health::{
    self as written, GrpcForm, ProbeMethod, Status, StatusRange, Statuses,
};
use crate::schema::text::{Form as _, HasDefault as _};
use crate::tree::join;

/// Headers that decide how a message or a connection ends, or are too much for a probe.
const CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Resolves `health` of the service at this path.
pub(super) fn health(
    path: &str,
    written: Option<&written::HealthForm>,
    report: &mut Report<'_>,
) -> Health {
    let path = format!("{path}.health");
    let table = match written {
        None => written::Health::default(),
        Some(written::HealthForm::Path(path)) => {
            written::Health { path: Some(path.clone()), ..written::Health::default() }
        }
        Some(written::HealthForm::Table(table)) => (**table).clone(),
    };
    let interval = table.interval.get();
    let interval_fast = match table.interval_fast {
        Some(fast) => fast.get(),
        None => defaults::HealthIntervalFast::default().get().min(interval),
    };
    if interval_fast > interval {
        let [fast, slow] = ["interval_fast", "interval"].map(|key| format!("{path}.{key}"));
        report.problem(
            &[&fast, &slow],
            format!("{} is more than interval ({})", text(interval_fast), text(interval)),
            "lower interval_fast or raise interval".into(),
        );
    }
    let probe = probe(&path, &table, report);
    if table.feedback && probe == Probe::Tcp {
        let [feedback, path] = ["feedback", "path"].map(|key| format!("{path}.{key}"));
        report.problem(
            &[&feedback, &path],
            "has no effect: a connection that is accepted says nothing".into(),
            "add a path, grpc or command, or remove it".into(),
        );
    }
    Health {
        probe,
        interval,
        interval_fast,
        timeout: table.timeout.get(),
        healthy: table.healthy.get(),
        unhealthy: table.unhealthy.get(),
        timeout_boot: table.timeout_boot.get(),
        feedback: table.feedback,
    }
}

fn probe(path: &str, table: &written::Health, report: &mut Report<'_>) -> Probe {
    one_kind(path, table, report);
    if let Some(text) = &table.path {
        return Probe::Http(Box::new(HttpProbe {
            path: text.value.0.clone(),
            method: method(path, table, report),
            headers: headers(path, table, report),
            statuses: statuses(table.status.as_ref()),
            body: table.body.as_ref().map(|text| text.value.0.as_str().into()),
            body_match: body_match(path, table, report),
        }));
    }
    without_path(path, table, report);
    if let Some(command) = &table.command {
        let argv = argv(command);
        if argv.first().is_none_or(|program| program.trim().is_empty()) {
            let hint = "name a program first, such as [\"./check.sh\", \"{port}\"]";
            report.problem(&[&format!("{path}.command")], "has no program".into(), hint.into());
        }
        return Probe::Command { argv };
    }
    match &table.grpc {
        Some(GrpcForm::Switch(true)) => Probe::Grpc { service: "".into() },
        Some(GrpcForm::Service(name)) => Probe::Grpc { service: name.value.0.as_str().into() },
        Some(GrpcForm::Switch(false)) | None => Probe::Tcp,
    }
}

/// An instance is asked in one way.
fn one_kind(path: &str, table: &written::Health, report: &mut Report<'_>) {
    let asks_grpc = !matches!(table.grpc, None | Some(GrpcForm::Switch(false)));
    let kinds =
        [("path", table.path.is_some()), ("grpc", asks_grpc), ("command", table.command.is_some())];
    let mut written = kinds.into_iter().filter(|&(_, is_written)| is_written);
    let Some((first, _)) = written.next() else { return };
    for (other, _) in written {
        let [first, other] = [first, other].map(|key| format!("{path}.{key}"));
        report.problem(
            &[&other, &first],
            format!("stands beside {}", report.elsewhere(&first)),
            "keep one: an instance is asked in one way".into(),
        );
    }
}

/// Keys that say what is asked of a path, and what has to come back, mean nothing without one.
fn without_path(path: &str, table: &written::Health, report: &mut Report<'_>) {
    let keys = [
        ("method", table.method.is_some()),
        ("headers", table.headers.is_some()),
        ("status", table.status.is_some()),
        ("body", table.body.is_some()),
        ("body_match", table.body_match.is_some()),
    ];
    for (key, _) in keys.into_iter().filter(|&(_, is_written)| is_written) {
        report.problem(
            &[&format!("{path}.{key}"), &format!("{path}.path")],
            "has no effect: without a path nothing is requested".into(),
            "add path = \"/healthz\", or remove it".into(),
        );
    }
}

fn method(path: &str, table: &written::Health, report: &mut Report<'_>) -> Box<str> {
    let method =
        table.method.as_ref().map_or_else(|| ProbeMethod::DEFAULT.into(), |it| it.value.0.clone());
    let at = format!("{path}.method");
    if &*method == "CONNECT" {
        let message = "CONNECT asks for a tunnel, and a probe wants an answer".to_owned();
        report.problem(&[&at], message, "use \"GET\", \"HEAD\", \"OPTIONS\" or \"POST\"".into());
    }
    if &*method == "HEAD" {
        let keys = [("body", table.body.is_some()), ("body_match", table.body_match.is_some())];
        for (key, _) in keys.into_iter().filter(|&(_, is_written)| is_written) {
            report.problem(
                &[&format!("{path}.{key}"), &at],
                "never passes: the answer to HEAD has no body".into(),
                "remove it, or use another method".into(),
            );
        }
    }
    method
}

fn headers(
    path: &str,
    table: &written::Health,
    report: &mut Report<'_>,
) -> Vec<(Box<str>, Box<str>)> {
    let mut headers: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (written, value) in table.headers.iter().flatten() {
        let at = join(&format!("{path}.headers"), written);
        let name = written.to_ascii_lowercase();
        let wrong = if !is_token(name.as_bytes()) {
            Some((
                format!("{written:?} is not the name of a header"),
                "use letters, digits and `-`, such as `X-Env`",
            ))
        } else if CONNECTION.contains(&name.as_str()) {
            Some((
                format!("{written} decides how messages and connections end, which Herder sees to"),
                "remove it",
            ))
        } else if headers.iter().any(|(other, _)| **other == *name) {
            Some((format!("{written} is there already"), "keep one of the two"))
        } else if !is_field_value(value.as_bytes()) {
            Some((format!("{value:?} has a control character"), "write one line of plain text"))
        } else if value.trim() != value {
            let message = format!("{value:?} begins or ends with white space");
            Some((message, "remove the space, which no reader sees"))
        } else if name == "host" && (value.is_empty() || !is_authority(value.as_bytes())) {
            let hint = "write a host and perhaps a port, such as \"shop.example.com\"";
            Some((format!("{value:?} is not a host"), hint))
        } else {
            None
        };
        match wrong {
            Some((message, hint)) => report.problem(&[&at], message, hint.into()),
            None => headers.push((name.into(), value.as_str().into())),
        }
    }
    headers
}

fn statuses(written: Option<&Statuses>) -> Vec<std::ops::RangeInclusive<u16>> {
    let range = |status: &Status| match status {
        Status::Code(code) => code.get()..=code.get(),
        Status::Range(text) => text.value.0.clone(),
    };
    match written {
        Some(Statuses::Many(all)) => all.iter().map(range).collect(),
        Some(Statuses::One(one)) => vec![range(one)],
        None => {
            let usual = StatusRange::read(StatusRange::DEFAULT);
            vec![usual.expect("a default has the form of its key").0]
        }
    }
}

fn body_match(path: &str, table: &written::Health, report: &mut Report<'_>) -> Option<BodyPattern> {
    let written = &table.body_match.as_ref()?.value.0;
    let pattern = BodyPattern::new(written);
    if let Err(why) = &pattern {
        report.problem(
            &[&format!("{path}.body_match")],
            format!("{written:?} is not a regular expression: {why}"),
            "write one such as \"^ok$\"".into(),
        );
    }
    pattern.ok()
}
