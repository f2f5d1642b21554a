//! Tries the queue of a service on made-up instances that get more requests than they can answer.
//! It queues nothing itself: who goes next and who goes without is what real requests meet.

mod tally;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use model::{Algorithm, Ask, Codel, Endpoint, InFlight, Live, Outcome, Priority, Select, Time};

pub use self::tally::Waited;

use self::tally::Tally;
use super::plant::{self, Plant, Work};
use super::{CLIENT_TIMEOUT, PARALLEL, SERVICE_TIME, Scenario, moment, whole_ns};
use crate::queue::{Queue, QueueRules, Standing, Takes, Ticket, Wish};
use crate::{quantile, selector};

/// At most so much of the beginning counts for nothing, and never more than a third: a queue has
/// to find out first that it is overloaded.
const SETTLING_MAX: Duration = Duration::from_secs(10);
/// Of a hundred requests, those of the lowest class, and those of the highest.
const LOW_PERCENT: u32 = 20;
const HIGH_PERCENT: u32 = 10;

/// What becomes of requests that no instance can work on yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// They go to an instance all the same, and queue inside it.
    Inside,
    /// They wait in one line in the order of arrival, however many they are.
    InOrder,
    /// They wait in the queue of a service as it is by default.
    Default,
    /// The same, and it knows when their clients give up (`http.timeout_request`).
    Deadline,
    /// The same, and it turns ten times as soon (`target = "50ms"`, `interval = "500ms"`).
    Quick,
}

/// One experiment. The same one gives the same report, whatever machine it runs on.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// Who waits where.
    pub discipline: Discipline,
    /// How many there are; at least 1. Each has a limit of [`PARALLEL`] in flight, unless requests
    /// queue inside.
    pub instances: u32,
    /// For how long.
    pub length: Duration,
    /// Decides when requests come, how long they take, and what is picked by chance.
    pub seed: u64,
}

impl Discipline {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Inside, Self::InOrder, Self::Default, Self::Deadline, Self::Quick];

    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::InOrder => "in-order",
            Self::Default => "default",
            Self::Deadline => "deadline",
            Self::Quick => "quick",
        }
    }

    fn rules(self) -> QueueRules {
        let codel = |target_ms, interval_ms| {
            let ms = Duration::from_millis;
            Some(Codel { target: ms(target_ms), interval: ms(interval_ms) })
        };
        let rules = QueueRules { waiting_max: 4096, codel: codel(500, 5000), sheds: false };
        match self {
            Self::Inside | Self::InOrder => {
                QueueRules { waiting_max: u32::MAX, codel: None, ..rules }
            }
            Self::Default | Self::Deadline => rules,
            Self::Quick => QueueRules { codel: codel(50, 500), ..rules },
        }
    }
}

impl Overload {
    /// Runs it. Requests come at random moments, whether or not earlier ones were answered.
    pub fn run(&self) -> Waited {
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

/// Something that is going to happen, in the order of its time and of its being noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ns: u64,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrival,
    /// An instance is done with a request.
    Done(usize),
    /// A client gives up if it has no answer.
    GivenUp(usize),
}

struct Request {
    came_ns: u64,
    class: Priority,
    at: At,
    /// Which plant works on it.
    work: Option<(usize, Work)>,
    /// What on the agenda, or inside an instance, may still mean it.
    mentions: u32,
}

/// Where a request is.
enum At {
    Line(Ticket),
    Instance {
        begun: InFlight,
        since_ns: u64,
    },
    /// Its client has its answer, or is gone. An instance may still work on it.
    End,
}

struct Run {
    discipline: Discipline,
    rng: fastrand::Rng,
    agenda: BinaryHeap<Reverse<Due>>,
    noted: u64,
    end_ns: u64,
    gap_ns: f64,
    plants: Vec<Plant>,
    endpoints: Vec<Arc<Endpoint>>,
    live: Arc<Live>,
    selector: Box<dyn Select>,
    queue: Queue<usize>,
    requests: Vec<Request>,
    /// Places in `requests` that nothing means any more.
    free: Vec<usize>,
    tally: Tally,
}

impl Run {
    fn begin(overload: &Overload) -> Self {
        let count = overload.instances.max(1);
        let capacity_per_s = f64::from(count * PARALLEL) / SERVICE_TIME.as_secs_f64();
        let live = Arc::new(Live::default());
        let endpoint = |key: u64| {
            let id = format!("made-up.{key}").parse().expect("a name, a dot and a number");
            // Nobody connects there.
            let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
            let endpoint = Endpoint::new(id, key, addr, 1);
            if overload.discipline != Discipline::Inside {
                endpoint.set_limit(PARALLEL);
            }
            Arc::new(endpoint)
        };
        let endpoints: Vec<_> = (1..=u64::from(count)).map(endpoint).collect();
        let plants = (0..count).map(|number| Plant::of(Scenario::Overload, number)).collect();
        let from_ns = whole_ns(SETTLING_MAX.min(overload.length / 3));
        let mut run = Self {
            discipline: overload.discipline,
            rng: fastrand::Rng::with_seed(overload.seed),
            agenda: BinaryHeap::new(),
            noted: 0,
            end_ns: whole_ns(overload.length),
            gap_ns: 1e9 / (capacity_per_s * Scenario::Overload.load()),
            plants,
            selector: selector(Algorithm::LeastLatency, &endpoints, &live),
            endpoints,
            live,
            queue: Queue::default(),
            requests: Vec::new(),
            free: Vec::new(),
            tally: Tally::from(from_ns),
        };
        run.note(0, What::Arrival);
        run
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
        }
    }

    fn arrive(&mut self, now_ns: u64) {
        let class = match self.rng.u32(..100) {
            drawn if drawn < LOW_PERCENT => Priority::Low,
            drawn if drawn >= 100 - HIGH_PERCENT => Priority::High,
            _ => Priority::Normal,
        };
        let number =
            self.add(Request { came_ns: now_ns, class, at: At::End, work: None, mentions: 1 });
        self.tally.came(now_ns, class);
        // Who is new goes behind those who wait.
        if self.queue.in_line() > 0 || !self.start(now_ns, number) {
            let wish = Wish {
                class: match self.discipline {
                    Discipline::Inside | Discipline::InOrder => Priority::Normal,
                    _ => class,
                },
                takes: Takes::Any,
                expires: self.expires(now_ns),
            };
            let (mut wake, rules) = (Vec::new(), self.discipline.rules());
            match self.queue.enter(&rules, (moment(now_ns), wish), number, &mut wake) {
                Ok(ticket) => self.requests[number].at = At::Line(ticket),
                Err(_) => self.tally.refused(now_ns),
            }
            self.queue.call_within(self.room(), moment(now_ns), &mut wake);
            self.wake(now_ns, wake);
        }
        self.note(now_ns + whole_ns(CLIENT_TIMEOUT), What::GivenUp(number));
    }

    fn add(&mut self, request: Request) -> usize {
        let number = self.free.pop().unwrap_or(self.requests.len());
        match self.requests.get_mut(number) {
            Some(place) => *place = request,
            None => self.requests.push(request),
        }
        number
    }

    fn forget(&mut self, number: usize) {
        self.requests[number].mentions -= 1;
        if self.requests[number].mentions == 0 {
            self.free.push(number);
        }
    }

    /// From when on a place is of no use, as far as Herder knows.
    fn expires(&self, now_ns: u64) -> Time {
        match self.discipline {
            Discipline::Deadline => {
                let usual = quantile::median(&self.live).unwrap_or_default();
                moment(now_ns) + CLIENT_TIMEOUT.saturating_sub(usual)
            }
            _ => Time::from_ms(u64::MAX),
        }
    }

    fn room(&self) -> u32 {
        self.endpoints.iter().map(|endpoint| endpoint.room()).fold(0, u32::saturating_add)
    }

    /// Begins a request at an instance, if one takes it.
    fn start(&mut self, now_ns: u64, number: usize) -> bool {
        let ask = Ask { now: moment(now_ns), hash: 0, tried: &[] };
        let Some(begun) = self.selector.pick(&ask, &mut self.rng) else { return false };
        let at = super::index(&begun);
        let work = self.plants[at].work(now_ns, &mut self.rng);
        let request = &mut self.requests[number];
        request.work = Some((at, work));
        request.at = At::Instance { begun, since_ns: now_ns };
        request.mentions += 1;
        if self.plants[at].takes(number) {
            self.work(now_ns, number);
        }
        true
    }

    /// An instance begins to work on a request.
    fn work(&mut self, now_ns: u64, number: usize) {
        if let Some((at, work)) = &mut self.requests[number].work {
            let done_ns = self.plants[*at].done_ns(now_ns, work);
            self.note(done_ns, What::Done(number));
        }
    }

    fn done(&mut self, now_ns: u64, number: usize) {
        let next = self.requests[number].work.and_then(|(at, _)| self.plants[at].release());
        if let Some(next) = next {
            self.work(now_ns, next);
        }
        let request = &mut self.requests[number];
        if let At::Instance { begun, since_ns } = std::mem::replace(&mut request.at, At::End) {
            self.tally.answered(request.came_ns, now_ns, request.class);
            let took = Duration::from_nanos(now_ns - since_ns);
            begun.observe(Outcome::Answered(Some(took)), moment(now_ns));
            quantile::learn_usual(&self.live, took);
            drop(begun);
            self.freed(now_ns);
        }
        self.forget(number);
    }

    fn give_up(&mut self, now_ns: u64, number: usize) {
        let request = &mut self.requests[number];
        let came_ns = request.came_ns;
        match std::mem::replace(&mut request.at, At::End) {
            At::End => {}
            At::Line(ticket) => {
                self.tally.given_up(came_ns);
                self.queue.leave(ticket);
            }
            At::Instance { begun, since_ns } => {
                self.tally.given_up(came_ns);
                let waited = Duration::from_nanos(now_ns - since_ns);
                begun.observe(Outcome::Abandoned(waited), moment(now_ns));
                drop(begun);
                let work = self.requests[number].work;
                if work.is_some_and(|(at, _)| self.plants[at].forget(number)) {
                    self.forget(number);
                }
                self.freed(now_ns);
            }
        }
        self.forget(number);
    }

    fn freed(&mut self, now_ns: u64) {
        let mut wake = Vec::new();
        self.queue.freed(moment(now_ns), &mut wake);
        self.wake(now_ns, wake);
    }

    /// Those who are woken look how they stand, and do what follows from that.
    fn wake(&mut self, now_ns: u64, mut woken: Vec<usize>) {
        while let Some(number) = woken.pop() {
            let At::Line(ticket) = self.requests[number].at else { continue };
            match self.queue.standing(ticket, |_| {}) {
                Standing::Called if self.start(now_ns, number) => {
                    self.queue.leave(ticket);
                    self.queue.call_within(self.room(), moment(now_ns), &mut woken);
                }
                Standing::Called => self.queue.send_back(ticket),
                Standing::Dropped(_) => {
                    self.queue.leave(ticket);
                    self.requests[number].at = At::End;
                    self.tally.refused(self.requests[number].came_ns);
                }
                Standing::InLine | Standing::Apart => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(discipline: Discipline) -> Waited {
        let length = Duration::from_secs(20);
        let overload = Overload { discipline, instances: 3, length, seed: 7 };
        let waited = overload.run();
        assert_eq!(waited, overload.run());
        let parts = waited.answered + waited.refused + waited.given_up;
        assert!((0.7..=1.0001).contains(&parts), "{discipline:?}: {waited:?}");
        waited
    }

    /// 100 of 130 can be answered, 0.77 of all. Who queues inside instances is worked on for
    /// nobody, and who waits in order is answered just before its client gives up.
    #[test]
    fn what_can_be_answered_is_answered_and_soon_only_by_the_queue() {
        let inside = run(Discipline::Inside);
        assert!(inside.answered < 0.6, "{inside:?}");
        let in_order = run(Discipline::InOrder);
        assert!(in_order.p50.unwrap() > Duration::from_millis(1500), "{in_order:?}");
        for discipline in [Discipline::Default, Discipline::Deadline, Discipline::Quick] {
            let waited = run(discipline);
            assert!(waited.answered > 0.7, "{discipline:?}: {waited:?}");
            assert!(waited.p50.unwrap() < Duration::from_millis(100), "{discipline:?}: {waited:?}");
            assert!(waited.answered_high > 0.98, "{discipline:?}: {waited:?}");
        }
    }
}
