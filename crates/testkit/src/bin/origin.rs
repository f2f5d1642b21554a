//! An origin for benchmarks: the same response to whatever ends in a blank line, pipelined or not.
//! It must not parse more than that, so that it is never what a benchmark measures: how long the
//! body of each request is, it is told.
#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const USAGE: &str =
    "usage: origin [--port PORT] [--bytes BYTES] [--body BYTES] [--delay-ms MS] [--status STATUS]";
/// With another status than 200, what begins like this is still answered with 200.
const PROBE: &[u8] = b"GET /healthz ";
/// Bytes of one read; a head may come in several.
const BUFFER_BYTES: usize = 16 * 1024;
/// The same where requests have bodies, which are only counted.
const BUFFER_BODY_BYTES: usize = 256 * 1024;
const END: &[u8] = b"\r\n\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (mut port, mut bytes, mut body) = (0_u16, 1024_usize, 0_usize);
    let (mut delay_ms, mut status) = (0, 200_u16);
    let mut arguments = env::args().skip(1);
    while let (Some(flag), value) = (arguments.next(), arguments.next().unwrap_or_default()) {
        match flag.as_str() {
            "--port" => port = value.parse().map_err(|_| usage(&flag, &value))?,
            "--bytes" => bytes = value.parse().map_err(|_| usage(&flag, &value))?,
            "--body" => body = value.parse().map_err(|_| usage(&flag, &value))?,
            "--delay-ms" => delay_ms = value.parse().map_err(|_| usage(&flag, &value))?,
            "--status" => status = value.parse().map_err(|_| usage(&flag, &value))?,
            _ => return Err(usage(&flag, &value)),
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let answers = Answers {
        ordinary: response(status, bytes),
        fit: response(200, bytes),
        delay: Duration::from_millis(delay_ms),
    };
    loop {
        let (client, _) = listener.accept().await?;
        // A client may go at any time; that ends this connection and nothing else.
        tokio::spawn(async move { serve(client, Requests::of(body), answers).await.ok() });
    }
}

/// What is answered, and after how long.
#[derive(Clone, Copy)]
struct Answers {
    ordinary: &'static [u8],
    /// To a probe.
    fit: &'static [u8],
    delay: Duration,
}

fn response(status: u16, bytes: usize) -> &'static [u8] {
    let head = format!(
        "HTTP/1.1 {status} OK\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\n\r\n"
    );
    [head.into_bytes(), vec![b'x'; bytes]].concat().leak()
}

/// How far the requests on a connection were read.
struct Requests {
    /// Bytes of the body of each.
    body: usize,
    /// Bytes of the body that still have to come; none within a head.
    left: usize,
    /// How much of the end of a head the last bytes had.
    matched: usize,
}

async fn serve(mut client: TcpStream, mut read: Requests, answers: Answers) -> io::Result<()> {
    client.set_nodelay(true)?;
    let bytes = if read.body == 0 { BUFFER_BYTES } else { BUFFER_BODY_BYTES };
    let mut buffer = vec![0; bytes];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let is_probe = buffer[..count].starts_with(PROBE);
        let response = if is_probe { answers.fit } else { answers.ordinary };
        if !answers.delay.is_zero() {
            tokio::time::sleep(answers.delay).await;
        }
        match read.ended(&buffer[..count]) {
            0 => {}
            1 => client.write_all(response).await?,
            many => client.write_all(&response.repeat(many)).await?,
        }
    }
}

impl Requests {
    fn of(body: usize) -> Self {
        Self { body, left: 0, matched: 0 }
    }

    /// How many requests end in `bytes`, which follow those of the call before.
    fn ended(&mut self, mut bytes: &[u8]) -> usize {
        let mut ended = 0;
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            bytes = &bytes[skipped..];
            if self.left > 0 {
                self.left -= skipped;
                ended += usize::from(self.left == 0);
                continue;
            }
            let Some(head) = self.head_bytes(bytes) else {
                return ended;
            };
            bytes = &bytes[head..];
            self.left = self.body;
            ended += usize::from(self.left == 0);
        }
        ended
    }

    /// How many of `bytes` belong to the head that ends in them, if one does.
    fn head_bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.matched = match (byte == END[self.matched], byte == END[0]) {
                (true, _) => self.matched + 1,
                (false, true) => 1,
                (false, false) => 0,
            };
            if self.matched == END.len() {
                self.matched = 0;
                return Some(at + 1);
            }
        }
        None
    }
}

fn usage(flag: &str, value: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{flag} {value:?}: {USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::Requests;

    #[test]
    fn requests_are_counted_across_reads() {
        let check = |body: usize, reads: &[&str], expected: usize| {
            let mut requests = Requests::of(body);
            let found: usize = reads.iter().map(|read| requests.ended(read.as_bytes())).sum();
            assert_eq!(found, expected, "{reads:?}");
        };
        check(0, &["GET / HTTP/1.1\r\nHost: a\r\n\r\n"], 1);
        check(0, &["GET / HTTP/1.1\r\n\r", "\nGET / HTTP/1.1\r\n\r\n"], 2);
        check(0, &["\r\r\n\r\n\r\n"], 1);
        check(0, &["\r", "\n", "\r", "\n"], 1);
        check(0, &["a\r\nb\r\n"], 0);
        check(3, &["a\r\n\r\n"], 0);
        check(3, &["a\r\n\r\nxx", "xa\r\n\r\nxxx"], 2);
        check(5, &["a\r\n\r\n\r\n\r\nx", "a"], 1);
    }
}
