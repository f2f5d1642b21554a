//! Requests for which no endpoint is free wait here, bounded in number and in time.
//! They wait for a place or for the next table, not for a clock: what becomes free is used at once.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use balance::quantile;
use balance::queue::{Standing, Takes, Why};
use model::{InFlight, Pool, Priority, PriorityFrom, PriorityHeader, QueuePolicy};
use telemetry::Shard;
use tokio::sync::watch;

use crate::client::Client;
use crate::error::Error;
use crate::line::{InLine, Line, Patience};
use crate::retry::Tries;
use crate::snapshot::Place;
use crate::stream::Stream;
use crate::worker::Worker;

/// How long a request that an instance failed waits for that instance to leave the pool. The end of
/// a process is noticed within milliseconds; one that is still there then is alive, and failed this
/// request for a reason that waiting does not cure.
const LEAVING_MAX: Duration = Duration::from_millis(500);

/// One waiting request, as it is counted; ends when dropped, whatever happened.
struct Waiting<'a> {
    shard: &'a Shard,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(shard: &'a Shard) -> Self {
        shard.waiting(1);
        Self { shard, since: Instant::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shard.waiting(-1);
        self.shard.waited(self.since.elapsed());
    }
}

/// Waits until an endpoint of the service that was not tried takes the request, looking when it is
/// its turn. Returns the place in the table that had it. As long as there is none but those that
/// were tried, it waits only for [`LEAVING_MAX`].
///
/// # Errors
/// `TooManyWaiting` and `TooLate` at once, `NoInstance` or `AllBusy` at the end of the time, any of
/// the reasons why others go first, `NoRoute` when the service went, `ClientGone` when the client
/// did, and what ends the request as a whole.
pub(crate) async fn wait<C: Stream>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &Place,
    tries: &Tries,
) -> Result<(Place, InFlight), Error> {
    let tried = &*tries.tried;
    let pool = place.pool();
    let policy = &pool.service.queue;
    let line: Arc<Line> = pool.live.line();
    let useful = useful(client, pool);
    let patience = patience(client, pool, (tried, useful));
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let in_line = line.enter(&pool.live, policy, patience, waker).map_err(refused)?;
    let waiting = Waiting::begin(place.series().worker(worker.number));
    let mut changes = worker.changes.clone();
    let mut is_called = patience.takes == Takes::Others;
    loop {
        changes.borrow_and_update();
        let newest = worker.place_of(pool.slot, &pool.service.name).ok_or(Error::NoRoute)?;
        if is_called {
            if let Some(begun) = worker.pick(newest.pool(), tries.wish, tried) {
                in_line.take_place(newest.pool());
                return Ok((newest, begun));
            }
            in_line.send_back();
            // Somebody else was quicker. Should that go on, others on this thread have their turn.
            tokio::task::yield_now().await;
        }
        line.look(newest.pool());
        let others = newest.pool().endpoints.iter().filter(|e| !tried.contains(&e.key));
        let is_busy = others.clone().any(|endpoint| !endpoint.is_closed());
        let is_tried = newest.pool().endpoints.len() > others.count();
        let max = if is_tried && !is_busy { LEAVING_MAX } else { policy.timeout_wait };
        let waited = waiting.since.elapsed();
        let left = max.min(policy.timeout_wait).saturating_sub(waited);
        let too_long = if is_busy { Error::AllBusy } else { Error::NoInstance };
        let (left, too_long) = match useful.map(|useful| useful.saturating_sub(waited)) {
            Some(useful) if useful < left => (useful, Error::TooLate),
            _ => (left, too_long),
        };
        if left.is_zero() {
            return Err(too_long);
        }
        client.deadline.set(left);
        is_called = match turn(client, &in_line, &mut changes, too_long).await? {
            Turn::Called => true,
            Turn::NewTable => patience.takes == Takes::Others,
        };
    }
}

/// What a request that waits is to look at.
enum Turn {
    /// There may be a place for it.
    Called,
    /// There is another table: everybody sees to it that those are called for whom it has a place.
    NewTable,
}

/// Waits for its turn or the next table.
async fn turn<C: Stream>(
    client: &mut Client<C>,
    in_line: &InLine<'_>,
    changes: &mut watch::Receiver<u64>,
    too_long: Error,
) -> Result<Turn, Error> {
    let mut changed = pin!(changes.changed());
    poll_fn(|cx| {
        match in_line.standing(cx.waker()) {
            Standing::Dropped(why) => return Poll::Ready(Err(refused(why))),
            Standing::Called => return Poll::Ready(Ok(Turn::Called)),
            Standing::InLine | Standing::Apart => {}
        }
        if let Poll::Ready(changed) = changed.as_mut().poll(cx) {
            let turn = changed.map(|()| Turn::NewTable);
            return Poll::Ready(turn.map_err(|_| Error::NoInstance));
        }
        if client.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Error::ClientGone));
        }
        match client.deadline.has_passed(cx) {
            true => Poll::Ready(Err(too_long.or_greater(client.deadline.why()))),
            false => Poll::Pending,
        }
    })
    .await
}

/// For how long an answer that takes what half of them take would still be in time; none as long as
/// nobody knows what they take, or the request has all the time that it wants.
fn useful<C: Stream>(client: &Client<C>, pool: &Pool) -> Option<Duration> {
    let (left, takes) = client.deadline.left().zip(quantile::median(&pool.live))?;
    Some(left.saturating_sub(takes))
}

/// As what a request waits, and until when a place is of use to it.
fn patience<C: Stream>(
    client: &Client<C>,
    pool: &Pool,
    (tried, useful): (&[u64], Option<Duration>),
) -> Patience {
    let policy = &pool.service.queue;
    let is_tried = pool.endpoints.iter().any(|endpoint| tried.contains(&endpoint.key));
    let left = useful.or_else(|| client.deadline.left());
    Patience {
        class: class_of(client, policy),
        takes: if is_tried { Takes::Others } else { Takes::Any },
        left: left.map_or(policy.timeout_wait, |left| left.min(policy.timeout_wait)),
    }
}

/// The class of a request.
pub(crate) fn class_of<C: Stream>(client: &Client<C>, policy: &QueuePolicy) -> Priority {
    policy.priority.as_ref().and_then(|header| said(client, header)).unwrap_or_default()
}

/// The class that a request says it is of, if its word is believed.
fn said<C: Stream>(client: &Client<C>, header: &PriorityHeader) -> Option<Priority> {
    if header.from == PriorityFrom::Trusted && !client.is_trusted {
        return None;
    }
    client.field(&header.name).and_then(Priority::named)
}

fn refused(why: Why) -> Error {
    match why {
        Why::Full => Error::TooManyWaiting,
        Why::Overloaded => Error::Overloaded,
        Why::TooLate => Error::TooLate,
    }
}
