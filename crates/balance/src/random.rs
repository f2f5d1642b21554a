//! An endpoint by chance, in proportion to its weight.
//! No memory of earlier picks, so no state that workers would have to share.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Select};

use crate::{first_from, keeps_turn};

/// Draws once; when the drawn endpoint does not take the request, the next one in order steps in.
#[derive(Debug)]
pub(crate) struct Random {
    endpoints: Arc<[Arc<Endpoint>]>,
    draw: Draw,
}

/// Draws indices of endpoints by weight.
#[derive(Debug)]
pub(crate) struct Draw {
    /// Running sums of the weights: endpoint `i` owns the numbers from `sums[i - 1]` to
    /// `sums[i] - 1`.
    sums: Box<[u64]>,
}

impl Random {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>) -> Self {
        Self { draw: Draw::new(&endpoints), endpoints }
    }
}

impl Select for Random {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let at = self.draw.one(rng)?;
        let start = match keeps_turn(&self.endpoints[at], rng) {
            true => at,
            false => (at + 1) % self.endpoints.len(),
        };
        first_from(&self.endpoints, start, ask)
    }
}

impl Draw {
    pub(crate) fn new(endpoints: &[Arc<Endpoint>]) -> Self {
        let weights = endpoints.iter().map(|endpoint| u64::from(endpoint.weight));
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// None when there is no endpoint.
    pub(crate) fn one(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        let draw = rng.u64(..self.sum()?);
        Some(self.owner(draw))
    }

    /// One of the others, by their weights; none when there is no other.
    pub(crate) fn another(&self, than: usize, rng: &mut fastrand::Rng) -> Option<usize> {
        let end = *self.sums.get(than)?;
        let start = than.checked_sub(1).map_or(0, |before| self.sums[before]);
        let others = self.sum()? - (end - start);
        if others == 0 {
            return None;
        }
        let draw = rng.u64(..others);
        Some(self.owner(if draw < start { draw } else { draw + (end - start) }))
    }

    fn sum(&self) -> Option<u64> {
        self.sums.last().copied()
    }

    fn owner(&self, draw: u64) -> usize {
        self.sums.partition_point(|&sum| sum <= draw)
    }
}
