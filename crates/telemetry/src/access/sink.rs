//! The thread's end of the access log: batches from the queue into stdout, a file or a writer.
//! The only place that waits for the disk.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::{Batch, Message, QUEUE_BATCHES_MAX, Shared};

/// Access logs hold addresses of people: the group may read them, others may not.
const FILE_MODE: u32 = 0o640;

/// Where the access log goes.
pub enum Sink {
    /// Standard output.
    Stdout,
    /// The end of a file, which is created if need be.
    File(PathBuf),
    /// Anything else.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sink::Stdout => f.write_str("Stdout"),
            Sink::File(path) => f.debug_tuple("File").field(path).finish(),
            Sink::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// What the thread owns.
pub(super) struct SinkThread {
    out: Box<dyn Write + Send>,
    /// Only of a file.
    path: Option<PathBuf>,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    /// Lines lost since writing began to fail; zero while it works.
    failing: u64,
}

impl SinkThread {
    /// Opens the sink.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn new(
        sink: Sink,
        messages: Receiver<Message>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let (out, path): (Box<dyn Write + Send>, _) = match sink {
            Sink::Stdout => (Box::new(io::stdout()), None),
            Sink::File(path) => (Box::new(open(&path)?), Some(path)),
            Sink::Writer(out) => (out, None),
        };
        Ok(Self { out, path, messages, shared, failing: 0 })
    }

    /// Writes until the log is closed, or it and all its writers are gone.
    pub(super) fn run(mut self) {
        while let Ok(message) = self.messages.recv() {
            self.take(message);
            if self.shared.close.load(Ordering::Acquire) {
                self.drain();
                return;
            }
        }
    }

    /// What was queued when the log was closed; no more than the queue holds, so that a worker
    /// that goes on cannot keep the thread alive. What remains is dropped, and thereby counted.
    fn drain(&mut self) {
        for _ in 0..QUEUE_BATCHES_MAX {
            match self.messages.try_recv() {
                Ok(message) => self.take(message),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, message: Message) {
        if self.shared.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        if let Message::Batch(batch) = message {
            self.write(batch);
        }
    }

    fn write(&mut self, mut batch: Batch) {
        // A failed write may have left half a line: the next one shall not be glued to it.
        let separator: &[u8] = if self.failing > 0 { b"\n" } else { b"" };
        let written = self.out.write_all(separator).and_then(|()| self.out.write_all(&batch.bytes));
        let lines = batch.unwritten.take();
        batch.give_back();
        match written.and_then(|()| self.out.flush()) {
            Ok(()) => self.worked(),
            Err(error) => self.failed(lines, &error),
        }
    }

    fn worked(&mut self) {
        if self.failing > 0 {
            tracing::info!(lost_lines = self.failing, "access log was written again");
            self.failing = 0;
        }
    }

    fn failed(&mut self, lines: u64, error: &io::Error) {
        if self.failing == 0 {
            tracing::error!(%error, "access log could not be written; lines are lost until it can");
        }
        self.failing += lines;
        self.shared.lost_write_failed.fetch_add(lines, Ordering::Relaxed);
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        match open(path) {
            Ok(file) => {
                self.out = Box::new(file);
                tracing::info!(path = %path.display(), "access log was reopened");
            }
            Err(error) => {
                tracing::error!(%error, "access log was not reopened; the old file is kept");
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path);
    file.map_err(|error| {
        let path = path.display();
        let text = format!(
            "access log {path}: {error}; name a file that Herder may append to, in a directory \
             that exists"
        );
        io::Error::new(error.kind(), text)
    })
}
