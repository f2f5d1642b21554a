//! What a failed instance means for its service: which failures escalate, when they are forgotten.
//! How long a hold is, is `backoff`'s to know.

use std::time::Duration;

use model::Time;

use crate::Kind;
use crate::journal::{Journal, count, span};
use crate::state::backoff::{Backoff, Failure};
use crate::state::instance::Instance;
use crate::state::service::ServiceState;

/// An instance that was first ready this long ago has shown that its service can run.
const STEADY: Duration = Duration::from_secs(10);

/// Of the last lines of an instance, so many, cut to so many characters, go into the journal.
/// The view shows them all.
const LINES_SHOWN_MAX: usize = 5;
const LINE_CHARS_MAX: usize = 160;

impl ServiceState {
    /// Holds back the next starts because an instance failed, and says so.
    pub(crate) fn fail(
        &mut self,
        now: Time,
        failure: Failure,
        journal: &mut Journal,
        rng: &mut fastrand::Rng,
    ) {
        let why = failure.reason.clone();
        let restart = &self.policy.restart;
        let Some(hold) = self.backoff.record(now, failure, restart, rng) else {
            return;
        };
        let (name, hold) = (&self.policy.name, span(hold));
        let failures = count(self.backoff.failures() as usize, "failure");
        let text = if self.backoff.is_crash_loop(restart) {
            let lines = shown(&self.backoff.last_lines);
            format!("{name} is in a crash loop: {failures}, next start in {hold}; {why}; {lines}")
        } else {
            format!("{name}: next start in {hold} after {failures}; {why}")
        };
        journal.service(now, Kind::Backoff, name, text);
        self.hold_rollout(now, &why, journal);
    }

    /// Whether the failure of an instance, which is not among the others any more, says nothing
    /// against the next start, so that the hold does not double.
    ///
    /// It is excused when it had been ready and, besides, either that was `STEADY` ago or another
    /// one of its generation is ready now: the service works, and this one was hit. So a herd whose
    /// members are killed one per second gets each replacement after the first back-off. A service
    /// that always ends soon after it was ready takes all its instances down; the last of them is
    /// not excused, the next attempt starts with all of them at once, and so the hold doubles with
    /// every attempt. The price: one instance that keeps failing after it was ready, beside others
    /// that stay ready, is retried at the first back-off for as long as that goes on.
    pub(crate) fn excuses(&self, instance: &Instance, now: Time) -> bool {
        let others = || self.ready().any(|other| other.generation == instance.generation);
        let first_ready = instance.boot.map(|boot| instance.ordered_at + boot);
        first_ready.is_some_and(|at| now.since(at) >= STEADY || others())
    }

    /// When the failures are to be forgotten if nothing happens until then: once the service has
    /// been whole for long enough after the hold. Nothing while it is not whole.
    pub(crate) fn forgiven_at(&self) -> Option<Time> {
        if !self.backoff.remembers() || !self.is_whole() {
            return None;
        }
        let whole_since = self.ready().map(Instance::since).max()?.max(self.backoff.until());
        Some(whole_since + self.policy.restart.forgive_after)
    }

    /// Does what is due with the time alone.
    pub(crate) fn pass(&mut self, now: Time, journal: &mut Journal) {
        if self.forgiven_at().is_some_and(|at| now >= at) {
            let name = &self.policy.name;
            let failures = count(self.backoff.failures() as usize, "failure");
            let after = span(self.policy.restart.forgive_after);
            let text = format!("{name}: {failures} forgotten, all instances ready for {after}");
            journal.service(now, Kind::Backoff, name, text);
            self.backoff = Backoff::default();
        }
        for instance in self.instances.values_mut() {
            if instance.misses_boot(now) {
                instance.boot_missed = true;
                let timeout = span(instance.boot_deadline.since(instance.ordered_at));
                let (id, trouble) = (&instance.id, instance.boot_trouble());
                let text = format!("{id} is not ready after {timeout}; {trouble}");
                journal.instance(now, Kind::Failure, id, text);
            }
        }
    }
}

/// The last lines of an instance on one line.
fn shown(lines: &[String]) -> String {
    if lines.is_empty() {
        return "it wrote nothing".to_owned();
    }
    let from = lines.len().saturating_sub(LINES_SHOWN_MAX);
    let cut =
        |line: &String| format!("`{}`", line.chars().take(LINE_CHARS_MAX).collect::<String>());
    let lines: Vec<String> = lines[from..].iter().map(cut).collect();
    format!("its last lines: {}", lines.join(" "))
}
