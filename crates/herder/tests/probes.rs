//! What probes ask, behind the real binary: what instances are sent, who is ready after which
//! answer, and that those who never answer keep nobody else waiting.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::{Ask, Herd, Herder, HttpOrigin, PATIENCE, Reply, wait_for, wait_until};

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
