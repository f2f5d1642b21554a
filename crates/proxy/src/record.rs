//! What is remembered of one request while it runs, and written down once when it ends.
//! It decides nothing: counters and the access log are told what happened.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http1::{Known, Span, Version};
use model::{InstanceId, Priority};
use telemetry::{Line, Sample, ServiceSeries};

use crate::client::Client;
use crate::error::Error;
use crate::phase::Phase;
use crate::timing::Timing;
use crate::worker::Worker;

/// One request, as it will be recorded.
#[derive(Debug)]
pub(crate) struct Record {
    began_at: Instant,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
    pub(crate) connecting: Duration,
    pub(crate) sent_at: Option<Instant>,
    pub(crate) first_byte_at: Option<Instant>,
    pub(crate) instance: Option<InstanceId>,
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) error: Option<Error>,
    /// In TCP mode: until a connection to an instance stood, or none could be had.
    reached: Option<Duration>,
    pub(crate) phase: Phase,
    /// Of the attempt that is under way.
    pub(crate) timing: Timing,
    /// Whether it has a line in the access log even if it ends well.
    pub(crate) is_sampled: bool,
    /// Of what class it was let in, where that is asked.
    pub(crate) class: Priority,
}

/// Who asked, for the access log.
struct Asker<'a> {
    client: SocketAddr,
    listener: &'a str,
    method: &'a [u8],
    target: &'a [u8],
    host: &'a [u8],
    version: Version,
    request_id: &'a [u8],
    user_agent: Option<&'a [u8]>,
    referer: Option<&'a [u8]>,
}

impl Record {
    pub(crate) fn begin() -> Self {
        Self {
            began_at: Instant::now(),
            attempts: 0,
            waited: Duration::ZERO,
            connecting: Duration::ZERO,
            sent_at: None,
            first_byte_at: None,
            instance: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            error: None,
            reached: None,
            phase: Phase::Head,
            timing: Timing::default(),
            is_sampled: true,
            class: Priority::default(),
        }
    }

    /// When the attempt that begins now began, if that is known without a look at the clock.
    pub(crate) fn attempt_at(&self) -> Option<Instant> {
        (self.attempts <= 1 && self.waited.is_zero()).then_some(self.began_at)
    }

    /// A connection stands, or none can be had: from here on it takes as long as the two want, and
    /// that says nothing about Herder or the instance.
    pub(crate) fn reached(&mut self) {
        self.reached = Some(self.began_at.elapsed());
    }

    /// Whether it has a line in the access log, if there is one.
    pub(crate) fn is_logged(&self) -> bool {
        self.is_sampled || self.error.is_some() || self.status >= 500
    }

    /// Counts the request, and writes its line if there is an access log. Without `series` no
    /// service was found for it.
    pub(crate) fn end<C>(
        &self,
        client: &Client<C>,
        worker: &Worker,
        series: Option<(&ServiceSeries, &str)>,
    ) {
        let duration = self.began_at.elapsed();
        if let Some((series, _)) = series {
            let shard = series.worker(worker.number);
            shard.record(&Sample {
                status: self.status,
                duration: self.reached.unwrap_or(duration),
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
            });
            if let Some(error) = self.error {
                shard.error(error.index());
            }
        } else if let Some(error) = self.error {
            worker.registry.process().worker(worker.number).error(error.index());
        }
        if worker.has_access_log() && self.is_logged() {
            self.log(&asker(client), worker, series.map_or("", |(_, name)| name), duration);
        }
    }

    fn log(&self, asker: &Asker<'_>, worker: &Worker, service: &str, duration: Duration) {
        let first_byte = self.first_byte_at.zip(self.sent_at);
        worker.log(&Line {
            at: worker.wall(self.began_at),
            client: asker.client,
            listener: asker.listener,
            service,
            instance: self.instance.as_ref(),
            method: asker.method,
            target: asker.target,
            host: asker.host,
            version: u8::from(asker.version == Version::Http11),
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            attempts: self.attempts,
            wait_us: whole_us(self.waited),
            connect_us: whole_us(self.connecting),
            first_byte_us: first_byte
                .map_or(0, |(heard, sent)| whole_us(heard.duration_since(sent))),
            total_us: whole_us(duration),
            error: self.error.map(Error::label),
            ended_by: self.error.map(Error::ended_by),
            phase: self.error.map(|_| self.phase.text()),
            request_id: asker.request_id,
            user_agent: asker.user_agent,
            referer: asker.referer,
        });
    }
}

fn asker<C>(client: &Client<C>) -> Asker<'_> {
    let text = |span: Span| span.of(&client.head_copy);
    let field = |name: &[u8]| {
        let mut others = client.head.fields().iter().filter(|f| f.known == Known::Other);
        others.find(|f| text(f.name).eq_ignore_ascii_case(name)).map(|f| text(f.value))
    };
    Asker {
        client: client.address,
        listener: &client.listener.name,
        method: text(client.head.method_span()),
        target: text(client.head.target()),
        host: text(client.head.authority()),
        version: client.head.version(),
        request_id: &client.request_id,
        user_agent: field(b"user-agent"),
        referer: field(b"referer"),
    }
}

fn whole_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
