//! The line under threads that all want more than there is: nobody is forgotten, no limit passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;
use std::thread::{self, Thread};

use model::{Algorithm, Ask, Endpoint, InFlight, Service, Source};

use super::*;

/// Longer than any wait here takes, also on a machine that is busy with other things.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn pool(endpoints: u32, in_flight_max: u32, service_in_flight_max: u32) -> Pool {
    let live = Arc::new(Live::default());
    live.set_limit(service_in_flight_max);
    let endpoint = |number: u32| {
        let (id, addr) = (format!("shop.{number}").parse().unwrap(), ([127, 0, 0, 1], 1).into());
        let endpoint = Endpoint::new(id, number.into(), addr, 1);
        endpoint.set_limit(in_flight_max);
        Arc::new(endpoint.of(&live))
    };
    let endpoints: Vec<_> = (1..=endpoints).map(endpoint).collect();
    let service = Service::unbounded("shop".parse().unwrap(), Source::Static(Vec::new()));
    let selector = balance::selector(Algorithm::LeastRequest, &endpoints, &live);
    Pool { service: Arc::new(service), slot: 0, live, endpoints, selector, homes: None }
}

fn pick(pool: &Pool, rng: &mut fastrand::Rng) -> Option<InFlight> {
    pool.selector.pick(&Ask { now: Time::default(), hash: 0, tried: &[] }, rng)
}

/// The steps of `wait` without its client and its tables. None when it gives up after being woken
/// `patience` times.
fn begin(pool: &Pool, rng: &mut fastrand::Rng, patience: u32) -> Option<InFlight> {
    if !pool.live.has_line()
        && let Some(begun) = pick(pool, rng)
    {
        return Some(begun);
    }
    let line: Arc<Line> = pool.live.line();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let wish =
        Patience { class: Priority::Normal, takes: Takes::Any, left: Duration::from_secs(3600) };
    let policy = QueuePolicy::unbounded();
    let in_line = line.enter(&pool.live, &policy, wish, waker.clone()).unwrap();
    let mut calls = 0;
    loop {
        line.look(pool);
        while in_line.standing(&waker) != Standing::Called {
            let since = Instant::now();
            thread::park_timeout(FORGOTTEN_AFTER);
            assert!(since.elapsed() < FORGOTTEN_AFTER, "forgotten: {line:?}");
        }
        calls += 1;
        if calls > patience {
            return None;
        }
        if let Some(begun) = pick(pool, rng) {
            in_line.take_place(pool);
            return Some(begun);
        }
        in_line.send_back();
    }
}

fn check(pool: &Pool, most: u32, patience: u32) {
    const THREADS: u64 = 4;
    const EACH: u32 = 2000;
    let (now, begun) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (now, begun) = (&now, &begun);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for _ in 0..EACH {
                    let Some(in_flight) = begin(pool, &mut rng, patience) else { continue };
                    assert!(now.fetch_add(1, Ordering::SeqCst) < most);
                    begun.fetch_add(1, Ordering::Relaxed);
                    if rng.bool() {
                        thread::yield_now();
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    drop(in_flight);
                }
            });
        }
    });
    assert!(begun.into_inner() > 0, "some are served");
    assert_eq!((pool.live.waiting(), pool.live.has_line()), (0, false));
    assert!(pool.endpoints.iter().all(|endpoint| endpoint.in_flight() == 0));
}

#[test]
fn nobody_is_forgotten_at_full_instances() {
    check(&pool(1, 1, model::UNLIMITED), 1, u32::MAX);
    check(&pool(2, 1, model::UNLIMITED), 2, u32::MAX);
}

#[test]
fn nobody_is_forgotten_at_a_full_service() {
    check(&pool(3, 2, 2), 2, u32::MAX);
}

#[test]
fn who_leaves_without_its_place_leaves_it_to_the_next() {
    check(&pool(1, 1, model::UNLIMITED), 1, 0);
}

#[test]
fn a_raised_limit_lets_more_in() {
    let pool = pool(1, 1, model::UNLIMITED);
    let mut rng = fastrand::Rng::with_seed(1);
    let first = pick(&pool, &mut rng).unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3)
            .map(|seed| {
                let mut rng = fastrand::Rng::with_seed(seed);
                let pool = &pool;
                scope.spawn(move || begin(pool, &mut rng, u32::MAX).unwrap())
            })
            .collect();
        while pool.live.waiting() < 3 {
            thread::yield_now();
        }
        assert!(pool.live.oldest_waiting().is_some());
        pool.endpoints[0].set_limit(4);
        let begun: Vec<_> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(pool.endpoints[0].in_flight(), 4);
        drop((begun, first));
    });
}
