//! What is counted for Herder as a whole, before or without a service: a shard per worker.
//! Nothing of a service belongs here.

use crate::counter::{Counter, Gauge};
use crate::exposition::{Exposition, Value};
use crate::names;
use crate::shard::Errors;

/// What the workers count for Herder as a whole.
#[derive(Debug)]
pub struct ProcessSeries {
    error_labels: &'static [&'static str],
    shards: Box<[ProcessShard]>,
}

/// The part of one worker. Only that worker may call what changes it.
#[repr(align(128))]
#[derive(Debug)]
pub struct ProcessShard {
    open: Gauge,
    accepted: Counter,
    redirects: Counter,
    errors: Errors,
}

impl ProcessSeries {
    pub(crate) fn new(workers: usize, error_labels: &'static [&'static str]) -> Self {
        let shard = |_| ProcessShard {
            open: Gauge::default(),
            accepted: Counter::new(),
            redirects: Counter::new(),
            errors: Errors::new(error_labels.len()),
        };
        Self { error_labels, shards: (0..workers).map(shard).collect() }
    }

    /// The shard that this worker, and no other thread, counts in.
    ///
    /// # Panics
    /// When `worker` is not below the number of workers that the registry was made for.
    pub fn worker(&self, worker: usize) -> &ProcessShard {
        &self.shards[worker]
    }

    /// Client connections open now, over all workers.
    pub fn connections_open(&self) -> i64 {
        self.shards.iter().map(|shard| shard.open.get()).sum()
    }

    /// Adds these series to the metrics.
    pub(crate) fn expose(&self, to: &mut Exposition) {
        let count = |of: fn(&ProcessShard) -> u64| Value::Count(self.shards.iter().map(of).sum());
        to.add(&names::WORKERS, &[], Value::Size(self.shards.len()));
        to.add(&names::CONNECTIONS_OPEN, &[], Value::Level(self.connections_open()));
        to.add(&names::CONNECTIONS, &[], count(|shard| shard.accepted.get()));
        to.add(&names::REDIRECTS, &[], count(|shard| shard.redirects.get()));
        let mut sums = vec![0; self.error_labels.len() + 1];
        self.shards.iter().for_each(|shard| shard.errors.add_to(&mut sums));
        for (label, sum) in self.error_labels.iter().chain([&names::OTHER]).zip(sums) {
            to.add(&names::REFUSED, &[label], Value::Count(sum));
        }
    }
}

impl ProcessShard {
    /// A client connection was accepted.
    pub fn connection_opened(&self) {
        self.open.add(1);
        self.accepted.add(1);
    }

    /// A client connection that was accepted is closed.
    pub fn connection_closed(&self) {
        self.open.add(-1);
    }

    /// A request was answered with a redirect.
    pub fn redirect(&self) {
        self.redirects.add(1);
    }

    /// A request was refused before its service was known. `label_index` points into the error
    /// labels of the registry; one that points nowhere counts as `other`.
    pub fn error(&self, label_index: usize) {
        self.errors.add(label_index);
    }
}
