//! Asks Prometheus, for services that go by what one counts: one task for each, again and again.
//! It reports what was said, or why nothing was; what follows from it is the state's to say.

mod answer;
mod resolve;

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use model::{PrometheusQuery, ServiceName};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::resolve::Resolver;
use crate::Event;

/// Who asks.
const AGENT: &str = concat!("herder/", env!("CARGO_PKG_VERSION"));
/// Bytes of a head and of what is buffered of an answer. Beyond: there is no answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a body. A number takes hundred; beyond, it is none.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Asks for services. Dropping it stops all of it.
pub(crate) struct Asker {
    events: mpsc::Sender<Event>,
    asked: BTreeMap<ServiceName, Asked>,
}

/// A question that is asked again and again.
struct Asked {
    query: PrometheusQuery,
    task: JoinHandle<()>,
}

impl Asker {
    /// An asker that reports to `events`, in the `LocalSet` of the caller.
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, asked: BTreeMap::new() }
    }

    /// From now on these are asked, and no others. Those that are asked already go on.
    pub(crate) fn keep<'a>(
        &mut self,
        queries: impl Iterator<Item = (&'a ServiceName, &'a PrometheusQuery)>,
    ) {
        let mut before = std::mem::take(&mut self.asked);
        for (name, query) in queries {
            let same = before.remove(name).filter(|asked| asked.query == *query);
            let asked = same.unwrap_or_else(|| {
                let asks = ask_again(name.clone(), query.clone(), self.events.clone());
                Asked { query: query.clone(), task: tokio::task::spawn_local(asks) }
            });
            self.asked.insert(name.clone(), asked);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask_again(service: ServiceName, query: PrometheusQuery, events: mpsc::Sender<Event>) {
    let mut resolver = Resolver::default();
    loop {
        let answer = match tokio::time::timeout(query.timeout, ask(&query, &mut resolver)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{} did not answer within {:?}", query.authority, query.timeout)),
        };
        let event = Event::Answered { service: service.clone(), answer };
        if events.send(event).await.is_err() {
            return;
        }
        tokio::time::sleep(query.interval).await;
    }
}

/// One question, on a connection of its own.
async fn ask(query: &PrometheusQuery, resolver: &mut Resolver) -> Result<f64, String> {
    let authority = &*query.authority;
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{authority} {what}: {error}");
    let unreached = |error| failed("cannot be reached", &error);
    let addrs = resolver.addresses(authority).await.map_err(unreached)?;
    let stream = TcpStream::connect(&*addrs).await.map_err(unreached)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failed("failed", &error))?;
    let exchange = async {
        let request = Request::get(target(query))
            .header(HOST, authority)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| failed("cannot be asked this", &error))?;
        let response =
            sender.send_request(request).await.map_err(|error| failed("failed", &error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| failed("broke off", &error))?.to_bytes();
        match answer::read(&body) {
            Ok(value) if status == StatusCode::OK => Ok(value),
            Ok(_) => Err(format!("{authority} answered {}", status.as_u16())),
            Err(why) if status == StatusCode::OK => Err(format!("{authority} {why}")),
            Err(why) => Err(format!("{authority} answered {}: it {why}", status.as_u16())),
        }
    };
    // The exchange learns of an error of the connection by itself; this only keeps it moving.
    let keep_moving = async {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a connection to a Prometheus failed");
        }
        std::future::pending().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = keep_moving => never,
    }
}

/// The path and query of a question.
fn target(query: &PrometheusQuery) -> String {
    let mut target = format!("{}/api/v1/query?query=", query.prefix);
    for &byte in query.query.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                target.push(char::from(byte));
            }
            _ => target.push_str(&format!("%{byte:02X}")),
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn query(authority: &str) -> PrometheusQuery {
        PrometheusQuery {
            authority: authority.into(),
            prefix: "/prom".into(),
            query: "sum(jobs{queue=\"ä\"})".into(),
            target_permille: 1000,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(20),
        }
    }

    #[test]
    fn a_question_is_encoded() {
        assert_eq!(
            target(&query("a:1")),
            "/prom/api/v1/query?query=sum%28jobs%7Bqueue%3D%22%C3%A4%22%7D%29"
        );
    }

    /// Asks somebody who gives this answer, and returns what it heard as well.
    async fn asked(answer: Vec<u8>) -> (Result<f64, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
            }
            // Whoever asked may have heard enough before the end.
            drop(stream.write_all(&answer).await);
            String::from_utf8(heard).unwrap()
        });
        let said = ask(&query(&addr), &mut Resolver::default())
            .await
            .map_err(|why| why.replace(&addr, "ADDR"));
        (said, heard.await.unwrap())
    }

    #[tokio::test]
    async fn answers_and_what_is_none() {
        let http = |status: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        let good = r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"42"]}}"#;
        let (said, heard) = asked(http("200 OK", good).into()).await;
        assert_eq!(said, Ok(42.0));
        assert!(heard.starts_with("GET /prom/api/v1/query?query=sum%28"), "{heard}");
        let bad = r#"{"status":"error","errorType":"bad_data","error":"no such thing"}"#;
        let (said, _) = asked(http("400 X", bad).into()).await;
        assert_eq!(said.unwrap_err(), "ADDR answered 400: it said: no such thing");
        let (said, _) = asked(http("502 X", "<html>").into()).await;
        assert_eq!(said.unwrap_err(), "ADDR answered 502: it said what is no answer of Prometheus");
        let (said, _) = asked(http("500 X", good).into()).await;
        assert_eq!(said.unwrap_err(), "ADDR answered 500");
        let (said, _) = asked(Vec::new()).await;
        assert!(said.unwrap_err().starts_with("ADDR failed: "));
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(2 * BODY_BYTES_MAX));
        let (said, _) = asked(endless.into()).await;
        assert!(said.unwrap_err().starts_with("ADDR broke off: "));
    }

    #[tokio::test]
    async fn who_is_not_there_cannot_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        drop(listener);
        let why = ask(&query(&addr), &mut Resolver::default()).await.unwrap_err();
        assert!(why.starts_with(&format!("{addr} cannot be reached: ")), "{why}");
    }
}
