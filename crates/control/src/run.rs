//! The control loop: one thread, the only writer of the state, and the only one that acts on it.
//! It decides nothing itself: events go into the state, the plan says what to do, this does it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use model::{InstanceId, Report, ServiceName, Table, Time};
use telemetry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::{Interval, MissedTickBehavior};

use crate::clock::Clock;
use crate::drain::Drains;
use crate::driver::{Driver, DriverSettings};
use crate::handle::{Handle, Inbox, REPORTS_MAX, Request, pair};
use crate::measure::{self, Answering, Look, Measurer, Subject};
use crate::probe::{Prober, Questions};
use crate::query::Asker;
use crate::state::service::ServiceState;
use crate::state::{Remembered, Settings, State};
use crate::{Action, Entry, Event, Kind, Order, Refusal, Sampled, plan};

/// Events of the driver, the probes and the drains that wait for the loop. Beyond: the task that
/// has one waits; none is lost.
const EVENTS_MAX: usize = 1024;
/// Planning rounds after one event. Each round's actions change the state, so that the next one
/// has less to do; more than this many means that the plan contradicts itself.
const ROUNDS_MAX: usize = 64;
/// The longest time without a look at the state.
const TICK: Duration = Duration::from_secs(1);
/// The shortest time until the plan is asked again when nothing happens, whatever it says: a
/// moment that it names over and over must not take a core.
const WAKE_MIN: Duration = Duration::from_millis(1);
/// Threads for reading `/proc`. Beyond: the reading waits its turn.
const BLOCKING_THREADS_MAX: usize = 4;

/// Takes what was measured.
pub type Record = Box<dyn Fn(&[Sampled]) + Send>;

/// What control is made from.
pub struct Parts {
    /// Makes a table the one that requests are routed by. Called on the control thread, in order
    /// of versions, and always before an action that relies on it; it must not wait.
    pub publish: Box<dyn Fn(Arc<Table>) + Send>,
    /// Keeps what was measured, once a second for each service. Called on the control thread; it
    /// must not wait.
    pub record: Record,
    /// What services had before.
    pub remembered: BTreeMap<ServiceName, Remembered>,
    /// Where workers time answers.
    pub registry: Arc<Registry>,
    /// How instances are started.
    pub driver: DriverSettings,
    /// Decides jitter and where the search for ports begins.
    pub seed: u64,
    /// Entries that the journal keeps.
    pub journal_max: usize,
}

/// Control as it runs. Dropping it without [`Running::join`] lets it run on, as long as somebody
/// has a handle.
pub struct Running {
    /// Speaks to it.
    pub handle: Handle,
    thread: thread::JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

/// Starts the thread `control` and returns once the loop runs. It ends after an order to shut
/// down has been carried out, after [`Handle::kill_all`], or when all handles are gone, which
/// counts as such an order.
///
/// # Errors
/// When the thread, its runtime or the driver cannot be started; nothing is left running then.
pub fn spawn(parts: Parts) -> io::Result<Running> {
    let (handle, inbox) = pair();
    let (ready, started) = sync_channel(1);
    let (ending, ended) = oneshot::channel();
    let thread = thread::Builder::new().name("control".into()).spawn(move || {
        host(parts, inbox, &ready);
        // Dropping it is the message.
        drop(ending);
    })?;
    match started.recv() {
        Ok(Ok(())) => Ok(Running { handle, thread, ended }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the control thread failed while it started")),
    }
}

impl Running {
    /// Resolves once the control thread has ended.
    pub async fn join(self) {
        // The sender is dropped and never used, so this only ever ends with its drop.
        if self.ended.await.is_ok() {
            tracing::debug!("the control thread ended in an unexpected way");
        }
        // What is left of the thread by now takes no time.
        if self.thread.join().is_err() {
            tracing::error!("the control thread failed; please report this");
        }
    }
}

/// The body of the control thread.
fn host(parts: Parts, inbox: Inbox, ready: &SyncSender<io::Result<()>>) {
    let report = |outcome| ready.send(outcome).expect("the starter waits for the report");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("control-proc")
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return report(Err(error)),
    };
    LocalSet::new().block_on(&runtime, async {
        match Control::start(parts, inbox) {
            Ok(control) => {
                report(Ok(()));
                control.run().await;
            }
            Err(error) => report(Err(error)),
        }
    });
}

/// The state and everything that acts for it.
struct Control {
    clock: Clock,
    state: State,
    publish: Box<dyn Fn(Arc<Table>) + Send>,
    record: Record,
    driver: Driver,
    prober: Prober<Questions>,
    drains: Drains,
    asker: Asker,
    measurer: Measurer,
    /// When instances are measured next.
    measured: Interval,
    events: mpsc::Receiver<Event>,
    inbox: Inbox,
    /// Whether all handles are gone.
    abandoned: bool,
    /// The last journal entry that was logged.
    logged: u64,
    /// Dropped reports that were logged.
    dropped: u64,
}

/// What the loop woke up for.
enum Input {
    Event(Event),
    Request(Request),
    Reports(Vec<(InstanceId, Report)>),
    Measure,
    Abandoned,
    Kill,
}

impl Control {
    fn start(parts: Parts, inbox: Inbox) -> io::Result<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let settings = Settings { journal_max: parts.journal_max, seed: parts.seed };
        let driver = Driver::start(parts.driver, sender.clone(), parts.seed)?;
        let questions = Questions { checks: driver.checks() };
        let mut state = State::new(settings);
        state.remember(parts.remembered);
        Ok(Self {
            clock: Clock::start(),
            state,
            publish: parts.publish,
            record: parts.record,
            driver,
            prober: Prober::new(questions, sender.clone(), parts.seed),
            drains: Drains::new(sender.clone()),
            asker: Asker::new(sender.clone()),
            measurer: Measurer::start(sender, parts.registry),
            measured: interval(measure::INTERVAL),
            events,
            inbox,
            abandoned: false,
            logged: 0,
            dropped: 0,
        })
    }

    async fn run(mut self) {
        while !self.state.finished() {
            match self.next().await {
                Input::Event(event) => self.event(event),
                Input::Request(request) => self.request(request),
                Input::Reports(reports) => self.reported(reports),
                Input::Measure => self.measure(),
                Input::Abandoned => {
                    self.abandoned = true;
                    self.event(Event::Ordered(Order::Shutdown));
                }
                Input::Kill => {
                    tracing::warn!("killed all instances because it was ordered");
                    break;
                }
            }
        }
        // From here on nobody listens, and nobody has to wait for that.
        let Self { driver, prober, drains, asker, measurer, events, inbox, .. } = self;
        drop((prober, drains, asker, measurer, events, inbox));
        driver.close().await;
    }

    /// The next thing that happens; a tick when nothing does until the plan wants to be asked.
    async fn next(&mut self) -> Input {
        let now = self.clock.now();
        let wake = plan::wake_at(&self.state, now).unwrap_or(now + TICK);
        let wake = self.clock.instant(wake.max(now + WAKE_MIN), TICK);
        let mut reports = Vec::new();
        tokio::select! {
            () = self.inbox.kill.notified() => Input::Kill,
            Some(event) = self.events.recv() => Input::Event(event),
            request = self.inbox.requests.recv(), if !self.abandoned => {
                request.map_or(Input::Abandoned, Input::Request)
            }
            1.. = self.inbox.reports.recv_many(&mut reports, REPORTS_MAX) => {
                Input::Reports(reports)
            }
            _ = self.measured.tick() => Input::Measure,
            () = tokio::time::sleep_until(wake) => Input::Event(Event::Tick),
        }
    }

    /// An event that nobody waits for an answer to. A refusal is in the journal.
    fn event(&mut self, event: Event) {
        if let Event::Exited { id, .. } | Event::StartFailed { id, .. } = &event {
            self.drains.forget(id);
            self.prober.forget(id);
        }
        if matches!(event, Event::Tick) {
            self.count_dropped();
            self.state.wall_is_ahead(self.clock.wall_ahead_ms());
        }
        let now = self.clock.now();
        if let Err(Refusal(reason)) = self.state.apply(now, event) {
            tracing::debug!(reason, "refused what nobody waits for");
        }
        self.settle(now);
    }

    /// What comes of it arrives as events.
    fn measure(&mut self) {
        let subject = |(id, pid): (&InstanceId, u32)| {
            Some(Subject { id: id.clone(), leader: i32::try_from(pid).ok()? })
        };
        let answering = |service: &ServiceState| {
            let (name, slot) = (service.policy.name.clone(), service.slot);
            Some(Answering { name, slot, percent: service.latency_percent()? })
        };
        self.measurer.look(Look {
            instances: self.state.processes().filter_map(subject).collect(),
            services: self.state.services().filter_map(answering).collect(),
        });
        let services = self.state.services();
        self.asker.keep(services.filter_map(|it| Some((&it.policy.name, it.query()?))));
    }

    /// Workers report the same instance many times over; once is enough.
    fn reported(&mut self, mut reports: Vec<(InstanceId, Report)>) {
        reports.sort_unstable();
        reports.dedup();
        for (id, report) in reports {
            self.event(Event::Reported { id, report });
        }
    }

    fn request(&mut self, request: Request) {
        let now = self.clock.now();
        match request {
            Request::Recall(service, minutes, reply) => {
                let taken = self.state.apply(now, Event::Recalled { service, minutes });
                debug_assert!(taken.is_ok(), "only configurations and orders are refused");
                self.settle(now);
                answer(reply, ());
            }
            Request::View(reply) => answer(reply, self.state.view(now)),
            Request::Journal(after, reply) => answer(reply, self.state.journal().after(after)),
            Request::Order(order, reply) => {
                let taken = self.state.apply(now, Event::Ordered(order));
                self.settle(now);
                answer(reply, taken);
            }
            Request::Configure(desired, reply) => {
                let taken = self.state.apply(now, Event::Configured(desired));
                self.settle(now);
                answer(reply, taken);
            }
        }
    }

    /// Plans and acts until there is nothing left to do. An action is recorded, and the table that
    /// follows from that is published, before it is carried out: nobody is stopped while a request
    /// can still find the way there.
    fn settle(&mut self, now: Time) {
        if !self.state.sampled().is_empty() {
            (self.record)(self.state.sampled());
        }
        self.tell();
        for _ in 0..ROUNDS_MAX {
            let actions = plan::next(&self.state, now);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.state.commit(now, &action);
                self.tell();
                self.act(action);
            }
        }
        tracing::error!(
            rounds = ROUNDS_MAX,
            "the plan did not come to an end; it goes on with the next event; please report this"
        );
    }

    /// Publishes and logs what changed.
    fn tell(&mut self) {
        if let Some(table) = self.state.table() {
            (self.publish)(Arc::new(table));
        }
        if self.state.journal().last_seq() > self.logged {
            let entries = self.state.journal().after(self.logged);
            entries.iter().for_each(log);
            self.logged = self.state.journal().last_seq();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { id, service, addr } => self.driver.launch(id, &service, addr),
            Action::Watch { endpoint, service } => self.prober.watch(endpoint, service),
            Action::Hasten { id } => self.prober.hasten(&id),
            Action::Forget { id } => self.prober.forget(&id),
            Action::Drain { endpoint } => self.drains.drain(endpoint),
            Action::Terminate { id } => self.driver.terminate(&id),
            Action::Kill { id } => self.driver.kill(&id),
        }
    }

    fn count_dropped(&mut self) {
        let dropped = self.inbox.dropped.load(Ordering::Relaxed);
        if dropped > self.dropped {
            let reports = dropped - self.dropped;
            tracing::warn!(reports, "dropped reports of workers about instances: too many at once");
            self.dropped = dropped;
        }
    }
}

/// Ticks that were missed are not made up for.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Whoever asked may have gone meanwhile.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("an answer came too late for whoever asked");
    }
}

fn log(entry: &Entry) {
    let kind = entry.kind.label();
    let service = entry.service.as_ref().map(tracing::field::display);
    let instance = entry.instance.as_ref().map(tracing::field::display);
    match entry.kind {
        Kind::Failure
        | Kind::Ejected
        | Kind::Spared
        | Kind::Panic
        | Kind::Admission
        | Kind::Backoff
        | Kind::Defect => {
            tracing::warn!(service, instance, kind, "{}", entry.text);
        }
        _ => tracing::info!(service, instance, kind, "{}", entry.text),
    }
}
