//! `INFO`: how the store is, in the lines that clients and dashboards read.
//! What it does not measure is not in it.

use std::fmt::Write as _;

use crate::command::connection::REDIS_VERSION;
use crate::command::{Call, config};
use crate::db::Db;
use crate::error::Outcome;
use crate::store::{CACHE, SESSIONS, Store};

/// Sections in their order.
const SECTIONS: [&str; 9] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cluster",
    "herder",
    "keyspace",
];
/// Words that mean all of them.
const ALL: [&str; 3] = ["all", "default", "everything"];

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    let is_asked = |name: &str| {
        let is_it = |word: &[u8]| {
            word.eq_ignore_ascii_case(name.as_bytes())
                || ALL.iter().any(|all| word.eq_ignore_ascii_case(all.as_bytes()))
        };
        args.len() == 1 || args.from(1).any(is_it)
    };
    let clients = call.store.others().count() + 1;
    let sections = SECTIONS.iter().filter(|name| is_asked(name));
    let sections: Vec<String> = sections.map(|name| section(call.store, clients, name)).collect();
    call.out.verbatim(sections.join("\r\n").as_bytes());
    Ok(())
}

fn section(store: &Store, clients: usize, name: &str) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        write!(text, "{key}:{value}\r\n").expect("a string takes everything");
    };
    match name {
        "server" => server(store, &mut line),
        "clients" => {
            line("connected_clients", &clients);
            line("maxclients", &store.options.clients_max);
            line("blocked_clients", &0);
        }
        "memory" => {
            let used: usize = store.dbs.iter().map(Db::bytes).sum();
            line("used_memory", &used);
            line("used_memory_dataset", &used);
            line("maxmemory", &config::maxmemory(store));
            line("maxmemory_policy", &store.dbs[CACHE].eviction.name());
        }
        "persistence" => {
            line("loading", &0);
            line("async_loading", &0);
            line("aof_enabled", &u8::from(store.dbs[SESSIONS].journal.is_some()));
            let status = if store.disk_error.is_some() { "err" } else { "ok" };
            line("aof_last_write_status", &status);
        }
        "stats" => stats(store, &mut line),
        "replication" => {
            line("role", &"master");
            line("connected_slaves", &0);
        }
        "cluster" => line("cluster_enabled", &0),
        "herder" => {
            line("herder_version", &env!("CARGO_PKG_VERSION"));
            line("sessions_bytes", &store.dbs[SESSIONS].bytes());
            line("sessions_bytes_max", &store.dbs[SESSIONS].bytes_max);
            line("cache_bytes", &store.dbs[CACHE].bytes());
            line("cache_bytes_max", &store.dbs[CACHE].bytes_max);
        }
        _ => keyspace(store, &mut line),
    }
    let mut title = name.to_owned();
    title[..1].make_ascii_uppercase();
    format!("# {title}\r\n{text}")
}

fn server(store: &Store, line: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    let uptime = (store.now - store.started).max(0) / 1000;
    line("redis_version", &REDIS_VERSION);
    line("redis_mode", &"standalone");
    line("os", &"Linux");
    line("arch_bits", &usize::BITS);
    line("process_id", &store.options.process);
    line("run_id", &store.run_id);
    line("server_time_usec", &store.now_us);
    line("uptime_in_seconds", &uptime);
    line("uptime_in_days", &(uptime / 86_400));
    line("hz", &10);
    line("executable", &"herder");
    line("config_file", &"");
}

fn stats(store: &Store, line: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    let sum = |of: fn(&Db) -> u64| store.dbs.iter().map(of).sum::<u64>();
    line("total_connections_received", &store.connections_total);
    line("total_commands_processed", &store.commands_total);
    line("expired_keys", &sum(|db| db.expired_total));
    line("evicted_keys", &sum(|db| db.evicted_total));
    line("keyspace_hits", &store.hits_total);
    line("keyspace_misses", &store.misses_total);
    line("total_error_replies", &store.errors_total);
}

fn keyspace(store: &Store, line: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    for (number, db) in store.dbs.iter().enumerate().filter(|(_, db)| db.len() > 0) {
        let (keys, expires) = (db.len(), db.len_expiring());
        line(&format!("db{number}"), &format!("keys={keys},expires={expires},avg_ttl=0"));
    }
}
