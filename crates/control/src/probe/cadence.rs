//! When an instance is probed next: often while its fitness is in question, seldom once it is not.
//! Pure: it neither probes nor waits.

use std::time::Duration;

use model::Health;

use crate::ProbeOutcome;

/// How far a pause may be from what the policy says, to either side, so that many instances do not
/// stay in step.
const JITTER: f64 = 0.1;

/// Where one instance is between unknown, failing and fit.
#[derive(Debug, Default)]
pub(super) struct Cadence {
    passes: u32,
}

impl Cadence {
    /// How long to wait after a probe with this outcome; none when it could not be made.
    ///
    /// `interval_fast` until `healthy` probes in a row have passed, `interval` from then on. The
    /// first long pause is cut short by chance, to anything from `interval_fast` up: instances
    /// that became fit together are then probed apart.
    pub(super) fn pause(
        &mut self,
        outcome: Option<&ProbeOutcome>,
        health: &Health,
        rng: &mut fastrand::Rng,
    ) -> Duration {
        let was_fit = self.passes >= health.healthy;
        match outcome {
            Some(ProbeOutcome::Pass) => self.passes = self.passes.saturating_add(1),
            Some(ProbeOutcome::Fail(_) | ProbeOutcome::Silent(_)) => self.passes = 0,
            None => {}
        }
        let is_fit = self.passes >= health.healthy;
        if is_fit && !was_fit {
            let range = health.interval.saturating_sub(health.interval_fast);
            return health.interval_fast + range.mul_f64(rng.f64());
        }
        let pause = if is_fit { health.interval } else { health.interval_fast };
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::health;

    /// For every seed, the pauses after these outcomes lie in these ranges, in ms.
    fn check(outcomes: &str, expected: &[(u64, u64)]) {
        for seed in 0..64 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut cadence = Cadence::default();
            for (c, &(low, high)) in outcomes.chars().zip(expected) {
                let outcome = match c {
                    'p' => Some(ProbeOutcome::Pass),
                    'f' => Some(ProbeOutcome::Fail("down".into())),
                    _ => None,
                };
                let pause = cadence.pause(outcome.as_ref(), &health(), &mut rng);
                let range = Duration::from_millis(low)..=Duration::from_millis(high);
                assert!(range.contains(&pause), "{outcomes}: {pause:?} after {c}, seed {seed}");
            }
        }
    }

    #[test]
    fn fast_until_fit_and_after_a_failure() {
        let (fast, first, slow) = ((180, 220), (200, 2000), (1800, 2200));
        check("pppp", &[fast, first, slow, slow]);
        check("ffpp", &[fast, fast, fast, first]);
        check("pppfpp", &[fast, first, slow, fast, fast, first]);
        check("p-pp-", &[fast, fast, first, slow, slow]);
    }

    #[test]
    fn instances_that_became_fit_together_come_apart() {
        let pauses: std::collections::BTreeSet<u128> = (0..100)
            .map(|seed| {
                let mut rng = fastrand::Rng::with_seed(seed);
                let mut cadence = Cadence::default();
                cadence.pause(Some(&ProbeOutcome::Pass), &health(), &mut rng);
                cadence.pause(Some(&ProbeOutcome::Pass), &health(), &mut rng).as_millis() / 100
            })
            .collect();
        assert!(pauses.len() >= 15, "all of 100 in {pauses:?} tenths of a second");
    }
}
