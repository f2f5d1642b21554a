//! At which figures a policy turns: what would have to change for more instances, or for fewer.
//! It says what holds if nothing else changes; it decides nothing.

use model::{Hpa, ScalePolicy, ScaleStep};

use crate::decision::{Asked, Decision, Signal};
use crate::step;

/// Where the strongest signal of a decision would change the number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Which one, in its unit.
    pub signal: Signal,
    /// Above this there are more. None: never.
    pub more_above: Option<f64>,
    /// Below this, and for as long as the policy waits, there are fewer. None: never.
    pub fewer_below: Option<f64>,
}

impl Decision {
    /// What would change the number, bounds apart. None: nothing is known of the demand, or it does
    /// not matter.
    pub fn turn(&self, policy: &ScalePolicy) -> Option<Turn> {
        let asked = self.strongest()?;
        if let ScalePolicy::Step(policy) = policy {
            return Some(of_steps(policy, asked, self.desired));
        }
        // What one instance stands for: the same as the target, unless the signal is a mean.
        let each = match (asked.value, asked.wants) {
            (Some(value), Some(wants)) if wants > 0.0 && asked.target.is_finite() => value / wants,
            _ => asked.target,
        };
        let desired = f64::from(self.desired);
        let one_fewer = f64::from(self.desired.saturating_sub(1));
        let (more, fewer) = match policy {
            ScalePolicy::Hpa(hpa) => {
                let (up, down) = tolerated(hpa);
                (desired * up, one_fewer.min(desired * down))
            }
            _ => (desired, one_fewer),
        };
        // Where an instance bears any number, none of them is more than it does.
        each.is_finite().then_some(Turn {
            signal: asked.signal,
            more_above: Some(each * more),
            fewer_below: Some(each * fewer),
        })
    }
}

/// The ratios of a metric and its target within which nothing changes.
fn tolerated(policy: &Hpa) -> (f64, f64) {
    let part = |permille: u32| f64::from(permille) / 1000.0;
    (1.0 + part(policy.up.tolerance_permille), 1.0 - part(policy.down.tolerance_permille))
}

/// The nearest of the steps that add, and of those that take away.
fn of_steps(policy: &ScaleStep, asked: &Asked, desired: u32) -> Turn {
    let figure = |permille: u64| permille as f64 / 1000.0 / step::units(policy.metric);
    let of = |is_meant: fn(u32, u32) -> bool| {
        let all = policy.steps.iter();
        all.filter(move |step| is_meant(step::changed(desired, step.change), desired))
    };
    let more = of(|to, from| to > from).map(|step| step.from_permille).min();
    let fewer = of(|to, from| to < from).map(|step| step.to_permille).max();
    Turn {
        signal: asked.signal,
        more_above: more.map(figure),
        fewer_below: fewer.filter(|&to| to < u64::MAX).map(figure),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{Kpa, ScaleMetric, ScaleTarget, Step, StepChange};

    use super::*;

    fn check(policy: &ScalePolicy, asked: Asked, expected: (Option<f64>, Option<f64>)) {
        let decision = Decision { was: 3, desired: 3, asked: vec![asked], limits: Vec::new() };
        let turn = decision.turn(policy).unwrap();
        let near = |is: Option<f64>, expected: Option<f64>| match (is, expected) {
            (Some(is), Some(expected)) => (is - expected).abs() < 1e-9,
            (is, expected) => is == expected,
        };
        let is_right = near(turn.more_above, expected.0) && near(turn.fewer_below, expected.1);
        assert!(is_right && turn.signal == asked.signal, "{turn:?}, not {expected:?}: {policy:?}");
    }

    fn asked(signal: Signal, value: f64, target: f64, wants: f64) -> Asked {
        Asked { signal, value: Some(value), target, wants: Some(wants) }
    }

    #[test]
    fn says_where_the_number_changes() {
        let target = ScalePolicy::Target(ScaleTarget::default());
        let arrivals = asked(Signal::Arrivals, 210.0, 72.0, 210.0 / 72.0);
        check(&target, arrivals, (Some(216.0), Some(144.0)));
        check(&target, asked(Signal::Arrivals, 0.0, 72.0, 0.0), (Some(216.0), Some(144.0)));
        let any = asked(Signal::Arrivals, 5.0, f64::INFINITY, 0.0);
        let decision = Decision { was: 3, desired: 3, asked: vec![any], limits: Vec::new() };
        assert_eq!(decision.turn(&target), None);

        let kpa = ScalePolicy::Kpa(Kpa::as_in_knative(ScaleMetric::Concurrency));
        check(
            &kpa,
            asked(Signal::Concurrency, 200.0, 70.0, 200.0 / 70.0),
            (Some(210.0), Some(140.0)),
        );

        // A tenth more than 3 × 10 is tolerated, and a tenth less, but one fewer is 20.
        let hpa = ScalePolicy::Hpa(Hpa::as_in_kubernetes(Vec::new()));
        check(&hpa, asked(Signal::Concurrency, 28.0, 10.0, 2.8), (Some(33.0), Some(20.0)));
        // A mean over three instances.
        check(&hpa, asked(Signal::Cpu, 0.6, 0.7, 0.6 / 0.7 * 3.0), (Some(0.77), Some(1.4 / 3.0)));
    }

    #[test]
    fn says_which_steps_are_next() {
        let step = |from, to, change| Step { from_permille: from, to_permille: to, change };
        let policy = |steps| {
            let (window, cooldown) = (Duration::from_secs(60), Duration::from_secs(60));
            ScalePolicy::Step(ScaleStep {
                metric: ScaleMetric::CpuPercent,
                window,
                cooldown,
                steps,
            })
        };
        let steps = vec![
            step(90_000, u64::MAX, StepChange::Count(4)),
            step(80_000, 90_000, StepChange::Percent(10)),
            step(0, 20_000, StepChange::Count(-1)),
        ];
        let used = asked(Signal::Cpu, 0.5, 0.8, 3.0);
        check(&policy(steps), used, (Some(0.8), Some(0.2)));
        check(&policy(vec![step(0, u64::MAX, StepChange::Exactly(3))]), used, (None, None));
        check(&policy(vec![step(0, u64::MAX, StepChange::Exactly(1))]), used, (None, None));
    }
}
