//! Orphans of instances: Herder adopts them, so that none stays a zombie and none is overlooked.
//! It never waits for a process that tokio waits for, nor for children of Herder's own group.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpgrp, getpid, kill_process, set_child_subreaper, waitpid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::census::{Process, processes};

/// From the news that a child ended to the look: tokio takes its own meanwhile, and a group that
/// is killed at once costs one look and not fifty.
const PAUSE_REAP: Duration = Duration::from_millis(20);
/// Looks at the end, each of which kills the strays it finds.
const STRAY_ROUNDS_MAX: u32 = 20;

/// The children that tokio waits for: to reap one of them would lose its exit status.
#[derive(Default)]
pub(super) struct Children(RefCell<HashSet<Pid>>);

/// Reaps adopted orphans until it is dropped.
pub(super) struct Reaper {
    children: Rc<Children>,
    /// Children that were there before: whoever became Herder by `exec` started them.
    inherited: HashSet<Pid>,
    task: JoinHandle<()>,
}

impl Children {
    pub(super) fn add(&self, pid: Option<u32>) {
        self.0.borrow_mut().extend(to_pid(pid));
    }

    pub(super) fn remove(&self, pid: Option<u32>) {
        if let Some(pid) = to_pid(pid) {
            self.0.borrow_mut().remove(&pid);
        }
    }

    fn contains(&self, pid: Pid) -> bool {
        self.0.borrow().contains(&pid)
    }
}

impl Reaper {
    /// Makes this process the parent of every orphan below it, and starts to reap them.
    ///
    /// # Errors
    /// When the system refuses, or `/proc` cannot be read.
    pub(super) fn start(children: &Rc<Children>) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let inherited = processes()?.iter().filter(|p| is_child(p)).map(|p| p.pid).collect();
        let mut ended = signal(SignalKind::child())?;
        let known = Rc::clone(children);
        let task = tokio::task::spawn_local(async move {
            while ended.recv().await.is_some() {
                tokio::time::sleep(PAUSE_REAP).await;
                adopted(&known).await.iter().filter(|p| p.zombie).for_each(|p| reap(p.pid));
            }
        });
        Ok(Self { children: Rc::clone(children), inherited, task })
    }

    /// Kills what instances left behind and no sweep could find, because it left its group and
    /// wrote over its environment. How many signals that took. Only for the very end: an orphan
    /// does not show whose it was, so any of them may belong to an instance that runs.
    pub(super) async fn kill_strays(&self) -> usize {
        let mut killed = 0;
        // What pid 1 adopts need not come from Herder, and ends with it anyway.
        if getpid().is_init() {
            return killed;
        }
        for _ in 0..STRAY_ROUNDS_MAX {
            let mut strays = adopted(&self.children).await;
            strays.retain(|stray| !self.inherited.contains(&stray.pid));
            strays.iter().filter(|p| p.zombie).for_each(|p| reap(p.pid));
            strays.retain(|stray| !stray.zombie);
            if strays.is_empty() {
                break;
            }
            // A pid of a child of ours is not given to others before we reap it.
            killed += strays.iter().filter(|s| kill_process(s.pid, Signal::KILL).is_ok()).count();
            tokio::time::sleep(PAUSE_REAP).await;
        }
        killed
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Children of this process that nobody here started.
async fn adopted(children: &Children) -> Vec<Process> {
    let all = match tokio::task::spawn_blocking(processes).await {
        Ok(Ok(all)) => all,
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not read /proc to reap orphans");
            Vec::new()
        }
        // Only when the runtime is being shut down.
        Err(_) => Vec::new(),
    };
    let is_adopted = |p: &Process| is_child(p) && !children.contains(p.pid);
    all.into_iter().filter(is_adopted).collect()
}

/// Children in Herder's own group are not instances' doing: they were started by other code in
/// this process, which waits for them.
fn is_child(process: &Process) -> bool {
    process.parent == Some(getpid()) && process.group != Some(getpgrp())
}

fn reap(pid: Pid) {
    match waitpid(Some(pid), WaitOptions::NOHANG) {
        // ECHILD: a failed start, whose child the standard library reaped meanwhile.
        Ok(_) | Err(Errno::CHILD) => {}
        Err(error) => {
            tracing::warn!(%error, pid = pid.as_raw_nonzero(), "could not reap an orphan");
        }
    }
}

fn to_pid(pid: Option<u32>) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid?).ok()?)
}
