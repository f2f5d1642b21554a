//! One direction of a body: bytes from one socket's buffer to the other socket.
//! Back-pressure is its shape: it reads only when all it has read before is written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http1::{Body, Framing, Piece, Refusal, write_chunk_start};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::buffer::Buffer;
use crate::error::Error;
use crate::splice::Pipe;
use crate::stream::Stream;

/// Bytes that a splice moves before others have their turn.
const TURN_BYTES_MAX: usize = 1 << 20;

/// What becomes of the framing of a chunked body, or of one that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// As they came: the receiver reads the same framing.
    Keep,
    /// Left out: the receiver reads until the connection closes.
    Drop,
    /// Made: the sender closes at the end, the receiver reads chunks.
    Make,
}

/// Why a body did not get through.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The sender's framing is malformed.
    Malformed(Refusal),
    /// The sender closed, or failed, before the end.
    Truncated,
    /// The receiver does not take any more.
    Unwritable,
    /// More content than is allowed.
    TooLarge,
}

impl Broken {
    /// What a response that broke off is called.
    pub(crate) fn in_response(self) -> Error {
        match self {
            Broken::Malformed(refusal) => Error::BadResponse(refusal),
            Broken::Truncated | Broken::TooLarge => Error::ResponseTruncated,
            Broken::Unwritable => Error::ClientGone,
        }
    }
}

/// What a pump waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// For the sender.
    Read,
    /// For the receiver.
    Write,
}

/// Moves one head, and then one body.
#[derive(Debug)]
pub(crate) struct Pump {
    body: Body,
    frames: Frames,
    bytes_max: u64,
    /// Content of at least so many bytes goes through the kernel, if it can.
    splice_bytes_min: u64,
    pipe: Option<Pipe>,
    /// Bytes to write before anything from the buffer: the head, and frames that we make.
    pub(crate) out: Vec<u8>,
    written: usize,
    /// Bytes at the front of the buffer to write next, and bytes after them to leave out.
    span: usize,
    skip: usize,
    is_ended: bool,
    pub(crate) bytes_written: u64,
    pub(crate) waits: Waits,
}

impl Pump {
    /// A pump that has nothing to do; `out` is reused memory.
    pub(crate) fn new(out: Vec<u8>) -> Self {
        Self {
            body: Body::new(Framing::None),
            frames: Frames::Keep,
            bytes_max: u64::MAX,
            splice_bytes_min: u64::MAX,
            pipe: None,
            out,
            written: 0,
            span: 0,
            skip: 0,
            is_ended: true,
            bytes_written: 0,
            waits: Waits::Read,
        }
    }

    /// Begins a body of at most `bytes_max` bytes of content, after what is in `out`.
    pub(crate) fn begin(&mut self, framing: Framing, frames: Frames, bytes_max: u64) {
        self.body = Body::new(framing);
        (self.frames, self.bytes_max) = (frames, bytes_max);
        self.is_ended = framing == Framing::None;
    }

    /// Content of which at least so many bytes are still to come is moved by the kernel.
    pub(crate) fn splice_from(&mut self, bytes_min: u64) {
        self.splice_bytes_min = bytes_min.max(1);
    }

    /// Bytes of content seen so far.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.body.data_bytes()
    }

    /// The body, and how many of the first bytes of the input it has seen already.
    pub(crate) fn body(&self) -> (&Body, usize) {
        (&self.body, self.span + self.skip)
    }

    /// Gives up. What is left of the body begins with the first byte of the input then.
    pub(crate) fn give_up(&mut self, input: &mut Buffer) -> Body {
        input.consume(std::mem::take(&mut self.span) + std::mem::take(&mut self.skip));
        self.body.clone()
    }

    /// The memory of `out`, to be used again.
    pub(crate) fn into_out(mut self) -> Vec<u8> {
        self.out.clear();
        self.out
    }

    /// Bytes that the receiver has got.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_written + u64::try_from(self.written).unwrap_or(0)
    }

    /// Whether the receiver has got a part of what is in `out`, and not all of it.
    pub(crate) fn is_torn(&self) -> bool {
        self.written > 0
    }

    /// Whether the head and the whole body were written.
    pub(crate) fn is_done(&self) -> bool {
        self.is_ended && self.pending() == 0 && self.pipe.is_none()
    }

    /// Bytes that wait to be written.
    fn pending(&self) -> usize {
        self.out.len() - self.written + self.span + self.skip
    }

    /// Takes small content into `out`, behind the head, so that both leave in one write.
    pub(crate) fn gather(&mut self, input: &mut Buffer) -> Result<(), Broken> {
        if self.is_ended || input.is_empty() {
            return Ok(());
        }
        self.plan(input)?;
        if self.span > 0 {
            self.out.extend_from_slice(&input.unread()[..self.span]);
            input.consume(self.span + self.skip);
            (self.span, self.skip) = (0, 0);
        }
        Ok(())
    }

    /// Moves as much as can be moved now. Ready when the body is over and written.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        from: &mut impl Stream,
        to: &mut impl Stream,
    ) -> Poll<Result<(), Broken>> {
        loop {
            self.waits = Waits::Write;
            ready!(self.poll_write(cx, input, to))?;
            if self.is_ended {
                return Poll::Ready(Ok(()));
            }
            if self.pipe.is_none() {
                self.plan(input)?;
                if self.is_ended || self.pending() > 0 {
                    continue;
                }
            }
            if let Some((from, to)) = self.spliceable(input, from, to) {
                ready!(self.poll_splice(cx, from, to))?;
                continue;
            }
            self.waits = Waits::Read;
            match ready!(input.poll_fill(cx, from)) {
                Ok(0) => self.close()?,
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(Broken::Truncated)),
            }
        }
    }

    /// The two sockets, if content may go from one to the other unseen and is enough to be worth
    /// it. All that was read before is written by now.
    fn spliceable<'a>(
        &mut self,
        input: &Buffer,
        from: &'a impl Stream,
        to: &'a impl Stream,
    ) -> Option<(&'a TcpStream, &'a TcpStream)> {
        let is_begun = self.pipe.is_some();
        let is_enough = self.body.content_ahead() >= self.splice_bytes_min
            && self.frames != Frames::Make
            && input.is_empty();
        if !is_begun && !is_enough {
            return None;
        }
        let (from, to) = (from.plain()?, to.plain()?);
        if !is_begun {
            match Pipe::take() {
                Ok(pipe) => self.pipe = Some(pipe),
                Err(error) => {
                    tracing::debug!(%error, "a body is copied: there is no pipe for it");
                    self.splice_bytes_min = u64::MAX;
                    return None;
                }
            }
        }
        Some((from, to))
    }

    /// Moves content for as long as it comes without framing.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<(), Broken>> {
        let mut moved = 0;
        while let Some(pipe) = &mut self.pipe {
            if !pipe.is_empty() {
                self.waits = Waits::Write;
                let bytes = ready!(pipe.poll_empty(cx, to)).map_err(|_| Broken::Unwritable)?;
                self.bytes_written += u64::try_from(bytes).unwrap_or(0);
                moved += bytes;
            } else if self.body.content_ahead() == 0 {
                self.pipe = None;
            } else if moved >= TURN_BYTES_MAX {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            } else {
                self.waits = Waits::Read;
                match ready!(pipe.poll_fill(cx, from, self.body.content_ahead())) {
                    Ok(bytes) if bytes > 0 => self.body.pass(u64::try_from(bytes).unwrap_or(0)),
                    // This kernel does not splice these sockets.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        (self.pipe, self.splice_bytes_min) = (None, u64::MAX);
                    }
                    Ok(_) | Err(_) => return Poll::Ready(Err(Broken::Truncated)),
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is planned.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Broken>> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            self.written += ready!(write_some(cx, to, rest)).map_err(|_| Broken::Unwritable)?;
        }
        if !self.out.is_empty() {
            self.bytes_written += u64::try_from(self.out.len()).unwrap_or(0);
            self.out.clear();
            self.written = 0;
        }
        while self.span > 0 {
            let rest = &input.unread()[..self.span];
            let bytes = ready!(write_some(cx, to, rest)).map_err(|_| Broken::Unwritable)?;
            input.consume(bytes);
            self.span -= bytes;
            self.bytes_written += u64::try_from(bytes).unwrap_or(0);
        }
        input.consume(std::mem::take(&mut self.skip));
        Poll::Ready(Ok(()))
    }

    /// Decides about the bytes in the buffer, up to the first that are left out.
    fn plan(&mut self, input: &mut Buffer) -> Result<(), Broken> {
        loop {
            let rest = &input.unread()[self.span + self.skip..];
            let piece = self.body.next(rest).map_err(Broken::Malformed)?;
            if self.body.bytes_min() > self.bytes_max {
                return Err(Broken::TooLarge);
            }
            match piece {
                Piece::Data(bytes) if self.frames == Frames::Make => {
                    write_chunk_start(&mut self.out, bytes);
                    self.out.extend_from_slice(&rest[..bytes]);
                    self.out.extend_from_slice(b"\r\n");
                    input.consume(bytes);
                    return Ok(());
                }
                Piece::Frame(bytes) if self.frames == Frames::Keep => self.span += bytes,
                Piece::Data(bytes) => self.span += bytes,
                Piece::Frame(bytes) | Piece::Skip(bytes) => {
                    self.skip += bytes;
                    if self.span > 0 {
                        return Ok(());
                    }
                    input.consume(std::mem::take(&mut self.skip));
                }
                Piece::More => return Ok(()),
                Piece::End => {
                    self.is_ended = true;
                    return Ok(());
                }
            }
        }
    }

    /// The sender closed.
    fn close(&mut self) -> Result<(), Broken> {
        if !self.body.ends_at_close() {
            return Err(Broken::Truncated);
        }
        if self.frames == Frames::Make {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
        self.is_ended = true;
        Ok(())
    }
}

fn write_some(
    cx: &mut Context<'_>,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(to).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(Ok(written)),
    }
}
