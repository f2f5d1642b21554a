//! Which endpoint of a pool gets a request.
//! Pure: no clock, no I/O, no lock; chance is an argument, and a pick allocates nothing.
#![forbid(unsafe_code)]

mod least_request;
mod random;
mod round_robin;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{Algorithm, Endpoint, InFlight, Pool, Selector};

/// What `algorithm` needs to pick among `endpoints`, made once per table. `turn` belongs to the
/// service and is kept from table to table, so that a rebuild does not start every worker at the
/// first endpoint again.
pub fn selector(
    algorithm: Algorithm,
    endpoints: &[Arc<Endpoint>],
    turn: &Arc<AtomicU64>,
) -> Selector {
    match algorithm {
        Algorithm::RoundRobin => {
            let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
            let sequence = round_robin::sequence(&weights);
            Selector::RoundRobin { sequence, turn: Arc::clone(turn) }
        }
        Algorithm::LeastRequest => Selector::LeastRequest { turn: Arc::clone(turn) },
        Algorithm::Random => Selector::Random { cumulative: random::cumulative(endpoints) },
    }
}

/// Picks an endpoint and begins a request there. `tried` are the keys of endpoints that this
/// request must not go to again. None when no other endpoint takes a request.
///
/// An endpoint that was closed after the table was published is passed over: see
/// [`Endpoint::begin`].
pub fn pick(pool: &Pool, tried: &[u64], rng: &mut fastrand::Rng) -> Option<InFlight> {
    let endpoints = pool.endpoints.as_slice();
    if endpoints.is_empty() {
        return None;
    }
    match &pool.selector {
        Selector::RoundRobin { sequence, turn } => {
            round_robin::pick(endpoints, sequence, turn, tried)
        }
        Selector::LeastRequest { turn } => least_request::pick(endpoints, turn, tried),
        Selector::Random { cumulative } => random::pick(endpoints, cumulative, tried, rng),
    }
}

/// Begins a request at the first endpoint from `start` on, going round once, that was not tried and
/// is not closed.
fn first_from(endpoints: &[Arc<Endpoint>], start: usize, tried: &[u64]) -> Option<InFlight> {
    let (before, after) = endpoints.split_at(start);
    after.iter().chain(before).find_map(|endpoint| begin(endpoint, tried))
}

fn begin(endpoint: &Arc<Endpoint>, tried: &[u64]) -> Option<InFlight> {
    if tried.contains(&endpoint.key) { None } else { endpoint.begin() }
}

#[cfg(test)]
mod tests;
