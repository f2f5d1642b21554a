//! Tries an algorithm on made-up instances: what clients would get, and who would do the work.
//! It balances nothing itself: picks, counts and estimates are those that requests meet.

mod overload;
mod plant;
mod report;
mod scenario;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Algorithm, Ask, Eject, Endpoint, InFlight, Live, Notice, Outcome, Select, Streak, Time, Trial,
};

pub use self::overload::{Discipline, Overload, Waited};
pub use self::report::Report;
pub use self::scenario::Scenario;

use self::plant::{Plant, Work};
use self::report::Tally;
use crate::{ejected_max, ejection_time, selector, streak_fault};

/// What an instance needs for a request on average when it has nothing else to do.
pub const SERVICE_TIME: Duration = Duration::from_millis(10);
/// Requests that an instance works on at once; further ones queue there.
pub const PARALLEL: u32 = 8;
/// A client gives up after this.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// What is seen before this much time counts for nothing: algorithms may learn until then.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// Failures in a row after which an instance is ejected.
pub const ERRORS_MAX: u32 = 5;
/// How many instances join in [`Scenario::Joining`].
pub const JOINING: u32 = 10;

/// The bounds of ejections, as they are by default.
const EJECTED_PERCENT_MAX: u32 = 50;
const EJECTED_FIRST: Duration = Duration::from_secs(10);
const EJECTED_LONGEST: Duration = Duration::from_secs(300);
/// Clients that requests come from, for the algorithms that tell them apart.
const CLIENTS: u64 = 10_000;
/// Spreads their numbers over all of a hash: 2^64 by the golden ratio, Knuth's multiplier.
const HASH: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether instances that fail are ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ejects {
    /// After [`ERRORS_MAX`] failures in a row, for 10 s at first, and let in again if the first
    /// request after that is answered.
    Failing,
    /// Nobody is.
    Nobody,
}

/// One experiment. The same one gives the same report, whatever machine it runs on.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// Who picks.
    pub algorithm: Algorithm,
    /// Among whom.
    pub scenario: Scenario,
    /// How many there are at first; at least 1.
    pub instances: u32,
    /// Whether instances that fail are ejected, as they are by default.
    pub ejects: Ejects,
    /// For how long.
    pub length: Duration,
    /// Decides when requests come, how long they take, and what is picked by chance.
    pub seed: u64,
}

impl Experiment {
    /// Runs it. Requests come at random moments, whether or not earlier ones were answered.
    pub fn run(&self) -> Report {
        let mut run = Run::begin(self);
        while let Some(Reverse(due)) = run.agenda.pop() {
            if due.at_ns > run.end_ns {
                break;
            }
            run.happen(due.at_ns, due.what);
        }
        run.tally.report()
    }
}

/// Something that is going to happen. Of two at the same moment the one that was noted first comes
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ns: u64,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A request comes.
    Arrival,
    /// An instance is done with a request, unless it stood still meanwhile.
    Done(usize),
    /// A client gives up on its request if it has not been answered.
    GivenUp(usize),
    /// An instance stands still from now on.
    Pause(usize),
    /// An instance stands still for ever.
    Freeze(usize),
    /// The time of an ejection is over.
    Trial(usize),
    /// More instances come.
    Join,
}

/// One request that is under way.
struct Request {
    began_ns: u64,
    at: usize,
    work: Work,
    /// Until it was answered or given up.
    begun: Option<InFlight>,
    /// Whether the instance is done with it as well, so that its place may be used again.
    is_over: bool,
}

/// How an instance fared with its ejections.
#[derive(Clone, Copy, Default)]
struct Ejection {
    is_out: bool,
    times: u32,
}

struct Run {
    experiment: Experiment,
    rng: fastrand::Rng,
    agenda: BinaryHeap<Reverse<Due>>,
    noted: u64,
    end_ns: u64,
    /// Between two requests on average.
    gap_ns: f64,
    plants: Vec<Plant>,
    endpoints: Vec<Arc<Endpoint>>,
    /// By the index of the endpoint.
    ejections: Vec<Ejection>,
    live: Arc<Live>,
    selector: Box<dyn Select>,
    requests: Vec<Request>,
    /// Places in `requests` that are free.
    free: Vec<usize>,
    tally: Tally,
}

impl Run {
    fn begin(experiment: &Experiment) -> Self {
        let count = experiment.instances.max(1);
        let capacity_per_s = f64::from(count * PARALLEL) / SERVICE_TIME.as_secs_f64();
        let live = Arc::new(Live::default());
        let mut run = Self {
            experiment: *experiment,
            rng: fastrand::Rng::with_seed(experiment.seed),
            agenda: BinaryHeap::new(),
            noted: 0,
            end_ns: whole_ns(experiment.length),
            gap_ns: 1e9 / (capacity_per_s * experiment.scenario.load()),
            plants: Vec::new(),
            endpoints: Vec::new(),
            ejections: Vec::new(),
            selector: selector(experiment.algorithm, &[], &live),
            live,
            requests: Vec::new(),
            free: Vec::new(),
            tally: Tally::default(),
        };
        for number in 0..count {
            run.add(Plant::of(experiment.scenario, number));
        }
        run.publish();
        run.note(0, What::Arrival);
        match experiment.scenario {
            Scenario::Pausing => run.note(plant::PAUSE_EVERY_NS, What::Pause(0)),
            Scenario::Frozen => run.note(run.end_ns / 3, What::Freeze(0)),
            Scenario::Joining => run.note(run.end_ns / 3, What::Join),
            _ => {}
        }
        run
    }

    fn add(&mut self, plant: Plant) {
        let key = self.endpoints.len() as u64 + 1;
        let id = format!("made-up.{key}").parse().expect("a name, a dot and a number are an id");
        // Nobody connects there.
        let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let endpoint = Endpoint::new(id, key, addr, 1);
        endpoint.set_streak_bounds(streak_bounds());
        self.endpoints.push(Arc::new(endpoint));
        self.ejections.push(Ejection::default());
        self.tally.add(plant.kind());
        self.plants.push(plant);
    }

    fn publish(&mut self) {
        let all = self.endpoints.iter().zip(&self.ejections);
        let pool: Vec<_> = all.filter(|(_, it)| !it.is_out).map(|(it, _)| Arc::clone(it)).collect();
        self.selector = selector(self.experiment.algorithm, &pool, &self.live);
    }

    /// Takes note of an outcome, and ejects or lets in as control does by streaks.
    fn observe(&mut self, now_ns: u64, begun: &InFlight, outcome: Outcome) {
        let notice = begun.observe(outcome, moment(now_ns));
        if notice == Notice::Nothing || self.experiment.ejects == Ejects::Nobody {
            return;
        }
        let endpoint = begun.endpoint();
        let fails = match endpoint.trial() {
            Some(Trial::Runs) => return,
            Some(trial) => {
                endpoint.end_trial();
                trial == Trial::Failed
            }
            None => streak_fault(&endpoint.streak(), &streak_bounds()).is_some(),
        };
        let out = self.ejections.iter().filter(|ejection| ejection.is_out).count();
        let count = self.endpoints.len();
        let may_go = out < ejected_max(count, EJECTED_PERCENT_MAX) && out + 1 < count;
        let at = index(begun);
        if !fails || !may_go || self.ejections[at].is_out {
            return;
        }
        self.ejections[at].is_out = true;
        self.ejections[at].times += 1;
        let time = ejection_time(&eject(), self.ejections[at].times, &mut self.rng);
        self.publish();
        self.note(now_ns + whole_ns(time), What::Trial(at));
    }

    fn note(&mut self, at_ns: u64, what: What) {
        self.noted += 1;
        self.agenda.push(Reverse(Due { at_ns, number: self.noted, what }));
    }

    fn happen(&mut self, now_ns: u64, what: What) {
        match what {
            What::Arrival => {
                let gap_ns = -self.gap_ns * (1.0 - self.rng.f64()).ln();
                self.note(now_ns + plant::rounded_ns(gap_ns), What::Arrival);
                self.arrive(now_ns);
            }
            What::Done(number) => self.done(now_ns, number),
            What::GivenUp(number) => self.give_up(now_ns, number),
            What::Pause(at) => {
                self.plants[at].pause(now_ns);
                self.note(now_ns + plant::PAUSE_EVERY_NS, What::Pause(at));
            }
            What::Freeze(at) => self.plants[at].freeze(),
            What::Trial(at) => {
                self.ejections[at].is_out = false;
                self.endpoints[at].begin_trial();
                self.publish();
            }
            What::Join => {
                (0..JOINING).for_each(|_| self.add(Plant::cold(now_ns)));
                self.publish();
            }
        }
    }

    fn arrive(&mut self, now_ns: u64) {
        // Some clients ask more than others: the product of two puts half of all requests on a
        // fifth of them.
        let client = self.rng.u64(..CLIENTS) * self.rng.u64(..CLIENTS) / CLIENTS;
        let hash = (client + 1).wrapping_mul(HASH);
        let ask = Ask { now: moment(now_ns), hash, tried: &[] };
        let Some(begun) = self.selector.pick(&ask, &mut self.rng) else {
            return self.tally.turned_away(now_ns);
        };
        let at = index(&begun);
        self.tally.picked(now_ns, at);
        let work = self.plants[at].work(now_ns, &mut self.rng);
        let request = Request { began_ns: now_ns, at, work, begun: Some(begun), is_over: false };
        let number = match self.free.pop() {
            Some(number) => {
                self.requests[number] = request;
                number
            }
            None => {
                self.requests.push(request);
                self.requests.len() - 1
            }
        };
        self.note(now_ns + whole_ns(CLIENT_TIMEOUT), What::GivenUp(number));
        if self.plants[at].takes(number) {
            self.start(now_ns, number);
        }
    }

    fn start(&mut self, now_ns: u64, number: usize) {
        let request = &mut self.requests[number];
        let done_ns = self.plants[request.at].done_ns(now_ns, &mut request.work);
        self.note(done_ns, What::Done(number));
    }

    fn done(&mut self, now_ns: u64, number: usize) {
        let request = &mut self.requests[number];
        if let Some(later_ns) = self.plants[request.at].delayed_ns(now_ns, &mut request.work) {
            return self.note(later_ns, What::Done(number));
        }
        let at = request.at;
        request.is_over = true;
        if let Some(begun) = request.begun.take() {
            let took = Duration::from_nanos(now_ns - request.began_ns);
            let outcome = match request.work.fails {
                true => Outcome::ServerError { is_gateway: false },
                false => Outcome::Answered(Some(took)),
            };
            match request.work.fails {
                true => self.tally.failed(request.began_ns),
                false => self.tally.answered(request.began_ns, took),
            }
            self.observe(now_ns, &begun, outcome);
        }
        if let Some(next) = self.plants[at].release() {
            self.start(now_ns, next);
        }
    }

    /// Its place is free again now, when nothing on the agenda can mean it any more.
    fn give_up(&mut self, now_ns: u64, number: usize) {
        let request = &mut self.requests[number];
        if let Some(begun) = request.begun.take() {
            self.tally.given_up(request.began_ns);
            if self.plants[request.at].forget(number) {
                request.is_over = true;
            }
            self.observe(now_ns, &begun, Outcome::Abandoned(CLIENT_TIMEOUT));
        }
        match self.requests[number].is_over {
            true => self.free.push(number),
            // The instance still works on it, for nobody.
            false => self.note(now_ns + whole_ns(CLIENT_TIMEOUT), What::GivenUp(number)),
        }
    }
}

/// Where an endpoint is among all; its key counts from 1.
fn index(begun: &InFlight) -> usize {
    usize::try_from(begun.endpoint().key - 1).expect("a key is an index and one")
}

fn streak_bounds() -> Streak {
    Streak { errors: ERRORS_MAX, ..Streak::default() }
}

fn eject() -> Eject {
    Eject { time: EJECTED_FIRST, time_max: EJECTED_LONGEST, ..Eject::never() }
}

fn moment(ns: u64) -> Time {
    Time::from_ms(ns / 1_000_000)
}

fn whole_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Requests that wait inside an instance.
type Waiting = VecDeque<usize>;

#[cfg(test)]
mod tests;
