//! Whom an exchange waits for, and how long it does: which of the timeouts applies now.
//! It reads the connection's one deadline and sets it; it moves no bytes.

use std::task::{Context, Poll};

use model::{HttpPolicy, ListenerLimits};

use crate::error::Error;
use crate::timers::Deadline;

/// Whom the exchange waits for, and hence which timeout applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
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

/// The timeouts of one exchange, and who was waited for last.
pub(crate) struct Patience<'a> {
    deadline: &'a Deadline,
    limits: &'a ListenerLimits,
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

    /// Ready with the error of the party that took too long. Bytes that move put the deadline off,
    /// but not while a response head is awaited: that time is for all of it.
    pub(super) fn judge(&mut self, cx: &Context<'_>, now: Party) -> Poll<Error> {
        let (timeout, error) = match now {
            Party::ClientBody => (self.limits.timeout_body, Error::SlowBody),
            Party::InstanceTakes => (self.policy.timeout_body, Error::ResponseTimeout),
            Party::InstanceHead => (self.policy.timeout_response, Error::ResponseTimeout),
            Party::InstanceBody => (self.policy.timeout_body, Error::BodyTimeout),
            Party::ClientTakes => (self.limits.timeout_idle, Error::SlowClient),
        };
        let is_new = self.party.replace(now) != Some(now);
        if !is_new && self.deadline.has_passed(cx) {
            return Poll::Ready(error);
        }
        if is_new || now != Party::InstanceHead {
            self.deadline.set(timeout);
        }
        if self.deadline.has_passed(cx) { Poll::Ready(error) } else { Poll::Pending }
    }
}
