//! One client connection: its stream, its buffers, and the head of the request it is at.
//! It reads heads and says good-bye; what a request means is decided in `serve`.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http1::{Body, Claims, Field, Framing, Limits, Progress, RequestHead, ResponseHead};
use model::Listener;
use proxy_protocol::Addresses;

use crate::buffer::Buffer;
use crate::error::Error;
use crate::gear::Gear;
use crate::stream::Stream;
use crate::timers::{Deadline, Why};
use crate::worker::Worker;

/// What may be left of a request that was answered early before the connection is cut. Many clients
/// send all of a body before they look at the answer.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long the rest may take.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer a connection may stay without a request once Herder is stopping. One that is in
/// use has its next request answered within this, and is told that it was the last.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// How long a connection is without a request until it gives its memory back. One that is in use
/// keeps it, so that a request allocates nothing.
const REST_AFTER: Duration = Duration::from_secs(1);

/// A client connection, over any stream of bytes.
pub(crate) struct Client<C> {
    pub(crate) stream: C,
    /// The other end of the connection.
    pub(crate) peer: SocketAddr,
    /// Its address without port, as text, for `X-Forwarded-For`.
    pub(crate) peer_text: Vec<u8>,
    /// Whether its word about the client is believed.
    pub(crate) is_trusted: bool,
    /// Who sent the request that is being served: the peer, or whom a trusted peer names. Its port
    /// is 0 if a trusted peer did not say it.
    pub(crate) address: SocketAddr,
    /// Where the client connected to.
    pub(crate) local: SocketAddr,
    /// Distinguishes the connections of a worker; never 0.
    pub(crate) number: u64,
    /// As it was when the connection was accepted.
    pub(crate) listener: Arc<Listener>,
    pub(crate) deadline: Deadline,
    pub(crate) input: Buffer,
    pub(crate) head: RequestHead,
    /// The request's head is at the front of `input` until a body is forwarded or it is answered.
    pub(crate) has_head: bool,
    /// What was not read of the body that belongs to `head`. It has to be over before the next
    /// head.
    pub(crate) body_left: Body,
    /// Whether the client was asked for the body that it had announced: at most once.
    pub(crate) was_asked: bool,
    pub(crate) response: ResponseHead,
    /// Memory for what is written to the instance and to the client, reused by every request.
    pub(crate) up_out: Vec<u8>,
    pub(crate) down_out: Vec<u8>,
    pub(crate) request_id: Vec<u8>,
    /// The head once more, for the access log; empty without one.
    pub(crate) head_copy: Vec<u8>,
    /// What rules put onto the response; empty without any.
    pub(crate) ruled_lines: Vec<u8>,
    /// Whether `head`, `response` and the five texts above have memory of a [`Gear`].
    has_gear: bool,
    pub(crate) served: u64,
    /// Requests in a row that were there before the one before them was answered.
    pub(crate) pipelined: u32,
}

/// The allocator's size that it is to fit: each connection pays 128 bytes more for the next.
const CLIENT_BYTES_MAX: usize = 768;

const _: () = assert!(size_of::<Client<tokio::net::TcpStream>>() <= CLIENT_BYTES_MAX);

impl<C> Client<C> {
    /// Takes the memory that a request needs.
    fn gear_up(&mut self) {
        if std::mem::replace(&mut self.has_gear, true) {
            return;
        }
        let Gear { head, response, texts } = Gear::take();
        (self.head, self.response) = (head, response);
        [self.up_out, self.down_out, self.request_id, self.head_copy, self.ruled_lines] = texts;
    }

    /// Gives it back.
    fn rest(&mut self) {
        if !std::mem::take(&mut self.has_gear) {
            return;
        }
        let take = std::mem::take::<Vec<u8>>;
        let texts = [
            &mut self.up_out,
            &mut self.down_out,
            &mut self.request_id,
            &mut self.head_copy,
            &mut self.ruled_lines,
        ];
        let texts = texts.map(take);
        let head = std::mem::take(&mut self.head);
        let response = std::mem::take(&mut self.response);
        Gear { head, response, texts }.give_back();
    }
}

impl<C> Drop for Client<C> {
    fn drop(&mut self) {
        self.rest();
    }
}

/// How far a connection is on the way to its next request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It keeps its memory for the request that may follow at once.
    Idle,
    /// It has given its memory back.
    Resting,
    /// A part of a head is there.
    Head,
}

impl<C: Stream> Client<C> {
    pub(crate) fn new(
        stream: C,
        ends: Addresses,
        listener: Arc<Listener>,
        deadline: Deadline,
    ) -> Self {
        Self {
            stream,
            peer: ends.source,
            peer_text: text_of(ends.source),
            is_trusted: listener.trusted_proxies.contains(ends.source.ip()),
            address: ends.source,
            local: ends.destination,
            number: 0,
            deadline,
            input: Buffer::new(listener.limits.head_bytes_max + 1),
            listener,
            head: RequestHead::default(),
            has_head: false,
            body_left: Body::new(Framing::None),
            was_asked: false,
            response: ResponseHead::default(),
            up_out: Vec::new(),
            down_out: Vec::new(),
            request_id: Vec::new(),
            head_copy: Vec::new(),
            has_gear: false,
            ruled_lines: Vec::new(),
            served: 0,
            pipelined: 0,
        }
    }

    /// The other end is a proxy that speaks for the ends of another connection.
    pub(crate) fn speaks_for(&mut self, ends: Addresses) {
        self.peer = ends.source;
        self.peer_text = text_of(ends.source);
        self.is_trusted = self.listener.trusted_proxies.contains(ends.source.ip());
        self.address = ends.source;
        self.local = ends.destination;
    }

    /// The ends of the connection. The kernel is asked for ours only where a listener has all
    /// addresses of the machine.
    pub(crate) fn ends(&self) -> Addresses {
        let asked = || self.stream.plain()?.local_addr().ok();
        let ours = if self.local.ip().is_unspecified() { asked() } else { None };
        Addresses { source: self.peer, destination: ours.unwrap_or(self.local) }
    }

    /// Reads the next head. False when the connection is over and nothing is owed: the client
    /// closed it, idled too long, or Herder is stopping.
    ///
    /// # Errors
    /// What is to be answered before the connection is closed.
    pub(crate) async fn read_head(&mut self, worker: &Worker) -> Result<bool, Error> {
        self.head.clear();
        self.has_head = false;
        self.was_asked = false;
        self.pipelined = if self.input.is_empty() { 0 } else { self.pipelined.saturating_add(1) };
        let limits = Limits {
            head_bytes_max: self.listener.limits.head_bytes_max,
            headers_max: self.listener.limits.headers_max,
            target_bytes_max: self.listener.limits.target_bytes_max,
        };
        self.deadline.set(self.listener.limits.timeout_idle.min(REST_AFTER));
        let mut stage = Stage::Idle;
        poll_fn(|cx| self.poll_head(cx, &limits, worker, &mut stage)).await
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        worker: &Worker,
        stage: &mut Stage,
    ) -> Poll<Result<bool, Error>> {
        let timeout_idle = self.listener.limits.timeout_idle;
        loop {
            if !self.input.is_empty() {
                if std::mem::replace(stage, Stage::Head) != Stage::Head {
                    self.deadline.set(self.listener.limits.timeout_head);
                    self.gear_up();
                }
                let progress = self.head.advance(self.input.unread(), limits);
                if progress.map_err(Error::Malformed)? == Progress::Complete {
                    self.has_head = true;
                    return Poll::Ready(Ok(true));
                }
            } else if worker.is_draining() {
                self.deadline.limit(DRAIN_GRACE);
            }
            match self.input.poll_fill(cx, &mut self.stream) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Ok(false)),
                Poll::Pending if !self.deadline.has_passed(cx) => return Poll::Pending,
                Poll::Pending if self.deadline.why() == Why::Stop => {
                    return Poll::Ready(Ok(false));
                }
                Poll::Pending if *stage == Stage::Head => {
                    return Poll::Ready(Err(Error::SlowHead));
                }
                Poll::Pending if *stage == Stage::Resting || worker.is_draining() => {
                    return Poll::Ready(Ok(false));
                }
                Poll::Pending => {
                    self.rest();
                    *stage = Stage::Resting;
                    self.deadline.set(timeout_idle.saturating_sub(REST_AFTER));
                }
            }
        }
    }

    /// What a trusted peer says about the request that is being served.
    pub(crate) fn claims(&self) -> Option<Claims<'_>> {
        let is_trusted = |ip| self.listener.trusted_proxies.contains(ip);
        let read = || Claims::read(self.input.unread(), &self.head, self.peer, is_trusted);
        self.is_trusted.then(read)
    }

    /// The value of the first header of this name in the request that is being served.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let buffer = self.input.unread();
        let is_it = |field: &&Field| field.name.of(buffer).eq_ignore_ascii_case(name.as_bytes());
        self.head.fields().iter().find(is_it).map(|field| field.value.of(buffer))
    }

    /// Ready when the client has gone, while its request waits. As for nginx and Envoy, a client
    /// that ends its direction is gone, unless it has sent something ahead.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_ahead() {
            match self.input.poll_fill(cx, &mut self.stream) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                // The body is larger than the buffer: the rest is read on its way.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::StorageFull => break,
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Whether more has come than the request at hand, as far as its head tells.
    fn is_ahead(&self) -> bool {
        let behind_head = self.input.unread().len().saturating_sub(self.head.len());
        match self.head.framing() {
            Framing::Length(bytes) => u64::try_from(behind_head).is_ok_and(|there| there > bytes),
            _ => behind_head > 0,
        }
    }

    /// Takes the head off the input, for a body to follow, or because the request is answered.
    pub(crate) fn consume_head(&mut self) {
        if std::mem::take(&mut self.has_head) {
            self.input.consume(self.head.len());
            self.body_left = Body::new(self.head.framing());
        }
    }

    /// Puts the head, and what was used of the body, back onto the input if they were kept.
    pub(crate) fn take_back(&mut self) {
        if self.input.take_back() {
            self.has_head = true;
        }
    }

    /// Whether the head stays in the buffer until the request is answered. Behind one with a body,
    /// or with a switch of protocols, the buffer is used for what follows.
    pub(crate) fn keeps_head(&self) -> bool {
        self.head.framing() == Framing::None && !self.head.wants_upgrade()
    }

    /// Keeps the head for the access log.
    pub(crate) fn copy_head(&mut self) {
        self.head_copy.clear();
        self.head_copy.extend_from_slice(&self.input.unread()[..self.head.len()]);
    }

    /// Writes what is in `down_out`; fewer bytes than there are when the client does not take them.
    pub(crate) async fn flush(&mut self) -> usize {
        self.deadline.set(self.listener.limits.timeout_idle);
        let mut written = 0;
        poll_fn(|cx| {
            while written < self.down_out.len() {
                match Pin::new(&mut self.stream).poll_write(cx, &self.down_out[written..]) {
                    Poll::Ready(Ok(bytes)) if bytes > 0 => written += bytes,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if self.deadline.has_passed(cx) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
        self.down_out.clear();
        written
    }

    /// Says that nothing more comes, then reads for a while what the client still sends: closing
    /// with bytes unread would make the kernel reset the connection, and the client would lose the
    /// answer.
    pub(crate) async fn linger(&mut self) {
        self.deadline.set(LINGER_TIMEOUT);
        let mut left = LINGER_BYTES_MAX;
        self.input.clear();
        poll_fn(|cx| {
            if Pin::new(&mut self.stream).poll_shutdown(cx).is_pending() {
                return if self.deadline.has_passed(cx) { Poll::Ready(()) } else { Poll::Pending };
            }
            loop {
                match self.input.poll_fill(cx, &mut self.stream) {
                    Poll::Ready(Ok(bytes)) if bytes > 0 && bytes < left => left -= bytes,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if self.deadline.has_passed(cx) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
                self.input.clear();
            }
        })
        .await;
    }
}

/// The formatter of the standard library takes a tenth of all instructions of a short connection
/// for an IPv4 address.
fn text_of(addr: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(address) = addr.ip().to_canonical() else {
        return addr.ip().to_string().into_bytes();
    };
    let mut text = Vec::with_capacity("255.255.255.255".len());
    for (at, byte) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push(b'.');
        }
        if byte >= 100 {
            text.push(b'0' + byte / 100);
        }
        if byte >= 10 {
            text.push(b'0' + byte / 10 % 10);
        }
        text.push(b'0' + byte % 10);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_everybody_writes_it() {
        for byte in 0..=255 {
            let address = IpAddr::from([byte, 7, 255 - byte, 100]);
            let text = String::from_utf8(text_of(SocketAddr::new(address, 80))).unwrap();
            assert_eq!(text, address.to_string());
        }
        let text = |addr: &str| String::from_utf8(text_of(addr.parse().unwrap())).unwrap();
        assert_eq!(text("[2001:db8::1]:80"), "2001:db8::1");
        assert_eq!(text("[::ffff:10.0.0.9]:80"), "10.0.0.9");
    }
}
