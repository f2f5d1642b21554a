//! From a request and its service to an answer: pick, wait, forward, and retry elsewhere.
//! It moves no byte itself, and how an endpoint is picked is `balance`'s.

use std::time::Instant;

use balance::quantile;
use http1::Framing;
use model::{HttpPolicy, InFlight, Outcome, Pool, Report};

use crate::client::Client;
use crate::encode::coding_for;
use crate::error::{Blame, Error};
use crate::exchange::{Asked, Exchanged, Failure};
use crate::forward::Attempt;
use crate::line::Line;
use crate::phase::Phase;
use crate::record::Record;
use crate::retry::{Tries, again};
use crate::snapshot::{InService, Place};
use crate::stream::Stream;
use crate::timing::Timing;
use crate::wait::{class_of, wait};
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
        wants_first_byte: worker.has_access_log() || place.pool().service.hedge.is_some(),
    };
    let HttpPolicy { body_bytes_max, timeout_request, .. } = place.pool().service.http;
    if let Some(guard) = place.guard() {
        let passed = pass(guard, client, worker, place.pool(), record);
        passed.map_err(|error| Failure { error, is_answered: false })?;
    }
    if let Some(timeout) = timeout_request {
        client.deadline.cap(timeout);
    }
    if matches!(client.head.framing(), Framing::Length(bytes) if bytes > body_bytes_max) {
        return Err(Failure { error: Error::BodyTooLarge, is_answered: false });
    }
    let _in_service = InService::begin(place, worker.number);
    let mut tries = Tries::of(client, place.pool());
    let picked = pick(client, worker, place, &tries, record).await;
    let mut begun = picked.map_err(|error| Failure { error, is_answered: false })?;
    loop {
        record.attempts += 1;
        record.instance = Some(begun.endpoint().id.clone());
        let has_body = || client.head.framing() != Framing::None;
        let timing = Timing::begin(&place.pool().service, has_body);
        record.timing = timing.since(record.attempt_at());
        let connecting = record.connecting;
        let attempt = Attempt { worker, place, begun: &begun, asked, tries: &tries };
        let result = attempt.forward(client, record).await;
        if let Some(winner) = tries.take_winner() {
            worker.observe(&begun, record.timing.overtaken());
            tries.tried.push(begun.endpoint().key);
            record.instance = Some(winner.endpoint().id.clone());
            begun = winner;
        }
        match result {
            Ok(exchanged) => {
                let connecting = record.connecting - connecting;
                let outcome = record.timing.outcome(record.status, connecting);
                worker.observe(&begun, outcome);
                if !tries.has_next() {
                    tries.succeeded(outcome);
                    learn(place, record, &exchanged, outcome);
                    client.input.let_go();
                    return Ok(exchanged);
                }
            }
            Err(failure) => {
                blame(worker, &begun, failure.error, record.timing.unanswered());
                let policy = &place.pool().service.retry;
                if !tries.has_next() && !tries.fail(policy, client, failure, record.phase) {
                    client.input.let_go();
                    return Err(failure);
                }
            }
        }
        tries.tried.push(begun.endpoint().key);
        drop(begun);
        // Apart, so that the retries of a few do not make every connection larger.
        begun = Box::pin(again(client, worker, place, &mut tries, record)).await?;
    }
}

/// Lets a request by the rates of its service and its door.
fn pass<C: Stream>(
    guard: &Line,
    client: &Client<C>,
    worker: &Worker,
    pool: &Pool,
    record: &mut Record,
) -> Result<(), Error> {
    let service = &pool.service;
    if !service.rate_limits.is_empty() {
        guard.rates().count(client, &service.rate_limits)?;
    }
    if service.admission.is_on {
        record.class = class_of(client, &service.queue);
        guard.admit(service.admission, record.class, worker.chance())?;
    }
    Ok(())
}

/// An endpoint of the request's table, or else of the first later table that has one.
pub(crate) async fn pick<C>(
    client: &mut Client<C>,
    worker: &Worker,
    place: &mut Place,
    tries: &Tries,
    record: &mut Record,
) -> Result<InFlight, Error>
where
    C: Stream,
{
    // Who is new goes behind those who wait, and who was at an instance already has waited.
    if !(tries.tried.is_empty() && place.pool().live.has_line())
        && let Some(begun) = worker.pick(place.pool(), tries.wish, &tries.tried)
    {
        return Ok(begun);
    }
    let since = Instant::now();
    record.phase = Phase::Wait;
    // Apart, so that the waiting of a few does not make every connection larger.
    let found = Box::pin(wait(client, worker, place, tries)).await;
    record.waited += since.elapsed();
    if found.is_err() {
        place.pool().live.turn_away();
    }
    let (newer, begun) = found?;
    *place = newer;
    Ok(begun)
}

/// Tells those who keep count, with what to say if it is not the instance's fault. Only a refused
/// connection takes an instance out of the pool: a reset may be the doing of one poisonous request,
/// which would then take out one instance after another.
pub(crate) fn blame(worker: &Worker, begun: &InFlight, error: Error, otherwise: Outcome) {
    let failed = error.blame() == Blame::Instance;
    worker.observe(begun, if failed { Outcome::Failed } else { otherwise });
    if matches!(error, Error::ConnectRefused | Error::ConnectTimeout) {
        worker.report(&begun.endpoint().id, Report::Unreachable);
    }
}

/// Tells those who go by it how long a response took: who hedges, and while requests wait who has
/// to say which of them come too late.
fn learn(place: &Place, record: &Record, exchanged: &Exchanged, outcome: Outcome) {
    let Pool { service, live, .. } = place.pool();
    if service.hedge.is_some()
        && let Some((heard, sent)) = exchanged.first_byte_at.zip(record.sent_at)
    {
        quantile::learn(live, heard.saturating_duration_since(sent));
    }
    if service.http.timeout_request.is_some()
        && live.waiting() > 0
        && let Outcome::Answered(Some(took)) = outcome
    {
        quantile::learn_usual(live, took);
    }
}
