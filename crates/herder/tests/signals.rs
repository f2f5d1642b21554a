//! What the number of instances follows besides requests: what a Prometheus says, the processor,
//! what answers take, and the room of the machine.
//! How good the numbers are is tested where they are made; here it is whether all of it is wired.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use testkit::{Herd, Herder, HttpOrigin, Load, PATIENCE, Reply, wait_until};

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// Keys that let the number fall within a second or two.
const QUICK: &str = "down_window = \"1s\"\ndown_half_life = \"100ms\"";

/// Says one number, or that it is in trouble.
struct Prometheus {
    origin: HttpOrigin,
    count: Arc<AtomicU64>,
}

/// What makes it be in trouble.
const TROUBLE: u64 = u64::MAX;

impl Prometheus {
    async fn saying(count: u64) -> Self {
        let count = Arc::new(AtomicU64::new(count));
        let says = Arc::clone(&count);
        let answer = move |ask: &testkit::Ask| match says.load(Ordering::Relaxed) {
            TROUBLE => Reply::bytes("no").status(500),
            count if ask.request.target == "/api/v1/query?query=sum%28jobs%29" => {
                let sample = json!({ "metric": {}, "value": [1.5, count.to_string()] });
                let data = json!({ "resultType": "vector", "result": [sample] });
                Reply::bytes(json!({ "status": "success", "data": data }).to_string())
            }
            _ => Reply::bytes("not the question").status(404),
        };
        Self { origin: HttpOrigin::start("prometheus", answer).await, count }
    }

    fn says(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// The signal of a service that wants one instance for each ten.
    fn signal(&self) -> String {
        let addr = self.origin.addr();
        format!(
            "prometheus = {{ url = \"http://{addr}\", query = \"sum(jobs)\", target = 10, \
             interval = \"1s\" }}"
        )
    }
}

/// A service of sample shops; `keys` are its own, `target` those of its `scale.target`.
fn service(name: &str, max: u32, keys: &str, target: &str) -> String {
    format!(
        r#"
[service.{name}]
run = ["{HERDER}", "__shop"]
route = "/{name}"
health = "/healthz"
{keys}

[service.{name}.scale]
max = {max}

[service.{name}.scale.target]
{QUICK}
{target}
"#
    )
}

fn herd(services: &[String], more: &str) -> Herd {
    let services = services.concat();
    let config = format!("[listener.web]\nbind = \"127.0.0.1:0\"\n{services}\n{more}\n");
    Herder::serve(HERDER, &config).start()
}

async fn shown(herd: &Herd, name: &str) -> Value {
    let status = herd.up().await;
    let services = status["services"].as_array().unwrap();
    services.iter().find(|service| service["name"] == name).unwrap().clone()
}

async fn desired(herd: &Herd, name: &str) -> u64 {
    shown(herd, name).await["desired"].as_u64().unwrap()
}

#[tokio::test]
async fn what_a_prometheus_says_is_obeyed_and_its_silence_takes_nothing_away() {
    let prometheus = Prometheus::saying(25).await;
    let herd = herd(&[service("shop", 5, "", &prometheus.signal())], "");
    wait_until(PATIENCE, "three instances", async || desired(&herd, "shop").await == 3).await;
    let why = herd.ordered(["explain", "shop"]).await;
    assert!(why.contains("prometheus  25.0"), "{why}");
    prometheus.says(TROUBLE);
    // The last answer counts for three seconds.
    wait_until(PATIENCE, "that it is missed", async || {
        let why = herd.ordered(["explain", "shop"]).await;
        why.contains("Prometheus said nothing: ") && why.contains("held without data")
    })
    .await;
    assert_eq!(desired(&herd, "shop").await, 3);
    let said = herd.ordered(["journal", "-n", "100"]).await;
    assert!(said.contains("answered 500: it said what is no answer of Prometheus"), "{said}");
    let status = herd.ordered(["status"]).await;
    assert!(status.contains("Prometheus said nothing: "), "{status}");
    prometheus.says(1);
    wait_until(PATIENCE, "one instance", async || desired(&herd, "shop").await == 1).await;
    let said = herd.ordered(["journal", "-n", "100"]).await;
    assert!(said.contains("its Prometheus answers again"), "{said}");
    herd.stop().await;
}

#[tokio::test]
async fn a_service_that_wants_more_than_the_machine_carries_gets_what_it_carries() {
    let prometheus = Prometheus::saying(80).await;
    let size = "resources.memory = \"64MiB\"";
    let machine = "machine.memory = \"200MiB\"";
    let herd = {
        let services = [service("shop", 8, size, &prometheus.signal())].concat();
        let config = format!("{machine}\n[listener.web]\nbind = \"127.0.0.1:0\"\n{services}\n");
        Herder::serve(HERDER, &config).start()
    };
    herd.wait_ready("shop", 3).await;
    let limited = async || {
        let why = herd.ordered(["explain", "shop"]).await;
        (why.contains("the machine carries 3"), why)
    };
    wait_until(PATIENCE, "a limit", async || limited().await.0).await;
    let (_, why) = limited().await;
    let room = "an instance takes 64 MiB of memory, 8 MiB of 200 MiB is left";
    assert!(why.contains("room ") && why.contains(room), "{why}");
    // Whether groups can be made depends on where this runs; that it is told does not.
    assert!(why.contains("; enforced") || why.contains("; not enforced"), "{why}");
    let said = herd.ordered(["journal", "-n", "500"]).await;
    assert_eq!(said.matches("resources of instances are ").count(), 1, "{said}");
    let metrics = herd.admin("/metrics").await.unwrap().text();
    assert!(metrics.contains("herder_scale_limited{service=\"shop\",by=\"room\"} 1"), "{metrics}");
    // More is given, and used.
    let config = std::fs::read_to_string(herd.dir().join("herder.toml")).unwrap();
    herd.rewrite(&config.replace("\"200MiB\"", "\"330MiB\""));
    herd.ordered(["reload"]).await;
    herd.wait_ready("shop", 5).await;
    assert_eq!(desired(&herd, "shop").await, 5);
    herd.stop().await;
}

#[tokio::test]
async fn services_share_what_the_machine_carries() {
    let [first, second] = [Prometheus::saying(80).await, Prometheus::saying(10).await];
    let size = "resources.cpu_percent = 50";
    let herd = herd(
        &[service("shop", 8, size, &first.signal()), service("cart", 8, size, &second.signal())],
        "[machine]\ncpu_percent = 200",
    );
    let counts = async || (desired(&herd, "shop").await, desired(&herd, "cart").await);
    wait_until(PATIENCE, "all but one", async || counts().await == (3, 1)).await;
    second.says(80);
    wait_until(PATIENCE, "equal parts", async || counts().await == (2, 2)).await;
    let why = herd.ordered(["explain", "shop"]).await;
    assert!(why.contains("its part is 2"), "{why}");
    herd.stop().await;
}

#[tokio::test]
async fn the_processor_and_the_time_of_answers_are_signals() {
    let busy = format!(
        r#"
[service.busy]
run = "while :; do :; done & exec {HERDER} __shop"
route = "/busy"
health = "/healthz"
scale = {{ max = 2, target = {{ cpu_percent = 5, concurrency = 100 }} }}
"#
    );
    let timed = service("shop", 2, "", "latency = \"5s\"\nlatency_percent = 90");
    let herd = herd(&[busy, timed], "");
    wait_until(PATIENCE, "another one", async || desired(&herd, "busy").await == 2).await;
    herd.wait_ready("shop", 1).await;
    let load = Load::get(herd.addr().await, "/shop").connections(2).rate_per_s(50).start();
    wait_until(PATIENCE, "what answers take", async || {
        let shop = shown(&herd, "shop").await;
        let signals = shop["scaling"]["decision"]["signals"].as_array().cloned();
        let latency = |signal: &Value| signal["signal"] == "latency" && signal["value"].is_f64();
        signals.unwrap_or_default().iter().any(latency)
    })
    .await;
    drop(load.stop().await);
    herd.stop().await;
}
