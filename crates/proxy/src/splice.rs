//! Bytes from one socket to another inside the kernel, through a pipe: splice(2).
//! It counts and does not look; the caller knows how many bytes may go this way.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What a pipe is asked to hold; the kernel gives less to a user who has many. Of 64 KiB, 256 KiB
/// and 1 MiB this cost the least per MiB.
const PIPE_BYTES: usize = 256 * 1024;
/// Empty pipes that a thread keeps. Beyond it they are closed after use.
const SPARE_MAX: usize = 16;

thread_local! {
    /// A pipe costs three system calls and two files; a body takes one that another has left.
    static SPARE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

/// Closes one of the pipes that are kept, the one that was kept the longest: at every tick, so that
/// soon after the last large body there is none.
pub(crate) fn prune() {
    SPARE.with_borrow_mut(|spare| {
        if !spare.is_empty() {
            drop(spare.remove(0));
        }
    });
}

/// A pipe on loan. With nothing in it, it is kept for the next; else it is closed.
#[derive(Debug)]
pub(crate) struct Pipe {
    ends: Option<Ends>,
    /// Bytes that are in it.
    held: usize,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// An empty pipe.
    ///
    /// # Errors
    /// What the kernel says, mostly that no more files may be opened.
    pub(crate) fn take() -> io::Result<Self> {
        let ends = match SPARE.with_borrow_mut(Vec::pop) {
            Some(ends) => ends,
            None => Ends::new()?,
        };
        Ok(Self { ends: Some(ends), held: 0 })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Fills the empty pipe with at most `bytes_max` bytes. Ready with 0 at the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        bytes_max: u64,
    ) -> Poll<io::Result<usize>> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(PIPE_BYTES);
        let into = &self.ends()?.write;
        let fill = || Ok(splice(from, None, into, None, bytes_max, SpliceFlags::NONBLOCK)?);
        loop {
            ready!(from.poll_read_ready(cx))?;
            match from.try_io(Interest::READABLE, fill) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(bytes) => {
                    self.held += bytes;
                    return Poll::Ready(Ok(bytes));
                }
            }
        }
    }

    /// Empties the pipe a little or wholly.
    pub(crate) fn poll_empty(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        let from = &self.ends()?.read;
        let empty = || Ok(splice(from, None, to, None, self.held, SpliceFlags::NONBLOCK)?);
        loop {
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, empty) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => {
                    self.held -= bytes;
                    return Poll::Ready(Ok(bytes));
                }
            }
        }
    }

    fn ends(&self) -> io::Result<&Ends> {
        self.ends.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Ends {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        if let Err(error) = fcntl_setpipe_size(&write, PIPE_BYTES) {
            tracing::debug!(%error, "a pipe keeps its default size");
        }
        Ok(Self { read, write })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take().filter(|_| self.held == 0) else {
            return;
        };
        // At the end of the thread the spare ones are gone before the last connection is.
        let kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(ends);
            }
        });
        if kept.is_err() {
            tracing::trace!("a pipe was closed at the end of its thread");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(connecting, listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_go_through_as_far_as_allowed_and_an_empty_pipe_is_used_again() {
        let ((mut sender, from), (to, mut receiver)) = (pair().await, pair().await);
        sender.write_all(b"hello, GET").await.unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &from, 7)).await.unwrap(), 7);
        assert!(!pipe.is_empty());
        assert_eq!(poll_fn(|cx| pipe.poll_empty(cx, &to)).await.unwrap(), 7);
        let mut heard = [0; 7];
        receiver.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello, ");
        drop(pipe);
        assert_eq!(SPARE.with_borrow(Vec::len), 1);

        let mut pipe = Pipe::take().unwrap();
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &from, 7)).await.unwrap(), 3);
        drop(pipe);
        assert_eq!(SPARE.with_borrow(Vec::len), 0, "what is in it belongs to nobody");

        drop(sender);
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &from, 7)).await.unwrap(), 0);
    }
}
