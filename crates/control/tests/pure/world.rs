//! The world around the state in a simulation: a driver, a prober and a data plane, all fake.
//! It fails, hangs, lies and is slow as it is told to; it judges nothing but what it is ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use control::{Action, Event, Exit, ExitStatus, Feedback, ProbeOutcome};
use model::{
    Endpoint, InFlight, InstanceId, Notice, Outcome, Report, Service, Source, Table, Time,
};

/// SIGKILLs in a row that may get lost: fewer than are sent.
const KILLS_LOST_MAX: u32 = 3;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// How often, from 0 for never to 1.
    pub(crate) rate: f64,
    /// Whether reports may be untrue.
    pub(crate) lies: bool,
}

/// Something that is to happen.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// The state is told.
    Report(Event),
    /// A process, or an address, comes to be.
    Appear(InstanceId),
    /// It comes to be although the driver said that it was called off.
    Haunt(InstanceId, Option<SocketAddr>),
    /// It ends, for a reason of its own or because it was told to.
    End(InstanceId, ExitStatus),
    /// It ends because its port is somebody else's.
    LosePort(InstanceId),
    /// It ends because something broke, if things may still break then.
    Crash(InstanceId),
    /// It passes no probe any more, if things may still break then.
    Sicken(InstanceId),
    /// It passes its probes again.
    Recover(InstanceId),
    /// It is probed, if it still is by this watch.
    Probe(InstanceId, u64),
    /// A client asks for something.
    Request,
    /// A request to it is finished.
    Finish(InstanceId),
    /// Somebody says something untrue.
    Lie,
    /// The operator does something.
    Order,
}

/// What runs.
#[derive(Debug)]
struct Process {
    /// When it passes its probes; never, when it hangs.
    fit_at: Option<Time>,
    sick: bool,
    /// Until then it passes its probes and fails most requests.
    fails_until: Time,
    /// SIGTERM means nothing to it.
    deaf: bool,
    /// Somebody else runs it.
    is_address: bool,
    kills_lost: u32,
}

/// Whom the prober watches.
#[derive(Debug)]
struct Watch {
    token: u64,
    passes: u32,
    interval: Duration,
    interval_fast: Duration,
}

/// Everything that is not the state.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) rng: fastrand::Rng,
    pub(crate) faults: Faults,
    /// By time and then by order.
    agenda: BTreeMap<(Time, u64), Due>,
    counter: u64,
    /// Ordered, and not there yet; with the address where somebody else runs it.
    starting: BTreeMap<InstanceId, Option<SocketAddr>>,
    processes: BTreeMap<InstanceId, Process>,
    /// Copies of a command that cannot work, while things go wrong.
    broken: BTreeSet<InstanceId>,
    /// Those that the state was told of, and those that it ordered to be killed.
    reported: BTreeSet<InstanceId>,
    killed: BTreeSet<InstanceId>,
    watches: BTreeMap<InstanceId, Watch>,
    requests: BTreeMap<InstanceId, Vec<InFlight>>,
    draining: BTreeMap<InstanceId, Arc<Endpoint>>,
    /// Who has ended, for lies about them.
    ended: Vec<InstanceId>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            now: Time::from_ms(0),
            rng: fastrand::Rng::with_seed(seed),
            faults,
            agenda: BTreeMap::new(),
            counter: 0,
            starting: BTreeMap::new(),
            processes: BTreeMap::new(),
            broken: BTreeSet::new(),
            reported: BTreeSet::new(),
            killed: BTreeSet::new(),
            watches: BTreeMap::new(),
            requests: BTreeMap::new(),
            draining: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// When the next thing is due.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// The next thing that is due.
    pub(crate) fn pop(&mut self) -> Option<Due> {
        let ((at, _), due) = self.agenda.pop_first()?;
        self.now = self.now.max(at);
        Some(due)
    }

    pub(crate) fn plan(&mut self, after: Duration, due: Due) {
        self.counter += 1;
        self.agenda.insert((self.now + after, self.counter), due);
    }

    /// What runs.
    pub(crate) fn running(&self) -> impl Iterator<Item = &InstanceId> {
        self.processes.keys()
    }

    /// Whom the prober watches.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &InstanceId> {
        self.watches.keys()
    }

    /// What runs, as the state was told, and nobody has ordered to be killed.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &InstanceId> {
        let told = self.running().filter(|id| self.reported.contains(*id));
        told.filter(|id| !self.killed.contains(*id))
    }

    /// From now on nothing breaks. Half of the sick recover, and all addresses do: somebody else
    /// mends them. What hangs hangs on.
    pub(crate) fn calm_down(&mut self) {
        self.faults = Faults { rate: 0.0, lies: false };
        for process in self.processes.values_mut() {
            process.sick &= !process.is_address && self.rng.bool();
            if process.is_address {
                process.fit_at = Some(self.now);
            }
        }
    }

    /// Does what is due. Returns what the state is to be told.
    pub(crate) fn happen(&mut self, due: Due, table: &Table) -> Option<Event> {
        match due {
            Due::Report(event) => {
                if let Event::Started { id, .. } = &event {
                    self.reported.insert(id.clone());
                }
                return Some(event);
            }
            Due::Appear(id) => {
                if let Some(addr) = self.starting.remove(&id) {
                    self.appear(id, addr);
                }
            }
            Due::Haunt(id, addr) => self.appear(id, addr),
            Due::End(id, status) => self.end(&id, status, false),
            Due::LosePort(id) => self.end(&id, ExitStatus::Code(1), true),
            Due::Crash(id) if self.faults.rate > 0.0 => {
                let status =
                    if self.rng.bool() { ExitStatus::Code(1) } else { ExitStatus::Signal(9) };
                self.end(&id, status, false);
            }
            Due::Sicken(id) if self.faults.rate > 0.0 => self.set_sick(&id),
            Due::Crash(_) | Due::Sicken(_) => {}
            Due::Recover(id) => {
                if let Some(process) = self.processes.get_mut(&id) {
                    process.sick = false;
                }
            }
            Due::Probe(id, token) => self.probe(id, token),
            Due::Request => self.request(table),
            Due::Finish(id) => self.finish(&id),
            Due::Lie => self.lie(),
            Due::Order => unreachable!("the operator is somebody else"),
        }
        None
    }

    /// Carries out what the state ordered.
    pub(crate) fn carry_out(&mut self, action: Action) {
        match action {
            Action::Start { id, service, addr } => {
                if is_broken(&service) {
                    self.broken.insert(id.clone());
                }
                self.start(id, addr);
            }
            Action::Watch { endpoint, service } => {
                let health = &service.health;
                let (interval, interval_fast) = (health.interval, health.interval_fast);
                let token = self.counter;
                let watch = Watch { token, passes: 0, interval, interval_fast };
                let id = endpoint.id.clone();
                assert!(self.watches.insert(id.clone(), watch).is_none(), "{id} is watched twice");
                let after = self.up_to(interval_fast);
                self.plan(after, Due::Probe(id, token));
            }
            Action::Hasten { id } => {
                let token = self.counter;
                let watch = self.watches.get_mut(&id).expect("only the watched are hastened");
                watch.token = token;
                self.plan(Duration::from_millis(1), Due::Probe(id, token));
            }
            Action::Forget { id } => {
                assert!(self.watches.remove(&id).is_some(), "{id} is forgotten and not watched");
            }
            Action::Drain { endpoint } => {
                endpoint.close();
                let id = endpoint.id.clone();
                self.draining.insert(id.clone(), endpoint);
                self.tell_if_quiet(&id);
            }
            Action::Terminate { id } => self.terminate(&id),
            Action::Kill { id } => self.kill(&id),
        }
    }

    /// Whether something goes wrong that does so with this probability at the full rate.
    fn fails(&mut self, probability: f64) -> bool {
        self.rng.f64() < probability * self.faults.rate
    }

    fn lies(&mut self, probability: f64) -> bool {
        self.faults.lies && self.rng.f64() < probability
    }

    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }

    fn ms(&mut self, longest: u64) -> Duration {
        self.up_to(Duration::from_millis(longest))
    }

    fn start(&mut self, id: InstanceId, addr: Option<SocketAddr>) {
        if self.fails(0.05) {
            let after = self.ms(500);
            let reason = "no such file".to_owned();
            return self.plan(after, Due::Report(Event::StartFailed { id, reason }));
        }
        self.starting.insert(id.clone(), addr);
        if !self.fails(0.03) {
            let longest = if self.fails(0.05) { 40_000 } else { 300 };
            let after = self.ms(longest);
            self.plan(after, Due::Appear(id));
        }
    }

    fn appear(&mut self, id: InstanceId, addr: Option<SocketAddr>) {
        let is_address = addr.is_some();
        let boots_in = if is_address { self.ms(10) } else { self.ms(2_000) };
        let fit_at = (!self.fails(0.08)).then(|| self.now + boots_in);
        let deaf = !is_address && self.fails(0.2);
        let fails_for = if self.fails(0.3) { self.ms(60_000) } else { Duration::ZERO };
        let fails_until = self.now + fails_for;
        let process = Process { fit_at, sick: false, fails_until, deaf, is_address, kills_lost: 0 };
        self.processes.insert(id.clone(), process);
        let addr = addr.unwrap_or_else(|| ([127, 0, 0, 1], 1000).into());
        let report = Event::Started { id: id.clone(), addr, pid: (!is_address).then_some(1) };
        let after = self.ms(5);
        self.plan(after, Due::Report(report));
        if !is_address && self.fails(0.05) {
            let after = self.ms(100);
            self.plan(after, Due::LosePort(id.clone()));
        }
        if self.broken.contains(&id) || (!is_address && self.fails(0.4)) {
            let longest = if self.broken.contains(&id) { 4_000 } else { 60_000 };
            let after = self.ms(longest);
            self.plan(after, Due::Crash(id.clone()));
        }
        if self.fails(0.3) {
            let after = self.ms(60_000);
            self.plan(after, Due::Sicken(id));
        }
    }

    fn set_sick(&mut self, id: &InstanceId) {
        let Some(process) = self.processes.get_mut(id) else { return };
        process.sick = true;
        if self.rng.bool() {
            let after = self.ms(30_000);
            self.plan(after, Due::Recover(id.clone()));
        }
    }

    fn end(&mut self, id: &InstanceId, status: ExitStatus, port_taken: bool) {
        if self.processes.remove(id).is_none() {
            return;
        }
        self.requests.remove(id);
        self.report_end(id, status, port_taken);
    }

    fn report_end(&mut self, id: &InstanceId, status: ExitStatus, port_taken: bool) {
        self.ended.push(id.clone());
        let exit = Exit { status, last_lines: vec!["it was nice".to_owned()], port_taken };
        let report = Event::Exited { id: id.clone(), exit };
        // Never before the report that it has started, which takes up to 5 ms.
        let after = Duration::from_millis(6) + self.ms(50);
        if self.lies(0.1) {
            self.plan(after * 2, Due::Report(report.clone()));
        }
        self.plan(after, Due::Report(report));
    }

    fn terminate(&mut self, id: &InstanceId) {
        if self.starting.contains_key(id) {
            return self.call_off(id);
        }
        let Some(process) = self.processes.get(id) else { return };
        let (is_address, deaf) = (process.is_address, process.deaf);
        if is_address {
            self.plan(Duration::ZERO, Due::End(id.clone(), ExitStatus::Released));
        } else if !deaf {
            let longest = if self.fails(0.1) { 40_000 } else { 1_000 };
            let after = self.ms(longest);
            self.plan(after, Due::End(id.clone(), ExitStatus::Signal(15)));
        }
    }

    fn kill(&mut self, id: &InstanceId) {
        self.killed.insert(id.clone());
        if self.starting.contains_key(id) {
            return self.call_off(id);
        }
        let is_lost = self.fails(0.2);
        let Some(process) = self.processes.get_mut(id) else { return };
        if is_lost && process.kills_lost < KILLS_LOST_MAX {
            process.kills_lost += 1;
            return;
        }
        let after = self.ms(200);
        self.plan(after, Due::End(id.clone(), ExitStatus::Signal(9)));
    }

    /// A start that is not needed any more. The driver may say that it is over and be wrong.
    fn call_off(&mut self, id: &InstanceId) {
        let addr = self.starting.remove(id).expect("only what starts is called off");
        self.report_end(id, ExitStatus::Signal(15), false);
        if self.lies(0.5) {
            self.killed.remove(id);
            let after = Duration::from_millis(200) + self.ms(5_000);
            self.plan(after, Due::Haunt(id.clone(), addr));
        }
    }

    fn probe(&mut self, id: InstanceId, token: u64) {
        let is_fit = self.is_fit(&id);
        let Some(watch) = self.watches.get_mut(&id).filter(|watch| watch.token == token) else {
            return;
        };
        watch.passes = if is_fit { watch.passes + 1 } else { 0 };
        let interval = if watch.passes >= 2 { watch.interval } else { watch.interval_fast };
        let outcome = match is_fit {
            true => ProbeOutcome::Pass,
            false if self.rng.bool() => ProbeOutcome::Silent("connection refused".to_owned()),
            false => ProbeOutcome::Fail("GET /healthz answered 500".to_owned()),
        };
        let longest = if self.fails(0.05) { 1_000 } else { 20 };
        let latency = self.ms(longest);
        if is_fit {
            let feedback = self.feedback();
            self.plan(latency, Due::Report(Event::FedBack { id: id.clone(), feedback }));
        }
        self.plan(latency, Due::Report(Event::Probed { id: id.clone(), outcome }));
        let after = interval + self.up_to(interval / 10);
        self.plan(after, Due::Probe(id, token));
    }

    /// What an instance says that it wants.
    fn feedback(&mut self) -> Feedback {
        if !self.fails(0.1) {
            return Feedback::WHOLE;
        }
        match self.rng.u32(0..3) {
            0 => Feedback::Drain,
            1 => Feedback::Percent(self.rng.u32(1..=100)),
            _ => Feedback::Unclear("what".to_owned()),
        }
    }

    fn is_fit(&self, id: &InstanceId) -> bool {
        let process = self.processes.get(id);
        process.is_some_and(|it| !it.sick && it.fit_at.is_some_and(|at| self.now >= at))
    }

    /// One request to one endpoint of the table, which is open: whoever is published is.
    fn request(&mut self, table: &Table) {
        let after = Duration::from_millis(50) + self.ms(600);
        self.plan(after, Due::Request);
        let endpoints: Vec<&Arc<Endpoint>> =
            table.pools.iter().flat_map(|pool| &pool.endpoints).collect();
        let Some(endpoint) = self.rng.choice(endpoints) else { return };
        let id = endpoint.id.clone();
        assert!(!endpoint.is_closed(), "{id} is published and closed");
        // It is on trial, and has its one request.
        let Some(guard) = endpoint.begin() else { return };
        if !self.processes.contains_key(&id) || self.fails(0.02) {
            return self.plan(Duration::ZERO, Due::Report(unreachable(id)));
        }
        self.requests.entry(id.clone()).or_default().push(guard);
        let longest = if self.fails(0.03) { 100_000 } else { 1_000 };
        let after = self.ms(longest);
        self.plan(after, Due::Finish(id));
    }

    /// What came of it is observed by a worker, whose report may get lost.
    fn finish(&mut self, id: &InstanceId) {
        let (outcome, now) = (self.outcome(id), self.now);
        let ended = self.requests.get_mut(id).and_then(Vec::pop);
        if ended.is_some_and(|request| request.observe(outcome, now) == Notice::Look)
            && !self.fails(0.1)
        {
            let report = Event::Reported { id: id.clone(), report: Report::Look };
            self.plan(Duration::ZERO, Due::Report(report));
        }
        self.tell_if_quiet(id);
    }

    fn outcome(&mut self, id: &InstanceId) -> Outcome {
        let now = self.now;
        let is_bad = |it: &Process| it.sick || now < it.fails_until;
        if self.processes.get(id).is_some_and(is_bad) && self.fails(0.9) {
            self.rng.choice([Outcome::Failed, Outcome::ServerError { is_gateway: true }]).unwrap()
        } else {
            Outcome::Answered(None)
        }
    }

    fn tell_if_quiet(&mut self, id: &InstanceId) {
        if self.draining.get(id).is_some_and(|endpoint| endpoint.in_flight() == 0) {
            self.draining.remove(id);
            if !self.fails(0.05) {
                let after = self.ms(2);
                self.plan(after, Due::Report(Event::Quiet { id: id.clone() }));
            }
        }
    }

    fn lie(&mut self) {
        if !self.faults.lies {
            return;
        }
        let after = self.ms(5_000);
        self.plan(after, Due::Lie);
        let ended = self.ended.clone();
        // That something has ended which runs is the one lie that nobody could ever see through.
        let Some(id) = self.rng.choice(ended).filter(|id| !self.processes.contains_key(id)) else {
            return;
        };
        let exit = Exit { status: ExitStatus::Code(0), last_lines: vec![], port_taken: false };
        let addr = ([127, 0, 0, 1], 1000).into();
        let lie = match self.rng.u32(0..7) {
            0 => Event::Probed { id, outcome: ProbeOutcome::Pass },
            1 => unreachable(id),
            2 => Event::Quiet { id },
            3 => Event::Exited { id, exit },
            4 => Event::FedBack { id, feedback: Feedback::Drain },
            5 => Event::StartFailed { id, reason: "never mind".to_owned() },
            _ => Event::Started { id, addr, pid: None },
        };
        self.plan(Duration::ZERO, Due::Report(lie));
    }
}

/// A worker was refused by this instance.
fn unreachable(id: InstanceId) -> Event {
    Event::Reported { id, report: Report::Unreachable }
}

/// Every third edition of a command ends soon after it was started.
fn is_broken(service: &Service) -> bool {
    let Source::Command(command) = &service.source else { return false };
    let edition = command.argv[0].strip_prefix("./v").and_then(|it| it.parse::<u32>().ok());
    edition.is_some_and(|edition| edition % 3 == 1)
}
