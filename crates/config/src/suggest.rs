//! What somebody may have meant by a key or a word that there is none of.
//! It only advises: nothing is ever taken for something else.

use serde_json::Value;

use crate::rule::{Rule, list, rules};
use crate::tree::join;

/// A table on the way from the root to an unknown key.
pub(crate) struct Level<'a> {
    /// Its path as the file has it, such as `service.shop`.
    pub path: String,
    /// Its path with `*` for names, such as `service.*`.
    pub kind: String,
    /// Its rule.
    pub rule: Rule<'a>,
}

/// What to say about an unknown key.
pub(crate) struct Advice {
    /// What to do.
    pub hint: String,
    /// The key of the same table that this was probably about, so that nobody calls it missing.
    pub meant: Option<String>,
}

/// Keys of versions to come: where, which, what it stands for here if anything, what to do.
const LATER: [(&str, &str, Option<&str>, &str); 8] = [
    ("service.*", "image", Some("run"), "use `run` or `static`"),
    ("service.*", "docker", Some("run"), "use `run` or `static`"),
    ("service.*", "swarm", Some("run"), "use `run` or `static`"),
    ("service.*", "kubernetes", Some("run"), "use `run` or `static`"),
    ("service.*", "state", None, "remove it, and name your own store in `env`"),
    ("service.*", "tls", None, "remove it"),
    ("listener.*", "tls", None, "remove it, and end TLS in front of Herder"),
    ("", "state", None, "remove it, and name your own store in a service's `env`"),
];

/// Keys that have moved: where, which, where to.
const MOVED: [(&str, &str, &str, &str); 3] = [
    (
        "service.*.http",
        "waiting_max",
        "queue",
        "`max` in its table `queue`, which all workers share",
    ),
    ("service.*.http", "timeout_wait", "queue", "`timeout` in its table `queue`"),
    ("service.*.http", "retries_max", "retry", "`max` in its table `retry`"),
];

/// What other programs call our words: for which key, what we call it, what others do.
const WORDS_MEANT: [(&str, &str, &[&str]); 5] = [
    ("service.*.balance", "least-latency", &["peak-ewma", "ewma", "least-time", "leasttime"]),
    ("service.*.balance", "least-request", &["least-conn", "leastconn", "least-connections"]),
    ("service.*.balance", "random-of-two", &["p2c", "power-of-two-choices", "random-two"]),
    ("service.*.balance", "ring-hash", &["ketama", "consistent-hash", "ip-hash", "source", "hash"]),
    ("service.*.balance", "rendezvous", &["hrw", "highest-random-weight"]),
];

/// What other programs call our keys: where, what we call it, what others do.
const MEANT: [(&str, &str, &[&str]); 39] = [
    ("", "service", &["services", "backend", "backends", "app", "apps", "upstream", "cluster"]),
    ("", "listener", &["listeners", "frontend", "entrypoint", "entrypoints", "server", "http"]),
    ("", "workers", &["threads", "worker_threads", "worker_processes", "nbthread"]),
    ("", "log", &["logging", "logs"]),
    ("", "instances", &["instance", "ports"]),
    ("listener.*", "bind", &["port", "address", "addr", "listen", "host"]),
    ("listener.*", "connections_max", &["maxconn", "max_connections", "max_conns"]),
    ("service.*", "run", &["command", "cmd", "exec", "start", "args", "argv", "entrypoint"]),
    (
        "service.*",
        "static",
        &["servers", "server", "addresses", "targets", "endpoints", "upstreams", "backends"],
    ),
    ("service.*", "scale", &["replicas", "instances", "count", "autoscale", "autoscaling"]),
    ("service.*", "env", &["environment", "variables", "vars"]),
    ("service.*", "dir", &["cwd", "workdir", "directory", "working_dir", "working_directory"]),
    ("service.*", "route", &["routes", "host", "hosts", "domain", "domains", "path", "rule"]),
    ("service.*", "health", &["healthcheck", "health_check", "check", "checks", "probe"]),
    ("service.*", "balance", &["algorithm", "lb", "strategy", "policy", "balancer"]),
    ("service.*", "drain", &["stop", "shutdown", "stop_timeout", "drain_timeout"]),
    ("", "redirect", &["redirects", "redirection", "redirections"]),
    ("service.*", "request_headers", &["headers", "header", "request_header"]),
    ("service.*", "response_headers", &["response_header"]),
    ("service.*", "rewrite", &["path_rewrite", "rewrites", "replace_path"]),
    ("service.*.request_headers", "remove", &["delete", "del", "unset", "drop"]),
    ("service.*.response_headers", "remove", &["delete", "del", "unset", "drop"]),
    ("service.*.rewrite", "match", &["regex", "pattern", "from"]),
    ("service.*.rewrite", "with", &["replacement", "replace", "to"]),
    ("service.*.rewrite", "strip_prefix", &["strip", "prefix"]),
    ("redirect.*", "to", &["url", "location", "target", "destination"]),
    ("redirect.*", "status", &["code", "permanent"]),
    ("redirect.*", "route", &["from", "routes", "host", "hosts", "path", "domain", "rule"]),
    ("service.*.health", "path", &["uri", "url", "endpoint", "http"]),
    ("service.*.health", "healthy", &["rise", "healthy_threshold", "success_threshold"]),
    ("service.*.health", "unhealthy", &["fall", "unhealthy_threshold", "failure_threshold"]),
    ("service.*.scale", "min", &["minimum", "min_replicas", "min_instances"]),
    ("service.*.scale", "max", &["maximum", "max_replicas", "max_instances"]),
    ("service.*.queue", "max", &["length", "depth", "size", "waiting_max", "maxqueue"]),
    ("service.*.queue", "timeout", &["timeout_wait", "timeout_queue", "max_wait"]),
    ("service.*.limits", "in_flight_max", &["maxconn", "max_conns", "max_requests", "in_flight"]),
    ("service.*.scale.target", "concurrency", &["in_flight", "target_concurrency", "threads"]),
    ("service.*.scale", "policy", &["autoscale", "type", "strategy"]),
    ("service.*.static", "address", &["addr", "host", "url", "bind"]),
];

/// What to do about `key`, which the last of `levels` has none of.
pub(crate) fn key(root: &Value, levels: &[Level<'_>], key: &str) -> Advice {
    let Some((here, around)) = levels.split_last() else {
        return Advice { hint: "remove it".to_owned(), meant: None };
    };
    let said = |hint: String| Advice { hint, meant: None };
    let later = LATER.iter().find(|later| (later.0, later.1) == (here.kind.as_str(), key));
    if let Some(&(_, _, meant, instead)) = later {
        let hint = format!("`{key}` is not in this version; {instead}");
        return Advice { hint, meant: meant.map(str::to_owned) };
    }
    let moved = MOVED.iter().find(|moved| (moved.0, moved.1) == (here.kind.as_str(), key));
    if let Some(&(_, _, table, place)) = moved {
        let service = here.path.strip_suffix(".http").unwrap_or(&here.path);
        return said(format!("it is now {place}: see [{service}.{table}]"));
    }
    let lower = key.to_ascii_lowercase().replace('-', "_");
    let meant = MEANT
        .iter()
        .find(|(kind, _, others)| *kind == here.kind && others.contains(&lower.as_str()));
    if let Some(&(_, meant, _)) = meant {
        return Advice { hint: format!("did you mean `{meant}`?"), meant: Some(meant.to_owned()) };
    }
    if let Some(owner) = around.iter().rev().find(|level| level.rule.property(key).is_some()) {
        let to = if owner.path.is_empty() {
            "the top of the file".to_owned()
        } else {
            format!("[{}]", owner.path)
        };
        return said(format!("move it to {to}"));
    }
    if let Some((property, table)) = inner_table(root, here, key) {
        let hint = format!("move it to [{table}]");
        return Advice { hint, meant: Some(property.to_owned()) };
    }
    match closest(&lower, here.rule.properties().map(|(name, _)| name)) {
        Some(name) => {
            let hint = format!("did you mean `{name}`?");
            Advice { hint, meant: Some(name.to_owned()) }
        }
        None => {
            let keys = here.rule.properties().map(|(name, _)| format!("`{name}`"));
            said(format!("the keys here are {}", list(keys, "and")))
        }
    }
}

/// What to do about `word`, which is none of `words`, under a key of this kind.
pub(crate) fn word(kind: &str, word: &str, words: &[&str]) -> String {
    let all = list(words.iter().map(|word| format!("{word:?}")), "or");
    let word = word.to_ascii_lowercase().replace('_', "-");
    let is_meant = |&&(key, ours, theirs): &&(&str, &str, &[&str])| {
        kind.starts_with(key) && words.contains(&ours) && theirs.contains(&word.as_str())
    };
    let meant = WORDS_MEANT.iter().find(is_meant).map(|(_, ours, _)| *ours);
    match meant.or_else(|| closest(&word, words.iter().copied())) {
        Some(close) => format!("did you mean {close:?}? The words are {all}"),
        None => format!("write {all}"),
    }
}

/// The table inside `here` that has the key: the key of `here` that leads to it, and its path.
fn inner_table<'a>(root: &Value, here: &Level<'a>, key: &str) -> Option<(&'a str, String)> {
    here.rule.properties().find_map(|(name, schema)| {
        let forms = rules(root, schema);
        let table = forms.iter().find(|rule| rule.kind() == "object")?;
        let path = join(&here.path, name);
        if table.property(key).is_some() {
            return Some((name, path));
        }
        let named = rules(root, table.others()?);
        named
            .iter()
            .any(|rule| rule.property(key).is_some())
            .then(|| (name, format!("{path}.NAME")))
    })
}

/// The candidate that differs by the fewest slips of the finger: at most a third of the letters.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let slips = candidates.map(|candidate| (strsim::osa_distance(word, candidate), candidate));
    let (count, candidate) = slips.min_by_key(|&(count, _)| count)?;
    (count <= word.chars().count().max(3) / 3).then_some(candidate)
}
