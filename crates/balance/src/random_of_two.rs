//! Two different endpoints by chance, by weight; of these the one with fewer requests in flight.
//! Cheap in any pool, and no crowd runs to the one that looks best for a moment.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Select};

use crate::random::Draw;
use crate::{first_from, keeps_turn, may_take};

#[derive(Debug)]
pub(crate) struct RandomOfTwo {
    endpoints: Arc<[Arc<Endpoint>]>,
    draw: Draw,
}

impl RandomOfTwo {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>) -> Self {
        Self { draw: Draw::new(&endpoints), endpoints }
    }
}

impl Select for RandomOfTwo {
    /// Weights say how often one is drawn, so that loads are compared as they are; a tie goes to
    /// the one that was drawn first.
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let first = self.draw.one(rng)?;
        let second = self.draw.another(first, rng);
        let may = |&at: &usize| may_take(&self.endpoints[at], ask);
        let load = |at: usize| u64::from(self.endpoints[at].in_flight());
        let per_weight = |at: usize| u64::from(self.endpoints[at].weight);
        let best = match (Some(first).filter(may), second.filter(may)) {
            (Some(a), Some(b)) => {
                let keeps = keeps_turn(&self.endpoints[a], rng);
                let is_less = load(b) * per_weight(a) < load(a) * per_weight(b);
                if !keeps || (is_less && keeps_turn(&self.endpoints[b], rng)) { b } else { a }
            }
            (one, other) => one.or(other).unwrap_or(first),
        };
        first_from(&self.endpoints, best, ask)
    }
}
