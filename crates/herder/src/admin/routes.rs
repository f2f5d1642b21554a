//! The routes of the admin API, version 1, and their OpenAPI document.
//! Each reads a view or passes one order on; the types on the wire are in `api`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use control::{Order, View};
use model::{InstanceId, ServiceName};
use tokio::sync::oneshot;
use utoipa::OpenApi;

use crate::admin::api::{
    Accepted, HistoryQuery, JournalPage, JournalQuery, Problem, ScaleRequest, Status,
};
use crate::admin::{Ask, Herd, host};

/// Bytes of a request body. Beyond: 413.
const BODY_BYTES_MAX: usize = 64 << 10;

/// How long a request may take to be answered, a reload included. Beyond: 503.
const TIMEOUT_ANSWER: Duration = Duration::from_secs(25);

/// Seconds of a history in one answer: a day. Beyond: 400.
pub(crate) const HISTORY_SECONDS_MAX: u64 = 86_400;

/// The document that describes version 1.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Herder admin API",
        description = "Full rights over the Unix socket; GET only on the loopback port."
    ),
    paths(
        status, journal, history, metrics, healthz, scale, autoscale, restart, drain, reload, stop
    )
)]
struct Document;

/// A request that was refused, with its status.
#[derive(Debug)]
struct Refused(StatusCode, Problem);

type Shared = State<Arc<Herd>>;

/// Every route: for the Unix socket, whose file mode says who may.
pub(crate) fn full(herd: Arc<Herd>) -> Router {
    let orders = Router::new()
        .route("/v1/services/{name}/scale", post(scale))
        .route("/v1/services/{name}/autoscale", post(autoscale))
        .route("/v1/services/{name}/restart", post(restart))
        .route("/v1/instances/{id}/drain", post(drain))
        .route("/v1/reload", post(reload))
        .route("/v1/stop", post(stop));
    bounded(reading().merge(orders)).with_state(herd)
}

/// The routes that only read, for those who reach the loopback port `bound` by one of its names.
pub(crate) fn read_only(herd: Arc<Herd>, bound: IpAddr) -> Router {
    let guard = move |request: Request, next: Next| async move {
        match host::admit(&hosts(&request), bound) {
            Ok(()) if request.method() == "GET" || request.method() == "HEAD" => {
                next.run(request).await
            }
            Ok(()) => Refused::new(StatusCode::FORBIDDEN, "this address is read-only: GET only")
                .hint("give orders over the Unix socket, as `herder` does")
                .into_response(),
            Err(why) => Refused::new(StatusCode::MISDIRECTED_REQUEST, why)
                .hint("ask by one of these names, or over the Unix socket")
                .into_response(),
        }
    };
    bounded(reading()).layer(from_fn(guard)).with_state(herd)
}

fn reading() -> Router<Arc<Herd>> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/journal", get(journal))
        .route("/v1/services/{name}/history", get(history))
        .route("/v1/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
}

fn bounded(router: Router<Arc<Herd>>) -> Router<Arc<Herd>> {
    let unknown = |request: Request| async move {
        let path = request.uri().path();
        Refused::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))
            .hint("see /v1/openapi.json")
    };
    let other_method = |request: Request| async move {
        let (method, path) = (request.method(), request.uri().path());
        let text = format!("{method} is not a method of {path}");
        Refused::new(StatusCode::METHOD_NOT_ALLOWED, text).hint("see /v1/openapi.json")
    };
    let in_time = |request: Request, next: Next| async move {
        let answer = tokio::time::timeout(TIMEOUT_ANSWER, next.run(request)).await;
        answer.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", TIMEOUT_ANSWER.as_secs());
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        })
    };
    router
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(in_time))
}

/// Services, instances and listeners as of now.
#[utoipa::path(
    get,
    path = "/v1/status",
    responses((status = 200, body = Status), (status = 503, body = Problem))
)]
async fn status(State(herd): Shared) -> Result<Json<Status>, Refused> {
    Ok(Json(Status::of(&view(&herd).await?, herd.surroundings())))
}

/// What happened, and why, oldest first.
#[utoipa::path(
    get,
    path = "/v1/journal",
    params(JournalQuery),
    responses((status = 200, body = JournalPage), (status = 400, body = Problem))
)]
async fn journal(
    State(herd): Shared,
    query: Result<Query<JournalQuery>, QueryRejection>,
) -> Result<Json<JournalPage>, Refused> {
    let Query(query) = query.map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, error.body_text()).hint("use ?after=SEQ&last=N")
    })?;
    let after = query.after.unwrap_or(0);
    let entries = herd.control.journal(after).await;
    let skipped = query.last.map_or(0, |last| entries.len().saturating_sub(last));
    let next_after = entries.last().map_or(after, |entry| entry.seq);
    Ok(Json(JournalPage {
        entries: entries[skipped..].iter().map(Into::into).collect(),
        next_after,
    }))
}

/// What a service was asked, second by second, as a trace that can be replayed.
#[utoipa::path(
    get,
    path = "/v1/services/{name}/history",
    params(("name" = String, Path, description = "a service"), HistoryQuery),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem)
    )
)]
async fn history(
    State(herd): Shared,
    Path(name): Path<String>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(HistoryQuery { from, to }) = query.map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, error.body_text()).hint("use ?from=SECOND&to=SECOND")
    })?;
    if to.saturating_sub(from) > HISTORY_SECONDS_MAX {
        let text = format!("{} seconds are too many at once", to - from);
        return Err(Refused::new(StatusCode::BAD_REQUEST, text)
            .hint(format!("ask for at most {HISTORY_SECONDS_MAX}, several times")));
    }
    let service = service(&herd, &name).await?;
    let Some(archive) = herd.archive.clone() else {
        return Err(Refused::new(StatusCode::CONFLICT, "no history is kept").hint(
            "it takes a file with [storage] history, and a directory that can be written to",
        ));
    };
    let read = tokio::task::spawn_blocking(move || archive.trace(&service, from, to)).await;
    match read {
        Ok(Ok(text)) => Ok(([(header::CONTENT_TYPE, "text/csv")], text).into_response()),
        Ok(Err(error)) => Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error)),
        Err(error) => Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error)),
    }
}

/// Every metric, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn metrics(State(herd): Shared) -> Result<Response, Refused> {
    let text = (herd.metrics)(&view(&herd).await?);
    let text = text.map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    Ok(([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], text).into_response())
}

/// Whether Herder itself is well; not whether the services are.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "it is"), (status = 503, description = "shutting down"))
)]
async fn healthz(State(herd): Shared) -> Result<&'static str, Refused> {
    if view(&herd).await?.stopping { Err(ending()) } else { Ok("ok\n") }
}

/// Sets how many instances a service has.
#[utoipa::path(
    post,
    path = "/v1/services/{name}/scale",
    request_body = ScaleRequest,
    params(("name" = String, Path, description = "a service")),
    responses(
        (status = 202, body = Accepted),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem)
    )
)]
async fn scale(
    State(herd): Shared,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let service = service(&herd, &name).await?;
    let body = body.map_err(|error| Refused::new(error.status(), error.body_text()))?;
    let ScaleRequest { count } = serde_json::from_slice(&body).map_err(|error| {
        let text = format!("the body is not a count: {error}");
        Refused::new(StatusCode::BAD_REQUEST, text).hint("send {\"count\": 3}")
    })?;
    let text = format!("{service} is to have {count} instances");
    order(&herd, Order::Scale { service, count }, text).await
}

/// Lets the number of instances follow demand again, after an order to have so many.
#[utoipa::path(
    post,
    path = "/v1/services/{name}/autoscale",
    params(("name" = String, Path, description = "a service")),
    responses(
        (status = 202, body = Accepted),
        (status = 404, body = Problem),
        (status = 409, body = Problem)
    )
)]
async fn autoscale(State(herd): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let service = service(&herd, &name).await?;
    let text = format!("the number of instances of {service} follows demand again");
    order(&herd, Order::Autoscale { service }, text).await
}

/// Replaces all instances of a service one after the other, starting first.
#[utoipa::path(
    post,
    path = "/v1/services/{name}/restart",
    params(("name" = String, Path, description = "a service")),
    responses(
        (status = 202, body = Accepted),
        (status = 404, body = Problem),
        (status = 409, body = Problem)
    )
)]
async fn restart(State(herd): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let service = service(&herd, &name).await?;
    let text = format!("all instances of {service} are to be replaced");
    order(&herd, Order::Restart { service }, text).await
}

/// Replaces one instance: a new one is started first, then this one drains and stops.
#[utoipa::path(
    post,
    path = "/v1/instances/{id}/drain",
    params(("id" = String, Path, description = "an instance, such as shop.2")),
    responses(
        (status = 202, body = Accepted),
        (status = 404, body = Problem),
        (status = 409, body = Problem)
    )
)]
async fn drain(State(herd): Shared, Path(id): Path<String>) -> Result<Response, Refused> {
    let instance = instance(&herd, &id).await?;
    let text = format!("{instance} is to be replaced");
    order(&herd, Order::Drain { instance }, text).await
}

/// Reads the file again. A file with problems changes nothing.
#[utoipa::path(
    post,
    path = "/v1/reload",
    responses((status = 200, body = Accepted), (status = 409, body = Problem))
)]
async fn reload(State(herd): Shared) -> Result<Response, Refused> {
    let (answer, answered) = oneshot::channel();
    herd.asks.send(Ask::Reload(answer)).await.map_err(|_| ending())?;
    match answered.await.map_err(|_| ending())? {
        Ok(accepted) => Ok(Json(Accepted { accepted }).into_response()),
        Err(problem) => Err(Refused(StatusCode::CONFLICT, problem)),
    }
}

/// Drains everything and ends Herder.
#[utoipa::path(post, path = "/v1/stop", responses((status = 202, body = Accepted)))]
async fn stop(State(herd): Shared) -> Result<Response, Refused> {
    herd.asks.send(Ask::Stop).await.map_err(|_| ending())?;
    Ok(accepted("everything is to drain and stop".to_owned()))
}

async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

async fn order(herd: &Herd, order: Order, text: String) -> Result<Response, Refused> {
    match herd.control.order(order).await {
        Ok(()) => Ok(accepted(text)),
        Err(refusal) => Err(Refused::new(StatusCode::CONFLICT, refusal)),
    }
}

async fn view(herd: &Herd) -> Result<View, Refused> {
    herd.control.view().await.ok_or_else(ending)
}

fn ending() -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "Herder is shutting down")
}

fn accepted(accepted: String) -> Response {
    (StatusCode::ACCEPTED, Json(Accepted { accepted })).into_response()
}

async fn service(herd: &Herd, name: &str) -> Result<ServiceName, Refused> {
    let parsed: ServiceName =
        name.parse().map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error))?;
    let view = view(herd).await?;
    let names: Vec<&str> = view.services.iter().map(|service| service.name.as_str()).collect();
    if names.contains(&parsed.as_str()) {
        Ok(parsed)
    } else {
        let text = format!("there is no service `{name}`");
        Err(Refused::new(StatusCode::NOT_FOUND, text).hint(choice("services", &names)))
    }
}

async fn instance(herd: &Herd, id: &str) -> Result<InstanceId, Refused> {
    let parsed: InstanceId =
        id.parse().map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error))?;
    let view = view(herd).await?;
    let instances = view.services.iter().flat_map(|service| &service.instances);
    let ids: Vec<String> = instances.map(|instance| instance.id.to_string()).collect();
    if ids.iter().any(|known| known == id) {
        Ok(parsed)
    } else {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let text = format!("there is no instance `{id}`");
        Err(Refused::new(StatusCode::NOT_FOUND, text).hint(choice("instances", &ids)))
    }
}

fn choice(what: &str, names: &[&str]) -> String {
    match names {
        [] => format!("there are no {what} now"),
        names => format!("{what} now: {}", names.join(", ")),
    }
}

/// The authority of the target, if it has one, and the values of every `Host` header.
fn hosts(request: &Request) -> Vec<&str> {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let headers = request.headers().get_all(header::HOST).into_iter();
    // A value that is not text is nobody's name.
    authority.into_iter().chain(headers.map(|value| value.to_str().unwrap_or(""))).collect()
}

impl Refused {
    fn new(status: StatusCode, error: impl std::fmt::Display) -> Self {
        Self(status, Problem { error: error.to_string(), hint: None })
    }

    fn hint(mut self, hint: impl std::fmt::Display) -> Self {
        self.1.hint = Some(hint.to_string());
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}
