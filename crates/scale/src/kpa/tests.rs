//! Figures of which the number of Knative is known: by hand, and from its source.
//! The rules that hold for every policy are tested in the crate's `tests`, not here.

use model::{Autoscale, Phase, ScalePolicy};

use super::*;
use crate::{Bounds, Member, decide};

/// A service under an autoscaler, whose seconds are counted from zero.
struct World {
    autoscale: Autoscale,
    memory: crate::Memory,
    window: Window,
    ready: usize,
}

impl World {
    fn new(kpa: Kpa, desired: u32) -> Self {
        let autoscale = Autoscale { policy: ScalePolicy::Kpa(kpa), ..Autoscale::fixed() };
        let memory = crate::Memory::new(&autoscale, desired, at(0));
        let window = Window::of(&autoscale);
        Self { autoscale, memory, window, ready: desired as usize }
    }

    fn sample(&mut self, s: u64, in_flight: f64) {
        self.window.push(Sample { at: at(s), in_flight, ..Sample::default() });
    }

    fn decide(&mut self, s: u64) -> Decision {
        let member = Member {
            phase: Phase::Ready,
            ordered_at: at(0),
            since: at(0),
            in_flight: 0,
            cpu: None,
            memory: None,
        };
        let look = Look {
            now: at(s),
            window: &self.window,
            members: &vec![member; self.ready],
            start_up: None,
            is_rolling_out: false,
            is_failing_to_start: false,
            bounds: Bounds { min: 0, max: 1000, room: None, share: None, calendar: 0, forecast: 0 },
        };
        decide(&self.autoscale, &mut self.memory, &look)
    }

    /// The number when the means of the stable and of the panic window are these.
    fn with_means(&mut self, s: u64, stable: f64, panic: f64) -> u32 {
        self.window = Window::of(&self.autoscale);
        let before = (60.0 * stable - 6.0 * panic) / 54.0;
        for n in 0..60 {
            self.window.push(Sample {
                at: at(s - 59 + n),
                in_flight: if n < 54 { before } else { panic },
                ..Sample::default()
            });
        }
        self.decide(s).desired
    }

    fn after(&mut self, s: u64, in_flight: f64) -> u32 {
        self.sample(s, in_flight);
        self.decide(s).desired
    }
}

fn at(s: u64) -> Time {
    Time::from_ms(s * 1000)
}

/// One instance for each ten requests at once.
fn ten_each() -> Kpa {
    Kpa {
        target_permille: 10_000,
        target_utilization_percent: 100,
        ..Kpa::as_in_knative(ScaleMetric::Concurrency)
    }
}

#[test]
fn panics_holds_and_halves_as_knative_does() {
    let mut world = World::new(ten_each(), 1);
    let mut numbers = Vec::new();
    for s in 0..=140 {
        // A start takes 15 s.
        world.ready = if s < 75 { 1 } else { 10 };
        let in_flight = if (60..80).contains(&s) { 100.0 } else { 10.0 };
        numbers.push(world.after(s, in_flight));
    }
    assert_eq!(numbers[..60], [1; 60]);
    let even = |s: usize| (numbers[s], numbers[s + 1]);
    assert_eq!([60, 62, 64, 66].map(even), [(3, 3), (6, 6), (9, 9), (10, 10)]);
    assert_eq!(numbers[66..136], [10; 70]);
    assert_eq!(numbers[136], 5, "calm again, and never fewer than half at once");
}

#[test]
fn averages_as_knative_does() {
    let check = |samples: &[(u64, f64)], now: u64, expected: Option<f64>, why: &str| {
        let mut window = Window::new(Duration::from_secs(20));
        for &(s, in_flight) in samples {
            window.push(Sample { at: at(s), in_flight, ..Sample::default() });
        }
        let span = Duration::from_secs(10);
        let mean = average(&window, at(now), ScaleMetric::Concurrency, span);
        assert_eq!(mean, expected, "{why}");
    };
    check(&[], 100, None, "nothing");
    check(&[(100, 4.0)], 100, Some(4.0), "a window that has just begun");
    check(&[(98, 1.0), (99, 2.0), (100, 3.0)], 100, Some(2.0), "of three seconds");
    check(&[(96, 4.0), (100, 1.0)], 100, Some(1.0), "three seconds between count as zero");
    let full: Vec<_> = (85..=100).map(|s| (s, s as f64)).collect();
    check(&full, 100, Some(95.5), "the last ten seconds");
    check(&full, 104, Some(97.5), "and of those the ones that are known: 95 to 100");
    check(&full, 109, Some(100.0), "one second is known");
    check(&full, 110, Some(0.0), "none is");
    check(&full, 111, None, "none for longer than a window");
    check(&[(89, 5.0), (99, 1.0), (100, 1.0)], 100, Some(1.0), "after a gap it begins anew");
    check(&[(90, 5.0), (99, 1.0), (100, 1.0)], 100, Some(0.2), "that was no gap: the last ten");
    check(&[(98, 1.0), (99, 1.0), (100, 0.0)], 100, Some(0.666_667), "to six digits");
    check(&[(99, f64::NAN), (100, 3.0)], 100, Some(3.0), "what is no number is no sample");
}

#[test]
fn begins_in_panic() {
    let mut world = World::new(ten_each(), 6);
    for s in 0..=60 {
        assert_eq!(world.after(s, 10.0), 6, "second {s}");
    }
    assert_eq!(world.after(62, 10.0), 3);
    world.ready = 3;
    assert_eq!(world.after(64, 10.0), 1);
}

#[test]
fn a_panic_knows_nothing_of_the_one_before() {
    let mut world = World::new(ten_each(), 1);
    assert_eq!(world.with_means(100, 50.0, 100.0), 10);
    assert_eq!(world.with_means(162, 5.0, 5.0), 1);
    assert_eq!(world.with_means(164, 10.0, 20.0), 2);
}

#[test]
fn grows_by_one_at_least() {
    // The example in its source: 3 are needed, 2 are ready, and a rate of 1.1 makes that 2.2.
    let kpa = Kpa { scale_up_rate_max_permille: 1100, ..ten_each() };
    let mut world = World::new(kpa, 2);
    let decision = {
        world.sample(1, 90.0);
        world.decide(1)
    };
    assert_eq!(decision.desired, 3);
    assert_eq!(decision.limited_by(), Some(LimitedBy::Rate));
}

#[test]
fn wakes_so_many_together() {
    let mut world = World::new(Kpa { activation_scale: 4, ..ten_each() }, 0);
    assert_eq!(world.after(2, 0.0), 0);
    assert_eq!(world.after(4, 1.0), 4);
}

#[test]
fn delays_fewer_by_whole_ticks() {
    let kpa = Kpa { scale_down_delay: Duration::from_secs(9), ..ten_each() };
    let kpa = Kpa { stable_window: Duration::from_secs(6), ..kpa };
    let mut world = World::new(kpa, 1);
    // Twice as many as there are: it panics until second 8.
    assert_eq!(world.after(0, 15.0), 2);
    world.ready = 2;
    // From then on it needs one; the two of second 6 counts until five ticks later.
    let numbers: Vec<u32> = (1..=16).map(|s| world.after(s, 5.0)).collect();
    assert_eq!(numbers[..15], [2; 15]);
    assert_eq!(numbers[15], 1);
}

#[test]
fn looks_once_in_a_tick() {
    let mut world = World::new(ten_each(), 1);
    assert_eq!(world.after(0, 10.0), 1);
    assert_eq!(world.after(1, 1000.0), 1);
    assert!(world.after(2, 1000.0) > 1);
}

#[test]
fn counts_requests_if_asked_to() {
    let kpa = Kpa::as_in_knative(ScaleMetric::RequestsPerS);
    let mut world = World::new(kpa, 1);
    world.window.push(Sample { at: at(1), arrivals: 700.0, ..Sample::default() });
    let decision = world.decide(1);
    assert_eq!((decision.desired, decision.asked[0].target), (5, 140.0));
}

#[test]
fn does_nothing_without_data() {
    let mut world = World::new(ten_each(), 4);
    let decision = world.decide(1);
    assert_eq!((decision.desired, decision.asked[0].wants), (4, None));
}

/// The figures by which Knative tests its autoscaler.
#[test]
fn agrees_with_what_knative_expects_of_itself() {
    let by_tens = |target: u64| Kpa {
        target_permille: target * 1000,
        scale_up_rate_max_permille: 10_000,
        scale_down_rate_max_permille: 10_000,
        ..ten_each()
    };
    let check = |kpa: Kpa, ready: usize, (stable, panic): (f64, f64), expected: u32| {
        let mut world = World::new(kpa.clone(), 1);
        world.ready = ready;
        assert_eq!(world.with_means(100, stable, panic), expected, "{stable}, {panic} of {ready}");
    };
    check(by_tens(10), 1, (50.0, 10.0), 5);
    check(by_tens(10), 1, (100.0, 10.0), 10);
    check(by_tens(181), 1, (21.0, 26.0), 1);
    check(by_tens(10), 1, (50.0, 49.0), 5);
    check(by_tens(10), 5, (50.0, 50.0), 5);
    check(by_tens(10), 8, (100.0, 100.0), 10);
    check(by_tens(10), 1, (50.0, 100.0), 10);
    check(by_tens(10), 1, (1000.0, 1001.0), 10);
    check(by_tens(10), 10, (1000.0, 1001.0), 100);
    check(by_tens(10), 100, (1.0, 1.0), 10);
    check(by_tens(10), 10, (1.0, 1.0), 1);
    check(by_tens(10), 1, (1.0, 0.0), 1);
    check(by_tens(10), 1, (0.0, 0.0), 0);
    check(by_tens(1), 6, (36.0, 36.0), 36);
    check(Kpa { scale_up_rate_max_permille: 1100, ..by_tens(1) }, 2, (3.0, 3.1), 3);
    check(Kpa { scale_down_rate_max_permille: 1100, ..by_tens(10) }, 100, (1.0, 1.0), 90);
    check(Kpa { activation_scale: 2, ..by_tens(10) }, 1, (0.0, 0.0), 0);
    check(Kpa { activation_scale: 2, ..by_tens(10) }, 1, (1.0, 0.0), 2);

    // One service after another: when, how many are ready, the two means, and the number.
    let check = |kpa: Kpa, moments: &[(u64, usize, f64, f64, u32)]| {
        let mut world = World::new(kpa, 1);
        for &(s, ready, stable, panic, expected) in moments {
            world.ready = ready;
            assert_eq!(world.with_means(100 + s, stable, panic), expected, "second {s}");
        }
    };
    let slow = [(0, 10, 11.0, 25.0, 25), (30, 40, 30.0, 41.0, 41), (62, 55, 50.0, 56.0, 50)];
    check(by_tens(1), &slow);
    check(by_tens(1), &[(0, 10, 11.0, 25.0, 25), (30, 40, 30.0, 80.0, 80)]);
    let panics = [
        (0, 1, 100.0, 100.0, 10),
        (2, 10, 100.0, 1000.0, 100),
        (32, 10, 1.0, 1.0, 100),
        (63, 10, 1.0, 1.0, 1),
    ];
    check(by_tens(10), &panics);
    let delayed = Kpa {
        scale_down_delay: Duration::from_secs(300),
        panic_threshold_percent: 10_000,
        ..by_tens(10)
    };
    let simple = [(2, 0, 40.0, 40.0, 4), (300, 0, 0.0, 0.0, 4), (302, 0, 0.0, 0.0, 0)];
    check(delayed.clone(), &simple);
    let gradual = [
        (540, 0, 40.0, 40.0, 4),
        (600, 0, 30.0, 30.0, 4),
        (660, 0, 0.0, 0.0, 4),
        (840, 0, 0.0, 0.0, 3),
        (900, 0, 0.0, 0.0, 0),
    ];
    check(delayed, &gradual);
}
