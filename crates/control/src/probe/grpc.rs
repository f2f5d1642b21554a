//! A probe as one call of `grpc.health.v1.Health/Check` over HTTP/2 without TLS.
//! It waits as long as it is let: the timeout around it is the prober's.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::wire::{AGENT, HEAD_BYTES_MAX, http_text, said};

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// Bytes of the message of an answer, which has two. Beyond: a failure.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Bytes in front of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Bytes that an instance may send ahead of what was read: the least that HTTP/2 begins with.
const WINDOW_BYTES: u32 = 65_535;
/// Characters of an instance's own words in a reason. Beyond: cut.
const WORDS_MAX: usize = 200;
/// How an answer says that it is fit.
const SERVING: u64 = 1;
/// `ServingStatus`, by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
/// The codes of gRPC, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Runs what hyper wants to have run beside an exchange.
#[derive(Clone, Default)]
struct Beside(Rc<RefCell<Vec<AbortHandle>>>);

/// Ends what runs beside an exchange with the exchange itself.
struct Leash(Beside);

/// What it says about the requests that it wants if it is serving, else what was wrong, as the end
/// of a sentence that begins with what was asked. An empty `service` asks about the instance as a
/// whole.
pub(super) async fn ask(
    stream: TcpStream,
    addr: SocketAddr,
    service: &str,
    timeout: Duration,
) -> Result<String, String> {
    let request = request(addr, service, timeout)
        .map_err(|error| format!("cannot be sent: {error}; correct `health`"))?;
    let leash = Leash(Beside::default());
    let mut builder = http2::Builder::new(leash.0.clone());
    builder
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    let failed = |error: hyper::Error| format!("failed: {}", h2_text(&error));
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let exchange = async { judge(sender.send_request(request).await.map_err(failed)?).await };
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

fn request(
    addr: SocketAddr,
    service: &str,
    timeout: Duration,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    Request::post(format!("http://{addr}{METHOD}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .header("grpc-timeout", format!("{}m", timeout.as_millis()))
        .body(Full::new(framed(&question(service)).into()))
}

/// `HealthCheckRequest`: its only field is the service, which is left out when it is empty.
fn question(service: &str) -> Vec<u8> {
    if service.is_empty() {
        return Vec::new();
    }
    let mut message = vec![1 << 3 | 2];
    let mut length = service.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or(0));
    message.extend_from_slice(service.as_bytes());
    message
}

/// A message that is not compressed, as it travels.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

async fn judge(answer: Response<Incoming>) -> Result<String, String> {
    let status = answer.status().as_u16();
    let is_grpc = answer
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if status != 200 || !is_grpc {
        return Err(format!("answered {status}, and not in gRPC"));
    }
    // An answer without a message may have its code in its head.
    refused(answer.headers())?;
    let mut words = said(answer.headers());
    let mut is_over = answer.headers().contains_key("grpc-status");
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| format!("broke off: {}", h2_text(&error)))?;
        if let Some(piece) = frame.data_ref() {
            if body.len() + piece.len() > MESSAGE_BYTES_MAX {
                return Err(format!("answered with more than {MESSAGE_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(piece);
        }
        if let Some(trailers) = frame.trailers_ref() {
            refused(trailers)?;
            words = words.or(said(trailers));
            is_over = trailers.contains_key("grpc-status");
        }
    }
    if !is_over {
        return Err("broke off before the answer was whole".to_owned());
    }
    match message(&body).and_then(serving) {
        Some(SERVING) => Ok(words.unwrap_or_default()),
        Some(other) => {
            let word = usize::try_from(other).ok().and_then(|at| STATUSES.get(at));
            Err(format!("answered {}", word.copied().unwrap_or("with a status that is none")))
        }
        None => Err("answered with a message that is no HealthCheckResponse".to_owned()),
    }
}

/// What an instance has against a call, if it says that it has something.
fn refused(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let Some(code) = text("grpc-status").filter(|code| code != "0") else { return Ok(()) };
    let word = code.parse().ok().and_then(|at: usize| CODES.get(at).copied()).unwrap_or(&*code);
    let why: String = text("grpc-message").unwrap_or_default().chars().take(WORDS_MAX).collect();
    let why = if why.is_empty() { why } else { format!(": {why}") };
    Err(format!("answered {word}{why}"))
}

/// The only message of a body.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<PREFIX_BYTES>()?;
    let [0, length @ ..] = *prefix else { return None };
    (usize::try_from(u32::from_be_bytes(length)) == Ok(message.len())).then_some(message)
}

/// The status of a `HealthCheckResponse`: its field 1, a number; 0 when it is not there. Fields
/// that are not known are passed over, as the format wants it. None when it is malformed.
fn serving(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// A number of variable length, seven bits a byte, the lowest first.
fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..10 {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn h2_text(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) if !cause.is::<std::io::Error>() => {
            format!("the answer is not HTTP/2 ({cause})")
        }
        _ => http_text(error),
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Beside {
    fn execute(&self, future: F) {
        let task = tokio::task::spawn_local(future);
        self.0.borrow_mut().push(task.abort_handle());
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.0.borrow().iter().for_each(AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::server::conn::http2 as server;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use model::Probe;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;
    use crate::ProbeOutcome;
    use crate::probe::wire::tests::ask;

    /// What an instance answers: status and body, and `grpc-status` in the head or the trailers.
    #[derive(Clone, Copy)]
    struct Answer {
        status: u16,
        kind: &'static str,
        head: Option<(&'static str, &'static str)>,
        body: &'static [u8],
        trailers: Option<&'static str>,
    }

    const FIT: Answer = Answer {
        status: 200,
        kind: "application/grpc+proto",
        head: None,
        body: b"\0\0\0\0\x02\x08\x01",
        trailers: Some("0"),
    };

    /// An instance that speaks gRPC and answers every call like this, and what it was asked first.
    async fn instance(answer: Answer) -> (SocketAddr, tokio::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (asked, heard) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let call = service_fn(move |request: Request<Incoming>| {
                let asked = asked.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let (path, timeout) = (head.uri.path(), &head.headers["grpc-timeout"]);
                    asked.send(format!("{path} {timeout:?} {body:?}")).await.unwrap();
                    let mut response =
                        Response::builder().status(answer.status).header(CONTENT_TYPE, answer.kind);
                    if let Some((code, why)) = answer.head {
                        response = response.header("grpc-status", code).header("grpc-message", why);
                    }
                    let trailers = answer.trailers.map(|code| {
                        let code = ("grpc-status".parse().unwrap(), code.parse().unwrap());
                        Ok(HeaderMap::from_iter([code]))
                    });
                    let body = Full::new(Bytes::from_static(answer.body));
                    Ok::<_, Infallible>(
                        response.body(body.with_trailers(async { trailers })).unwrap(),
                    )
                }
            });
            let io = TokioIo::new(stream);
            server::Builder::new(TokioExecutor::new()).serve_connection(io, call).await.ok();
        });
        (addr, heard)
    }

    fn grpc(service: &str) -> Probe {
        Probe::Grpc { service: service.into() }
    }

    async fn check(answer: Answer, expected: Result<(), &str>) {
        let local = async {
            let (addr, _heard) = instance(answer).await;
            let expected = match expected {
                Ok(()) => ProbeOutcome::Pass,
                Err(why) => ProbeOutcome::Fail(format!("gRPC health of \"shop\" {why}")),
            };
            assert_eq!(ask(addr, &grpc("shop")).await, expected);
        };
        LocalSet::new().run_until(local).await;
    }

    #[tokio::test]
    async fn the_status_in_the_message_decides() {
        check(FIT, Ok(())).await;
        let with = |body| Answer { body, ..FIT };
        check(with(b"\0\0\0\0\x02\x08\x02"), Err("answered NOT_SERVING")).await;
        check(with(b"\0\0\0\0\0"), Err("answered UNKNOWN")).await;
        check(with(b"\0\0\0\0\x02\x08\x09"), Err("answered with a status that is none")).await;
        let none = "answered with a message that is no HealthCheckResponse";
        check(with(b""), Err(none)).await;
        check(with(b"\x01\0\0\0\x02\x08\x01"), Err(none)).await;
        check(with(b"\0\0\0\0\x03\x08\x01"), Err(none)).await;
        check(with(&[0; 2000]), Err("answered with more than 1024 bytes")).await;
    }

    #[tokio::test]
    async fn the_code_of_the_call_decides_before_it() {
        let head = Some(("5", "unknown service"));
        let only_head = Answer { head, body: b"", trailers: None, ..FIT };
        check(only_head, Err("answered NOT_FOUND: unknown service")).await;
        let trailers = |code| Answer { trailers: code, ..FIT };
        check(trailers(Some("12")), Err("answered UNIMPLEMENTED")).await;
        check(trailers(Some("99")), Err("answered 99")).await;
        check(trailers(None), Err("broke off before the answer was whole")).await;
    }

    #[tokio::test]
    async fn what_is_not_grpc_fails() {
        let why = "answered 404, and not in gRPC";
        check(Answer { status: 404, kind: "text/plain", ..FIT }, Err(why)).await;
        let why = "answered 200, and not in gRPC";
        check(Answer { kind: "text/plain", ..FIT }, Err(why)).await;
    }

    #[tokio::test]
    async fn the_call_names_the_service_and_the_time_there_is() {
        let local = async {
            let (addr, mut heard) = instance(FIT).await;
            assert_eq!(ask(addr, &grpc("shop")).await, ProbeOutcome::Pass);
            let expected = r#"/grpc.health.v1.Health/Check "1000m" b"\0\0\0\0\x06\n\x04shop""#;
            assert_eq!(heard.recv().await.unwrap(), expected);
            let (addr, mut heard) = instance(FIT).await;
            assert_eq!(ask(addr, &grpc("")).await, ProbeOutcome::Pass);
            let expected = r#"/grpc.health.v1.Health/Check "1000m" b"\0\0\0\0\0""#;
            assert_eq!(heard.recv().await.unwrap(), expected);
        };
        LocalSet::new().run_until(local).await;
    }

    #[tokio::test]
    async fn an_answer_in_http_1_is_none() {
        let local = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let instance = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 24];
                stream.read_exact(&mut asked).await.unwrap();
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                stream.read_to_end(&mut Vec::new()).await.ok();
            });
            let ProbeOutcome::Fail(why) = ask(addr, &grpc("")).await else { panic!("passed") };
            assert!(why.starts_with("gRPC health failed: the answer is not HTTP/2"), "{why}");
            instance.abort();
        };
        LocalSet::new().run_until(local).await;
    }

    #[test]
    fn messages_are_read_as_the_format_wants_it() {
        let check = |message: &[u8], expected| assert_eq!(serving(message), expected);
        check(b"", Some(0));
        check(b"\x08\x01", Some(1));
        check(b"\x08\x01\x08\x02", Some(2));
        check(b"\x10\x07\x12\x02ab\x1912345678\x1d1234\x08\x01", Some(1));
        check(b"\x08\x81\x01", Some(129));
        check(b"\x08", None);
        check(b"\x08\x81", None);
        check(b"\x12\x05ab", None);
        check(b"\x0b", None);
        check(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], None);
    }

    #[test]
    fn long_names_have_long_lengths() {
        let name = "x".repeat(300);
        let message = question(&name);
        assert_eq!(message[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(message.len(), 303);
        let mut rest = &message[1..];
        assert_eq!((varint(&mut rest), rest.len()), (Some(300), 300));
    }
}
