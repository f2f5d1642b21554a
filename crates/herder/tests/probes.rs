//! What probes ask, behind the real binary: what instances are sent, who is ready after which
//! answer, and that those who never answer keep nobody else waiting.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use serde_json::Value;
use testkit::{Ask, Herd, Herder, HttpOrigin, Load, PATIENCE, Reply, wait_for, wait_until};

/// More than a service may have probes under way.
const SWALLOWING: usize = 70;

/// A herd of services: each by its name, the addresses of its instances, and its other keys.
fn serve(services: &[(&str, &[String], &str)]) -> Herd {
    let mut config = "[listener.web]\nbind = \"127.0.0.1:0\"\n".to_owned();
    for (name, addrs, more) in services {
        let fast = "interval = '100ms', interval_fast = '20ms'";
        let more = more.replace("FAST", fast);
        config += &format!("[service.{name}]\nroute = '/{name}'\nstatic = {addrs:?}\n{more}\n");
    }
    Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start()
}

async fn journal(herd: &Herd) -> String {
    herd.ordered(["journal", "-n", "200"]).await
}

async fn wait_told(herd: &Herd, text: &str) {
    wait_until(PATIENCE, text, async || journal(herd).await.contains(text)).await;
}

#[tokio::test]
async fn a_probe_over_http_asks_what_is_configured_and_judges_by_it() {
    let is_well = Arc::new(AtomicBool::new(true));
    let well = Arc::clone(&is_well);
    let origin = HttpOrigin::start("a", move |ask: &Ask| {
        let fields = &ask.request.fields;
        let is_asked = ask.request.method == "OPTIONS"
            && ask.request.target == "/healthz?deep=1"
            && fields.get("host") == Some("shop.example.com")
            && fields.get("x-forwarded-proto") == Some("https");
        let body = if well.load(Ordering::Relaxed) { "database: up" } else { "database: down" };
        Reply::bytes(body).status(if is_asked { 401 } else { 200 })
    });
    let origin = origin.await;
    let health = "health = { FAST, path = '/healthz?deep=1', method = 'OPTIONS', \
                  status = [401, '500-599'], body = 'database: up', body_match = '^database', \
                  headers = { Host = 'shop.example.com', X-Forwarded-Proto = 'https' } }";
    let herd = serve(&[("shop", &[origin.addr().to_string()], health)]);
    herd.wait_ready("shop", 1).await;

    is_well.store(false, Ordering::Relaxed);
    wait_told(
        &herd,
        "failed 3 probes, the last: OPTIONS /healthz?deep=1 answered 401 with a body without \
         \"database: up\"",
    )
    .await;
    is_well.store(true, Ordering::Relaxed);
    herd.wait_ready("shop", 1).await;
    herd.stop().await;
}

/// The ports accept and nobody answers: each probe lasts as long as its timeout, which is longer
/// than this test.
#[tokio::test]
async fn instances_that_swallow_probes_keep_no_others_waiting() {
    let holes: Vec<TcpListener> =
        (0..SWALLOWING).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut addrs: Vec<String> =
        holes.iter().map(|hole| hole.local_addr().unwrap().to_string()).collect();
    let origin = HttpOrigin::echo("a").await;
    let own = [origin.addr().to_string()];
    let health = "health = { FAST, path = '/', timeout = '1m' }";
    let herd = serve(&[("hole", &addrs, health), ("shop", &own, health)]);
    herd.wait_ready("shop", 1).await;
    let before = origin.requests();
    wait_until(PATIENCE, "more probes", async || origin.requests() > before + 10).await;
    let ready = herd.instances("hole").await.iter().filter(|it| it.phase == "ready").count();
    assert_eq!(ready, 0);
    herd.stop().await;

    // The one that answers is the last of its own service to be asked.
    addrs.push(own[0].clone());
    let health = "health = { FAST, path = '/', timeout = '500ms' }";
    let herd = serve(&[("hole", &addrs, health)]);
    let fit = wait_for(PATIENCE, "the fit one of them", async || {
        herd.instances("hole").await.into_iter().find(|it| it.phase == "ready")
    });
    assert_eq!(fit.await.addr, Some(origin.addr()));
    herd.stop().await;
}

/// A probe by a command that reads what it says from a file, and tells what it was told.
#[tokio::test]
async fn a_command_decides_and_leaves_nothing_behind() {
    let origin = HttpOrigin::echo("a").await;
    let script = "(sleep 1000 & ); echo $HERDER_INSTANCE $HERDER_ADDRESS $HERDER_HOST \
                  $HERDER_PORT {port} > told; cat says >&2; read verdict < verdict; \
                  test $verdict = hang && sleep 1000; exit $verdict";
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
    let verdict = |text: &str| {
        // A command that reads it meanwhile sees the one or the other.
        write("next", text);
        std::fs::rename(dir.path().join("next"), dir.path().join("verdict")).unwrap();
    };
    write("says", "\ndisk full\nand more\n");
    verdict("0");
    let command = format!("cd {}; {script}", dir.path().display());
    let health = format!("health = {{ FAST, timeout = '500ms', command = '{command}' }}");
    let herd = serve(&[("shop", &[origin.addr().to_string()], &health)]);
    herd.wait_ready("shop", 1).await;
    let told = std::fs::read_to_string(dir.path().join("told")).unwrap();
    let (addr, port) = (origin.addr(), origin.addr().port());
    assert_eq!(told, format!("shop.1 {addr} 127.0.0.1 {port} {port}\n"));

    verdict("3");
    wait_told(&herd, "ended with exit code 3: disk full").await;
    verdict("0");
    herd.wait_ready("shop", 1).await;
    verdict("hang");
    wait_told(&herd, "did not end within 500ms").await;
    verdict("0");
    herd.wait_ready("shop", 1).await;
    // What earlier commands started, and one that hung itself, ended with them.
    let sleeping = || {
        let all = herd.processes();
        all.iter().filter(|it| it.command.starts_with("sleep")).count()
    };
    verdict("hang");
    wait_until(PATIENCE, "a command that hangs", async || sleeping() > 0).await;
    wait_until(PATIENCE, "few that sleep", async || sleeping() <= 2).await;
    herd.stop().await;
}

/// Herder is killed while a command runs: nobody is left to end that but the guard.
#[tokio::test]
async fn a_command_does_not_outlive_a_herder_that_was_killed() {
    let origin = HttpOrigin::echo("a").await;
    let health = "health = { FAST, timeout = '1m', command = 'sleep 1000 & sleep 1000' }";
    let mut herd = serve(&[("shop", &[origin.addr().to_string()], health)]);
    herd.up().await;
    let sleeping = |herd: &Herd| {
        let all = herd.processes();
        all.iter().filter(|it| it.command.starts_with("sleep")).count()
    };
    wait_until(PATIENCE, "a command", async || sleeping(&herd) == 2).await;
    herd.signal(Signal::KILL);
    herd.exited().await;
    wait_until(PATIENCE, "nothing left", async || sleeping(&herd) == 0).await;
}

/// An instance that speaks nothing but HTTP/2, in a service whose connections are carried as they
/// are.
#[tokio::test]
async fn the_health_service_of_grpc_decides() {
    let is_serving = Arc::new(AtomicBool::new(true));
    let serving = Arc::clone(&is_serving);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answer = move || {
        let status = if serving.load(Ordering::Relaxed) { 1 } else { 2 };
        let body = Full::new(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]));
        let code = ("grpc-status".parse().unwrap(), "0".parse().unwrap());
        let trailers = HeaderMap::from_iter([code]);
        Response::builder()
            .header("content-type", "application/grpc")
            .body(body.with_trailers(async { Some(Ok(trailers)) }))
    };
    let instance = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let call = service_fn(move |_: Request<_>| std::future::ready(answer()));
            let serve = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serve.serve_connection(TokioIo::new(stream), call));
        }
    });
    let config = format!(
        "[listener.web]\nbind = '127.0.0.1:0'\ntcp = 'shop'\n[service.shop]\nmode = 'tcp'\n\
         static = ['{addr}']\n[service.shop.health]\ngrpc = 'shop.v1.Shop'\n\
         interval = '100ms'\ninterval_fast = '20ms'\n"
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 1).await;
    is_serving.store(false, Ordering::Relaxed);
    wait_told(&herd, "the last: gRPC health of \"shop.v1.Shop\" answered NOT_SERVING").await;
    is_serving.store(true, Ordering::Relaxed);
    herd.wait_ready("shop", 1).await;
    herd.stop().await;
    instance.abort();
}

/// An instance that takes itself out of the pool and comes back, without a failed request; and one
/// that wants less.
#[tokio::test]
async fn instances_say_how_many_requests_they_want() {
    let words = Arc::new(Mutex::new(String::new()));
    let said = Arc::clone(&words);
    let origin = HttpOrigin::start("a", move |ask: &Ask| match &*ask.request.target {
        "/healthz" => Reply::bytes("ok").field("Herder-Feedback", &said.lock().unwrap()),
        _ => Reply::bytes("a"),
    });
    let (origin, other) = (origin.await, HttpOrigin::echo("b").await);
    let addrs = [origin.addr().to_string(), other.addr().to_string()];
    let more = "health = { FAST, path = '/healthz', feedback = true }\nbalance = 'round-robin'";
    let herd = serve(&[("shop", &addrs, more)]);
    herd.wait_ready("shop", 2).await;
    let load = Load::get(herd.addr().await, "/shop").connections(4).rate_per_s(400).start();
    let instance = async || {
        let status = herd.up().await;
        status["services"][0]["instances"][0].clone()
    };
    let served = || origin.requests();
    let before = served();
    wait_until(PATIENCE, "requests", async || served() > before + 50).await;

    "drain".clone_into(&mut words.lock().unwrap());
    wait_told(&herd, "shop.1 wants no more requests").await;
    let now = instance().await;
    assert_eq!((&now["phase"], &now["in_pool"]), (&"ready".into(), &false.into()), "{now:#}");
    assert_eq!((&now["wants_percent"], &now["last_probe"]["failure"]), (&0.into(), &Value::Null));
    let (before, answered) = (served(), load.answered());
    wait_until(PATIENCE, "200 elsewhere", async || load.answered() > answered + 200).await;
    // Its probes come on, twenty a second at most.
    assert!(served() < before + 50, "{} requests", served() - before);

    "25%".clone_into(&mut words.lock().unwrap());
    wait_told(&herd, "shop.1 wants 25 % of its part of the requests").await;
    assert_eq!(instance().await["share_percent"], 25);
    let text = herd.ordered(["explain", "shop.1"]).await;
    assert!(text.contains("asks for  25 % of its part\n"), "{text}");
    "ready".clone_into(&mut words.lock().unwrap());
    wait_told(&herd, "shop.1 wants its whole part of the requests").await;
    assert_eq!(instance().await["share_percent"], 100);
    let report = load.stop().await;
    assert_eq!((report.failed(), report.ok), (0, report.sent), "{report}");

    let text = herd.ordered(["status"]).await;
    assert!(text.contains("  probe: GET /healthz\n"), "{text}");
    herd.stop().await;
}

/// The same as the first line of a command.
#[tokio::test]
async fn a_command_says_how_many_requests_its_instance_wants() {
    let origin = HttpOrigin::echo("a").await;
    let health = "health = { FAST, command = 'echo up, 30%', feedback = true }";
    let herd = serve(&[("shop", &[origin.addr().to_string()], health)]);
    herd.wait_ready("shop", 1).await;
    wait_told(&herd, "shop.1 wants 30 % of its part of the requests").await;
    herd.stop().await;
}
