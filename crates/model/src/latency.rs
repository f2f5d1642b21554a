//! How fast an endpoint answers, and how much trouble there is with it: what a pick wants to know.
//! One word each, shared by all workers. It reads no clock, and decides about no request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Outcome, Time};

/// In how many seconds what was learned fades to a third (1/e): tower's and linkerd's default.
const FADE_S: f32 = 10.0;
/// An estimate for which nothing was learned for so long counts for nothing: the endpoint is tried
/// again, however slow it was.
const STALE_S: f32 = 10.0;
/// One step of the clock of a [`Word`].
const MOMENT_S: f32 = 0.016;
/// Moments until an estimate is stale.
const MOMENTS: usize = 10_000 / 16;
/// By how much one answer can raise the estimate at most. A single slow one among many fast ones
/// says little; an endpoint that has become slow is known after a few.
const JUMP_MAX: f32 = 2.0;
/// How much of what is missing to the full trouble one more failure adds, and one success takes.
const TROUBLE_STEP: f32 = 1.0 / 8.0;
/// Below it there is as good as no trouble: about one failure.
const TROUBLE_MIN: f32 = 0.01;
/// More would make an endpoint infinitely expensive.
const TROUBLE_MAX: f32 = 0.999;
/// The trouble at which an endpoint costs twice of what it costs without.
const TROUBLE_TWICE: f32 = 0.1318;
/// How much the square of the trouble raises the cost.
const TROUBLE_COST: f32 = 50.0;
/// For how long an endpoint that says that it has too much to do is spared if it does not say.
const SPARED: Duration = Duration::from_secs(5);
/// The longest time for which it is.
const SPARED_MAX: Duration = Duration::from_secs(20);

/// What was learned of one endpoint from the outcomes of requests: a peak-EWMA of its latency, and
/// how many of the last ones failed. Both are read and written without waiting: when two workers
/// learn something at the same moment, one of the two may be lost.
#[derive(Debug, Default)]
pub struct Latency {
    /// A [`Word`] in microseconds; 0 as long as nothing is known, and negative after one answer:
    /// the first one of an instance often takes longer than any other.
    estimate: AtomicU64,
    /// A [`Word`] from 0 to 1.
    trouble: AtomicU64,
}

/// A number and when it was so: 16 ms are one, so that the half of the range is a year.
#[derive(Clone, Copy, Debug)]
struct Word {
    value: f32,
    at: u32,
}

impl Latency {
    /// Learns from the outcome of an attempt.
    ///
    /// Only answers say how fast an endpoint is. A failure keeps the estimate from fading, so that
    /// one that fails fast never looks fast, and counts as trouble.
    pub fn learn(&self, outcome: Outcome, now: Time) {
        match outcome {
            Outcome::Answered(latency) => {
                if let Some(latency) = latency {
                    self.sample(latency, now);
                }
                if self.trouble.load(Ordering::Relaxed) != 0 {
                    let trouble = self.trouble(now) * (1.0 - TROUBLE_STEP);
                    self.set_trouble(if trouble < TROUBLE_MIN { 0.0 } else { trouble }, now);
                }
            }
            Outcome::Failed | Outcome::ServerError { .. } => {
                self.hold(now);
                let trouble = self.trouble(now);
                self.set_trouble(trouble + (1.0 - trouble) * TROUBLE_STEP, now);
            }
            Outcome::Overloaded(spared) => {
                self.hold(now);
                // So much that it has faded to what does not matter when the time is over.
                let spared_s = spared.unwrap_or(SPARED).min(SPARED_MAX).as_secs_f32();
                let enough = TROUBLE_TWICE * (spared_s / FADE_S).exp();
                self.set_trouble(self.trouble(now).max(enough), now);
            }
            Outcome::Abandoned(waited) => self.waited(waited, now),
            Outcome::Unknown => {}
        }
    }

    /// The estimate in microseconds, faded until now. None before the second answer, and when
    /// nothing was learned for [`STALE_S`].
    #[inline]
    pub fn estimate_us(&self, now: Time) -> Option<f32> {
        let word = Word::of(self.estimate.load(Ordering::Relaxed))?;
        let left = FADES.get(word.age(now) as usize)?;
        (word.value > 0.0).then_some(word.value * left)
    }

    /// How many times as much as usual an endpoint costs for the trouble there is with it: 1
    /// without, 1.9 after a failure out of nothing, 5 after two in a row, and more than anybody
    /// would pay after ten.
    #[inline]
    pub fn surcharge(&self, now: Time) -> f32 {
        if self.trouble.load(Ordering::Relaxed) == 0 {
            return 1.0;
        }
        let trouble = self.trouble(now);
        1.0 + TROUBLE_COST * trouble * trouble / (1.0 - trouble)
    }

    /// Peak-EWMA: a larger sample is believed at once, up to [`JUMP_MAX`]; a smaller one the more
    /// the longer ago the last one was.
    fn sample(&self, latency: Duration, now: Time) {
        let sample = (latency.as_secs_f32() * 1e6).max(1.0);
        let value = match Word::of(self.estimate.load(Ordering::Relaxed)) {
            None => -sample,
            Some(first) if first.value < 0.0 => sample.min(-first.value),
            Some(word) => {
                let age_s = word.age_s(now);
                let faded = word.value * fade(age_s);
                if age_s >= STALE_S {
                    sample
                } else if sample > faded {
                    sample.min(word.value * JUMP_MAX)
                } else if age_s == 0.0 {
                    // As it is, and nothing is written that others read all the time.
                    return;
                } else {
                    faded + sample * (1.0 - fade(age_s))
                }
            }
        };
        self.estimate.store(Word::at(value, now).pack(), Ordering::Relaxed);
    }

    /// It takes longer than this, or as long as was known: what nobody waits for to the end would
    /// otherwise fade, and an instance that is frozen would look faster and faster.
    fn waited(&self, waited: Duration, now: Time) {
        let known_us = self.estimate_us(now).unwrap_or(0.0);
        match waited.as_secs_f32() * 1e6 > known_us {
            true => self.sample(waited, now),
            false => self.hold(now),
        }
    }

    /// What is known is as good as if it were learned now.
    fn hold(&self, now: Time) {
        if let Some(word) = Word::of(self.estimate.load(Ordering::Relaxed)) {
            self.estimate.store(Word::at(word.value, now).pack(), Ordering::Relaxed);
        }
    }

    fn trouble(&self, now: Time) -> f32 {
        let word = Word::of(self.trouble.load(Ordering::Relaxed));
        word.map_or(0.0, |word| word.value * fade(word.age_s(now)))
    }

    fn set_trouble(&self, trouble: f32, now: Time) {
        let word = if trouble > 0.0 { Word::at(trouble.min(TROUBLE_MAX), now).pack() } else { 0 };
        self.trouble.store(word, Ordering::Relaxed);
    }
}

impl Word {
    fn of(packed: u64) -> Option<Self> {
        let [a, b, c, d, at @ ..] = packed.to_be_bytes();
        let value = f32::from_be_bytes([a, b, c, d]);
        (packed != 0).then(|| Self { value, at: u32::from_be_bytes(at) })
    }

    fn at(value: f32, now: Time) -> Self {
        Self { value, at: moment(now) }
    }

    fn pack(self) -> u64 {
        u64::from(self.value.to_bits()) << 32 | u64::from(self.at)
    }

    /// In moments. Zero when it is of the future: clocks of workers differ by a tick.
    fn age(self, now: Time) -> u32 {
        let age = moment(now).wrapping_sub(self.at);
        if age > u32::MAX / 2 { 0 } else { age }
    }

    fn age_s(self, now: Time) -> f32 {
        self.age(now) as f32 * MOMENT_S
    }
}

/// Lossy on purpose: what is left begins again after two years.
fn moment(now: Time) -> u32 {
    u32::try_from((now.as_ms() >> 4) & u64::from(u32::MAX)).unwrap_or(0)
}

/// What is left of one after so many seconds.
fn fade(age_s: f32) -> f32 {
    if age_s == 0.0 { 1.0 } else { (-age_s / FADE_S).exp() }
}

/// The same for each age in moments that is not stale, to within a hundredth of a percent: a pick
/// has no time for more than a look.
static FADES: [f32; MOMENTS] = {
    let x = MOMENT_S / FADE_S;
    let left_of_one = 1.0 - x * (1.0 - x / 2.0 * (1.0 - x / 3.0));
    let mut fades = [1.0; MOMENTS];
    let mut age = 1;
    while age < MOMENTS {
        fades[age] = fades[age - 1] * left_of_one;
        age += 1;
    }
    fades
};

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Outcome = Outcome::Failed;

    fn answered(ms: u64) -> Outcome {
        Outcome::Answered(Some(Duration::from_millis(ms)))
    }

    /// What two answers leave behind.
    fn known(ms: u64, s: f64) -> Latency {
        let latency = Latency::default();
        latency.learn(answered(ms), at_s(s));
        latency.learn(answered(ms), at_s(s));
        latency
    }

    fn at_s(s: f64) -> Time {
        Time::from_ms(1_700_000_000_000) + Duration::from_secs_f64(s)
    }

    fn estimate_ms(latency: &Latency, s: f64) -> f32 {
        latency.estimate_us(at_s(s)).unwrap() / 1e3
    }

    #[track_caller]
    fn near(a: f32, b: f32) {
        assert!((a - b).abs() <= b * 0.01, "{a} is not {b}");
    }

    /// tower's example with its times by ten, as ours fades in 10 s and not in 1: 10 ms become 9.05
    /// and 8.19 in two steps of a tenth.
    #[test]
    fn it_fades_as_tower_s_does() {
        let latency = known(10, 0.0);
        near(estimate_ms(&latency, 0.0), 10.0);
        near(estimate_ms(&latency, 1.0), 9.05);
        near(estimate_ms(&latency, 2.0), 8.19);
    }

    #[test]
    fn a_larger_sample_counts_at_once_and_a_smaller_one_by_time() {
        let latency = known(20, 0.0);
        latency.learn(answered(38), at_s(0.0));
        near(estimate_ms(&latency, 0.0), 38.0);
        latency.learn(answered(1), at_s(0.0));
        near(estimate_ms(&latency, 0.0), 38.0);
        // 38 e^(-0.5) + 20 (1 - e^(-0.5))
        latency.learn(answered(20), at_s(5.0));
        near(estimate_ms(&latency, 5.0), 30.92);
    }

    #[test]
    fn a_single_outlier_counts_twice_and_three_make_it_eight_times() {
        let latency = known(10, 0.0);
        for expected in [20.0, 40.0, 80.0] {
            latency.learn(answered(5000), at_s(0.0));
            near(estimate_ms(&latency, 0.0), expected);
        }
    }

    #[test]
    fn nothing_learned_for_long_is_nothing_known_and_the_next_sample_begins_anew() {
        let latency = Latency::default();
        assert_eq!(latency.estimate_us(at_s(0.0)), None);
        latency.learn(answered(900), at_s(0.0));
        assert_eq!(latency.estimate_us(at_s(0.0)), None);
        latency.learn(answered(300), at_s(0.0));
        near(estimate_ms(&latency, 0.0), 300.0);
        assert_eq!(latency.estimate_us(at_s(10.1)), None);
        latency.learn(answered(5), at_s(10.1));
        near(estimate_ms(&latency, 10.1), 5.0);
    }

    #[test]
    fn what_nobody_waited_for_to_the_end_took_at_least_as_long() {
        let latency = known(10, 0.0);
        let abandoned = |ms| Outcome::Abandoned(Duration::from_millis(ms));
        latency.learn(abandoned(3), at_s(8.0));
        near(estimate_ms(&latency, 8.0), 10.0);
        latency.learn(abandoned(2000), at_s(8.0));
        near(estimate_ms(&latency, 8.0), 20.0);
        near(latency.surcharge(at_s(8.0)), 1.0);
    }

    #[test]
    fn failures_keep_the_estimate_and_raise_the_cost() {
        let latency = known(10, 0.0);
        latency.learn(Outcome::Unknown, at_s(8.0));
        near(estimate_ms(&latency, 8.0), 4.49);
        latency.learn(FAILED, at_s(8.0));
        near(estimate_ms(&latency, 8.0), 10.0);
        near(latency.surcharge(at_s(8.0)), 1.893);
        latency.learn(Outcome::ServerError { is_gateway: false }, at_s(8.0));
        near(latency.surcharge(at_s(8.0)), 4.59);
        (0..20).for_each(|_| latency.learn(FAILED, at_s(8.0)));
        assert!(latency.surcharge(at_s(8.0)) > 500.0);
        // It is tried again, and a few answers in a row make it as good as new.
        assert!(latency.surcharge(at_s(29.0)) < 2.0);
        (0..20).for_each(|_| latency.learn(answered(10), at_s(29.0)));
        assert_eq!(latency.surcharge(at_s(29.0)), 1.0);
    }

    #[test]
    fn one_that_has_too_much_to_do_is_spared_for_as_long_as_it_says() {
        let check = |said: Option<u64>, spared_s: f64| {
            let latency = Latency::default();
            let said = said.map(Duration::from_secs);
            (0..50).for_each(|_| latency.learn(Outcome::Overloaded(said), at_s(0.0)));
            assert!(latency.surcharge(at_s(spared_s * 0.9)) > 2.0, "{said:?}");
            assert!(latency.surcharge(at_s(spared_s + 0.1)) < 2.05, "{said:?}");
        };
        check(Some(3), 3.0);
        check(None, 5.0);
        check(Some(19), 19.0);
        check(Some(3600), 20.3);
    }

    #[test]
    fn the_table_of_what_is_left_is_right() {
        for (age, left) in FADES.iter().enumerate() {
            let exact = fade(age as f32 * MOMENT_S);
            assert!((left - exact).abs() < 1e-4, "{age}: {left} is not {exact}");
        }
        near(MOMENTS as f32 * MOMENT_S, STALE_S);
    }

    #[test]
    fn clocks_that_differ_and_years_do_no_harm() {
        let latency = known(10, 1.0);
        near(estimate_ms(&latency, 0.9), 10.0);
        assert_eq!(latency.estimate_us(at_s(300.0 * 86_400.0)), None);
    }
}
