//! Several priorities at once: a tier is drawn by its load, and picks by the service's algorithm.
//! It knows no health: who is in a tier, and how much a tier gets, was decided before.

use model::{Ask, InFlight, Select};

/// One tier: its load, out of the sum of all, and what picks within it.
#[derive(Debug)]
struct Drawn {
    load: u32,
    select: Box<dyn Select>,
}

/// Tiers in the order of their priority.
#[derive(Debug)]
pub(crate) struct Tiered {
    tiers: Box<[Drawn]>,
    sum: u32,
}

impl Tiered {
    /// Each tier with its load, at least 1.
    pub(crate) fn new(tiers: impl Iterator<Item = (u32, Box<dyn Select>)>) -> Self {
        let drawn = |(load, select): (u32, Box<dyn Select>)| Drawn { load: load.max(1), select };
        let tiers: Box<[Drawn]> = tiers.map(drawn).collect();
        let sum = tiers.iter().map(|tier| tier.load).sum();
        Self { tiers, sum }
    }
}

impl Select for Tiered {
    /// By the hash where there is one, so that the same requests stay in the same tier. When nobody
    /// of the drawn tier takes the request, the others are asked in their order.
    fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Option<InFlight> {
        let mut left = match ask.hash {
            0 => rng.u32(..self.sum.max(1)),
            hash => scaled(hash, self.sum),
        };
        let drawn = self.tiers.iter().position(|tier| {
            let is_drawn = left < tier.load;
            left = left.saturating_sub(tier.load);
            is_drawn
        })?;
        let of_drawn = self.tiers[drawn].select.pick(ask, rng);
        of_drawn.or_else(|| {
            let others = self.tiers.iter().enumerate().filter(|(at, _)| *at != drawn);
            others.map(|(_, tier)| tier).find_map(|tier| tier.select.pick(ask, rng))
        })
    }
}

/// The hash as a number below `sum`, evenly.
fn scaled(hash: u64, sum: u32) -> u32 {
    u32::try_from(((hash >> 32) * u64::from(sum)) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use model::{Algorithm, Endpoint, Live, Time};

    use super::*;

    fn endpoints(numbers: std::ops::Range<u32>) -> Vec<Arc<Endpoint>> {
        let addr = "127.0.0.1:1".parse().unwrap();
        let endpoint = |n: u32| {
            let id = format!("shop.{n}").parse().unwrap();
            Arc::new(Endpoint::new(id, u64::from(n), addr, 1))
        };
        numbers.map(endpoint).collect()
    }

    fn select(tiers: &[(u32, Vec<Arc<Endpoint>>)]) -> Box<dyn Select> {
        crate::tiered(Algorithm::RoundRobin, tiers, &Arc::new(Live::default()))
    }

    fn picks(select: &dyn Select, hashes: impl Iterator<Item = u64>) -> BTreeMap<u32, usize> {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut picks = BTreeMap::new();
        for hash in hashes {
            let ask = Ask { now: Time::default(), hash, tried: &[] };
            let begun = select.pick(&ask, &mut rng).unwrap();
            *picks.entry(begun.endpoint().id.number).or_default() += 1;
        }
        picks
    }

    #[test]
    fn each_tier_gets_its_load() {
        let select = select(&[(7_000, endpoints(1..2)), (3_000, endpoints(2..3))]);
        let mut rng = fastrand::Rng::with_seed(1);
        let hashes: Vec<u64> = (0..10_000).map(|_| rng.u64(1..)).collect();
        for picks in [picks(&*select, [0; 10_000].into_iter()), picks(&*select, hashes.into_iter())]
        {
            assert!((6_800..7_200).contains(&picks[&1]), "{picks:?}");
            assert_eq!(picks[&1] + picks[&2], 10_000);
        }
        let one = picks(&*select, [u64::MAX / 3; 100].into_iter());
        assert_eq!(one.len(), 1, "the same hash, the same tier: {one:?}");
    }

    #[test]
    fn when_a_tier_has_nobody_the_others_are_asked() {
        let all = [(9_999, endpoints(1..2)), (1, endpoints(2..3))];
        let select = select(&all);
        all[0].1[0].close();
        assert_eq!(picks(&*select, [0; 50].into_iter()), BTreeMap::from([(2, 50)]));
        all[1].1[0].close();
        let ask = Ask { now: Time::default(), hash: 0, tried: &[] };
        assert!(select.pick(&ask, &mut fastrand::Rng::with_seed(1)).is_none());
    }

    #[test]
    fn nobody_is_picked_from_no_tiers() {
        let ask = Ask { now: Time::default(), hash: 0, tried: &[] };
        assert!(select(&[]).pick(&ask, &mut fastrand::Rng::with_seed(1)).is_none());
    }
}
