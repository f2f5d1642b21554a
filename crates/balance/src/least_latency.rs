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
            for drawn in drawn(count, rng) {
                let at = start + drawn;
                let at = if at < count { at } else { at - count };
                choices.consider(at, &self.endpoints[at], ask);
            }
        }
        let begun = choices.begin(&self.endpoints, &self.live, ask);
        // All of these are full or were tried.
        begun.or_else(|| first_from(&self.endpoints, start, ask))
    }
}

/// One index from each of [`CHOICES`] parts of as many: they differ.
fn drawn(count: usize, rng: &mut fastrand::Rng) -> impl Iterator<Item = usize> {
    let mut chance = u128::from(rng.u64(..)) << 64 | u128::from(rng.u64(..));
    (0..CHOICES).map(move |n| {
        let (from, to) = (n * count / CHOICES, (n + 1) * count / CHOICES);
        // Sixteen bits are enough: where the parts begin is drawn as well, and evenly.
        let part = ((chance & 0xffff) as usize * (to - from)) >> 16;
        chance >>= 16;
        from + part
    })
}
