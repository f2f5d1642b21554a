//! Whether what an instance makes of a request is given up for another try, which has all it needs
//! then. It begins no try and answers no client: `again` takes what is reserved here.

use std::time::Duration;

use balance::budget::{self, NoBudget};
use http1::ResponseHead;
use telemetry::RetryReason;

use crate::buffer::Buffer;
use crate::forward::Attempt;
use crate::retry::pause::Said;
use crate::retry::{Next, choose, has_other, traffic, until_look};
use crate::timing::retry_after;

/// What becomes of a response of which the client has got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the answer.
    Pass,
    /// It is thrown away: another try has its place.
    Refuse,
    /// Another try may have its place soon: too many are under way now.
    Wait,
}

impl Attempt<'_> {
    /// What becomes of a response whose whole head is there.
    pub(crate) fn judge(
        &self,
        head: &ResponseHead,
        link_in: &Buffer,
        client_in: &Buffer,
    ) -> Verdict {
        if !self.place.pool().service.retry.on.statuses.contains(&head.status()) {
            return Verdict::Pass;
        }
        if said(head) == Said::Busy
            && let Some(rest) = retry_after(head, link_in.unread())
        {
            // The response may be the one of a hedge, which another endpoint gave.
            let winner = self.tries.winner();
            let by = winner.as_ref().unwrap_or(self.begun).endpoint();
            by.rest_until(self.worker.now() + rest);
        }
        self.tries.free();
        self.judge_again(head, client_in)
    }

    /// The same of a response that waits.
    pub(crate) fn judge_again(&self, head: &ResponseHead, client_in: &Buffer) -> Verdict {
        match self.reserves((RetryReason::Status, said(head)), client_in) {
            Ok(true) => Verdict::Refuse,
            Ok(false) => Verdict::Pass,
            Err(NoBudget::Busy) => Verdict::Wait,
            Err(NoBudget::Spent) => {
                self.deny();
                Verdict::Pass
            }
        }
    }

    /// Whether a try that takes long is given up, because another one can begin.
    pub(crate) fn gives_up(&self, client_in: &Buffer) -> bool {
        self.place.pool().service.retry.on.timeout
            && self.reserves((RetryReason::Timeout, Said::Nothing), client_in).unwrap_or_else(
                |_| {
                    self.deny();
                    false
                },
            )
    }

    /// Counts that there is no other try for want of a budget.
    pub(crate) fn deny(&self) {
        self.place.series().worker(self.worker.number).deny_retry();
    }

    /// How long a response waits before it is judged again, and for how long in all.
    pub(crate) fn waits(&self) -> (Duration, Duration) {
        (until_look(self.worker), self.place.pool().service.retry.backoff_max)
    }

    /// Gets the next try all it needs. Whether it could: not if there is no other endpoint, or the
    /// request may not be repeated.
    ///
    /// # Errors
    /// [`NoBudget`], if that is all that is missing.
    fn reserves(&self, why: (RetryReason, Said), client_in: &Buffer) -> Result<bool, NoBudget> {
        let Self { worker, place, tries, .. } = self;
        let is_whole = !tries.has_body || client_in.keeps();
        if tries.left == 0 || !tries.is_repeatable || !is_whole {
            return Ok(false);
        }
        let won = tries.winner().as_ref().map(|winner| winner.endpoint().key);
        let at_hand = [self.begun.endpoint().key];
        let tried: Vec<u64> = tries.tried.iter().copied().chain(at_hand).chain(won).collect();
        if !has_other(place, &tried) {
            return Ok(false);
        }
        let (budget, live) = (place.pool().service.retry.budget, &place.pool().live);
        budget::fits(budget, live, traffic(worker, place))?;
        let Some((begun, rest)) = choose(worker, place, tries.wish, &tried) else {
            return Ok(false);
        };
        let retrying = budget::begin(budget, live, traffic(worker, place))?;
        let next = Next { begun, retrying, reason: why.0, said: why.1, rest };
        tries.next.set(Some(Box::new(next)));
        Ok(true)
    }
}

fn said(head: &ResponseHead) -> Said {
    if matches!(head.status(), 429 | 503) { Said::Busy } else { Said::Nothing }
}
