//! What comes at a made-up service, second by second, and what goes wrong meanwhile.
//! It knows nothing of instances but how many of them the demand is worth.

use model::Time;

use crate::simulate::{AIM_PER_S, MAX, MIN, SERVICE_TIME, whole};

/// What comes, and what happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// One word for it.
    pub name: String,
    /// When its first second is, for what goes by the clock.
    pub begins: Time,
    /// Second by second; at least one.
    pub seconds: Vec<Second>,
    /// How the requests of a second are drawn.
    pub arrivals: Arrivals,
    /// The spread of service times: the standard deviation of their logarithm.
    pub sigma: f64,
    /// What goes wrong, and when.
    pub troubles: Vec<Trouble>,
}

/// One second of demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Second {
    /// Requests that are to be expected in it.
    pub arrivals: f64,
    /// What an instance needs for one of them on average, in seconds.
    pub service_s: f64,
}

/// How the requests of a second are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// By chance, each on its own, as from many clients.
    Poisson,
    /// Just so many, at random moments of the second: they were counted.
    Counted,
}

/// Something that goes wrong, in seconds since the beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// What all instances call gets slow: together they finish so many requests a second at most.
    Brownout {
        /// The first second of it.
        from_s: usize,
        /// The first second after it.
        until_s: usize,
        /// Requests per second, of all instances together.
        per_s: f64,
    },
    /// What instances call makes them wait, each for itself: more of them answer more.
    SlowCalls {
        /// The first second of it.
        from_s: usize,
        /// The first second after it.
        until_s: usize,
        /// The part of a request's time in which it is worked on.
        worked: f64,
    },
    /// A part of the ready instances dies, with what they were at.
    Crash {
        /// When.
        at_s: usize,
        /// How many of 100.
        percent: u32,
    },
    /// Nothing is measured.
    Blackout {
        /// The first second of it.
        from_s: usize,
        /// The first second after it.
        until_s: usize,
    },
    /// All instances are replaced by newer ones, one after the other, starting first.
    Deploy {
        /// When it begins.
        at_s: usize,
    },
}

impl Load {
    /// One second of it; before and after it things are as they are at its ends.
    pub(super) fn second(&self, at_s: usize) -> Second {
        let last = self.seconds.len().saturating_sub(1);
        let nothing = Second { arrivals: 0.0, service_s: SERVICE_TIME.as_secs_f64() };
        self.seconds.get(at_s.min(last)).copied().unwrap_or(nothing)
    }

    /// The demand in instances that are used as far as they are meant to be, not rounded.
    pub fn demand(&self, at_s: usize) -> f64 {
        let second = self.second(at_s);
        second.arrivals * second.service_s / (AIM_PER_S * SERVICE_TIME.as_secs_f64())
    }

    /// What somebody would have who knows the demand of each second and starts in no time.
    pub fn oracle(&self, at_s: usize) -> u32 {
        whole((self.demand(at_s) - 1e-9).ceil()).clamp(MIN, MAX)
    }

    /// The most that [`Load::oracle`] ever is.
    pub fn peak(&self) -> u32 {
        (0..self.seconds.len()).map(|at_s| self.oracle(at_s)).max().unwrap_or(MIN)
    }

    /// Whether nothing is measured in a second.
    pub(super) fn is_blind(&self, at_s: usize) -> bool {
        self.troubles.iter().any(|trouble| match trouble {
            Trouble::Blackout { from_s, until_s } => (*from_s..*until_s).contains(&at_s),
            _ => false,
        })
    }
}
