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
//! The loser is cancelled by dropping it: its connection is closed, its guard is dropped, and
//! nothing is said about its endpoint, which may be as good as the other.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use balance::{budget, quantile};
use http1::{Framing, Limits, Progress, ResponseHead};
use model::{HedgeAfter, InFlight, Outcome, ProxyProtocolOut, RetryMethods};
use tokio::io::AsyncWriteExt;

use crate::client::Client;
use crate::exchange::Exchange;
use crate::forward::Attempt;
use crate::idle::{ANYBODY, Link, Parking, RESPONSE_HEAD_BYTES_MAX};
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
            Err(_) => {
                worker.observe(&begun, Outcome::Failed);
                None
            }
        }
    }

    /// The connection on which a whole head has come back, and its status.
    async fn ask(&self, begun: &InFlight, sent: &[u8]) -> io::Result<(Link, u16)> {
        let worker = self.worker;
        let endpoint = begun.endpoint();
        let mut link = match worker.idle.take(endpoint, Parking::Any, ANYBODY, worker.now_ms()) {
            Some(link) => link,
            None => {
                let timeout = self.place.pool().service.http.timeout_connect;
                Link::open(endpoint, timeout, &worker.timers.deadline()).await?
            }
        };
        link.requests += 1;
        link.stream.write_all(sent).await?;
        let limits = Limits {
            head_bytes_max: RESPONSE_HEAD_BYTES_MAX,
            headers_max: 256,
            target_bytes_max: 0,
        };
        let mut head = ResponseHead::default();
        loop {
            let read = poll_fn(|cx| link.input.poll_fill(cx, &mut link.stream)).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            link.may_be_stale = false;
            while head.advance(link.input.unread(), &limits).map_err(io::Error::other)?
                == Progress::Complete
            {
                if !head.is_informational() {
                    return Ok((link, head.status()));
                }
                link.input.consume(head.len());
                head.clear();
            }
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
