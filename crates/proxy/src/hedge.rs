//! A second copy of a request whose response is late, sent to another endpoint beside the first.
//! It never touches the client: whoever answers first is read by the one exchange there is.
//!
//! The race is only for the head of the response. The exchange with the first endpoint goes on as
//! it is, and polls beside it one boxed future that owns all the second copy needs: a copy of the
//! bytes that were sent, a connection of its own, and its guard at the endpoint. When a whole head
//! is there, that connection takes the place of the first one in the exchange, which then reads the
//! same head again from its buffer and goes on as if it had never been elsewhere. So no two
//! exchanges ever share a client, and without hedging an exchange is larger by one empty option.
//!
//! The loser is cancelled by dropping it: its connection is closed and its guard is dropped. If it
//! is the first, it is known to take at least as long as it took the other to overtake it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use balance::{budget, quantile};
use http1::{Framing, Progress, ResponseHead};
use model::{HedgeAfter, InFlight, Outcome, ProxyProtocolOut, RetryMethods};
use tokio::io::AsyncWriteExt;

use crate::client::Client;
use crate::connect::{connect_error, open};
use crate::error::{Blame, Error};
use crate::exchange::{Exchange, RESPONSE_LIMITS};
use crate::forward::Attempt;
use crate::idle::{ANYBODY, Link, Parking};
use crate::retry::traffic;

/// The second copy on its way.
pub(crate) type Racing<'a> = Pin<Box<dyn Future<Output = Option<Won>> + 'a>>;

/// A second copy that was answered before the first.
pub(crate) struct Won {
    begun: InFlight,
    /// Its buffer begins with the whole head of the response.
    link: Link,
}

impl Attempt<'_> {
    /// The race of a request of which `sent` is what the instance gets, if it may have a second
    /// copy: it changes nothing, has no body, and does not depend on who answers it.
    pub(crate) fn hedge<'a, C>(&'a self, client: &Client<C>, sent: &[u8]) -> Option<Racing<'a>> {
        let pool = self.place.pool();
        let hedge = pool.service.hedge?;
        let after = match hedge.after {
            HedgeAfter::P95 => quantile::p95(&pool.live)?,
            HedgeAfter::Time(after) => after,
        };
        let head = &client.head;
        let may_be_copied = head.framing() == Framing::None
            && RetryMethods::Safe.contain(head.method(), b"")
            && !head.authority().is_empty()
            && !self.asked.upgrade
            && pool.service.proxy_protocol == ProxyProtocolOut::Off
            && self.tries.tried.is_empty();
        may_be_copied.then(|| -> Racing<'a> { Box::pin(self.race(sent.to_vec(), after)) })
    }

    /// Waits, sends the copy, and waits for the head of its response. None if there is no use.
    async fn race(&self, sent: Vec<u8>, after: Duration) -> Option<Won> {
        tokio::time::sleep(after).await;
        let Self { worker, place, .. } = self;
        let pool = place.pool();
        let percent = pool.service.hedge?.budget_percent;
        let begun = worker.pick(pool, self.tries.wish, &[self.begun.endpoint().key])?;
        if !budget::hedge(percent, &pool.live, traffic(worker, place)) {
            return None;
        }
        place.series().worker(worker.number).hedge();
        match self.ask(&begun, &sent).await {
            Ok((link, status)) if status < 500 && status != 429 => Some(Won { begun, link }),
            Ok((_, status)) => {
                worker.observe(&begun, Outcome::of(status, None, None));
                None
            }
            Err(outcome) => {
                worker.observe(&begun, outcome);
                None
            }
        }
    }

    /// The connection on which a whole head has come back, and its status.
    ///
    /// # Errors
    /// What the failure says of the instance: nothing if Herder could not connect for a reason of
    /// its own, or if the connection had gone stale while it was parked.
    async fn ask(&self, begun: &InFlight, sent: &[u8]) -> Result<(Link, u16), Outcome> {
        let worker = self.worker;
        let endpoint = begun.endpoint();
        let parked = worker.idle.take(endpoint, Parking::Any, ANYBODY, worker.now_ms());
        let mut link = match parked {
            Some(link) => link,
            None => {
                let opened = open(worker, self.place, begun, &worker.timers.deadline()).await;
                opened.map_err(|cause| said_by(&connect_error(&cause)))?
            }
        };
        link.requests += 1;
        match hear(&mut link, sent).await {
            Ok(status) => Ok((link, status)),
            Err(_) if link.may_be_stale => Err(Outcome::Unknown),
            Err(_) => Err(Outcome::Failed),
        }
    }
}

fn said_by(error: &Error) -> Outcome {
    if error.blame() == Blame::Instance { Outcome::Failed } else { Outcome::Unknown }
}

/// Sends the copy, and reads until there is a whole final head, whose status it returns.
async fn hear(link: &mut Link, sent: &[u8]) -> io::Result<u16> {
    link.stream.write_all(sent).await?;
    let mut head = ResponseHead::default();
    loop {
        let read = poll_fn(|cx| link.input.poll_fill(cx, &mut link.stream)).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        link.may_be_stale = false;
        while head.advance(link.input.unread(), &RESPONSE_LIMITS).map_err(io::Error::other)?
            == Progress::Complete
        {
            if !head.is_informational() {
                return Ok(head.status());
            }
            link.input.consume(head.len());
            head.clear();
        }
    }
}

impl<C> Exchange<'_, C> {
    /// Ready when the second copy was answered first and the exchange goes on with it.
    pub(crate) fn poll_hedge(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(racing) = &mut self.hedge else { return Poll::Pending };
        let Poll::Ready(won) = racing.as_mut().poll(cx) else { return Poll::Pending };
        self.hedge = None;
        // A part of an interim response cannot be taken back.
        let Some(Won { begun, link }) = won.filter(|_| !self.down.is_torn()) else {
            return Poll::Pending;
        };
        std::mem::replace(self.link, link).break_off();
        self.head.clear();
        let attempt = self.attempt;
        attempt.place.series().worker(attempt.worker.number).hedge_won();
        attempt.tries.won_by(begun);
        Poll::Ready(())
    }
}
