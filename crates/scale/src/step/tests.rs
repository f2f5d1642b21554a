//! Steps, one question at a time.
//! The rules that hold for every policy are tested in the crate's `tests`, not here.

use std::time::Duration;

use model::{Autoscale, Phase, ScalePolicy};

use super::*;
use crate::{Bounds, Member, Window, decide};

struct World {
    autoscale: Autoscale,
    memory: crate::Memory,
    window: Window,
    s: u64,
}

impl World {
    /// One that began a minute ago.
    fn new(steps: Vec<Step>, desired: u32) -> Self {
        let policy = ScaleStep {
            metric: ScaleMetric::CpuPercent,
            window: Duration::from_secs(10),
            cooldown: Duration::from_secs(30),
            steps,
        };
        let autoscale = Autoscale { policy: ScalePolicy::Step(policy), ..Autoscale::fixed() };
        let memory = crate::Memory::new(&autoscale, desired, Time::from_ms(0));
        let window = Window::of(&autoscale);
        Self { autoscale, memory, window, s: 60 }
    }

    fn after(&mut self, s: u64, cpu: Option<f64>) -> Decision {
        self.s += s;
        let now = Time::from_ms(self.s * 1000);
        self.window.push(Sample { at: now, cpu, ..Sample::default() });
        let member = Member {
            phase: Phase::Ready,
            ordered_at: now,
            since: now,
            in_flight: 0,
            cpu,
            memory: None,
        };
        let look = Look {
            now,
            window: &self.window,
            members: &[member],
            start_up: None,
            is_rolling_out: false,
            is_failing_to_start: false,
            bounds: Bounds { min: 1, max: 100, room: None, share: None, calendar: 0, forecast: 0 },
        };
        decide(&self.autoscale, &mut self.memory, &look)
    }
}

fn step(from: u64, to: u64, change: StepChange) -> Step {
    Step { from_permille: from * 1000, to_permille: to.saturating_mul(1000), change }
}

/// Fewer below 30 per cent, a tenth more from 70 on, half as many more from 90 on.
fn steps() -> Vec<Step> {
    vec![
        step(0, 30, StepChange::Percent(-10)),
        step(70, u64::MAX, StepChange::Percent(10)),
        step(90, u64::MAX, StepChange::Percent(50)),
    ]
}

#[test]
fn changes_by_the_step_that_holds_the_metric() {
    let check = |was: u32, cpu: f64, expected: u32| {
        let decision = World::new(steps(), was).after(1, Some(cpu));
        assert_eq!(decision.desired, expected, "{was} at {cpu}");
    };
    check(10, 0.5, 10);
    check(10, 0.299, 9);
    check(10, 0.30, 10);
    check(10, 0.699, 10);
    check(10, 0.70, 11);
    check(10, 0.90, 15);
    // Away from the number there is: 4.5 is fewer than five, 5.5 is more.
    check(5, 0.1, 4);
    check(5, 0.8, 6);
    check(1, 0.1, 1);
}

#[test]
fn counts_and_sets() {
    let check = |change, expected: u32| {
        let decision = World::new(vec![step(0, 100, change)], 10).after(1, Some(0.5));
        assert_eq!(decision.desired, expected, "{change:?}");
    };
    check(StepChange::Count(3), 13);
    check(StepChange::Count(-3), 7);
    check(StepChange::Count(i32::MIN), 1);
    check(StepChange::Count(i32::MAX), 100);
    check(StepChange::Percent(i32::MIN), 1);
    check(StepChange::Exactly(42), 42);
}

#[test]
fn waits_after_a_change() {
    let mut world = World::new(steps(), 10);
    assert_eq!(world.after(1, Some(0.8)).desired, 11);
    let decision = world.after(1, Some(0.8));
    assert_eq!((decision.desired, decision.limited_by()), (11, Some(LimitedBy::Cooldown)));
    assert_eq!(world.after(28, Some(0.8)).desired, 11);
    assert_eq!(world.after(1, Some(0.8)).desired, 13);
}

#[test]
fn takes_the_mean_and_says_what_it_saw() {
    let mut world = World::new(steps(), 10);
    world.after(1, Some(0.5));
    let decision = world.after(1, Some(0.6));
    let asked = decision.asked[0];
    assert_eq!((asked.signal, asked.value, asked.wants), (Signal::Cpu, Some(0.55), Some(10.0)));
    assert_eq!(asked.target, 0.7, "where the next step begins");
}

#[test]
fn does_nothing_on_what_it_does_not_know() {
    let mut world = World::new(steps(), 10);
    assert_eq!(world.after(1, None).desired, 10);
    assert_eq!(world.after(1, Some(f64::NAN)).desired, 10);
}

#[test]
fn takes_none_away_before_it_has_seen_a_window() {
    let mut world = World::new(steps(), 10);
    world.memory = crate::Memory::new(&world.autoscale, 10, Time::from_ms(61_000));
    let decision = world.after(1, Some(0.0));
    assert_eq!((decision.desired, decision.limited_by()), (10, Some(LimitedBy::Window)));
    assert_eq!(world.after(10, Some(0.0)).desired, 9);
}
