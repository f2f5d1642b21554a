//! What must hold between listeners, services and settings: addresses and routes that exclude each
//! other, ports that suffice. Each check is a function; none changes anything.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use model::{RouteRule, Source};

use crate::report::Report;
use crate::resolve::affinity;
use crate::resolve::service::{listed, routes};
use crate::schema::Config;
use crate::settings::Resolved;
use crate::tree::{element, join};

/// Makes all checks.
pub(super) fn check(written: &Config, resolved: &Resolved, report: &mut Report<'_>) {
    some_service(written, report);
    addresses_apart(resolved, report);
    instance_ports_apart(resolved, report);
    instance_ports_suffice(resolved, report);
    static_addresses_elsewhere(resolved, report);
    routes_apart(written, report);
    affinity::cookies_apart(written, resolved, report);
}

fn some_service(written: &Config, report: &mut Report<'_>) {
    if written.service.is_empty() {
        report.missing(
            "service",
            &["service"],
            "there is none".into(),
            "add [service.NAME] with run = \"COMMAND\"".into(),
        );
    }
}

/// Every address that Herder itself accepts on, with its path; the admin API last.
fn binds(resolved: &Resolved) -> Vec<(String, SocketAddr)> {
    let listeners = resolved.desired.listeners.iter();
    let mut binds: Vec<_> =
        listeners.map(|(name, one)| (join("listener", name) + ".bind", one.bind)).collect();
    binds.extend(resolved.settings.admin_bind.map(|addr| ("admin.bind".to_owned(), addr)));
    binds
}

fn addresses_apart(resolved: &Resolved, report: &mut Report<'_>) {
    let mut binds = binds(resolved);
    // Defaults first: what is written is what can be changed.
    binds.sort_by_key(|(path, _)| (report.is_written(path), report.place(path)));
    for (index, (path, addr)) in binds.iter().enumerate() {
        let clash = binds[..index].iter().find(|(_, other)| overlap(*addr, *other));
        if let Some((other_path, other)) = clash {
            let other_name = report.elsewhere(other_path);
            let same = if addr == other { String::new() } else { format!(", which is {other}") };
            report.problem(
                &[path, other_path],
                format!("{addr} is taken by {other_name}{same}"),
                "give each a port of its own".into(),
            );
        }
    }
}

/// Whether nobody can accept on both: one port, and one address or all addresses. Port 0 is a
/// different one each time.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let any = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || (same_family && any))
}

fn instance_ports_apart(resolved: &Resolved, report: &mut Report<'_>) {
    let (first, last) = resolved.settings.ports;
    for (path, addr) in binds(resolved) {
        if (first..=last).contains(&addr.port()) {
            let ports = report.elsewhere("instances.ports");
            report.problem(
                &[&path, "instances.ports"],
                format!("port {} belongs to the instances: {ports} is {first}-{last}", addr.port()),
                "choose a port outside that range, or move the range".into(),
            );
        }
    }
}

/// One port per instance, and one more per service for the instance that a restart starts first.
fn instance_ports_suffice(resolved: &Resolved, report: &mut Report<'_>) {
    let (first, last) = resolved.settings.ports;
    let ports = u32::from(last - first) + 1;
    let services = resolved.desired.services.values();
    let started = services.filter(|service| matches!(service.source, Source::Command(_)));
    let needed: u32 = started.map(|service| service.scale.max.saturating_add(1)).sum();
    if needed > ports {
        let paths: Vec<String> =
            resolved.desired.services.keys().map(|name| join("service", name.as_str())).collect();
        let mut involved = vec!["instances.ports"];
        involved.extend(paths.iter().map(String::as_str));
        report.problem(
            &involved,
            format!(
                "{first}-{last} has {ports} ports, and the services may need {needed}: max and \
                 one more for a restart, each"
            ),
            "widen the range, or lower scale.max".into(),
        );
    }
}

fn static_addresses_elsewhere(resolved: &Resolved, report: &mut Report<'_>) {
    let binds = binds(resolved);
    for (name, service) in &resolved.desired.services {
        let Source::Static(endpoints) = &service.source else {
            continue;
        };
        for (index, endpoint) in endpoints.iter().enumerate() {
            let leads_here = |bind: &SocketAddr| {
                let all = bind.ip().is_unspecified() && endpoint.addr.ip().is_loopback();
                bind.port() == endpoint.addr.port() && (bind.ip() == endpoint.addr.ip() || all)
            };
            if let Some((path, _)) = binds.iter().find(|(_, bind)| leads_here(bind)) {
                let here = report.elsewhere(path);
                let at = element(&(join("service", name.as_str()) + ".static"), index);
                report.problem(
                    &[&at, path],
                    format!("{} leads back to Herder: it is {here}", endpoint.addr),
                    "write where the instance itself listens".into(),
                );
            }
        }
    }
}

fn routes_apart(written: &Config, report: &mut Report<'_>) {
    let mut all: Vec<(RouteRule, String, String)> = Vec::new();
    for (name, service) in &written.service {
        let owner = join("service", name);
        let routes = routes(&owner, service).into_iter();
        all.extend(routes.map(|(rule, path)| (rule, path, owner.clone())));
    }
    for (name, redirect) in &written.redirect {
        let Some(written) = &redirect.route else { continue };
        let owner = join("redirect", name);
        let routes = listed(&owner, written).into_iter();
        all.extend(routes.map(|(rule, path)| (rule, path, owner.clone())));
    }
    all.sort_by_key(|(_, path, _)| report.place(path));
    let mut taken: BTreeMap<&RouteRule, (&str, &str)> = BTreeMap::new();
    for (rule, path, owner) in &all {
        if let Some(&(other_path, other_owner)) = taken.get(rule) {
            let host = rule.host.as_deref().unwrap_or("any host");
            let leads = format!("{host} with {:?} already leads to", rule.path);
            let (message, hint) = if other_owner == owner {
                let kind = if owner.starts_with("redirect.") { "redirect" } else { "service" };
                (format!("{leads} this {kind}: {}", report.elsewhere(other_path)), "remove it")
            } else {
                let message = format!("{leads} {}", report.elsewhere(other_owner));
                (message, "give one of the two another host or path")
            };
            report.problem(&[path, other_path], message, hint.to_owned());
        } else {
            taken.insert(rule, (path, owner));
        }
    }
}
