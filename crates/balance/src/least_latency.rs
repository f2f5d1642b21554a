//! The endpoint where a request is likely to be answered first: by what answers took lately, by
//! what is in flight, by weight. It looks at a few, whatever the size of the pool.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Live, Select};

use crate::cost::{CHOICES, Choices};
use crate::first_from;

/// Of a small pool it looks at every endpoint, of a larger one at [`CHOICES`] different ones by
/// chance. With two, as in tower and linkerd, the worst wait is nearly twice as long, and one of
/// three instances never wins a pair if it is always a little slower.
#[derive(Debug)]
pub(crate) struct LeastLatency {
    pub(crate) endpoints: Arc<[Arc<Endpoint>]>,
    pub(crate) live: Arc<Live>,
}

impl Select for LeastLatency {
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let count = self.endpoints.len();
        let mut choices = Choices::none();
        let mut start = 0;
        if count <= CHOICES {
            for (at, endpoint) in self.endpoints.iter().enumerate() {
                choices.consider(at, endpoint, ask);
            }
        } else {
            start = rng.usize(..count);
            for n in 0..CHOICES {
                let at = (start + drawn(n, count, rng)) % count;
                choices.consider(at, &self.endpoints[at], ask);
            }
        }
        let begun = choices.begin(&self.endpoints, &self.live, ask);
        // All of these are full or were tried.
        begun.or_else(|| first_from(&self.endpoints, start, ask))
    }
}

/// An index from the `n`th of [`CHOICES`] parts of as many: different for different `n`.
fn drawn(n: usize, count: usize, rng: &mut fastrand::Rng) -> usize {
    let (from, to) = (n * count / CHOICES, (n + 1) * count / CHOICES);
    rng.usize(from..to)
}
