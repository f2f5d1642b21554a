//! Maglev's table: endpoints fill it in turn, each in an order of its own, so that all have alike.
//! A pick is one look; when an endpoint comes or goes, a little more than its own part moves.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Select};

use crate::hash::{Hashed, below, of_pair};

/// Slots of the table, a prime: that of the paper's small table and of Envoy.
pub(crate) const SLOTS: usize = 65_537;
/// Further slots that are looked at, all over the table, when the one of a request does not take
/// it. The next slot would not do: its endpoint would get all that a full one cannot take.
const JUMPS_MAX: u64 = 64;

#[derive(Debug)]
pub(crate) struct Maglev {
    hashed: Hashed,
    /// For each slot the index of its endpoint; empty without endpoints.
    slots: Box<[u16]>,
}

/// One endpoint that fills a table: it wants the slots `offset + n · skip`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filler {
    pub(crate) at: u16,
    pub(crate) weight: u32,
    pub(crate) offset: usize,
    pub(crate) skip: usize,
}

impl Maglev {
    /// Endpoints past the 65,536th have no slot.
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, load_percent_max: Option<u32>) -> Self {
        let hashed = Hashed::new(endpoints, load_percent_max);
        let filler = |at: usize| {
            let identity = hashed.identities[at];
            Some(Filler {
                at: u16::try_from(at).ok()?,
                weight: hashed.endpoints[at].weight,
                offset: below(SLOTS, of_pair(identity, 1)),
                skip: below(SLOTS - 1, of_pair(identity, 2)) + 1,
            })
        };
        let fillers: Vec<Filler> = hashed.in_order().into_iter().filter_map(filler).collect();
        Self { slots: fill(&fillers, SLOTS), hashed }
    }
}

impl Select for Maglev {
    fn pick(&self, ask: &Ask<'_>, _: &mut fastrand::Rng) -> Option<InFlight> {
        let first = below(self.slots.len(), ask.hash);
        let begin = |slot: usize| self.hashed.begin(usize::from(*self.slots.get(slot)?), ask);
        let jump = |n| begin(below(self.slots.len(), of_pair(ask.hash, n)));
        let found = begin(first).or_else(|| (1..=JUMPS_MAX).find_map(jump));
        found.or_else(|| self.hashed.begin_anywhere(ask))
    }
}

/// Fills a table of so many slots, a prime. In each round every endpoint gains its weight, and
/// takes the next free slot of its order for as much as the heaviest one gains.
pub(crate) fn fill(fillers: &[Filler], slots: usize) -> Box<[u16]> {
    let Some(heaviest) = fillers.iter().map(|filler| u64::from(filler.weight)).max() else {
        return Box::new([]);
    };
    let mut table: Vec<Option<u16>> = vec![None; slots];
    let mut wanted: Vec<usize> = fillers.iter().map(|filler| filler.offset).collect();
    // The first round gives one slot to each.
    let mut credit = vec![heaviest; fillers.len()];
    let mut left = slots;
    while left > 0 {
        for (n, filler) in fillers.iter().enumerate() {
            if credit[n] >= heaviest && left > 0 {
                credit[n] -= heaviest;
                while table[wanted[n]].is_some() {
                    wanted[n] = (wanted[n] + filler.skip) % slots;
                }
                table[wanted[n]] = Some(filler.at);
                left -= 1;
            }
            credit[n] += u64::from(filler.weight);
        }
    }
    table.into_iter().flatten().collect()
}
