//! Rendezvous hashing: each endpoint has a score with a request, and the highest takes it.
//! Exact by weight and with the fewest moves of all; it looks at every endpoint for that.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Select};

use crate::hash::{Hashed, of_pair};

/// Endpoints that are asked in the order of their scores. Then anybody will do.
const ASKED_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Rendezvous {
    hashed: Hashed,
}

impl Rendezvous {
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, load_percent_max: Option<u32>) -> Self {
        Self { hashed: Hashed::new(endpoints, load_percent_max) }
    }

    /// The endpoint with the least distance above `above`, with it.
    fn next(&self, hash: u64, above: f64) -> Option<(f64, usize)> {
        let mut nearest = None;
        for (at, &identity) in self.hashed.identities.iter().enumerate() {
            let distance = distance(of_pair(hash, identity), self.hashed.endpoints[at].weight);
            let is_nearer = nearest.is_none_or(|(nearest, _)| distance < nearest);
            if distance > above && is_nearer {
                nearest = Some((distance, at));
            }
        }
        nearest
    }
}

impl Select for Rendezvous {
    fn pick(&self, ask: &Ask<'_>, _: &mut fastrand::Rng) -> Option<InFlight> {
        let mut above = -1.0;
        for _ in 0..ASKED_MAX.min(self.hashed.endpoints.len()) {
            let (distance, at) = self.next(ask.hash, above)?;
            if let Some(begun) = self.hashed.begin(at, ask) {
                return Some(begun);
            }
            above = distance;
        }
        self.hashed.begin_anywhere(ask)
    }
}

/// One by the score `-w / ln h`, with `h` evenly between 0 and 1: the least one is taken.
fn distance(hash: u64, weight: u32) -> f64 {
    // 53 bits are what an f64 holds; never 0, whose logarithm is none.
    let h = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -h.ln() / f64::from(weight)
}
