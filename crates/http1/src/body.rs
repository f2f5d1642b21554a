//! Where a body ends: by length, by chunks, or when the connection closes.
//! It looks at bytes and says what they are; moving them is the proxy's.

use crate::Refusal;
use crate::chunked::Chunked;

/// How a body is delimited on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// All bytes until the connection closes; responses only.
    UntilClose,
}

/// What the next bytes of the input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes of content.
    Data(usize),
    /// So many bytes of chunked framing, in the one form that everybody reads alike: to be passed
    /// on to a peer that reads chunks, left out for one that does not.
    Frame(usize),
    /// So many bytes to be left out for every peer: chunk extensions, forbidden trailers.
    Skip(usize),
    /// The first so many bytes are not enough to tell; read more.
    More,
    /// The body is over; the input from here on is not part of it.
    End,
}

/// Follows one body through its bytes.
#[derive(Clone, Debug)]
pub struct Body {
    state: State,
    data_bytes: u64,
}

#[derive(Clone, Debug)]
enum State {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Body {
    /// A body of which no byte was seen yet.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Length(0),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::default()),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, data_bytes: 0 }
    }

    /// What the first bytes of `input` are. The caller takes as many bytes off the input as the
    /// piece has, then asks again.
    ///
    /// # Errors
    /// [`Refusal::Chunk`] or [`Refusal::Trailer`]: nobody knows where the body ends.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        let piece = match &mut self.state {
            State::Length(0) => Piece::End,
            State::Length(_) | State::UntilClose if input.is_empty() => Piece::More,
            State::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= u64::try_from(taken).unwrap_or(*left);
                Piece::Data(taken)
            }
            State::UntilClose => Piece::Data(input.len()),
            State::Chunked(chunked) => chunked.next(input)?,
        };
        if let Piece::Data(bytes) = piece {
            self.data_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
        Ok(piece)
    }

    /// Whether the body is over when the connection closes now.
    pub fn ends_at_close(&self) -> bool {
        match &self.state {
            State::Length(left) => *left == 0,
            State::Chunked(chunked) => chunked.is_done(),
            State::UntilClose => true,
        }
    }

    /// Bytes of content that the body has at least: those so far, and those that its length or the
    /// size of the chunk at hand announces.
    pub fn bytes_min(&self) -> u64 {
        let announced = match &self.state {
            State::Length(left) => *left,
            State::Chunked(chunked) => chunked.announced_bytes(),
            State::UntilClose => 0,
        };
        self.data_bytes.saturating_add(announced)
    }

    /// Bytes of content that come next with nothing between them, as far as that is known.
    pub fn content_ahead(&self) -> u64 {
        match &self.state {
            State::Length(left) => *left,
            State::Chunked(chunked) => chunked.content_ahead(),
            State::UntilClose => 0,
        }
    }

    /// Told that so many of the bytes of [`Body::content_ahead`] were moved without being shown to
    /// [`Body::next`].
    pub fn pass(&mut self, bytes: u64) {
        let bytes = bytes.min(self.content_ahead());
        match &mut self.state {
            State::Length(left) => *left -= bytes,
            State::Chunked(chunked) => chunked.pass(bytes),
            State::UntilClose => {}
        }
        self.data_bytes += bytes;
    }

    /// Bytes of content that are still to come, if that is known: within chunks it is only at the
    /// end.
    pub fn left(&self) -> Option<u64> {
        match &self.state {
            State::Length(left) => Some(*left),
            State::Chunked(chunked) => chunked.is_done().then_some(0),
            State::UntilClose => None,
        }
    }

    /// Bytes of content so far.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }
}
