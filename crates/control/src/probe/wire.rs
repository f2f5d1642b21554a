//! Opens the connection of a probe, and puts over it what is asked.
//! It waits as long as it is let: the timeout around it is the prober's.

use std::io::{self, ErrorKind};

use hyper::HeaderMap;
use model::{Endpoint, HttpProbe, Probe, ProxyProtocolOut, Service};
use proxy_protocol::Version;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Answer, grpc, http};
use crate::ProbeOutcome;

/// Bytes of the head of an answer. Beyond: a failure, an answer to a probe is no novel.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The header in which an instance says how many requests it wants.
const FEEDBACK: &str = "herder-feedback";
/// How Herder calls itself.
pub(super) const AGENT: &str = concat!("herder-probe/", env!("CARGO_PKG_VERSION"));

/// What is asked over a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question<'a> {
    /// Nothing: that it stands is the answer.
    Connect,
    /// A request.
    Http(&'a HttpProbe),
    /// A call of the health service, about the service of this name.
    Grpc(&'a str),
}

/// What the instance answers.
///
/// # Errors
/// When Herder is short of something, such as a file descriptor.
pub(super) async fn ask(
    endpoint: &Endpoint,
    service: &Service,
    question: Question<'_>,
) -> io::Result<Answer> {
    let addr = endpoint.addr;
    let mut stream = match TcpStream::connect(addr).await {
        Ok(stream) => stream,
        Err(error) if is_ours(&error) => return Err(error),
        Err(error) => return Ok(ProbeOutcome::Silent(io_text(&error)).into()),
    };
    if let Err(error) = introduce(&mut stream, service.proxy_protocol).await {
        return Ok(ProbeOutcome::Silent(io_text(&error)).into());
    }
    let health = &service.health;
    let verdict = match question {
        Question::Connect => Ok(String::new()),
        Question::Http(probe) => http::ask(stream, addr, probe).await,
        Question::Grpc(name) => grpc::ask(stream, addr, name, health.timeout).await,
    };
    Ok(answer(&health.probe, verdict))
}

/// What an answer means, given what it said, or what was wrong as the end of a sentence.
pub(super) fn answer(probe: &Probe, verdict: Result<String, String>) -> Answer {
    match verdict {
        Ok(said) => Answer { outcome: ProbeOutcome::Pass, said },
        Err(why) => ProbeOutcome::Fail(format!("{} {why}", probe.name())).into(),
    }
}

/// What an instance says in the header that is there for it, if it does.
pub(super) fn said(headers: &HeaderMap) -> Option<String> {
    headers.get(FEEDBACK).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
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

pub(super) fn http_text(error: &hyper::Error) -> String {
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
pub(super) mod tests {
    use std::net::SocketAddr;

    use model::Source;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    fn http(path: &str) -> Probe {
        Probe::Http(Box::new(HttpProbe::get(path)))
    }

    fn service(probe: &Probe) -> Service {
        let mut service = Service::unbounded("shop".parse().unwrap(), Source::Static(Vec::new()));
        service.health.probe = probe.clone();
        service
    }

    async fn ask_by(addr: SocketAddr, service: &Service) -> ProbeOutcome {
        let endpoint = Endpoint::new("shop.1".parse().unwrap(), 1, addr, 1);
        let question = match &service.health.probe {
            Probe::Tcp => Question::Connect,
            Probe::Http(http) => Question::Http(http),
            Probe::Grpc { service } => Question::Grpc(service),
            Probe::Command { .. } => panic!("a command is not asked over a connection"),
        };
        super::ask(&endpoint, service, question).await.unwrap().outcome
    }

    pub(crate) async fn ask(addr: SocketAddr, probe: &Probe) -> ProbeOutcome {
        ask_by(addr, &service(probe)).await
    }

    /// An instance that answers every connection with these bytes, and gives back what it was sent
    /// on the first one.
    pub(crate) async fn answering(
        answer: Vec<u8>,
    ) -> (SocketAddr, tokio::task::JoinHandle<String>) {
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

    /// Whoever expects a header of each connection gets one, that says that nobody is behind it.
    #[tokio::test]
    async fn a_probe_begins_with_the_header_that_connections_begin_with() {
        let v2 = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        for (header, expected) in
            [(ProxyProtocolOut::V1, "PROXY UNKNOWN\r\n"), (ProxyProtocolOut::V2, v2)]
        {
            let (addr, instance) = answering(b"HTTP/1.1 204 X\r\n\r\n".into()).await;
            let asked = Service { proxy_protocol: header, ..service(&http("/up")) };
            assert_eq!(ask_by(addr, &asked).await, ProbeOutcome::Pass);
            let heard = instance.await.unwrap();
            assert!(heard.starts_with(&format!("{expected}GET /up ")), "{heard:?}");

            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let asked = Service { proxy_protocol: header, ..service(&Probe::Tcp) };
            let addr = listener.local_addr().unwrap();
            assert_eq!(ask_by(addr, &asked).await, ProbeOutcome::Pass);
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
