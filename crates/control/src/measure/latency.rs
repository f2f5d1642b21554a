//! How fast services answered within the last seconds: the histograms of all workers now, less what
//! they were some looks ago. Nothing is added to the way of a request for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::ServiceName;
use telemetry::{Registry, Snapshot};

/// Looks that make the last seconds; with seven kilobytes each.
const LOOKS: usize = 6;

/// A service whose answers are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    /// Its name.
    pub(crate) name: ServiceName,
    /// See [`model::Pool::slot`].
    pub(crate) slot: usize,
    /// How many of 100 answers are asked for.
    pub(crate) percent: u32,
}

/// What the histograms were at the last looks.
pub(super) struct Stopwatch {
    registry: Arc<Registry>,
    /// The oldest first.
    looks: BTreeMap<ServiceName, VecDeque<Snapshot>>,
}

impl Stopwatch {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, looks: BTreeMap::new() }
    }

    /// What that many of 100 answers of the last seconds took at most; nothing of services that
    /// answered nothing.
    pub(super) fn look(&mut self, services: &[Answering]) -> Vec<(ServiceName, Duration)> {
        self.looks.retain(|name, _| services.iter().any(|service| service.name == *name));
        let mut found = Vec::new();
        for Answering { name, slot, percent } in services {
            let now = self.registry.service(*slot, name).snapshot();
            let looks = self.looks.entry(name.clone()).or_default();
            let within = looks.front().map(|before| now.since(before));
            let share = f64::from(*percent) / 100.0;
            if let Some(latency) = within.and_then(|within| within.quantile(share)) {
                found.push((name.clone(), latency));
            }
            looks.push_back(now);
            if looks.len() > LOOKS {
                looks.pop_front();
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use telemetry::Sample;

    use super::*;

    #[test]
    fn only_the_last_seconds_count() {
        let registry = Registry::new(2, &[]);
        let name: ServiceName = "shop".parse().unwrap();
        let series = registry.service(0, &name);
        let answer = |ms| {
            let sample = Sample { duration: Duration::from_millis(ms), ..Sample::default() };
            series.worker(1).record(&sample);
        };
        let mut stopwatch = Stopwatch::new(Arc::clone(&registry));
        let shop = [Answering { name, slot: 0, percent: 95 }];
        let mut look = || stopwatch.look(&shop).first().map(|(_, latency)| latency.as_millis());
        answer(900);
        assert_eq!(look(), None, "nothing came after the first look");
        (0..100).for_each(|_| answer(10));
        let latency = look().unwrap();
        assert!((9..=11).contains(&latency), "{latency}");
        (0..100).for_each(|_| answer(300));
        for _ in 0..LOOKS {
            let latency = look().unwrap();
            assert!((295..=305).contains(&latency), "{latency}");
        }
        assert_eq!(look(), None, "all of it is too long ago");
        assert_eq!(stopwatch.look(&[]), []);
        assert!(stopwatch.looks.is_empty());
    }
}
