//! What the algorithms that hash promise: shares, few moves, bounds, and the same on every machine.
//! Maglev's table is built a second time here, after the paper and not after our code.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use model::{Algorithm, Endpoint, InFlight, SHARE_FULL};
use proptest::prelude::*;

use super::*;
use crate::hash;
use crate::maglev::{Filler, SLOTS, fill};

const KEYS: u64 = 20_000;

fn hashing(load_percent_max: Option<u32>) -> [Algorithm; 3] {
    [
        Algorithm::RingHash { load_percent_max },
        Algorithm::Maglev { load_percent_max },
        Algorithm::Rendezvous { load_percent_max },
    ]
}

fn key(n: u64) -> u64 {
    hash(&n.to_le_bytes())
}

fn ask(hash: u64, tried: &[u64]) -> Ask<'_> {
    Ask { now: Time::default(), hash, tried }
}

fn pick_key(pool: &Pool, n: u64) -> Option<InFlight> {
    pool.selector.pick(&ask(key(n), &[]), &mut fastrand::Rng::with_seed(n))
}

/// Which endpoint each key leads to, by number.
fn owners(pool: &Pool) -> Vec<u32> {
    (0..KEYS).map(|n| number(&pick_key(pool, n).unwrap())).collect()
}

fn parts(owners: &[u32]) -> BTreeMap<u32, f64> {
    let mut parts = BTreeMap::new();
    for owner in owners {
        *parts.entry(*owner).or_default() += 1.0 / KEYS as f64;
    }
    parts
}

#[test]
fn a_key_leads_to_the_same_endpoint_in_whatever_order_they_come() {
    for algorithm in hashing(None) {
        let pool = pool(algorithm, &[1; 12]);
        let before = owners(&pool);
        assert_eq!(owners(&pool), before);
        let mut endpoints = pool.endpoints.clone();
        endpoints.reverse();
        assert_eq!(owners(&pool_of(algorithm, endpoints)), before, "{algorithm:?}");
    }
}

#[test]
fn shares_follow_the_weights() {
    let check = |algorithm, tolerance: f64| {
        let parts = parts(&owners(&pool(algorithm, &[1, 1, 2, 4])));
        for (number, expected) in [(1, 0.125), (2, 0.125), (3, 0.25), (4, 0.5)] {
            let part: f64 = parts[&number];
            assert!((part / expected - 1.0).abs() < tolerance, "{algorithm:?}: {parts:?}");
        }
    };
    let [ring, maglev, rendezvous] = hashing(None);
    check(ring, 0.2);
    check(maglev, 0.05);
    check(rendezvous, 0.05);
}

/// One of ten goes and comes back: a ring and scores move its keys and no other; Maglev a few more.
#[test]
fn only_the_expected_part_of_the_keys_moves() {
    for (algorithm, others_max) in hashing(None).into_iter().zip([0.0, 0.06, 0.0]) {
        let whole = pool(algorithm, &[1; 10]);
        let before = owners(&whole);
        let mut left = whole.endpoints.clone();
        left.remove(4);
        let after = owners(&pool_of(algorithm, left));
        let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        let own = before.iter().filter(|&&owner| owner == 5).count();
        assert!(after.iter().all(|&owner| owner != 5));
        assert!((0.07..0.13).contains(&(own as f64 / KEYS as f64)), "{algorithm:?}: {own}");
        let others = (moved - own) as f64 / KEYS as f64;
        assert!(others <= others_max, "{algorithm:?}: {others}");
    }
}

/// The keys of one that takes none spread over all others, instead of falling on one.
#[test]
fn the_keys_of_a_closed_one_spread() {
    for algorithm in hashing(None) {
        let pool = pool(algorithm, &[1; 10]);
        let before = owners(&pool);
        pool.endpoints[4].close();
        let after = owners(&pool);
        let moved: Vec<u32> =
            before.iter().zip(&after).filter(|(a, _)| **a == 5).map(|(_, b)| *b).collect();
        let most = parts(&moved).into_values().fold(0.0, f64::max) * KEYS as f64;
        assert!(most / (moved.len() as f64) < 0.25, "{algorithm:?}");
        let unmoved = before.iter().zip(&after).filter(|(a, _)| **a != 5).all(|(a, b)| a == b);
        assert!(unmoved, "{algorithm:?}");
    }
}

#[test]
fn processes_are_known_by_number_and_addresses_by_address() {
    let endpoint = |key: u64, number: u32, port: u16| {
        let addr = SocketAddr::from(([10, 0, 0, 1], port));
        Endpoint::new(format!("shop.{number}").parse().unwrap(), key, addr, 1)
    };
    for algorithm in hashing(None) {
        let list = |make: &dyn Fn(u32) -> Endpoint| (1..=5).map(|n| Arc::new(make(n))).collect();
        let port = |n: u32| u16::try_from(n).unwrap();
        let processes = pool_of(algorithm, list(&|n| endpoint(u64::from(n), n, port(n))));
        let moved = pool_of(algorithm, list(&|n| endpoint(u64::from(n) + 9, n, port(n) + 90)));
        assert_eq!(owners(&processes), owners(&moved), "{algorithm:?}");
        let known =
            |n: u32, plus: u32| endpoint(u64::from(n), n + plus, port(n)).known_by_address();
        let addresses = owners(&pool_of(algorithm, list(&|n| known(n, 0))));
        let renumbered = owners(&pool_of(algorithm, list(&|n| known(n, 7))));
        assert!(addresses.iter().zip(&renumbered).all(|(a, b)| a + 7 == *b), "{algorithm:?}");
        assert_ne!(addresses, owners(&processes), "{algorithm:?}");
    }
}

/// While a quarter of its weight counts, it has a quarter of its keys, and the same ones.
#[test]
fn a_share_takes_a_part_of_the_keys_and_keeps_it_as_it_grows() {
    for algorithm in hashing(None) {
        let pool = pool(algorithm, &[1; 5]);
        let count = |owners: &[u32]| owners.iter().filter(|&&owner| owner == 1).count();
        let whole = owners(&pool);
        pool.endpoints[0].set_share(SHARE_FULL / 4);
        let quarter = owners(&pool);
        pool.endpoints[0].set_share(SHARE_FULL / 2);
        let half = owners(&pool);
        let ratio = count(&quarter) as f64 / count(&whole) as f64;
        assert!((0.22..0.28).contains(&ratio), "{algorithm:?}: {ratio}");
        assert!(quarter.iter().zip(&half).all(|(a, b)| *a != 1 || *b == 1), "{algorithm:?}");
        assert!(half.iter().zip(&whole).all(|(a, b)| *a != 1 || *b == 1), "{algorithm:?}");
    }
}

proptest! {
    /// After each pick of one and the same key, which is the worst case, nobody has more than
    /// ⌈c · m · w / W⌉, with `m` for all that are in flight.
    #[test]
    fn bounded_load_holds(
        weights in proptest::collection::vec(1_u32..5, 2..12),
        percent in 100_u32..300,
        picks in 1_usize..80,
    ) {
        for algorithm in hashing(Some(percent)) {
            let pool = pool(algorithm, &weights);
            let sum: u32 = weights.iter().sum();
            let mut held = Vec::new();
            for all in 1..=picks {
                let begun = pick_key(&pool, 3).unwrap();
                let endpoint = begun.endpoint();
                let part = f64::from(percent) / 100.0 * all as f64 * f64::from(endpoint.weight);
                let bound = (part / f64::from(sum) - 1e-9).ceil();
                prop_assert!(f64::from(endpoint.in_flight()) <= bound, "{algorithm:?}");
                held.push(begun);
            }
        }
    }
}

/// Without a bound all requests of a key stay together.
#[test]
fn without_a_bound_a_hot_key_stays_where_it_is() {
    for algorithm in hashing(None) {
        let pool = pool(algorithm, &[1; 4]);
        let held: Vec<_> = (0..50).map(|_| pick_key(&pool, 3).unwrap()).collect();
        assert!(held.iter().all(|begun| number(begun) == number(&held[0])), "{algorithm:?}");
    }
}

/// The example of the paper (NSDI 2016, table 1), before and after B1 is removed.
#[test]
fn maglev_fills_the_table_of_the_paper() {
    let filler = |at, offset, skip| Filler { at, weight: 1, offset, skip };
    let all = [filler(0, 3, 4), filler(1, 0, 2), filler(2, 3, 1)];
    assert_eq!(*fill(&all, 7), [1, 0, 1, 0, 2, 2, 0]);
    assert_eq!(*fill(&[all[0], all[2]], 7), [0, 0, 0, 0, 2, 2, 2]);
}

/// The paper's construction, with whole permutations as it has them, over what endpoints prefer.
fn maglev_by_the_paper(preferences: &[(u16, usize, usize)], slots: usize) -> Vec<u16> {
    let permutation = |offset: usize, skip: usize| -> Vec<usize> {
        (0..slots).map(|j| (offset + j * skip) % slots).collect()
    };
    let permutations: Vec<_> = preferences.iter().map(|&(_, o, s)| permutation(o, s)).collect();
    let mut next = vec![0; preferences.len()];
    let mut entry = vec![u16::MAX; slots];
    let mut filled = 0;
    loop {
        for (i, &(at, ..)) in preferences.iter().enumerate() {
            let mut c = permutations[i][next[i]];
            while entry[c] != u16::MAX {
                next[i] += 1;
                c = permutations[i][next[i]];
            }
            entry[c] = at;
            next[i] += 1;
            filled += 1;
            if filled == slots {
                return entry;
            }
        }
    }
}

#[test]
fn maglev_s_table_is_that_of_an_independent_construction() {
    let mut rng = fastrand::Rng::with_seed(11);
    for (count, slots) in [(1, 7), (2, 13), (3, 101), (20, 1009), (7, SLOTS)] {
        let preferences: Vec<(u16, usize, usize)> =
            (0..count).map(|at| (at, rng.usize(..slots), rng.usize(1..slots))).collect();
        let fillers: Vec<Filler> = preferences
            .iter()
            .map(|&(at, offset, skip)| Filler { at, weight: 3, offset, skip })
            .collect();
        assert_eq!(*fill(&fillers, slots), maglev_by_the_paper(&preferences, slots));
    }
}

#[test]
fn maglev_gives_slots_by_weight_and_at_least_one_to_each() {
    let filler = |at, weight| Filler { at, weight, offset: 3 * usize::from(at), skip: 5 };
    let table = fill(&[filler(0, 1000), filler(1, 500), filler(2, 1)], 1009);
    let count = |at| table.iter().filter(|&&owner| owner == at).count();
    assert_eq!((count(0), count(1), count(2)), (672, 336, 1));
}
