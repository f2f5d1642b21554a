//! What a pick costs, by algorithm and number of endpoints, in nanoseconds on this machine.
//! It judges nothing; `cargo run --release -p balance --example pick_cost` prints a table, and with
//! the name of an algorithm behind `--` that row alone.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Algorithm, Ask, Endpoint, Live, Outcome, Time};

/// About a millisecond, so that most rounds have a core for themselves on a busy machine too.
const PICKS: u32 = 20_000;
const ROUNDS: usize = 101;

fn main() {
    let wanted = std::env::args().nth(1);
    println!("{:<14}{:>14}{:>14}{:>14}", "ALGORITHM", 3, 100, 1000);
    for algorithm in Algorithm::ALL {
        if wanted.as_ref().is_none_or(|name| name == algorithm.name()) {
            let costs = [3, 100, 1000].map(|count| {
                let (median, least) = cost_ns(algorithm, count);
                format!("{:>14}", format!("{median:.0} ({least:.0})"))
            });
            println!("{:<14}{}", algorithm.name(), costs.concat());
        }
    }
    println!(
        "median (least) of {ROUNDS} rounds of {PICKS}, each a pick and the end of its request;"
    );
    println!("every endpoint has answered, half of them are busy");
}

/// Of a pick and the end of its request: the median and the least of the rounds.
fn cost_ns(algorithm: Algorithm, count: u64) -> (f64, f64) {
    let addr = ([127, 0, 0, 1], 1).into();
    let endpoint = |n| {
        let id = format!("shop.{n}").parse().expect("a name, a dot and a number are an id");
        Arc::new(Endpoint::new(id, n, addr, 1))
    };
    let endpoints: Vec<Arc<Endpoint>> = (1..=count).map(endpoint).collect();
    let selector = balance::selector(algorithm, &endpoints, &Arc::new(Live::default()));
    let now = Time::from_ms(1_000_000);
    for (n, endpoint) in endpoints.iter().enumerate() {
        let took = Duration::from_micros(5000 + n as u64);
        (0..2).for_each(|_| endpoint.latency().learn(Outcome::Answered(Some(took)), now));
    }
    let _busy: Vec<_> = endpoints.iter().step_by(2).filter_map(Endpoint::begin).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let later = now + Duration::from_secs(1);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for n in 0..PICKS {
                let hash = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                drop(black_box(selector.pick(&Ask { now: later, hash, tried: &[] }, &mut rng)));
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(PICKS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    (rounds[ROUNDS / 2], rounds[0])
}
