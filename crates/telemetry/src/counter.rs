//! Numbers that one thread writes and any thread reads.
//! They must never be written from two threads: an update would be lost.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Only goes up. A load and a store instead of an atomic addition: with one writer both are
/// right, and the addition would lock the cache line on every request.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

/// Goes up and down, by the same rule.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Counter {
    /// Nothing counted. A constant, so that arrays of counters can be made from it.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts `more`; wraps after 2⁶⁴, which a scraper takes for a restart.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// Keeps the larger of what is there and `value`.
    pub(crate) fn raise(&self, value: u64) {
        if value > self.get() {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Moves by `delta`.
    pub(crate) fn add(&self, delta: i64) {
        self.0.store(self.get().wrapping_add(delta), Ordering::Relaxed);
    }

    /// Where it stands.
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
