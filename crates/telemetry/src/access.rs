//! The access log: one line per request, written by one thread of its own.
//! A worker must never wait for it: what the sink cannot take is dropped and counted.

mod escape;
mod json;
mod line;
mod sink;
mod text;
mod writer;

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub use escape::FIELD_BYTES_MAX;
pub use line::Line;
pub use sink::Sink;
pub use writer::{AccessWriter, BATCH_BYTES};

use crate::Format;
use sink::SinkThread;

/// Batches that may wait for the sink, over all workers: 8 MiB, or 28 MiB when every line is as
/// long as can be. Beyond, a batch is dropped and its lines are counted as lost.
pub const QUEUE_BATCHES_MAX: usize = 256;

/// How long [`AccessLog::close`] waits for the sink.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The access log. Shared by whoever reopens, closes or counts; workers write through an
/// [`AccessWriter`] each.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// Lines that are not in the log, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The sink was too slow, and [`QUEUE_BATCHES_MAX`] batches were waiting; or it was closed.
    pub queue_full: u64,
    /// The sink failed, such as a full disk.
    pub write_failed: u64,
}

/// What the log, its writers and its thread share.
#[derive(Debug, Default)]
struct Shared {
    lost_queue_full: AtomicU64,
    lost_write_failed: AtomicU64,
    reopen: AtomicBool,
    close: AtomicBool,
}

/// What goes to the thread.
#[derive(Debug)]
enum Message {
    /// Lines to write.
    Batch(Batch),
    /// A flag in [`Shared`] was raised. When the queue is full this is not sent, and not needed:
    /// the thread looks at the flags after every message.
    Wake,
}

/// Lines of one worker.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    unwritten: Unwritten,
    /// Takes the empty buffer back to the worker.
    back: SyncSender<Vec<u8>>,
}

/// Counts its lines as lost when it is dropped, wherever that happens; [`Unwritten::take`] is the
/// way out.
#[derive(Debug)]
struct Unwritten {
    lines: u64,
    shared: Arc<Shared>,
}

impl AccessLog {
    /// Opens the sink and starts the thread that writes to it.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, naming it, or the thread cannot be started.
    pub fn open(format: Format, sink: Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (queue, messages) = mpsc::sync_channel(QUEUE_BATCHES_MAX);
        let (end, ended) = mpsc::sync_channel(0);
        let sink_thread = SinkThread::new(sink, messages, Arc::clone(&shared))?;
        thread::Builder::new().name("herder-access".to_owned()).spawn(move || {
            sink_thread.run();
            drop(end);
        })?;
        Ok(Self { format, queue, shared, ended: Mutex::new(ended) })
    }

    /// A writer for one worker.
    pub fn writer(&self) -> AccessWriter {
        AccessWriter::new(self.format, self.queue.clone(), Arc::clone(&self.shared))
    }

    /// Lines lost so far, whatever the reason.
    pub fn dropped(&self) -> u64 {
        let Lost { queue_full, write_failed } = self.lost();
        queue_full + write_failed
    }

    /// Lines lost so far, by reason.
    pub fn lost(&self) -> Lost {
        Lost {
            queue_full: self.shared.lost_queue_full.load(Ordering::Relaxed),
            write_failed: self.shared.lost_write_failed.load(Ordering::Relaxed),
        }
    }

    /// Opens the file anew under its path, after somebody moved it away. What is queued already
    /// goes to the old file or the new one. When the path cannot be opened, that is logged and the
    /// old file kept. Nothing happens with other sinks.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Writes what is queued, flushes the sink and ends the thread. Writers flush first; lines
    /// that they send later are counted as lost.
    ///
    /// # Errors
    /// When the sink did not take everything within [`CLOSE_TIMEOUT`].
    pub fn close(&self) -> io::Result<()> {
        self.close_within(CLOSE_TIMEOUT)
    }

    fn close_within(&self, timeout: Duration) -> io::Result<()> {
        self.shared.close.store(true, Ordering::Release);
        self.wake();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match ended.recv_timeout(timeout) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "the access log did not take its last lines within {timeout:?}; they may be \
                     missing from it; look at the disk or at the reader of the pipe"
                ),
            )),
        }
    }

    fn wake(&self) {
        match self.queue.try_send(Message::Wake) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Unwritten {
    /// How many lines, whose fate is the caller's from now on.
    fn take(&mut self) -> u64 {
        mem::take(&mut self.lines)
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.shared.lost_queue_full.fetch_add(self.lines, Ordering::Relaxed);
    }
}

impl Drop for AccessLog {
    /// Lets the thread end once it has written what is queued, without waiting for it.
    fn drop(&mut self) {
        self.shared.close.store(true, Ordering::Release);
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Blocks until the other end of its channel is gone.
    struct Blocked(Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_or(Ok(bytes.len()), |()| Ok(0))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn closing_gives_up_on_a_sink_that_takes_nothing() {
        let (release, blocked) = mpsc::sync_channel::<()>(0);
        let sink = Sink::Writer(Box::new(Blocked(blocked)));
        let log = AccessLog::open(Format::Text, sink).unwrap();
        let batch = Batch {
            bytes: b"a line\n".to_vec(),
            unwritten: Unwritten { lines: 1, shared: Arc::clone(&log.shared) },
            back: mpsc::sync_channel(1).0,
        };
        log.queue.send(Message::Batch(batch)).unwrap();
        let error = log.close_within(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(release);
        log.close().unwrap();
        assert_eq!(log.dropped(), 0);
    }
}
