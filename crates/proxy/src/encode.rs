//! A response body that is compressed on its way: content from the instance's connection through
//! an encoder to the client, in chunks. What is not compressed never comes here; see `pump`.
//!
//! Whenever the instance pauses, everything that it has sent is on its way to the client: a stream
//! of events is not held back. A body that is cut short is not finished, so that it shows.

mod coder;

use std::task::{Context, Poll, ready};

use http1::{
    Allowed, Body, Content, Framing, Piece, ResponseHead, Version, accepted, allowed, is_digest,
    is_in_range, write_chunk_start,
};
use model::{Coding, Compression};
use telemetry::Shard;

use crate::buffer::Buffer;
use crate::client::Client;
use crate::encode::coder::Coder;
use crate::exchange::Asked;
use crate::pump::{Broken, Pump, Waits};
use crate::stream::Stream;

/// Encoded bytes that become one chunk at most, and the memory for them.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// Content that is encoded before the other connections of the worker get their turn: less than a
/// millisecond.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Moves one body.
pub(crate) struct Encoding {
    body: Body,
    coder: Coder,
    /// Encoded bytes that are not in a chunk yet; all of it is initialised, `filled` bytes count.
    piece: Vec<u8>,
    filled: usize,
    /// Trailer lines of the instance, which the parser bounds.
    trailers: Vec<u8>,
    /// Whether the encoder may hold content that it has not given out.
    is_holding: bool,
    is_ended: bool,
    /// Bytes of content taken and given out that nobody has counted yet.
    plain_bytes: u64,
    coded_bytes: u64,
}

/// What the encoder is to do besides taking content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Give out all that it has taken.
    Flushed,
    /// And end.
    Finished,
}

/// The coding that the client likes best of those that a service offers.
pub(crate) fn coding_for<C>(client: &Client<C>, compression: &Compression) -> Option<Coding> {
    if !compression.is_on {
        return None;
    }
    let names = compression.codings.iter().map(|coding| coding.name());
    let index = accepted(client.input.unread(), &client.head, names)?;
    compression.codings.get(index).copied()
}

/// What the client gets of a response's content, and the body that makes it so if it is encoded.
#[cold]
pub(crate) fn choose(
    compression: &Compression,
    asked: &Asked,
    buffer: &[u8],
    head: &ResponseHead,
) -> (Content, Option<Box<Encoding>>) {
    let is_type =
        |media_type: &[u8]| compression.types.iter().any(|range| is_in_range(media_type, range));
    match allowed(buffer, head, asked.method, is_type, compression.bytes_min) {
        Allowed::Nothing => return (Content::AsSent, None),
        Allowed::Vary => return (Content::Varies, None),
        Allowed::Encode => {}
    }
    let framing = head.framing(asked.method);
    // HTTP/1.0 has no chunks, and an end that is only a close could not be told from a cut.
    let coding = asked.coding.filter(|_| asked.version == Version::Http11);
    let coder = coding.and_then(|coding| Coder::open(coding, framing));
    match coding.zip(coder) {
        Some((coding, coder)) => {
            let encoding = Box::new(Encoding::new(framing, coder));
            (Content::Encoded(coding.name()), Some(encoding))
        }
        None => (Content::Varies, None),
    }
}

impl Encoding {
    fn new(framing: Framing, coder: Coder) -> Self {
        Self {
            body: Body::new(framing),
            coder,
            piece: vec![0; CHUNK_BYTES_MAX],
            filled: 0,
            trailers: Vec::new(),
            is_holding: false,
            is_ended: false,
            plain_bytes: 0,
            coded_bytes: 0,
        }
    }

    /// Counts what was moved since the last call, so that a long stream shows while it runs.
    pub(crate) fn count(&mut self, shard: &Shard) {
        shard
            .compress(std::mem::take(&mut self.plain_bytes), std::mem::take(&mut self.coded_bytes));
    }

    /// Moves as much as can be moved now, behind what is in `down.out`. Ready when the body is over
    /// and written.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut Pump,
        input: &mut Buffer,
        from: &mut impl Stream,
        to: &mut impl Stream,
    ) -> Poll<Result<(), Broken>> {
        let mut taken = 0;
        loop {
            taken += self.take(input, &mut down.out)?;
            down.waits = Waits::Write;
            ready!(down.poll_write(cx, input, to))?;
            if self.is_ended {
                return Poll::Ready(Ok(()));
            }
            down.waits = Waits::Read;
            if taken >= TURN_BYTES_MAX {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match input.poll_fill(cx, from) {
                Poll::Ready(Ok(0)) if self.body.ends_at_close() => self.finish(&mut down.out)?,
                Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Err(Broken::Truncated)),
                Poll::Pending if self.is_holding => self.drive(Until::Flushed, &mut down.out)?,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Encodes all content in the buffer; how many bytes that was.
    fn take(&mut self, input: &mut Buffer, out: &mut Vec<u8>) -> Result<usize, Broken> {
        let mut taken = 0;
        while !self.is_ended {
            let rest = input.unread();
            match self.body.next(rest).map_err(Broken::Malformed)? {
                Piece::Data(bytes) => {
                    self.encode(&rest[..bytes], out)?;
                    input.consume(bytes);
                    taken += bytes;
                }
                Piece::Frame(bytes) => {
                    self.keep_trailer(&rest[..bytes]);
                    input.consume(bytes);
                }
                Piece::Skip(bytes) => input.consume(bytes),
                Piece::More => break,
                Piece::End => self.finish(out)?,
            }
        }
        Ok(taken)
    }

    /// Of all framing, trailer lines alone have a colon. What they say about the bytes of the
    /// content would not be true any more.
    fn keep_trailer(&mut self, line: &[u8]) {
        let colon = line.iter().position(|&byte| byte == b':');
        if colon.is_some_and(|colon| !is_digest(&line[..colon])) {
            self.trailers.extend_from_slice(line);
        }
    }

    fn encode(&mut self, mut content: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        self.is_holding |= !content.is_empty();
        while !content.is_empty() {
            let space = &mut self.piece[self.filled..];
            let (taken, given) =
                self.coder.encode(content, space).map_err(|error| give_up(&error))?;
            content = &content[taken..];
            self.filled += given;
            self.plain_bytes += taken as u64;
            self.emit_if_full(out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.drive(Until::Finished, out)?;
        out.extend_from_slice(b"0\r\n");
        out.append(&mut self.trailers);
        out.extend_from_slice(b"\r\n");
        self.is_ended = true;
        Ok(())
    }

    /// Takes out of the encoder what is in it.
    fn drive(&mut self, until: Until, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.is_holding = false;
        loop {
            let space = &mut self.piece[self.filled..];
            let driven = match until {
                Until::Flushed => self.coder.flush(space),
                Until::Finished => self.coder.finish(space),
            };
            let (given, is_done) = driven.map_err(|error| give_up(&error))?;
            self.filled += given;
            if is_done {
                self.emit(out);
                return Ok(());
            }
            self.emit_if_full(out);
        }
    }

    fn emit_if_full(&mut self, out: &mut Vec<u8>) {
        if self.filled == self.piece.len() {
            self.emit(out);
        }
    }

    /// Makes a chunk of what is encoded; an empty one would be the last.
    fn emit(&mut self, out: &mut Vec<u8>) {
        if self.filled > 0 {
            write_chunk_start(out, self.filled);
            self.coded_bytes += self.filled as u64;
            out.extend_from_slice(&self.piece[..self.filled]);
            out.extend_from_slice(b"\r\n");
            self.filled = 0;
        }
    }
}

/// An encoder fails for want of memory, if ever. The client sees a body that was cut.
fn give_up(error: &std::io::Error) -> Broken {
    tracing::error!(%error, "a response could not be compressed");
    Broken::Truncated
}

#[cfg(test)]
mod tests;
