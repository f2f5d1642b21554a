//! The replacement of all instances of a service: when one begins, is held, and has ended.
//! Which instance makes room for which is decided in `plan`.

use model::Time;

use crate::Kind;
use crate::journal::{Journal, count, span};
use crate::state::backoff::Backoff;
use crate::state::instance::Instance;
use crate::state::service::ServiceState;

/// A replacement that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    /// Why, such as `restart shop` or `command changed`.
    pub(crate) reason: String,
    began: Time,
    /// How many instances there were to replace.
    outdated: usize,
}

impl ServiceState {
    /// What is started from now on is of a new generation, and replaces what is there.
    ///
    /// Earlier failures are forgotten: whoever changes or restarts a service wants to see it tried
    /// now, not after a back-off that the old one earned.
    pub(crate) fn begin_generation(&mut self, now: Time, reason: String, journal: &mut Journal) {
        self.generation += 1;
        self.backoff = Backoff::default();
        let outdated = self.staying().count();
        self.rollout = None;
        if outdated > 0 {
            let name = &self.policy.name;
            let text = format!("{name}: replacing {} ({reason})", count(outdated, "instance"));
            journal.service(now, Kind::Rollout, name, text);
            self.rollout = Some(Rollout { reason, began: now, outdated });
        }
    }

    /// Ready instances of the present generation.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &Instance> {
        self.ready().filter(|instance| instance.generation == self.generation)
    }

    /// Instances of older generations that have not been told to go.
    pub(crate) fn unreplaced(&self) -> impl Iterator<Item = &Instance> {
        self.staying().filter(|instance| instance.generation < self.generation)
    }

    /// Ends the rollout once nothing is left to replace and as many as desired are ready.
    pub(crate) fn end_rollout(&mut self, now: Time, journal: &mut Journal) {
        let (target, replaced) = (self.target(), self.replaced().count());
        let Some(rollout) = &self.rollout else { return };
        let name = &self.policy.name;
        if target == 0 {
            self.rollout = None;
        } else if replaced >= target && self.unreplaced().next().is_none() {
            let (replaced, took) = (count(rollout.outdated, "instance"), now.since(rollout.began));
            let text = format!("{name}: {replaced} replaced in {}", span(took));
            journal.service(now, Kind::Rollout, name, text);
            self.rollout = None;
        }
    }

    /// Says that a rollout waits because the new generation fails, if that is so.
    pub(crate) fn hold_rollout(&self, now: Time, why: &str, journal: &mut Journal) {
        let older = self.unreplaced().count();
        if self.rollout.is_some() && older > 0 {
            let name = &self.policy.name;
            let older = count(older, "older instance");
            let text = format!("{name}: rollout held, {older} left in place: {why}");
            journal.service(now, Kind::Rollout, name, text);
        }
    }
}
