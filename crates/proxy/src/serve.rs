//! The whole path of a request on one screen: serve, route, pick, forward, retry, record.
//! Every step is a call; nothing here parses, balances or touches a socket itself.

use http1::Method;
use model::{Destination, Redirect};

use crate::client::Client;
use crate::dispatch::dispatch;
use crate::error::Error;
use crate::exchange::{Exchanged, Failure};
use crate::record::Record;
use crate::redirect;
use crate::reply::Reply;
use crate::route::route;
use crate::snapshot::Place;
use crate::stream::Stream;
use crate::worker::Worker;

/// What becomes of the client's connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
    /// Close, once the client has had time to read the answer.
    Linger,
}

/// Serves one connection until it ends.
pub(crate) async fn serve<C>(client: &mut Client<C>, worker: &Worker)
where
    C: Stream,
{
    loop {
        let after = match client.read_head(worker).await {
            Ok(true) => answer(client, worker).await,
            Ok(false) => After::Close,
            Err(error) => refuse(client, worker, error).await,
        };
        match after {
            After::KeepAlive if client.is_read_up() || Box::pin(client.discard()).await => {}
            After::KeepAlive => return client.linger().await,
            After::Close => return,
            After::Linger => return client.linger().await,
        }
    }
}

/// Answers one request, from an instance or with an error.
async fn answer<C>(client: &mut Client<C>, worker: &Worker) -> After
where
    C: Stream,
{
    let mut record = Record::begin();
    client.served += 1;
    record.is_sampled = worker.samples();
    worker.name_request(client);
    if worker.has_access_log() && (record.is_sampled || !client.keeps_head()) {
        client.copy_head();
    }
    if client.is_trusted {
        client.address = client.claims().map_or(client.peer, |claims| claims.client());
    }
    record.bytes_in = u64::try_from(client.head.len()).unwrap_or(0);
    let snapshot = worker.snapshot();
    let buffer = client.input.unread();
    let found = route(&snapshot.table, client.head.host(buffer), client.head.path(buffer));
    let at = match found {
        Some(Destination::Pool(at)) => at,
        Some(Destination::Redirect(at)) => {
            let redirect = &snapshot.table.redirects[at];
            let after = Box::pin(lead(client, worker, &mut record, redirect)).await;
            record.end(client, worker, None);
            return after;
        }
        None => {
            let failure = Failure { error: Error::NoRoute, is_answered: false };
            let after = settle(client, worker, &mut record, Err(failure)).await;
            record.end(client, worker, None);
            return after;
        }
    };
    let mut place = Place { snapshot, at };
    let result = dispatch(client, worker, &mut place, &mut record).await;
    client.deadline.uncap();
    if let Some(guard) = place.guard().filter(|_| place.pool().service.admission.is_on) {
        let policy = place.pool().service.admission;
        guard.learn(policy, record.class, (&result, record.status));
    }
    let after = settle(client, worker, &mut record, result).await;
    record.end(client, worker, Some((place.series(), place.pool().service.name.as_str())));
    after
}

/// Sends the client elsewhere.
async fn lead<C>(
    client: &mut Client<C>,
    worker: &Worker,
    record: &mut Record,
    redirect: &Redirect,
) -> After
where
    C: Stream,
{
    if let Err(error) = redirect::begin(client, redirect) {
        return settle(client, worker, record, Err(Failure { error, is_answered: false })).await;
    }
    client.consume_head();
    let then = after_answer(client, worker);
    let connection = if then == After::KeepAlive { "keep-alive" } else { "close" };
    redirect::finish(client, redirect, connection);
    worker.registry.process().worker(worker.number).redirect();
    record.status = redirect.status.code();
    send(client, record, then).await
}

/// Sends an error if one is owed, and decides about the connection.
async fn settle<C>(
    client: &mut Client<C>,
    worker: &Worker,
    record: &mut Record,
    result: Result<Exchanged, Failure>,
) -> After
where
    C: Stream,
{
    record.error = result.err().map(|failure| failure.error).or(record.error);
    if worker.has_access_log() && client.has_head && !record.is_sampled && record.is_logged() {
        client.copy_head();
    }
    client.consume_head();
    let failure = match result {
        Ok(exchanged) => {
            record.first_byte_at = exchanged.first_byte_at;
            return match exchanged {
                Exchanged { keeps_client: true, .. } => After::KeepAlive,
                Exchanged { is_early: true, .. } => After::Linger,
                // More of what is pipelined behind the last request may be on its way.
                _ if !client.input.is_empty() => After::Linger,
                _ => After::Close,
            };
        }
        Err(failure) => failure,
    };
    if failure.is_answered {
        return After::Close;
    }
    record.status = failure.error.status();
    if record.status == 0 {
        return After::Close;
    }
    let then = match failure.error.keeps_client() {
        true => after_answer(client, worker),
        false => After::Linger,
    };
    reply(client, record, failure.error, then).await
}

/// What is to become of the connection after an answer of Herder's own, its head consumed.
fn after_answer<C: Stream>(client: &mut Client<C>, worker: &Worker) -> After {
    let keeps_alive = worker.keeps_alive(client) && client.may_discard();
    if keeps_alive { After::KeepAlive } else { After::Linger }
}

/// Answers a head that cannot be read; where the next one begins is unknown, so none follows.
async fn refuse<C>(client: &mut Client<C>, worker: &Worker, error: Error) -> After
where
    C: Stream,
{
    let mut record = Record::begin();
    client.request_id.clear();
    client.head_copy.clear();
    client.address = client.peer;
    record.error = Some(error);
    record.status = error.status();
    record.bytes_in = u64::try_from(client.input.unread().len()).unwrap_or(0);
    let after = reply(client, &mut record, error, After::Linger).await;
    record.end(client, worker, None);
    after
}

/// Sends an error of the table. What is to become of the connection then is `then`, if the client
/// takes the answer.
async fn reply<C>(client: &mut Client<C>, record: &mut Record, error: Error, then: After) -> After
where
    C: Stream,
{
    client.down_out.clear();
    let reply = Reply {
        error,
        request_id: &client.request_id,
        keep_alive: then == After::KeepAlive,
        head_only: client.head.method() == Method::Head,
    };
    reply.write(&mut client.down_out);
    send(client, record, then).await
}

/// Sends an answer of Herder's own.
async fn send<C>(client: &mut Client<C>, record: &mut Record, then: After) -> After
where
    C: Stream,
{
    let bytes = client.down_out.len();
    let written = client.flush().await;
    record.bytes_out += u64::try_from(written).unwrap_or(0);
    if written == bytes { then } else { After::Close }
}
