//! The prober on a paused clock, with instances that answer as the test says.
//! No network: what is put on the wire is tested beside `wire`.
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use model::{Command, Health, HttpProbe, Source};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::turns::LANE_MAX;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Instances with this number and higher ones never answer.
const SWALLOWS_FROM: u16 = 1000;

/// The policy of all tests here.
pub(crate) fn health() -> Health {
    Health {
        probe: Probe::Http(Box::new(HttpProbe::get("/healthz"))),
        interval: 2 * SECOND,
        interval_fast: Duration::from_millis(200),
        timeout: SECOND,
        healthy: 2,
        unhealthy: 3,
        timeout_boot: 60 * SECOND,
        feedback: false,
    }
}

/// A service by that policy.
pub(crate) fn service() -> Service {
    let argv = vec!["true".into()];
    let command = Command { argv, env: Default::default(), dir: None };
    let name = "shop".parse().unwrap();
    Service { health: health(), ..Service::unbounded(name, Source::Command(command)) }
}

fn endpoint(number: u16) -> Arc<Endpoint> {
    endpoint_of("shop", number)
}

fn endpoint_of(service: &str, number: u16) -> Arc<Endpoint> {
    let id = format!("{service}.{number}").parse().unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], number));
    Arc::new(Endpoint::new(id, u64::from(number), addr, 1))
}

/// How the instances behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Pass,
    Says(&'static str),
    Fail,
    Never,
    CannotAsk,
}

/// Instances that behave, and what they saw.
struct Herd {
    answer: Cell<Answer>,
    asked: RefCell<Vec<(SocketAddr, Instant)>>,
    under_way: Cell<usize>,
    under_way_max: Cell<usize>,
}

impl Herd {
    fn new(answer: Answer) -> Rc<Self> {
        Rc::new(Self {
            answer: Cell::new(answer),
            asked: RefCell::default(),
            under_way: Cell::default(),
            under_way_max: Cell::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.borrow().len()
    }
}

struct UnderWay<'a>(&'a Herd);

impl<'a> UnderWay<'a> {
    fn new(herd: &'a Herd) -> Self {
        herd.under_way.set(herd.under_way.get() + 1);
        herd.under_way_max.set(herd.under_way_max.get().max(herd.under_way.get()));
        Self(herd)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl Ask for Rc<Herd> {
    async fn ask(&self, endpoint: &Endpoint, _: &Service) -> io::Result<super::Answer> {
        let _under_way = UnderWay::new(self);
        self.asked.borrow_mut().push((endpoint.addr, Instant::now()));
        match self.answer.get() {
            _ if endpoint.addr.port() >= SWALLOWS_FROM => std::future::pending().await,
            Answer::Pass => Ok(ProbeOutcome::Pass.into()),
            Answer::Says(said) => {
                Ok(super::Answer { outcome: ProbeOutcome::Pass, said: said.to_owned() })
            }
            Answer::Fail => Ok(ProbeOutcome::Fail("GET /healthz answered 500".into()).into()),
            Answer::Never => std::future::pending().await,
            Answer::CannotAsk => Err(io::Error::other("no file descriptor left")),
        }
    }
}

fn prober(herd: &Rc<Herd>) -> (Prober<Rc<Herd>>, mpsc::Receiver<Event>) {
    let (events, outcomes) = mpsc::channel(1024);
    (Prober::new(Rc::clone(herd), events, 7), outcomes)
}

/// The next outcome, which must come within `within`.
async fn next(outcomes: &mut mpsc::Receiver<Event>, within: Duration) -> (String, ProbeOutcome) {
    let event = tokio::time::timeout(within, outcomes.recv()).await.unwrap().unwrap();
    let Event::Probed { id, outcome } = event else { panic!("{event:?}") };
    (id.to_string(), outcome)
}

#[tokio::test(start_paused = true)]
async fn the_first_probe_is_at_once_and_the_rest_by_the_cadence() {
    let herd = Herd::new(Answer::Pass);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            let start = Instant::now();
            prober.watch(endpoint(1), Arc::new(service()));
            let first = next(&mut outcomes, Duration::from_millis(1)).await;
            assert_eq!(first, ("shop.1".into(), ProbeOutcome::Pass));
            assert_eq!(start.elapsed(), Duration::ZERO);
            next(&mut outcomes, Duration::from_millis(221)).await;
            next(&mut outcomes, Duration::from_millis(2001)).await;
            let before = Instant::now();
            next(&mut outcomes, Duration::from_millis(2201)).await;
            assert!(before.elapsed() >= Duration::from_millis(1800));

            herd.answer.set(Answer::Fail);
            let (_, failed) = next(&mut outcomes, Duration::from_millis(2201)).await;
            assert_eq!(failed, ProbeOutcome::Fail("GET /healthz answered 500".into()));
            next(&mut outcomes, Duration::from_millis(221)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_answers_fails_after_the_timeout() {
    let herd = Herd::new(Answer::Never);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            let start = Instant::now();
            let mut service = service();
            prober.watch(endpoint(1), Arc::new(service.clone()));
            let (_, outcome) = next(&mut outcomes, 2 * SECOND).await;
            assert_eq!(outcome, ProbeOutcome::Silent("GET /healthz: no answer within 1s".into()));
            assert_eq!(start.elapsed(), SECOND);

            service.health.probe = Probe::Tcp;
            service.health.timeout = Duration::from_millis(1500);
            prober.watch(endpoint(1), Arc::new(service));
            let (_, outcome) = next(&mut outcomes, 2 * SECOND).await;
            assert_eq!(outcome, ProbeOutcome::Silent("no connection within 1.5s".into()));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_herders_own_fault_is_not_reported_as_the_instances() {
    let herd = Herd::new(Answer::CannotAsk);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            prober.watch(endpoint(1), Arc::new(service()));
            tokio::time::sleep(2 * SECOND).await;
            assert!(outcomes.try_recv().is_err());
            assert!(herd.asked() >= 8, "{}", herd.asked());
            herd.answer.set(Answer::Pass);
            next(&mut outcomes, SECOND).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn hastening_probes_now() {
    let herd = Herd::new(Answer::Pass);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            let shop = endpoint(1);
            prober.watch(Arc::clone(&shop), Arc::new(service()));
            for _ in 0..4 {
                next(&mut outcomes, 3 * SECOND).await;
            }
            let start = Instant::now();
            prober.hasten(&shop.id);
            next(&mut outcomes, Duration::from_millis(1)).await;
            assert_eq!(start.elapsed(), Duration::ZERO);

            // While one is under way: once more right after it, and only once.
            herd.answer.set(Answer::Never);
            prober.hasten(&shop.id);
            tokio::time::sleep(Duration::from_millis(500)).await;
            let asked = herd.asked();
            prober.hasten(&shop.id);
            prober.hasten(&shop.id);
            tokio::time::sleep(Duration::from_millis(501)).await;
            assert_eq!(herd.asked(), asked + 1);

            prober.hasten(&"shop.99".parse().unwrap());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn forgetting_stops_and_watching_again_replaces() {
    let herd = Herd::new(Answer::Pass);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            let shop = endpoint(1);
            prober.watch(Arc::clone(&shop), Arc::new(service()));
            next(&mut outcomes, SECOND).await;
            let moved = Endpoint::new(shop.id.clone(), 2, ([127, 0, 0, 1], 9).into(), 1);
            let moved_addr = moved.addr;
            prober.watch(Arc::new(moved), Arc::new(service()));
            tokio::time::sleep(10 * SECOND).await;
            let asked = herd.asked.take();
            assert!(asked.len() > 4);
            assert!(asked[1..].iter().all(|&(addr, _)| addr == moved_addr), "{asked:?}");

            prober.forget(&shop.id);
            while outcomes.try_recv().is_ok() {}
            tokio::time::sleep(10 * SECOND).await;
            assert!(outcomes.try_recv().is_err());
            assert_eq!(herd.asked(), 0);

            prober.watch(endpoint(2), Arc::new(service()));
            next(&mut outcomes, SECOND).await;
            drop(prober);
            tokio::time::sleep(10 * SECOND).await;
            assert_eq!(herd.asked(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn probes_at_the_same_time_are_bounded_and_all_get_their_turn() {
    let herd = Herd::new(Answer::Never);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            let start = Instant::now();
            let count = 3 * LANE_MAX;
            for number in 1..=count {
                prober.watch(endpoint(u16::try_from(number).unwrap()), Arc::new(service()));
            }
            let mut seen = std::collections::HashSet::new();
            while seen.len() < count {
                seen.insert(next(&mut outcomes, 2 * SECOND).await.0);
            }
            // Those that were late already have a lane of their own.
            assert!((LANE_MAX..=2 * LANE_MAX).contains(&herd.under_way_max.get()));
            assert!(start.elapsed() <= 4 * SECOND, "{:?}", start.elapsed());
        })
        .await;
}

/// Hundreds that swallow every probe, some of them of the same service: the others are asked as
/// often as if they were alone.
#[tokio::test(start_paused = true)]
async fn those_that_never_answer_keep_nobody_else_waiting() {
    let herd = Herd::new(Answer::Pass);
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            let slow = |name: &str| {
                let mut service = service();
                service.name = name.parse().unwrap();
                service.health.timeout = 10 * SECOND;
                Arc::new(service)
            };
            for (service, from) in [("shop", SWALLOWS_FROM), ("blog", 2000), ("wiki", 3000)] {
                for number in from..from + 200 {
                    prober.watch(endpoint_of(service, number), slow(service));
                }
            }
            // Until all of them are known for it.
            tokio::time::sleep(100 * SECOND).await;
            prober.watch(endpoint_of("shop", 1), slow("shop"));
            prober.watch(endpoint_of("chat", 2), slow("chat"));
            tokio::time::sleep(100 * SECOND).await;
            while outcomes.try_recv().is_ok() {}
            let mut gaps = std::collections::HashMap::new();
            for (addr, at) in herd.asked.take() {
                if addr.port() < SWALLOWS_FROM {
                    let (last, longest): &mut (Instant, Duration) =
                        gaps.entry(addr.port()).or_insert((at, Duration::ZERO));
                    *longest = (*longest).max(at - *last);
                    *last = at;
                }
            }
            assert_eq!(gaps.len(), 2);
            let cadence = Duration::from_millis(2201);
            for (port, (_, longest)) in gaps {
                assert!(longest <= cadence, "{port} was left alone for {longest:?}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_wants_comes_before_its_pass_if_anybody_listens() {
    let herd = Herd::new(Answer::Says("drain"));
    LocalSet::new()
        .run_until(async {
            let (mut prober, mut outcomes) = prober(&herd);
            prober.watch(endpoint(1), Arc::new(service()));
            next(&mut outcomes, SECOND).await;
            prober.forget(&endpoint(1).id);

            let mut service = service();
            service.health.feedback = true;
            prober.watch(endpoint(1), Arc::new(service));
            for (answer, expected) in [
                (Answer::Says("drain"), Feedback::Drain),
                (Answer::Says("50%"), Feedback::Percent(50)),
                (Answer::Pass, Feedback::WHOLE),
            ] {
                herd.answer.set(answer);
                prober.hasten(&endpoint(1).id);
                while let Some(event) = outcomes.recv().await {
                    let Event::FedBack { feedback, .. } = event else { panic!("{event:?}") };
                    let (_, outcome) = next(&mut outcomes, Duration::from_millis(1)).await;
                    assert_eq!(outcome, ProbeOutcome::Pass);
                    if feedback == expected {
                        break;
                    }
                }
            }
            // A failure says nothing else.
            herd.answer.set(Answer::Fail);
            next(&mut outcomes, 3 * SECOND).await;
        })
        .await;
}
