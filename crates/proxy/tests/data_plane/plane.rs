//! A data plane to test: one listener, one service, a table made by hand.
//! It sends no request and judges nothing.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{
    Admission, Affinity, Algorithm, Compression, Destination, Endpoint, HashOn, Hedge, HostPattern,
    HttpPolicy, Limits, Listener, ListenerLimits, Live, Mode, Networks, Pool, ProxyProtocolOut,
    QueuePolicy, Redirect, Report, Retry, Route, Rules, Service, Source, Table,
};
use proxy::{Proxy, Settings};
use serde_json::Value;
use telemetry::{AccessLog, Format, Gauges, Registry, Sink};
use testkit::{PATIENCE, RawClient, wait_for, wait_until};

/// How a data plane is to be. The timeouts are so long that none passes by mistake.
pub(crate) struct Setup {
    pub(crate) workers: usize,
    pub(crate) limits: ListenerLimits,
    pub(crate) trusted_proxies: Networks,
    pub(crate) policy: HttpPolicy,
    pub(crate) service_limits: Limits,
    pub(crate) queue: QueuePolicy,
    pub(crate) retry: Retry,
    pub(crate) admission: Admission,
    pub(crate) hedge: Option<Hedge>,
    pub(crate) compression: Compression,
    pub(crate) algorithm: Algorithm,
    pub(crate) hash_on: HashOn,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) has_access_log: bool,
    pub(crate) mode: Mode,
    pub(crate) proxy_protocol: ProxyProtocolOut,
    pub(crate) access_one_in: u32,
    pub(crate) rules: Option<Box<Rules>>,
}

/// A data plane that runs. Dropping it stops it.
pub(crate) struct Plane {
    pub(crate) proxy: Proxy,
    pub(crate) registry: Arc<Registry>,
    listener: Listener,
    policy: HttpPolicy,
    service_limits: Limits,
    queue: QueuePolicy,
    retry: Retry,
    admission: Admission,
    hedge: Option<Hedge>,
    compression: Compression,
    rules: Option<Box<Rules>>,
    algorithm: Algorithm,
    hash_on: HashOn,
    affinity: Option<Affinity>,
    mode: Mode,
    proxy_protocol: ProxyProtocolOut,
    live: Arc<Live>,
    versions: AtomicU64,
    keys: AtomicU64,
    unreachable: Arc<Mutex<Vec<String>>>,
    log: Memory,
    /// It is closed when nobody holds it any more.
    _access: Option<Arc<AccessLog>>,
}

/// Where the access log goes.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            workers: 1,
            limits: ListenerLimits {
                connections_max: 1000,
                body_discard_bytes_max: 64 * 1024,
                timeout_head: PATIENCE,
                timeout_body: PATIENCE,
                timeout_idle: PATIENCE,
                ..ListenerLimits::unbounded()
            },
            trusted_proxies: Networks::default(),
            policy: HttpPolicy {
                timeout_connect: PATIENCE,
                timeout_response: PATIENCE,
                timeout_body: PATIENCE,
                body_bytes_max: 1 << 30,
                idle_max: 64,
                timeout_idle: PATIENCE,
                timeout_tunnel: PATIENCE,
                ..HttpPolicy::unbounded()
            },
            service_limits: Limits::unbounded(),
            queue: QueuePolicy {
                waiting_max: 1000,
                timeout_wait: PATIENCE,
                ..QueuePolicy::unbounded()
            },
            retry: Retry { retries_max: 2, ..Retry::unbounded() },
            admission: Admission::off(),
            hedge: None,
            compression: Compression::off(),
            algorithm: Algorithm::RoundRobin,
            hash_on: HashOn::Client,
            affinity: None,
            has_access_log: false,
            mode: Mode::Http,
            proxy_protocol: ProxyProtocolOut::Off,
            access_one_in: 1,
            rules: None,
        }
    }
}

impl Setup {
    /// Starts a data plane that listens and has a pool without endpoints.
    pub(crate) fn start(self) -> Plane {
        let registry = Registry::new(self.workers, proxy::ERROR_LABELS);
        let unreachable: Arc<Mutex<Vec<String>>> = Arc::default();
        let reports = Arc::clone(&unreachable);
        let log = Memory::default();
        let open = || AccessLog::open(Format::Json, Sink::Writer(Box::new(log.clone()))).unwrap();
        let access = self.has_access_log.then(|| Arc::new(open()));
        let settings = Settings {
            workers: self.workers,
            registry: Arc::clone(&registry),
            access: access.clone(),
            access_one_in: self.access_one_in.try_into().unwrap(),
            report: Arc::new(move |id, report| {
                if report == Report::Unreachable {
                    reports.lock().unwrap().push(id.to_string());
                }
            }),
        };
        let mut listener = listener("web", "127.0.0.1:0".parse().unwrap(), &self.limits);
        listener.trusted_proxies = self.trusted_proxies;
        listener.tcp = (self.mode == Mode::Tcp).then(|| "shop".parse().unwrap());
        let plane = Plane {
            proxy: proxy::spawn(&settings).unwrap(),
            registry,
            listener,
            policy: self.policy,
            service_limits: self.service_limits,
            queue: self.queue,
            retry: self.retry,
            admission: self.admission,
            hedge: self.hedge,
            compression: self.compression,
            rules: self.rules,
            algorithm: self.algorithm,
            hash_on: self.hash_on,
            affinity: self.affinity,
            mode: self.mode,
            proxy_protocol: self.proxy_protocol,
            live: Arc::default(),
            versions: AtomicU64::new(1),
            keys: AtomicU64::new(1),
            unreachable,
            log,
            _access: access,
        };
        plane.listen_on([plane.listener.clone()]);
        plane.publish(&[]);
        plane
    }

    /// Starts a data plane whose pool has an endpoint for each address, in this order.
    pub(crate) fn serving(self, addrs: impl IntoIterator<Item = SocketAddr>) -> Plane {
        let plane = self.start();
        let endpoints: Vec<_> = addrs.into_iter().map(|addr| plane.endpoint(addr)).collect();
        plane.publish(&endpoints);
        plane
    }
}

impl Plane {
    /// A data plane with one worker in front of these addresses.
    pub(crate) fn of(addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        Setup::default().serving(addrs)
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.proxy.addresses()[0].1
    }

    /// A client of it.
    pub(crate) async fn client(&self) -> RawClient {
        RawClient::connect(self.addr()).await
    }

    /// The listener that it was started with.
    pub(crate) fn listener(&self) -> Listener {
        self.listener.clone()
    }

    /// Listens on these and on nothing else.
    pub(crate) fn listen_on(&self, listeners: impl IntoIterator<Item = Listener>) {
        let prepared = self.proxy.prepare(&by_name(listeners)).unwrap();
        self.proxy.commit(prepared);
    }

    /// The endpoint of one more instance: `shop.1`, `shop.2` and so on.
    pub(crate) fn endpoint(&self, addr: SocketAddr) -> Arc<Endpoint> {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let endpoint = Endpoint::new(format!("shop.{key}").parse().unwrap(), key, addr, 1);
        endpoint.set_limit(self.service_limits.in_flight_max);
        Arc::new(endpoint.of(&self.live))
    }

    /// What the tables of the service have in common.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Publishes a table in which everything leads to a service `shop` with these endpoints.
    pub(crate) fn publish(&self, endpoints: &[Arc<Endpoint>]) {
        self.publish_as("shop", endpoints);
    }

    /// The same with a service of this name in the same slot.
    pub(crate) fn publish_as(&self, name: &str, endpoints: &[Arc<Endpoint>]) {
        let selector = balance::selector(self.algorithm, endpoints, &self.live);
        let name = name.parse().unwrap();
        let affinity = self.affinity.as_ref();
        let homes = affinity.and_then(|affinity| balance::homes(affinity, &name, endpoints));
        self.live.set_limit(self.service_limits.service_in_flight_max);
        let service = Service {
            balance: self.algorithm,
            hash_on: self.hash_on.clone(),
            http: self.policy,
            limits: self.service_limits,
            queue: self.queue.clone(),
            retry: self.retry.clone(),
            admission: self.admission,
            hedge: self.hedge,
            compression: self.compression.clone(),
            mode: self.mode,
            proxy_protocol: self.proxy_protocol,
            rules: self.rules.clone(),
            affinity: self.affinity.clone(),
            ..Service::unbounded(name, Source::Static(Vec::new()))
        };
        let pool = Pool {
            service: Arc::new(service),
            slot: 0,
            live: Arc::clone(&self.live),
            endpoints: endpoints.to_vec(),
            selector,
            homes: homes.map(Box::new),
        };
        let table = Table { pools: vec![Arc::new(pool)], ..Table::default() };
        self.publish_table(Table { routes: vec![everything()], ..table });
    }

    /// Publishes a table in which everything leads to a redirect.
    pub(crate) fn publish_redirect(&self, redirect: Redirect) {
        let route = Route { to: Destination::Redirect(0), ..everything() };
        let redirects = vec![Arc::new(redirect)];
        self.publish_table(Table { routes: vec![route], redirects, ..Table::default() });
    }

    /// Publishes a table without any service.
    pub(crate) fn publish_nothing(&self) {
        self.publish_table(Table::default());
    }

    /// The instances that were reported as unreachable, in order.
    pub(crate) fn unreachable(&self) -> Vec<String> {
        self.unreachable.lock().unwrap().clone()
    }

    /// The value of a series, such as `herder_connections_open` or `herder_errors_total{...}`;
    /// zero before a worker has met its service.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let name = series.split('{').next().unwrap().trim_end_matches("_count");
        assert!(telemetry::names::ALL.iter().any(|metric| metric.name == name), "{series}");
        let text = self.registry.encode(&Gauges::default()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has a value.
    pub(crate) async fn metric_becomes(&self, series: &str, value: f64) {
        let what = format!("{series} {value}");
        let is_there = async || (self.metric(series) - value).abs() < f64::EPSILON;
        wait_until(PATIENCE, &what, is_there).await;
    }

    /// The first `count` lines of the access log, once they are there.
    pub(crate) async fn log_lines(&self, count: usize) -> Vec<Value> {
        wait_for(PATIENCE, "lines of the access log", async || {
            let bytes = self.log.0.lock().unwrap().clone();
            let lines = bytes.split_inclusive(|&byte| byte == b'\n');
            let lines: Vec<&[u8]> = lines.filter(|line| line.ends_with(b"\n")).collect();
            (lines.len() >= count)
                .then(|| lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect())
        })
        .await
    }

    fn publish_table(&self, table: Table) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        self.proxy.publisher().publish(Arc::new(Table { version, ..table }));
    }
}

/// The route of every request to the first pool.
fn everything() -> Route {
    Route { host: HostPattern::Any, path: "/".into(), to: Destination::Pool(0) }
}

/// A listener.
pub(crate) fn listener(name: &str, bind: SocketAddr, limits: &ListenerLimits) -> Listener {
    Listener { limits: limits.clone(), ..Listener::unbounded(name, bind) }
}

/// Listeners as a configuration has them.
pub(crate) fn by_name(
    listeners: impl IntoIterator<Item = Listener>,
) -> BTreeMap<Box<str>, Arc<Listener>> {
    listeners.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect()
}

/// Short, for the timeout that a test is about.
pub(crate) const SOON: Duration = Duration::from_millis(100);
