//! The three lists of metrics are one: names.rs, docs/metrics.md and what a scrape returns.
//! Reads the exposition with a parser of its own, so as not to test the encoder with itself.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use model::{Phase, Time};
use telemetry::names::{self, Kind};
use telemetry::{
    BOUNDS_NS, Gauges, InstanceGauges, JournalCount, Lost, Registry, SERVICES_MAX, Sample,
    ScalingGauges, ServiceGauges,
};

const DOC: &str = include_str!("../../../docs/metrics.md");

type Labels = BTreeMap<String, String>;

/// One exposition, parsed by the rules of OpenMetrics 1.0.
#[derive(Debug, Default)]
struct Parsed {
    /// Family to type.
    types: BTreeMap<String, String>,
    /// Family to help.
    helps: BTreeMap<String, String>,
    /// Family to unit.
    units: BTreeMap<String, String>,
    /// Sample name and labels to value.
    samples: BTreeMap<(String, Labels), f64>,
}

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let body = text.strip_suffix("# EOF\n").expect("ends with the end mark");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, family) = (words.next().unwrap(), words.next().unwrap().to_owned());
            let rest = words.next().unwrap().to_owned();
            let into = match keyword {
                "TYPE" => &mut parsed.types,
                "HELP" => &mut parsed.helps,
                "UNIT" => &mut parsed.units,
                other => panic!("{other} in {line}"),
            };
            assert_eq!(into.insert(family, rest), None, "{line}");
        } else {
            let (name, labels, value) = parse_sample(line);
            let twice = parsed.samples.insert((name, labels), value);
            assert_eq!(twice, None, "two samples with one name: {line}");
        }
    }
    parsed
}

fn parse_sample(line: &str) -> (String, Labels, f64) {
    let name_end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Labels::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        while !inside.starts_with('}') {
            let (key, after) = inside.split_once("=\"").unwrap();
            let (value, after) = parse_quoted(after);
            assert_eq!(labels.insert(key.to_owned(), value), None, "{line}");
            inside = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &inside[1..];
    }
    let value = rest.strip_prefix(' ').unwrap();
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

/// The unescaped value up to the closing quote, and what follows it.
fn parse_quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return (value, chars.as_str()),
            '\\' => value.push(match chars.next().unwrap() {
                'n' => '\n',
                c => c,
            }),
            c => value.push(c),
        }
    }
    panic!("no closing quote: {text}");
}

/// A Herder that has done everything at least once.
fn busy() -> (Arc<Registry>, Gauges) {
    let registry = Registry::new(2, &["timeout", "refused"]);
    let series = registry.service(0, &"shop".parse().unwrap());
    for (worker, ms) in [(0, 3), (1, 300), (1, 90_000)] {
        let shard = series.worker(worker);
        let duration = Duration::from_millis(ms);
        shard.begin();
        shard.record(&Sample { status: 200, duration, bytes_in: 100, bytes_out: 1000 });
        shard.error(1);
        shard.retry(telemetry::RetryReason::Reset);
        shard.waiting(1);
        shard.waited(duration);
        shard.connect();
        shard.reuse();
    }
    let process = registry.process().worker(1);
    process.connection_opened();
    process.connection_opened();
    process.connection_closed();
    process.error(0);
    let instance = |id: &str, phase| InstanceGauges {
        id: id.parse().unwrap(),
        phase,
        in_flight: 4,
        in_flight_max: Some(8),
        requests: 50,
        failures: 6,
        is_ejected: phase == Phase::Ready,
        cpu_s: Some(1.5),
        memory_bytes: Some(64 * 1024 * 1024),
    };
    let shop = ServiceGauges {
        name: "shop".parse().unwrap(),
        desired: 3,
        min: 2,
        max: 8,
        scaling: Some(ScalingGauges {
            wanted: vec![("arrivals", 2.9), ("backlog", 0.5)],
            limited_by: Some("rate"),
        }),
        ejections: 7,
        in_panic: true,
        instances: vec![
            instance("shop.1", Phase::Gone),
            instance("shop.2", Phase::Ready),
            instance("shop.3", Phase::Ready),
            instance("shop.4", Phase::Draining),
        ],
    };
    let journal = |service: Option<&str>, kind, count| JournalCount {
        service: service.map(|name| name.parse().unwrap()),
        kind,
        count,
    };
    let gauges = Gauges {
        version: "0.1.0",
        reports_dropped: 1,
        started: Time::from_ms(1_700_000_000_500),
        table_version: 9,
        access_log_lost: Lost { queue_full: 3, write_failed: 4 },
        journal: vec![journal(None, "configured", 1), journal(Some("shop"), "phase", 12)],
        services: vec![shop],
    };
    (registry, gauges)
}

fn scrape() -> Parsed {
    let (registry, gauges) = busy();
    parse(&registry.encode(&gauges).unwrap())
}

/// The names that the samples of a metric have.
fn sample_names(metric: &names::Metric) -> Vec<String> {
    match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].map(|s| metric.name.to_owned() + s).into(),
        _ => vec![metric.name.to_owned()],
    }
}

#[test]
fn a_scrape_has_every_metric_with_its_labels_and_no_other() {
    let parsed = scrape();
    let mut expected = BTreeSet::new();
    for metric in names::ALL {
        for name in sample_names(metric) {
            let mut labels: BTreeSet<String> = metric.labels.iter().map(|&l| l.into()).collect();
            if name.ends_with("_bucket") {
                labels.insert("le".to_owned());
            }
            expected.insert((name, labels));
        }
    }
    let found: BTreeSet<(String, BTreeSet<String>)> =
        parsed.samples.keys().map(|(n, l)| (n.clone(), l.keys().cloned().collect())).collect();
    assert_eq!(found, expected);
}

#[test]
fn each_metric_is_described() {
    let parsed = scrape();
    assert_eq!(parsed.types.len(), names::ALL.len());
    for metric in names::ALL {
        let suffix = match metric.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        let family = metric.name.strip_suffix(suffix).unwrap();
        assert_eq!(parsed.types[family], metric.kind.label(), "{family}");
        assert_eq!(parsed.helps[family], metric.help, "{family}");
        if let Some(unit) = parsed.units.get(family) {
            assert!(family.ends_with(&format!("_{unit}")), "{family}");
        }
    }
    assert_eq!(parsed.units["herder_request_duration_seconds"], "seconds");
    assert_eq!(parsed.units["herder_received_bytes"], "bytes");
}

#[test]
fn values_are_those_that_were_recorded() {
    let parsed = scrape();
    let check = |name: &str, labels: &[(&str, &str)], expected: f64| {
        let labels = labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        assert_eq!(parsed.samples.get(&(name.to_owned(), labels)), Some(&expected), "{name}");
    };
    let shop = ("service", "shop");
    check("herder_requests_total", &[shop, ("status", "2xx")], 3.0);
    check("herder_requests_total", &[shop, ("status", "5xx")], 0.0);
    check("herder_requests_in_flight", &[shop], 3.0);
    check("herder_errors_total", &[shop, ("error", "refused")], 3.0);
    check("herder_errors_total", &[shop, ("error", "other")], 0.0);
    check("herder_sent_bytes_total", &[shop], 3000.0);
    check("herder_connections_open", &[], 1.0);
    check("herder_connections_total", &[], 2.0);
    check("herder_refused_requests_total", &[("error", "timeout")], 1.0);
    check("herder_instances", &[shop, ("phase", "ready")], 2.0);
    check("herder_instances", &[shop, ("phase", "starting")], 0.0);
    check("herder_instance_requests_total", &[shop, ("instance_id", "shop.4")], 50.0);
    check("herder_journal_entries_total", &[("service", ""), ("kind", "configured")], 1.0);
    check("herder_access_log_lost_lines_total", &[("reason", "write_failed")], 4.0);
    check("herder_start_time_seconds", &[], 1_700_000_000.5);
    check("herder_build_info", &[("version", "0.1.0")], 1.0);
    check("herder_request_duration_seconds_sum", &[shop], 90.303);
    check("herder_request_duration_seconds_count", &[shop], 3.0);
}

#[test]
fn instances_that_are_gone_have_no_series() {
    let parsed = scrape();
    assert!(parsed.samples.keys().all(|(_, labels)| labels.values().all(|v| v != "shop.1")));
    assert!(parsed.samples.keys().all(|(_, labels)| labels.values().all(|v| v != "gone")));
}

#[test]
fn buckets_are_cumulative_and_end_with_all() {
    let parsed = scrape();
    let mut buckets: Vec<(f64, f64)> = parsed
        .samples
        .iter()
        .filter(|((name, _), _)| name == "herder_request_duration_seconds_bucket")
        .map(|((_, labels), &value)| (labels["le"].parse().unwrap(), value))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bounds: Vec<f64> = buckets.iter().map(|&(le, _)| le).collect();
    let expected: Vec<f64> = BOUNDS_NS.iter().map(|&ns| ns as f64 / 1e9).collect();
    assert_eq!(bounds[..expected.len()], expected);
    assert_eq!(bounds[expected.len()..], [f64::INFINITY]);
    let counts: Vec<f64> = buckets.iter().map(|&(_, count)| count).collect();
    // 3 ms, 300 ms and 90 s.
    let steps = |le: f64| [0.003, 0.3, 90.0].iter().filter(|&&s| s <= le).count();
    assert_eq!(counts, bounds.iter().map(|&le| steps(le) as f64).collect::<Vec<_>>());
}

#[test]
fn an_idle_herder_describes_everything_as_well() {
    let text = Registry::new(1, &[]).encode(&Gauges::default()).unwrap();
    let parsed = parse(&text);
    assert_eq!(parsed.types.len(), names::ALL.len());
    assert!(parsed.samples.keys().all(|(_, labels)| !labels.contains_key("instance_id")));
}

#[test]
fn label_values_are_escaped() {
    let (registry, mut gauges) = busy();
    gauges.version = "a\"b\\c\nd";
    let parsed = parse(&registry.encode(&gauges).unwrap());
    let labels = Labels::from([("version".to_owned(), "a\"b\\c\nd".to_owned())]);
    assert!(parsed.samples.contains_key(&("herder_build_info".to_owned(), labels)));
}

#[test]
fn the_document_lists_every_metric_and_no_other() {
    let row = |metric: &&names::Metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (metric.name, metric.kind.label(), metric.help);
        format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
    };
    let expected: Vec<String> = names::ALL.iter().map(row).collect();
    let found: Vec<&str> = DOC.lines().filter(|line| line.starts_with("| `herder_")).collect();
    assert_eq!(found, expected, "docs/metrics.md should have:\n{}", expected.join("\n"));
}

#[test]
fn the_document_states_the_bounds_and_limits() {
    let mut bounds = String::new();
    for ns in BOUNDS_NS {
        write!(bounds, "{:?}, ", ns as f64 / 1e9).unwrap();
    }
    let bounds = format!("`{bounds}+Inf`");
    assert!(DOC.contains(&bounds), "docs/metrics.md should have {bounds}");
    assert!(DOC.contains(&format!("{SERVICES_MAX} services")));
}
