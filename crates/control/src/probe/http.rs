//! A probe as one HTTP/1.1 request on a connection of its own, and what its answer has to be like.
//! It waits as long as it is let: the timeout around it is the prober's.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::HttpProbe;
use tokio::net::TcpStream;

use super::wire::{AGENT, HEAD_BYTES_MAX, http_text, said};

/// Bytes of the body of an answer that are read, so that the instance can finish it in peace, and
/// that a body is judged by. Beyond: the connection is closed, and what was read counts.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Methods of requests that have no body by nature; others say that theirs is empty.
const WITHOUT_BODY: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

/// What it says about the requests that it wants if the answer passes, else what was wrong, as the
/// end of a sentence that begins with the request.
pub(super) async fn ask(
    stream: TcpStream,
    addr: SocketAddr,
    probe: &HttpProbe,
) -> Result<String, String> {
    let request = request(addr, probe)
        .map_err(|error| format!("cannot be sent: {error}; correct `health`"))?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("failed: {}", http_text(&error)))?;
    let exchange = async {
        let answer = sender.send_request(request).await;
        judge(answer.map_err(|error| format!("failed: {}", http_text(&error)))?, probe).await
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

fn request(
    addr: SocketAddr,
    probe: &HttpProbe,
) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder().method(&*probe.method).uri(&*probe.path);
    if let Some(headers) = request.headers_mut() {
        headers.insert(HOST, HeaderValue::from_str(&addr.to_string())?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if !WITHOUT_BODY.contains(&&*probe.method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        for (name, value) in &probe.headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
    }
    request.body(Empty::new())
}

async fn judge(answer: Response<Incoming>, probe: &HttpProbe) -> Result<String, String> {
    let status = answer.status().as_u16();
    let said = said(answer.headers()).unwrap_or_default();
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    let mut read = 0;
    while read <= BODY_BYTES_MAX {
        match incoming.frame().await {
            Some(Ok(frame)) => {
                let Some(piece) = frame.data_ref() else { continue };
                if probe.reads_body() {
                    let room = BODY_BYTES_MAX - body.len();
                    body.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                read += piece.len();
            }
            Some(Err(error)) => {
                return Err(format!("answered {status} and broke off: {}", http_text(&error)));
            }
            None => break,
        }
    }
    if !probe.takes(status) {
        return Err(format!("answered {status}"));
    }
    match probe.misses(&body) {
        None => Ok(said),
        Some(lack) if read > BODY_BYTES_MAX => {
            Err(format!("answered {status} with a body of which the first 64 KiB are one {lack}"))
        }
        Some(lack) => Err(format!("answered {status} with a body {lack}")),
    }
}

#[cfg(test)]
mod tests {
    use model::{BodyPattern, Probe};

    use super::*;
    use crate::ProbeOutcome;
    use crate::probe::wire::tests::{answering, ask};

    fn http(path: &str) -> Probe {
        Probe::Http(Box::new(HttpProbe::get(path)))
    }

    async fn check(answer: &str, expected: Result<(), &str>) {
        check_by(HttpProbe::get("/healthz"), answer, expected).await;
    }

    async fn check_by(probe: HttpProbe, answer: &str, expected: Result<(), &str>) {
        let (addr, _instance) = answering(answer.into()).await;
        let expected = match expected {
            Ok(()) => ProbeOutcome::Pass,
            Err(why) => ProbeOutcome::Fail(format!("{} /healthz {why}", probe.method)),
        };
        assert_eq!(ask(addr, &Probe::Http(Box::new(probe))).await, expected, "{answer}");
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
    async fn which_statuses_pass_is_configured() {
        let probe = HttpProbe { statuses: vec![401..=401], ..HttpProbe::get("/healthz") };
        let answer = |status| format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        check_by(probe.clone(), &answer(401), Ok(())).await;
        check_by(probe, &answer(200), Err("answered 200")).await;
    }

    #[tokio::test]
    async fn the_body_decides_too() {
        let probe = HttpProbe {
            body: Some("database: up".into()),
            body_match: BodyPattern::new("cache: (up|cold)").ok(),
            ..HttpProbe::get("/healthz")
        };
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}");
        check_by(probe.clone(), &answer("database: up, cache: cold"), Ok(())).await;
        let lack = "answered 200 with a body without \"database: up\"";
        check_by(probe.clone(), &answer("database: down"), Err(lack)).await;
        let lack = "answered 200 with a body that does not match \"cache: (up|cold)\"";
        check_by(probe.clone(), &answer("database: up"), Err(lack)).await;
        let bad = "HTTP/1.1 500 X\r\n\r\ndatabase: up, cache: cold";
        check_by(probe, bad, Err("answered 500")).await;
    }

    #[tokio::test]
    async fn a_body_is_judged_by_its_beginning() {
        let probe = HttpProbe { body: Some("here".into()), ..HttpProbe::get("/healthz") };
        let answer = |before: usize| {
            format!("HTTP/1.1 200 OK\r\n\r\n{}here{}", "a".repeat(before), "b".repeat(1 << 20))
        };
        check_by(probe.clone(), &answer(BODY_BYTES_MAX - 4), Ok(())).await;
        let lack = "answered 200 with a body of which the first 64 KiB are one without \"here\"";
        check_by(probe, &answer(BODY_BYTES_MAX - 3), Err(lack)).await;
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
        assert!(!asked.contains("content-length"), "{asked}");
    }

    #[tokio::test]
    async fn what_is_asked_and_how_is_configured() {
        let (addr, instance) = answering(b"HTTP/1.1 204 X\r\n\r\n".into()).await;
        let header = |name: &str, value: &str| (name.into(), value.into());
        let probe = HttpProbe {
            method: "POST".into(),
            headers: vec![
                header("host", "shop.example.com"),
                header("user-agent", "me"),
                header("x-forwarded-proto", "https"),
            ],
            ..HttpProbe::get("/up")
        };
        assert_eq!(ask(addr, &Probe::Http(Box::new(probe))).await, ProbeOutcome::Pass);
        let asked = instance.await.unwrap().to_ascii_lowercase();
        let mut lines: Vec<&str> = asked.trim_end().split("\r\n").collect();
        lines[1..].sort_unstable();
        let expected = [
            "post /up http/1.1",
            "connection: close",
            "content-length: 0",
            "host: shop.example.com",
            "user-agent: me",
            "x-forwarded-proto: https",
        ];
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn the_answer_to_head_has_no_body() {
        let probe = HttpProbe { method: "HEAD".into(), ..HttpProbe::get("/healthz") };
        check_by(probe, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Ok(())).await;
    }
}
