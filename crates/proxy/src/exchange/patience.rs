//! Whom an exchange waits for, and how long it does: which of the timeouts applies now.
//! It reads the connection's one deadline and sets it; it moves no bytes.

use std::task::{Context, Poll};
use std::time::Duration;

use model::{HttpPolicy, ListenerLimits, Service};

use crate::error::Error;
use crate::exchange::{Exchange, Sent, State};
use crate::pump::Waits;
use crate::stream::Stream;
use crate::timers::{Deadline, Why};

/// Whom the exchange waits for, and hence which timeout applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// The instance, to ask the client for its body: the client waits for that.
    InstanceAsks,
    /// The client, to send more of its body.
    ClientBody,
    /// The instance, to take more of the request.
    InstanceTakes,
    /// The instance, to begin its response.
    InstanceHead,
    /// The instance, to send more of its response.
    InstanceBody,
    /// The client, to take more of the response.
    ClientTakes,
    /// The retries of others, to end: a response is held for as long as `Held` says.
    Retries,
}

/// What becomes of a party that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// Herder asks the client for its body instead of the instance.
    Ask,
    /// The instance does not answer in the time of one try.
    Try,
    /// The exchange fails.
    Fail(Error),
}

/// The timeouts of one exchange, and who was waited for last.
pub(crate) struct Patience<'a> {
    deadline: &'a Deadline,
    pub(super) limits: &'a ListenerLimits,
    policy: &'a HttpPolicy,
    /// The time of one try, as long as it counts.
    timeout_try: Option<Duration>,
    /// For how long the head of a response was waited for, as far as a try was late.
    waited: Duration,
    party: Option<Party>,
}

/// How long a late try goes on, when no other one can begin, until that is asked again. Many
/// requests to one frozen instance are late in the same moment, and the budget lets a few of them
/// go at once.
const ASK_AGAIN: Duration = Duration::from_millis(250);

impl<'a> Patience<'a> {
    pub(crate) fn new(
        deadline: &'a Deadline,
        limits: &'a ListenerLimits,
        service: &'a Service,
    ) -> Self {
        let (policy, timeout_try) = (&service.http, service.retry.timeout_try);
        Self { deadline, limits, policy, timeout_try, waited: Duration::ZERO, party: None }
    }

    /// No other try can begin now: the one at hand goes on for a while, and at last for as long as
    /// a response may take.
    pub(super) fn wait_longer(&mut self) {
        let is_first = self.waited.is_zero();
        self.waited += if is_first { self.timeout_try.unwrap_or_default() } else { ASK_AGAIN };
        let left = self.policy.timeout_response.saturating_sub(self.waited);
        if left <= ASK_AGAIN {
            self.timeout_try = None;
        }
        self.deadline.set(left.min(ASK_AGAIN));
    }

    /// Ready when a party took too long. Bytes that move put the deadline off, but not while an
    /// answer of the instance is awaited: that time is for all of it.
    pub(super) fn judge(&mut self, cx: &Context<'_>, now: Party) -> Poll<Late> {
        let (timeout, late) = match now {
            Party::InstanceAsks => (self.policy.timeout_continue, Late::Ask),
            Party::ClientBody => (self.limits.timeout_body, Late::Fail(Error::SlowBody)),
            Party::InstanceTakes => (self.policy.timeout_body, Late::Fail(Error::ResponseTimeout)),
            Party::InstanceHead => match self.timeout_try {
                Some(timeout) if timeout < self.policy.timeout_response => (timeout, Late::Try),
                _ => (self.policy.timeout_response, Late::Fail(Error::ResponseTimeout)),
            },
            Party::InstanceBody => (self.policy.timeout_body, Late::Fail(Error::BodyTimeout)),
            Party::ClientTakes => (self.limits.timeout_idle, Late::Fail(Error::SlowClient)),
            // It ends by itself. It passes only for a greater reason.
            Party::Retries => (Duration::MAX, Late::Fail(Error::RequestTimeout)),
        };
        let is_new = self.party.replace(now) != Some(now);
        if !is_new && self.deadline.has_passed(cx) {
            return Poll::Ready(self.greatest(late));
        }
        if timeout.is_zero() && late == Late::Ask {
            return Poll::Ready(late);
        }
        if is_new || !matches!(now, Party::InstanceHead | Party::InstanceAsks) {
            self.deadline.set(timeout);
        }
        match self.deadline.has_passed(cx) {
            true => Poll::Ready(self.greatest(late)),
            false => Poll::Pending,
        }
    }

    fn greatest(&self, late: Late) -> Late {
        match (late, self.deadline.why()) {
            (_, Why::Own) => late,
            (Late::Fail(error), why) => Late::Fail(error.or_greater(why)),
            (Late::Ask | Late::Try, why) => Late::Fail(Error::RequestTimeout.or_greater(why)),
        }
    }
}

impl<C: Stream> Exchange<'_, C> {
    /// Whom it waits for now.
    pub(super) fn party(&self, state: State, sent: Sent) -> Party {
        match (state, sent) {
            (State::Body { .. }, _) if self.down.waits == Waits::Write => Party::ClientTakes,
            (State::Body { .. } | State::Refused { .. }, _) => Party::InstanceBody,
            (State::Head, _) if self.held.is_some() => Party::Retries,
            (State::Head, Sent::Partly) if self.up.waits == Waits::Read => {
                match self.awaits_ask() {
                    true => Party::InstanceAsks,
                    false => Party::ClientBody,
                }
            }
            (State::Head, Sent::Partly) => Party::InstanceTakes,
            (State::Head, Sent::All | Sent::Stuck) => Party::InstanceHead,
        }
    }
}
