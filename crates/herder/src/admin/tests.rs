//! The admin API as it is reached: a real control, a real socket, a real port, no instance.
//! What control makes of an order is control's to test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::{Colour, DriverSettings, Orphans, Parts, Sink};
use model::Desired;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::admin::api::{Accepted, JournalPage, Listener, Problem, ScaleRequest, Status};
use crate::admin::{ASKS_MAX, Admin, Ask, Herd, Listeners};
use crate::client::{Client, Error};

/// An admin API over a control that has one static service, `shop`.
struct Stage {
    admin: Admin,
    client: Client,
    asks: mpsc::Receiver<Ask>,
    control: control::Running,
    dir: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let control = control::spawn(Parts {
            publish: Box::new(|_| {}),
            record: Box::new(|_| {}),
            registry: telemetry::Registry::new(1, &[]),
            remembered: Default::default(),
            driver: DriverSettings {
                launcher: None,
                guard: None,
                ports: (20_000, 20_001),
                output: Sink::new(std::io::sink(), Colour::Off),
                lines_kept: 1,
                orphans: Orphans::Leave,
            },
            seed: 1,
            journal_max: 100,
        });
        let control = control.unwrap();
        control.handle.configure(shop()).await.unwrap();
        let (ask, asks) = mpsc::channel(ASKS_MAX);
        let listener =
            Listener { name: "web".to_owned(), address: "127.0.0.1:8080".to_owned(), tcp: None };
        let herd = Herd {
            control: control.handle.clone(),
            asks: ask,
            listeners: watch::channel(vec![listener]).1,
            traffic: watch::channel(BTreeMap::new()).1,
            archive: None,
            metrics: Arc::new(|view| Ok(format!("table {}\n", view.table_version))),
            file: None,
            started: Instant::now(),
        };
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("h.sock");
        let unix = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        unix.set_nonblocking(true).unwrap();
        let tcp = Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let admin = Admin::serve(Listeners { unix, tcp }, &Arc::new(herd)).unwrap();
        Self { admin, client: Client::new(socket), asks, control, dir }
    }

    /// A request to the loopback port as it is, and the answer's status and body.
    async fn tcp(&self, method: &str, path: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin.tcp().unwrap()).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn refused(&self, path: &str, body: &Value) -> Problem {
        match self.client.post::<Accepted>(path, body).await {
            Err(Error::Refused(problem)) => problem,
            other => panic!("{path}: {other:?}"),
        }
    }

    async fn end(self) {
        self.control.handle.kill_all().await;
        self.control.join().await;
        self.admin.end().await;
        self.dir.close().unwrap();
    }
}

/// What a file with one static address asks for; nobody listens there.
fn shop() -> Desired {
    let text = "[service.shop]\nstatic = [\"127.0.0.1:9\"]\n";
    config::parse(text, "test.toml".as_ref()).unwrap().desired
}

#[tokio::test]
async fn the_socket_shows_and_takes_orders() {
    let mut stage = Stage::set().await;
    let status: Status = stage.client.get("/v1/status").await.unwrap();
    assert_eq!(status.listeners[0].address, "127.0.0.1:8080");
    assert_eq!((status.services[0].name.as_str(), status.services[0].desired), ("shop", 1));

    let page: JournalPage = stage.client.get("/v1/journal?last=1").await.unwrap();
    assert_eq!(page.entries.len(), 1);
    let later = format!("/v1/journal?after={}", page.next_after);
    let news: JournalPage = stage.client.get(&later).await.unwrap();
    assert!(news.entries.iter().all(|entry| entry.seq > page.next_after));

    let accepted: Accepted = stage.client.post("/v1/stop", &()).await.unwrap();
    assert_eq!(accepted.accepted, "everything is to drain and stop");
    assert!(matches!(stage.asks.recv().await, Some(Ask::Stop)));

    let client = stage.client.clone();
    let reload = async { client.post::<Accepted>("/v1/reload", &()).await };
    let answer = async {
        let Some(Ask::Reload(answer)) = stage.asks.recv().await else { panic!("no reload") };
        let hint = Some("mend it".to_owned());
        answer.send(Err(Problem { error: "line 3".to_owned(), hint })).unwrap();
    };
    let (reloaded, ()) = tokio::join!(reload, answer);
    let Err(Error::Refused(problem)) = reloaded else { panic!("{reloaded:?}") };
    assert_eq!((problem.error.as_str(), problem.hint.as_deref()), ("line 3", Some("mend it")));
    stage.end().await;
}

#[tokio::test]
async fn refusals_say_what_and_what_to_do() {
    let stage = Stage::set().await;
    let check = async |path: &str, body: Value, error: &str, hint: Option<&str>| {
        let problem = stage.refused(path, &body).await;
        assert!(problem.error.contains(error), "{path}: {problem:?}");
        assert_eq!(problem.hint.as_deref(), hint, "{path}");
    };
    let count = json!(ScaleRequest { count: 3 });
    let services = Some("services now: shop");
    check("/v1/services/shoe/scale", count.clone(), "no service `shoe`", services).await;
    check("/v1/services/Shop/restart", json!(null), "`Shop` is not a service name", None).await;
    let hint = Some("send {\"count\": 3}");
    check("/v1/services/shop/scale", json!({"count": -1}), "not a count", hint).await;
    check("/v1/services/shop/scale", json!({"count": 1, "now": 1}), "not a count", hint).await;
    check("/v1/instances/shop/drain", json!(null), "`shop` is not an instance", None).await;
    let instances = Some("instances now: shop.1");
    check("/v1/instances/shop.9/drain", json!(null), "no instance `shop.9`", instances).await;
    // Control's own refusal: the addresses of a static service are as many as they are.
    let problem = stage.refused("/v1/services/shop/scale", &count).await;
    assert!(problem.error.contains("shop"), "{problem:?}");
    let hint = Some("see /v1/openapi.json");
    check("/v2/stop", json!(null), "nothing at /v2/stop", hint).await;
    check("/v1/status", json!(null), "POST is not a method of /v1/status", hint).await;
    check("/v1/services/shop/scale", json!("x".repeat(70_000)), "length limit", None).await;
    let asked = stage.client.get::<JournalPage>("/v1/journal?since=1").await;
    let Err(Error::Refused(problem)) = asked else { panic!("{asked:?}") };
    assert_eq!(problem.hint.as_deref(), Some("use ?after=SEQ&last=N"));
    stage.end().await;
}

#[tokio::test]
async fn the_port_only_reads_and_only_under_its_own_names() {
    let stage = Stage::set().await;
    let check = async |method: &str, path: &str, host: &str, status: u16, text: &str| {
        let (got, body) = stage.tcp(method, path, host).await;
        assert_eq!(got, status, "{method} {path} {host}: {body}");
        assert!(body.contains(text), "{method} {path} {host}: {body}");
    };
    check("GET", "/healthz", "localhost", 200, "ok").await;
    check("GET", "/v1/status", "127.0.0.1:7070", 200, "\"shop\"").await;
    check("GET", "/v1/journal", "[::1]:1", 200, "\"entries\"").await;
    check("GET", "/metrics", "localhost:80", 200, "table ").await;
    check("GET", "/metrics", "evil.example", 421, "`evil.example` is not a name").await;
    check("GET", "/v1/status", "127.0.0.1.evil.example:7070", 421, "over the Unix socket").await;
    check("POST", "/v1/stop", "localhost", 403, "read-only").await;
    check("POST", "/v1/services/shop/restart", "localhost", 403, "read-only").await;
    check("DELETE", "/v1/status", "localhost", 403, "read-only").await;
    check("GET", "/v1/stop", "localhost", 404, "nothing at /v1/stop").await;
    check("GET", "http://evil.example/metrics", "localhost", 421, "evil.example").await;
    stage.end().await;
}

#[tokio::test]
async fn the_document_names_every_route() {
    let stage = Stage::set().await;
    let document: Value = stage.client.get("/v1/openapi.json").await.unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let expected = [
        "/healthz",
        "/metrics",
        "/v1/instances/{id}/drain",
        "/v1/journal",
        "/v1/reload",
        "/v1/services/{name}/autoscale",
        "/v1/services/{name}/history",
        "/v1/services/{name}/restart",
        "/v1/services/{name}/scale",
        "/v1/status",
        "/v1/stop",
    ];
    assert_eq!(paths, expected);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = &document["components"]["schemas"];
    assert!(schemas["Status"]["properties"]["services"].is_object(), "{schemas:#}");
    assert!(schemas["Instance"]["properties"]["phase"].is_object(), "{schemas:#}");
    stage.end().await;
}

#[tokio::test]
async fn nobody_answers_after_the_end() {
    let stage = Stage::set().await;
    let (client, tcp) = (stage.client.clone(), stage.admin.tcp().unwrap());
    let idle = TcpStream::connect(tcp).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), stage.end()).await;
    assert!(ended.is_ok(), "an idle connection kept it open");
    drop(idle);
    let asked = client.get::<Status>("/v1/status").await;
    assert!(matches!(asked, Err(Error::NotRunning { .. })), "{asked:?}");
    assert!(TcpStream::connect(tcp).await.is_err());
}
