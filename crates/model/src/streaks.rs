//! Failures in a row of one endpoint, and its trial after an ejection, in one atomic word.
//! It counts and says when somebody should look; what follows is decided elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Outcome;

/// The most that a streak counts to; it stays there.
const STREAK_MAX: u64 = 0xffff;
/// How many requests of a trial may end without an answer, because nobody waited for one any more,
/// before that is the answer.
const ABANDONED_MAX: u64 = 3;
/// Where each count begins within the word, in bits.
const ERRORS: u32 = 0;
const GATEWAY: u32 = 16;
const SILENT: u32 = 32;
const TRIAL: u32 = 48;
/// How a trial stands, in the bits from `TRIAL` on.
const TRIAL_RUNS: u64 = 1 << TRIAL;
const TRIAL_PASSED: u64 = 2 << TRIAL;
const TRIAL_FAILED: u64 = 3 << TRIAL;
const TRIAL_BITS: u64 = 3 << TRIAL;
const COUNTS: u64 = !TRIAL_BITS;

/// Failures in a row, by kind. A success ends them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// Answers from 500 on and no answers.
    pub errors: u32,
    /// Answers 502, 503 or 504; any other answer ends them.
    pub gateway: u32,
    /// No answers: refused, reset, malformed or too late; any answer ends them.
    pub silent: u32,
}

/// How the trial of an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// No outcome yet.
    Runs,
    /// The first outcome was a success.
    Passed,
    /// The first outcome was a failure, or there was none of several requests in a row.
    Failed,
}

/// Whether somebody should look at an endpoint after an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// As before.
    Nothing,
    /// A streak reached its bound, or a trial ended.
    Look,
}

/// The word, and how long the streaks may become until somebody should look.
#[derive(Debug)]
pub(crate) struct Streaks {
    word: AtomicU64,
    /// The bounds, at the same places as the counts.
    bounds: AtomicU64,
}

impl Streak {
    /// Whether one of these is as long as its bound; a bound of 0 is none.
    pub fn reaches(&self, bounds: &Streak) -> bool {
        let reaches = |count: u32, bound: u32| bound > 0 && count >= bound;
        reaches(self.errors, bounds.errors)
            || reaches(self.gateway, bounds.gateway)
            || reaches(self.silent, bounds.silent)
    }

    fn of(word: u64) -> Self {
        let count = |at: u32| u32::try_from(word >> at & STREAK_MAX).unwrap_or(u32::MAX);
        Self { errors: count(ERRORS), gateway: count(GATEWAY), silent: count(SILENT) }
    }

    fn word(&self) -> u64 {
        let at = |count: u32, at: u32| u64::from(count).min(STREAK_MAX) << at;
        at(self.errors, ERRORS) | at(self.gateway, GATEWAY) | at(self.silent, SILENT)
    }

    /// One failure more; nothing for what is none.
    fn after(self, outcome: Outcome) -> Option<Self> {
        let Self { errors, gateway, silent } = self;
        match outcome {
            Outcome::Failed => Some(Self { errors: errors + 1, gateway, silent: silent + 1 }),
            Outcome::ServerError { is_gateway } => {
                let gateway = if is_gateway { gateway + 1 } else { 0 };
                Some(Self { errors: errors + 1, gateway, silent: 0 })
            }
            Outcome::Answered(_)
            | Outcome::Overloaded(_)
            | Outcome::Abandoned(_)
            | Outcome::Unknown => None,
        }
    }

    /// Whether this one reached a bound just now; and again with each further length of the bound,
    /// for those who did not act on it.
    fn calls(&self, before: &Streak, bounds: &Streak) -> bool {
        let calls = |count: u32, before: u32, bound: u32| {
            bound > 0 && count > before && count.is_multiple_of(bound)
        };
        calls(self.errors, before.errors, bounds.errors)
            || calls(self.gateway, before.gateway, bounds.gateway)
            || calls(self.silent, before.silent, bounds.silent)
    }
}

impl Streaks {
    pub(crate) const fn new() -> Self {
        Self { word: AtomicU64::new(0), bounds: AtomicU64::new(0) }
    }

    /// Counts one outcome. A success costs one load while there is nothing to end.
    pub(crate) fn observe(&self, outcome: Outcome) -> Notice {
        match outcome {
            Outcome::Answered(_) if self.word.load(Ordering::Relaxed) == 0 => Notice::Nothing,
            Outcome::Answered(_) | Outcome::Overloaded(_) => self.succeed(outcome),
            Outcome::ServerError { .. } | Outcome::Failed => self.fail(outcome),
            Outcome::Abandoned(_) => self.abandon(),
            Outcome::Unknown => Notice::Nothing,
        }
    }

    /// That nobody waited for an answer says nothing, but again and again it decides a trial: that
    /// would never end at an instance that is frozen, as long as second copies of its requests are
    /// answered elsewhere.
    #[cold]
    fn abandon(&self) -> Notice {
        let silent = |word: u64| (word >> SILENT & STREAK_MAX) + 1;
        let next = |word: u64| {
            let more = word + (1 << SILENT);
            match word & TRIAL_BITS {
                TRIAL_RUNS if silent(word) >= ABANDONED_MAX => Some(more | TRIAL_FAILED),
                TRIAL_RUNS => Some(more),
                _ => None,
            }
        };
        match self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next) {
            Ok(word) if silent(word) >= ABANDONED_MAX => Notice::Look,
            _ => Notice::Nothing,
        }
    }

    /// Who answers that it has too much to do keeps its streak of errors: it is neither.
    #[cold]
    fn succeed(&self, outcome: Outcome) -> Notice {
        let kept = match outcome {
            Outcome::Overloaded(_) => STREAK_MAX << ERRORS | STREAK_MAX << GATEWAY,
            _ => 0,
        };
        let next = |word: u64| match word & TRIAL_BITS {
            TRIAL_RUNS => TRIAL_PASSED,
            trial => word & kept | trial,
        };
        let change = |word| Some(next(word)).filter(|&after| after != word);
        match self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change) {
            Ok(word) if word & TRIAL_BITS == TRIAL_RUNS => Notice::Look,
            _ => Notice::Nothing,
        }
    }

    #[cold]
    fn fail(&self, outcome: Outcome) -> Notice {
        let next = |word: u64| {
            let streak = Streak::of(word).after(outcome)?;
            let trial = match word & TRIAL_BITS {
                TRIAL_RUNS => TRIAL_FAILED,
                trial => trial,
            };
            Some(streak.word() | trial)
        };
        let Ok(word) = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next) else {
            return Notice::Nothing;
        };
        let (before, bounds) = (Streak::of(word), self.bounds());
        let now = before.after(outcome).unwrap_or(before);
        let ends_trial = word & TRIAL_BITS == TRIAL_RUNS;
        if ends_trial || now.calls(&before, &bounds) { Notice::Look } else { Notice::Nothing }
    }

    pub(crate) fn set_bounds(&self, bounds: Streak) {
        self.bounds.store(bounds.word(), Ordering::Relaxed);
    }

    fn bounds(&self) -> Streak {
        Streak::of(self.bounds.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Streak {
        Streak::of(self.word.load(Ordering::Relaxed))
    }

    pub(crate) fn trial(&self) -> Option<Trial> {
        match self.word.load(Ordering::Acquire) & TRIAL_BITS {
            TRIAL_RUNS => Some(Trial::Runs),
            TRIAL_PASSED => Some(Trial::Passed),
            TRIAL_FAILED => Some(Trial::Failed),
            _ => None,
        }
    }

    /// The next outcome decides; what was before is forgotten.
    pub(crate) fn begin_trial(&self) {
        self.word.store(TRIAL_RUNS, Ordering::Release);
    }

    pub(crate) fn end_trial(&self) {
        self.word.fetch_and(COUNTS, Ordering::AcqRel);
    }

    pub(crate) fn forget(&self) {
        self.word.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes by letter: s success, o overloaded, e 500, g 502, f failed, a abandoned, u unknown.
    fn outcome(letter: char) -> Outcome {
        match letter {
            's' => Outcome::Answered(None),
            'o' => Outcome::Overloaded(None),
            'e' => Outcome::ServerError { is_gateway: false },
            'g' => Outcome::ServerError { is_gateway: true },
            'f' => Outcome::Failed,
            'a' => Outcome::Abandoned(std::time::Duration::ZERO),
            _ => Outcome::Unknown,
        }
    }

    fn observed(streaks: &Streaks, outcomes: &str) -> String {
        let one = |letter| match streaks.observe(outcome(letter)) {
            Notice::Look => '!',
            Notice::Nothing => '.',
        };
        outcomes.chars().map(one).collect()
    }

    #[test]
    fn who_counts_what_and_what_ends_it() {
        let check = |outcomes: &str, expected: (u32, u32, u32)| {
            let streaks = Streaks::new();
            observed(&streaks, outcomes);
            let Streak { errors, gateway, silent } = streaks.now();
            assert_eq!((errors, gateway, silent), expected, "{outcomes}");
        };
        check("", (0, 0, 0));
        check("eee", (3, 0, 0));
        check("ggg", (3, 3, 0));
        check("gge", (3, 0, 0));
        check("ff", (2, 0, 2));
        check("ffe", (3, 0, 0));
        check("gfg", (3, 2, 0));
        check("egfs", (0, 0, 0));
        check("eguo", (2, 1, 0));
        check("aaaae", (1, 0, 0));
        check("ffo", (2, 0, 0));
    }

    #[test]
    fn it_calls_at_the_bound_and_at_each_further_length_of_it() {
        let check = |bounds: (u32, u32, u32), outcomes: &str, expected: &str| {
            let (errors, gateway, silent) = bounds;
            let streaks = Streaks::new();
            streaks.set_bounds(Streak { errors, gateway, silent });
            assert_eq!(observed(&streaks, outcomes), expected, "{bounds:?} {outcomes}");
        };
        check((3, 0, 0), "eeeeeee", "..!..!.");
        check((3, 0, 0), "eeseee", ".....!");
        check((0, 0, 0), "eeegggfff", ".........");
        check((5, 2, 3), "ggffff", ".!..!.");
        check((0, 2, 0), "gegg", "...!");
        check((3, 0, 0), "eeuoe", "....!");
    }

    #[test]
    fn the_first_outcome_of_a_trial_decides_it() {
        let check = |outcomes: &str, notices: &str, expected: Trial| {
            let streaks = Streaks::new();
            observed(&streaks, "eee");
            streaks.begin_trial();
            assert_eq!(streaks.now(), Streak::default());
            assert_eq!(observed(&streaks, outcomes), notices, "{outcomes}");
            assert_eq!(streaks.trial(), Some(expected), "{outcomes}");
            streaks.end_trial();
            assert_eq!(streaks.trial(), None);
        };
        check("", "", Trial::Runs);
        check("uu", "..", Trial::Runs);
        check("usf", ".!.", Trial::Passed);
        check("o", "!", Trial::Passed);
        check("fss", "!..", Trial::Failed);
        check("g", "!", Trial::Failed);
        check("aa", "..", Trial::Runs);
        check("aaa", "..!", Trial::Failed);
        check("auas", "...!", Trial::Passed);
    }

    #[test]
    fn a_streak_has_an_end() {
        let streaks = Streaks::new();
        streaks.set_bounds(Streak { errors: 5, ..Streak::default() });
        for _ in 0..70_000 {
            observed(&streaks, "f");
        }
        assert_eq!(streaks.now(), Streak { errors: 65_535, gateway: 0, silent: 65_535 });
        assert_eq!(streaks.trial(), None, "one count never reaches into the next");
        assert!(streaks.now().reaches(&Streak { silent: 9, ..Streak::default() }));
        assert!(!streaks.now().reaches(&Streak { gateway: 1, ..Streak::default() }));
    }
}
