//! A bounded byte buffer between a socket and the parser.
//! It only fills and empties; it never grows beyond the size that its maker named.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that one read may bring.
pub(crate) const READ_BYTES: usize = 16 * 1024;

/// Bytes that were read and not yet used: `bytes[start..end]`.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    bytes_max: usize,
}

impl Buffer {
    /// An empty buffer without memory. It holds `bytes_max` bytes at most, and at least one read.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, bytes_max: bytes_max.max(READ_BYTES) }
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Forgets all bytes.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Reads once behind what is there. Ready with 0 at the end of the stream.
    ///
    /// # Errors
    /// What the stream says; `StorageFull` when the buffer is full, which a caller that respects
    /// its own limits never sees.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            self.make_room()?;
        }
        let mut into = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(stream).poll_read(cx, &mut into))?;
        let read = into.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.bytes.len() < self.bytes_max {
            let bytes = (self.bytes.len() * 2).clamp(READ_BYTES, self.bytes_max);
            self.bytes.resize(bytes, 0);
        } else {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn fills_consumes_and_stays_within_its_bound() {
        let input: Vec<u8> = (0..=255).cycle().take(READ_BYTES * 3).collect();
        let mut stream = input.as_slice();
        let mut buffer = Buffer::new(READ_BYTES * 2);
        let mut fill =
            async |buffer: &mut Buffer| poll_fn(|cx| buffer.poll_fill(cx, &mut stream)).await;
        assert_eq!(fill(&mut buffer).await.unwrap(), READ_BYTES);
        assert_eq!(fill(&mut buffer).await.unwrap(), READ_BYTES);
        assert_eq!(fill(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        buffer.consume(READ_BYTES);
        assert_eq!(fill(&mut buffer).await.unwrap(), READ_BYTES);
        assert_eq!(buffer.unread(), &input[READ_BYTES..]);
        buffer.consume(usize::MAX);
        assert_eq!(fill(&mut buffer).await.unwrap(), 0);
        assert!(buffer.is_empty());
    }
}
