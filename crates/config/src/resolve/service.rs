//! One service, from what is written to what is desired.
//! What services have to do with each other and with listeners is not looked at here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::{
    Command, Drain, HttpPolicy, Mode, ProxyProtocolOut, Restart, RouteRule, Service, ServiceName,
    Source, StaticEndpoint,
};

use crate::defaults;
use crate::report::Report;
use crate::resolve::affinity::affinity;
use crate::resolve::balance::balance;
use crate::resolve::compress::compression;
use crate::resolve::eject::eject;
use crate::resolve::health::health;
use crate::resolve::limits::{admission, limits, queue, rate_limits};
use crate::resolve::resources::resources;
use crate::resolve::retry::{hedge, retry};
use crate::resolve::rules::rules;
use crate::resolve::scale::scale;
use crate::schema::service as written;
use crate::tree::{element, join};
use crate::units::duration_text;

/// Characters that a shell acts on: with one of them in it a command is given to a shell.
const SHELL_CHARACTERS: &[char] = &[
    '|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '[', ']', '#', '~',
    '!', '{', '}', '\n',
];

/// Resolves a service.
pub(super) fn service(
    name: ServiceName,
    written: &written::Service,
    report: &mut Report<'_>,
) -> Service {
    let path = join("service", name.as_str());
    let source = source(&path, written, report);
    let (algorithm, hash_on) = balance(&path, written, report);
    let (scale, autoscale) = scale(&path, written, &source, report);
    Service {
        routes: routes(&path, written).into_iter().map(|(rule, _)| rule).collect(),
        mode: match written.mode {
            written::Mode::Http => Mode::Http,
            written::Mode::Tcp => Mode::Tcp,
        },
        proxy_protocol: match written.proxy_protocol {
            written::ProxyProtocolOut::Off => ProxyProtocolOut::Off,
            written::ProxyProtocolOut::V1 => ProxyProtocolOut::V1,
            written::ProxyProtocolOut::V2 => ProxyProtocolOut::V2,
        },
        health: health(&path, written.health.as_ref(), report),
        eject: eject(&path, written.eject.as_ref(), report),
        panic_percent: written.panic.get(),
        slow_start: written.slow_start.get(),
        balance: algorithm,
        hash_on,
        affinity: affinity(&path, name.as_str(), written.affinity.as_ref(), report),
        scale,
        autoscale,
        resources: resources(&path, written, &source, report),
        drain: drain(written.drain.as_ref()),
        restart: restart(&path, written.restart.as_ref(), report),
        http: http(&written.http),
        limits: limits(&path, &written.limits, report),
        queue: queue(&written.queue),
        retry: retry(&path, &written.retry, report),
        rate_limits: rate_limits(written.rate_limit.as_ref()),
        admission: admission(written.admission.as_ref()),
        hedge: written.hedge.as_ref().map(hedge),
        compression: compression(&path, written.compress.as_ref(), report),
        rules: rules(&path, written, report),
        source,
        name,
    }
}

/// The routes of a service, each with the path it is written at.
pub(super) fn routes(path: &str, written: &written::Service) -> Vec<(RouteRule, String)> {
    match &written.route {
        Some(routes) => listed(path, routes),
        // A route beside this is reported elsewhere.
        None if written.mode == written::Mode::Tcp => Vec::new(),
        None => vec![(RouteRule { host: None, path: "/".into() }, format!("{path}.route"))],
    }
}

/// The routes that are written, each with the path it is written at.
pub(super) fn listed(path: &str, written: &written::Routes) -> Vec<(RouteRule, String)> {
    let path = format!("{path}.route");
    match written {
        written::Routes::One(route) => vec![(rule(route), path)],
        written::Routes::Many(routes) => {
            let with_place = |(index, route)| (rule(route), element(&path, index));
            routes.iter().enumerate().map(with_place).collect()
        }
    }
}

fn rule(route: &written::Route) -> RouteRule {
    match route {
        written::Route::Short(text) => {
            RouteRule { host: text.value.host.clone(), path: text.value.path.clone() }
        }
        written::Route::Long(table) => RouteRule {
            host: table.host.as_ref().map(|host| host.value.0.clone()),
            path: table.path.as_ref().map_or_else(|| "/".into(), |path| path.value.0.clone()),
        },
    }
}

fn source(path: &str, written: &written::Service, report: &mut Report<'_>) -> Source {
    let [run_path, static_path] = ["run", "static"].map(|key| format!("{path}.{key}"));
    match (&written.run, &written.fixed) {
        (Some(run), fixed) => {
            if fixed.is_some() {
                report.problem(
                    &[&static_path, &run_path],
                    format!("stands beside {}", report.elsewhere(&run_path)),
                    "keep one: run starts instances, static names those that others run".into(),
                );
            }
            let argv = argv(run);
            if argv.first().is_none_or(|program| program.trim().is_empty()) {
                let hint = "name a program first, such as [\"node\", \"server.js\"]";
                report.problem(&[&run_path], "has no program".into(), hint.into());
            }
            Source::Command(Command {
                argv,
                env: written.env.clone().unwrap_or_default(),
                dir: written.dir.as_ref().map(|dir| PathBuf::from(&dir.value.0)),
            })
        }
        (None, Some(fixed)) => {
            without_effect(path, written, report);
            Source::Static(addresses(&static_path, fixed, report))
        }
        (None, None) => {
            report.missing(
                path,
                &[&run_path, &static_path],
                "has nothing to run".into(),
                "add run = \"COMMAND\", or static = [\"IP:PORT\"] for instances that others run"
                    .into(),
            );
            Source::Command(Command { argv: Vec::new(), env: BTreeMap::new(), dir: None })
        }
    }
}

/// Keys that say how Herder starts instances mean nothing when it starts none.
fn without_effect(path: &str, written: &written::Service, report: &mut Report<'_>) {
    let keys = [
        ("env", written.env.is_some()),
        ("dir", written.dir.is_some()),
        ("restart", written.restart.is_some()),
    ];
    for (key, _) in keys.into_iter().filter(|&(_, present)| present) {
        report.problem(
            &[&format!("{path}.{key}"), &format!("{path}.run"), &format!("{path}.static")],
            "has no effect: Herder does not start the instances of a static service".into(),
            "remove it".into(),
        );
    }
}

fn addresses(
    path: &str,
    written: &[written::Static],
    report: &mut Report<'_>,
) -> Vec<StaticEndpoint> {
    let endpoints: Vec<StaticEndpoint> = written
        .iter()
        .map(|one| match one {
            written::Static::Address(text) => StaticEndpoint {
                addr: text.value.0,
                weight: defaults::Weight::default().get(),
                priority: defaults::Priority::default().get(),
            },
            written::Static::Weighted(table) => StaticEndpoint {
                addr: table.address.value.0,
                weight: table.weight.get(),
                priority: table.priority.get(),
            },
        })
        .collect();
    let mut first: BTreeMap<_, usize> = BTreeMap::new();
    for (index, endpoint) in endpoints.iter().enumerate() {
        if let Some(&before) = first.get(&endpoint.addr) {
            report.problem(
                &[&element(path, index)],
                format!("{} is also {}", endpoint.addr, report.elsewhere(&element(path, before))),
                "remove one; `weight` gives an address a larger share".into(),
            );
        } else {
            first.insert(endpoint.addr, index);
        }
    }
    endpoints
}

/// A command as program and arguments.
pub(super) fn argv(run: &written::Run) -> Vec<String> {
    let line = match run {
        written::Run::Argv(argv) => return argv.clone(),
        written::Run::Line(line) => line.value.0.trim(),
    };
    let plain = line.replace("{port}", "");
    let assigns = line.split_whitespace().next().is_some_and(|word| word.contains('='));
    if assigns || plain.contains(SHELL_CHARACTERS) {
        vec!["/bin/sh".into(), "-c".into(), line.into()]
    } else {
        line.split_whitespace().map(str::to_owned).collect()
    }
}

fn drain(written: Option<&written::DrainForm>) -> Drain {
    let table = match written {
        None => written::Drain::default(),
        Some(&written::DrainForm::Timeout(timeout)) => {
            written::Drain { timeout, ..written::Drain::default() }
        }
        Some(written::DrainForm::Table(table)) => table.clone(),
    };
    Drain { timeout_drain: table.timeout.get(), timeout_grace: table.grace.get() }
}

fn restart(path: &str, written: Option<&written::Restart>, report: &mut Report<'_>) -> Restart {
    let table = written.cloned().unwrap_or_default();
    let default_min = defaults::BackoffMin::default().get();
    let default_max = defaults::BackoffMax::default().get();
    // A bound that is not written gives way to the one that is.
    let (backoff_min, backoff_max) = match (table.backoff_min, table.backoff_max) {
        (None, None) => (default_min, default_max),
        (Some(min), None) => (min.get(), default_max.max(min.get())),
        (None, Some(max)) => (default_min.min(max.get()), max.get()),
        (Some(min), Some(max)) => (min.get(), max.get()),
    };
    if backoff_max < backoff_min {
        let [max, min] = ["backoff_max", "backoff_min"].map(|key| format!("{path}.restart.{key}"));
        report.problem(
            &[&max, &min],
            format!("{} is less than backoff_min ({})", text(backoff_max), text(backoff_min)),
            "raise backoff_max or lower backoff_min".into(),
        );
    }
    Restart {
        backoff_min,
        backoff_max,
        forgive_after: table.forgive_after.get(),
        crash_loop: table.crash_loop.get(),
    }
}

fn http(written: &written::Http) -> HttpPolicy {
    HttpPolicy {
        timeout_connect: written.timeout_connect.get(),
        timeout_response: written.timeout_response.get(),
        timeout_continue: written.timeout_continue.get(),
        timeout_request: written.timeout_request.limit(),
        timeout_body: written.timeout_body.get(),
        body_bytes_max: written.body_max.get(),
        idle_max: written.idle_max.get(),
        connection_requests_max: written.connection_requests_max.get(),
        connection_age_max: written.connection_age_max.limit(),
        timeout_idle: written.timeout_idle.get(),
        splice_bytes_min: written.splice_min.get(),
        timeout_tunnel: written.timeout_tunnel.get(),
        adds_forwarded: written.forwarded,
        adds_via: written.via,
        keepalive: written.tcp_keepalive.get().map(|period| period.get()),
    }
}

/// A duration as the file would have it.
pub(super) fn text(duration: std::time::Duration) -> String {
    duration_text(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
