//! What the data plane knows of an algorithm: a pool has one, and asks it for an endpoint.
//! How each of them decides is in the crate `balance`.

use std::fmt;

use crate::{InFlight, Time};

/// Picks an endpoint of one pool. Made once per table; all workers ask the same one at once.
pub trait Select: fmt::Debug + Send + Sync {
    /// Begins a request at an endpoint, or nothing when no other endpoint takes one. It waits for
    /// nobody and allocates nothing.
    ///
    /// An endpoint that was closed, or that became full, after the table was published is passed
    /// over: see [`crate::Endpoint::begin`].
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight>;
}

/// One request's question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Now; latencies fade with it.
    pub now: Time,
    /// What requests are told apart by for the algorithms that hash; 0 for all others.
    pub hash: u64,
    /// Keys of the endpoints that this request must not go to again.
    pub tried: &'a [u64],
}
