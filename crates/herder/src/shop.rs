//! The sample shop: one instance of a small web service, for the demo and for first steps.
//! It knows nothing of Herder but the variables that every instance is told.

use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Failure;

/// The hidden subcommand that is one instance of it.
pub(crate) const SUBCOMMAND: &str = "__shop";

/// The header that says who answered.
pub(crate) const INSTANCE_HEADER: HeaderName = HeaderName::from_static("x-instance");

/// The header of answers that are given after SIGTERM. Behind Herder nobody ever sees it: an
/// instance is told to stop when no request can reach it any more.
const STOPPING_HEADER: HeaderName = HeaderName::from_static("x-stopping");

/// How long `/work` works at most.
const WORK_MS_MAX: u64 = 60_000;

/// How long `/work` works unless asked otherwise.
const WORK_MS: u64 = 20;

/// Items that a cart holds. Beyond: 409.
const CART_ITEMS_MAX: u32 = 1000;

/// The words of a query.
type Words = BTreeMap<String, String>;

struct Shop {
    instance: String,
    letter: String,
    /// Kept in this instance on purpose: the cart is what a service has to move to a shared store
    /// before it can be a herd.
    cart: Mutex<u32>,
    stopping: AtomicBool,
}

/// Serves on `$PORT` until SIGTERM or SIGINT, and finishes what it has then.
pub(crate) async fn serve() -> Result<(), Failure> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or_else(|| {
        Failure::new("the sample shop needs a port in $PORT").hint("try `PORT=3000 herder __shop`")
    })?;
    let instance = std::env::var("HERDER_INSTANCE").unwrap_or_else(|_| "shop.1".to_owned());
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let bound = TcpListener::bind(addr).await;
    let listener =
        bound.map_err(|error| Failure::new(format!("could not listen at {addr}: {error}")))?;
    let ended = ended().map_err(anyhow::Error::from)?;
    let shop = Arc::new(Shop::new(instance));
    let told = Arc::clone(&shop);
    let stopping = async move {
        ended.await;
        told.stopping.store(true, Ordering::Relaxed);
    };
    let serving = axum::serve(listener, router(shop)).with_graceful_shutdown(stopping);
    serving.into_future().await.map_err(|error| anyhow::Error::from(error).into())
}

/// Comes true with the first SIGTERM or SIGINT.
fn ended() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// The letter of an instance: `A` for the first, `Z` for the 26th, then `AA`.
pub(crate) fn letter(instance: &str) -> String {
    let number = instance.rsplit('.').next().and_then(|number| number.parse::<u32>().ok());
    let mut rest = number.unwrap_or(1);
    let mut letters = Vec::new();
    while rest > 0 {
        let digit = u8::try_from((rest - 1) % 26).expect("a remainder of 26 fits");
        letters.push(char::from(b'A' + digit));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/healthz", get(async |State(shop): State<Arc<Shop>>| shop.answer("well")))
        .route("/work", get(work))
        .route("/cart", get(cart).post(fill))
        .route("/fail", get(fail))
        .route("/echo", post(echo))
        .with_state(shop)
}

async fn home(State(shop): State<Arc<Shop>>) -> Response {
    shop.answer("welcome; try /healthz, /work?ms=20, /cart, /fail, or POST to /echo")
}

async fn work(State(shop): State<Arc<Shop>>, Query(query): Query<Words>) -> Response {
    match pause(&query, WORK_MS) {
        Some(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            shop.answer(&format!("worked for {ms} ms"))
        }
        None => shop.refuse_pause(),
    }
}

async fn echo(State(shop): State<Arc<Shop>>, Query(query): Query<Words>, body: Bytes) -> Response {
    match pause(&query, 0) {
        Some(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            shop.reply(body)
        }
        None => shop.refuse_pause(),
    }
}

/// The `ms` of a query, if it is a number that may be waited for.
fn pause(query: &Words, otherwise: u64) -> Option<u64> {
    let ms = query.get("ms").map_or(Some(otherwise), |ms| ms.parse().ok());
    ms.filter(|&ms| ms <= WORK_MS_MAX)
}

async fn cart(State(shop): State<Arc<Shop>>) -> Response {
    let items = *shop.cart.lock().unwrap_or_else(PoisonError::into_inner);
    shop.answer(&format!("{items} items in the cart that this instance keeps"))
}

async fn fill(State(shop): State<Arc<Shop>>) -> Response {
    let mut items = shop.cart.lock().unwrap_or_else(PoisonError::into_inner);
    if *items == CART_ITEMS_MAX {
        return (StatusCode::CONFLICT, shop.answer("the cart is full")).into_response();
    }
    *items += 1;
    shop.answer(&format!("{items} items in the cart that this instance keeps"))
}

async fn fail(State(shop): State<Arc<Shop>>) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, shop.answer("failed, as asked")).into_response()
}

impl Shop {
    fn new(instance: String) -> Self {
        let letter = letter(&instance);
        Self { letter, instance, cart: Mutex::new(0), stopping: AtomicBool::new(false) }
    }

    fn answer(&self, text: &str) -> Response {
        let Self { instance, letter, .. } = self;
        self.reply(format!("{letter} ({instance}): {text}\n"))
    }

    fn refuse_pause(&self) -> Response {
        let text = format!("ms is to be a number from 0 to {WORK_MS_MAX}");
        (StatusCode::BAD_REQUEST, self.answer(&text)).into_response()
    }

    fn reply(&self, body: impl IntoResponse) -> Response {
        let mut response = body.into_response();
        // It cannot be one only when somebody else than Herder set the variable.
        if let Ok(value) = HeaderValue::from_str(&self.instance) {
            response.headers_mut().insert(INSTANCE_HEADER, value);
        }
        if self.stopping.load(Ordering::Relaxed) {
            response.headers_mut().insert(STOPPING_HEADER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_on_after_z() {
        let check = |instance: &str, expected| assert_eq!(letter(instance), expected);
        check("shop.1", "A");
        check("shop.3", "C");
        check("shop.26", "Z");
        check("shop.27", "AA");
        check("shop.53", "BA");
        check("shop.702", "ZZ");
        check("shop.703", "AAA");
        check("somebody", "A");
    }
}
