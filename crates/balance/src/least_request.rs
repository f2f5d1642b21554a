//! The endpoint with the fewest requests in flight for its weight; ties go round.
//! It scans all endpoints, so the answer is exact and not sampled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Endpoint, InFlight};

/// Picks by the key of HAProxy's leastconn: idle endpoints first, then the lowest
/// `(in flight + 1) / weight`. Equals take turns among themselves: beginning the scan one further
/// each time would give the successor of a busy endpoint its share as well.
///
/// Two workers may read the same count and pick the same endpoint; the next pick sees both.
pub(crate) fn pick(
    endpoints: &[Arc<Endpoint>],
    turn: &AtomicU64,
    tried: &[u64],
) -> Option<InFlight> {
    let turn = turn.fetch_add(1, Ordering::Relaxed);
    let may_take = |e: &&Arc<Endpoint>| !e.is_closed() && !tried.contains(&e.key);
    let (mut lowest, mut equals) = (None, 0);
    for load in endpoints.iter().filter(may_take).map(|endpoint| load(endpoint)) {
        if lowest.is_none_or(|lowest| is_less(load, lowest)) {
            (lowest, equals) = (Some(load), 1);
        } else if lowest.is_some_and(|lowest| !is_less(lowest, load)) {
            equals += 1;
        }
    }
    let lowest = lowest?;
    let nth = usize::try_from(turn % equals).ok()?;
    let is_lowest = |endpoint: &&Arc<Endpoint>| !is_less(lowest, load(endpoint));
    let best = endpoints.iter().filter(may_take).filter(is_lowest).nth(nth);
    // Loads move while they are looked at, and it may have been closed; then any other will do.
    best.and_then(|best| best.begin()).or_else(|| crate::first_from(endpoints, 0, tried))
}

/// Numerator and denominator of the key.
fn load(endpoint: &Endpoint) -> (u64, u64) {
    let in_flight = u64::from(endpoint.in_flight());
    let numerator = if in_flight == 0 { 0 } else { in_flight + 1 };
    (numerator, u64::from(endpoint.weight))
}

/// Whether `a` is the smaller fraction, by cross-multiplication: both factors are below 2^32.
fn is_less(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 * b.1 < b.0 * a.1
}
