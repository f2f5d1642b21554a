//! The questions themselves: a TCP connection, or one HTTP/1.1 request on a connection of its own.
//! It waits as long as it is let: the timeout around it is the prober's.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::{Probe, ProxyProtocolOut, Service};
use proxy_protocol::Version;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Ask;
use crate::ProbeOutcome;

/// Bytes of the head of an answer. Beyond: a failure, an answer to a probe is no novel.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the body of an answer that are read, so that the instance can finish it in peace.
/// Beyond: the connection is closed, and the status counts.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How Herder calls itself.
const AGENT: &str = concat!("herder-probe/", env!("CARGO_PKG_VERSION"));

/// Asks over the network.
pub(crate) struct Wire;

impl Ask for Wire {
    async fn ask(&self, addr: SocketAddr, service: &Service) -> io::Result<ProbeOutcome> {
        let mut stream = match TcpStream::connect(addr).await {
            Ok(stream) => stream,
            Err(error) if is_ours(&error) => return Err(error),
            Err(error) => return Ok(ProbeOutcome::Silent(io_text(&error))),
        };
        if let Err(error) = introduce(&mut stream, service.proxy_protocol).await {
            return Ok(ProbeOutcome::Silent(io_text(&error)));
        }
        Ok(match &service.health.probe {
            Probe::Tcp => ProbeOutcome::Pass,
            Probe::Http { path } => match get(stream, addr, path).await {
                Ok(()) => ProbeOutcome::Pass,
                Err(why) => ProbeOutcome::Fail(format!("GET {path} {why}")),
            },
        })
    }
}

/// Says, to those who want to be told who the client is, that there is none: it is Herder itself.
async fn introduce(stream: &mut TcpStream, header: ProxyProtocolOut) -> io::Result<()> {
    let version = match header {
        ProxyProtocolOut::Off => return Ok(()),
        ProxyProtocolOut::V1 => Version::V1,
        ProxyProtocolOut::V2 => Version::V2,
    };
    let mut out = Vec::new();
    proxy_protocol::write(&mut out, version, None);
    stream.write_all(&out).await
}

/// Ok for 200 to 399, else what was wrong, as the end of a sentence that begins with the request.
async fn get(stream: TcpStream, addr: SocketAddr, path: &str) -> Result<(), String> {
    let request = Request::get(path)
        .header(HOST, addr.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("cannot be sent: {error}; correct the path of `health`"))?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("failed: {}", http_text(&error)))?;
    let exchange = async {
        let answer = sender.send_request(request).await;
        judge(answer.map_err(|error| format!("failed: {}", http_text(&error)))?).await
    };
    // The exchange learns of an error of the connection by itself; this only keeps it moving.
    let keep_moving = async {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a probe's connection failed");
        }
        std::future::pending().await
    };
    tokio::select! {
        verdict = exchange => verdict,
        never = keep_moving => never,
    }
}

async fn judge(answer: Response<Incoming>) -> Result<(), String> {
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut read = 0;
    while read <= BODY_BYTES_MAX {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => {
                return Err(format!("answered {status} and broke off: {}", http_text(&error)));
            }
            None => break,
        }
    }
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("answered {status}")) }
}

/// Whether a connection failed for lack of something of Herder's own.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::ADDRNOTAVAIL)
    )
}

fn io_text(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::ConnectionReset => "connection reset".into(),
        ErrorKind::UnexpectedEof => "connection closed".into(),
        _ => error.to_string(),
    }
}

fn http_text(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error);
    if let Some(cause) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        return io_text(cause);
    }
    if error.is_incomplete_message() {
        return "connection closed before the answer was whole".into();
    }
    // Hyper answers this question by a method for servers only.
    if error.is_parse() && error.to_string().contains("too large") {
        return format!("the head of the answer is longer than {HEAD_BYTES_MAX} bytes");
    }
    if error.is_parse() {
        return format!("the answer is not HTTP/1.1 ({error})");
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use model::Source;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    fn http(path: &str) -> Probe {
        Probe::Http { path: path.into() }
    }

    fn service(probe: &Probe) -> Service {
        let mut service = Service::unbounded("shop".parse().unwrap(), Source::Static(Vec::new()));
        service.health.probe = probe.clone();
        service
    }

    async fn ask(addr: SocketAddr, probe: &Probe) -> ProbeOutcome {
        Wire.ask(addr, &service(probe)).await.unwrap()
    }

    /// An instance that answers every connection with these bytes, and gives back what it was sent
    /// on the first one.
    async fn answering(answer: Vec<u8>) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let instance = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let mut length = 0;
            while !asked[..length].ends_with(b"\r\n\r\n") {
                length += stream.read(&mut asked[length..]).await.unwrap();
            }
            asked.truncate(length);
            // A prober that had enough may close before everything is written.
            stream.write_all(&answer).await.ok();
            String::from_utf8(asked).unwrap()
        });
        (addr, instance)
    }

    async fn check(answer: &str, expected: Result<(), &str>) {
        let (addr, _instance) = answering(answer.into()).await;
        let expected = match expected {
            Ok(()) => ProbeOutcome::Pass,
            Err(why) => ProbeOutcome::Fail(format!("GET /healthz {why}")),
        };
        assert_eq!(ask(addr, &http("/healthz")).await, expected, "{answer}");
    }

    #[tokio::test]
    async fn the_status_decides() {
        for (status, passes) in [(200, true), (204, true), (399, true), (404, false), (503, false)]
        {
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            let why = format!("answered {status}");
            check(&answer, if passes { Ok(()) } else { Err(why.as_str()) }).await;
        }
        check("HTTP/1.0 200 OK\r\n\r\nuntil the end", Ok(())).await;
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Ok(()))
            .await;
        check("HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", Ok(())).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_none_fails() {
        let closed = "failed: connection closed before the answer was whole";
        check("", Err(closed)).await;
        check("HTTP/1.1 200 OK\r\n", Err(closed)).await;
        let (addr, _instance) = answering(b"SSH-2.0-OpenSSH\r\n\r\n".into()).await;
        let ProbeOutcome::Fail(why) = ask(addr, &http("/")).await else { panic!("passed") };
        assert!(why.starts_with("GET / failed: the answer is not HTTP/1.1"), "{why}");

        let (addr, _instance) =
            answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into()).await;
        let ProbeOutcome::Fail(why) = ask(addr, &http("/")).await else { panic!("passed") };
        assert!(why.starts_with("GET / answered 200 and broke off"), "{why}");
    }

    #[tokio::test]
    async fn heads_and_bodies_are_bounded() {
        let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2 * HEAD_BYTES_MAX));
        let (addr, _instance) = answering(head.into()).await;
        let ProbeOutcome::Fail(why) = ask(addr, &http("/")).await else { panic!("passed") };
        assert!(why.contains("longer than 16384 bytes"), "{why}");

        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "z".repeat(100 * BODY_BYTES_MAX));
        let (addr, instance) = answering(endless.into()).await;
        assert_eq!(ask(addr, &http("/")).await, ProbeOutcome::Pass);
        instance.await.unwrap();
    }

    #[tokio::test]
    async fn the_request_says_who_asks_and_that_it_is_the_only_one() {
        let (addr, instance) = answering(b"HTTP/1.1 204 X\r\n\r\n".into()).await;
        assert_eq!(ask(addr, &http("/up?deep=1")).await, ProbeOutcome::Pass);
        let asked = instance.await.unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /up?deep=1 http/1.1\r\n"), "{asked}");
        for header in [
            format!("\r\nhost: {addr}\r\n"),
            format!("\r\nuser-agent: herder-probe/{}\r\n", env!("CARGO_PKG_VERSION")),
            "\r\nconnection: close\r\n".to_owned(),
        ] {
            assert!(asked.contains(&header), "{header} in {asked}");
        }
    }

    /// Whoever expects a header of each connection gets one, that says that nobody is behind it.
    #[tokio::test]
    async fn a_probe_begins_with_the_header_that_connections_begin_with() {
        let v2 = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        for (header, expected) in
            [(ProxyProtocolOut::V1, "PROXY UNKNOWN\r\n"), (ProxyProtocolOut::V2, v2)]
        {
            let (addr, instance) = answering(b"HTTP/1.1 204 X\r\n\r\n".into()).await;
            let asked = Service { proxy_protocol: header, ..service(&http("/up")) };
            assert_eq!(Wire.ask(addr, &asked).await.unwrap(), ProbeOutcome::Pass);
            let heard = instance.await.unwrap();
            assert!(heard.starts_with(&format!("{expected}GET /up ")), "{heard:?}");

            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let asked = Service { proxy_protocol: header, ..service(&Probe::Tcp) };
            let addr = listener.local_addr().unwrap();
            assert_eq!(Wire.ask(addr, &asked).await.unwrap(), ProbeOutcome::Pass);
            let mut heard = String::new();
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, expected);
        }
    }

    #[tokio::test]
    async fn a_port_answers_or_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(ask(addr, &Probe::Tcp).await, ProbeOutcome::Pass);
        drop(listener);
        let refused = ProbeOutcome::Silent("connection refused".into());
        assert_eq!(ask(addr, &Probe::Tcp).await, refused);
        assert_eq!(ask(addr, &http("/healthz")).await, refused);
    }
}
