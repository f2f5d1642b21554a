//! Whom an exchange waits for, and how long it does: which of the timeouts applies now.
//! It reads the connection's one deadline and sets it; it moves no bytes.

use std::task::{Context, Poll};

use model::{HttpPolicy, ListenerLimits};

use crate::error::Error;
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
}

/// What becomes of a party that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// Herder asks the client for its body instead of the instance.
    Ask,
    /// The exchange fails.
    Fail(Error),
}

/// The timeouts of one exchange, and who was waited for last.
pub(crate) struct Patience<'a> {
    deadline: &'a Deadline,
    pub(super) limits: &'a ListenerLimits,
    policy: &'a HttpPolicy,
    party: Option<Party>,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(
        deadline: &'a Deadline,
        limits: &'a ListenerLimits,
        policy: &'a HttpPolicy,
    ) -> Self {
        Self { deadline, limits, policy, party: None }
    }

    /// Ready when a party took too long. Bytes that move put the deadline off, but not while an
    /// answer of the instance is awaited: that time is for all of it.
    pub(super) fn judge(&mut self, cx: &Context<'_>, now: Party) -> Poll<Late> {
        let (timeout, late) = match now {
            Party::InstanceAsks => (self.policy.timeout_continue, Late::Ask),
            Party::ClientBody => (self.limits.timeout_body, Late::Fail(Error::SlowBody)),
            Party::InstanceTakes => (self.policy.timeout_body, Late::Fail(Error::ResponseTimeout)),
            Party::InstanceHead => {
                (self.policy.timeout_response, Late::Fail(Error::ResponseTimeout))
            }
            Party::InstanceBody => (self.policy.timeout_body, Late::Fail(Error::BodyTimeout)),
            Party::ClientTakes => (self.limits.timeout_idle, Late::Fail(Error::SlowClient)),
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
            (Late::Ask, why) => Late::Fail(Error::RequestTimeout.or_greater(why)),
        }
    }
}
