//! Every key reaches what it is for: changing one key of a file that sets them all changes exactly
//! one line of what is resolved. A key that the schema has and this table lacks fails the test.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tables::{Key, Table, tables};

/// Each key with two values; the name in brackets is the table's in this test's file.
const KEYS: &[(&str, &str, &str)] = &[
    ("workers", "3", "5"),
    ("listener.NAME.bind", "'127.0.0.1:81'", "'127.0.0.1:82'"),
    ("listener.NAME.trusted_proxies", "['10.0.0.0/8', '::1']", "['10.0.0.0/8', '::2']"),
    ("listener.NAME.proxy_protocol", "'required'", "'trusted'"),
    ("listener.NAME.tcp", "'raw'", "'bare'"),
    ("listener.NAME.tcp_keepalive", "'7s'", "'8s'"),
    ("listener.NAME.connections_per_client_max", "16", "17"),
    ("listener.NAME.connections_max", "11", "12"),
    ("listener.NAME.head_max", "'4KiB'", "5000"),
    ("listener.NAME.headers_max", "13", "14"),
    ("listener.NAME.target_max", "'2KiB'", "'3KiB'"),
    ("listener.NAME.requests_per_connection_max", "15", "'unlimited'"),
    ("listener.NAME.pipelined_max", "17", "'unlimited'"),
    ("listener.NAME.body_discard_max", "'3KiB'", "'0B'"),
    ("listener.NAME.timeout_head", "'1100ms'", "'1200ms'"),
    ("listener.NAME.timeout_body", "'1300ms'", "'1400ms'"),
    ("listener.NAME.timeout_idle", "'1500ms'", "'1600ms'"),
    ("service.NAME.run", "'node a.js'", "'node b.js'"),
    ("service.NAME.static", "['10.0.0.1:80']", "['10.0.0.2:80']"),
    ("service.NAME.static.address", "'10.0.0.3:80'", "'10.0.0.4:80'"),
    ("service.NAME.static.weight", "2", "3"),
    ("service.NAME.static.priority", "1", "2"),
    ("service.NAME.mode", "'http'", "'tcp'"),
    ("service.NAME.proxy_protocol", "'v1'", "'v2'"),
    ("service.NAME.env", "{ A = '1' }", "{ A = '2' }"),
    ("service.NAME.dir", "'/a'", "'/b'"),
    ("service.NAME.route", "'a.example/x'", "'b.example/x'"),
    ("service.NAME.route.host", "'c.example'", "'d.example'"),
    ("service.NAME.route.path", "'/c'", "'/d'"),
    ("service.NAME.health", "'/e'", "'/f'"),
    ("service.NAME.health.path", "'/g'", "'/h'"),
    ("service.NAME.health.method", "'POST'", "'OPTIONS'"),
    ("service.NAME.health.headers", "{ X-A = '1' }", "{ X-A = '2' }"),
    ("service.NAME.health.status", "[200, '300-399']", "[201, '300-399']"),
    ("service.NAME.health.body", "'up'", "'down'"),
    ("service.NAME.health.body_match", "'^up'", "'^down'"),
    ("service.NAME.health.grpc", "true", "'a.B'"),
    ("service.NAME.health.command", "'./a'", "'./b'"),
    ("service.NAME.health.feedback", "true", "false"),
    ("service.NAME.health.interval", "'2100ms'", "'2200ms'"),
    ("service.NAME.health.interval_fast", "'210ms'", "'220ms'"),
    ("service.NAME.health.timeout", "'310ms'", "'320ms'"),
    ("service.NAME.health.healthy", "21", "22"),
    ("service.NAME.health.unhealthy", "23", "24"),
    ("service.NAME.health.timeout_boot", "'3100ms'", "'3200ms'"),
    ("service.NAME.eject", "true", "false"),
    ("service.NAME.eject.errors", "6", "7"),
    ("service.NAME.eject.gateway_errors", "4", "3"),
    ("service.NAME.eject.connection_errors", "2", "0"),
    ("service.NAME.eject.success_rate_deviations", "2000", "0"),
    ("service.NAME.eject.failure_percent", "80", "85"),
    ("service.NAME.eject.instances_min", "4", "6"),
    ("service.NAME.eject.requests_min", "50", "60"),
    ("service.NAME.eject.interval", "'3s'", "'4s'"),
    ("service.NAME.eject.time", "'5s'", "'6s'"),
    ("service.NAME.eject.time_max", "'2m'", "'3m'"),
    ("service.NAME.eject.percent_max", "40", "41"),
    ("service.NAME.panic", "30", "0"),
    ("service.NAME.slow_start", "'7s'", "'8s'"),
    ("service.NAME.balance", "'random'", "'least-request'"),
    ("service.NAME.balance.algorithm", "'ring-hash'", "'maglev'"),
    ("service.NAME.balance.hash_on", "'header:a'", "'header:b'"),
    ("service.NAME.balance.load_percent_max", "125", "150"),
    ("service.NAME.affinity", "'cookie:a'", "'cookie:b'"),
    ("service.NAME.affinity.cookie", "'c'", "'d'"),
    ("service.NAME.affinity.path", "'/s'", "'/t'"),
    ("service.NAME.affinity.max_age", "'3h'", "'4h'"),
    ("service.NAME.affinity.same_site", "'lax'", "'strict'"),
    ("service.NAME.affinity.secure", "true", "false"),
    ("service.NAME.affinity.secret", "'env:A'", "'env:B'"),
    ("service.NAME.scale.min", "2", "3"),
    ("service.NAME.scale.max", "9", "10"),
    ("service.NAME.scale.policy", "'target'", "'fixed'"),
    ("service.NAME.scale.mode", "'act'", "'recommend'"),
    ("service.NAME.scale.idle_after", "'8100ms'", "'8200ms'"),
    ("service.NAME.scale.target.utilisation_percent", "61", "62"),
    ("service.NAME.scale.target.concurrency", "63", "64"),
    ("service.NAME.scale.target.requests_per_second", "69", "70"),
    ("service.NAME.scale.target.cpu_percent", "71", "72"),
    ("service.NAME.scale.target.memory_percent", "83", "84"),
    ("service.NAME.scale.target.latency", "'250ms'", "'260ms'"),
    ("service.NAME.scale.target.latency_percent", "98", "99"),
    ("service.NAME.scale.target.prometheus.url", "'http://a:1'", "'http://a:2'"),
    ("service.NAME.scale.target.prometheus.query", "'up'", "'down'"),
    ("service.NAME.scale.target.prometheus.target", "9.1", "92"),
    ("service.NAME.scale.target.prometheus.interval", "'9s'", "'8s'"),
    ("service.NAME.scale.target.prometheus.timeout", "'7s'", "'6s'"),
    ("service.NAME.scale.target.tolerance_up_percent", "73", "74"),
    ("service.NAME.scale.target.tolerance_down_percent", "75", "76"),
    ("service.NAME.scale.target.up_percent_max", "77", "78"),
    ("service.NAME.scale.target.up_count_max", "79", "80"),
    ("service.NAME.scale.target.up_period", "'8300ms'", "'8400ms'"),
    ("service.NAME.scale.target.starting_percent_max", "81", "82"),
    ("service.NAME.scale.target.down_window", "'8500ms'", "'8600ms'"),
    ("service.NAME.scale.target.down_half_life", "'8700ms'", "'8800ms'"),
    ("service.NAME.scale.target.backlog_drain", "'8900ms'", "'9100ms'"),
    ("service.NAME.scale.forecast", "true", "false"),
    ("service.NAME.scale.schedule", SCHEDULE, "{ cron = '@daily', lasts = '2h', min = 3 }"),
    ("service.NAME.scale.schedule.cron", "'0 8 * * *'", "'0 9 * * *'"),
    ("service.NAME.scale.schedule.time_zone", "'Europe/Berlin'", "'Asia/Tokyo'"),
    ("service.NAME.scale.schedule.lasts", "'91m'", "'92m'"),
    ("service.NAME.scale.schedule.min", "3", "4"),
    ("service.NAME.scale.hpa.metrics", METRICS, "[{ metric = 'concurrency', target = 7 }]"),
    ("service.NAME.scale.hpa.metrics.metric", "'concurrency'", "'queue-time-ms'"),
    ("service.NAME.scale.hpa.metrics.target", "7.5", "8"),
    ("service.NAME.scale.hpa.sync_period", "'11s'", "'12s'"),
    ("service.NAME.scale.hpa.up.stabilization_window", "'13s'", "'14s'"),
    ("service.NAME.scale.hpa.up.tolerance", "0.15", "0.16"),
    ("service.NAME.scale.hpa.up.policies", "[{ count = 17 }]", "[{ count = 18 }]"),
    ("service.NAME.scale.hpa.up.policies.count", "19", "20"),
    ("service.NAME.scale.hpa.up.policies.percent", "21", "22"),
    ("service.NAME.scale.hpa.up.policies.period", "'23s'", "'24s'"),
    ("service.NAME.scale.hpa.up.select", "'min'", "'disabled'"),
    ("service.NAME.scale.hpa.down.stabilization_window", "'25s'", "'26s'"),
    ("service.NAME.scale.hpa.down.tolerance", "0.27", "0.28"),
    ("service.NAME.scale.hpa.down.policies", "[{ percent = 29 }]", "[{ percent = 30 }]"),
    ("service.NAME.scale.hpa.down.policies.count", "31", "32"),
    ("service.NAME.scale.hpa.down.policies.percent", "33", "34"),
    ("service.NAME.scale.hpa.down.policies.period", "'35s'", "'36s'"),
    ("service.NAME.scale.hpa.down.select", "'min'", "'disabled'"),
    ("service.NAME.scale.hpa.cpu_initialization_period", "'37s'", "'38s'"),
    ("service.NAME.scale.hpa.initial_readiness_delay", "'39s'", "'40s'"),
    ("service.NAME.scale.kpa.metric", "'concurrency'", "'requests-per-s'"),
    ("service.NAME.scale.kpa.target", "41.5", "42"),
    ("service.NAME.scale.kpa.target_utilization_percent", "43", "44"),
    ("service.NAME.scale.kpa.stable_window", "'45s'", "'46s'"),
    ("service.NAME.scale.kpa.panic_window_percent", "47", "48"),
    ("service.NAME.scale.kpa.panic_threshold_percent", "149", "150"),
    ("service.NAME.scale.kpa.scale_up_rate_max", "51.5", "52"),
    ("service.NAME.scale.kpa.scale_down_rate_max", "53.5", "54"),
    ("service.NAME.scale.kpa.scale_down_delay", "'55s'", "'56s'"),
    ("service.NAME.scale.kpa.activation_scale", "57", "58"),
    ("service.NAME.scale.kpa.tick", "'5900ms'", "'6s'"),
    ("service.NAME.scale.step.metric", "'concurrency'", "'queue-time-ms'"),
    ("service.NAME.scale.step.window", "'61s'", "'62s'"),
    ("service.NAME.scale.step.cooldown", "'63s'", "'64s'"),
    ("service.NAME.scale.step.steps", "[{ count = 65 }]", "[{ count = -65 }]"),
    ("service.NAME.scale.step.steps.from", "6.6", "6.7"),
    ("service.NAME.scale.step.steps.to", "68", "69.5"),
    ("service.NAME.scale.step.steps.count", "70", "-71"),
    ("service.NAME.scale.step.steps.percent", "72", "-73"),
    ("service.NAME.scale.step.steps.exactly", "74", "75"),
    ("service.NAME.resources.memory", "'1GiB'", "'2GiB'"),
    ("service.NAME.resources.cpu_percent", "150", "160"),
    ("service.NAME.drain", "'4100ms'", "'4200ms'"),
    ("service.NAME.drain.timeout", "'4300ms'", "'4400ms'"),
    ("service.NAME.drain.grace", "'4500ms'", "'4600ms'"),
    ("service.NAME.restart.backoff_min", "'5100ms'", "'5200ms'"),
    ("service.NAME.restart.backoff_max", "'5300ms'", "'5400ms'"),
    ("service.NAME.restart.forgive_after", "'5500ms'", "'5600ms'"),
    ("service.NAME.restart.crash_loop", "25", "26"),
    ("service.NAME.http.timeout_connect", "'6100ms'", "'6200ms'"),
    ("service.NAME.http.timeout_response", "'6300ms'", "'6400ms'"),
    ("service.NAME.http.timeout_continue", "'610ms'", "'0s'"),
    ("service.NAME.http.timeout_request", "'1h'", "'2h'"),
    ("service.NAME.http.timeout_body", "'6500ms'", "'6600ms'"),
    ("service.NAME.http.body_max", "'1MiB'", "'unlimited'"),
    ("service.NAME.http.idle_max", "29", "30"),
    ("service.NAME.http.connection_requests_max", "31", "'unlimited'"),
    ("service.NAME.http.connection_age_max", "'1h'", "'2h'"),
    ("service.NAME.http.timeout_idle", "'6900ms'", "'7000ms'"),
    ("service.NAME.http.splice_min", "'1MiB'", "'unlimited'"),
    ("service.NAME.http.timeout_tunnel", "'7100ms'", "'7200ms'"),
    ("service.NAME.http.forwarded", "true", "false"),
    ("service.NAME.http.via", "true", "false"),
    ("service.NAME.http.tcp_keepalive", "'73s'", "'74s'"),
    ("service.NAME.limits.in_flight_max", "41", "42"),
    ("service.NAME.limits.service_in_flight_max", "43", "44"),
    ("service.NAME.limits.adaptive", "true", "false"),
    ("service.NAME.limits.adaptive.min", "5", "6"),
    ("service.NAME.limits.adaptive.max", "55", "56"),
    ("service.NAME.limits.adaptive.tolerance_percent", "57", "58"),
    ("service.NAME.limits.adaptive.remeasure", "'59s'", "'61s'"),
    ("service.NAME.rate_limit", "{ rate = '7/m' }", "{ rate = '8/m' }"),
    ("service.NAME.rate_limit.key", "'client'", "'route'"),
    ("service.NAME.rate_limit.rate", "'3/m'", "'4/m'"),
    ("service.NAME.rate_limit.burst", "51", "52"),
    ("service.NAME.admission", "true", "false"),
    ("service.NAME.admission.success_percent", "61", "62"),
    ("service.NAME.admission.window", "'63s'", "'64s'"),
    ("service.NAME.admission.rate_min", "65", "66"),
    ("service.NAME.admission.refused_percent_max", "67", "68"),
    ("service.NAME.queue.max", "27", "28"),
    ("service.NAME.queue.timeout", "'6700ms'", "'6800ms'"),
    ("service.NAME.queue.target", "'45ms'", "'46ms'"),
    ("service.NAME.queue.interval", "'450ms'", "'460ms'"),
    ("service.NAME.queue.shed", "true", "false"),
    ("service.NAME.queue.priority_header", "'X-G'", "'X-H'"),
    ("service.NAME.queue.priority_from", "'trusted'", "'anyone'"),
    ("service.NAME.hedge.after", "'7500ms'", "'7600ms'"),
    ("service.NAME.hedge.budget_percent", "35", "36"),
    ("service.NAME.retry.max", "3", "4"),
    ("service.NAME.retry.on", "['timeout', 'reset', 503]", "['timeout', 'reset', 502]"),
    ("service.NAME.retry.methods", "['GET', 'PUT']", "['GET', 'POST']"),
    ("service.NAME.retry.timeout_try", "'7100ms'", "'7200ms'"),
    ("service.NAME.retry.backoff_min", "'31ms'", "'32ms'"),
    ("service.NAME.retry.backoff_max", "'310ms'", "'320ms'"),
    ("service.NAME.retry.retry_after_max", "'7300ms'", "'7400ms'"),
    ("service.NAME.retry.body_max", "'5KiB'", "'6KiB'"),
    ("service.NAME.retry.budget_percent", "31", "32"),
    ("service.NAME.retry.budget_min", "33", "34"),
    ("service.NAME.compress", "true", "false"),
    ("service.NAME.compress.algorithms", "['br', 'gzip']", "['br', 'zstd']"),
    ("service.NAME.compress.size_min", "'2KiB'", "'3KiB'"),
    ("service.NAME.compress.types", "['text/*']", "['text/html']"),
    ("service.NAME.request_headers.set", "{ X-A = '1' }", "{ X-A = '2' }"),
    ("service.NAME.request_headers.add", "{ X-B = '1' }", "{ X-B = '2' }"),
    ("service.NAME.request_headers.remove", "['X-C']", "['X-D']"),
    ("service.NAME.response_headers.set", "{ X-E = '1' }", "{ X-E = '2' }"),
    ("service.NAME.response_headers.add", "{ X-F = '1' }", "{ X-F = '2' }"),
    ("service.NAME.response_headers.remove", "['X-G']", "['X-H']"),
    ("service.NAME.rewrite.strip_prefix", "'/i'", "'/j'"),
    ("service.NAME.rewrite.match", "'^/k'", "'^/l'"),
    ("service.NAME.rewrite.with", "'/m'", "'/n'"),
    ("service.NAME.rewrite.add_prefix", "'/o'", "'/p'"),
    ("redirect.NAME.route", "'e.example/x'", "'f.example/x'"),
    ("redirect.NAME.route.host", "'g.example'", "'h.example'"),
    ("redirect.NAME.route.path", "'/q'", "'/r'"),
    ("redirect.NAME.to", "'https://a.example'", "'https://b.example'"),
    ("redirect.NAME.status", "301", "302"),
    ("admin.bind", "'127.0.0.1:83'", "'127.0.0.1:84'"),
    ("admin.socket", "'/a.sock'", "'/b.sock'"),
    ("machine.memory", "'8GiB'", "'9GiB'"),
    ("machine.cpu_percent", "400", "410"),
    ("instances.ports", "'30000-30100'", "'30000-30200'"),
    ("instances.lines_max", "31", "32"),
    ("journal.entries_max", "33", "34"),
    ("log.format", "'json'", "'text'"),
    ("log.access", "'json'", "'text'"),
    ("log.access.format", "'json'", "'text'"),
    ("log.access.one_in", "7", "8"),
    ("log.access.path", "'/a.log'", "'/b.log'"),
    ("storage.dir", "'/a'", "'/b'"),
    ("storage.history", "'2h'", "'3h'"),
];

const SCHEDULE: &str = "{ cron = '@daily', lasts = '1h', min = 3 }";
const METRICS: &str = "[{ metric = 'concurrency', target = 6 }]";

/// Keys whose second value takes another key to go with it; `parse.rs` shows what they do.
const COUPLED: &[&str] = &["service.NAME.mode", "service.NAME.scale.policy"];

/// Two services for the listener that carries bytes, which need a listener each.
const CARRIED: &str = "\
service.raw = { run = 'node', mode = 'tcp' }
service.bare = { run = 'node', mode = 'tcp' }
listener.raw = { bind = '127.0.0.1:0', tcp = 'raw' }
listener.bare = { bind = '127.0.0.1:0', tcp = 'bare' }";

/// Services for the policies that others have: a service has one policy, and a step one change.
const POLICIES: &str = "\
service.hpa.run = 'node'
service.hpa.route = []
service.hpa.scale.policy = 'hpa'
service.kpa.run = 'node'
service.kpa.route = []
service.kpa.scale.policy = 'kpa'
service.step.run = 'node'
service.step.route = []
service.step.scale.policy = 'step'";
/// Those for the changes that cannot stand beside others; only long forms have them.
const CHANGES: &str = "\
service.hpa-percent.run = 'node'
service.hpa-percent.route = []
service.hpa-percent.scale.policy = 'hpa'
service.hpa-percent.scale.hpa.metrics = { metric = 'concurrency', target = 1 }
service.step-percent.run = 'node'
service.step-percent.route = []
service.step-percent.scale.policy = 'step'
service.step-percent.scale.step.metric = 'concurrency'
service.step-exactly.run = 'node'
service.step-exactly.route = []
service.step-exactly.scale.policy = 'step'
service.step-exactly.scale.step.metric = 'concurrency'";

/// Which service of the file has this key.
fn service_of(key: &str) -> String {
    let policy = ["hpa", "kpa", "step"]
        .into_iter()
        .find(|policy| key.starts_with(&format!("service.NAME.scale.{policy}.")));
    match (policy, key.rsplit('.').next()) {
        (None, _) => "shop".to_owned(),
        (Some(policy), Some(change @ ("percent" | "exactly"))) => format!("{policy}-{change}"),
        (Some(policy), _) => policy.to_owned(),
    }
}

/// Which form a key has that has two.
#[derive(Clone, Copy, PartialEq)]
enum Forms {
    Short,
    Long,
}

/// The file that sets every key, in one of its forms. `changed` has its second value.
fn file(changed: &str, forms: Forms) -> String {
    let value = |key: &str| {
        let row = KEYS.iter().find(|row| row.0 == key).unwrap();
        if key == changed { row.2 } else { row.1 }
    };
    let inside = |key: &str, other: &str| key.starts_with(&format!("{other}."));
    let mut lines = vec!["service.fixed.route = []".to_owned(), CARRIED.to_owned()];
    lines.push(POLICIES.to_owned());
    if forms == Forms::Long {
        lines.push(CHANGES.to_owned());
    }
    lines.extend(["service.asked.run = 'node'", "service.asked.route = []"].map(str::to_owned));
    for &(key, ..) in KEYS {
        let has_long = KEYS.iter().any(|(other, ..)| inside(other, key));
        let is_long = KEYS.iter().any(|(other, ..)| inside(key, other));
        if (has_long && forms == Forms::Long) || (is_long && forms == Forms::Short) {
            continue;
        }
        let written = value(key);
        match key {
            "service.NAME.static" => lines.push(format!("service.fixed.static = {written}")),
            "service.NAME.static.address" => {
                let weight = value("service.NAME.static.weight");
                let priority = value("service.NAME.static.priority");
                lines.push(format!(
                    "service.fixed.static = \
                     [{{ address = {written}, weight = {weight}, priority = {priority} }}]"
                ));
            }
            // An instance is asked in one way.
            "service.NAME.health.grpc" => {
                lines.push(format!("service.fixed.health.grpc = {written}"));
            }
            "service.NAME.health.command" => {
                lines.push(format!("service.asked.health.command = {written}"));
            }
            "service.NAME.static.weight" | "service.NAME.static.priority" => {}
            _ => {
                let key = key.replace("NAME", &service_of(key));
                lines.push(format!("{key} = {written}"));
            }
        }
    }
    lines.join("\n")
}

fn resolved(text: &str) -> String {
    match config::parse(text, Path::new("herder.toml")) {
        Ok(resolved) => format!("{resolved:#?}"),
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

#[test]
fn the_table_has_every_key_of_the_schema() {
    let in_schema: BTreeSet<String> = tables()
        .into_iter()
        .flat_map(|table| {
            let path = table.path;
            table.keys.into_iter().map(move |key| match path.as_str() {
                "" => key.name,
                path => format!("{path}.{}", key.name),
            })
        })
        .collect();
    let here: BTreeSet<String> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(here, in_schema);
}

#[test]
fn every_key_changes_one_thing() {
    let mut changed = BTreeSet::new();
    for forms in [Forms::Short, Forms::Long] {
        let original = file("", forms);
        let before = resolved(&original);
        for &(key, ..) in KEYS.iter().filter(|(key, ..)| !COUPLED.contains(key)) {
            let text = file(key, forms);
            if text == original {
                continue;
            }
            let after = resolved(&text);
            let differ = before.lines().zip(after.lines()).filter(|(a, b)| a != b).count();
            assert_eq!(before.lines().count(), after.lines().count(), "{key}");
            assert_eq!(differ, 1, "{key}");
            changed.insert(key);
        }
    }
    let single = KEYS.len() - COUPLED.len();
    assert_eq!(changed.len(), single, "every key stands in one of the two files");
}

/// The keys of all tables by their paths in a file with one service and one listener, but for the
/// elements of arrays.
fn single_keys() -> Vec<(String, Key)> {
    let below = |table: Table| {
        let path = table.path.replace("listener.NAME", "listener.web").replace("NAME", "shop");
        let path = if path.is_empty() { path } else { path + "." };
        table.keys.into_iter().map(move |key| (format!("{path}{}", key.name), key))
    };
    let all = tables().into_iter().flat_map(below);
    let elements = ["service.shop.static.", "redirect.shop.route."];
    all.filter(|(path, _)| !elements.iter().any(|start| path.starts_with(start))).collect()
}

/// Keys that only mean something beside another one.
fn is_of_policy(path: &str) -> bool {
    ["hpa", "kpa", "step"].iter().any(|it| path.starts_with(&format!("service.shop.scale.{it}.")))
}

fn with(line: &str) -> String {
    let redirect = "redirect.shop.route = '/old'\nredirect.shop.to = '/new'";
    format!("{line}\n{redirect}\nlistener.web.bind = '127.0.0.1:8080'\nservice.shop.run = 'node'\n")
}

#[test]
fn a_default_is_what_absence_means() {
    let absent = resolved(&with(""));
    let mut checked = 0;
    for (path, key) in single_keys() {
        // A table turns on the access log, or compression, or a cookie; what hashing goes by needs
        // hashing; how a path is asked needs a path; the listener's address stands already.
        let other = path.starts_with("log.access.")
            || path.starts_with("service.shop.compress.")
            || path.starts_with("service.shop.rate_limit.")
            || path.starts_with("service.shop.scale.target.prometheus.")
            || path.starts_with("service.shop.balance.")
            || path.starts_with("service.shop.affinity.")
            || path.starts_with("service.shop.admission.")
            || path.starts_with("service.shop.limits.adaptive.")
            || path.starts_with("service.shop.hedge.")
            || is_of_policy(&path)
            || path.starts_with("service.shop.scale.schedule.")
            || path == "service.shop.health.method"
            || path == "service.shop.health.status"
            || path == "listener.web.bind";
        if let Some(default) = key.default.filter(|_| !other) {
            let written = resolved(&with(&format!("{path} = {default}")));
            assert_eq!(written, absent, "{path} = {default}");
            checked += 1;
        }
    }
    assert!(checked > 35, "{checked} keys have a default");
}

#[test]
fn ranges_include_their_ends_and_nothing_beyond() {
    let refused = |path: &str, value: &str| {
        let line = format!("{path} = {value}");
        match config::parse(&with(&line), Path::new("herder.toml")) {
            Ok(_) => false,
            Err(problems) => {
                problems.iter().any(|one| one.key == path && one.message.contains("is too "))
            }
        }
    };
    let mut checked = 0;
    for (path, key) in single_keys() {
        let Some((least, most)) = key.range else { continue };
        let above = match most.parse::<i64>() {
            Ok(number) => (number + 1).to_string(),
            Err(_) if key.takes.starts_with("duration") => {
                format!("\"{}1ms\"", most.trim_matches('"'))
            }
            Err(_) => continue,
        };
        let below = match least.parse::<i64>() {
            Ok(number) => Some((number - 1).to_string()),
            Err(_) if least.parse::<f64>().is_ok() => Some("0".to_owned()),
            Err(_) => (least != "\"0s\"").then(|| "\"0s\"".to_owned()),
        };
        assert!(!refused(&path, &least) && !refused(&path, &most), "{path}: {least} to {most}");
        assert!(refused(&path, &above), "{path} = {above}");
        assert!(below.is_none_or(|below| refused(&path, &below)), "{path}: {least}");
        checked += 1;
    }
    assert!(checked > 30, "{checked} keys have a range");
}
