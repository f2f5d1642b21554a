//! Whether a request that failed is sent again, when, and at whose expense.
//! It moves no bytes: `dispatch` does what it says, and the budget is counted in `balance`.
//!
//! A failure of a connection is judged when it has happened. A response that the policy names, and
//! a try that takes too long, are given up only once the next try has its endpoint and its part of
//! the budget: `verdict` reserves both, or the response at hand is as good as any.

mod pause;
pub(crate) mod verdict;

use std::cell::{Cell, Ref, RefCell};
use std::time::{Duration, Instant};

use balance::budget::{self, NoBudget, Retrying, Traffic};
use http1::Framing;
use model::{InFlight, Outcome, Pool, Retry};
use telemetry::RetryReason;

use crate::client::Client;
use crate::dispatch::pick;
use crate::error::Error;
use crate::exchange::Failure;
use crate::phase::Phase;
use crate::record::Record;
use crate::retry::pause::{Said, backoff, rest};
use crate::snapshot::Place;
use crate::stream::Stream;
use crate::wish::Wish;
use crate::worker::Worker;

/// Between two looks at a budget that is used up for the moment.
const LOOK: Duration = Duration::from_millis(4);

/// What one request has tried, and what it may still try.
pub(crate) struct Tries {
    /// Keys of the endpoints that it must not go to again.
    pub(crate) tried: Vec<u64>,
    /// Where it would like to go.
    pub(crate) wish: Wish,
    /// Tries that are left after the one at hand.
    left: u32,
    /// Whether it may be sent again though an instance may have seen it.
    is_repeatable: bool,
    has_body: bool,
    /// Whether it has no head that is used up: it is a connection in TCP mode.
    is_headless: bool,
    /// Whether its body is kept until the response begins.
    pub(crate) keeps_body: bool,
    /// What the try at hand has failed with.
    failed: Option<(Failure, Phase)>,
    /// The part of the budget that the try at hand has, if it is not the first.
    retrying: RefCell<Option<Retrying>>,
    /// The next try, if the one at hand was given up for it.
    next: Cell<Option<Box<Next>>>,
    /// Who answers instead of the endpoint that the try began at.
    winner: RefCell<Option<InFlight>>,
}

/// A try that can begin at once.
struct Next {
    begun: InFlight,
    retrying: Retrying,
    reason: RetryReason,
    said: Said,
    /// How long its endpoint wants to be left alone.
    rest: Duration,
}

impl Tries {
    /// Nothing tried yet.
    pub(crate) fn of<C>(client: &Client<C>, pool: &Pool) -> Self {
        let policy = &pool.service.retry;
        let (head, framing) = (&client.head, client.head.framing());
        let method = head.method_span().of(client.input.unread());
        let is_repeatable = policy.methods.contain(head.method(), method);
        let on = &policy.on;
        let is_small = match framing {
            Framing::Length(bytes) => {
                usize::try_from(bytes).is_ok_and(|n| n <= policy.body_bytes_max)
            }
            _ => policy.body_bytes_max > 0,
        };
        let has_use = policy.retries_max > 0 && (on.reset || on.timeout || !on.statuses.is_empty());
        Self {
            tried: Vec::new(),
            left: policy.retries_max,
            is_repeatable,
            has_body: framing != Framing::None,
            is_headless: false,
            keeps_body: framing != Framing::None && is_small && has_use && is_repeatable,
            failed: None,
            retrying: RefCell::default(),
            next: Cell::new(None),
            wish: Wish::of_request(client, pool),
            winner: RefCell::default(),
        }
    }

    /// The same of a connection in TCP mode, of which no instance has had a byte when it is tried
    /// again.
    pub(crate) fn of_connection<C>(client: &Client<C>, pool: &Pool) -> Self {
        Self {
            tried: Vec::new(),
            left: pool.service.retry.retries_max,
            is_repeatable: true,
            has_body: false,
            is_headless: true,
            keeps_body: false,
            failed: None,
            retrying: RefCell::default(),
            next: Cell::new(None),
            wish: Wish::of_connection(client, pool),
            winner: RefCell::default(),
        }
    }

    /// The try at hand has an answer for the client.
    pub(crate) fn succeeded(&self, outcome: Outcome) {
        if let (Some(retrying), Outcome::Answered(_)) = (&*self.retrying.borrow(), outcome) {
            retrying.succeeded();
        }
    }

    /// The try at hand came to nothing: the part of the budget that it had, if it was a retry, is
    /// free for others, the next one of the same request among them.
    fn free(&self) {
        *self.retrying.borrow_mut() = None;
    }

    /// Another endpoint answers the try at hand.
    pub(crate) fn won_by(&self, begun: InFlight) {
        *self.winner.borrow_mut() = Some(begun);
    }

    /// Who does, if another one does.
    pub(crate) fn take_winner(&mut self) -> Option<InFlight> {
        self.winner.get_mut().take()
    }

    /// The same, and it stays.
    pub(crate) fn winner(&self) -> Ref<'_, Option<InFlight>> {
        self.winner.borrow()
    }

    /// The try at hand was given up for the next.
    pub(crate) fn has_next(&mut self) -> bool {
        self.next.get_mut().is_some()
    }

    /// Takes note of a failure. Whether there may be another try: nothing was sent to the client,
    /// the request is still whole, and the policy allows it.
    pub(crate) fn fail<C>(
        &mut self,
        policy: &Retry,
        client: &Client<C>,
        failure: Failure,
        phase: Phase,
    ) -> bool {
        self.failed = Some((failure, phase));
        let on = &policy.on;
        let is_on = match failure.error.retry() {
            None | Some(RetryReason::Status) => false,
            Some(RetryReason::ConnectFailure) => on.connect_failure,
            Some(RetryReason::Reset) => on.reset && self.is_repeatable,
            Some(RetryReason::Timeout) => on.timeout && self.is_repeatable,
        };
        let is_whole = self.is_headless || client.has_head || client.input.keeps();
        is_on && self.left > 0 && is_whole && !failure.is_answered
    }

    fn number(&self, policy: &Retry) -> u32 {
        policy.retries_max.saturating_sub(self.left)
    }
}

/// Begins the next try of a request: at another endpoint, within the budget, after a pause.
///
/// # Errors
/// The failure of the last try if there is no other one, and what ends the request as a whole.
pub(crate) async fn again<C: Stream>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &mut Place,
    tries: &mut Tries,
    record: &mut Record,
) -> Result<InFlight, Failure> {
    let over = |error| Failure { error, is_answered: false };
    client.take_back();
    let next = match tries.next.take() {
        Some(next) => *next,
        None => find(client, worker, place, tries, record).await?,
    };
    let policy = &place.pool().service.retry;
    tries.left -= 1;
    let backoff = backoff(policy, tries.number(policy), (next.reason, next.said));
    let pause = next.rest.max(backoff.mul_f64(worker.chance()));
    rest(client, pause).await.map_err(over)?;
    place.series().worker(worker.number).retry(next.reason);
    if tries.keeps_body {
        record.bytes_in = u64::try_from(client.head.len()).unwrap_or(0);
    }
    *tries.retrying.get_mut() = Some(next.retrying);
    Ok(next.begun)
}

/// Looks for an endpoint, and waits for one, and then for the budget.
async fn find<C: Stream>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &mut Place,
    tries: &mut Tries,
    record: &mut Record,
) -> Result<Next, Failure> {
    // A failure was noted before, by whoever wants another try.
    let nothing = Failure { error: Error::NoInstance, is_answered: false };
    let (failure, phase) = tries.failed.take().unwrap_or((nothing, record.phase));
    tries.free();
    let reason = failure.error.retry().unwrap_or(RetryReason::Reset);
    let spent = budget::afford(
        place.pool().service.retry.budget,
        &place.pool().live,
        traffic(worker, place),
    );
    if spent.is_err() && has_other(place, &tries.tried) {
        place.series().worker(worker.number).deny_retry();
        return Err(failure);
    }
    let (begun, rest) = match choose(worker, place, tries.wish, &tries.tried) {
        Some(chosen) => chosen,
        None => {
            avoid_resting(worker, place, &mut tries.tried);
            match pick(client, worker, place, tries, record).await {
                Ok(begun) => (begun, Duration::ZERO),
                Err(error) if error.ends_request() => {
                    return Err(Failure { error, is_answered: false });
                }
                Err(_) => {
                    record.phase = phase;
                    return Err(failure);
                }
            }
        }
    };
    match enter(client, worker, place).await {
        Ok(Some(retrying)) => Ok(Next { begun, retrying, reason, said: Said::Nothing, rest }),
        Ok(None) => {
            worker.observe(&begun, Outcome::Unknown);
            record.phase = phase;
            Err(failure)
        }
        Err(error) => Err(Failure { error, is_answered: false }),
    }
}

/// Waits for a part of the budget, at most as long as a back-off. None if there is none.
pub(crate) async fn enter<C: Stream>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &Place,
) -> Result<Option<Retrying>, Error> {
    let policy = &place.pool().service.retry;
    let since = Instant::now();
    loop {
        match budget::begin(policy.budget, &place.pool().live, traffic(worker, place)) {
            Ok(retrying) => return Ok(Some(retrying)),
            Err(NoBudget::Busy) if since.elapsed() < policy.backoff_max => {
                rest(client, until_look(worker)).await?;
            }
            Err(_) => {
                place.series().worker(worker.number).deny_retry();
                return Ok(None);
            }
        }
    }
}

/// How long until a budget that is used up is looked at again: not for all in the same moment.
fn until_look(worker: &Worker) -> Duration {
    LOOK.mul_f64(1.0 - worker.chance() / 2.0)
}

/// Another endpoint, and how long it wants to be left alone: mostly not at all, because those who
/// asked for that are chosen only if all others did as well.
fn choose(
    worker: &Worker,
    place: &Place,
    wish: Wish,
    tried: &[u64],
) -> Option<(InFlight, Duration)> {
    let pool = place.pool();
    let mut avoided = tried.to_vec();
    avoid_resting(worker, place, &mut avoided);
    if let Some(begun) = worker.pick(pool, wish, &avoided) {
        return Some((begun, Duration::ZERO));
    }
    let now = worker.now();
    let resting = pool.endpoints.iter().filter(|one| !tried.contains(&one.key) && one.is_free());
    let soonest = resting.min_by_key(|one| one.rests_until())?;
    let rest = soonest.rests_until().since(now);
    if rest > pool.service.retry.retry_after_max {
        return None;
    }
    Some((soonest.begin()?, rest))
}

/// Adds the endpoints that want to be left alone.
fn avoid_resting(worker: &Worker, place: &Place, tried: &mut Vec<u64>) {
    let now = worker.now();
    let resting = place.pool().endpoints.iter().filter(|one| one.rests_until() > now);
    tried.extend(resting.map(|one| one.key));
}

/// Whether an endpoint that was not tried could take a request now.
fn has_other(place: &Place, tried: &[u64]) -> bool {
    place.pool().endpoints.iter().any(|one| one.is_free() && !tried.contains(&one.key))
}

/// What the budget of a service is measured against.
pub(crate) fn traffic(worker: &Worker, place: &Place) -> Traffic {
    let pool = place.pool();
    let in_flight: u64 = pool.endpoints.iter().map(|one| u64::from(one.in_flight())).sum();
    let waiting = pool.live.waiting();
    Traffic {
        active: in_flight + u64::from(waiting),
        answered: place.series().requests(),
        uptime_ms: worker.now_ms(),
    }
}
