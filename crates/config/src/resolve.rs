//! From what is written to what is desired: defaults filled in, forms made one, and what belongs
//! together compared. It is only given what the checker found sound.

mod across;
mod affinity;
mod balance;
mod carried;
mod compress;
mod eject;
mod health;
mod limits;
mod resources;
mod retry;
mod rules;
mod scale;
mod service;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

use model::{Desired, ListenerLimits, ProxyProtocolIn};

use crate::defaults;
use crate::report::Report;
use crate::schema::text::Text;
use crate::schema::{
    self, Access, AccessForm, AccessFormat, Config, Listener, LogFormat as WrittenFormat,
};
use crate::settings::{AccessLog, LogFormat, Resolved, Settings};
use crate::tree::join;

/// Resolves a whole file. What comes back is only of use when `report` stayed empty.
pub(crate) fn resolve(written: &Config, report: &mut Report<'_>) -> Resolved {
    let mut desired = Desired::default();
    for (name, one) in &written.listener {
        let listener = listener(name, one, report);
        desired.listeners.insert(name.as_str().into(), Arc::new(listener));
    }
    if written.listener.is_empty() {
        let listener = listener(defaults::NAME, &Listener::default(), report);
        desired.listeners.insert(defaults::NAME.into(), Arc::new(listener));
    }
    for (name, one) in &written.service {
        // A name that is none was reported by the checker, which left the service out.
        if let Ok(name) = name.parse::<model::ServiceName>() {
            let service = service::service(name.clone(), one, report);
            desired.services.insert(name, Arc::new(service));
        }
    }
    for (name, one) in &written.redirect {
        if let Some(redirect) = rules::redirect(name, one, report) {
            desired.redirects.insert(name.as_str().into(), Arc::new(redirect));
        }
    }
    desired.machine = resources::machine(&written.machine);
    let resolved = Resolved { desired, settings: settings(written) };
    across::check(written, &resolved, report);
    carried::check(written, report);
    resolved
}

fn listener(name: &str, written: &Listener, report: &mut Report<'_>) -> model::Listener {
    let path = join("listener", name);
    let head_bytes_max = written.head_max.get();
    let target_bytes_max = match written.target_max {
        Some(target_max) => target_max.get(),
        None => defaults::TargetMax::default().get::<usize>().min(head_bytes_max),
    };
    if target_bytes_max > head_bytes_max {
        let (target, head) = (format!("{path}.target_max"), format!("{path}.head_max"));
        report.problem(
            &[&target, &head],
            format!(
                "{} is more than head_max ({}), which contains the target",
                crate::units::size_text(target_bytes_max as u64),
                crate::units::size_text(head_bytes_max as u64),
            ),
            "lower target_max or raise head_max".to_owned(),
        );
    }
    let proxy_protocol = match written.proxy_protocol {
        schema::ProxyProtocolIn::Off => ProxyProtocolIn::Off,
        schema::ProxyProtocolIn::Required => ProxyProtocolIn::Required,
        schema::ProxyProtocolIn::Trusted => ProxyProtocolIn::Trusted,
    };
    if proxy_protocol == ProxyProtocolIn::Trusted && written.trusted_proxies.is_empty() {
        report.problem(
            &[&format!("{path}.proxy_protocol"), &format!("{path}.trusted_proxies")],
            "nobody is trusted: there are no trusted_proxies".to_owned(),
            "add trusted_proxies = [\"10.0.0.0/8\"], or write \"required\"".to_owned(),
        );
    }
    model::Listener {
        name: name.into(),
        bind: written.bind.value.0,
        trusted_proxies: written.trusted_proxies.iter().map(|range| range.value.0).collect(),
        proxy_protocol,
        tcp: written.tcp.as_ref().map(|name| name.value.0.clone()),
        keepalive: written.tcp_keepalive.get().map(|period| period.get()),
        limits: ListenerLimits {
            connections_max: written.connections_max.get(),
            connections_per_client_max: u32::try_from(written.connections_per_client_max.get())
                .unwrap_or(u32::MAX),
            head_bytes_max,
            headers_max: written.headers_max.get(),
            target_bytes_max,
            requests_per_connection_max: written.requests_per_connection_max.get(),
            pipelined_max: written.pipelined_max.get(),
            body_discard_bytes_max: written.body_discard_max.get(),
            timeout_head: written.timeout_head.get(),
            timeout_body: written.timeout_body.get(),
            timeout_idle: written.timeout_idle.get(),
        },
    }
}

fn settings(written: &Config) -> Settings {
    let ports = &written.instances.ports.value;
    Settings {
        workers: written.workers.and_then(|workers| NonZeroUsize::new(workers.get())),
        admin_socket: written.admin.socket.as_ref().map(|socket| (&socket.value.0).into()),
        admin_bind: written.admin.bind.value.0,
        ports: (ports.0, ports.1),
        journal_max: written.journal.entries_max.get(),
        lines_max: written.instances.lines_max.get(),
        access_log: access_log(written.log.access.as_ref()),
        log_format: log_format(written.log.format),
        storage_dir: written
            .storage
            .dir
            .as_ref()
            .map_or(defaults::STORAGE_DIR, |dir| &dir.value.0)
            .into(),
        history: written.storage.history.get().map(|kept| kept.get()),
    }
}

fn access_log(written: Option<&AccessForm>) -> Option<AccessLog> {
    let table = match written {
        None | Some(AccessForm::Format(AccessFormat::Off)) => return None,
        Some(AccessForm::Format(AccessFormat::Text)) => {
            &Access { format: WrittenFormat::Text, ..Access::default() }
        }
        Some(AccessForm::Format(AccessFormat::Json)) => {
            &Access { format: WrittenFormat::Json, ..Access::default() }
        }
        Some(AccessForm::Table(table)) => table,
    };
    Some(AccessLog {
        format: log_format(table.format),
        path: table.path.as_ref().map(|Text { value, .. }| PathBuf::from(&value.0)),
        one_in: NonZeroU32::new(table.one_in.get()).expect("the range of the key begins at 1"),
    })
}

fn log_format(written: WrittenFormat) -> LogFormat {
    match written {
        WrittenFormat::Text => LogFormat::Text,
        WrittenFormat::Json => LogFormat::Json,
    }
}
