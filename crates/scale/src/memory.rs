//! What an autoscaler remembers from one decision to the next, apart from samples.
//! Nothing of it is needed to go on: it can be made anew from what runs.

use model::{Autoscale, ScalePolicy, Time};

use crate::decision::Decision;
use crate::{hpa, kpa, step, target};

/// The memory of one service's autoscaler. It belongs to one policy: another policy begins anew.
#[derive(Clone, Debug)]
pub struct Memory {
    /// What the last decision desired.
    pub(crate) desired: u32,
    /// When there was last a request, a tunnel or somebody who waited.
    pub(crate) busy_at: Time,
    /// What a policy that does not decide each second proposed last: it holds until the next time.
    pub(crate) said: Option<Decision>,
    /// When there was last a decision, and from how many, until it is known what became of it.
    pub(crate) decided: Option<(Time, u32)>,
    pub(crate) of_policy: OfPolicy,
}

/// What one kind of policy remembers.
#[derive(Clone, Debug)]
pub(crate) enum OfPolicy {
    Fixed,
    Target(target::Memory),
    Hpa(hpa::Memory),
    Kpa(kpa::Memory),
    Step(step::Memory),
}

impl Memory {
    /// That of an autoscaler that begins at `now`, with so many instances desired or, after a
    /// restart, running: it takes none of them away before it has seen as much as its policy looks
    /// back on.
    pub fn new(autoscale: &Autoscale, desired: u32, now: Time) -> Self {
        let of_policy = match &autoscale.policy {
            ScalePolicy::Fixed => OfPolicy::Fixed,
            ScalePolicy::Target(_) => OfPolicy::Target(target::Memory::new(desired, now)),
            ScalePolicy::Hpa(_) => OfPolicy::Hpa(hpa::Memory::new(desired, now)),
            ScalePolicy::Kpa(_) => OfPolicy::Kpa(kpa::Memory::new(desired, now)),
            ScalePolicy::Step(_) => OfPolicy::Step(step::Memory::new(now)),
        };
        Self { desired, busy_at: now, said: None, decided: None, of_policy }
    }

    /// How many are desired, as decided last.
    pub fn desired(&self) -> u32 {
        self.desired
    }

    /// Takes a number that somebody else has decided, such as an operator; it stays until the
    /// policy's next turn.
    pub fn set(&mut self, desired: u32) {
        self.settle();
        self.desired = desired;
        self.said = None;
    }

    /// The last decision was not obeyed, and there are still so many. A policy that does not decide
    /// each second says the same as before until its next turn.
    pub fn was_unheeded(&mut self, desired: u32) {
        self.desired = desired;
    }

    /// Tells the policy what became of its last proposal: bounds changed it, or it was not obeyed.
    pub(crate) fn settle(&mut self) {
        if let Some((at, was)) = self.decided.take() {
            self.of_policy.settle(at, was, self.desired);
        }
    }
}

impl OfPolicy {
    fn settle(&mut self, now: Time, was: u32, desired: u32) {
        match self {
            OfPolicy::Hpa(memory) => memory.settle(now, was, desired),
            OfPolicy::Step(memory) => memory.settle(now, was, desired),
            OfPolicy::Fixed | OfPolicy::Target(_) | OfPolicy::Kpa(_) => {}
        }
    }
}
