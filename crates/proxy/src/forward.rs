//! One attempt: a request to one endpoint, over a parked connection or a new one.
//! It does not choose the endpoint and does not retry elsewhere; that is `serve`'s.

use std::time::Instant;

use http1::{Forwarded, Framing, RequestEdit, Upgrade, Via, write_request};
use model::{HttpPolicy, InFlight, ProxyProtocolOut};
use telemetry::{Settled, Shard};

use crate::client::Client;
use crate::connect::{connect, introduce};
use crate::error::Error;
use crate::exchange::patience::Patience;
use crate::exchange::{Asked, Exchange, Exchanged, Failure};
use crate::idle::{ANYBODY, Link, Parking};
use crate::phase::Phase;
use crate::pump::{Broken, Frames, Pump};
use crate::record::Record;
use crate::retry::Tries;
use crate::rules::Ruled;
use crate::snapshot::Place;
use crate::stream::Stream;
use crate::tunnel::Tunnel;
use crate::worker::Worker;

/// What an attempt is made with.
pub(crate) struct Attempt<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) place: &'a Place,
    pub(crate) begun: &'a InFlight,
    pub(crate) asked: Asked,
    pub(crate) tries: &'a Tries,
}

impl Attempt<'_> {
    /// Sends the request and brings the response to the client.
    ///
    /// # Errors
    /// [`Failure`]; whether another endpoint may be tried is the caller's to judge.
    pub(crate) async fn forward<C: Stream>(
        &self,
        client: &mut Client<C>,
        record: &mut Record,
    ) -> Result<Exchanged, Failure> {
        let endpoint = self.begun.endpoint();
        let now_ms = self.worker.now_ms();
        let mut link =
            match self.worker.idle.take(endpoint, parking(client), self.owner(client), now_ms) {
                Some(link) => {
                    self.shard().reuse();
                    link
                }
                None => Box::pin(self.open(client, record)).await?,
            };
        // What a request on a parked connection does without is apart: every task would be larger.
        loop {
            match self.send(client, &mut link, record).await {
                Ok(exchanged) => {
                    if exchanged.is_switched {
                        client.deadline.uncap();
                        Box::pin(self.carry(client, &mut link, record)).await;
                    }
                    if exchanged.keeps_link {
                        self.park(link);
                    }
                    return Ok(exchanged);
                }
                Err(failure) if is_stale(&link, client, failure) => {
                    // The others were opened to the same process and are as old or older.
                    self.worker.idle.forget(endpoint);
                    link = Box::pin(self.open(client, record)).await?;
                }
                Err(failure) => {
                    if failure.error == Error::RewriteFailed {
                        // Nothing was sent.
                        self.park(link);
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// The line that makes the client stay with whoever answers; empty if it does already, or stays
    /// with nobody.
    pub(crate) fn set_cookie(&self) -> &[u8] {
        let Some(homes) = &self.place.pool().homes else { return b"" };
        let winner = self.tries.winner();
        let key = winner.as_ref().unwrap_or(self.begun).endpoint().key;
        if self.tries.wish.is_at_home(key) {
            return b"";
        }
        let moved = if self.tries.wish.has_home() { Settled::Moved } else { Settled::New };
        self.shard().settle(moved);
        homes.of_key(key).map_or(b"", |home| &home.set_cookie)
    }

    fn park(&self, link: Link) {
        let policy = &self.place.pool().service.http;
        let winner = self.tries.winner();
        let endpoint = winner.as_ref().unwrap_or(self.begun).endpoint();
        self.worker.idle.park(endpoint, link, policy, self.worker.now_ms());
    }

    /// Carries what follows a switch of protocols, until it ends.
    async fn carry<C: Stream>(&self, client: &mut Client<C>, link: &mut Link, record: &mut Record) {
        client.consume_head();
        record.phase = Phase::Tunnel;
        let tunnel = Tunnel {
            client: &mut client.stream,
            client_in: &mut client.input,
            link: &mut link.stream,
            link_in: &mut link.input,
            deadline: &client.deadline,
            timeout_idle: self.place.pool().service.http.timeout_tunnel,
        };
        let carried = tunnel.run().await;
        record.bytes_in += carried.bytes_up;
        record.bytes_out += carried.bytes_down;
        record.error = carried.error(client.deadline.why());
    }

    /// A new connection, for this client alone if it is to be told who that is.
    async fn open<C>(&self, client: &Client<C>, record: &mut Record) -> Result<Link, Failure> {
        let deadline = &client.deadline;
        let connected = connect(self.worker, self.place, self.begun, deadline, record).await;
        let failed = |error| Failure { error, is_answered: false };
        let link = connected.map_err(failed)?;
        Ok(Link { owner: self.owner(client), ..link })
    }

    /// Whose a connection to the instance is: nobody's, unless the instance is told who the client
    /// is.
    fn owner<C>(&self, client: &Client<C>) -> u64 {
        match self.place.pool().service.proxy_protocol {
            ProxyProtocolOut::Off => ANYBODY,
            ProxyProtocolOut::V1 | ProxyProtocolOut::V2 => client.number,
        }
    }

    /// What is counted for the service by this worker.
    pub(crate) fn shard(&self) -> &Shard {
        self.place.series().worker(self.worker.number)
    }

    async fn send<C: Stream>(
        &self,
        client: &mut Client<C>,
        link: &mut Link,
        record: &mut Record,
    ) -> Result<Exchanged, Failure> {
        let service = &self.place.pool().service;
        let policy = &service.http;
        let mut up = Pump::new(std::mem::take(&mut client.up_out));
        let mut down = Pump::new(std::mem::take(&mut client.down_out));
        if self.tries.keeps_body {
            client.input.keep(service.retry.body_bytes_max);
        } else {
            up.splice_from(policy.splice_bytes_min);
        }
        down.splice_from(policy.splice_bytes_min);
        client.response.clear();
        if link.greeting != ProxyProtocolOut::Off {
            introduce(&mut up.out, std::mem::take(&mut link.greeting), client.ends());
        }
        record.phase = Phase::Request;
        let result = match self.prepare(client, &mut up, policy) {
            Err(error) => Err(Failure { error, is_answered: false }),
            Ok(()) => {
                if self.asked.wants_first_byte {
                    record.sent_at = Some(Instant::now());
                }
                let head = if client.has_head { client.head.len() } else { 0 };
                let is_ahead = client.input.unread().len() > head;
                link.requests += 1;
                let hedge = self.hedge(client, &up.out);
                let exchange = Exchange {
                    client: &mut client.stream,
                    client_in: &mut client.input,
                    link,
                    up: &mut up,
                    down: &mut down,
                    head: &mut client.response,
                    patience: Patience::new(&client.deadline, &client.listener.limits, service),
                    attempt: self,
                    hedge,
                    held: None,
                    asked: self.asked,
                    encoding: None,
                    service,
                    worker: self.worker,
                    is_ahead,
                    was_asked: &mut client.was_asked,
                    phase: &mut record.phase,
                    timing: &mut record.timing,
                    ruled_lines: &client.ruled_lines,
                };
                let result = exchange.run().await;
                if !up.is_done() {
                    link.break_off();
                }
                result
            }
        };
        record.bytes_in += up.data_bytes();
        record.bytes_out += down.bytes_sent();
        record.status = client.response.status();
        client.body_left = up.give_up(&mut client.input);
        client.up_out = up.into_out();
        client.down_out = down.into_out();
        result
    }

    /// Writes the head as the instance is to get it, with as much of the body as is there.
    fn prepare<C: Stream>(
        &self,
        client: &mut Client<C>,
        up: &mut Pump,
        policy: &HttpPolicy,
    ) -> Result<(), Error> {
        self.write_head(client, &mut up.out, policy)?;
        let framing = client.head.framing();
        if framing == Framing::None {
            return Ok(());
        }
        client.consume_head();
        up.begin(framing, Frames::Keep, policy.body_bytes_max);
        up.gather(&mut client.input).map_err(|broken| match broken {
            Broken::Malformed(refusal) => Error::Malformed(refusal),
            Broken::TooLarge => Error::BodyTooLarge,
            Broken::Truncated | Broken::Unwritable => Error::ClientGone,
        })
    }

    /// Writes the head as the instance is to get it.
    fn write_head<C: Stream>(
        &self,
        client: &mut Client<C>,
        out: &mut Vec<u8>,
        policy: &HttpPolicy,
    ) -> Result<(), Error> {
        let rules = self.place.pool().service.rules.as_deref();
        // Apart, because the claims of a peer borrow all of the client.
        let mut lines = match rules {
            Some(_) => std::mem::take(&mut client.ruled_lines),
            None => Vec::new(),
        };
        let buffer = client.input.unread();
        let is_ours = client.head.request_id().is_none_or(|id| id.of(buffer) != client.request_id);
        let host = match client.head.authority().is_empty() {
            true => self.begun.endpoint().addr.to_string(),
            false => String::new(),
        };
        let claims = client.claims();
        let edit = RequestEdit {
            peer: &client.peer_text,
            claims: claims.as_ref(),
            forwarded: if policy.adds_forwarded { Forwarded::Add } else { Forwarded::Omit },
            via: if policy.adds_via { Via::Add } else { Via::Omit },
            host: host.as_bytes(),
            scheme: b"http",
            request_id: is_ours.then_some(&client.request_id),
            upgrade: if self.asked.upgrade { Upgrade::Pass } else { Upgrade::Drop },
            ruling: None,
            rewritten: None,
        };
        let Some(rules) = rules else {
            write_request(out, buffer, &client.head, &edit);
            return Ok(());
        };
        let ruled = Ruled {
            rules,
            head: &client.head,
            buffer,
            client: client.address.ip().to_canonical(),
            request_id: &client.request_id,
            instance: &self.begun.endpoint().id,
            target_bytes_max: client.listener.limits.target_bytes_max,
        };
        let written = ruled.write(&edit, out, &mut lines);
        client.ruled_lines = lines;
        written
    }
}

/// Which parked connections will do for the request that the client is at. The instance may close
/// one at this very moment, and then this is the end of a request that cannot be sent again.
fn parking<C>(client: &Client<C>) -> Parking {
    if client.head.framing() == Framing::None && client.head.method().is_idempotent() {
        Parking::Any
    } else {
        Parking::Fresh
    }
}

/// Whether the connection had gone stale while it was parked: it has brought nothing since, and the
/// request is whole and may be repeated. Then it says nothing about the instance.
fn is_stale<C>(link: &Link, client: &Client<C>, failure: Failure) -> bool {
    let repeatable = client.has_head && client.head.method().is_idempotent();
    link.may_be_stale && failure.error == Error::InstanceReset && repeatable
}
