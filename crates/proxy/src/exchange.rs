//! One request and its response between a client and one connection to an instance.
//! Both directions at once, so that an early response or a streaming one is never held back.

pub(crate) mod patience;
mod refused;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use http1::{
    Content, Framing, Limits, Method, Progress, Refusal, ResponseEdit, ResponseFraming,
    ResponseHead, Ruled, Version, Via, write_continue, write_informational, write_response,
    write_switch,
};
use model::{Coding, Service};

use crate::buffer::Buffer;
use crate::discard::is_small;
use crate::encode::{self, Encoding};
use crate::error::Error;
use crate::exchange::patience::{Late, Party, Patience};
use crate::exchange::refused::Held;
use crate::forward::Attempt;
use crate::hedge::Racing;
use crate::idle::{Link, RESPONSE_HEAD_BYTES_MAX};
use crate::phase::Phase;
use crate::pump::{Broken, Frames, Pump};
use crate::stream::Stream;
use crate::timing::Timing;
use crate::worker::Worker;

/// The bounds on what an instance may send as a head.
pub(crate) const RESPONSE_LIMITS: Limits =
    Limits { head_bytes_max: RESPONSE_HEAD_BYTES_MAX, headers_max: 256, target_bytes_max: 0 };

/// The two ends, their buffers and the time they have.
pub(crate) struct Exchange<'a, C> {
    pub(crate) client: &'a mut C,
    pub(crate) client_in: &'a mut Buffer,
    pub(crate) link: &'a mut Link,
    /// The request: its head is in `out`, its body was begun.
    pub(crate) up: &'a mut Pump,
    /// The response.
    pub(crate) down: &'a mut Pump,
    pub(crate) head: &'a mut ResponseHead,
    pub(crate) patience: Patience<'a>,
    /// Says whether another try is begun instead.
    pub(crate) attempt: &'a Attempt<'a>,
    /// A second copy of the request, if it may have one.
    pub(crate) hedge: Option<Racing<'a>>,
    /// A response that may yet be thrown away.
    pub(crate) held: Option<Box<Held>>,
    pub(crate) asked: Asked,
    /// The response's body, if it is compressed on its way.
    pub(crate) encoding: Option<Box<Encoding>>,
    /// Says what is put onto the response.
    pub(crate) service: &'a Service,
    /// Knows whether Herder drains by now.
    pub(crate) worker: &'a Worker,
    /// Whether the client has sent something ahead, so that its end is not looked for any more.
    pub(crate) is_ahead: bool,
    /// Whether the client was asked for its body with a `100 Continue`.
    pub(crate) was_asked: &'a mut bool,
    /// Told how far it was if it fails.
    pub(crate) phase: &'a mut Phase,
    pub(crate) timing: &'a mut Timing,
    /// What the service's rules put onto the response; empty without rules.
    pub(crate) ruled_lines: &'a [u8],
}

/// What the request decides about the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// Whether the connection to the client may stay open, as far as is known before the response.
    pub(crate) keep_alive: bool,
    /// Whether the client means to wait for a `100 Continue` before it sends its body.
    pub(crate) expects: bool,
    /// Whether the instance is asked to switch protocols.
    pub(crate) upgrade: bool,
    /// How the response's content may be compressed.
    pub(crate) coding: Option<Coding>,
    /// Whether somebody wants to know when the response began; a look at the clock costs.
    pub(crate) wants_first_byte: bool,
}

/// An exchange that came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchanged {
    /// Whether the client may send another request.
    pub(crate) keeps_client: bool,
    /// Whether another request may go over the link.
    pub(crate) keeps_link: bool,
    /// Whether the client still sends a body that nobody reads.
    pub(crate) is_early: bool,
    /// Whether the protocol was switched: what follows both ways is not HTTP.
    pub(crate) is_switched: bool,
    /// When the response began, if that was asked.
    pub(crate) first_byte_at: Option<Instant>,
}

/// An exchange that did not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether the client has got a part of the response: nothing else can be sent then.
    pub(crate) is_answered: bool,
}

/// How far the exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response head yet.
    Head,
    /// The response body.
    Body { keeps_client: bool, keeps_link: bool, began_at: Option<Instant> },
    /// The response is thrown away, and the client has got nothing of it.
    Refused { keeps_link: bool },
}

/// How far the request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Partly,
    All,
    /// The instance takes no more of it; it may have answered early.
    Stuck,
}

impl<C: Stream> Exchange<'_, C> {
    /// Runs the exchange to its end.
    ///
    /// # Errors
    /// [`Failure`]: what went wrong and whether the client has seen a part of the response.
    // No `async fn`, whose future would hold the exchange twice: 216 bytes for each connection.
    pub(crate) fn run(mut self) -> impl Future<Output = Result<Exchanged, Failure>> {
        let mut state = State::Head;
        let mut sent = Sent::Partly;
        poll_fn(move |cx| {
            loop {
                let party = match self.poll(cx, &mut state, &mut sent) {
                    Poll::Ready(result) => {
                        let failed = |error| self.failure(state, sent, error);
                        return Poll::Ready(result.map_err(failed));
                    }
                    Poll::Pending => self.party(state, sent),
                };
                if party == Party::InstanceHead && self.poll_hedge(cx).is_ready() {
                    continue;
                }
                match self.patience.judge(cx, party) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Late::Ask) => self.ask(),
                    Poll::Ready(Late::Try) if !self.attempt.gives_up(self.client_in) => {
                        self.patience.wait_longer();
                    }
                    Poll::Ready(Late::Try) => {
                        let error = Error::ResponseTimeout;
                        return Poll::Ready(Err(self.failure(state, sent, error)));
                    }
                    Poll::Ready(Late::Fail(error)) => {
                        return Poll::Ready(Err(self.failure(state, sent, error)));
                    }
                }
            }
        })
    }

    fn failure(&mut self, state: State, sent: Sent, error: Error) -> Failure {
        *self.phase = match (state, sent) {
            (State::Body { .. } | State::Refused { .. }, _) => Phase::Body,
            (State::Head, Sent::Partly) => Phase::Request,
            (State::Head, Sent::All | Sent::Stuck) => Phase::Response,
        };
        Failure { error, is_answered: self.is_answered(state) }
    }

    /// Whether nothing else can be sent to the client, because it has got a part of something: of
    /// the response, or of an interim one that it does not take.
    fn is_answered(&self, state: State) -> bool {
        state != State::Head || self.down.is_torn()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut State,
        sent: &mut Sent,
    ) -> Poll<Result<Exchanged, Error>> {
        if *sent == Sent::Partly {
            self.poll_request(cx, sent)?;
        }
        if *state == State::Head {
            match self.poll_head(cx, *sent) {
                Poll::Ready(reached) => *state = reached?,
                Poll::Pending if *sent == Sent::All => return self.poll_client(cx),
                Poll::Pending => return Poll::Pending,
            }
        }
        let (keeps_client, keeps_link, began_at) = match *state {
            State::Head => return Poll::Pending,
            State::Refused { keeps_link } => (false, keeps_link, None),
            State::Body { keeps_client, keeps_link, began_at } => {
                (keeps_client, keeps_link, began_at)
            }
        };
        let Link { input, stream, .. } = &mut *self.link;
        let moved = match &mut self.encoding {
            None => self.down.poll(cx, input, stream, self.client),
            Some(encoding) => {
                let moved = encoding.poll(cx, self.down, input, stream, self.client);
                encoding.count(self.attempt.shard());
                moved
            }
        };
        match moved {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(broken)) => Poll::Ready(Err(broken.in_response())),
            Poll::Ready(Ok(())) => {
                let is_sent = *sent == Sent::All;
                Poll::Ready(Ok(Exchanged {
                    keeps_client,
                    keeps_link: keeps_link && is_sent && self.link.input.is_empty(),
                    is_early: !is_sent,
                    is_switched: self.head.status() == 101,
                    first_byte_at: began_at,
                }))
            }
        }
    }

    fn poll_request(&mut self, cx: &mut Context<'_>, sent: &mut Sent) -> Result<(), Error> {
        match self.up.poll(cx, self.client_in, self.client, &mut self.link.stream) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                *sent = Sent::All;
                self.timing.sent();
                Ok(())
            }
            Poll::Ready(Err(Broken::Unwritable)) => {
                *sent = Sent::Stuck;
                Ok(())
            }
            Poll::Ready(Err(Broken::Malformed(refusal))) => Err(Error::Malformed(refusal)),
            Poll::Ready(Err(Broken::Truncated)) => Err(Error::ClientGone),
            Poll::Ready(Err(Broken::TooLarge)) => Err(Error::BodyTooLarge),
        }
    }

    /// Reads heads until the final one, passing 1xx on.
    fn poll_head(&mut self, cx: &mut Context<'_>, sent: Sent) -> Poll<Result<State, Error>> {
        loop {
            match self.down.poll_write(cx, &mut self.link.input, self.client) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Error::ClientGone)),
            }
            let parsed = if self.link.input.is_empty() {
                Ok(Progress::Partial)
            } else {
                self.head.advance(self.link.input.unread(), &RESPONSE_LIMITS)
            };
            match parsed.map_err(Error::BadResponse)? {
                Progress::Complete if self.head.is_informational() => self.pass_informational(),
                Progress::Complete => return self.poll_judged(cx, sent),
                Progress::Partial => match self.link.input.poll_fill(cx, &mut self.link.stream) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(bytes)) if bytes > 0 => self.link.may_be_stale = false,
                    Poll::Ready(_) => return Poll::Ready(Err(Error::InstanceReset)),
                },
            }
        }
    }

    /// Looks whether the client is still there while an instance works for it: nobody would read
    /// the response otherwise. As for nginx and Envoy, a client that ends its direction is gone,
    /// unless it has sent something ahead.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<Exchanged, Error>> {
        if self.is_ahead {
            return Poll::Pending;
        }
        match self.client_in.poll_fill(cx, self.client) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Error::ClientGone)),
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::StorageFull => {
                Poll::Ready(Err(Error::ClientGone))
            }
            Poll::Ready(_) => {
                self.is_ahead = true;
                Poll::Pending
            }
        }
    }

    /// Asks the client for its body: RFC 9110, 10.1.1.
    fn ask(&mut self) {
        *self.was_asked = true;
        write_continue(&mut self.down.out);
    }

    /// Whether the client has announced a body and waits to be asked for it.
    fn awaits_ask(&self) -> bool {
        self.asked.expects
            && !*self.was_asked
            && self.up.data_bytes() == 0
            && self.client_in.is_empty()
    }

    /// Whether the rest of the body is worth reading once the response is complete.
    fn may_discard(&self) -> bool {
        let (body, seen) = self.up.body();
        let buffered = self.client_in.unread().get(seen..).unwrap_or_default();
        !self.awaits_ask() && is_small(body, buffered, self.patience.limits.body_discard_bytes_max)
    }

    /// HTTP/1.0 knows no 1xx: RFC 9110, 15.2. A client is asked for its body once, by whoever comes
    /// first.
    fn pass_informational(&mut self) {
        let is_repeated = self.head.status() == 100 && std::mem::replace(self.was_asked, true);
        if self.asked.version == Version::Http11 && !is_repeated {
            write_informational(&mut self.down.out, self.link.input.unread(), self.head);
        }
        self.link.input.consume(self.head.len());
        self.head.clear();
    }

    fn begin_response(&mut self, sent: Sent, answered_at: Option<Instant>) -> Result<State, Error> {
        self.client_in.let_go();
        self.hedge = None;
        let framing = self.head.framing(self.asked.method);
        let (content, encoding) = match self.service.compression.is_on {
            true => {
                let buffer = self.link.input.unread();
                encode::choose(&self.service.compression, &self.asked, buffer, self.head)
            }
            false => (Content::AsSent, None),
        };
        let (outward, frames) = match (framing, self.asked.version) {
            _ if encoding.is_some() => (ResponseFraming::Chunked, Frames::Make),
            (Framing::None | Framing::Length(_), _) => (ResponseFraming::AsSent, Frames::Keep),
            (Framing::Chunked, Version::Http11) => (ResponseFraming::Chunked, Frames::Keep),
            (Framing::Chunked, Version::Http10) => (ResponseFraming::Close, Frames::Drop),
            (Framing::UntilClose, Version::Http11) => (ResponseFraming::Chunked, Frames::Make),
            (Framing::UntilClose, Version::Http10) => (ResponseFraming::Close, Frames::Keep),
        };
        // Draining may have begun while the instance worked: this is the last response then.
        let keeps_client = self.asked.keep_alive
            && !self.worker.is_draining()
            && outward != ResponseFraming::Close
            && (sent == Sent::All || self.may_discard());
        let keeps_link = self.head.allows_keep_alive() && framing != Framing::UntilClose;
        let rules = self.service.rules.as_deref();
        let edit = ResponseEdit {
            client: self.asked.version,
            keep_alive: keeps_client,
            framing: outward,
            content,
            via: if self.service.http.adds_via { Via::Add } else { Via::Omit },
            ruled: rules.map(|rules| Ruled { rules: &rules.response, lines: self.ruled_lines }),
            own_lines: self.attempt.set_cookie(),
        };
        write_response(&mut self.down.out, self.link.input.unread(), self.head, &edit);
        self.link.input.consume(self.head.len());
        self.encoding = encoding;
        if self.encoding.is_none() {
            self.down.begin(framing, frames, u64::MAX);
            self.down.gather(&mut self.link.input).map_err(|broken| broken.in_response())?;
        }
        let began_at = self.began_at(answered_at);
        Ok(State::Body { keeps_client, keeps_link, began_at })
    }

    /// Nothing that follows the heads is carried before the instance has agreed to: what the client
    /// has sent ahead is still in its buffer.
    fn begin_tunnel(&mut self, answered_at: Option<Instant>) -> Result<State, Error> {
        if !self.asked.upgrade || !self.head.is_switch() {
            return Err(Error::BadResponse(Refusal::UnaskedUpgrade));
        }
        let set_cookie = self.attempt.set_cookie();
        write_switch(&mut self.down.out, self.link.input.unread(), self.head, set_cookie);
        self.link.input.consume(self.head.len());
        let began_at = self.began_at(answered_at);
        Ok(State::Body { keeps_client: false, keeps_link: false, began_at })
    }

    fn began_at(&self, answered_at: Option<Instant>) -> Option<Instant> {
        match self.asked.wants_first_byte {
            true => answered_at.or_else(|| Some(Instant::now())),
            false => None,
        }
    }
}
