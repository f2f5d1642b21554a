//! From a request and its service to an answer: pick, wait, forward, and retry elsewhere.
//! It moves no byte itself, and how an endpoint is picked is `balance`'s.

use std::time::Instant;

use http1::Framing;
use model::{HttpPolicy, InFlight, Outcome};

use crate::client::Client;
use crate::encode::coding_for;
use crate::error::{Blame, Error, Retry};
use crate::exchange::{Asked, Exchanged, Failure};
use crate::forward::Attempt;
use crate::phase::Phase;
use crate::record::Record;
use crate::snapshot::{InService, Place};
use crate::stream::Stream;
use crate::wait::wait;
use crate::worker::Worker;

/// Picks an endpoint, forwards, and goes to another one as long as that can help and is safe.
pub(crate) async fn dispatch<C>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &mut Place,
    record: &mut Record,
) -> Result<Exchanged, Failure>
where
    C: Stream,
{
    let asked = Asked {
        method: client.head.method(),
        version: client.head.version(),
        keep_alive: worker.keeps_alive(client),
        expects: client.head.expects_continue() && client.head.framing() != Framing::None,
        upgrade: client.head.wants_upgrade() && client.head.framing() == Framing::None,
        coding: coding_for(client, &place.pool().service.compression),
        wants_first_byte: worker.has_access_log(),
    };
    let HttpPolicy { body_bytes_max, retries_max, timeout_request, .. } = place.pool().service.http;
    if let Some(timeout) = timeout_request {
        client.deadline.cap(timeout);
    }
    if matches!(client.head.framing(), Framing::Length(bytes) if bytes > body_bytes_max) {
        return Err(Failure { error: Error::BodyTooLarge, is_answered: false });
    }
    let _in_service = InService::begin(place, worker.number);
    let mut tried = Vec::new();
    let mut failed: Option<(Failure, Phase)> = None;
    loop {
        let begun = match pick(client, worker, place, &tried, record).await {
            Ok(begun) => begun,
            Err(error) => {
                let Some((failure, phase)) = failed.filter(|_| !error.ends_request()) else {
                    return Err(Failure { error, is_answered: false });
                };
                record.phase = phase;
                return Err(failure);
            }
        };
        if record.attempts > 0 {
            place.series().worker(worker.number).retry();
        }
        record.attempts += 1;
        record.instance = Some(begun.endpoint().id.clone());
        let attempt = Attempt { worker, place, begun: &begun, asked };
        let failure = match attempt.forward(client, record).await {
            Ok(exchanged) => {
                begun.observe(answered(record), worker.now());
                return Ok(exchanged);
            }
            Err(failure) => failure,
        };
        blame(worker, &begun, failure.error);
        if record.attempts > retries_max || !may_retry(client, failure) {
            return Err(failure);
        }
        tried.push(begun.endpoint().key);
        failed = Some((failure, record.phase));
    }
}

/// An endpoint of the request's table, or else of the first later table that has one.
pub(crate) async fn pick<C>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &mut Place,
    tried: &[u64],
    record: &mut Record,
) -> Result<InFlight, Error>
where
    C: Stream,
{
    // Who is new goes behind those who wait, and who was at an instance already has waited.
    if !(tried.is_empty() && place.pool().live.has_line())
        && let Some(begun) = worker.pick(place.pool(), tried)
    {
        return Ok(begun);
    }
    let since = Instant::now();
    record.phase = Phase::Wait;
    // Apart, so that the waiting of a few does not make every connection larger.
    let found = Box::pin(wait(client, worker, place, tried)).await;
    record.waited += since.elapsed();
    let (newer, begun) = found?;
    *place = newer;
    Ok(begun)
}

/// Tells those who keep count. Only a refused connection takes an instance out of the pool: a reset
/// may be the doing of one poisonous request, which would then take out one instance after another.
pub(crate) fn blame(worker: &Worker, begun: &InFlight, error: Error) {
    let failed = error.blame() == Blame::Instance;
    begun.observe(if failed { Outcome::Failed } else { Outcome::Unknown }, worker.now());
    if matches!(error, Error::ConnectRefused | Error::ConnectTimeout) {
        worker.report_unreachable(&begun.endpoint().id);
    }
}

/// What an instance made of a request that it answered.
fn answered(record: &Record) -> Outcome {
    Outcome::of(record.status, None, None)
}

/// Nothing was sent to the client, the request is still whole, and repeating it is safe.
fn may_retry<C>(client: &Client<C>, failure: Failure) -> bool {
    let is_safe = match failure.error.retry() {
        Retry::Never => false,
        Retry::Idempotent => client.head.method().is_idempotent(),
        Retry::Always => true,
    };
    is_safe && !failure.is_answered && client.has_head
}
