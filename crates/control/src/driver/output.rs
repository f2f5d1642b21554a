//! What instances write: line by line behind a prefix to one sink, and the last lines kept.
//! It never makes Herder or an instance wait for the sink: what the sink cannot take is dropped
//! and counted, and the count is shown.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use model::InstanceId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::oneshot;

use super::lines::{Clean, Lines, cleaned};

/// Lines that wait for the sink. Beyond: dropped and counted.
const LINES_QUEUED_MAX: usize = 1024;
/// Bytes read of one stream at a time.
const READ_BYTES: usize = 16 * 1024;
/// After a read that filled the buffer: one stream gets no more than 16 MB/s of the control
/// thread's attention, and whoever writes faster waits in the pipe.
const READ_PAUSE: Duration = Duration::from_millis(1);
/// How long the sink may take to write what is queued when Herder ends. Beyond: left unwritten.
const TIMEOUT_CLOSE: Duration = Duration::from_secs(1);
/// Colours of prefixes by instance number: cyan, yellow, green, magenta, blue, bright cyan; red
/// looks like an error.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 96];

/// Where the lines of all instances go.
pub struct Sink {
    writer: Box<dyn Write + Send>,
    colour: Colour,
}

/// Whether prefixes are coloured, and whether the colours of instances are let through. All other
/// escape sequences of instances are removed in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Yes.
    On,
    /// Plain text only.
    Off,
}

/// The way from the instances to the sink.
pub(super) struct Output {
    colour: Colour,
    lines_kept: usize,
    /// None once closed.
    queue: RefCell<Option<SyncSender<Vec<u8>>>>,
    dropped: Arc<AtomicU64>,
    /// Resolves when the writer has ended.
    written: RefCell<Option<oneshot::Receiver<()>>>,
}

/// The output of one instance, both of its streams.
#[derive(Clone)]
pub(super) struct Stream {
    output: Rc<Output>,
    prefix: Rc<str>,
    kept: Rc<RefCell<VecDeque<String>>>,
}

impl Sink {
    /// Standard output, coloured when it is a terminal and `NO_COLOR` is unset or empty.
    pub fn stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let coloured = io::stdout().is_terminal() && !plain;
        Self::new(io::stdout(), if coloured { Colour::On } else { Colour::Off })
    }

    /// Any writer. It may block: it has a thread of its own.
    pub fn new(writer: impl Write + Send + 'static, colour: Colour) -> Self {
        Self { writer: Box::new(writer), colour }
    }
}

impl Output {
    /// Starts the thread that writes to the sink; `lines_kept` is per instance.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn start(sink: Sink, lines_kept: usize) -> io::Result<Self> {
        let (queue, lines) = sync_channel(LINES_QUEUED_MAX);
        let (ended, written) = oneshot::channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let colour = sink.colour;
        std::thread::Builder::new().name("output".into()).spawn(move || {
            if let Err(error) = write_lines(BufWriter::new(sink.writer), &lines, &counter) {
                tracing::warn!(%error, "stopped showing what instances write");
            }
            // Dropping it is the message.
            drop(ended);
        })?;
        let (queue, written) = (RefCell::new(Some(queue)), RefCell::new(Some(written)));
        Ok(Self { colour, lines_kept, queue, dropped, written })
    }

    /// Waits, for a bounded time, until the sink has everything. Lines after this are dropped.
    pub(super) async fn close(&self) {
        self.queue.take();
        let Some(written) = self.written.take() else { return };
        if tokio::time::timeout(TIMEOUT_CLOSE, written).await.is_err() {
            tracing::warn!(
                "the last lines of instances were not shown: the terminal does not read"
            );
        }
    }

    fn send(&self, line: Vec<u8>) {
        let refused = match self.queue.borrow().as_ref() {
            Some(queue) => matches!(queue.try_send(line), Err(TrySendError::Full(_))),
            None => false,
        };
        if refused {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Stream {
    /// The output of one instance.
    pub(super) fn new(output: &Rc<Output>, id: &InstanceId) -> Self {
        let prefix = match output.colour {
            Colour::On => {
                let turn = id.number.saturating_sub(1) as usize;
                format!("\x1b[{}m{id} | \x1b[0m", COLOURS[turn % COLOURS.len()])
            }
            Colour::Off => format!("{id} | "),
        };
        Self { output: Rc::clone(output), prefix: prefix.into(), kept: Rc::default() }
    }

    /// Reads one stream of the instance to its end. Dropping it loses what was not read, and
    /// nothing that was.
    pub(super) async fn follow(self, mut pipe: impl AsyncRead + Unpin) {
        let mut lines = Lines::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match pipe.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => {
                    lines.feed(&buffer[..read], &mut |line| self.line(line));
                    if read == buffer.len() {
                        tokio::time::sleep(READ_PAUSE).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "lost the output of an instance");
                    break;
                }
            }
        }
        lines.end(&mut |line| self.line(line));
    }

    /// The last lines so far, oldest first, plain.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.kept.borrow().iter().cloned().collect()
    }

    fn line(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let plain = cleaned(&line, Clean::All);
        let shown = match self.output.colour {
            Colour::On => cleaned(&line, Clean::AllButColours),
            Colour::Off => plain.clone(),
        };
        self.output.send(format!("{}{shown}\n", self.prefix).into_bytes());
        let mut kept = self.kept.borrow_mut();
        kept.push_back(plain);
        if kept.len() > self.output.lines_kept {
            kept.pop_front();
        }
    }
}

/// Until all senders are gone, or the sink fails.
fn write_lines(
    mut sink: BufWriter<Box<dyn Write + Send>>,
    lines: &Receiver<Vec<u8>>,
    dropped: &AtomicU64,
) -> io::Result<()> {
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => return sink.flush(),
            Err(TryRecvError::Empty) => {
                sink.flush()?;
                let Ok(line) = lines.recv() else { return Ok(()) };
                line
            }
        };
        sink.write_all(&line)?;
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writeln!(sink, "herder | … {lost} lines dropped: they came faster than they are read")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard};

    use super::*;

    /// A sink that tests can look into, and block by holding its lock.
    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }

        fn text(&self) -> String {
            String::from_utf8(self.lock().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(captured: &Captured, colour: Colour, lines_kept: usize) -> Rc<Output> {
        Rc::new(Output::start(Sink::new(captured.clone(), colour), lines_kept).unwrap())
    }

    fn id(text: &str) -> InstanceId {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn prefixes_lines_and_keeps_the_last() {
        let captured = Captured::default();
        let output = output(&captured, Colour::Off, 2);
        let stream = Stream::new(&output, &id("shop.1"));
        stream.clone().follow(&b"a\nb\r\n\x1b[31mc\x1b[0m\nlast \xff"[..]).await;
        assert_eq!(stream.last_lines(), ["c", "last \u{fffd}"]);
        output.close().await;
        assert_eq!(captured.text(), "shop.1 | a\nshop.1 | b\nshop.1 | c\nshop.1 | last \u{fffd}\n");
    }

    #[tokio::test]
    async fn colours_prefixes_by_number() {
        let captured = Captured::default();
        let output = output(&captured, Colour::On, 1);
        for name in ["shop.1", "shop.2", "shop.7"] {
            Stream::new(&output, &id(name)).follow(&b"\x1b[2J\x1b[1mx\n"[..]).await;
        }
        output.close().await;
        let expected: String = [(36, 1), (33, 2), (36, 7)]
            .map(|(c, n)| format!("\x1b[{c}mshop.{n} | \x1b[0m\x1b[1mx\x1b[0m\n"))
            .concat();
        assert_eq!(captured.text(), expected);
    }

    #[tokio::test]
    async fn a_sink_that_does_not_read_costs_lines_and_no_time() {
        let captured = Captured::default();
        let output = output(&captured, Colour::Off, 3);
        let stream = Stream::new(&output, &id("shop.1"));
        let lines_sent = 4 * LINES_QUEUED_MAX;
        {
            let _stuck = captured.lock();
            let filler = "x".repeat(100);
            for n in 0..lines_sent {
                stream.line(format!("{n} {filler}").as_bytes());
            }
            assert!(stream.last_lines()[2].starts_with(&format!("{} ", lines_sent - 1)));
        }
        output.close().await;

        let text = captured.text();
        let shown = text.lines().filter(|line| line.starts_with("shop.1")).count();
        let dropped: usize = text
            .lines()
            .filter_map(|line| line.strip_prefix("herder | … ")?.split(' ').next()?.parse().ok())
            .inspect(|&n: &usize| assert!(n > 0))
            .sum();
        assert!(shown >= LINES_QUEUED_MAX, "{shown}");
        assert_eq!(shown + dropped, lines_sent);
    }

    #[tokio::test]
    async fn a_sink_that_fails_ends_the_showing_only() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let output = Rc::new(Output::start(Sink::new(Broken, Colour::Off), 1).unwrap());
        let stream = Stream::new(&output, &id("shop.1"));
        stream.clone().follow(&b"a\nb\n"[..]).await;
        output.close().await;
        assert_eq!(stream.last_lines(), ["b"]);
    }
}
