//! TCP mode: a client connection is carried to an instance as it is, until one of them ends it.
//! Picking, waiting and counting are the same as for a request; the bytes mean nothing here.

use std::io;

use model::{InFlight, Outcome, ServiceName};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::connect::{connect, introduce};
use crate::dispatch::{blame, pick};
use crate::error::Error;
use crate::exchange::Failure;
use crate::idle::Link;
use crate::phase::Phase;
use crate::record::Record;
use crate::retry::{Tries, again};
use crate::snapshot::{InService, Place};
use crate::tunnel::{Carried, Ended, Tunnel};
use crate::worker::Worker;

/// Carries a connection to an instance of a service, to its end. What ended otherwise than by both
/// sides is ended for the other with a reset, so that nobody takes a part for the whole.
pub(crate) async fn carry(client: &mut Client<TcpStream>, worker: &Worker, service: &ServiceName) {
    let mut record = Record::begin();
    record.is_sampled = worker.samples();
    let Some(mut place) = worker.place_named(service) else {
        record.error = Some(Error::NoRoute);
        reset(&client.stream);
        return record.end(client, worker, None);
    };
    let _in_service = InService::begin(&place, worker.number);
    record.error = carry_to_any(client, worker, &mut place, &mut record).await;
    if record.error.is_some_and(|error| error != Error::TunnelIdle) {
        reset(&client.stream);
    }
    record.end(client, worker, Some((place.series(), place.pool().service.name.as_str())));
}

/// Carries it to one instance, and to another one as long as neither has had a byte of the other:
/// an instance that is about to end may take a connection and break it at once. Returns what it
/// ended with, if not in order.
async fn carry_to_any(
    client: &mut Client<TcpStream>,
    worker: &Worker,
    place: &mut Place,
    record: &mut Record,
) -> Option<Error> {
    let mut tries = Tries::of_connection(client, place.pool());
    let mut begun = match pick(client, worker, place, &tries, record).await {
        Ok(begun) => begun,
        Err(error) => {
            record.reached();
            return Some(error);
        }
    };
    loop {
        record.attempts += 1;
        record.instance = Some(begun.endpoint().id.clone());
        let reached = reach(client, worker, place, &begun, record).await;
        record.reached();
        let error = match reached {
            Err(error) => {
                blame(worker, &begun, error, Outcome::Unknown);
                error
            }
            Ok(mut link) => {
                record.phase = Phase::Tunnel;
                let carried = tunnel(client, &mut link, place).await;
                record.bytes_in += carried.bytes_up;
                record.bytes_out += carried.bytes_down;
                let is_untouched = carried.bytes_up + carried.bytes_down == 0;
                let error = carried.error(client.deadline.why());
                let Some(error) =
                    error.filter(|_| carried.ended == Ended::LinkBroke && is_untouched)
                else {
                    if carried.ended != Ended::LinkBroke {
                        worker.observe(&begun, Outcome::Answered(None));
                    }
                    tries.succeeded(Outcome::Answered(None));
                    return error;
                };
                worker.observe(&begun, Outcome::Failed);
                error
            }
        };
        let failure = Failure { error, is_answered: false };
        if !tries.fail(&place.pool().service.retry, client, failure, record.phase) {
            return Some(error);
        }
        tries.tried.push(begun.endpoint().key);
        drop(begun);
        begun = match Box::pin(again(client, worker, place, &mut tries, record)).await {
            Ok(begun) => begun,
            Err(failure) => return Some(failure.error),
        };
    }
}

/// A connection to an instance that knows who the client is, if it is to be told.
async fn reach(
    client: &mut Client<TcpStream>,
    worker: &Worker,
    place: &Place,
    begun: &InFlight,
    record: &mut Record,
) -> Result<Link, Error> {
    let mut link = connect(worker, place, begun, &client.deadline, record).await?;
    match greet(client, &mut link).await {
        Ok(()) => Ok(link),
        Err(_) => Err(Error::InstanceReset),
    }
}

/// Says who the client is, if the service wants to know. The socket is new and takes it at once.
async fn greet(client: &mut Client<TcpStream>, link: &mut Link) -> io::Result<()> {
    let ends = client.ends();
    introduce(&mut client.up_out, std::mem::take(&mut link.greeting), ends);
    link.stream.write_all(&client.up_out).await
}

async fn tunnel(client: &mut Client<TcpStream>, link: &mut Link, place: &Place) -> Carried {
    let tunnel = Tunnel {
        client: &mut client.stream,
        client_in: &mut client.input,
        link: &mut link.stream,
        link_in: &mut link.input,
        deadline: &client.deadline,
        timeout_idle: place.pool().service.http.timeout_tunnel,
    };
    let carried = tunnel.run().await;
    if !matches!(carried.error(client.deadline.why()), None | Some(Error::TunnelIdle)) {
        link.break_off();
    }
    carried
}

fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection that broke was closed, not reset");
    }
}
