//! What all workers share about one service, and every table of it holds.
//! Counters only: they outlive tables, and nobody waits for another to read them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The living state of one service. One exists per service name for the whole life of Herder, so
/// that a rebuild of the table starts nothing again.
#[derive(Debug, Default)]
pub struct Live {
    /// Counts picks: whose turn it is.
    turn: AtomicU64,
    /// Attempts after the first that are under way.
    retrying: AtomicU32,
    /// Requests that wait for an endpoint.
    waiting: AtomicU32,
}

impl Live {
    /// Takes the next turn.
    pub fn take_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Attempts after the first that are under way, over all workers.
    pub fn retrying(&self) -> &AtomicU32 {
        &self.retrying
    }

    /// Requests that wait for an endpoint, over all workers.
    pub fn waiting(&self) -> &AtomicU32 {
        &self.waiting
    }
}
