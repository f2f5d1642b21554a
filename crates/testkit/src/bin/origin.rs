//! An origin for benchmarks: the same response to whatever ends in a blank line, pipelined or not.
//! It must not parse more than that, so that it is never what a benchmark measures.
#![forbid(unsafe_code)]

use std::env;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const USAGE: &str = "usage: origin [--port PORT] [--bytes BYTES]";
/// Bytes of one read; a head may come in several.
const BUFFER_BYTES: usize = 16 * 1024;
const END: &[u8] = b"\r\n\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (mut port, mut bytes) = (0_u16, 1024_usize);
    let mut arguments = env::args().skip(1);
    while let (Some(flag), value) = (arguments.next(), arguments.next().unwrap_or_default()) {
        match flag.as_str() {
            "--port" => port = value.parse().map_err(|_| usage(&flag, &value))?,
            "--bytes" => bytes = value.parse().map_err(|_| usage(&flag, &value))?,
            _ => return Err(usage(&flag, &value)),
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\n\r\n");
    let response: &'static [u8] = [head.into_bytes(), vec![b'x'; bytes]].concat().leak();
    loop {
        let (client, _) = listener.accept().await?;
        // A client may go at any time; that ends this connection and nothing else.
        tokio::spawn(async move { serve(client, response).await.ok() });
    }
}

async fn serve(mut client: TcpStream, response: &[u8]) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = [0; BUFFER_BYTES];
    let mut matched = 0;
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let requests = ends(&buffer[..count], &mut matched);
        match requests {
            0 => {}
            1 => client.write_all(response).await?,
            many => client.write_all(&response.repeat(many)).await?,
        }
    }
}

/// How many heads end in `bytes`; `matched` is how much of an end the bytes before them had.
fn ends(bytes: &[u8], matched: &mut usize) -> usize {
    let mut found = 0;
    for byte in bytes {
        *matched = match (*byte == END[*matched], *byte == END[0]) {
            (true, _) => *matched + 1,
            (false, true) => 1,
            (false, false) => 0,
        };
        if *matched == END.len() {
            *matched = 0;
            found += 1;
        }
    }
    found
}

fn usage(flag: &str, value: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{flag} {value:?}: {USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::ends;

    #[test]
    fn ends_are_counted_across_reads() {
        let check = |reads: &[&str], expected: usize| {
            let mut matched = 0;
            let found: usize = reads.iter().map(|r| ends(r.as_bytes(), &mut matched)).sum();
            assert_eq!(found, expected, "{reads:?}");
        };
        check(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"], 1);
        check(&["GET / HTTP/1.1\r\n\r", "\nGET / HTTP/1.1\r\n\r\n"], 2);
        check(&["\r\r\n\r\n\r\n"], 1);
        check(&["\r", "\n", "\r", "\n"], 1);
        check(&["a\r\nb\r\n"], 0);
    }
}
