//! `/metrics` through a strict reader of OpenMetrics text, against what clients really did.
//! That the manual names every metric is tested with the metrics.

use std::collections::{BTreeMap, BTreeSet};

use testkit::{RawClient, wait_until};

use crate::shop;

/// Every sample, by its name and labels as written.
type Samples = BTreeMap<String, f64>;

#[tokio::test]
async fn metrics_are_openmetrics_and_count_what_happened() {
    let herd = shop(2).await;
    let mut client = RawClient::connect(herd.addr().await).await;
    for (path, count) in [("/", 6), ("/fail", 2), ("/no-such-page", 1)] {
        for _ in 0..count {
            client.get(path).await.unwrap();
        }
    }
    let response = herd.admin("/metrics").await.unwrap();
    let kind = response.fields.get("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let samples = read(&response.text());
    let check = |series: &str, expected: f64| {
        assert_eq!(samples.get(series).copied(), Some(expected), "{series} in {samples:#?}");
    };
    check("herder_requests_total{service=\"shop\",status=\"2xx\"}", 6.0);
    check("herder_requests_total{service=\"shop\",status=\"4xx\"}", 1.0);
    check("herder_requests_total{service=\"shop\",status=\"5xx\"}", 2.0);
    check("herder_request_duration_seconds_count{service=\"shop\"}", 9.0);
    check("herder_request_duration_seconds_bucket{le=\"+Inf\",service=\"shop\"}", 9.0);
    check("herder_requests_in_flight{service=\"shop\"}", 0.0);
    check("herder_instance_requests_total{service=\"shop\",instance_id=\"shop.1\"}", 5.0);
    check("herder_instance_requests_total{service=\"shop\",instance_id=\"shop.2\"}", 4.0);
    check("herder_instances{service=\"shop\",phase=\"ready\"}", 2.0);
    check("herder_instances_desired{service=\"shop\"}", 2.0);
    check("herder_connections_open", 1.0);
    check("herder_connections_total", 1.0);
    let version = herd.up().await["version"].as_str().unwrap().to_owned();
    check(&format!("herder_build_info{{version=\"{version}\"}}"), 1.0);

    herd.ordered(["scale", "shop", "3"]).await;
    wait_until(testkit::PATIENCE, "three instances in the metrics", async || {
        let samples = read(&herd.admin("/metrics").await.unwrap().text());
        samples["herder_instances{service=\"shop\",phase=\"ready\"}"] == 3.0
    })
    .await;
    herd.stop().await;
}

/// Reads OpenMetrics text; anything that is not it is a panic.
fn read(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let (mut samples, mut families, mut family) = (Samples::new(), BTreeSet::new(), None);
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (word, name) = (words.next().unwrap(), words.next().unwrap());
            match word {
                "HELP" => assert!(families.insert(name.to_owned()), "{name} comes twice"),
                "UNIT" => assert!(name.ends_with(words.next().unwrap()), "{line}"),
                "TYPE" => family = Some((name.to_owned(), words.next().unwrap().to_owned())),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        let (of, kind) = family.as_ref().unwrap_or_else(|| panic!("no type before {line}"));
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => panic!("{kind}"),
        };
        let fits = suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(of));
        assert!(fits && name.starts_with("herder_"), "{line} below {of}, a {kind}");
        let value: f64 = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(value >= 0.0, "{line}");
        assert_eq!(samples.insert(series.to_owned(), value), None, "{series} comes twice");
    }
    for (series, value) in body.lines().filter_map(|line| line.rsplit_once(' ')) {
        judge_bucket(&samples, series, value.parse().unwrap_or_default());
    }
    samples
}

/// A bucket holds no more than its histogram counts, and the last one all of it.
fn judge_bucket(samples: &Samples, series: &str, value: f64) {
    let Some((name, labels)) = series.split_once("_bucket{") else { return };
    let is_bound = |label: &&str| label.starts_with("le=");
    let others: Vec<_> =
        labels.trim_end_matches('}').split(',').filter(|label| !is_bound(label)).collect();
    let count = samples[&format!("{name}_count{{{}}}", others.join(","))];
    assert!(value <= count, "{series} {value}, and the count is {count}");
    assert!(value == count || !labels.contains("le=\"+Inf\""), "{series} {value}");
}
