//! The clients of the test of drains: slow uploads, readers of streams, and echoes in tunnels.
//! They repeat nothing, and count everything by what it ended as.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::RawClient;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Clients of each kind.
const EACH: usize = 6;
/// Pieces of an upload, 3 MiB in all.
const PIECES: usize = 24;
const PIECE_BYTES: usize = 128 << 10;
/// Every how many bytes one goes into the sum that tells uploads apart; a part of a piece.
const STEP: usize = 64;
/// Between two of them, and between two echoes.
const PAUSE: Duration = Duration::from_millis(30);
/// Failures that are told in full.
const TOLD_MAX: usize = 10;

const ASK: &str =
    "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// What a client does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A POST with its length.
    Upload,
    /// A POST in chunks.
    ChunkedUpload,
    /// A GET whose response comes in twenty pieces within a second.
    Stream,
    /// An echo in a tunnel; a tunnel that is cut is opened again, and no failure.
    Tunnel,
}

const KINDS: [Kind; 4] = [Kind::Upload, Kind::ChunkedUpload, Kind::Stream, Kind::Tunnel];

/// What became of one request.
enum End {
    Good,
    /// It was in flight on an instance that ended: answered with 502, or cut in its response.
    Unsaved,
    Lost(String),
}

/// What became of all of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<Kind, [u64; 3]>,
    told: Vec<String>,
}

/// Clients of every kind, at work.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
    tally: Arc<Mutex<Tally>>,
}

impl Crowd {
    /// Begins.
    pub(crate) fn start(addr: SocketAddr) -> Self {
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let mut clients = JoinSet::new();
        for kind in KINDS.into_iter().flat_map(|kind| [kind; EACH]) {
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let end = kind.run(addr, &stop).await;
                    let mut tally: tokio::sync::MutexGuard<'_, Tally> = tally.lock().await;
                    tally.add(kind, end);
                }
            });
        }
        Self { stop, clients, tally }
    }

    /// Whether each kind has come to an end at least once; tunnels have none.
    pub(crate) fn has_all(&self) -> bool {
        self.tally.try_lock().is_ok_and(|tally| tally.counts.len() >= KINDS.len() - 1)
    }

    /// Begins nothing more, waits for what is under way, and tells.
    pub(crate) async fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        std::mem::take(&mut *self.tally.lock().await)
    }
}

impl Tally {
    /// What failed for no good reason.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.values().map(|[_, _, lost]| lost).sum()
    }

    /// What was in flight on an instance that was killed. Tunnels are not in it: they end with
    /// their instance whatever that ends of.
    pub(crate) fn unsaved(&self) -> u64 {
        let requests = self.counts.iter().filter(|(kind, _)| **kind != Kind::Tunnel);
        requests.map(|(_, [_, unsaved, _])| unsaved).sum()
    }

    fn add(&mut self, kind: Kind, end: End) {
        let counts = self.counts.entry(kind).or_default();
        match end {
            End::Good => counts[0] += 1,
            End::Unsaved => counts[1] += 1,
            End::Lost(why) => {
                counts[2] += 1;
                if self.told.len() < TOLD_MAX {
                    self.told.push(format!("{kind:?}: {why}"));
                }
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, [good, unsaved, lost]) in &self.counts {
            write!(f, "\n{kind:?}: {good} good, {unsaved} ended by their instance, {lost} lost")?;
        }
        self.told.iter().try_for_each(|told| write!(f, "\n  {told}"))
    }
}

impl Kind {
    async fn run(self, addr: SocketAddr, stop: &AtomicBool) -> End {
        match self {
            Kind::Upload | Kind::ChunkedUpload => self.upload(addr).await,
            Kind::Stream => stream(addr).await,
            Kind::Tunnel => {
                let (mut client, _) = switch(addr).await;
                while !stop.load(Ordering::Relaxed) {
                    if !echoes(&mut client).await {
                        return End::Unsaved;
                    }
                }
                End::Good
            }
        }
    }

    async fn upload(self, addr: SocketAddr) -> End {
        let mut client = RawClient::connect(addr).await;
        let framing = match self {
            Kind::ChunkedUpload => "Transfer-Encoding: chunked".to_owned(),
            _ => format!("Content-Length: {}", PIECES * PIECE_BYTES),
        };
        let mut pace = interval(PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sum = 0_u32;
        let head = format!("POST /upload HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n");
        let mut sent = client.send(head).await;
        for number in 0..PIECES {
            pace.tick().await;
            let seed = u8::try_from(number).unwrap();
            let piece: Vec<u8> = (0..=250).cycle().skip(seed.into()).take(PIECE_BYTES).collect();
            let some = piece.iter().step_by(STEP);
            sum = some.fold(sum, |sum, &b| sum.wrapping_mul(31).wrapping_add(b.into()));
            let wrapped = match self {
                Kind::ChunkedUpload => {
                    let size = format!("{PIECE_BYTES:x}\r\n");
                    [size.as_bytes(), &piece, b"\r\n"].concat()
                }
                _ => piece,
            };
            if sent.is_ok() {
                sent = client.send(wrapped).await;
            }
        }
        if self == Kind::ChunkedUpload && sent.is_ok() {
            sent = client.send("0\r\n\r\n").await;
        }
        // An early answer is there also when the rest could not be sent.
        match (client.response().await, sent) {
            (Ok(response), Ok(())) if response.status == 200 => {
                let expected = format!("{} {sum}", PIECES * PIECE_BYTES);
                match response.text() == expected {
                    true => End::Good,
                    false => End::Lost(format!("{} instead of {expected}", response.text())),
                }
            }
            (Ok(response), _) if response.status == 502 => End::Unsaved,
            (Ok(response), sent) => End::Lost(format!("{response} {sent:?}")),
            (Err(error), sent) => End::Lost(format!("{error}, sent: {sent:?}")),
        }
    }
}

/// Reads a stream to its end. One that was cut ends without its last chunk, and is never whole.
async fn stream(addr: SocketAddr) -> End {
    let mut client = RawClient::connect(addr).await;
    match client.get("/events").await {
        Ok(response) if response.status == 200 && response.text().ends_with("data: end\n\n") => {
            match response.text().matches("data: ").count() {
                21 => End::Good,
                count => End::Lost(format!("{count} events")),
            }
        }
        Ok(response) => End::Lost(response.to_string()),
        Err(error) if error.to_string().starts_with("closed in the middle") => End::Unsaved,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => End::Unsaved,
        Err(error) => End::Lost(error.to_string()),
    }
}

/// A tunnel, and the instance that it leads to.
pub(crate) async fn switch(addr: SocketAddr) -> (RawClient, String) {
    let mut client = RawClient::connect(addr).await;
    client.send(ASK).await.unwrap();
    let response = client.response_to_head().await.unwrap();
    assert_eq!(response.status, 101, "{response}");
    (client, response.fields.get("x-instance").unwrap().to_owned())
}

/// Whether what is sent comes back, after a while.
pub(crate) async fn echoes(client: &mut RawClient) -> bool {
    tokio::time::sleep(PAUSE).await;
    client.send("marco").await.is_ok() && client.bytes(5).await.is_ok_and(|bytes| bytes == b"marco")
}
