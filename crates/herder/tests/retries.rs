//! Retries and hedging as a file configures them, in front of instances that fail: what clients
//! get, and how often instances are asked.
#![allow(clippy::unwrap_used)]

use testkit::{Ask, Herd, Herder, HttpOrigin, PATIENCE, RawClient, Reply, wait_until};

/// An instance that is fit for its probes and does this with requests.
async fn origin(name: &str, reply: fn() -> Reply) -> HttpOrigin {
    let answer = move |ask: &Ask| match ask.request.target.as_str() {
        "/healthz" => Reply::bytes("fit"),
        _ => reply(),
    };
    HttpOrigin::start(name, answer).await
}

async fn serve(bad: &HttpOrigin, good: &HttpOrigin, policy: &str) -> Herd {
    let [bad, good] = [bad, good].map(|origin| origin.addr());
    let config = format!(
        r#"
[listener.web]
bind = "127.0.0.1:0"

[service.shop]
static = ["{bad}", "{good}"]
balance = "round-robin"
health = {{ path = "/healthz", interval = "1h", interval_fast = "10ms" }}
{policy}
"#
    );
    let herd = Herder::serve(env!("CARGO_BIN_EXE_herder"), &config).start();
    herd.wait_ready("shop", 2).await;
    herd
}

/// The statuses of four requests in turn: two of them begin at the bad instance.
async fn statuses(herd: &Herd, request: &str) -> [u16; 4] {
    let mut client = RawClient::connect(herd.addr().await).await;
    let mut statuses = [0; 4];
    for status in &mut statuses {
        client.send(request).await.unwrap();
        *status = client.response().await.unwrap().status;
    }
    statuses
}

async fn metric(herd: &Herd, series: &str) -> u64 {
    let metrics = herd.admin("/metrics").await.unwrap().text();
    let line = metrics.lines().find(|line| line.starts_with(series));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";

/// What becomes of four requests, of which none, some or all fail.
async fn check(bad: fn() -> Reply, policy: &str, request: &str, failures: usize) {
    let (bad, good) = (origin("bad", bad).await, origin("good", Reply::echo).await);
    let herd = serve(&bad, &good, policy).await;
    let statuses = statuses(&herd, request).await;
    let failed = statuses.iter().filter(|&&status| status != 200).count();
    assert_eq!(failed, failures, "{statuses:?} {request} {policy}");
    let is_retried = metric(&herd, "herder_retries_total{").await > 0
        || metric(&herd, r#"herder_retries_total{service="shop",reason="reset""#).await > 0
        || metric(&herd, r#"herder_retries_total{service="shop",reason="timeout""#).await > 0
        || metric(&herd, r#"herder_retries_total{service="shop",reason="status""#).await > 0;
    assert_eq!(is_retried, failures == 0, "{request} {policy}");
    herd.stop().await;
}

#[tokio::test]
async fn a_reset_is_retried_with_its_body_unless_an_instance_may_have_acted() {
    let reset = || Reply::echo().cut(0);
    check(reset, "", GET, 0).await;
    check(reset, "", PUT, 0).await;
    check(reset, "", POST, 2).await;
    check(reset, "retry = { max = 0 }", GET, 2).await;
    check(reset, "retry = { body_max = \"0B\" }", PUT, 2).await;
    check(reset, "retry = { methods = [\"POST\"] }", POST, 0).await;
}

#[tokio::test]
async fn a_status_is_retried_if_the_policy_names_it() {
    let busy = || Reply::bytes("").status(503);
    check(busy, "", GET, 2).await;
    check(busy, "retry = { on = [503] }", GET, 0).await;
    check(busy, "retry = { on = [502] }", GET, 2).await;
    check(busy, "retry = { on = [503] }", POST, 2).await;
    check(busy, "retry = { on = [503], budget_percent = 0, budget_min = 0 }", GET, 2).await;
}

#[tokio::test]
async fn a_try_has_its_own_time() {
    let stuck = || Reply::echo().delay(PATIENCE * 4);
    check(stuck, "retry = { on = [\"timeout\"], timeout_try = \"100ms\" }", GET, 0).await;
}

#[tokio::test]
async fn a_late_response_is_hedged() {
    let stuck = || Reply::echo().delay(PATIENCE * 4);
    let (bad, good) = (origin("bad", stuck).await, origin("good", Reply::echo).await);
    let herd = serve(&bad, &good, "hedge = { after = \"50ms\", budget_percent = 100 }").await;
    let mut client = RawClient::connect(herd.addr().await).await;
    // A copy has to be earned: by the first that is answered, and one may be stuck until then.
    let asked = || bad.requests() + good.requests();
    let before = asked();
    let mut first = RawClient::connect(herd.addr().await).await;
    first.send(GET).await.unwrap();
    wait_until(PATIENCE, "the first at an instance", async || asked() > before).await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    for _ in 0..3 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    assert!(metric(&herd, "herder_hedges_won_total").await > 0);
    first.reset();
    herd.stop().await;
}

#[tokio::test]
async fn status_says_how_many_requests_are_sent_again() {
    let (bad, good) =
        (origin("bad", || Reply::bytes("").status(500)).await, origin("good", Reply::echo).await);
    let herd = serve(&bad, &good, "retry = { on = [500] }\neject = false").await;
    let addr = herd.addr().await;
    let load = testkit::Load::get(addr, "/").connections(1).rate_per_s(100).start();
    wait_until(PATIENCE, "retries in the status", async || {
        let status = herd.command(["status"]).await.stdout;
        status.contains("  a second: ") && status.contains(" retries")
    })
    .await;
    let report = load.stop().await;
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    herd.stop().await;
}
