//! A herd that runs: obeyed, watched, reloaded, and ended in good order or at once.
//! Starting and reloading are one path, and what fails on it changes nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::{Order, View};
use model::{Desired, Mode, Service, ServiceName};
use proxy::Proxy;
use telemetry::{AccessLog, Gauges, Registry};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::admin::api::{Listener, Problem, Traffic};
use crate::admin::{ASKS_MAX, Admin, Ask, Herd, Listeners, Metrics};
use crate::cli::{Exit, Failure};
use crate::history::History;
use crate::run::announce::Announcer;
use crate::run::files;
use crate::run::gauges::{self, JournalCounts, Pulse};
use crate::run::secrets::Secrets;
use crate::run::signals::{Asked, Signals};
use crate::run::storage;
use crate::run::{Hopeless, Input};
use crate::socket::Claim;

/// Between two looks at the herd, for what is announced.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Looks between two looks at the counters, for the traffic that screens show.
const LOOKS_PER_PULSE: u32 = 10;

/// What a running herd is made of.
pub(super) struct Parts {
    pub(super) input: Input,
    /// As of the start: what of it a reload changes takes a restart.
    pub(super) settings: config::Settings,
    pub(super) hopeless: Hopeless,
    pub(super) proxy: Proxy,
    pub(super) control: control::Running,
    pub(super) registry: Arc<Registry>,
    pub(super) access: Option<Arc<AccessLog>>,
    /// What was asked of services; none when it is not kept.
    pub(super) history: Option<History>,
    pub(super) claim: Claim,
    pub(super) signals: Signals,
    pub(super) secrets: Secrets,
}

/// A herd that runs. Dropping it instead of ending it kills what is left, like a crash would.
pub(crate) struct Running {
    parts: Parts,
    admin: Option<Admin>,
    asks: mpsc::Receiver<Ask>,
    listeners: watch::Sender<Vec<Listener>>,
    traffic: watch::Sender<BTreeMap<String, Traffic>>,
    announcer: Announcer,
    pulse: Pulse,
    journal: JournalCounts,
    /// The longest that requests of any service may take to finish.
    drain_max: Duration,
}

/// Why a herd is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to, by this.
    Told(String),
    /// There is no point in going on, and why.
    Hopeless(String),
}

impl Running {
    /// Begins to obey, and to answer at the admin API. When that fails, everything is ended.
    pub(super) async fn begin(
        parts: Parts,
        desired: Desired,
        listeners: Listeners,
    ) -> Result<Self, Failure> {
        let (ask, asks) = mpsc::channel(ASKS_MAX);
        let mut running = Self {
            parts,
            admin: None,
            asks,
            listeners: watch::Sender::default(),
            traffic: watch::Sender::default(),
            announcer: Announcer::default(),
            pulse: Pulse::default(),
            journal: JournalCounts::default(),
            drain_max: Duration::ZERO,
        };
        let begun = match running.obey(desired).await {
            Ok(()) => running.open_admin(ask, listeners),
            Err(failure) => Err(failure),
        };
        match begun {
            Ok(()) => {
                running.greet();
                Ok(running)
            }
            Err(failure) => {
                running.shutdown().await?;
                Err(failure)
            }
        }
    }

    /// Views and orders.
    pub(crate) fn control(&self) -> control::Handle {
        self.parts.control.handle.clone()
    }

    /// Where it accepts.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.parts.proxy.addresses().into_iter().map(|(_, addr)| addr).collect()
    }

    /// Answers signals and the admin API, and says what happens, until the herd is to end.
    pub(crate) async fn supervise(&mut self) -> End {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looks = 0u32;
        loop {
            tokio::select! {
                asked = self.parts.signals.next() => match (asked, self.parts.input.file()) {
                    (Asked::End, _) => return End::Told("told by a signal".to_owned()),
                    // A terminal that closes says the same; there is nothing to read again.
                    (Asked::Reload, None) => return End::Told("the terminal was closed".to_owned()),
                    (Asked::Reload, Some(_)) => self.reload_by_signal().await,
                },
                Some(ask) = self.asks.recv() => match ask {
                    Ask::Stop => return End::Told("told by `herder stop`".to_owned()),
                    Ask::Reload(answer) => {
                        let reloaded = self.reload().await;
                        if answer.send(reloaded).is_err() {
                            tracing::info!("whoever asked for the reload is gone");
                        }
                    }
                },
                _ = look.tick() => {
                    looks = looks.wrapping_add(1);
                    let Some(view) = self.parts.control.handle.view().await else {
                        return End::Hopeless("control has ended; please report this".to_owned());
                    };
                    if looks.is_multiple_of(LOOKS_PER_PULSE) {
                        self.pulse(&view).await;
                    }
                    if let Some(end) = self.look(&view) {
                        return end;
                    }
                }
            }
        }
    }

    /// Drains everything, stops everything, and takes everything away. A signal meanwhile ends it
    /// at once.
    ///
    /// # Errors
    /// With [`Exit::Killed`] after such a signal.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        let Parts { proxy, control, mut signals, access, history, claim, .. } = self.parts;
        let handle = control.handle.clone();
        tracing::info!("draining; a second Ctrl-C or SIGTERM kills everything at once");
        let mut joined = std::pin::pin!(control.join());
        let drained = async {
            let left = proxy.drain(self.drain_max).await;
            if left > 0 {
                tracing::warn!(connections = left, "cut off what did not finish in time");
            }
            // What was cut off is no longer in flight: no instance waits for it a second time.
            proxy.stop();
            // Refused only when it is stopping already.
            handle.order(Order::Shutdown).await.ok();
            joined.as_mut().await;
        };
        let told = async { while signals.next().await != Asked::End {} };
        let killed = tokio::select! {
            () = drained => false,
            () = told => true,
        };
        if killed {
            tracing::warn!("killing everything: there was a second signal");
            handle.kill_all().await;
            joined.await;
        }
        if let Some(admin) = self.admin {
            admin.end().await;
        }
        proxy.stop();
        if let Some(history) = history {
            history.close();
        }
        let closed = access.map_or(Ok(()), |log| log.close());
        // Last: whoever waits for the lock finds nothing of us.
        drop(claim);
        closed.map_err(Failure::new)?;
        if killed {
            let text = "ended at once by a second signal; requests in flight were lost";
            return Err(Failure::new(text).exit(Exit::Killed));
        }
        Ok(())
    }

    /// Prepare, configure, commit: the one path of start-up and reload. What can fail comes first,
    /// and a failure changes nothing.
    async fn obey(&mut self, mut desired: Desired) -> Result<(), Failure> {
        self.parts.secrets.read(&mut desired)?;
        files::bound_connections(&mut desired);
        let Parts { proxy, control, history, .. } = &self.parts;
        let prepared = proxy.prepare(&desired.listeners).map_err(Failure::new)?;
        let urls = desired.clone();
        let drains = desired.services.values().map(|service| service.drain.timeout_drain);
        let drain_max = drains.max().unwrap_or_default();
        control.handle.configure(desired).await.map_err(Failure::new)?;
        proxy.commit(prepared);
        storage::recall(history.as_ref(), &urls, &control.handle);
        let addresses = proxy.addresses();
        self.announcer.reached_at(reached_at(&urls, &addresses));
        let listener = |(name, addr): &(Box<str>, SocketAddr)| Listener {
            name: name.to_string(),
            address: addr.to_string(),
            tcp: carried_to(&urls, name).map(ToString::to_string),
        };
        self.listeners.send_replace(addresses.iter().map(listener).collect());
        self.drain_max = drain_max;
        Ok(())
    }

    async fn reload_by_signal(&mut self) {
        match self.reload().await {
            Ok(text) => tracing::info!("reloaded: {text}"),
            Err(problem) => problem.error.lines().for_each(|line| tracing::error!("{line}")),
        }
    }

    async fn reload(&mut self) -> Result<String, Problem> {
        let Some(file) = self.parts.input.file() else {
            return Err(Problem {
                error: "this Herder runs a command line, not a file: there is nothing to reload"
                    .to_owned(),
                hint: Some("to change it, stop it and run it anew".to_owned()),
            });
        };
        // Whoever rotates the log may have no other change to make.
        if let Some(access) = &self.parts.access {
            access.reopen();
        }
        let mut text = format!("{} was taken", file.display());
        let resolved = self.parts.input.load();
        let done = match resolved {
            Ok(resolved) => {
                if resolved.settings != self.parts.settings {
                    text.push_str(
                        "; what it changes in workers, admin, instances, journal, log or storage \
                         takes a restart",
                    );
                }
                self.obey(resolved.desired).await
            }
            Err(failure) => Err(failure),
        };
        let refused = |failure: Failure| Problem {
            error: format!("not reloaded, nothing was changed: {}", failure.message),
            hint: failure.hint,
        };
        done.map(|()| text).map_err(refused)
    }

    async fn pulse(&mut self, view: &View) {
        self.traffic.send_replace(self.pulse.observe(view, &self.parts.registry));
        let news = self.parts.control.handle.journal(self.journal.last_seq()).await;
        self.journal.count(&news);
    }

    fn look(&mut self, view: &View) -> Option<End> {
        for line in self.announcer.observe(view) {
            tracing::info!("{line}");
        }
        match self.parts.hopeless {
            Hopeless::GiveUp => self.announcer.hopeless(view).map(End::Hopeless),
            Hopeless::KeepTrying => None,
        }
    }

    fn open_admin(&mut self, ask: mpsc::Sender<Ask>, listeners: Listeners) -> Result<(), Failure> {
        let herd = Herd {
            control: self.control(),
            asks: ask,
            listeners: self.listeners.subscribe(),
            traffic: self.traffic.subscribe(),
            metrics: self.metrics(),
            file: self.parts.input.file().cloned(),
            archive: self.parts.history.as_ref().map(History::archive),
            started: Instant::now(),
        };
        let admin = Admin::serve(listeners, &Arc::new(herd));
        let failed = |error| Failure::new(format!("the admin API could not be served: {error}"));
        self.admin = Some(admin.map_err(failed)?);
        Ok(())
    }

    fn metrics(&self) -> Arc<Metrics> {
        let registry = Arc::clone(&self.parts.registry);
        let access = self.parts.access.clone();
        let journal = self.journal.subscribe();
        let control = self.control();
        let started = gauges::wall_clock();
        Arc::new(move |view: &View| {
            let gauges = Gauges {
                version: env!("CARGO_PKG_VERSION"),
                started,
                table_version: view.table_version,
                reports_dropped: control.reports_dropped(),
                access_log_lost: access.as_ref().map(|log| log.lost()).unwrap_or_default(),
                journal: journal.borrow().clone(),
                services: gauges::services(view),
            };
            registry.encode(&gauges)
        })
    }

    fn greet(&self) {
        for listener in self.listeners.borrow().iter() {
            tracing::info!("listening on {}: {}", listener.name, listener.place());
        }
        if let Some(addr) = self.admin.as_ref().and_then(Admin::tcp) {
            tracing::info!("admin, read-only: http://{addr}/v1/status and http://{addr}/metrics");
        }
        let socket = self.parts.claim.socket().display();
        tracing::info!("admin, full: herder --socket {socket} status");
    }
}

/// Where each service is reached, as far as one address can say it: its first route at the first
/// listener that takes requests, or the first listener that carries connections to it.
fn reached_at(
    desired: &Desired,
    addresses: &[(Box<str>, SocketAddr)],
) -> BTreeMap<ServiceName, String> {
    let first = |tcp: Option<&ServiceName>| {
        let mut found = addresses.iter().filter(|(name, _)| carried_to(desired, name) == tcp);
        found.next().map(|&(_, addr)| connectable(addr))
    };
    let reached = |service: &Service| match service.mode {
        Mode::Http => url(service, first(None)?),
        Mode::Tcp => Some(format!("tcp://{}", first(Some(&service.name))?)),
    };
    let services = desired.services.iter();
    services.filter_map(|(name, service)| Some((name.clone(), reached(service)?))).collect()
}

/// The service that a listener carries its connections to.
fn carried_to<'a>(desired: &'a Desired, listener: &str) -> Option<&'a ServiceName> {
    desired.listeners.get(listener)?.tcp.as_ref()
}

/// The address that one can connect to from this machine.
fn connectable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        addr => addr,
    }
}

fn url(service: &Service, reached: SocketAddr) -> Option<String> {
    let route = service.routes.first()?;
    let path = route.path.trim_end_matches('/');
    Some(match &route.host {
        Some(host) => format!("http://{host}{path} at {reached}"),
        None => format!("http://{reached}{path}"),
    })
}
