//! `CONFIG`: what clients ask for before they begin, and what they may set.
//! The file of the store is Herder's; what is set here holds until the store ends.

use crate::command::absent::INSTEAD;
use crate::command::{ADMIN, Call, Command, LOADING, NONE, NOSCRIPT, STALE, command};
use crate::db::Eviction;
use crate::error::{Error, Outcome, SYNTAX, fixed, worded};
use crate::glob;
use crate::store::{CACHE, SESSIONS, Store};

const ALWAYS: u32 = ADMIN | NOSCRIPT | LOADING | STALE;

pub(super) const COMMANDS: &[Command] = &[
    command("config|get", -3, ALWAYS, NONE, get).says("2.0.0", "Gives what is set"),
    command("config|help", 2, LOADING | STALE, NONE, help).says("5.0.0", "Lists these"),
    command("config|resetstat", 2, ALWAYS, NONE, resetstat).says("2.0.0", "Counts from 0 again"),
    command("config|rewrite", 2, ALWAYS, NONE, rewrite).says("2.8.0", "There is no file to write"),
    command("config|set", -4, ALWAYS, NONE, set).says("2.0.0", "Sets something"),
];

/// The names of what there is, all that client libraries ask for among them.
const KEYS: [&str; 18] = [
    "appendfsync",
    "appendonly",
    "bind",
    "databases",
    "hash-max-listpack-entries",
    "hz",
    "maxclients",
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "notify-keyspace-events",
    "port",
    "proto-max-bulk-len",
    "requirepass",
    "save",
    "slave-read-only",
    "tcp-keepalive",
    "timeout",
];

/// What `key` is set to.
fn value(store: &Store, key: &str) -> String {
    match key {
        "appendfsync" => store.options.fsync.to_owned(),
        "appendonly" => if store.dbs[SESSIONS].journal.is_some() { "yes" } else { "no" }.to_owned(),
        "databases" => store.dbs.len().to_string(),
        "hash-max-listpack-entries" => "128".to_owned(),
        "hz" | "maxmemory-samples" => "10".to_owned(),
        "maxclients" => store.options.clients_max.to_string(),
        "maxmemory" => maxmemory(store).to_string(),
        "maxmemory-policy" => store.dbs[CACHE].eviction.name().to_owned(),
        "proto-max-bulk-len" => "536870912".to_owned(),
        "slave-read-only" => "yes".to_owned(),
        "port" | "tcp-keepalive" | "timeout" => "0".to_owned(),
        // Passwords are told to nobody, and there are no snapshots and no messages.
        _ => String::new(),
    }
}

/// The memory that all databases may take, in bytes.
pub(super) fn maxmemory(store: &Store) -> usize {
    store.dbs.iter().map(|db| db.bytes_max).fold(0, usize::saturating_add)
}

fn get(call: &mut Call<'_>) -> Outcome {
    // A name that is asked for is given as it was written, in whatever case.
    let mut found: Vec<(&str, &[u8])> = Vec::new();
    for pattern in call.args.from(2) {
        let lower = pattern.to_ascii_lowercase();
        let is_name = !pattern.iter().any(|byte| b"[*?".contains(byte));
        for key in KEYS.into_iter().filter(|key| glob::matches(&lower, key.as_bytes())) {
            if found.iter().all(|(there, _)| *there != key) {
                found.push((key, if is_name { pattern } else { key.as_bytes() }));
            }
        }
    }
    call.out.map(found.len());
    for (key, name) in found {
        call.out.bulk(name);
        call.out.bulk(value(call.store, key).as_bytes());
    }
    Ok(())
}

fn set(call: &mut Call<'_>) -> Outcome {
    let args = call.args;
    if !args.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    // All of them are good, or none is set.
    let mut eviction = None;
    for at in (2..args.len()).step_by(2) {
        let (key, value) = (text(args.at(at)).to_ascii_lowercase(), text(args.at(at + 1)));
        if !KEYS.contains(&&*key) {
            let key = text(args.at(at));
            return Err(worded(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{key}'"
            )));
        }
        match &*key {
            "maxmemory-policy" => eviction = Some(policy(&value)?),
            // Setting what it is already is what careful clients do.
            _ if self::value(call.store, &key) == value => {}
            "notify-keyspace-events" => {
                return Err(failed(&key, &format!("this store sends no messages; {INSTEAD}")));
            }
            _ => return Err(failed(&key, "it is set where Herder starts the store")),
        }
    }
    if let Some(eviction) = eviction {
        call.store.dbs[CACHE].eviction = eviction;
    }
    call.out.ok();
    Ok(())
}

fn policy(value: &str) -> Result<Eviction, Error> {
    let policies = [Eviction::Lru, Eviction::Lfu, Eviction::Never];
    let found = policies.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(value));
    found.ok_or_else(|| {
        failed("maxmemory-policy", "the cache has allkeys-lru, allkeys-lfu and noeviction")
    })
}

fn failed(key: &str, reason: &str) -> Error {
    worded(format!("ERR CONFIG SET failed (possibly related to argument '{key}') - {reason}"))
}

fn resetstat(call: &mut Call<'_>) -> Outcome {
    let store = &mut *call.store;
    store.commands_total = 0;
    store.connections_total = 0;
    store.errors_total = 0;
    (store.hits_total, store.misses_total) = (0, 0);
    for db in &mut store.dbs {
        (db.expired_total, db.evicted_total) = (0, 0);
    }
    call.out.ok();
    Ok(())
}

fn rewrite(_: &mut Call<'_>) -> Outcome {
    Err(fixed("ERR The server is running without a config file"))
}

fn help(call: &mut Call<'_>) -> Outcome {
    super::help(call, "CONFIG", super::server::FAMILY.commands)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
