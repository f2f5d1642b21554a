//! The composition root: the only file that knows the data plane, control, telemetry and the admin
//! API, and how they are wired, started, reloaded and ended. It decides nothing about the herd.

mod announce;
pub(crate) mod files;
mod gauges;
mod input;
mod memory;
mod running;
mod secrets;
mod signals;
mod storage;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use config::Resolved;
use control::{DriverSettings, Launcher, Orphans, Record, Sink};
use model::{InstanceId, Report};
use proxy::Proxy;
use rustix::io::Errno;
use telemetry::{AccessLog, Format, Registry};

pub(crate) use input::Input;
pub(crate) use running::{End, Running};

use crate::admin::Listeners;
use crate::cli::{Exit, Failure};
use crate::history::History;
use crate::run::running::Parts;
use crate::run::secrets::Secrets;
pub(crate) use crate::run::signals::{Asked, Signals};
use crate::socket::{self, Claim};

/// The hidden subcommand that instances are started through.
pub(crate) const EXEC: &str = "__exec";

/// The hidden subcommand that outlives Herder for a moment.
pub(crate) const GUARD: &str = "__guard";

/// How a herd is run.
pub(crate) struct Options {
    /// What is run.
    pub(crate) input: Input,
    /// The socket that was named on the command line.
    pub(crate) socket: Option<PathBuf>,
    /// The read-only admin address that was named on the command line.
    pub(crate) admin: Option<AdminBind>,
    /// Where the output of instances goes.
    pub(crate) output: Sink,
    /// Where Herder's own log goes.
    pub(crate) log: Log,
    /// What to do when a service crashes again and again, and none of it was ever ready.
    pub(crate) hopeless: Hopeless,
}

/// Where Herder's own log goes, and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// As the file says.
    AsConfigured,
    /// To somebody who watches the lines of the instances as well.
    Screen,
    /// Nowhere: somebody else does the talking.
    Silent,
}

/// The read-only admin address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminBind {
    /// There is none.
    Off,
    /// This one.
    At(SocketAddr),
}

/// What to do about a service that never came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// End and say why: somebody is watching.
    GiveUp,
    /// Go on: what it waits for may come back.
    KeepTrying,
}

/// Runs a herd until it is told to end.
///
/// # Errors
/// Why it could not be started, why it was given up, or that it was killed.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let mut running = start(options).await?;
    let end = running.supervise().await;
    running.shutdown().await?;
    match end {
        End::Told(_) => Ok(()),
        End::Hopeless(why) => {
            Err(Failure::new(why).hint("run the command by itself to see what it lacks"))
        }
    }
}

/// Starts a herd.
///
/// # Errors
/// Why not; nothing is left of it then.
pub(crate) async fn start(options: Options) -> Result<Running, Failure> {
    let Resolved { desired, settings } = options.input.load()?;
    open_log(options.log, settings.log_format)?;
    let signals = Signals::listen().map_err(|error| scarce("listen to signals", &error))?;
    files::raise_limit();
    memory::give_back();
    let path = socket::path_or_default(options.socket.or_else(|| settings.admin_socket.clone()));
    let claimed = Claim::take(&path);
    let (claim, unix) = claimed.map_err(|error| Failure::new(&error).hint(error.hint()))?;
    let tcp =
        listen(options.admin.unwrap_or(settings.admin_bind.map_or(AdminBind::Off, AdminBind::At)))?;
    let workers = settings.workers.map_or_else(cores, Ok)?.get();
    let registry = Registry::new(workers, proxy::ERROR_LABELS);
    let wanted = settings.access_log.as_ref();
    let access = wanted.map(open_access).transpose()?;
    let data_plane = proxy::Settings {
        workers,
        registry: Arc::clone(&registry),
        access: access.clone(),
        access_one_in: wanted.map_or(NonZeroU32::MIN, |log| log.one_in),
        report: Arc::new(|_, _| {}),
    };
    let history = storage::history(&options.input, &settings);
    let (proxy, control) = wire(&settings, data_plane, options.output, history.as_ref())?;
    let parts = Parts {
        input: options.input,
        settings,
        hopeless: options.hopeless,
        proxy,
        control,
        registry,
        access,
        history,
        claim,
        signals,
        secrets: Secrets::draw()?,
    };
    Running::begin(parts, desired, Listeners { unix, tcp }).await
}

/// Starts the data plane and control, and ties them together: tables one way, bad news the other.
fn wire(
    settings: &config::Settings,
    data_plane: proxy::Settings,
    output: Sink,
    history: Option<&History>,
) -> Result<(Proxy, control::Running), Failure> {
    let reported_to = Arc::new(OnceLock::<control::Handle>::new());
    let reporter = Arc::clone(&reported_to);
    // No instance is known before control is there, so no report is lost.
    let report = move |id: &InstanceId, report: Report| {
        if let Some(control) = reporter.get() {
            control.report(id, report);
        }
    };
    let registry = Arc::clone(&data_plane.registry);
    let proxy = proxy::spawn(&proxy::Settings { report: Arc::new(report), ..data_plane });
    let proxy = proxy.map_err(|error| scarce("the workers", &error))?;
    let publisher = proxy.publisher();
    let control = control::spawn(control::Parts {
        publish: Box::new(move |table| publisher.publish(table)),
        record: history.map_or_else(|| -> Record { Box::new(|_| {}) }, History::recorder),
        remembered: history.map(storage::remembered).unwrap_or_default(),
        registry,
        driver: DriverSettings {
            launcher: Some(Launcher::of_self(EXEC)),
            guard: Some(Launcher::of_self(GUARD)),
            ports: settings.ports,
            output,
            lines_kept: settings.lines_max,
            orphans: Orphans::Adopt,
        },
        seed: fastrand::u64(..),
        journal_max: settings.journal_max,
    });
    let control = control.map_err(|error| scarce("control", &error))?;
    if reported_to.set(control.handle.clone()).is_err() {
        return Err(Failure::new("control was started twice; please report this"));
    }
    Ok((proxy, control))
}

/// The access log.
fn open_access(wanted: &config::AccessLog) -> Result<Arc<AccessLog>, Failure> {
    let format = match wanted.format {
        config::LogFormat::Text => Format::Text,
        config::LogFormat::Json => Format::Json,
    };
    let sink = wanted.path.clone().map_or(telemetry::Sink::Stdout, telemetry::Sink::File);
    let opened = AccessLog::open(format, sink).map_err(|error| {
        Failure::new(format!("the access log could not be opened: {error}"))
            .hint("name a file that may be written to in `log.access`, or leave it out")
    })?;
    Ok(Arc::new(opened))
}

fn open_log(log: Log, format: config::LogFormat) -> Result<(), Failure> {
    let opened = match (log, format) {
        (Log::Silent, _) => return Ok(()),
        (Log::Screen, _) => telemetry::init_screen(),
        (Log::AsConfigured, config::LogFormat::Text) => telemetry::init(Format::Text),
        (Log::AsConfigured, config::LogFormat::Json) => telemetry::init(Format::Json),
    };
    opened.map_err(|error| Failure::new(error).exit(Exit::Usage))
}

fn listen(bind: AdminBind) -> Result<Option<TcpListener>, Failure> {
    let AdminBind::At(addr) = bind else { return Ok(None) };
    let bound = TcpListener::bind(addr).map_err(|error| {
        let failure = Failure::new(format!("the admin address {addr} cannot be used: {error}"));
        failure.hint(match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another Herder may have it; give this one another with --admin ADDRESS, or none \
                 with --admin off (`ss -ltnp 'sport = :{}'` shows who has it)",
                addr.port()
            ),
            _ if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
                "raise the limit of open files: `ulimit -n`".to_owned()
            }
            _ => "give it another with --admin ADDRESS, or none with --admin off".to_owned(),
        })
    })?;
    Ok(Some(bound))
}

/// One worker per core.
fn cores() -> Result<NonZeroUsize, Failure> {
    std::thread::available_parallelism().map_err(|error| {
        Failure::new(format!("could not find out how many cores there are: {error}"))
            .hint("say how many workers there are to be, with `workers` in the file")
    })
}

/// The system gave us less than we need to start.
fn scarce(what: &str, error: &io::Error) -> Failure {
    Failure::new(format!("could not start {what}: {error}")).hint(
        "if there are too few file descriptors or processes, raise `ulimit -n` or `ulimit -u`",
    )
}
