//! The largest or the smallest of the numbers of a window of time, without looking at all of them.
//! It does not say when that was, and what no later number can lead to is forgotten at once.

use std::collections::VecDeque;
use std::time::Duration;

use model::Time;

/// Of so many numbers that no later one has reached, the oldest is forgotten: an hour of seconds,
/// each with a number of its own.
const NUMBERS_MAX: usize = 3600;

/// Which one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Largest,
    Smallest,
}

/// The numbers of a window that may still be its extreme, the oldest and most extreme first.
#[derive(Clone, Debug)]
pub(crate) struct Extreme {
    keep: Keep,
    numbers: VecDeque<(Time, u32)>,
}

impl Extreme {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, numbers: VecDeque::new() }
    }

    /// Takes the newest number, forgets those that are at least as old as the window is long, and
    /// says the extreme of the rest, to which the newest always belongs.
    pub(crate) fn push(&mut self, at: Time, number: u32, window: Duration) -> u32 {
        while self.numbers.back().is_some_and(|&(_, earlier)| self.is_reached(earlier, number)) {
            self.numbers.pop_back();
        }
        self.numbers.push_back((at, number));
        let is_old = |oldest: Time| at.since(oldest) >= window;
        while self.numbers.len() > 1
            && (self.numbers.len() > NUMBERS_MAX || is_old(self.numbers[0].0))
        {
            self.numbers.pop_front();
        }
        self.numbers[0].1
    }

    fn is_reached(&self, earlier: u32, number: u32) -> bool {
        match self.keep {
            Keep::Largest => earlier <= number,
            Keep::Smallest => earlier >= number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_search_of_the_window_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        for window in [0, 1, 3, 10] {
            for keep in [Keep::Largest, Keep::Smallest] {
                let mut extreme = Extreme::new(keep);
                let mut all: Vec<(u64, u32)> = Vec::new();
                for s in 0..200_u64 {
                    all.push((s, rng.u32(0..20)));
                    let recent = all.iter().filter(|(at, _)| s - at < window.max(1));
                    let recent = recent.map(|&(_, number)| number);
                    let expected = match keep {
                        Keep::Largest => recent.max(),
                        Keep::Smallest => recent.min(),
                    };
                    let at = Time::from_ms(s * 1000);
                    let number = all.last().unwrap().1;
                    let said = extreme.push(at, number, Duration::from_secs(window));
                    assert_eq!(Some(said), expected, "window {window}, {keep:?}, second {s}");
                }
            }
        }
    }

    #[test]
    fn keeps_no_more_than_its_bound() {
        let mut extreme = Extreme::new(Keep::Largest);
        for s in 0..10_000_u32 {
            let at = Time::from_ms(u64::from(s) * 1000);
            extreme.push(at, 10_000 - s, Duration::MAX);
        }
        assert_eq!(extreme.numbers.len(), NUMBERS_MAX);
    }
}
