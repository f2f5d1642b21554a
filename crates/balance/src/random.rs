//! An endpoint by chance, in proportion to its weight.
//! No memory of earlier picks, so no state that workers would have to share.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Select};

use crate::{first_from, keeps_turn};

/// Draws once; when the drawn endpoint does not take the request, the next one in order steps in.
#[derive(Debug)]
pub(crate) struct Random {
    endpoints: Arc<[Arc<Endpoint>]>,
    /// Running sums of the weights: endpoint `i` owns the numbers from `sums[i - 1]` to
    /// `sums[i] - 1`.
    sums: Box<[u64]>,
}

impl Random {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>) -> Self {
        let weights = endpoints.iter().map(|endpoint| u64::from(endpoint.weight));
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect(), endpoints }
    }
}

impl Select for Random {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let draw = rng.u64(0..*self.sums.last()?);
        let at = self.sums.partition_point(|&sum| sum <= draw);
        let is_kept = self.endpoints.get(at).is_some_and(|drawn| keeps_turn(drawn, rng));
        let start = if is_kept { at } else { (at + 1) % self.endpoints.len() };
        first_from(&self.endpoints, start, ask)
    }
}
