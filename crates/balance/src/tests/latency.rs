//! Least latency, Prequal and two by chance: who gets requests when endpoints differ, and when not.
//! What is learned is put in by hand here; what a crowd of requests makes of it is simulated.

use std::time::Duration;

use model::{Algorithm, Outcome, SHARE_FULL};

use super::*;
use crate::prequal::{self, Probe, uses_max};

fn answered(pool: &Pool, at: usize, us: u64, now: Time) {
    // Repeated, as one sample can do no more than double what is known.
    for _ in 0..20 {
        let outcome = Outcome::Answered(Some(Duration::from_micros(us)));
        pool.endpoints[at].latency().learn(outcome, now);
    }
}

fn failed(pool: &Pool, at: usize, times: usize) {
    let learn = |_| pool.endpoints[at].latency().learn(Outcome::Failed, Time::default());
    (0..times).for_each(learn);
}

fn share(pool: &Pool, number: u32) -> f64 {
    let shares = shares(pool, 1000);
    *shares.get(&number).unwrap_or(&0) as f64 / 1000.0
}

#[test]
fn the_faster_one_gets_the_requests_and_the_slower_one_what_it_cannot_bear() {
    let pool = pool(Algorithm::LeastLatency, &[1, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    answered(&pool, 0, 30_000, Time::default());
    answered(&pool, 1, 10_000, Time::default());
    assert_eq!(share(&pool, 2), 1.0);
    let held: Vec<_> = (0..12).map(|_| number(hold(&pool, &mut rng))).collect();
    // 9 · 1 is less than 1 · (in flight + 1) from the ninth on.
    assert_eq!(held, [2, 2, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2]);
}

/// A request that stays in flight for the rest of the test.
fn hold(pool: &Pool, rng: &mut fastrand::Rng) -> &'static InFlight {
    Box::leak(Box::new(pick(pool, &[], rng).unwrap()))
}

#[test]
fn near_ties_are_ties_for_fast_and_for_slow_services() {
    for (a, b) in [(300, 1900), (90_000, 170_000), (5, 95)] {
        let pool = pool(Algorithm::LeastLatency, &[1, 1]);
        answered(&pool, 0, a, Time::default());
        answered(&pool, 1, b, Time::default());
        let share = share(&pool, 1);
        assert!((0.48..0.52).contains(&share), "{a} and {b}: {share}");
    }
}

#[test]
fn equals_share_by_weight_and_by_what_counts_of_it() {
    let pool = pool(Algorithm::LeastLatency, &[1, 3, 4]);
    pool.endpoints[2].set_share(SHARE_FULL / 4);
    let shares = shares(&pool, 1000);
    let near = |number, expected: usize| shares[&number].abs_diff(expected) < 20;
    assert!(near(1, 200) && near(2, 600) && near(3, 200), "{shares:?}");
}

/// The first requests go to it as to the best, and no more than that: it has as many in flight.
#[test]
fn a_newcomer_is_neither_starved_nor_flooded() {
    let pool = pool(Algorithm::LeastLatency, &[1, 1, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    answered(&pool, 0, 5000, Time::default());
    answered(&pool, 1, 5000, Time::default());
    let share = share(&pool, 3);
    assert!((0.30..0.37).contains(&share), "{share}");
    (0..30).map(|_| hold(&pool, &mut rng)).for_each(|_| {});
    assert_eq!(pool.endpoints[2].in_flight(), 10);
}

#[test]
fn a_slow_one_is_tried_again() {
    let pool = pool(Algorithm::LeastLatency, &[1, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    let at = |s: u64| Time::from_ms(s * 1000);
    answered(&pool, 0, 2_000_000, at(1));
    answered(&pool, 1, 1000, at(1));
    let mut tried = |now: Time| {
        answered(&pool, 1, 1000, now);
        let ask = Ask { now, hash: 0, tried: &[] };
        (0..10).any(|_| number(&pool.selector.pick(&ask, &mut rng).unwrap()) == 1)
    };
    assert!(!tried(at(5)) && !tried(at(10)));
    assert!(tried(at(12)));
}

#[test]
fn one_that_fails_fast_gets_nothing_even_when_the_others_are_busy() {
    let pool = pool(Algorithm::LeastLatency, &[1, 1, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    (1..3).for_each(|at| answered(&pool, at, 5000, Time::default()));
    failed(&pool, 0, 1);
    assert!(share(&pool, 1) > 0.3, "one failure is no reason");
    failed(&pool, 0, 9);
    (0..40).for_each(|_| assert_ne!(number(hold(&pool, &mut rng)), 1));
}

#[test]
fn a_large_pool_is_sampled_without_favour_and_without_a_miss() {
    let weights = [1; 50];
    for algorithm in [Algorithm::LeastLatency, Algorithm::Prequal] {
        let pool = pool(algorithm, &weights);
        let shares = shares(&pool, 20_000);
        assert_eq!(shares.len(), 50);
        let (least, most) = (shares.values().min().unwrap(), shares.values().max().unwrap());
        assert!(*least > 250 && *most < 600, "{algorithm:?}: {least} to {most}");
        // One free one among many full ones is found.
        pool.endpoints.iter().for_each(|endpoint| endpoint.set_limit(1));
        let mut rng = fastrand::Rng::with_seed(1);
        let mut held: Vec<u32> = (0..50).map(|_| number(hold(&pool, &mut rng))).collect();
        assert!(pick(&pool, &[], &mut rng).is_none());
        held.sort_unstable();
        held.dedup();
        assert_eq!(held.len(), 50, "{algorithm:?}");
    }
}

#[test]
fn two_by_chance_are_different_ones() {
    let pool = pool(Algorithm::RandomOfTwo, &[5, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    // Both are always drawn: the first has five times as much in flight in the end.
    (0..60).map(|_| hold(&pool, &mut rng)).for_each(|_| {});
    assert_eq!(pool.endpoints.iter().map(|e| e.in_flight()).collect::<Vec<_>>(), [50, 10]);
}

#[test]
fn hot_or_cold_takes_the_fastest_that_is_not_busy() {
    let check = |probes: &[(u16, f32)], expected: usize| {
        let probe = |&(in_flight, us)| Probe::seen(0, in_flight, us);
        let probes: Vec<_> = probes.iter().map(probe).collect();
        assert_eq!(prequal::best(&probes, prequal::hot_above(&probes)), Some(expected));
    };
    check(&[(0, 900.0), (0, 100.0), (0, 300.0)], 1);
    // Nearly as fast, and less busy.
    check(&[(64, 100.0), (16, 150.0), (0, 900.0)], 1);
    // The fastest of seven is the busiest: it is hot.
    check(&[(99, 1.0), (16, 90.0), (16, 90.0), (16, 90.0), (16, 30.0), (16, 90.0), (16, 90.0)], 4);
    // Alike and hot alike: the least in flight.
    check(&[(160, 100.0), (32, 100.0), (320, 100.0)], 1);
}

/// b = max(1, (1 + δ) / ((1 - m / n) r - 1)), rounded up: 2 / 1.52 for a hundred.
#[test]
fn a_probe_is_used_as_often_as_the_paper_says() {
    assert_eq!(uses_max(100), 2);
    assert_eq!(uses_max(1000), 2);
    assert_eq!(uses_max(32), 4);
    assert_eq!(uses_max(16), 15);
}

/// What HAProxy's leastconn and Envoy's least request say of two, in flight and weight each.
#[test]
fn least_request_s_key_is_haproxy_s_and_envoy_s() {
    let check = |a: (u32, u32), b: (u32, u32), expected: u32| {
        let pool = pool(Algorithm::LeastRequest, &[a.1, b.1]);
        let fill = |at: usize, count| -> Vec<_> {
            (0..count).map(|_| pool.endpoints[at].begin().unwrap()).collect()
        };
        let _held = (fill(0, a.0), fill(1, b.0));
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(number(&pick(&pool, &[], &mut rng).unwrap()), expected, "{a:?} {b:?}");
    };
    // Envoy's example: weight 2 with 4 active is 2 / 5 = 0.4, less than 1 / 2.
    check((4, 2), (1, 1), 2);
    check((4, 2), (2, 1), 1);
    // HAProxy: idle ones first, whatever their weight; then (in flight + 1) / weight.
    check((0, 1), (1, 100), 1);
    check((1, 1), (2, 2), 2);
}
