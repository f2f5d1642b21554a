//! Commands that look at an instance: run like one, in a group that ends with the command.
//! What the end of one says about its instance is for the prober to judge.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use model::{Command, Endpoint, InstanceId, Service, Source};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::sync::{Notify, oneshot};

use super::Shared;
use super::lines::{Clean, cleaned};
use super::process::{
    TIMEOUT_OUTPUT, clear_group, explained, kill_group, prepared, started, to_exit_status,
};
use crate::ExitStatus;

/// Bytes of each stream that are kept. Beyond: read and thrown away.
const KEPT_BYTES: usize = 4 * 1024;
/// Bytes read of one stream at a time.
const READ_BYTES: usize = 4 * 1024;
/// After a read that filled the buffer: whoever writes faster waits in the pipe.
const READ_PAUSE: Duration = Duration::from_millis(1);
/// Characters of a line that are shown.
const LINE_MAX: usize = 200;

/// Runs commands that look at instances, one at a time for each instance.
pub(crate) struct Checks {
    shared: Rc<Shared>,
    running: Rc<Running>,
}

/// What came of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// The first line on its standard output that is not blank, or nothing.
    pub(crate) said: String,
    /// The same of its standard error.
    pub(crate) complained: String,
}

/// The instances for which a command runs, or has not quite ended.
#[derive(Default)]
struct Running {
    instances: RefCell<HashSet<InstanceId>>,
    ended: Notify,
}

/// An entry in that list.
struct Entry {
    id: InstanceId,
    running: Rc<Running>,
}

impl Checks {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self { shared, running: Rc::default() }
    }

    /// Runs a command to its end, with the environment and the directory that the instance has, if
    /// Herder started that. When this is dropped, the whole process group is killed.
    ///
    /// The inner error says why the command cannot be run.
    ///
    /// # Errors
    /// When Herder is short of something, such as a file descriptor.
    pub(crate) async fn run(
        &self,
        endpoint: &Endpoint,
        service: &Service,
        argv: &[String],
    ) -> io::Result<Result<Checked, String>> {
        let entry = self.enter(&endpoint.id).await;
        let command = Command {
            argv: argv.to_vec(),
            env: source(service).map(|it| it.env.clone()).unwrap_or_default(),
            dir: source(service).and_then(|it| it.dir.clone()),
        };
        let (child, group) = match self.start(endpoint, &command) {
            Ok(started) => started,
            Err(error) if is_ours(&error) => return Err(error),
            Err(error) => {
                let why = explained(&self.shared, &command, &error);
                return Ok(Err(format!("cannot be run: {why}")));
            }
        };
        let (told, checked) = oneshot::channel();
        tokio::task::spawn_local(attend(Rc::clone(&self.shared), entry, child, group, told));
        match checked.await {
            Ok(checked) => Ok(Ok(checked)),
            // Only when the thread ends.
            Err(_) => std::future::pending().await,
        }
    }

    fn start(&self, endpoint: &Endpoint, command: &Command) -> io::Result<(Child, Pid)> {
        let port = endpoint.addr.port();
        let mut process = prepared(&self.shared, &endpoint.id, command, port, None);
        process
            .env("HERDER_ADDRESS", endpoint.addr.to_string())
            .env("HERDER_HOST", endpoint.addr.ip().to_string())
            .env("HERDER_PORT", port.to_string());
        let (child, group) = started(process)?;
        self.shared.children.add(child.id());
        self.shared.guard.borrow().add(group);
        Ok((child, group))
    }

    /// Waits until no other command looks at the same instance: one that does not end though it was
    /// killed is held by the kernel, and more of them would not help.
    async fn enter(&self, id: &InstanceId) -> Entry {
        loop {
            let ended = self.running.ended.notified();
            if self.running.instances.borrow_mut().insert(id.clone()) {
                return Entry { id: id.clone(), running: Rc::clone(&self.running) };
            }
            ended.await;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.instances.borrow_mut().remove(&self.id);
        self.running.ended.notify_waiters();
    }
}

/// The command of the instances themselves.
fn source(service: &Service) -> Option<&Command> {
    match &service.source {
        Source::Command(command) => Some(command),
        Source::Static(_) => None,
    }
}

/// Until a command has ended, or nobody wants to know any more; then its whole group is killed.
async fn attend(
    shared: Rc<Shared>,
    entry: Entry,
    mut child: Child,
    group: Pid,
    mut told: oneshot::Sender<Checked>,
) {
    let pid = child.id();
    let mut said = Kept::of(child.stdout.take());
    let mut complained = Kept::of(child.stderr.take());
    let reading = async {
        tokio::join!(said.read(), complained.read());
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = told.closed() => None,
        () = reading => None,
    };
    // Before anything else runs: the leader's pid may be free from here on, and it names the group.
    kill_group(&entry.id, group, Signal::KILL);
    let ended = match ended {
        Some(ended) => ended,
        None => child.wait().await,
    };
    let rest = async { tokio::join!(said.read(), complained.read()) };
    if tokio::time::timeout(TIMEOUT_OUTPUT, rest).await.is_err() {
        tracing::debug!(instance = %entry.id, "stopped reading the output of a probe that ended");
    }
    clear_group(&entry.id, group).await;
    shared.children.remove(pid);
    shared.guard.borrow().remove(group);
    let status = to_exit_status(&entry.id, ended);
    let checked = Checked { status, said: said.line(), complained: complained.line() };
    if told.send(checked).is_err() {
        tracing::debug!(instance = %entry.id, "a command ended after nobody waited for it");
    }
}

/// The beginning of a stream.
struct Kept<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Kept<R> {
    fn of(pipe: Option<R>) -> Self {
        Self { pipe, bytes: Vec::new() }
    }

    /// Reads to the end. It may be dropped and begun again.
    async fn read(&mut self) {
        let mut buffer = vec![0; READ_BYTES];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(count) => {
                    let room = KEPT_BYTES.saturating_sub(self.bytes.len());
                    self.bytes.extend_from_slice(&buffer[..count.min(room)]);
                    if count == buffer.len() {
                        tokio::time::sleep(READ_PAUSE).await;
                    }
                }
            }
        }
    }

    /// The first line that is not blank, safe to show.
    fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut lines = text.lines().map(|line| cleaned(line, Clean::All));
        let line = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
        line.trim().chars().take(LINE_MAX).collect()
    }
}

/// Whether a command could not be started for lack of something of Herder's own.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN)
    )
}
