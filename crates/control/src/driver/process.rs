//! One instance as a process: started in a group of its own, watched to its end, cleared up after.
//! An instance counts as ended only when nothing that it started is left.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use model::{Command, InstanceId, Resources};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::task::JoinSet;

use super::census::{Tags, group_is_empty, group_runs, sweep};
use super::output::Stream;
use super::{Live, RUN_VARIABLE, Shared, exec, ports};
use crate::{Event, Exit, ExitStatus};

/// How long the rest of a group may take to be gone after SIGKILL. Beyond: reported in the log,
/// and the instance counts as ended; only the kernel can be holding it.
const TIMEOUT_GROUP: Duration = Duration::from_secs(5);
/// Between two looks at whether the group is gone.
const PAUSE_GROUP: Duration = Duration::from_millis(5);
/// Such looks before a closer one, which reads all of `/proc`.
const LOOKS_GROUP: u32 = 20;
/// How long output may still come after the end. Beyond: the rest is not read; somebody outside
/// of the instance holds the pipe.
pub(super) const TIMEOUT_OUTPUT: Duration = Duration::from_millis(500);
/// The exit code of an instance whose end could not be learnt, which only happens when somebody
/// else in this process waited for it.
const CODE_UNKNOWN: i32 = -1;

/// A process that was started, and what belongs to it.
pub(super) struct Process {
    child: Child,
    group: Pid,
    port: u16,
    stream: Stream,
    pipes: JoinSet<()>,
    /// Whether resources are enforced, if that is news.
    verdict: Option<Result<(), String>>,
}

/// Starts the process of an instance and returns at once.
///
/// # Errors
/// What was tried, what came back and what to do.
pub(super) fn start(
    shared: &Rc<Shared>,
    id: &InstanceId,
    command: &Command,
    resources: Resources,
) -> Result<Process, String> {
    let refused = |why: String| format!("cannot start {id}: {why}");
    let port = shared.ports.borrow_mut().take().map_err(|error| refused(error.to_string()))?;
    let group = shared.launcher.as_ref().and_then(|_| shared.groups.make(id, resources));
    let process = started(prepared(shared, id, command, port, group.as_deref()));
    let (mut child, group) = process.map_err(|error| {
        shared.ports.borrow_mut().release(port);
        refused(explained(shared, command, &error))
    })?;
    shared.children.add(child.id());
    shared.guard.borrow().add(group);
    shared.live.borrow_mut().insert(id.clone(), Live::Process(Some(group)));
    let stream = Stream::new(&shared.output, id);
    let mut pipes = JoinSet::new();
    if let Some(pipe) = child.stdout.take() {
        pipes.spawn_local(stream.clone().follow(pipe));
    }
    if let Some(pipe) = child.stderr.take() {
        pipes.spawn_local(stream.clone().follow(pipe));
    }
    Ok(Process { child, group, port, stream, pipes, verdict: shared.verdict(resources) })
}

/// Reports the start and the end of an instance. In between it only waits: signals are sent by
/// the driver, straight to the group.
pub(super) async fn attend(shared: Rc<Shared>, id: InstanceId, mut process: Process) {
    let (group, pid) = (process.group, process.child.id());
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, process.port));
    if let Some(verdict) = process.verdict.take() {
        shared.send(Event::Enforced(verdict)).await;
    }
    shared.send(Event::Started { id: id.clone(), addr, pid }).await;
    let status = to_exit_status(&id, process.child.wait().await);
    // Before anything else runs: the leader's pid is free from here on, and it names the group.
    kill_group(&id, group, Signal::KILL);
    shared.live.borrow_mut().insert(id.clone(), Live::Process(None));
    clear(&shared, &id, group).await;
    if tokio::time::timeout(TIMEOUT_OUTPUT, async {
        while process.pipes.join_next().await.is_some() {}
    })
    .await
    .is_err()
    {
        tracing::debug!(instance = %id, "stopped reading the output of an instance that ended");
    }
    shared.children.remove(pid);
    shared.guard.borrow().remove(group);
    let port_taken = match ports::is_free(process.port) {
        Ok(free) => !free,
        Err(error) => {
            tracing::warn!(%error, "could not test whether an instance's port was taken");
            false
        }
    };
    shared.ports.borrow_mut().release(process.port);
    shared.forget(&id);
    let exit = Exit { status, last_lines: process.stream.last_lines(), port_taken };
    shared.send(Event::Exited { id, exit }).await;
}

/// Clears up after a start that failed, in case it failed after there was a process, and reports.
pub(super) async fn fail(shared: Rc<Shared>, id: InstanceId, reason: String) {
    sweep_instance(&shared, &id).await;
    shared.send(Event::StartFailed { id, reason }).await;
}

/// Sends a signal to a group; that it is gone already is no error.
pub(super) fn kill_group(id: &InstanceId, group: Pid, signal: Signal) {
    match kill_process_group(group, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::error!(
            instance = %id, %error, ?signal,
            "could not signal an instance; was it started with the rights of another user?"
        ),
    }
}

/// Until nothing of the instance is left: neither in its group nor outside of it.
async fn clear(shared: &Shared, id: &InstanceId, group: Pid) {
    clear_group(id, group).await;
    sweep_instance(shared, id).await;
}

/// Until nothing of a group is left, which was killed already.
pub(super) async fn clear_group(id: &InstanceId, group: Pid) {
    let gone = async {
        loop {
            for _ in 0..LOOKS_GROUP {
                if group_is_empty(group) {
                    return;
                }
                tokio::time::sleep(PAUSE_GROUP).await;
            }
            // What is left may be zombies whose parent left the group and does not care.
            if !group_runs(group).await {
                return;
            }
            kill_group(id, group, Signal::KILL);
        }
    };
    if tokio::time::timeout(TIMEOUT_GROUP, gone).await.is_err() {
        tracing::error!(instance = %id, "processes of an instance did not end on SIGKILL");
    }
}

/// Nothing of an instance is left after it, its control group included.
async fn sweep_instance(shared: &Shared, id: &InstanceId) {
    let turn = shared.sweeps.acquire().await;
    let swept = sweep(Tags::of_instance(&shared.run, &id.to_string())).await;
    drop(turn);
    if swept.killed > 0 {
        tracing::info!(
            instance = %id, killed = swept.killed,
            "killed processes that had left the group of an instance"
        );
    }
    if !swept.clean {
        tracing::error!(instance = %id, "could not make sure that nothing of an instance is left");
    }
    shared.groups.remove(id);
}

/// A command for an instance, as far as all of them are alike: tied to Herder's life, in a group of
/// its own, and marked as the instance's. A launcher goes into the control group first.
pub(super) fn prepared(
    shared: &Shared,
    id: &InstanceId,
    command: &Command,
    port: u16,
    group: Option<&Path>,
) -> tokio::process::Command {
    let argv = command.argv.iter().map(|arg| arg.replace("{port}", &port.to_string()));
    let mut argv = argv.collect::<Vec<_>>().into_iter();
    let mut process = match &shared.launcher {
        Some(launcher) => {
            let mut process = tokio::process::Command::new(&launcher.program);
            process.args(&launcher.args).arg(std::process::id().to_string());
            process.args(group.map(exec::group_argument));
            process
        }
        None => tokio::process::Command::new(argv.next().unwrap_or_default()),
    };
    process
        .args(argv)
        .envs(&command.env)
        .env("PORT", port.to_string())
        .env("HERDER_INSTANCE", id.to_string())
        .env("HERDER_SERVICE", id.service.as_str())
        .env(RUN_VARIABLE, &shared.run)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(dir) = &command.dir {
        process.current_dir(dir);
    }
    process
}

/// Starts it.
pub(super) fn started(mut process: tokio::process::Command) -> io::Result<(Child, Pid)> {
    let child = process.spawn()?;
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    Ok((child, pid.expect("a child that nobody waited for has a pid, which is a positive i32")))
}

/// Why a process could not be started, and what to do about it.
pub(super) fn explained(shared: &Shared, command: &Command, error: &io::Error) -> String {
    if let Some(dir) = &command.dir {
        let name = dir.display();
        if !dir.is_dir() {
            return format!("its directory `{name}` does not exist; create it or correct `dir`");
        }
        if rustix::fs::access(dir, rustix::fs::Access::EXEC_OK).is_err() {
            return format!("its directory `{name}` is closed to this user; change its mode");
        }
    }
    let what = match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => {
            "no file descriptor is left; raise the limit (`ulimit -n`) or run fewer instances"
        }
        Some(Errno::AGAIN | Errno::NOMEM) => {
            "the system refuses another process; raise its limit (`ulimit -u`, or that of the \
             container), free memory, or run fewer instances"
        }
        _ => {
            let named = OsStr::new(command.argv.first().map_or("", String::as_str));
            let program = shared.launcher.as_ref().map_or(named, |l| l.program.as_os_str());
            return exec::explained(program, error);
        }
    };
    format!("{what} ({error})")
}

/// How a process ended, which was waited for with this outcome.
pub(super) fn to_exit_status(
    id: &InstanceId,
    ended: io::Result<std::process::ExitStatus>,
) -> ExitStatus {
    use std::os::unix::process::ExitStatusExt;
    let status = match ended {
        Ok(status) => status,
        Err(error) => {
            tracing::error!(instance = %id, %error, "lost the exit status of a process");
            return ExitStatus::Code(CODE_UNKNOWN);
        }
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Code(CODE_UNKNOWN),
    }
}
