//! Talks to a running Herder over its Unix socket: one connection per question, JSON both ways.
//! It shows nothing and waits for nothing but the answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::admin::api::Problem;
use crate::cli::{Exit, Failure};

/// Bytes of an answer. A full journal is far below; beyond it the answer is not a Herder's.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// How long one question may take, a reload included.
const TIMEOUT_ANSWER: Duration = Duration::from_secs(30);

/// Where a running Herder is asked.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

/// Why there was no answer to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers at the socket.
    #[error("no running Herder answers at {}: {cause}", socket.display())]
    NotRunning {
        /// The socket that was tried.
        socket: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Herder said no.
    #[error("{}", .0.error)]
    Refused(Problem),
    /// There was an answer, and it was no good.
    #[error("the answer from {} was not understood: {cause}", socket.display())]
    Broken {
        /// The socket that was asked.
        socket: PathBuf,
        /// What was wrong with it.
        cause: String,
    },
}

impl Client {
    /// A client of the Herder at this socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Orders something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(&error))?;
        self.ask(Method::POST, path, body.into()).await
    }

    /// Asks for a text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Error> {
        let body = self.answer(Method::GET, path, Bytes::new()).await?;
        String::from_utf8(body.into()).map_err(|error| self.broken(&error))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Error> {
        let body = self.answer(method, path, body).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    async fn answer(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Error> {
        let asked = tokio::time::timeout(TIMEOUT_ANSWER, self.exchange(method, path, body)).await;
        let (status, body) = asked.unwrap_or_else(|_| {
            Err(self.broken(&format!("none within {} s", TIMEOUT_ANSWER.as_secs())))
        })?;
        if status.is_success() {
            Ok(body)
        } else {
            let problem = serde_json::from_slice(&body)
                .map_err(|error| self.broken(&format!("{status}, without a reason: {error}")))?;
            Err(Error::Refused(problem))
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Error> {
        let not_running = |error: &dyn std::fmt::Display| Error::NotRunning {
            socket: self.socket.clone(),
            cause: error.to_string(),
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| not_running(&e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| not_running(&e))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))?;
        // The connection is driven beside the exchange and dropped with it: nothing is spawned.
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|error| self.broken(&error))?.to_bytes()))
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            done = &mut exchange => done,
            closed = connection => match closed {
                // Closed in good order: what was read is still to be taken.
                Ok(()) => exchange.await,
                Err(error) => Err(self.broken(&error)),
            },
        }
    }

    fn broken(&self, cause: &dyn std::fmt::Display) -> Error {
        Error::Broken { socket: self.socket.clone(), cause: cause.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Failure::new(&error);
        match error {
            Error::NotRunning { .. } => failure.exit(Exit::NotRunning).hint(
                "start one with `herder run` or `herder serve`, or name its socket with --socket",
            ),
            Error::Refused(Problem { hint: Some(hint), .. }) => failure.hint(hint),
            Error::Refused(Problem { hint: None, .. }) => failure,
            Error::Broken { .. } => failure
                .hint("is the Herder there of this version? `herder status --json` shows its own"),
        }
    }
}
