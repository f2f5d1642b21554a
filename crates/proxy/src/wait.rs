//! Requests for which no endpoint is free wait here, bounded in number and in time.
//! They wait for the next table, not for a clock: whoever becomes ready is used at once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use model::InFlight;
use telemetry::Shard;
use tokio::sync::watch;

use crate::client::Client;
use crate::error::Error;
use crate::snapshot::Place;
use crate::stream::Stream;
use crate::worker::Worker;

/// How long a request that an instance failed waits for that instance to leave the pool. The end of
/// a process is noticed within milliseconds; one that is still there then is alive, and failed this
/// request for a reason that waiting does not cure.
const LEAVING_MAX: Duration = Duration::from_millis(500);

/// One waiting request; ends when dropped, whatever happened.
struct Waiting<'a> {
    worker: &'a Worker,
    slot: usize,
    shard: &'a Shard,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.worker.waiting.borrow_mut()[self.slot] -= 1;
        self.shard.waiting(-1);
        self.shard.waited(self.since.elapsed());
    }
}

/// Waits until an endpoint of the service that was not tried takes the request, looking at every
/// new table. Returns the place in the table that had it. As long as one that was tried is still in
/// the pool, it waits only for [`LEAVING_MAX`].
///
/// # Errors
/// `TooManyWaiting` at once, `NoInstance` at the end of the time, `NoRoute` when the service went,
/// `ClientGone` when the client did, and what ends the request as a whole.
pub(crate) async fn wait<C: Stream>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &Place,
    tried: &[u64],
) -> Result<(Place, InFlight), Error> {
    let slot = place.pool().slot;
    let policy = place.pool().service.http;
    let shard = place.series().worker(worker.number);
    let waiting = enter(worker, slot, policy.waiting_max, shard)?;
    let mut changes = worker.changes.clone();
    loop {
        changes.borrow_and_update();
        let newest = worker.place_of(slot, &place.pool().service.name).ok_or(Error::NoRoute)?;
        if let Some(begun) = worker.pick(newest.pool(), tried) {
            return Ok((newest, begun));
        }
        let is_there = newest.pool().endpoints.iter().any(|e| tried.contains(&e.key));
        let patience = if is_there { LEAVING_MAX } else { policy.timeout_wait };
        let left = patience.min(policy.timeout_wait).saturating_sub(waiting.since.elapsed());
        if left.is_zero() {
            return Err(Error::NoInstance);
        }
        client.deadline.set(left);
        change(client, &mut changes).await?;
    }
}

/// Waits for the next table.
async fn change<C: Stream>(
    client: &mut Client<C>,
    changes: &mut watch::Receiver<u64>,
) -> Result<(), Error> {
    let mut changed = pin!(changes.changed());
    poll_fn(|cx| {
        if let Poll::Ready(changed) = changed.as_mut().poll(cx) {
            return Poll::Ready(changed.map_err(|_| Error::NoInstance));
        }
        if client.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Error::ClientGone));
        }
        match client.deadline.has_passed(cx) {
            true => Poll::Ready(Err(Error::NoInstance.or_greater(client.deadline.why()))),
            false => Poll::Pending,
        }
    })
    .await
}

fn enter<'a>(
    worker: &'a Worker,
    slot: usize,
    waiting_max: u32,
    shard: &'a Shard,
) -> Result<Waiting<'a>, Error> {
    let mut waiting = worker.waiting.borrow_mut();
    if waiting.len() <= slot {
        waiting.resize(slot + 1, 0);
    }
    if waiting[slot] >= waiting_max {
        return Err(Error::TooManyWaiting);
    }
    waiting[slot] += 1;
    shard.waiting(1);
    Ok(Waiting { worker, slot, shard, since: Instant::now() })
}
