//! Series as OpenMetrics text, by the encoder and the escaping rules of `prometheus-client`.
//! It knows no metric: names, labels and help come from `names`, values from their owners.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use crate::names::{self, Kind, Metric};
use crate::timings::TimingsSum;

/// The `Content-Type` of what [`crate::Registry::encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All series of one scrape. Every metric is there, with or without series, sorted by name.
#[derive(Debug)]
pub(crate) struct Exposition {
    families: BTreeMap<&'static str, Family>,
}

/// The value of one series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a counter of seconds.
    CountedSeconds(f64),
    /// Of a gauge in bytes.
    Bytes(u64),
    /// Of a gauge that counts things.
    Level(i64),
    /// Of a gauge that is the size of a collection.
    Size(usize),
    /// Of a gauge that numbers versions.
    Version(u64),
    /// Of a gauge that need not be whole.
    Number(f64),
    /// Of a gauge in seconds.
    Seconds(f64),
    /// Of a histogram.
    Timings(TimingsSum),
    /// Of an info, which has only labels.
    Info,
}

#[derive(Debug)]
struct Family {
    metric: &'static Metric,
    series: Vec<(Labels, Value)>,
}

type Labels = Vec<(&'static str, String)>;

impl Exposition {
    /// Every metric, none with a series.
    pub(crate) fn new() -> Self {
        let family = |&metric: &&'static Metric| (metric.name, Family { metric, series: vec![] });
        Self { families: names::ALL.iter().map(family).collect() }
    }

    /// Adds one series. `labels` are the values of [`Metric::labels`], in that order.
    pub(crate) fn add(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        let labels = metric.labels.iter().zip(labels).map(|(&k, &v)| (k, v.to_owned())).collect();
        let family = self.families.get_mut(metric.name);
        family.expect("names::ALL lists every metric").series.push((labels, value));
    }

    /// The text, up to and with its end mark.
    pub(crate) fn into_text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { metric, series } in self.families.values() {
            let (stem, unit, kind) = describe(metric);
            let mut family = encoder.encode_descriptor(stem, metric.help, unit.as_ref(), kind)?;
            for (labels, value) in series {
                encode_series(&mut family, labels, value)?;
            }
        }
        Ok(())
    }
}

fn encode_series(family: &mut MetricEncoder<'_>, labels: &Labels, value: &Value) -> fmt::Result {
    if let Value::Info = value {
        return family.encode_info(labels);
    }
    if labels.is_empty() {
        return encode_value(family, value);
    }
    encode_value(&mut family.encode_family(labels)?, value)
}

fn encode_value(series: &mut MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Count(count) => series.encode_counter(count, None::<&Exemplar<NoLabelSet, u64>>),
        Value::CountedSeconds(seconds) => {
            series.encode_counter(seconds, None::<&Exemplar<NoLabelSet, f64>>)
        }
        Value::Bytes(bytes) => series.encode_gauge(bytes),
        Value::Level(level) => series.encode_gauge(level),
        Value::Size(size) => series.encode_gauge(size),
        Value::Version(version) => series.encode_gauge(version),
        Value::Seconds(number) | Value::Number(number) => series.encode_gauge(number),
        Value::Timings(sum) => {
            series.encode_histogram::<NoLabelSet>(sum.sum_s(), sum.count(), &sum.buckets(), None)
        }
        Value::Info => Err(fmt::Error),
    }
}

/// What the encoder wants to know of a metric: it adds suffixes and units to the name itself.
fn describe(metric: &Metric) -> (&'static str, Option<Unit>, MetricType) {
    let (suffix, kind) = match metric.kind {
        Kind::Counter => ("_total", MetricType::Counter),
        Kind::Gauge => ("", MetricType::Gauge),
        Kind::Histogram => ("", MetricType::Histogram),
        Kind::Info => ("_info", MetricType::Info),
    };
    let name = metric.name.strip_suffix(suffix).unwrap_or(metric.name);
    let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
    for (suffix, unit) in units {
        if let Some(stem) = name.strip_suffix(suffix) {
            return (stem, Some(unit), kind);
        }
    }
    (name, None, kind)
}
