//! A steady load on keep-alive connections, and a tally of what became of each request.
//! Every request counts: nothing is repeated, and nothing that went wrong is left out.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::message::Response;
use crate::wire::Wire;

/// Failures that are told in full, with when and where; later ones are counted only.
const TOLD_MAX: usize = 10;
/// Latencies that one connection keeps for the quantiles; later ones count for the maximum only.
const LATENCIES_MAX: usize = 1 << 20;
/// Characters of a response body that name the reason of a failure.
const REASON_MAX: usize = 120;

/// What to send, and how fast.
#[derive(Clone, Debug)]
pub struct Load {
    addr: SocketAddr,
    ask: Ask,
    connections: u32,
    rate_per_s: u32,
    timeout: Duration,
}

/// What each request is.
#[derive(Clone, Debug)]
enum Ask {
    /// Always the same.
    Same { method: String, request: String },
    /// A POST of a body that no other request has; the answer has to be that body.
    Echo { path: String, body_bytes: usize },
}

/// A load under way. Dropping it stops it without a report.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    report: oneshot::Receiver<LoadReport>,
}

/// What became of a load.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Requests begun.
    pub sent: u64,
    /// Requests answered in full with a status below 400.
    pub ok: u64,
    /// All others, by reason.
    pub failures: BTreeMap<String, u64>,
    /// The first failures, with when and on which connection.
    pub told: Vec<String>,
    /// Answered requests by `x-instance`; those without it are under an empty name.
    pub instances: BTreeMap<String, u64>,
    /// Requests that an instance answered after it had been told to stop: those with `x-stopping`.
    pub stopping: u64,
    /// When each instance last answered.
    pub last_answers: BTreeMap<String, SystemTime>,
    /// Connections that were opened after the first ones, because the other side closed.
    pub reconnects: u64,
    /// From first to last.
    pub elapsed: Duration,
    /// Latencies in ascending order, microseconds.
    latencies_us: Vec<u32>,
    latency_max: Duration,
}

impl Load {
    /// GETs of `path` at `addr`: 64 connections, 1,000 requests a second, 10 s for each response.
    pub fn get(addr: SocketAddr, path: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        Self::raw(addr, "GET", &request)
    }

    /// The same with any one request, head and body as they are to be sent.
    pub fn raw(addr: SocketAddr, method: &str, request: &str) -> Self {
        let (method, request) = (method.to_owned(), request.to_owned());
        Self::new(addr, Ask::Same { method, request })
    }

    /// The same with POSTs to `path`, each with a body of its own of about `body_bytes`. An answer
    /// whose body is not that of its request is a failure.
    pub fn echo(addr: SocketAddr, path: &str, body_bytes: usize) -> Self {
        Self::new(addr, Ask::Echo { path: path.to_owned(), body_bytes })
    }

    /// Requests a second, of all connections together. A connection whose response is late sends
    /// the ones that it missed as fast as it can, so that the total is kept where it is possible.
    #[must_use]
    pub fn rate_per_s(self, rate_per_s: u32) -> Self {
        Self { rate_per_s, ..self }
    }

    /// How many keep-alive connections.
    #[must_use]
    pub fn connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// How long to wait for a connection and for each piece of a response.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Begins, on a thread of its own.
    pub fn start(self) -> Running {
        let (report_to, report) = oneshot::channel();
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let crew = Crew { load: self, stop: Arc::clone(&stop), answered: Arc::clone(&answered) };
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("there are file descriptors for a runtime");
            // Whoever dropped the other end does not want the report.
            report_to.send(runtime.block_on(crew.run())).ok();
        };
        thread::Builder::new().name("load".to_owned()).spawn(work).expect("there is a thread");
        Running { stop, answered, report }
    }

    /// Begins, and stops after `duration`.
    pub async fn run(self, duration: Duration) -> LoadReport {
        let running = self.start();
        tokio::time::sleep(duration).await;
        running.stop().await
    }

    fn new(addr: SocketAddr, ask: Ask) -> Self {
        let timeout = Duration::from_secs(10);
        Self { addr, ask, connections: 64, rate_per_s: 1000, timeout }
    }
}

impl Ask {
    /// The bytes to send, and the body to get back if that is known; `mark` is like no other.
    fn write(&self, mark: &str) -> (String, Option<String>) {
        match self {
            Ask::Same { request, .. } => (request.clone(), None),
            Ask::Echo { path, body_bytes } => {
                let body = mark.repeat(body_bytes.div_ceil(mark.len()));
                let length = body.len();
                let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\n");
                let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
                (request, Some(body))
            }
        }
    }

    fn method(&self) -> &str {
        match self {
            Ask::Same { method, .. } => method,
            Ask::Echo { .. } => "POST",
        }
    }
}

impl Running {
    /// Requests answered so far, well or not.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends no more, waits for the responses that are due, and reports.
    pub async fn stop(mut self) -> LoadReport {
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.report).await.expect("the load's thread reports unless it panicked")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl LoadReport {
    /// Requests that were not answered well.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The longest time from sending a request to the end of its response.
    pub fn latency_max(&self) -> Duration {
        self.latency_max
    }

    /// The latency that `share` of the well-answered requests did not exceed, such as 0.99.
    pub fn latency(&self, share: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let index = (self.latencies_us.len() as f64 * share).ceil() as usize;
        let at = index.clamp(1, self.latencies_us.len().max(1)) - 1;
        Duration::from_micros(self.latencies_us.get(at).copied().unwrap_or_default().into())
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        self.reconnects += other.reconnects;
        self.stopping += other.stopping;
        self.latency_max = self.latency_max.max(other.latency_max);
        self.latencies_us.extend(other.latencies_us);
        for (reason, count) in other.failures {
            *self.failures.entry(reason).or_default() += count;
        }
        for (instance, count) in other.instances {
            *self.instances.entry(instance).or_default() += count;
        }
        for (instance, at) in other.last_answers {
            let last = self.last_answers.entry(instance).or_insert(at);
            *last = at.max(*last);
        }
        self.told.extend(other.told);
        self.told.sort();
        self.told.truncate(TOLD_MAX);
    }

    fn fail(&mut self, reason: String, at: Duration, connection: u32) {
        if self.told.len() < TOLD_MAX {
            let s = at.as_secs_f64();
            self.told.push(format!("{s:8.3} s, connection {connection}: {reason}"));
        }
        *self.failures.entry(reason).or_default() += 1;
    }

    fn take(&mut self, response: &Response, latency: Duration) -> Result<(), String> {
        let instance = response.fields.all("x-instance").first().copied().unwrap_or_default();
        *self.instances.entry(instance.to_owned()).or_default() += 1;
        self.last_answers.insert(instance.to_owned(), SystemTime::now());
        self.latency_max = self.latency_max.max(latency);
        self.stopping += u64::from(!response.fields.all("x-stopping").is_empty());
        if response.status >= 400 {
            let text: String = response.text().chars().take(REASON_MAX).collect();
            return Err(format!("status {}: {}", response.status, text.trim()));
        }
        self.ok += 1;
        if self.latencies_us.len() < LATENCIES_MAX {
            self.latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        }
        Ok(())
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.ok as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON);
        writeln!(f, "{} sent, {} ok, {} failed", self.sent, self.ok, self.failed())?;
        writeln!(f, "{rate:.0} ok a second for {:.1?}", self.elapsed)?;
        let (p50, p99) = (self.latency(0.5), self.latency(0.99));
        writeln!(f, "latency p50 {p50:.1?}, p99 {p99:.1?}, max {:.1?}", self.latency_max)?;
        writeln!(f, "{} reconnects", self.reconnects)?;
        writeln!(f, "{} answered by an instance that was told to stop", self.stopping)?;
        for (instance, count) in &self.instances {
            writeln!(f, "answered by {instance:?}: {count}")?;
        }
        for (reason, count) in &self.failures {
            writeln!(f, "failed {count} times: {reason}")?;
        }
        self.told.iter().try_for_each(|told| writeln!(f, "at {told}"))
    }
}

/// All that the connections share.
#[derive(Clone, Debug)]
struct Crew {
    load: Load,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Crew {
    async fn run(self) -> LoadReport {
        let begun = Instant::now();
        let mut connections = JoinSet::new();
        for number in 0..self.load.connections {
            connections.spawn(self.clone().connection(number, begun));
        }
        let mut total = LoadReport::default();
        while let Some(report) = connections.join_next().await {
            total.add(report.expect("no connection panics"));
        }
        total.latencies_us.sort_unstable();
        total.elapsed = begun.elapsed();
        total
    }

    /// One connection's share of the load; the turns of the connections are spread evenly.
    async fn connection(self, number: u32, begun: Instant) -> LoadReport {
        let share = self.load.connections;
        let turn = Duration::from_secs(1) / self.load.rate_per_s.max(1);
        let mut due = begun + turn * number;
        let mut report = LoadReport::default();
        let mut wire = None;
        let mut opened = 0_u64;
        loop {
            sleep_until(due).await;
            if self.stop.load(Ordering::Relaxed) {
                report.reconnects = opened.saturating_sub(1);
                return report;
            }
            due += turn * share;
            report.sent += 1;
            let sent = Instant::now();
            let mark = format!("{number}.{}, ", report.sent);
            let (request, body) = self.load.ask.write(&mark);
            let done = match self.exchange(&mut wire, &mut opened, &request).await {
                Ok(response) if body.is_some_and(|body| body.as_bytes() != response.body) => {
                    let start: String = response.text().chars().take(REASON_MAX).collect();
                    Err(format!("status {}, not an echo of {mark:?}: {start}", response.status))
                }
                Ok(response) => report.take(&response, sent.elapsed()),
                Err(e) => Err(e.to_string()),
            };
            self.answered.fetch_add(1, Ordering::Relaxed);
            if let Err(reason) = done {
                report.fail(reason, begun.elapsed(), number);
            }
        }
    }

    /// Sends one request and reads its response. The connection is kept unless an error or the
    /// response says otherwise.
    async fn exchange(
        &self,
        kept: &mut Option<Wire<TcpStream>>,
        opened: &mut u64,
        request: &str,
    ) -> io::Result<Response> {
        let alive = kept.take().filter(Wire::<TcpStream>::is_quiet);
        let mut wire = match alive {
            Some(wire) => wire,
            None => {
                *opened += 1;
                let connect = timeout(self.load.timeout, TcpStream::connect(self.load.addr)).await;
                let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
                let stream = connect
                    .map_err(late)?
                    .map_err(|e| io::Error::new(e.kind(), format!("connecting: {e}")))?;
                stream.set_nodelay(true)?;
                Wire::new(stream).patience(self.load.timeout)
            }
        };
        wire.stream().write_all(request.as_bytes()).await?;
        let response = wire.response(self.load.ask.method()).await?;
        if !response.fields.all("connection").contains(&"close") {
            *kept = Some(wire);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HttpOrigin, PATIENCE, Reply, wait_until};

    #[tokio::test]
    async fn counts_who_answered_and_what_failed() {
        let origin = HttpOrigin::start("a", |ask| match ask.nth {
            1..=3 => Reply::bytes("ok"),
            4 => Reply::bytes("no room\n").status(503),
            5 => Reply::bytes("bye").close(),
            _ => Reply::bytes("").vanish(),
        })
        .await;
        let load = Load::get(origin.addr(), "/").connections(2).rate_per_s(200).start();
        wait_until(PATIENCE, "ten answers", async || load.answered() >= 10).await;
        let report = load.stop().await;
        assert_eq!(report.sent, report.ok + report.failed(), "{report}");
        assert_eq!(report.failures.keys().collect::<Vec<_>>(), ["status 503: no room"], "{report}");
        assert_eq!(report.instances["a"], report.sent, "{report}");
        assert!(report.failed() >= 2 && report.reconnects >= 1, "{report}");
        assert!(report.latency(0.5) <= report.latency_max(), "{report}");
    }

    #[tokio::test]
    async fn an_echo_has_to_be_that_of_its_request() {
        let origin = HttpOrigin::start("a", |ask| match (ask.nth, ask.request.target.as_str()) {
            (2, _) => Reply::bytes("0.1, 0.1, "),
            _ => Reply::bytes(format!("0.{}, ", ask.nth)).field("x-stopping", "1"),
        })
        .await;
        let load = Load::echo(origin.addr(), "/", 5).connections(1).rate_per_s(100).start();
        wait_until(PATIENCE, "three answers", async || load.answered() >= 3).await;
        let report = load.stop().await;
        assert_eq!((report.failed(), report.stopping), (1, report.ok), "{report}");
        let (reason, _) = report.failures.first_key_value().unwrap();
        assert_eq!(reason, "status 200, not an echo of \"0.2, \": 0.1, 0.1, ");
    }

    #[tokio::test]
    async fn a_connection_that_vanishes_under_a_request_is_a_failure() {
        let origin = HttpOrigin::start("a", |_| Reply::bytes("").cut(0)).await;
        let load = Load::get(origin.addr(), "/").connections(1).rate_per_s(100).start();
        wait_until(PATIENCE, "an answer", async || load.answered() >= 1).await;
        let report = load.stop().await;
        assert_eq!((report.ok, report.failed()), (0, report.sent), "{report}");
    }
}
