//! The endpoint with the fewest requests in flight for its weight; ties go round.
//! It scans all endpoints, so the answer is exact and not sampled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Endpoint, InFlight};

/// Picks by the key of HAProxy's leastconn: idle endpoints first, then the lowest
/// `(in flight + 1) / weight`. The scan starts one further each time, so that equals share.
///
/// Two workers may read the same count and pick the same endpoint; the next pick sees both.
pub(crate) fn pick(
    endpoints: &[Arc<Endpoint>],
    turn: &AtomicU64,
    tried: &[u64],
) -> Option<InFlight> {
    let count = u64::try_from(endpoints.len()).ok()?;
    let start = usize::try_from(turn.fetch_add(1, Ordering::Relaxed) % count).ok()?;
    let (before, after) = endpoints.split_at(start);
    let best = after
        .iter()
        .chain(before)
        .filter(|endpoint| !endpoint.is_closed() && !tried.contains(&endpoint.key))
        .map(|endpoint| (load(endpoint), endpoint))
        .reduce(|best, next| if is_less(next.0, best.0) { next } else { best })?;
    // It may have been closed since it was looked at; then any other one will do.
    best.1.begin().or_else(|| crate::first_from(endpoints, start, tried))
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
