//! A load with an open loop: a request leaves when it is due, whatever became of those before it.
//! It must not count from when it got round to sending: latency is from when the request was due.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

const USAGE: &str =
    "usage: openloop --to ADDR --rate PER_S [--connections N] [--seconds S] [--seed N]";
/// Requests that are due while every connection is busy: some seconds of them. Beyond it the run
/// fails: what is measured does not carry the rate, and latencies would tell how long the run was.
const WAITING_MAX: usize = 200_000;
/// How long the last answers may take.
const SETTLE: Duration = Duration::from_secs(5);
/// Largest response, head and body. Beyond it the run fails.
const RESPONSE_BYTES_MAX: usize = 1 << 20;
const EVENTS_MAX: usize = 256;
/// What the timer is called among the events; the connections have their index.
const TIMER: u64 = u64::MAX;

fn main() -> ExitCode {
    match Plan::from_arguments().and_then(|plan| Run::begin(plan)?.finish()) {
        Ok(tally) => {
            println!("{tally}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("openloop: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Plan {
    to: SocketAddr,
    rate_per_s: f64,
    connections: usize,
    length: Duration,
    seed: u64,
}

struct Run {
    plan: Plan,
    epoll: OwnedFd,
    timer: OwnedFd,
    request: Vec<u8>,
    connections: Vec<Connection>,
    /// Connections without a request, the longest idle first.
    free: VecDeque<usize>,
    /// When the requests were due that have no connection yet.
    waiting: VecDeque<Instant>,
    latencies_ns: Vec<u64>,
}

struct Connection {
    stream: TcpStream,
    /// When the request was due that it is at.
    due: Instant,
    input: Vec<u8>,
}

impl Plan {
    fn from_arguments() -> io::Result<Self> {
        let (mut to, mut rate_per_s) = (None, None);
        let (mut connections, mut seconds, mut seed) = (64, 5.0, 1);
        let mut arguments = env::args().skip(1);
        while let (Some(flag), value) = (arguments.next(), arguments.next().unwrap_or_default()) {
            let wrong = || invalid(&format!("{flag} {value:?}: {USAGE}"));
            match flag.as_str() {
                "--to" => to = Some(value.parse().map_err(|_| wrong())?),
                "--rate" => rate_per_s = Some(value.parse().map_err(|_| wrong())?),
                "--connections" => connections = value.parse().map_err(|_| wrong())?,
                "--seconds" => seconds = value.parse().map_err(|_| wrong())?,
                "--seed" => seed = value.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        let rate_per_s: f64 = rate_per_s.ok_or_else(|| invalid(USAGE))?;
        if !(rate_per_s > 0.0 && rate_per_s.is_finite()) || connections == 0 {
            return Err(invalid("--rate and --connections have to be above 0"));
        }
        let length = Duration::try_from_secs_f64(seconds)
            .map_err(|e| invalid(&format!("--seconds {seconds}: {e}")))?;
        Ok(Self { to: to.ok_or_else(|| invalid(USAGE))?, rate_per_s, connections, length, seed })
    }
}

impl Run {
    /// Opens the connections.
    fn begin(plan: Plan) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        watch(&epoll, &timer, TIMER)?;
        let mut connections = Vec::with_capacity(plan.connections);
        for at in 0..plan.connections {
            let stream = TcpStream::connect(plan.to)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            watch(&epoll, &stream, u64::try_from(at).map_err(io::Error::other)?)?;
            connections.push(Connection { stream, due: Instant::now(), input: Vec::new() });
        }
        Ok(Self {
            request: format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", plan.to).into_bytes(),
            free: (0..connections.len()).collect(),
            plan,
            epoll,
            timer,
            connections,
            waiting: VecDeque::new(),
            latencies_ns: Vec::new(),
        })
    }

    /// Sends and reads until all is answered.
    fn finish(mut self) -> io::Result<String> {
        let mut rng = fastrand::Rng::with_seed(self.plan.seed);
        let rate_per_s = self.plan.rate_per_s;
        // Exponential gaps: clients that know nothing of each other.
        let mut gap = || Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / rate_per_s);
        let end = Instant::now() + self.plan.length;
        let mut due = Instant::now() + gap();
        loop {
            let now = Instant::now();
            while due <= now && due < end {
                self.waiting.push_back(due);
                due += gap();
            }
            self.send()?;
            let is_all_sent = due >= end && self.waiting.is_empty();
            if is_all_sent && self.free.len() == self.connections.len() {
                return self.tally();
            }
            if now >= end + SETTLE {
                return Err(failed("requests were not answered in time"));
            }
            self.wait(if due < end { due } else { end + SETTLE })?;
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while let (Some(&due), Some(&at)) = (self.waiting.front(), self.free.front()) {
            self.waiting.pop_front();
            self.free.pop_front();
            let connection = &mut self.connections[at];
            connection.due = due;
            connection.stream.write_all(&self.request)?;
        }
        match self.waiting.len() {
            0..WAITING_MAX => Ok(()),
            _ => Err(failed("the rate is more than can be carried")),
        }
    }

    /// Waits until `wake` or an answer, and takes the answers that came.
    fn wait(&mut self, wake: Instant) -> io::Result<()> {
        // Zero would disarm the timer.
        let left = wake.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let value = Timespec::try_from(left).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        let mut events = Vec::with_capacity(EVENTS_MAX);
        epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
        for event in events {
            if event.data.u64() != TIMER {
                self.read(usize::try_from(event.data.u64()).map_err(io::Error::other)?)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let connection = &mut self.connections[at];
        let mut bytes = [0; 16 * 1024];
        let count = match connection.stream.read(&mut bytes) {
            Ok(0) => return Err(failed("a connection was closed")),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        connection.input.extend_from_slice(&bytes[..count]);
        let Some(expected) = response_bytes(&connection.input)? else {
            return Ok(());
        };
        match connection.input.len() {
            length if length < expected => Ok(()),
            length if length > expected => Err(failed("more came than one response")),
            _ => {
                let latency = connection.due.elapsed();
                self.latencies_ns.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
                connection.input.clear();
                self.free.push_back(at);
                Ok(())
            }
        }
    }

    fn tally(mut self) -> io::Result<String> {
        self.latencies_ns.sort_unstable();
        let last = self.latencies_ns.len().checked_sub(1).ok_or_else(|| failed("nothing sent"))?;
        let at = |percent: usize| self.latencies_ns[(last * percent).div_ceil(100)] / 100;
        let tenths =
            [50, 90, 99, 100].map(at).map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
        let [p50, p90, p99, max] = tenths;
        Ok(format!("answered {} p50_us {p50} p90_us {p90} p99_us {p99} max_us {max}", last + 1))
    }
}

/// The length of the response that begins `input`, once its head is there.
fn response_bytes(input: &[u8]) -> io::Result<Option<usize>> {
    if input.len() > RESPONSE_BYTES_MAX {
        return Err(failed("the response is too large"));
    }
    let Some(head_bytes) = input.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
    else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&input[..head_bytes]).to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("http/1.1 200") {
        return Err(failed(&format!("the answer is {status:?}")));
    }
    let length = lines
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse::<usize>().ok())
        .ok_or_else(|| failed("the response has no Content-Length"))?;
    Ok(Some(head_bytes + length))
}

fn watch(epoll: &OwnedFd, what: impl std::os::fd::AsFd, name: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(name);
    Ok(epoll::add(epoll, what, data, epoll::EventFlags::IN)?)
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn failed(text: &str) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use super::response_bytes;

    #[test]
    fn a_response_is_as_long_as_its_head_says() {
        let check = |input: &str, expected: Option<usize>| {
            assert_eq!(response_bytes(input.as_bytes()).ok().flatten(), expected, "{input:?}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Le", None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Some(41));
        check("HTTP/1.1 200 OK\r\nDate: x\r\ncontent-length:3\r\n\r\nabc", Some(49));
        assert!(response_bytes(b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\n").is_err());
        assert!(response_bytes(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").is_err());
    }
}
