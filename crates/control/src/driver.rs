//! Instances as the outside world has them: started, signalled, reported, and cleared up after.
//! It decides nothing: the plan says what to start and stop, events say what came of it.

mod census;
mod check;
pub mod exec;
mod groups;
pub mod guard;
mod lines;
mod output;
mod ports;
mod process;
mod reaper;
mod statics;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{InstanceId, Resources, Service, Source};
use rustix::process::{Pid, Signal};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

pub(crate) use self::check::{Checked, Checks};
pub use self::output::{Colour, Sink};

use self::census::{Tags, sweep};
use self::groups::Groups;
use self::guard::Guard;
use self::output::Output;
use self::ports::Ports;
use self::reaper::{Children, Reaper};
use crate::Event;

/// The variable by which everything that one Herder started is found: a random token per run.
const RUN_VARIABLE: &str = "HERDER_RUN";
/// Sweeps over `/proc` at the same time, so that many ends at once do not take every core.
const SWEEPS_MAX: usize = 2;
/// How long instances may take to be gone at the very end, after they were killed. Beyond: the
/// guard is left to finish the work.
const TIMEOUT_CLOSE: Duration = Duration::from_secs(10);

/// What the driver needs to know; it stays the same while Herder runs.
pub struct DriverSettings {
    /// What processes are started through, so that they end with Herder; the body is
    /// [`exec::main`]. None starts them directly, without that tie.
    pub launcher: Option<Launcher>,
    /// How the guard process is started; the body is [`guard::main`]. None does without: then
    /// what instances start themselves survives a SIGKILL of Herder.
    pub guard: Option<Launcher>,
    /// First and last of the ports that instances get.
    pub ports: (u16, u16),
    /// Where the output of instances goes.
    pub output: Sink,
    /// Lines kept of each instance, to be shown when it ends.
    pub lines_kept: usize,
    /// Whether Herder adopts what instances leave behind.
    pub orphans: Orphans,
}

/// A program and its first arguments, which run a hidden subcommand of Herder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// What comes before the arguments of the subcommand.
    pub args: Vec<OsString>,
}

/// What happens to processes whose parent within an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// This process becomes their parent, and reaps every child outside of its own process group
    /// that the driver did not start. For a process that starts children through one driver only.
    Adopt,
    /// They go to whoever the system gives them to.
    Leave,
}

/// Starts and stops instances. Everything it does runs on the thread that made it, in its
/// `LocalSet`: instances are tied to the life of that thread. Dropping it kills them all.
pub struct Driver {
    shared: Rc<Shared>,
    reaper: Option<Reaper>,
    /// One task per instance.
    tasks: JoinSet<()>,
}

/// What the tasks of all instances use.
struct Shared {
    events: mpsc::Sender<Event>,
    launcher: Option<Launcher>,
    run: String,
    live: RefCell<BTreeMap<InstanceId, Live>>,
    children: Rc<Children>,
    ports: RefCell<Ports>,
    output: Rc<Output>,
    guard: RefCell<Guard>,
    groups: Groups,
    /// Whether it was told whether resources are enforced.
    is_verdict_told: Cell<bool>,
    sweeps: Semaphore,
}

/// What it takes to stop an instance.
enum Live {
    /// Its process group; none when its leader ended and the rest is being cleared up.
    Process(Option<Pid>),
    /// Tells that the address is let go.
    Static(Rc<Notify>),
}

impl Launcher {
    /// A hidden subcommand of this very program, even when its file was replaced meanwhile.
    pub fn of_self(subcommand: &str) -> Self {
        Self { program: "/proc/self/exe".into(), args: vec![subcommand.into()] }
    }
}

impl Driver {
    /// A driver that reports to `events`. `seed` decides where the search for ports begins.
    /// Call it within the `LocalSet` of the thread that it is to live on.
    ///
    /// # Errors
    /// When the guard, the output thread or the adoption of orphans cannot be started.
    pub fn start(
        settings: DriverSettings,
        events: mpsc::Sender<Event>,
        seed: u64,
    ) -> io::Result<Self> {
        let children = Rc::new(Children::default());
        let reaper = match settings.orphans {
            Orphans::Adopt => Some(Reaper::start(&children)?),
            Orphans::Leave => None,
        };
        let run = token();
        let guard = Guard::start(settings.guard, &run, &children)?;
        let shared = Shared {
            events,
            launcher: settings.launcher,
            run,
            live: RefCell::default(),
            children,
            ports: RefCell::new(Ports::new(settings.ports, seed)),
            output: Rc::new(Output::start(settings.output, settings.lines_kept)?),
            guard: RefCell::new(guard),
            groups: Groups::default(),
            is_verdict_told: Cell::new(false),
            sweeps: Semaphore::new(SWEEPS_MAX),
        };
        Ok(Self { shared: Rc::new(shared), reaper, tasks: JoinSet::new() })
    }

    /// What runs commands that look at instances. It may outlive the driver, and should not: nobody
    /// kills what it starts then but the guard.
    pub(crate) fn checks(&self) -> Checks {
        Checks::new(Rc::clone(&self.shared))
    }

    /// Starts an instance; ends in `Started` or `StartFailed`, and after `Started` in `Exited`.
    /// `addr` is the address of a static instance.
    pub fn launch(&mut self, id: InstanceId, service: &Arc<Service>, addr: Option<SocketAddr>) {
        self.collect();
        let shared = Rc::clone(&self.shared);
        match (&service.source, addr) {
            (Source::Command(command), _) => {
                match process::start(&shared, &id, command, service.resources) {
                    Ok(process) => self.tasks.spawn_local(process::attend(shared, id, process)),
                    Err(reason) => self.tasks.spawn_local(process::fail(shared, id, reason)),
                };
            }
            (Source::Static(_), Some(addr)) => {
                let released = Rc::new(Notify::new());
                let live = Live::Static(Rc::clone(&released));
                shared.live.borrow_mut().insert(id.clone(), live);
                self.tasks.spawn_local(statics::attend(shared, id, addr, released));
            }
            (Source::Static(_), None) => {
                let reason = format!("cannot start {id}: the plan gave no address, a defect");
                self.tasks.spawn_local(process::fail(shared, id, reason));
            }
        }
    }

    /// Asks an instance to end: SIGTERM to its group, or letting its address go. Nothing when it
    /// has ended already.
    pub fn terminate(&mut self, id: &InstanceId) {
        self.stop(id, Signal::TERM);
    }

    /// Ends an instance: SIGKILL to its group, or letting its address go. Nothing when it has
    /// ended already.
    pub fn kill(&mut self, id: &InstanceId) {
        self.stop(id, Signal::KILL);
    }

    /// SIGKILL to every group, now.
    pub fn kill_all(&mut self) {
        self.shared.kill_all();
    }

    /// Ends everything that is left, clears up and says goodbye to the guard. All of it takes
    /// bounded time. `events` must be read, or dropped, meanwhile.
    pub async fn close(mut self) {
        self.kill_all();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let all_ended = tokio::time::timeout(TIMEOUT_CLOSE, ended).await.is_ok();
        let swept = sweep(Tags::of_run(&self.shared.run)).await;
        if let Some(reaper) = &self.reaper {
            let killed = reaper.kill_strays().await;
            if killed > 0 {
                tracing::warn!(killed, "killed processes that had hidden from their instance");
            }
        }
        if all_ended && swept.clean {
            let mut guard = self.shared.guard.replace(Guard::none());
            guard.goodbye().await;
        } else {
            // Dropped without a goodbye, it does what it is for.
            tracing::error!("left instances that would not end to the guard");
        }
        self.shared.output.close().await;
    }

    fn stop(&mut self, id: &InstanceId, signal: Signal) {
        match self.shared.live.borrow().get(id) {
            Some(Live::Process(Some(group))) => process::kill_group(id, *group, signal),
            Some(Live::Static(released)) => released.notify_one(),
            // Its end is being reported, or was.
            Some(Live::Process(None)) | None => {}
        }
    }

    /// Takes note of the tasks that ended, so that they do not pile up.
    fn collect(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the driver failed; please report this");
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.kill_all();
    }
}

impl Shared {
    /// Waits while the channel is full: its reader is the control loop, which always comes round.
    async fn send(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("an event came after the end of control");
        }
    }

    /// Whether the resources of an instance are enforced, or why not: at the first that has some.
    fn verdict(&self, resources: Resources) -> Option<Result<(), String>> {
        if resources.are_unbounded() || self.is_verdict_told.replace(true) {
            return None;
        }
        Some(match self.launcher {
            Some(_) => self.groups.verdict(),
            None => Err("instances are started directly".to_owned()),
        })
    }

    fn forget(&self, id: &InstanceId) {
        self.live.borrow_mut().remove(id);
    }

    fn kill_all(&self) {
        for (id, live) in self.live.borrow().iter() {
            match live {
                Live::Process(Some(group)) => process::kill_group(id, *group, Signal::KILL),
                Live::Process(None) => {}
                Live::Static(released) => released.notify_one(),
            }
        }
    }
}

/// 128 random bits, as the standard library's hash tables get them from the system.
fn token() -> String {
    let bits = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", bits(), bits())
}
