//! What comes between the head of a response and its way to the client: it may be held until
//! another try can replace it, and is thrown away then. Whether one does is decided elsewhere.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http1::Framing;
use tokio::time::{self, Sleep};

use crate::error::Error;
use crate::exchange::{Exchange, Sent, State};
use crate::retry::verdict::Verdict;
use crate::stream::Stream;

/// A response that waits for the budget of retries: its head is in the link's buffer, and the
/// client has got nothing of it.
pub(crate) struct Held {
    since: Instant,
    answered_at: Option<Instant>,
    /// Until the budget is asked again.
    look: Pin<Box<Sleep>>,
}

impl<C: Stream> Exchange<'_, C> {
    /// What follows the whole head of a final response.
    pub(super) fn poll_judged(
        &mut self,
        cx: &mut Context<'_>,
        sent: Sent,
    ) -> Poll<Result<State, Error>> {
        let answered_at = match &self.held {
            Some(held) => held.answered_at,
            None => self.timing.answered(self.head, self.link.input.unread()),
        };
        if self.head.status() == 101 {
            return Poll::Ready(self.begin_tunnel(answered_at));
        }
        if !self.service.retry.on.statuses.is_empty() {
            let verdict = ready!(self.poll_verdict(cx, answered_at));
            self.held = None;
            if verdict == Verdict::Refuse {
                return Poll::Ready(Ok(self.refuse()));
            }
        }
        Poll::Ready(self.begin_response(sent, answered_at))
    }

    /// Whether another try replaces the response, once it is known: for a while, the response waits
    /// for the budget.
    fn poll_verdict(
        &mut self,
        cx: &mut Context<'_>,
        answered_at: Option<Instant>,
    ) -> Poll<Verdict> {
        loop {
            let verdict = match &mut self.held {
                None => self.attempt.judge(self.head, &self.link.input, self.client_in),
                Some(held) => {
                    ready!(held.look.as_mut().poll(cx));
                    self.attempt.judge_again(self.head, self.client_in)
                }
            };
            if verdict != Verdict::Wait {
                return Poll::Ready(verdict);
            }
            let (pause, time_max) = self.attempt.waits();
            let since = self.held.as_ref().map_or_else(Instant::now, |held| held.since);
            if since.elapsed() >= time_max {
                self.attempt.deny();
                return Poll::Ready(Verdict::Pass);
            }
            // The instance has answered: a second copy has lost.
            self.hedge = None;
            let look = Box::pin(time::sleep(pause));
            self.held = Some(Box::new(Held { since, answered_at, look }));
        }
    }

    /// Throws a response away. If all of it is there, the link is as good as before.
    pub(super) fn refuse(&mut self) -> State {
        let body_bytes = match self.head.framing(self.asked.method) {
            Framing::None => Some(0),
            Framing::Length(bytes) => usize::try_from(bytes).ok(),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let all_bytes = body_bytes.and_then(|bytes| self.head.len().checked_add(bytes));
        let is_there = all_bytes.is_some_and(|bytes| bytes <= self.link.input.unread().len());
        self.link.input.consume(all_bytes.unwrap_or(0));
        State::Refused { keeps_link: is_there && self.head.allows_keep_alive() }
    }
}
