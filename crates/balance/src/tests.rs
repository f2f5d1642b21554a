//! What all algorithms promise, and those in turn and by chance, on pools made by hand.
//! Shares are counted, never estimated from one run of chance alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Algorithm, Ask, Endpoint, InFlight, Live, SHARE_FULL, Select, Time};
use proptest::prelude::*;

use crate::{round_robin, selector};

mod hashing;
mod latency;

struct Pool {
    endpoints: Vec<Arc<Endpoint>>,
    selector: Box<dyn Select>,
}

fn pick(pool: &Pool, tried: &[u64], rng: &mut fastrand::Rng) -> Option<InFlight> {
    pool.selector.pick(&Ask { now: Time::default(), hash: 0, tried }, rng)
}

fn pool(balance: Algorithm, weights: &[u32]) -> Pool {
    let addr = "127.0.0.1:1".parse().unwrap();
    let endpoints: Vec<_> = (1_u32..)
        .zip(weights)
        .map(|(n, &w)| {
            let id = format!("shop.{n}").parse().unwrap();
            Arc::new(Endpoint::new(id, u64::from(n), addr, w))
        })
        .collect();
    pool_of(balance, endpoints)
}

fn pool_of(balance: Algorithm, endpoints: Vec<Arc<Endpoint>>) -> Pool {
    let selector = selector(balance, &endpoints, &Arc::new(Live::default()));
    Pool { endpoints, selector }
}

fn number(begun: &InFlight) -> u32 {
    begun.endpoint().id.number
}

fn shares(pool: &Pool, picks: usize) -> BTreeMap<u32, usize> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut shares = BTreeMap::new();
    for _ in 0..picks {
        *shares.entry(number(&pick(pool, &[], &mut rng).unwrap())).or_default() += 1;
    }
    shares
}

#[test]
fn nobody_is_picked_from_an_empty_pool() {
    for algorithm in Algorithm::ALL {
        assert!(pick(&pool(algorithm, &[]), &[], &mut fastrand::Rng::with_seed(1)).is_none());
    }
}

#[test]
fn round_robin_is_smooth() {
    let check = |weights: &[u32], expected: &[u16]| {
        assert_eq!(&*round_robin::sequence(weights), expected, "{weights:?}");
    };
    check(&[], &[]);
    check(&[3], &[0]);
    check(&[1, 1, 1], &[0, 1, 2]);
    check(&[4, 4], &[0, 1]);
    check(&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]);
    check(&[2, 4], &[1, 0, 1]);
}

#[test]
fn round_robin_goes_a_b_c_a() {
    let pool = pool(Algorithm::RoundRobin, &[1, 1, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    let order: Vec<u32> = (0..7).map(|_| number(&pick(&pool, &[], &mut rng).unwrap())).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn round_robin_shares_one_turn_between_workers() {
    let pool = pool(Algorithm::RoundRobin, &[1, 1, 1]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| shares(&pool, 3000));
        }
    });
    let counts: Vec<u64> = pool.endpoints.iter().map(|e| e.requests()).collect();
    assert_eq!(counts, [4000, 4000, 4000]);
}

#[test]
fn a_tried_or_closed_endpoint_is_passed_over() {
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, &[5, 1, 1]);
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..50 {
            assert_ne!(number(&pick(&pool, &[1], &mut rng).unwrap()), 1);
        }
        pool.endpoints[1].close();
        for _ in 0..50 {
            assert_eq!(number(&pick(&pool, &[1], &mut rng).unwrap()), 3);
        }
        assert!(pick(&pool, &[1, 3], &mut rng).is_none());
        assert_eq!(pool.endpoints.iter().map(|e| e.in_flight()).sum::<u32>(), 0);
    }
}

#[test]
fn least_request_prefers_idle_then_the_lowest_by_weight() {
    let pool = pool(Algorithm::LeastRequest, &[1, 3]);
    let mut rng = fastrand::Rng::with_seed(1);
    let held: Vec<InFlight> = (0..8).map(|_| pick(&pool, &[], &mut rng).unwrap()).collect();
    let on_second = held.iter().filter(|begun| number(begun) == 2).count();
    assert_eq!(on_second, 6, "a weight of 3 to 1 holds 6 of 8");
    assert_eq!(pool.endpoints.iter().map(|e| e.in_flight()).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn least_request_shares_when_all_are_idle() {
    let shares = shares(&pool(Algorithm::LeastRequest, &[1, 1, 1]), 300);
    assert!(shares.values().all(|&share| share == 100), "{shares:?}");
}

#[test]
fn least_request_shares_among_those_that_are_idle() {
    let pool = pool(Algorithm::LeastRequest, &[1, 1, 1, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    let busy = pick(&pool, &[], &mut rng).unwrap();
    let mut shares = shares(&pool, 300);
    assert_eq!(shares.remove(&number(&busy)), None);
    assert!(shares.values().all(|&share| share == 100), "{shares:?}");
}

#[test]
fn random_follows_the_weights() {
    let shares = shares(&pool(Algorithm::Random, &[1, 2, 1]), 40_000);
    let near = |n, expected: usize| shares[&n].abs_diff(expected) < 600;
    assert!(near(1, 10_000) && near(2, 20_000) && near(3, 10_000), "{shares:?}");
}

#[test]
fn a_share_of_a_quarter_gets_a_quarter_of_the_turns() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::Random] {
        let pool = pool(algorithm, &[1, 1]);
        pool.endpoints[0].set_share(SHARE_FULL / 4);
        let share = shares(&pool, 40_000)[&1];
        assert!(share.abs_diff(5_000) < 400, "{algorithm:?}: {share}");
    }
}

#[test]
fn a_full_endpoint_is_passed_over_and_all_full_ones_take_nothing() {
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, &[1, 1, 1]);
        let mut rng = fastrand::Rng::with_seed(5);
        pool.endpoints.iter().for_each(|endpoint| endpoint.set_limit(2));
        let held: Vec<_> = (0..6).map(|_| pick(&pool, &[], &mut rng).unwrap()).collect();
        assert!(pick(&pool, &[], &mut rng).is_none(), "{algorithm:?}");
        assert_eq!(held.iter().filter(|begun| number(begun) == 1).count(), 2, "{algorithm:?}");
    }
}

proptest! {
    #[test]
    fn every_endpoint_comes_exactly_weight_times_in_a_period(
        weights in proptest::collection::vec(1_u32..40, 1..12)
    ) {
        let sequence = round_robin::sequence(&weights);
        let sum: u32 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let times = sequence.iter().filter(|&&i| usize::from(i) == index).count();
            prop_assert_eq!(times * sum as usize, *weight as usize * sequence.len());
        }
    }

    #[test]
    fn the_sequence_is_bounded_and_starves_nobody(
        weights in proptest::collection::vec(1_u32..=u32::MAX, 1..50)
    ) {
        let sequence = round_robin::sequence(&weights);
        prop_assert!(sequence.len() <= 4096 + weights.len());
        for index in 0..weights.len() {
            prop_assert!(sequence.iter().any(|&i| usize::from(i) == index));
        }
    }
}

#[test]
fn a_pick_allocates_nothing() {
    for count in [1, 3, 100] {
        for algorithm in Algorithm::ALL {
            let pool = pool(algorithm, &vec![1; count]);
            let mut rng = fastrand::Rng::with_seed(1);
            let counted = allocation_counter::measure(|| {
                for hash in 0..1000_u64 {
                    let ask = Ask { now: Time::default(), hash: hash << 50, tried: &[1] };
                    drop(pool.selector.pick(&ask, &mut rng));
                }
            });
            assert_eq!(counted.count_total, 0, "{algorithm:?} of {count}");
        }
    }
}
