//! All series of one Herder, and their text for a scrape.
//! No global: the composition root makes one and shares it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ServiceName;

use crate::exposition::Exposition;
use crate::names::SERVICE_OTHER;
use crate::{Gauges, ProcessSeries, ServiceSeries};

/// Services with series of their own. Those with a slot from here on share one, with the label
/// `service="_other"`: they are served all the same.
pub const SERVICES_MAX: usize = 512;

/// All series of one Herder.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    error_labels: &'static [&'static str],
    process: ProcessSeries,
    /// By slot. Locked when a worker meets a service for the first time and when somebody reads,
    /// never for a request.
    services: Mutex<Services>,
}

#[derive(Debug, Default)]
struct Services {
    slots: Vec<Option<Arc<ServiceSeries>>>,
    other: Option<Arc<ServiceSeries>>,
}

impl Registry {
    /// Series for this many workers. `error_labels` are the labels that error indices point into.
    pub fn new(workers: usize, error_labels: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self {
            workers,
            error_labels,
            process: ProcessSeries::new(workers, error_labels),
            services: Mutex::default(),
        })
    }

    /// The series of a service, made at the first call; 7.8 KB per worker. They stay until Herder
    /// ends, so that counters of a service that a reload takes out and another brings back go on.
    ///
    /// `slot` is the service's slot in the table. A slot that another name takes over begins anew,
    /// and so does a name that moves: no two series have the same labels.
    pub fn service(&self, slot: usize, name: &ServiceName) -> Arc<ServiceSeries> {
        let make = |label| Arc::new(ServiceSeries::new(label, self.workers, self.error_labels));
        let mut services = self.services();
        if slot >= SERVICES_MAX {
            return Arc::clone(services.other.get_or_insert_with(|| make(SERVICE_OTHER)));
        }
        let slots = &mut services.slots;
        if slots.len() <= slot {
            slots.resize(slot + 1, None);
        }
        if let Some(series) = slots[slot].as_ref().filter(|series| series.is_named(name)) {
            return Arc::clone(series);
        }
        for moved in slots.iter_mut() {
            moved.take_if(|series| series.is_named(name));
        }
        Arc::clone(slots[slot].insert(make(name.as_str())))
    }

    /// The series of Herder as a whole.
    pub fn process(&self) -> &ProcessSeries {
        &self.process
    }

    /// Every metric as OpenMetrics text, to be sent with [`crate::CONTENT_TYPE`].
    ///
    /// # Errors
    /// Those of the encoder; writing to memory, it has none of its own.
    pub fn encode(&self, gauges: &Gauges) -> Result<String, fmt::Error> {
        let mut exposition = Exposition::new();
        let series: Vec<Arc<ServiceSeries>> = {
            let services = self.services();
            services.slots.iter().chain([&services.other]).flatten().cloned().collect()
        };
        series.iter().for_each(|series| series.expose(&mut exposition));
        self.process.expose(&mut exposition);
        gauges.expose(&mut exposition);
        exposition.into_text()
    }

    /// A panic while the lock was held left complete values: nothing under it is half done.
    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn requests(registry: &Registry) -> Vec<String> {
        let text = registry.encode(&Gauges::default()).unwrap();
        let prefix = "herder_requests_in_flight{";
        text.lines().filter_map(|line| Some(line.strip_prefix(prefix)?.to_owned())).collect()
    }

    #[test]
    fn a_slot_has_one_series_for_all_workers() {
        let registry = Registry::new(2, &[]);
        let first = registry.service(3, &name("shop"));
        assert!(Arc::ptr_eq(&first, &registry.service(3, &name("shop"))));
        first.worker(0).begin();
        first.worker(1).begin();
        assert_eq!(requests(&registry), [r#"service="shop"} 2"#]);
    }

    #[test]
    fn no_two_series_have_the_same_labels() {
        let registry = Registry::new(1, &[]);
        registry.service(0, &name("shop")).worker(0).begin();
        registry.service(1, &name("shop"));
        assert_eq!(requests(&registry), [r#"service="shop"} 0"#]);
        registry.service(1, &name("cart"));
        assert_eq!(requests(&registry), [r#"service="cart"} 0"#]);
    }

    #[test]
    fn services_beyond_the_limit_share_one_series() {
        let registry = Registry::new(1, &[]);
        registry.service(SERVICES_MAX - 1, &name("last"));
        for slot in [SERVICES_MAX, SERVICES_MAX + 1, usize::MAX] {
            registry.service(slot, &name("late")).worker(0).begin();
        }
        assert_eq!(requests(&registry), [r#"service="last"} 0"#, r#"service="_other"} 3"#]);
    }
}
