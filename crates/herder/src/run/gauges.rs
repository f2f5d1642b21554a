//! What metrics and screens are told about the herd: copies of facts that live elsewhere.
//! Conversions, and the recent past per service; nothing is counted here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use control::{AdmissionView, Entry, InstanceView, ScalingView, ServiceView, View};
use model::{ServiceName, Time, UNLIMITED};
use telemetry::{InstanceGauges, JournalCount, Recent, Registry, ScalingGauges, ServiceGauges};
use tokio::sync::watch;

use crate::admin::api::Traffic;

/// The window that screens show the traffic of.
const WINDOW: Duration = Duration::from_secs(10);

/// The recent traffic of every service.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    recent: BTreeMap<ServiceName, Recent>,
}

impl Pulse {
    /// Looks at the counters, once a second or so, and says what the last seconds were like.
    pub(crate) fn observe(
        &mut self,
        view: &View,
        registry: &Registry,
    ) -> BTreeMap<String, Traffic> {
        self.recent.retain(|name, _| view.services.iter().any(|service| service.name == *name));
        let mut traffic = BTreeMap::new();
        for ServiceView { name, slot, .. } in &view.services {
            let recent = self.recent.entry(name.clone()).or_insert_with(|| Recent::new(WINDOW));
            recent.observe(view.at, registry.service(*slot, name).snapshot());
            if let Some((summary, over)) = recent.summary() {
                let per_s = |count: u64| count as f64 / over.as_secs_f64();
                let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
                let told = Traffic {
                    requests_per_second: per_s(summary.requests),
                    errors_5xx_per_second: per_s(summary.errors_5xx),
                    retries_per_second: per_s(summary.retries),
                    retries_denied_per_second: per_s(summary.retries_denied),
                    hedges_per_second: per_s(summary.hedges),
                    p50_ms: summary.p50.map(ms),
                    p99_ms: summary.p99.map(ms),
                };
                traffic.insert(name.to_string(), told);
            }
        }
        traffic
    }
}

/// How many journal entries there were, by subject and kind.
#[derive(Debug, Default)]
pub(crate) struct JournalCounts {
    last_seq: u64,
    /// Bounded: one per kind and service that there ever was.
    counts: watch::Sender<Vec<JournalCount>>,
}

impl JournalCounts {
    /// The last entry that was counted.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Counts the entries after the last one. Those that the journal dropped meanwhile are missed.
    pub(crate) fn count(&mut self, news: &[Entry]) {
        let Some(last) = news.last() else { return };
        self.last_seq = last.seq;
        self.counts.send_modify(|counts| {
            for Entry { service, kind, .. } in news {
                let kind = kind.label();
                let same = |c: &&mut JournalCount| c.service == *service && c.kind == kind;
                match counts.iter_mut().find(same) {
                    Some(known) => known.count += 1,
                    None => counts.push(JournalCount { service: service.clone(), kind, count: 1 }),
                }
            }
        });
    }

    /// The counts as they are whenever somebody looks.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Vec<JournalCount>> {
        self.counts.subscribe()
    }
}

/// The gauges of the services that a view shows.
pub(crate) fn services(view: &View) -> Vec<ServiceGauges> {
    let service = |service: &ServiceView| ServiceGauges {
        name: service.name.clone(),
        desired: service.desired,
        min: service.min,
        max: service.max,
        scaling: service.scaling.as_ref().and_then(scaling),
        ejections: service.ejections,
        in_panic: service.panic.is_some(),
        instances: service.instances.iter().map(instance).collect(),
    };
    view.services.iter().map(service).collect()
}

fn scaling(view: &ScalingView) -> Option<ScalingGauges> {
    let (_, decision) = view.decision.as_ref()?;
    let wanted = |asked: &scale::Asked| Some((asked.signal.name(), asked.wants?));
    Some(ScalingGauges {
        wanted: decision.asked.iter().filter_map(wanted).collect(),
        limited_by: decision.limited_by().map(scale::LimitedBy::name),
    })
}

/// The wall clock's now.
pub(crate) fn wall_clock() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::default() + since_epoch
}

fn instance(view: &InstanceView) -> InstanceGauges {
    InstanceGauges {
        id: view.id.clone(),
        phase: view.phase,
        in_flight: view.in_flight,
        in_flight_max: Some(view.limit).filter(|&limit| limit < UNLIMITED),
        requests: view.requests,
        failures: view.failures,
        is_ejected: matches!(view.admission, AdmissionView::Ejected { .. }),
        cpu_s: view.usage.map(|usage| usage.cpu.as_secs_f64()),
        memory_bytes: view.usage.map(|usage| usage.memory_bytes),
    }
}

#[cfg(test)]
mod tests {
    use control::Kind;

    use super::*;

    fn entry(seq: u64, service: Option<&str>, kind: Kind) -> Entry {
        let service = service.map(|name| name.parse().unwrap());
        let (at, instance, text) = (Time::from_ms(seq), None, String::new());
        Entry { seq, at, kind, service, instance, text }
    }

    #[test]
    fn entries_are_counted_by_subject_and_kind() {
        let mut counts = JournalCounts::default();
        let told = counts.subscribe();
        counts.count(&[entry(1, None, Kind::Configured), entry(2, Some("shop"), Kind::Phase)]);
        counts.count(&[]);
        counts.count(&[entry(3, Some("shop"), Kind::Phase), entry(9, Some("shop"), Kind::Failure)]);
        assert_eq!(counts.last_seq(), 9);
        let check = |service: Option<&str>, kind: Kind, expected| {
            let service = service.map(|name| name.parse().unwrap());
            let found = told.borrow().clone();
            let found = found.iter().find(|c| c.service == service && c.kind == kind.label());
            assert_eq!(found.map(|count| count.count), expected);
        };
        check(None, Kind::Configured, Some(1));
        check(Some("shop"), Kind::Phase, Some(2));
        check(Some("shop"), Kind::Failure, Some(1));
        check(None, Kind::Phase, None);
    }
}
