//! What a decision may know, besides the policy and its memory of earlier ones.
//! It holds no history of its own but the window of samples.

use std::time::Duration;

use model::{Phase, Time};

use crate::window::Window;

/// What is seen at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Now.
    pub now: Time,
    /// The last seconds. The newest sample may be older than a second: then data is missing.
    pub window: &'a Window,
    /// Every instance that is not gone.
    pub members: &'a [Member],
    /// What 9 of 10 starts took less than, from the order to ready. None: none was seen.
    pub start_up: Option<Duration>,
    /// Instances are being replaced by newer ones, so there may be one more than desired.
    pub is_rolling_out: bool,
    /// Starts fail again and again: what is not ready will not be soon.
    pub is_failing_to_start: bool,
    /// The bounds that are not the policy's.
    pub bounds: Bounds,
}

/// One instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// Where it is in its life; never gone.
    pub phase: Phase,
    /// When it was ordered.
    pub ordered_at: Time,
    /// When it came into its phase.
    pub since: Time,
    /// Requests in flight at it.
    pub in_flight: u32,
    /// What it uses of the processor, of what it may use; 1 for all of it. None: not known.
    pub cpu: Option<f64>,
    /// What it uses of memory, likewise.
    pub memory: Option<f64>,
}

/// Bounds from outside of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Never fewer, unless the service may sleep.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// How many the machine carries, of this service. None: not known.
    pub room: Option<u32>,
    /// Its fair part of the machine, while services together want more than there is. None: there
    /// is enough for all.
    pub share: Option<u32>,
    /// At least so many, because the calendar says so.
    pub calendar: u32,
    /// At least so many, because a forecast says so.
    pub forecast: u32,
}

impl Look<'_> {
    /// How many are in the phase.
    pub fn count(&self, phase: Phase) -> u32 {
        let count = self.members.iter().filter(|member| member.phase == phase).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether there is no sample of the last seconds.
    pub fn is_blind(&self) -> bool {
        self.window.last(self.now, BLIND_AFTER).next().is_none()
    }
}

/// A sample may come late; three in a row do not.
pub(crate) const BLIND_AFTER: Duration = Duration::from_secs(3);
