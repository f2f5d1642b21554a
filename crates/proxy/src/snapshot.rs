//! The published table as one worker holds it, with the series that belong to its pools.
//! Cloned without touching memory that other workers write to.

use std::rc::Rc;
use std::sync::Arc;

use model::{Pool, Table};
use telemetry::{Registry, ServiceSeries};

use crate::line::Line;

/// A table and, for each of its pools, where requests to it are counted.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) table: Arc<Table>,
    series: Vec<Arc<ServiceSeries>>,
    /// Of the services that may refuse a request before they look for an instance.
    guarded: Vec<Option<Arc<Line>>>,
}

/// One pool of one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) snapshot: Rc<Snapshot>,
    /// Index of the pool.
    pub(crate) at: usize,
}

/// Counts one request as in flight for its service until it is dropped.
pub(crate) struct InService {
    place: Place,
    worker: usize,
}

impl Snapshot {
    pub(crate) fn of(table: &Arc<Table>, registry: &Registry) -> Self {
        let series = table.pools.iter().map(|pool| registry.service(pool.slot, &pool.service.name));
        let is_guarded = |pool: &&Arc<Pool>| {
            !pool.service.rate_limits.is_empty() || pool.service.admission.is_on
        };
        Self {
            series: series.collect(),
            guarded: table
                .pools
                .iter()
                .map(|pool| Some(pool).filter(is_guarded).map(|pool| pool.live.line()))
                .collect(),
            table: Arc::clone(table),
        }
    }
}

impl Place {
    pub(crate) fn pool(&self) -> &Pool {
        &self.snapshot.table.pools[self.at]
    }

    /// What its requests have to pass before they look for an instance, if anything.
    pub(crate) fn guard(&self) -> Option<&Line> {
        self.snapshot.guarded[self.at].as_deref()
    }

    pub(crate) fn series(&self) -> &ServiceSeries {
        &self.snapshot.series[self.at]
    }
}

impl InService {
    pub(crate) fn begin(place: &Place, worker: usize) -> Self {
        place.series().worker(worker).begin();
        Self { place: place.clone(), worker }
    }
}

impl Drop for InService {
    fn drop(&mut self) {
        self.place.series().worker(self.worker).end();
    }
}
