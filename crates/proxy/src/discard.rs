//! What a client still sends of a body after its request was answered: read and thrown away, if
//! it is little, so that the connection can be kept. It must never let a byte of it pass for a
//! request.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use http1::{Body, Piece};

use crate::client::Client;
use crate::stream::Stream;

/// How long the rest may take. The client has its answer, and may still lose the connection.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether at most `bytes_max` bytes of content are to come behind those in `buffered`. Of a
/// chunked body that is known only if all of it is there.
pub(crate) fn is_small(body: &Body, buffered: &[u8], bytes_max: u64) -> bool {
    let there = u64::try_from(buffered.len()).unwrap_or(u64::MAX);
    let is_little = |left: u64| left.saturating_sub(there) <= bytes_max;
    body.left().map_or_else(|| is_whole(body.clone(), buffered), is_little)
}

fn is_whole(mut body: Body, mut buffered: &[u8]) -> bool {
    loop {
        match body.next(buffered) {
            Ok(Piece::End) => return true,
            Ok(Piece::Data(bytes) | Piece::Frame(bytes) | Piece::Skip(bytes)) => {
                buffered = buffered.get(bytes..).unwrap_or_default();
            }
            Ok(Piece::More) | Err(_) => return false,
        }
    }
}

impl<C: Stream> Client<C> {
    /// Whether the rest of the body is worth reading. Not if the client waits to be asked for it:
    /// having an answer, some clients send it all the same and some do not, and nobody could tell
    /// its first bytes from a request.
    pub(crate) fn may_discard(&self) -> bool {
        let buffered = self.input.unread();
        let waits = self.head.expects_continue()
            && !self.was_asked
            && self.body_left.data_bytes() == 0
            && buffered.is_empty();
        !waits && is_small(&self.body_left, buffered, self.listener.limits.body_discard_bytes_max)
    }

    /// Whether the body was read to its end, so that the next request may follow.
    pub(crate) fn is_read_up(&self) -> bool {
        self.body_left.left() == Some(0)
    }

    /// Reads to the end of the body. False when it does not come in time, or not at all: where the
    /// next request would begin is unknown then.
    pub(crate) async fn discard(&mut self) -> bool {
        self.deadline.set(DISCARD_TIMEOUT);
        poll_fn(|cx| {
            loop {
                match self.body_left.next(self.input.unread()) {
                    Ok(Piece::End) => return Poll::Ready(true),
                    Ok(Piece::Data(bytes) | Piece::Frame(bytes) | Piece::Skip(bytes)) => {
                        self.input.consume(bytes);
                        continue;
                    }
                    Ok(Piece::More) => {}
                    Err(_) => return Poll::Ready(false),
                }
                match self.input.poll_fill(cx, &mut self.stream) {
                    Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending if self.deadline.has_passed(cx) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use http1::Framing;

    use super::*;

    #[test]
    fn small_is_what_is_known_to_be() {
        let check = |framing, buffered: &str, bytes_max, expected| {
            let body = Body::new(framing);
            assert_eq!(is_small(&body, buffered.as_bytes(), bytes_max), expected, "{framing:?}");
        };
        check(Framing::None, "", 0, true);
        check(Framing::None, "GET / HTTP/1.1\r\n", 0, true);
        check(Framing::Length(5), "", 5, true);
        check(Framing::Length(6), "", 5, false);
        check(Framing::Length(6), "all of", 0, true);
        check(Framing::Length(7), "not all", 0, true);
        check(Framing::Length(9), "not all", 1, false);
        check(Framing::Length(u64::MAX), "", u64::MAX, true);
        check(Framing::Chunked, "", u64::MAX, false);
        check(Framing::Chunked, "5\r\nhello\r\n0\r\n", u64::MAX, false);
        check(Framing::Chunked, "5\r\nhello\r\n0\r\n\r\n", 0, true);
        check(Framing::Chunked, "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\nGET /", 0, true);
        check(Framing::Chunked, "-5\r\nhello\r\n0\r\n\r\n", u64::MAX, false);
        check(Framing::UntilClose, "x", u64::MAX, false);
    }
}
