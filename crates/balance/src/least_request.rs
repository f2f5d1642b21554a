//! The endpoint with the fewest requests in flight for its weight; ties go round.
//! It scans all endpoints, so the answer is exact and not sampled.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Live, Select};

use crate::{first_from, may_take};

/// Picks by the key of HAProxy's leastconn: idle endpoints first, then the lowest
/// `(in flight + 1) / weight`. Equals take turns among themselves: beginning the scan one further
/// each time would give the successor of a busy endpoint its share as well.
///
/// Two workers may read the same count and pick the same endpoint; the next pick sees both.
#[derive(Debug)]
pub(crate) struct LeastRequest {
    pub(crate) endpoints: Arc<[Arc<Endpoint>]>,
    pub(crate) live: Arc<Live>,
}

impl Select for LeastRequest {
    fn pick(&self, ask: &Ask<'_>, _: &mut fastrand::Rng) -> Option<InFlight> {
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
