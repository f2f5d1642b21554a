//! The gradient step by step, and against a made-up instance that works on so many at once.
//! The instance is a queue and a number of hands; everything else is the code that runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::Samples;

use super::*;

const POLICY: Adaptive = Adaptive {
    is_on: true,
    min: 1,
    max: 1000,
    tolerance_percent: 25,
    remeasure: Duration::from_secs(60),
};

/// Between two steps.
const TICK_NS: u64 = 250_000_000;

fn window(median_ms: u64, in_flight_max: u32) -> Window {
    Window { median: Some(Duration::from_millis(median_ms)), in_flight_max }
}

fn at(seconds: u64) -> Time {
    Time::from_ms(seconds * 1000)
}

#[test]
fn one_step_is_the_formula() {
    let check = |limit: f64, median_ms, in_flight_max, expected: f64| {
        let mut gradient =
            Gradient { limit, base: Some(0.010), stage: Stage::Steady, look_at: at(60) };
        let allowed = gradient.limit();
        gradient.step(&POLICY, at(1), (window(median_ms, in_flight_max), allowed), 0.5);
        assert!((gradient.limit - expected).abs() < 0.01, "{} {expected}", gradient.limit);
    };
    // Half of the way to 1.25 × 100 + 10, 1 × 100 + 10, 0.625 × 100 + 10, and 0.5 × 100 + 10.
    check(100.0, 10, 100, 117.5);
    check(100.0, 12, 60, 107.083);
    check(100.0, 20, 100, 86.25);
    check(100.0, 500, 100, 80.0);
    // Nobody knows what more would do.
    check(100.0, 10, 50, 100.0);
    check(100.0, 20, 50, 86.25);
    check(1000.0, 10, 1000, 1000.0);
    check(1.0, 500, 1, 1.25);
}

#[test]
fn a_base_is_measured_where_nobody_waits() {
    let mut gradient = Gradient::new(&POLICY, at(0));
    assert_eq!((gradient.limit(), gradient.base()), (4, None));
    let nothing = Window { median: None, in_flight_max: 0 };
    gradient.step(&POLICY, at(1), (nothing, 4), 0.5);
    assert_eq!(gradient.base(), None);
    gradient.step(&POLICY, at(1), (window(10, 4), 4), 0.5);
    assert_eq!(gradient.base(), Some(Duration::from_millis(10)));
    gradient.limit = 100.0;
    let mut step = |second, median_ms, in_flight| {
        let allowed = gradient.limit();
        gradient.step(&POLICY, at(second), (window(median_ms, in_flight), allowed), 0.5);
        (gradient.limit(), gradient.base().unwrap().as_millis())
    };
    assert_eq!(step(12, 30, 100), (45, 10), "halved");
    assert_eq!(step(12, 28, 90), (45, 10), "from before");
    assert_eq!(step(12, 16, 45), (45, 10), "the last of them");
    assert_eq!(step(13, 15, 45), (100, 15), "the base");
    assert_eq!(step(71, 20, 100), (101, 15), "as before");
    assert_eq!(step(73, 20, 40), (101, 20), "without a queue the base is what it is");
}

#[test]
fn an_instance_that_does_not_let_go_is_not_waited_for() {
    let mut gradient =
        Gradient { limit: 100.0, base: Some(0.01), stage: Stage::Steady, look_at: at(0) };
    for _ in 0..=SETTLING_MAX + 1 {
        assert!(gradient.limit() == 100 || gradient.limit() == 45);
        gradient.step(&POLICY, at(1), (window(10, 90), gradient.limit()), 0.5);
    }
    assert_eq!((gradient.limit(), gradient.base().unwrap().as_millis()), (100, 10));
}

/// An instance that works on `hands` requests at once, in the order in which they came.
struct Plant {
    now_ns: u64,
    /// When each hand is free.
    hands: BinaryHeap<Reverse<u64>>,
    /// Those in flight: when they end, and when they began.
    in_flight: BinaryHeap<Reverse<(u64, u64)>>,
    service_ms: f64,
    sigma: f64,
    rng: fastrand::Rng,
}

impl Plant {
    fn new(hands: usize, sigma: f64, seed: u64) -> Self {
        Self {
            now_ns: 0,
            hands: vec![Reverse(0); hands].into(),
            in_flight: BinaryHeap::new(),
            service_ms: 10.0,
            sigma,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    fn set_hands(&mut self, count: usize) {
        let mut free = std::mem::take(&mut self.hands).into_sorted_vec();
        free.resize(count, Reverse(self.now_ns));
        self.hands = free.into();
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds")]
    fn begin(&mut self) {
        let normal = (0..12).map(|_| self.rng.f64()).sum::<f64>() - 6.0;
        let takes_ns = (self.service_ms * 1e6 * (self.sigma * normal).exp()) as u64;
        let free = self.hands.pop().unwrap().0.max(self.now_ns);
        self.hands.push(Reverse(free + takes_ns));
        self.in_flight.push(Reverse((free + takes_ns, self.now_ns)));
    }

    /// Clients that always want `wanted` at once, for so long. Returns every limit there was.
    fn run(&mut self, gradient: &mut Gradient, wanted: usize, seconds: u64) -> Vec<u32> {
        let samples = Samples::default();
        let (end_ns, mut tick_ns) = (self.now_ns + seconds * 1_000_000_000, self.now_ns);
        let mut limits = Vec::new();
        while self.now_ns < end_ns {
            while self.in_flight.len() < wanted.min(gradient.limit() as usize) {
                self.begin();
            }
            let in_flight = u32::try_from(self.in_flight.len()).unwrap();
            let Reverse((ended_ns, began_ns)) = self.in_flight.pop().unwrap();
            self.now_ns = ended_ns;
            samples.add(Duration::from_nanos(ended_ns - began_ns), in_flight);
            if self.now_ns >= tick_ns && samples.count() >= ANSWERS_MIN {
                let now = Time::from_ms(self.now_ns / 1_000_000);
                let seen = (samples.take(), gradient.limit());
                gradient.step(&POLICY, now, seen, self.rng.f64());
                limits.push(gradient.limit());
                tick_ns = self.now_ns + TICK_NS;
            }
        }
        limits
    }
}

/// The middle of the limits of the last half, which leaves out the moments of measuring.
fn settled(limits: &[u32]) -> u32 {
    let mut half = limits[limits.len() / 2..].to_vec();
    half.sort_unstable();
    half[half.len() / 2]
}

#[test]
fn it_finds_what_an_instance_works_on_and_follows_it() {
    for (seed, sigma) in [(1, 0.0), (2, 0.3), (3, 0.6)] {
        for hands in [1_u32, 4, 10, 40, 100] {
            let count = hands as usize;
            let mut plant = Plant::new(count, sigma, seed);
            let mut gradient = Gradient::new(&POLICY, Time::default());
            let mut check = |count: usize| {
                plant.set_hands(count);
                let found = settled(&plant.run(&mut gradient, 10_000, 180));
                let (hands, found) = (count as f64, f64::from(found));
                let most = 1.3 * hands + 3.0 * hands.sqrt();
                assert!((0.9 * hands..=most).contains(&found), "{sigma} {count}: {found}");
            };
            check(count);
            check(count * 2);
            check(count);
            check(count.div_ceil(2));
        }
    }
}

/// No luck of a window makes a limit fall that nobody needs to fall.
#[test]
fn noise_alone_takes_nothing_away() {
    for seed in 0..8 {
        let mut plant = Plant::new(10_000, 1.0, seed);
        let mut gradient = Gradient::new(&POLICY, Time::default());
        plant.run(&mut gradient, 60, 30);
        let limits = plant.run(&mut gradient, 60, 300);
        let below = limits.iter().filter(|&&limit| limit < 60).count();
        assert!(below * 20 < limits.len(), "{seed}: {below} of {}", limits.len());
    }
}

/// It takes twice as long for everybody from now on, as with a larger page: that is no queue.
#[test]
fn what_became_slower_for_good_has_a_new_base() {
    let mut plant = Plant::new(20, 0.3, 5);
    let mut gradient = Gradient::new(&POLICY, Time::default());
    plant.run(&mut gradient, 10_000, 120);
    plant.service_ms = 25.0;
    let limits = plant.run(&mut gradient, 10_000, 300);
    let base_ms = gradient.base().unwrap().as_secs_f64() * 1e3;
    assert!((20.0..32.0).contains(&base_ms), "{base_ms}");
    assert!((18..45).contains(&settled(&limits)), "{}", settled(&limits));
}
