//! Listeners that carry connections as they are, and the services that these are carried to: each
//! needs the other. What else holds between listeners and services is looked at elsewhere.

use crate::report::Report;
use crate::schema::Config;
use crate::schema::service::Mode;
use crate::tree::join;

/// Makes all checks.
pub(super) fn check(written: &Config, report: &mut Report<'_>) {
    listeners_name_tcp_services(written, report);
    tcp_services_are_named(written, report);
    tcp_services_have_no_requests(written, report);
}

fn listeners_name_tcp_services(written: &Config, report: &mut Report<'_>) {
    for (listener, one) in &written.listener {
        let Some(named) = &one.tcp else { continue };
        let name = named.value.0.as_str();
        let at = join("listener", listener) + ".tcp";
        let owner = join("service", name);
        match written.service.get(name) {
            Some(service) if service.mode == Mode::Tcp => {}
            Some(_) => report.problem(
                &[&at, &format!("{owner}.mode")],
                format!("service {name} takes requests, and this listener carries bytes"),
                format!("add mode = \"tcp\" to [{owner}], or remove this"),
            ),
            None => report.problem(
                &[&at, &owner],
                format!("there is no service {name}"),
                format!("add [{owner}] with mode = \"tcp\", or name another"),
            ),
        }
    }
}

fn tcp_services_are_named(written: &Config, report: &mut Report<'_>) {
    let named = |name: &str| {
        let mut listeners = written.listener.values();
        listeners.any(|one| one.tcp.as_ref().is_some_and(|tcp| tcp.value.0.as_str() == name))
    };
    for (name, service) in &written.service {
        if service.mode == Mode::Tcp && !named(name) {
            report.problem(
                &[&(join("service", name) + ".mode"), "listener"],
                "no listener leads to this service".to_owned(),
                format!("add a [listener.NAME] with tcp = \"{name}\""),
            );
        }
    }
}

fn tcp_services_have_no_requests(written: &Config, report: &mut Report<'_>) {
    for (name, service) in &written.service {
        if service.mode != Mode::Tcp {
            continue;
        }
        let path = join("service", name);
        let mode = format!("{path}.mode");
        let elsewhere = report.elsewhere(&mode);
        let keys = [
            ("route", service.route.is_some(), "host and path"),
            ("request_headers", service.request_headers.is_some(), "headers"),
            ("response_headers", service.response_headers.is_some(), "headers"),
            ("rewrite", service.rewrite.is_some(), "path"),
            ("compress", service.compress.is_some(), "responses"),
            ("hedge", service.hedge.is_some(), "responses"),
            ("affinity", service.affinity.is_some(), "cookies"),
            ("limits.adaptive", service.limits.adaptive.is_some(), "latency"),
            ("admission", service.admission.is_some(), "statuses"),
            ("rate_limit", service.rate_limit.is_some(), "requests"),
        ];
        for (key, _, part) in keys.into_iter().filter(|&(_, is_written, _)| is_written) {
            let hint = match key {
                "route" => "remove it: the listener that names the service leads to it",
                _ => "remove it",
            };
            report.problem(
                &[&format!("{path}.{key}"), &mode],
                format!("has no effect: {elsewhere} is \"tcp\", and bytes have no {part}"),
                hint.to_owned(),
            );
        }
    }
}
