//! A ring of points, many for each endpoint: a request belongs to the next point after its hash.
//! When an endpoint comes or goes, only the requests of its own points move.

use std::sync::Arc;

use model::{Ask, Endpoint, InFlight, Select};

use crate::hash::{Hashed, of_pair};

/// Points of an endpoint of weight 1: nginx's number. Shares then differ by a tenth or so.
const POINTS: u64 = 160;
/// Most points of a ring, about: 10 bytes each. With more, all endpoints have fewer, by a power of
/// two, so that the number of points of one hardly ever depends on the others.
const POINTS_MAX: u64 = 1 << 18;
/// Points that a request walks on when those whose they are do not take it. Then anybody will do.
const WALK_MAX: usize = 512;

#[derive(Debug)]
pub(crate) struct RingHash {
    hashed: Hashed,
    /// Sorted.
    points: Box<[u64]>,
    /// For each point the index of its endpoint.
    owners: Box<[u16]>,
}

impl RingHash {
    /// Endpoints past the 65,536th have no points.
    pub(crate) fn new(endpoints: Arc<[Arc<Endpoint>]>, load_percent_max: Option<u32>) -> Self {
        let hashed = Hashed::new(endpoints, load_percent_max);
        let counts = counts(hashed.endpoints.iter().map(|endpoint| endpoint.weight));
        let mut ring = Vec::new();
        for (at, count) in (0..=u16::MAX).zip(counts) {
            let identity = hashed.identities[usize::from(at)];
            ring.extend((0..count).map(|n| (of_pair(identity, n), at)));
        }
        ring.sort_unstable();
        let (points, owners): (Vec<u64>, Vec<u16>) = ring.into_iter().unzip();
        Self { hashed, points: points.into(), owners: owners.into() }
    }
}

impl Select for RingHash {
    fn pick(&self, ask: &Ask<'_>, _: &mut fastrand::Rng) -> Option<InFlight> {
        let next = self.points.partition_point(|&point| point < ask.hash);
        let (before, after) = self.owners.split_at(next);
        let mut last = None;
        let walk = after.iter().chain(before).take(WALK_MAX);
        let found = walk.map(|&owner| usize::from(owner)).find_map(|owner| {
            let is_another = last.replace(owner) != Some(owner);
            if is_another { self.hashed.begin(owner, ask) } else { None }
        });
        found.or_else(|| self.hashed.begin_anywhere(ask))
    }
}

/// How many points each has.
fn counts(weights: impl Iterator<Item = u32> + Clone) -> impl Iterator<Item = u64> {
    let sum: u64 = weights.clone().map(u64::from).sum::<u64>() * POINTS;
    let halvings = (0..u64::BITS).find(|halvings| sum >> halvings <= POINTS_MAX).unwrap_or(0);
    weights.map(move |weight| ((u64::from(weight) * POINTS) >> halvings).max(1))
}
