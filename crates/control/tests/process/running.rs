//! Control as a whole, with real instances: what is ordered comes true, what is published comes
//! first, and what is shut down is gone. What the plan decides is tested without processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::{
    Colour, DriverSettings, Handle, InstanceView, Kind, Launcher, Order, Parts, Running, Sink,
    spawn,
};
use model::{
    Desired, Endpoint, HttpProbe, Phase, Probe, Report, RouteRule, Scale, Service, Source, Table,
};
use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::kit::{Cleanup, DEADLINE, children, runs, service, settings, subcommands, tests};

tests!(
    a_herd_comes_up_scales_heals_restarts_and_shuts_down,
    a_second_interrupt_kills_at_once,
    control_without_a_handle_shuts_down,
    a_start_that_fails_leaves_nothing,
);

/// A web service that is up in no time.
const WEB: &str = "exec python3 -c '
import http.server, os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header(\"content-length\", \"0\")
        self.end_headers()
http.server.ThreadingHTTPServer((\"127.0.0.1\", int(os.environ[\"PORT\"])), Shop).serve_forever()
'";

/// The tables that were published, and what was wrong with one.
#[derive(Clone, Default)]
struct Published {
    last: Arc<Mutex<Arc<Table>>>,
    wrongs: Arc<Mutex<Vec<String>>>,
}

impl Published {
    /// What the rest of Herder relies on: versions count up, no endpoint in a table is closed, and
    /// none is closed before a table without it is out.
    fn take(&self, table: Arc<Table>) {
        let mut last = self.last.lock().unwrap();
        let wrong = |text: String| self.wrongs.lock().unwrap().push(text);
        if table.version <= last.version {
            wrong(format!("version {} after {}", table.version, last.version));
        }
        for endpoint in endpoints(&table).iter().chain(&endpoints(&last)) {
            if endpoint.is_closed() {
                wrong(format!("{} was closed in version {}", endpoint.id, table.version));
            }
        }
        *last = table;
    }

    fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        endpoints(&self.last.lock().unwrap())
    }
}

fn endpoints(table: &Table) -> Vec<Arc<Endpoint>> {
    table.pools.iter().flat_map(|pool| pool.endpoints.clone()).collect()
}

struct Herder {
    running: Running,
    handle: Handle,
    published: Published,
    cleanup: Cleanup,
    dir: tempfile::TempDir,
}

impl Herder {
    fn start() -> Self {
        let published = Published::default();
        let publish = published.clone();
        let running = spawn(Parts {
            publish: Box::new(move |table| publish.take(table)),
            record: Box::new(|_| {}),
            registry: telemetry::Registry::new(1, &[]),
            remembered: Default::default(),
            driver: plain(),
            seed: 7,
            journal_max: 1000,
        })
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let cleanup = Cleanup::of(&dir);
        Self { handle: running.handle.clone(), running, published, cleanup, dir }
    }

    async fn configure(&self, script: &str, count: u32) {
        let (name, mark) = self.cleanup.mark();
        let env = [(name.to_owned(), mark.display().to_string())];
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let command = model::Command { argv, env: env.into(), dir: None };
        let mut shop = Service::clone(&service(Source::Command(command)));
        shop.health.probe = Probe::Http(Box::new(HttpProbe::get("/healthz")));
        shop.routes = vec![RouteRule { host: None, path: "/".into() }];
        shop.scale = Scale { min: count, max: 5 };
        let services = BTreeMap::from([(shop.name.clone(), Arc::new(shop))]);
        self.handle.configure(Desired { services, ..Desired::default() }).await.unwrap();
    }

    /// Waits until exactly so many are ready, nothing else runs, and the table says the same.
    async fn ready(&self, count: usize, is_so: impl Fn(&[InstanceView]) -> bool) -> Vec<Pid> {
        let wait = async {
            loop {
                let view = self.handle.view().await.unwrap();
                let instances = &view.services[0].instances;
                let all_ready = instances.iter().all(|i| i.phase == Phase::Ready);
                let published = self.published.endpoints().len();
                if all_ready && (instances.len(), published) == (count, count) && is_so(instances) {
                    return instances.iter().map(|i| to_pid(i.pid.unwrap())).collect();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(pids) => pids,
            Err(_) => panic!("not {count} ready: {:#?}", self.handle.journal(0).await),
        }
    }

    async fn join(self) {
        let Self { running, handle, published, cleanup, dir } = self;
        let joined = tokio::time::timeout(DEADLINE, running.join()).await;
        joined.expect("control ends in time");
        assert!(handle.view().await.is_none());
        assert!(handle.order(Order::Shutdown).await.is_err());
        assert_eq!(*published.wrongs.lock().unwrap(), Vec::<String>::new());
        assert_eq!(cleanup.left(), []);
        assert_eq!(children(), []);
        assert_eq!(subcommands(getpid(), "__guard"), []);
        drop(dir);
    }
}

fn plain() -> DriverSettings {
    settings(Sink::new(std::io::sink(), Colour::Off))
}

fn to_pid(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

async fn a_herd_comes_up_scales_heals_restarts_and_shuts_down() {
    let herder = Herder::start();
    herder.configure(WEB, 2).await;
    let pids = herder.ready(2, |_| true).await;

    let shop = "shop".parse().unwrap();
    let order = Order::Scale { service: shop, count: 3 };
    herder.handle.order(order).await.unwrap();
    herder.ready(3, |_| true).await;

    kill_process(pids[0], Signal::KILL).unwrap();
    herder.handle.report(&"shop.1".parse().unwrap(), Report::Unreachable);
    let healed = |all: &[InstanceView]| all.iter().all(|i| i.pid.map(to_pid) != Some(pids[0]));
    herder.ready(3, healed).await;

    let before = herder.published.endpoints();
    let keeps_busy = before[0].begin().unwrap();
    let shop = "shop".parse().unwrap();
    herder.handle.order(Order::Restart { service: shop }).await.unwrap();
    // It cannot end before its request has, or the drain is over.
    while !before[0].is_closed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(before[0].begin().is_none());
    drop(keeps_busy);
    let is_new = |i: &InstanceView| before.iter().all(|endpoint| endpoint.id != i.id);
    herder.ready(3, |all| all.iter().all(is_new)).await;

    let refused = herder.handle.order(Order::Restart { service: "nope".parse().unwrap() }).await;
    assert!(refused.is_err());
    let journal = herder.handle.journal(0).await;
    assert!(journal.iter().any(|entry| entry.kind == Kind::Refused));
    assert!(journal.iter().any(|entry| entry.kind == Kind::Backoff), "{journal:#?}");
    assert!(journal.iter().all(|entry| entry.kind != Kind::Defect), "{journal:#?}");

    herder.handle.order(Order::Shutdown).await.unwrap();
    herder.join().await;
}

async fn a_second_interrupt_kills_at_once() {
    let herder = Herder::start();
    herder.configure(&WEB.replace("os._exit(0)", "None"), 2).await;
    let pids = herder.ready(2, |_| true).await;
    let busy: Vec<_> = herder.published.endpoints().iter().map(Endpoint::begin).collect();
    herder.handle.order(Order::Shutdown).await.unwrap();
    assert!(pids.iter().all(|&pid| runs(pid)));
    herder.handle.kill_all().await;
    herder.join().await;
    drop(busy);
}

async fn control_without_a_handle_shuts_down() {
    let herder = Herder::start();
    herder.configure(WEB, 1).await;
    herder.ready(1, |_| true).await;
    let Herder { running, handle, cleanup, dir, .. } = herder;
    drop((running, handle));
    crate::kit::until("the end", || children().is_empty() && cleanup.left().is_empty()).await;
    crate::kit::until("the guard's end", || subcommands(getpid(), "__guard").is_empty()).await;
    drop(dir);
}

async fn a_start_that_fails_leaves_nothing() {
    let mut driver = plain();
    driver.guard = Some(Launcher { program: "/no/such/guard".into(), args: Vec::new() });
    let parts = Parts {
        publish: Box::new(|_| {}),
        record: Box::new(|_| {}),
        registry: telemetry::Registry::new(1, &[]),
        remembered: Default::default(),
        driver,
        seed: 1,
        journal_max: 1,
    };
    let error = spawn(parts).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
