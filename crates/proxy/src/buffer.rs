//! A bounded byte buffer between a socket and the parser.
//! It only fills and empties; it has memory only while it holds bytes, and never more than the size
//! that its maker named.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that one read may bring. More at a time costs more per byte: what is read is written again
/// while it is still in the processor's cache.
pub(crate) const READ_BYTES: usize = 16 * 1024;
/// Blocks of [`READ_BYTES`] that a thread keeps for the next reader, 4 MiB. Beyond it they are
/// given back.
const SPARE_MAX: usize = 256;

thread_local! {
    /// A connection that waits needs no memory, and the next one to read gets what another has just
    /// left: it is in the cache. Borrowed while a stream is read, so a stream has no [`Buffer`].
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Where nothing is kept.
const NOTHING: usize = usize::MAX;

/// Bytes that were read and not yet used: `bytes[start..end]`. Without any, it has no memory,
/// unless it keeps those that were used.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Not empty unless there is nothing unread and nothing kept.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    bytes_max: usize,
    /// Where the bytes begin that are kept although they are used.
    kept: usize,
    /// What may be there beyond `bytes_max` while bytes are kept.
    kept_bytes_max: usize,
}

impl Buffer {
    /// An empty buffer. It holds `bytes_max` bytes at most, and at least one read.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.max(READ_BYTES);
        let bytes = Vec::new();
        Self { bytes, start: 0, end: 0, bytes_max, kept: NOTHING, kept_bytes_max: 0 }
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
        if self.is_empty() && !self.keeps() {
            self.clear();
        }
    }

    /// From now on bytes that are used are kept, until they are more than `bytes_max` and what a
    /// head may have. Costs nothing but that the memory is not free for others.
    pub(crate) fn keep(&mut self, bytes_max: usize) {
        (self.kept, self.kept_bytes_max) = (self.start, bytes_max);
    }

    /// Whether all bytes are there since [`Buffer::keep`].
    pub(crate) fn keeps(&self) -> bool {
        self.kept != NOTHING
    }

    /// Makes the bytes that are kept unread again. Whether there were any to be kept.
    pub(crate) fn take_back(&mut self) -> bool {
        let is_kept = self.keeps();
        if is_kept {
            self.start = std::mem::replace(&mut self.kept, NOTHING);
        }
        is_kept
    }

    /// Bytes that are used are forgotten again.
    pub(crate) fn let_go(&mut self) {
        if self.keeps() {
            self.kept = NOTHING;
            self.consume(0);
        }
    }

    /// Forgets all bytes.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end, self.kept) = (0, 0, NOTHING);
        if !self.bytes.is_empty() {
            give_back(std::mem::take(&mut self.bytes));
        }
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
        if self.bytes.is_empty() {
            return self.poll_begin(cx, stream);
        }
        if self.end == self.bytes.len() {
            self.make_room()?;
        }
        let read = ready!(poll_read(cx, stream, &mut self.bytes[self.end..]))?;
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Reads into a spare block, and takes it only if there was something to read.
    fn poll_begin(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        SPARE.with_borrow_mut(|spare| {
            if spare.is_empty() {
                spare.push(vec![0; READ_BYTES]);
            }
            let block = spare.last_mut().map_or(&mut [][..], |block| block);
            let read = ready!(poll_read(cx, stream, block))?;
            if read > 0 {
                self.bytes = spare.pop().unwrap_or_default();
                self.end = read;
            }
            Poll::Ready(Ok(read))
        })
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.keeps() {
            let bytes_max = self.bytes_max.saturating_add(self.kept_bytes_max);
            if self.bytes.len() < bytes_max {
                self.bytes.resize((self.bytes.len() * 2).min(bytes_max), 0);
                return Ok(());
            }
            self.kept = NOTHING;
        }
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

impl Drop for Buffer {
    fn drop(&mut self) {
        self.clear();
    }
}

fn poll_read(
    cx: &mut Context<'_>,
    stream: &mut (impl AsyncRead + Unpin),
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut into = ReadBuf::new(into);
    ready!(Pin::new(stream).poll_read(cx, &mut into))?;
    Poll::Ready(Ok(into.filled().len()))
}

/// Keeps a block; what has grown beyond one is freed.
fn give_back(block: Vec<u8>) {
    if block.len() != READ_BYTES {
        return;
    }
    // At the end of the thread the spare ones are gone before the last connection is.
    let kept = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(block);
        }
    });
    if kept.is_err() {
        tracing::trace!("a block was freed at the end of its thread");
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

    #[tokio::test]
    async fn what_is_kept_is_there_again_unless_it_was_too_much() {
        let input: Vec<u8> = (0..=255).cycle().take(READ_BYTES * 4).collect();
        let mut stream = input.as_slice();
        let mut buffer = Buffer::new(READ_BYTES);
        let mut fill =
            async |buffer: &mut Buffer| poll_fn(|cx| buffer.poll_fill(cx, &mut stream)).await;
        assert_eq!(fill(&mut buffer).await.unwrap(), READ_BYTES);
        buffer.consume(10);
        buffer.keep(READ_BYTES);
        buffer.consume(usize::MAX);
        assert!(buffer.is_empty() && buffer.keeps());
        assert_eq!(fill(&mut buffer).await.unwrap(), READ_BYTES);
        buffer.consume(5);
        assert!(buffer.take_back() && !buffer.take_back());
        assert!(buffer.unread() == &input[10..READ_BYTES * 2]);
        buffer.keep(READ_BYTES);
        buffer.consume(READ_BYTES * 2 - 20);
        assert_eq!(buffer.unread().len(), 10);
        assert_eq!(fill(&mut buffer).await.unwrap(), READ_BYTES * 2 - 10);
        assert!(!buffer.keeps());
        assert!(buffer.unread() == &input[READ_BYTES * 2 - 10..READ_BYTES * 4 - 10]);
        buffer.let_go();
        buffer.keep(READ_BYTES);
        buffer.consume(usize::MAX);
        buffer.let_go();
        assert!(buffer.is_empty() && buffer.bytes.capacity() == 0);
    }

    #[tokio::test]
    async fn an_empty_buffer_has_no_memory_and_leaves_its_block_to_the_next() {
        let spare = || SPARE.with_borrow(Vec::len);
        let mut buffer = Buffer::new(READ_BYTES);
        let (mut near, mut far) = tokio::io::duplex(64);
        let waits = poll_fn(|cx| Poll::Ready(buffer.poll_fill(cx, &mut near).is_pending())).await;
        assert!(waits && buffer.bytes.capacity() == 0);
        assert_eq!(spare(), 1);
        tokio::io::AsyncWriteExt::write_all(&mut far, b"hello").await.unwrap();
        assert_eq!(poll_fn(|cx| buffer.poll_fill(cx, &mut near)).await.unwrap(), 5);
        assert_eq!(spare(), 0);
        buffer.consume(4);
        assert_eq!((buffer.unread(), spare()), (&b"o"[..], 0));
        buffer.consume(1);
        assert_eq!((buffer.bytes.capacity(), spare()), (0, 1));
    }
}
