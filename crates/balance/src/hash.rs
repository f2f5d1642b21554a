//! Numbers that stand for endpoints and requests: the same in every process and on every machine.
//! It knows nothing of loads, and keeps nothing.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, SHARE_FULL};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::begin;

/// The hash of what requests are told apart by.
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// What stands for an endpoint.
pub(crate) fn of_endpoint(endpoint: &Endpoint) -> u64 {
    xxh3_64(endpoint.identity().as_bytes())
}

/// One of many numbers that belong to a number.
pub(crate) fn of_pair(number: u64, seed: u64) -> u64 {
    xxh3_64_with_seed(&number.to_le_bytes(), seed)
}

/// A number below `end`, as evenly as the hash is.
pub(crate) fn below(end: usize, hash: u64) -> usize {
    let wide = u128::from(hash) * end as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// Endpoints that take requests by their hash, up to a load.
#[derive(Debug)]
pub(crate) struct Hashed {
    pub(crate) endpoints: Arc<[Arc<Endpoint>]>,
    /// For each endpoint the hash of its identity.
    pub(crate) identities: Box<[u64]>,
    /// Percent of its part of the requests in flight that an endpoint may have.
    load_percent_max: Option<u32>,
    weights: u64,
}

impl Hashed {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, load_percent_max: Option<u32>) -> Self {
        let identities = endpoints.iter().map(|endpoint| of_endpoint(endpoint)).collect();
        let weights = endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
        Self { endpoints, identities, load_percent_max, weights }
    }

    /// The indices of the endpoints in an order that does not depend on the one in which they came.
    pub(crate) fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        order.sort_by_key(|&at| (self.identities[at], self.endpoints[at].key));
        order
    }

    /// Begins a request at an endpoint that is its turn by the hash, unless it has to pass.
    pub(crate) fn begin(&self, at: usize, ask: &Ask<'_>) -> Option<InFlight> {
        let endpoint = self.endpoints.get(at)?;
        let passes = !self.has_key(at, endpoint, ask.hash) || !self.is_below_bound(endpoint);
        if passes { None } else { begin(endpoint, ask) }
    }

    /// Begins a request anywhere, when nobody was found by the hash.
    pub(crate) fn begin_anywhere(&self, ask: &Ask<'_>) -> Option<InFlight> {
        let start = below(self.endpoints.len(), of_pair(ask.hash, 1));
        crate::first_from(&self.endpoints, start, ask)
    }

    /// Whether a key belongs to the part of its keys that an endpoint takes already while only a
    /// share of its weight counts. The same keys each time, and more as the share grows.
    fn has_key(&self, at: usize, endpoint: &Endpoint, hash: u64) -> bool {
        let share = endpoint.share();
        // Not the number that scores are made of: high ones of these are here already.
        let drawn = || below(SHARE_FULL as usize, of_pair(hash, !self.identities[at]));
        share == SHARE_FULL || drawn() < share as usize
    }

    /// Whether the endpoint may have one more, with `c` for the bound, `k` for what it has, `m` for
    /// what all have, and its weight `w` of all weights `W`: `k + 1 ≤ ⌈c (m + 1) w / W⌉`, which is
    /// the same as `k W < c (m + 1) w`. An idle one always may.
    fn is_below_bound(&self, endpoint: &Endpoint) -> bool {
        let Some(percent) = self.load_percent_max else {
            return true;
        };
        let wanted = u128::from(endpoint.in_flight()) * u128::from(self.weights) * 100;
        if wanted == 0 {
            return true;
        }
        let each = u128::from(percent) * u128::from(endpoint.weight);
        let mut all: u128 = 1;
        self.endpoints.iter().any(|other| {
            all += u128::from(other.in_flight());
            wanted < all * each
        })
    }
}
