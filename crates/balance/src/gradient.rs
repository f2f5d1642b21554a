//! How many requests an instance gets at once, found by what its answers take: the gradient.
//! Pure: windows of answers in, a limit out. Who counts them and who applies it is elsewhere.
//!
//! An instance that works on `N` requests at once answers `N` of them in the time of one, and makes
//! all further ones wait: twice as many in flight take twice as long. So the latency without a
//! queue, the *base*, over that of now says by how much too many there are: after each window
//!
//! ```text
//! gradient = clamp(base × (1 + tolerance) / median, 1/2, 2)
//! limit    = gradient × limit + √limit
//! ```
//!
//! as in Envoy's adaptive concurrency. It comes to rest where `√limit` more than fit wait: with a
//! tolerance of a quarter at 137 for an instance that works on 100, and 17 for 10.
//!
//! What others get wrong is the base. The fastest answer ever seen is the luck of one request, and
//! a base that is learned while a queue stands makes room for a longer one. So base and latency are
//! medians; the base falls with faster windows; and now and then the limit is halved for a moment,
//! each instance at another one, and what a window takes then is the base.

use std::time::Duration;

use model::{Adaptive, Time, Window};

/// Answers that a window has at least: the median of fewer says little.
pub const ANSWERS_MIN: u32 = 25;

/// What an instance gets at first, until its base is known: hardly any has less room.
const FIRST: f64 = 4.0;
/// The bounds of one step.
const GRADIENT: (f64, f64) = (0.5, 2.0);
/// What part of the way to the next limit is gone at once: the medians of windows differ by chance.
const STEP: f64 = 0.5;
/// What part of the way to a faster window the base goes.
const BASE_STEP: f64 = 0.2;
/// Windows for which a halved limit is waited for to be kept, until that is given up: an instance
/// that works on something long does not get rid of it.
const SETTLING_MAX: u32 = 8;
/// By how much the time to the next look at the base differs, so that instances take turns.
const JITTER: f64 = 0.2;
/// The first look is sooner: the base was found while nobody knew anything.
const FIRST_LOOK: f64 = 0.2;

/// The limit of one instance.
#[derive(Clone, Debug)]
pub struct Gradient {
    limit: f64,
    /// In seconds.
    base: Option<f64>,
    stage: Stage,
    look_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The limit follows the latency.
    Steady,
    /// The limit was halved, and there are answers yet from before.
    Settling { resumes_at: f64, windows: u32 },
    /// The next window is the base.
    Measuring { resumes_at: f64 },
}

impl Gradient {
    /// Of an instance that is new at `now`.
    pub fn new(policy: &Adaptive, now: Time) -> Self {
        let mut this =
            Self { limit: FIRST, base: None, stage: Stage::Steady, look_at: Time::default() };
        this.bound(policy);
        this.stage = Stage::Measuring { resumes_at: this.limit };
        this.look_at = now + policy.remeasure.mul_f64(FIRST_LOOK);
        this
    }

    /// How many requests may be in flight.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the policy bounds it"
    )]
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// What a request takes that does not wait; none until that was measured.
    pub fn base(&self) -> Option<Duration> {
        self.base.map(Duration::from_secs_f64)
    }

    /// Takes a window into account in which up to `allowed` requests were to be in flight. `chance`
    /// is from 0 to 1.
    pub fn step(&mut self, policy: &Adaptive, now: Time, seen: (Window, u32), chance: f64) {
        let (Window { median, in_flight_max }, allowed) = seen;
        let Some(median) = median.map(|median| median.as_secs_f64()) else { return };
        // Where fewer than half are in flight, nobody knows what the rest would do.
        let is_used = in_flight_max.saturating_mul(2) > allowed;
        match self.stage {
            Stage::Settling { resumes_at, windows } => {
                let has_settled = in_flight_max <= allowed;
                self.stage = match (has_settled, windows < SETTLING_MAX) {
                    (true, _) => Stage::Measuring { resumes_at },
                    (false, true) => Stage::Settling { resumes_at, windows: windows + 1 },
                    (false, false) => {
                        self.limit = resumes_at;
                        Stage::Steady
                    }
                };
            }
            Stage::Measuring { resumes_at } => {
                self.base = Some(median);
                self.limit = resumes_at;
                self.stage = Stage::Steady;
            }
            Stage::Steady if now >= self.look_at => {
                let jitter = 1.0 + JITTER * (2.0 * chance - 1.0);
                self.look_at = now + policy.remeasure.mul_f64(jitter);
                if is_used {
                    self.stage = Stage::Settling { resumes_at: self.limit, windows: 0 };
                    // Half of what it is without the part that waits: below what it works on, or
                    // nearer to it than before.
                    self.limit = (self.limit - self.limit.sqrt()) / 2.0;
                } else {
                    self.base = Some(median);
                }
            }
            Stage::Steady => {
                let next = self.next(policy, median);
                if is_used || next < self.limit {
                    self.limit += (next - self.limit) * STEP;
                }
            }
        }
        self.bound(policy);
    }

    /// The limit that the formula wants.
    fn next(&mut self, policy: &Adaptive, median: f64) -> f64 {
        let base = self.base.get_or_insert(median);
        if median < *base {
            *base += (median - *base) * BASE_STEP;
        }
        let tolerance = 1.0 + f64::from(policy.tolerance_percent) / 100.0;
        let gradient = (*base * tolerance / median).clamp(GRADIENT.0, GRADIENT.1);
        gradient * self.limit + self.limit.sqrt()
    }

    fn bound(&mut self, policy: &Adaptive) {
        let (min, max) = (f64::from(policy.min), f64::from(policy.max));
        self.limit = self.limit.clamp(min, max);
    }
}

#[cfg(test)]
mod tests;
