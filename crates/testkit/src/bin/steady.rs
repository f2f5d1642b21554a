//! A steady load that bears failures: a request leaves when it is due, and what became of it is
//! counted. It must not count from when it got round to sending: latency is from when it was due.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout_at};

const USAGE: &str = "usage: steady --to ADDR --rate PER_S [--seconds S] [--timeout S] [--seed N] \
                     [--path PATH]";
/// Connections that are kept for the next request; beyond it they are closed.
const KEPT_MAX: usize = 1000;
/// Largest response. Beyond it the request failed.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// What one run was told.
struct Plan {
    to: SocketAddr,
    request: Vec<u8>,
    rate_per_s: f64,
    seconds: f64,
    timeout_s: f64,
    seed: u64,
}

#[derive(Default)]
struct Tally {
    kept: Vec<TcpStream>,
    took_us: Vec<u128>,
    failed: BTreeMap<String, u64>,
}

fn main() -> io::Result<()> {
    let plan = Plan::from_arguments()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = LocalSet::new().block_on(&runtime, run(Rc::new(plan)));
    let mut took_us = tally.take().took_us;
    took_us.sort_unstable();
    let quantile_us = |of_1000: usize| {
        let rank = (took_us.len() * of_1000).div_ceil(1000).max(1);
        took_us.get(rank - 1).copied().unwrap_or_default()
    };
    println!(
        "answered {} p50_us {} p99_us {} max_us {}",
        took_us.len(),
        quantile_us(500),
        quantile_us(990),
        quantile_us(1000)
    );
    Ok(())
}

/// Sends requests at random moments until the time is over, and waits for the last answers. Those
/// that failed are told at once, by reason.
async fn run(plan: Rc<Plan>) -> Rc<RefCell<Tally>> {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let (mut due, mut tasks) = (Instant::now(), tokio::task::JoinSet::new());
    let end = due + Duration::from_secs_f64(plan.seconds);
    while due < end {
        sleep_until(due).await;
        tasks.spawn_local(ask(Rc::clone(&plan), due, Rc::clone(&tally)));
        while tasks.try_join_next().is_some() {}
        let gap_s = -(1.0 - rng.f64()).ln() / plan.rate_per_s;
        due += Duration::from_secs_f64(gap_s);
    }
    while tasks.join_next().await.is_some() {}
    for (reason, count) in &tally.borrow().failed {
        println!("failed {count} {reason}");
    }
    tally
}

async fn ask(plan: Rc<Plan>, due: Instant, tally: Rc<RefCell<Tally>>) {
    let kept = tally.borrow_mut().kept.pop();
    let until = due + Duration::from_secs_f64(plan.timeout_s);
    let answer = timeout_at(until, exchange(&plan, kept)).await;
    let mut tally = tally.borrow_mut();
    let reason = match answer {
        Ok(Ok((stream, status))) => {
            if tally.kept.len() < KEPT_MAX {
                tally.kept.push(stream);
            }
            if status == "200" {
                return tally.took_us.push(due.elapsed().as_micros());
            }
            format!("status_{status}")
        }
        Ok(Err(error)) => format!("{:?}", error.kind()),
        Err(_) => "client_timeout".to_owned(),
    };
    *tally.failed.entry(reason).or_default() += 1;
}

/// One request and its response, whose head says how long it is.
async fn exchange(plan: &Plan, kept: Option<TcpStream>) -> io::Result<(TcpStream, String)> {
    let mut stream = match kept {
        Some(stream) => stream,
        None => TcpStream::connect(plan.to).await?,
    };
    stream.set_nodelay(true)?;
    stream.write_all(&plan.request).await?;
    let mut input = Vec::new();
    loop {
        if input.len() > RESPONSE_BYTES_MAX || stream.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&input);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let value = value.trim().parse::<usize>().ok();
            value.filter(|_| name.eq_ignore_ascii_case("content-length"))
        });
        let length = length.ok_or(io::ErrorKind::InvalidData)?;
        if body.len() >= length {
            let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
            return Ok((stream, status));
        }
    }
}

impl Plan {
    fn from_arguments() -> io::Result<Self> {
        let (mut to, mut path) = (None, "/".to_owned());
        let mut plan = [None, Some(10.0), Some(10.0), Some(1.0)];
        let mut arguments = env::args().skip(1);
        while let (Some(flag), value) = (arguments.next(), arguments.next().unwrap_or_default()) {
            let at = match flag.as_str() {
                "--to" => {
                    to = value.parse().ok();
                    continue;
                }
                "--path" => {
                    path = value;
                    continue;
                }
                "--rate" => 0,
                "--seconds" => 1,
                "--timeout" => 2,
                "--seed" => 3,
                _ => return Err(usage(&flag, &value)),
            };
            let number = value.parse().ok().filter(|&number: &f64| number > 0.0);
            plan[at] = Some(number.ok_or_else(|| usage(&flag, &value))?);
        }
        match (to, plan) {
            (Some(to), [Some(rate_per_s), Some(seconds), Some(timeout_s), Some(seed)]) => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: steady\r\n\r\n").into();
                Ok(Self { to, request, rate_per_s, seconds, timeout_s, seed: seed.to_bits() })
            }
            _ => Err(usage("", "")),
        }
    }
}

fn usage(flag: &str, value: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{flag} {value:?}: {USAGE}"))
}
