//! Which endpoint of a pool gets a request.
//! Pure: no clock, no I/O, no lock; chance is an argument, and a pick allocates nothing.
#![forbid(unsafe_code)]

pub mod admission;
mod affinity;
pub mod budget;
mod cost;
pub mod gradient;
mod hash;
mod least_latency;
mod least_request;
mod maglev;
mod outlier;
mod prequal;
pub mod quantile;
pub mod queue;
mod random;
mod random_of_two;
pub mod rate;
mod rendezvous;
mod ring_hash;
mod roster;
mod round_robin;
pub mod simulate;
mod slow_start;
mod tiered;

use std::sync::Arc;

use model::{Algorithm, Ask, Endpoint, InFlight, Live, SHARE_FULL, Select};

pub use crate::affinity::homes;
pub use crate::hash::hash;
pub use crate::outlier::{Fault, Tally, ejected_max, ejection_time, interval_faults, streak_fault};
pub use crate::roster::{Candidate, LOAD_FULL, Panic, Standing, Tier, roster};
pub use crate::slow_start::{ramp, ramp_limit, ramp_step};

use crate::least_latency::LeastLatency;
use crate::least_request::LeastRequest;
use crate::maglev::Maglev;
use crate::prequal::Prequal;
use crate::random::Random;
use crate::random_of_two::RandomOfTwo;
use crate::rendezvous::Rendezvous;
use crate::ring_hash::RingHash;
use crate::round_robin::RoundRobin;
use crate::tiered::Tiered;

/// What picks among `endpoints` by `algorithm`, made once per table. `live` belongs to the service
/// and is kept from table to table, so that a rebuild does not start every worker at the first
/// endpoint again.
pub fn selector(
    algorithm: Algorithm,
    endpoints: &[Arc<Endpoint>],
    live: &Arc<Live>,
) -> Box<dyn Select> {
    let (endpoints, live): (Arc<[_]>, _) = (Arc::from(endpoints), Arc::clone(live));
    match algorithm {
        Algorithm::LeastLatency => Box::new(LeastLatency { endpoints, live }),
        Algorithm::LeastRequest => Box::new(LeastRequest { endpoints, live }),
        Algorithm::RoundRobin => Box::new(RoundRobin::new(endpoints, live)),
        Algorithm::Random => Box::new(Random::new(endpoints)),
        Algorithm::RandomOfTwo => Box::new(RandomOfTwo::new(endpoints)),
        Algorithm::Prequal => Box::new(Prequal::new(endpoints, live)),
        Algorithm::RingHash { load_percent_max } => {
            Box::new(RingHash::new(endpoints, load_percent_max))
        }
        Algorithm::Maglev { load_percent_max } => {
            Box::new(Maglev::new(endpoints, load_percent_max))
        }
        Algorithm::Rendezvous { load_percent_max } => {
            Box::new(Rendezvous::new(endpoints, load_percent_max))
        }
    }
}

/// What picks among several tiers, each with its load: a tier is drawn by its load, and picks by
/// `algorithm`. One alone costs nothing more than [`selector`].
pub fn tiered(
    algorithm: Algorithm,
    tiers: &[(u32, Vec<Arc<Endpoint>>)],
    live: &Arc<Live>,
) -> Box<dyn Select> {
    let select = |endpoints: &[Arc<Endpoint>]| selector(algorithm, endpoints, live);
    match tiers {
        [] => select(&[]),
        [(_, only)] => select(only),
        several => {
            let tiers = several.iter().map(|(load, endpoints)| (*load, select(endpoints)));
            Box::new(Tiered::new(tiers))
        }
    }
}

/// Begins a request at the first endpoint from `start` on, going round once, that takes it.
fn first_from(endpoints: &[Arc<Endpoint>], start: usize, ask: &Ask<'_>) -> Option<InFlight> {
    let (before, after) = endpoints.split_at_checked(start)?;
    after.iter().chain(before).find_map(|endpoint| begin(endpoint, ask))
}

fn begin(endpoint: &Arc<Endpoint>, ask: &Ask<'_>) -> Option<InFlight> {
    if ask.tried.contains(&endpoint.key) { None } else { endpoint.begin() }
}

/// Whether an endpoint might take this request now.
fn may_take(endpoint: &Endpoint, ask: &Ask<'_>) -> bool {
    endpoint.is_free() && !ask.tried.contains(&endpoint.key)
}

/// Whether an endpoint keeps the turn that it was given: always, unless only a share of its weight
/// counts. For the algorithms that have no cost to scale by the share.
fn keeps_turn(endpoint: &Endpoint, rng: &mut fastrand::Rng) -> bool {
    let share = endpoint.share();
    share == SHARE_FULL || rng.u32(..SHARE_FULL) < share
}

#[cfg(test)]
mod tests;
