//! The worker's end of the access log: lines into a buffer, full buffers into the queue.
//! It never waits, and allocates only until its buffers have come back once.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};

use super::line::Line;
use super::text::{self, Clock};
use super::{Batch, Message, Shared, Unwritten, json};
use crate::Format;

/// Bytes from which a worker sends its buffer without waiting for its next tick: about 100 lines.
pub const BATCH_BYTES: usize = 32 * 1024;

/// Empty buffers kept for one worker. Further ones are freed.
const SPARES_MAX: usize = 4;

/// Bytes from which a buffer is freed and not kept: somebody sent very long lines.
const SPARE_BYTES_MAX: usize = 2 * BATCH_BYTES;

/// Where one worker writes its lines. Dropping it flushes.
#[derive(Debug)]
pub struct AccessWriter {
    format: Format,
    clock: Clock,
    bytes: Vec<u8>,
    lines: u64,
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    spare: Receiver<Vec<u8>>,
    back: SyncSender<Vec<u8>>,
}

impl AccessWriter {
    pub(super) fn new(format: Format, queue: SyncSender<Message>, shared: Arc<Shared>) -> Self {
        let (back, spare) = mpsc::sync_channel(SPARES_MAX);
        let (clock, bytes) = (Clock::default(), buffer());
        Self { format, clock, bytes, lines: 0, queue, shared, spare, back }
    }

    /// Adds one line. Sends what has gathered once that is [`BATCH_BYTES`].
    pub fn line(&mut self, line: &Line<'_>) {
        match self.format {
            Format::Text => text::write(&mut self.bytes, &mut self.clock, line),
            Format::Json => json::write(&mut self.bytes, &mut self.clock, line),
        }
        self.lines += 1;
        if self.bytes.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Sends what has gathered, for the worker's tick. When the queue is full the lines are
    /// dropped and counted.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let lines = mem::take(&mut self.lines);
        let bytes = mem::take(&mut self.bytes);
        let unwritten = Unwritten { lines, shared: Arc::clone(&self.shared) };
        let batch = Batch { bytes, unwritten, back: self.back.clone() };
        self.bytes = match self.queue.try_send(Message::Batch(batch)) {
            Ok(()) => self.spare.try_recv().unwrap_or_else(|_| buffer()),
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                emptied(message)
            }
        };
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Batch {
    /// Gives the buffer back to its worker, unless that has enough or the buffer is oversized.
    pub(super) fn give_back(self) {
        let Batch { mut bytes, back, .. } = self;
        if bytes.capacity() > SPARE_BYTES_MAX {
            return;
        }
        bytes.clear();
        match back.try_send(bytes) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// An empty buffer with room for a batch and the line that fills it.
fn buffer() -> Vec<u8> {
    Vec::with_capacity(BATCH_BYTES + 4096)
}

/// The buffer of a message that could not be sent; its lines are lost.
fn emptied(message: Message) -> Vec<u8> {
    match message {
        Message::Batch(Batch { mut bytes, .. }) if bytes.capacity() <= SPARE_BYTES_MAX => {
            bytes.clear();
            bytes
        }
        Message::Batch(_) | Message::Wake => buffer(),
    }
}
