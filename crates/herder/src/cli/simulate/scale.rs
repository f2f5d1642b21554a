//! `herder simulate scale`: what policies would do to the clients of a service, and to its bill.
//! It starts nothing and asks nobody; the service is made up, and so is the load unless recorded.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use model::{Service, ServiceName, Source};
use scale::simulate::{Contender, Experiment, Load, Moment, Shape, Verdict, Waits, parse};

use super::{html, table};
use crate::cli::{Failure, Paint, span};
use crate::run::Input;

pub(super) const EXAMPLE: &str = "\
EXAMPLE:
    herder simulate scale --all
    herder simulate scale --shape step,spike --start-up 10s --html report.html
    herder simulate scale --trace yesterday.csv --policy target,kpa --json
    herder simulate scale --trace yesterday.csv --config herder.toml --config tomorrow.toml

TRACE:
    A line per second, or the rate from that second on: `seconds,arrivals[,service_s]`,
    such as `0,120` or `60,95.5,0.08`; a heading and lines that begin with # are passed over.";

/// The longest time that a start may take; beyond it nothing follows any demand.
const START_UP_MAX: Duration = Duration::from_secs(600);
/// A trace of 14 days, second by second, with a service time, is not longer.
const TRACE_MAX_BYTES: u64 = 64 << 20;

/// Which experiments.
#[derive(Debug, Args)]
pub(super) struct Scale {
    #[command(flatten)]
    what: Loads,
    /// A file with a policy to try, with its bounds, its calendar and its forecast, before the ones
    /// below; several times for several
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Whose policy is meant, where such a file has several services
    #[arg(long, value_name = "SERVICE", requires = "config")]
    service: Option<ServiceName>,
    /// Who decides, comma-separated: target, target-told (knows what an instance bears),
    /// target-asleep (sleeps after 5 minutes), hpa-cpu, hpa-concurrency, kpa; oracle and static
    /// know the future
    #[arg(long, value_delimiter = ',', value_parser = contender, value_name = "NAME",
          default_value = "target,hpa-cpu,hpa-concurrency,kpa,static")]
    policy: Vec<Contender>,
    /// What half of the instances take less than to become ready, comma-separated
    #[arg(long, value_delimiter = ',', value_parser = start_up, value_name = "TIME",
          default_value = "2s,30s")]
    start_up: Vec<Duration>,
    /// Numbers that decide what is by chance, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1,2,3,4,5")]
    seeds: Vec<u64>,
    /// Let requests wait inside of instances, as if nobody knew what an instance bears
    #[arg(long)]
    wait_inside: bool,
    /// Print one JSON object per experiment and line
    #[arg(long)]
    json: bool,
    /// Write a page with all tables, and a plot of the first seed of every experiment
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Loads {
    /// Every shape
    #[arg(long)]
    all: bool,
    /// These shapes, comma-separated: steady, step, spike, square, sine, ramp, diurnal,
    /// flash-crowd, on-off, brown-out, slow-calls, crash, blackout, deploy, heavy-tail, bursts; and
    /// sparse, for policies that sleep, which is not among all
    #[arg(long, value_delimiter = ',', value_parser = shape, value_name = "NAME")]
    shape: Vec<Shape>,
    /// The load recorded in this file
    #[arg(long, value_name = "FILE.csv")]
    trace: Option<PathBuf>,
}

/// One load and one start-up time, with all policies and seeds.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) start_up: Duration,
    /// By policy, in their order.
    pub(super) cells: Vec<Cells>,
}

/// What one policy did in a group.
pub(super) struct Cells {
    pub(super) policy: String,
    /// By seed, in their order.
    pub(super) verdicts: Vec<Verdict>,
    /// Of the first seed, if a plot is wanted.
    pub(super) course: Vec<Moment>,
}

/// Runs the experiments and prints a table for each load and start-up time.
pub(super) fn simulate(order: &Scale) -> Result<(), Failure> {
    let sources = order.what.sources()?;
    let mut contenders = Vec::new();
    for file in &order.config {
        contenders.push(configured(file, order.service.as_ref())?);
    }
    contenders.extend(order.policy.iter().cloned());
    let groups = run(order, &contenders, &sources);
    if let Some(path) = &order.html {
        let page = html::page(&groups, &order.seeds)?;
        fs::write(path, page).map_err(|error| {
            Failure::new(format!("could not write {}: {error}", path.display()))
        })?;
    }
    let mut out = std::io::stdout().lock();
    if order.json {
        for line in table::json(&groups, &order.seeds) {
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    Ok(writeln!(out, "{}", table::text(&groups, Paint::stdout()))?)
}

/// Where a load comes from.
enum From {
    Shape(Shape),
    Trace(Load),
}

impl Loads {
    fn sources(&self) -> Result<Vec<From>, Failure> {
        let shapes = if self.all { Shape::ALL.to_vec() } else { self.shape.clone() };
        let mut sources: Vec<From> = shapes.into_iter().map(From::Shape).collect();
        if let Some(path) = &self.trace {
            sources.push(From::Trace(read(path)?));
        }
        Ok(sources)
    }
}

fn read(path: &Path) -> Result<Load, Failure> {
    let unread = |error: &dyn std::fmt::Display| {
        Failure::new(format!("could not read {}: {error}", path.display()))
            .hint("a trace is CSV: `seconds,arrivals[,service_s]`; see `herder simulate scale -h`")
    };
    let size = fs::metadata(path).map_err(|error| unread(&error))?.len();
    if size > TRACE_MAX_BYTES {
        return Err(unread(&format!("it has {size} bytes; {TRACE_MAX_BYTES} are the most")));
    }
    let text = fs::read_to_string(path).map_err(|error| unread(&error))?;
    let name = path.file_stem().map_or("trace".into(), |name| name.to_string_lossy());
    parse(&name, &text).map_err(|error| unread(&error))
}

impl From {
    fn load(&self, seed: u64) -> Load {
        match self {
            From::Shape(shape) => shape.load(seed),
            From::Trace(load) => load.clone(),
        }
    }

    fn words(&self) -> (String, String) {
        match self {
            From::Shape(shape) => (shape.name().to_owned(), shape.about().to_owned()),
            From::Trace(load) => (load.name.clone(), format!("{} s, recorded", load.seconds.len())),
        }
    }
}

/// All experiments, as many at a time as there are processors: each is on its own.
fn run(order: &Scale, contenders: &[Contender], sources: &[From]) -> Vec<Group> {
    let mut groups = Vec::new();
    for source in sources {
        let (name, about) = source.words();
        for &start_up in &order.start_up {
            let cells = contenders.iter().map(|policy| Cells {
                policy: policy.name.clone(),
                verdicts: vec![Verdict::default(); order.seeds.len()],
                course: Vec::new(),
            });
            let (name, about) = (name.clone(), about.clone());
            groups.push(Group { name, about, start_up, cells: cells.collect() });
        }
    }
    let per_source = order.start_up.len() * order.seeds.len();
    let next = AtomicUsize::new(0);
    let groups = Mutex::new(groups);
    let work = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(source) = sources.get(number / per_source) else { return };
        let (start, seed) = (number % per_source / order.seeds.len(), number % order.seeds.len());
        let load = source.load(order.seeds[seed]);
        for (at, contender) in contenders.iter().enumerate() {
            let waits = if order.wait_inside { Waits::Inside } else { Waits::InFront };
            let (start_up, seed_of) = (order.start_up[start], order.seeds[seed]);
            let experiment = Experiment { load: &load, contender, start_up, waits, seed: seed_of };
            let course = experiment.run();
            let group = number / per_source * order.start_up.len() + start;
            let mut groups = groups.lock().expect("nobody panics who holds it");
            let cells = &mut groups[group].cells[at];
            cells.verdicts[seed] = Verdict::of(&course);
            if seed == 0 && order.html.is_some() {
                cells.course = course;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    groups.into_inner().expect("nobody panics who holds it")
}

/// The policy of a service of a file.
fn configured(file: &Path, service: Option<&ServiceName>) -> Result<Contender, Failure> {
    let desired = Input::File(file.to_owned()).load()?.desired;
    let is_meant = |it: &&Arc<Service>| {
        matches!(it.source, Source::Command(_)) && service.is_none_or(|name| it.name == *name)
    };
    let meant: Vec<&Arc<Service>> = desired.services.values().filter(is_meant).collect();
    if let [meant] = *meant.as_slice() {
        let name = file.display().to_string();
        return Ok(Contender::configured(&name, meant.autoscale.clone(), meant.scale));
    }
    let all = desired.services.values().filter(|it| matches!(it.source, Source::Command(_)));
    let names: Vec<&str> = all.map(|it| it.name.as_str()).collect();
    let names = match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let what = match service {
        Some(name) => format!("{} starts no instances of a service `{name}`", file.display()),
        None => format!("{} does not say which service is meant", file.display()),
    };
    Err(Failure::new(what).hint(format!("name one with --service; those there are: {names}")))
}

fn shape(name: &str) -> Result<Shape, String> {
    Shape::named(name).ok_or_else(|| {
        let known = Shape::ALL.map(Shape::name).join(", ");
        let sparse = Shape::Sparse.name();
        format!("there is no such shape; those there are: {known}, {sparse}")
    })
}

fn contender(name: &str) -> Result<Contender, String> {
    Contender::named(name).ok_or_else(|| {
        let known = Contender::NAMES.join(", ");
        format!("there is no such policy; those there are: {known}")
    })
}

fn start_up(text: &str) -> Result<Duration, String> {
    span::parse(text, START_UP_MAX)
}
