//! How long less demand has to last before it is believed: longer after it was believed too early.
//! It changes no number of instances.

use std::time::Duration;

use model::{ScaleTarget, Time};

use crate::look::Look;

/// It is never shorter than this many starts: what was taken away is back no sooner.
const STARTS: f64 = 1.5;
/// After a wrong guess the window is so many times longer: two of them in a row, and a load that
/// comes back every other minute is waited for.
const LONGER: f64 = 3.0;
/// So many times longer at most: beyond it the load is one that comes and goes by the hour.
const LONGEST: f64 = 10.0;
/// An order so soon after something was taken away is a wrong guess however short the window is.
const SOON: Duration = Duration::from_secs(90);
/// Half of what was added is forgotten in this time.
const FORGETS: Duration = Duration::from_secs(30 * 60);
/// However restless the load is: an hour of too many is the most.
const WINDOW_MAX: Duration = Duration::from_secs(3600);

/// What it remembers of wrong guesses.
#[derive(Clone, Debug)]
pub(super) struct Calm {
    /// How many times longer than configured the window is.
    factor: f64,
    noted_at: Time,
    /// When instances were last taken away, if none was ordered since.
    lowered_at: Option<Time>,
}

impl Default for Calm {
    fn default() -> Self {
        Self { factor: 1.0, noted_at: Time::default(), lowered_at: None }
    }
}

impl Calm {
    /// How long less has to last.
    pub(super) fn window(&self, policy: &ScaleTarget, look: &Look<'_>) -> Duration {
        let window = policy.down_window.max(times(super::start_up(look), STARTS));
        times(window, self.factor).min(WINDOW_MAX.max(window))
    }

    /// Takes note of a decision. To order again soon after having taken away was a wrong guess, and
    /// costs calm: uWSGI's busyness mode knows the same as a penalty.
    pub(super) fn note(&mut self, now: Time, was: u32, desired: u32, window: Duration) {
        let passed = now.since(self.noted_at).as_secs_f64() / FORGETS.as_secs_f64();
        self.noted_at = now;
        self.factor = 1.0 + (self.factor - 1.0) * 0.5_f64.powf(passed);
        if desired < was {
            self.lowered_at = Some(now);
        } else if desired > was
            && let Some(lowered_at) = self.lowered_at.take()
            && now.since(lowered_at) < window.max(SOON)
        {
            self.factor = (self.factor * LONGER).min(LONGEST);
        }
    }
}

/// Saturates where a duration ends.
fn times(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
