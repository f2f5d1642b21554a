//! The endpoint with the fewest requests in flight for its weight; ties go round.
//! It looks at all endpoints if it must, so the answer is exact and not sampled.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Live, Select};

use crate::{first_from, may_take};

/// Up to so many endpoints idle ones take turns.
const SCANNED_MAX: usize = 32;

/// Picks by the key of HAProxy's leastconn: idle endpoints first, then the lowest
/// `(in flight + 1) / weight`. Equals take turns among themselves: beginning the scan one further
/// each time would give the successor of a busy endpoint its share as well.
///
/// In a pool of more than [`SCANNED_MAX`] the scan begins at a random endpoint and ends with the
/// first idle one, as none can have less.
///
/// Two workers may read the same count and pick the same endpoint; the next pick sees both.
#[derive(Debug)]
pub(crate) struct LeastRequest {
    pub(crate) endpoints: Arc<[Arc<Endpoint>]>,
    pub(crate) live: Arc<Live>,
}

impl Select for LeastRequest {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        if self.endpoints.len() > SCANNED_MAX
            && let Some(begun) = self.idle(ask, rng)
        {
            return Some(begun);
        }
        let turn = self.live.take_turn();
        let takers = || self.endpoints.iter().filter(|endpoint| may_take(endpoint, ask));
        let (mut lowest, mut equals) = (None, 0);
        for load in takers().map(|endpoint| load(endpoint)) {
            if lowest.is_none_or(|lowest| is_less(load, lowest)) {
                (lowest, equals) = (Some(load), 1);
            } else if lowest.is_some_and(|lowest| !is_less(lowest, load)) {
                equals += 1;
            }
        }
        let lowest = lowest?;
        let nth = usize::try_from(turn % equals).ok()?;
        let best = takers().filter(|endpoint| !is_less(lowest, load(endpoint))).nth(nth);
        // Loads move while they are looked at, and it may have been closed; then any other will do.
        best.and_then(|best| best.begin()).or_else(|| first_from(&self.endpoints, 0, ask))
    }
}

impl LeastRequest {
    fn idle(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let (before, after) = self.endpoints.split_at(rng.usize(..self.endpoints.len()));
        let is_idle = |endpoint: &Endpoint| endpoint.in_flight() == 0 && may_take(endpoint, ask);
        let idle = after.iter().chain(before).find(|endpoint| is_idle(endpoint));
        idle.and_then(|idle| idle.begin())
    }
}

/// Numerator and denominator of the key.
fn load(endpoint: &Endpoint) -> (u64, u64) {
    let in_flight = u64::from(endpoint.in_flight());
    let numerator = if in_flight == 0 { 0 } else { in_flight + 1 };
    (numerator, u64::from(endpoint.weight) * u64::from(endpoint.share()))
}

/// Whether `a` is the smaller fraction, by cross-multiplication.
fn is_less(a: (u64, u64), b: (u64, u64)) -> bool {
    u128::from(a.0) * u128::from(b.1) < u128::from(b.0) * u128::from(a.1)
}
