//! Clients that take and do not give: slow ones of every kind, and thousands that only hold on.
//! Others must not notice; how fast it is meanwhile is for `scripts/hostile` to measure.
//!
//! `cargo test -p herder --test hostile -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used)]

use std::future::pending;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use testkit::{Herd, Herder, HttpOrigin, Load, PATIENCE, Reply, Wire, proc, wait_for, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Slow clients of each kind but the readers.
const SLOW: usize = 300;
/// Those that do not read; each has a large response waiting for it, in the kernel mostly.
const READERS: usize = 50;
/// Connections of those who are not slow.
const LOAD: usize = 32;
/// What they ask for: more than the kernel keeps between Herder and a client.
const LARGE_BYTES: usize = 8 << 20;
/// What all others ask for.
const SMALL_BYTES: usize = 1024;
/// Between two bytes of a slow client.
const DRIP: Duration = Duration::from_millis(100);
/// How much later than its timeout a slow client may be ended, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);
/// How much earlier: Herder's clock for timeouts is as old as a worker has been busy without a
/// break.
const EARLY: Duration = Duration::from_millis(200);
/// What Herder may need for a connection that is busy, slow or not.
const BUSY_BYTES_MAX: u64 = 32 << 10;

const TIMEOUT_HEAD: Duration = Duration::from_secs(2);
const TIMEOUT_BODY: Duration = Duration::from_secs(1);
const TIMEOUT_IDLE: Duration = Duration::from_secs(3);

/// Idle connections, if so many files may be open.
const IDLE: u64 = 10_000;
/// Herder's memory for each.
const IDLE_BYTES_MAX: u64 = 3 << 10;
/// What may be left of the memory for connections that are gone: a part of it, and that what the
/// allocator keeps anyway.
const LEFT_PART: u64 = 10;
const LEFT_BYTES: u64 = 6 << 20;
/// How long the allocator may take to give memory back.
const GIVING_BACK: Duration = Duration::from_secs(30);

/// Both count memory and want a good part of the machine.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// What a slow client does.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// Sends its head byte by byte.
    Head,
    /// Sends nothing.
    Silent,
    /// Announces a body and sends a part of it.
    Body,
    /// Asks for much and reads none of it.
    Reader,
    /// Asks for a thousand overlapping ranges, and reads what it gets.
    Ranges,
}

#[tokio::test]
async fn slow_clients_are_ended_in_time_and_others_do_not_notice() {
    let _machine = MACHINE.lock().await;
    let herd = serve(start_origin(), TIMEOUT_IDLE).await;
    let addr = herd.addr().await;
    // Idle no longer than half of the time after which Herder would close them.
    let load =
        Load::get(addr, "/").connections(u32::try_from(LOAD).unwrap()).rate_per_s(200).start();
    wait_until(PATIENCE, "a warm herd", async || load.answered() >= 400).await;
    let (warm, files) = (proc::private_dirty_bytes(herd.pid()), proc::open_files(herd.pid()));
    let mut clients = JoinSet::new();
    let slow = [Slow::Head, Slow::Silent, Slow::Body, Slow::Ranges];
    let kinds = slow.into_iter().flat_map(|kind| [kind; SLOW]).chain([Slow::Reader; READERS]);
    let mut moment = interval(Duration::from_millis(1));
    for kind in kinds {
        moment.tick().await;
        clients.spawn(kind.run(addr));
    }
    let count = u64::try_from(clients.len()).unwrap();
    let (mut peak, mut readers) = (warm, Vec::new());
    let mut second = interval(DRIP);
    while !clients.is_empty() {
        tokio::select! {
            ended = clients.join_next() => readers.extend(ended.unwrap().unwrap()),
            _ = second.tick() => peak = peak.max(proc::private_dirty_bytes(herd.pid())),
        }
    }
    assert_eq!(readers.len(), READERS);
    // Where the machine is busy the load has had more requests in flight at once since, and as many
    // connections to the instance, than when it began; the readers alone would be more than that.
    const { assert!(LOAD < READERS) };
    wait_until(TIMEOUT_IDLE + PATIENCE, "the slow connections closed", async || {
        proc::open_files(herd.pid()) <= files + LOAD
    })
    .await;
    drop(readers);
    let report = load.stop().await;
    println!("{count} slow clients; the load beside them: {report}");
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");
    let each = (peak - warm) / count;
    println!("memory: {warm} bytes before, {peak} at most: {each} for each slow client");
    assert!(each <= BUSY_BYTES_MAX, "{each} bytes for each slow client");
    assert_given_back(&herd, warm, peak).await;
    herd.stop().await;
}

#[tokio::test]
async fn an_idle_connection_costs_little_and_gives_it_back() {
    let _machine = MACHINE.lock().await;
    let herd = serve(start_origin(), Duration::from_secs(600)).await;
    let addr = herd.addr().await;
    // Herder keeps an eighth of the files for itself, and two for each connection of a client.
    let room = proc::open_files_max(herd.pid()).min(proc::open_files_max(std::process::id()));
    let count = IDLE.min(room / 16 * 7 - 64);
    let warm_up = Load::get(addr, "/").connections(64).run(Duration::from_secs(1)).await;
    assert_eq!(warm_up.failed(), 0, "{warm_up}");
    let warm = proc::private_dirty_bytes(herd.pid());
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        ask(&mut stream).await;
        idle.push(stream);
    }
    let busy = proc::private_dirty_bytes(herd.pid());
    let bound = warm + count * IDLE_BYTES_MAX;
    let rest = settled(herd.pid(), bound).await;
    let each = rest.saturating_sub(warm) / count;
    println!("{count} idle connections: {warm} bytes before, {busy} after the last request,");
    println!("{rest} then: {each} bytes each");
    assert!(rest <= bound, "{each} bytes for each idle connection, more than {IDLE_BYTES_MAX}");
    // They are still there, and good for another request.
    for stream in &mut idle {
        ask(stream).await;
    }
    drop(idle);
    assert_given_back(&herd, warm, busy).await;
    herd.stop().await;
}

impl Slow {
    /// Is slow until Herder has had enough, and checks that this was in time and done properly. Of
    /// a reader, which cannot see an end behind what it does not read, the connection is left.
    async fn run(self, addr: SocketAddr) -> Option<TcpStream> {
        let begun = Instant::now();
        let mut stream = match self {
            Slow::Reader => connect_small(addr).await,
            _ => TcpStream::connect(addr).await.unwrap(),
        };
        match self {
            Slow::Head => {
                let head = format!("GET / HTTP/1.1\r\nHost: test\r\nX-Slow: {:a<999}", "");
                drip(&mut stream, head.as_bytes()).await;
                ended(&mut stream, "HTTP/1.1 408 ").await;
                self.judge(begun, TIMEOUT_HEAD);
            }
            Slow::Silent => {
                ended(&mut stream, "").await;
                self.judge(begun, TIMEOUT_IDLE);
            }
            Slow::Body => {
                let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nabc";
                stream.write_all(head.as_bytes()).await.unwrap();
                ended(&mut stream, "HTTP/1.1 408 ").await;
                self.judge(begun, TIMEOUT_BODY);
            }
            Slow::Reader => {
                let head = "GET /large HTTP/1.1\r\nHost: test\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                return Some(stream);
            }
            Slow::Ranges => {
                let ranges: Vec<_> = (0..1000).map(|from| format!("{from}-")).collect();
                let ranges = ranges.join(",");
                let head = format!("GET / HTTP/1.1\r\nHost: test\r\nRange: bytes={ranges}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let response = Wire::new(&mut stream).response("GET").await.unwrap();
                assert_eq!(response.status, 200, "{response}");
            }
        }
        None
    }

    fn judge(self, begun: Instant, timeout: Duration) {
        let took = begun.elapsed();
        let is_in_time = took + EARLY >= timeout && took <= timeout + SLACK;
        assert!(is_in_time, "{self:?}: ended after {took:?}");
    }
}

/// An origin with a thread of its own, so that a thousand clients do not slow it down; it goes with
/// the test's process.
fn start_origin() -> SocketAddr {
    let (addr_to, addr) = mpsc::sync_channel(1);
    let work = async move {
        let origin = HttpOrigin::start("a", |ask| match ask.request.target.as_str() {
            "/large" => Reply::bytes(vec![b'x'; LARGE_BYTES]),
            _ => Reply::bytes(vec![b'x'; SMALL_BYTES]),
        });
        let origin = origin.await;
        addr_to.send(origin.addr()).unwrap();
        pending::<()>().await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::spawn(move || runtime.block_on(work));
    addr.recv().unwrap()
}

async fn serve(origin: SocketAddr, timeout_idle: Duration) -> Herd {
    let config = format!(
        r#"
workers = 2

[listener.web]
bind = "127.0.0.1:0"
timeout_head = "{}ms"
timeout_body = "{}ms"
timeout_idle = "{}ms"

[service.origin]
static = ["{origin}"]
http.timeout_connect = "{}ms"
"#,
        TIMEOUT_HEAD.as_millis(),
        TIMEOUT_BODY.as_millis(),
        timeout_idle.as_millis(),
        PATIENCE.as_millis(),
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("origin", 1).await;
    herd
}

/// Sends `bytes` one by one, until all are sent or the other side has something to say.
async fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    let mut pace = interval(DRIP);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut reading, mut writing) = stream.split();
    let mut answer = [0];
    let dripping = async {
        for byte in bytes {
            pace.tick().await;
            writing.write_all(&[*byte]).await.unwrap();
        }
    };
    tokio::select! {
        () = dripping => {}
        _ = reading.peek(&mut answer) => {}
    }
}

/// Reads to the end, which has to come by itself, and what comes before has to begin with `start`.
async fn ended(stream: &mut TcpStream, start: &str) {
    let mut all = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an end in time").unwrap();
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with(start) && text.is_empty() == start.is_empty(), "{text:?}");
}

/// Connects with a receive buffer that holds next to nothing.
async fn connect_small(addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(addr).await.unwrap()
}

/// One request and its response, after which the connection stays open.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let response = Wire::new(stream).response("GET").await.unwrap();
    assert_eq!((response.status, response.body.len()), (200, SMALL_BYTES), "{response}");
}

/// What there was before, and at most a small part of what came on top of it.
async fn assert_given_back(herd: &Herd, before: u64, peak: u64) {
    let bound = before + peak.saturating_sub(before) / LEFT_PART + LEFT_BYTES;
    let rest = settled(herd.pid(), bound).await;
    println!("memory: {before} bytes before, {peak} at most, {rest} after");
    assert!(rest <= bound, "{rest} bytes after, {before} before, {peak} at most");
}

/// The memory of the process once it is within `bound`, or else after a while.
async fn settled(pid: u32, bound: u64) -> u64 {
    let look = async || Some(proc::private_dirty_bytes(pid)).filter(|&bytes| bytes <= bound);
    let within = timeout(GIVING_BACK, wait_for(GIVING_BACK * 2, "less memory", look)).await;
    within.unwrap_or_else(|_| proc::private_dirty_bytes(pid))
}
