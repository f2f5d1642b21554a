//! An endpoint by chance, in proportion to its weight.
//! No memory of earlier picks, so no state that workers would have to share.

use std::sync::Arc;

use model::{Endpoint, InFlight};

/// Running sums of the weights: endpoint `i` owns the numbers from `sums[i - 1]` to `sums[i] - 1`.
pub(crate) fn cumulative(endpoints: &[Arc<Endpoint>]) -> Box<[u64]> {
    endpoints
        .iter()
        .scan(0, |sum, endpoint| {
            *sum += u64::from(endpoint.weight);
            Some(*sum)
        })
        .collect()
}

/// Draws once; when the drawn endpoint was tried or is closed, the next one in order steps in.
pub(crate) fn pick(
    endpoints: &[Arc<Endpoint>],
    cumulative: &[u64],
    tried: &[u64],
    rng: &mut fastrand::Rng,
) -> Option<InFlight> {
    let draw = rng.u64(0..*cumulative.last()?);
    let at = cumulative.partition_point(|&sum| sum <= draw);
    crate::first_from(endpoints, at, tried)
}
