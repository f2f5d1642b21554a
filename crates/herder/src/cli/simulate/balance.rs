//! `herder simulate balance`: what an algorithm does to clients when instances are not what they
//! should be. It starts nothing and asks nobody; the instances are made up.

use std::io::Write as _;
use std::time::Duration;

use balance::simulate::{Discipline, Ejects, Experiment, Overload, Report, Scenario, Waited};
use clap::Args;
use model::Algorithm;

use crate::cli::table::{Align, Table};
use crate::cli::{Exit, Failure, Paint};

pub(super) const EXAMPLE: &str = "\
EXAMPLE:
    herder simulate balance
    herder simulate balance --scenario slow,failing --instances 3 --length 60";

/// Most instances; more take more memory and time than an answer is worth.
const INSTANCES_MAX: u32 = 1000;
/// The longest experiment, in seconds.
const LENGTH_MAX_S: u64 = 3600;

/// Which experiments.
#[derive(Debug, Args)]
pub(super) struct Balance {
    /// What is the matter with the instances, comma-separated [default: each of equal, slow,
    /// failing, pausing, frozen, joining, overload, and queue: what waiting does under overload]
    #[arg(long, value_delimiter = ',', value_parser = matter, value_name = "NAME")]
    scenario: Vec<Matter>,
    /// Only these algorithms, comma-separated, by their names in the file [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    algorithm: Vec<String>,
    /// How many instances there are, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "3,100", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(INSTANCES_MAX)))]
    instances: Vec<u32>,
    /// Eject nobody: instances that fail keep their part of the requests
    #[arg(long)]
    without_ejection: bool,
    /// How long each experiment is, in seconds of its own time
    #[arg(long, default_value = "30", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(4..=LENGTH_MAX_S))]
    length: u64,
    /// Another number gives other moments and service times
    #[arg(long, default_value = "1", value_name = "N")]
    seed: u64,
}

/// What there is a table of.
#[derive(Clone, Copy, Debug)]
enum Matter {
    /// What the algorithms make of it.
    Instances(Scenario),
    /// What the disciplines of the queue make of too many requests.
    Queue,
}

/// The name of the scenario that is not one of the algorithms.
const QUEUE: &str = "queue";

/// Below the tables: what the columns are.
const LEGEND: &str = "\
P50, P99, P99.9  how long requests took, but for those that failed at once; one that its client gave
                 up on took 2 s; 10 ms is what one takes on an idle instance
FAILED           requests that failed, or that a client gave up on after 2 s
LEAST, MOST      what one of the sound instances got, as a part of what each of them got on average
ODD              requests that went to the instance that something is the matter with
NEW              requests that went to those that joined";

/// The same of the table of disciplines.
const LEGEND_QUEUE: &str = "\
inside           nothing is bounded: requests queue inside the instances
in-order         8 in flight at each instance; the rest waits in one line, in order, without bound
default          the same with the queue of a service as it is by default
deadline         and http.timeout_request = \"2s\", after which clients give up here
quick            as default, with target = \"50ms\" and interval = \"500ms\"
P50, P99         how long the requests took that were answered in time
REFUSED          requests that got 503; GAVE UP those whose client had no answer after 2 s
HIGH             requests of the highest class, a tenth of all, that were answered";

/// Runs the experiments and prints a table for each scenario and number of instances.
///
/// # Errors
/// When there is no algorithm of a name, or standard output is gone.
pub(super) fn simulate(order: &Balance) -> Result<(), Failure> {
    let algorithms = chosen(&order.algorithm)?;
    let matters = if order.scenario.is_empty() { all() } else { order.scenario.clone() };
    let ejects = if order.without_ejection { Ejects::Nobody } else { Ejects::Failing };
    let paint = Paint::stdout();
    let mut out = std::io::stdout().lock();
    let is_asked = |wanted: fn(&Matter) -> bool| matters.iter().any(wanted);
    for matter in &matters {
        let &Matter::Instances(scenario) = matter else {
            queue(order, paint, &mut out)?;
            continue;
        };
        for &instances in &order.instances {
            let mut table = Table::new(&COLUMNS);
            for &algorithm in &algorithms {
                let (length, seed) = (Duration::from_secs(order.length), order.seed);
                let experiment =
                    Experiment { algorithm, scenario, instances, ejects, length, seed };
                let report = experiment.run();
                table.row(cells(algorithm.name(), &report));
            }
            let heading =
                format!("{}: {}, {instances} instances", scenario.name(), scenario.about());
            writeln!(out, "{}\n{}", paint.bold(&heading), table.render(paint))?;
        }
    }
    if is_asked(|matter| matches!(matter, Matter::Instances(_))) {
        writeln!(out, "{LEGEND}")?;
    }
    if is_asked(|matter| matches!(matter, Matter::Queue)) {
        writeln!(out, "{LEGEND_QUEUE}")?;
    }
    Ok(())
}

/// The tables of the disciplines.
fn queue(order: &Balance, paint: Paint, out: &mut impl std::io::Write) -> Result<(), Failure> {
    for &instances in &order.instances {
        let mut table = Table::new(&COLUMNS_QUEUE);
        for discipline in Discipline::ALL {
            let (length, seed) = (Duration::from_secs(order.length), order.seed);
            let waited = Overload { discipline, instances, length, seed }.run();
            table.row(cells_queue(discipline.name(), &waited));
        }
        let heading = format!("{QUEUE}: {}, {instances} instances", Scenario::Overload.about());
        writeln!(out, "{}\n{}", paint.bold(&heading), table.render(paint))?;
    }
    Ok(())
}

const COLUMNS_QUEUE: [(&str, Align); 7] = [
    ("QUEUE", Align::Left),
    ("P50", Align::Right),
    ("P99", Align::Right),
    ("ANSWERED", Align::Right),
    ("REFUSED", Align::Right),
    ("GAVE UP", Align::Right),
    ("HIGH", Align::Right),
];

fn cells_queue(name: &str, waited: &Waited) -> Vec<crate::cli::table::Cell> {
    vec![
        name.into(),
        ms(waited.p50).into(),
        ms(waited.p99).into(),
        percent(waited.answered).into(),
        percent(waited.refused).into(),
        percent(waited.given_up).into(),
        percent(waited.answered_high).into(),
    ]
}

fn ms(took: Option<Duration>) -> String {
    took.map_or("-".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1e3))
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

const COLUMNS: [(&str, Align); 9] = [
    ("ALGORITHM", Align::Left),
    ("P50", Align::Right),
    ("P99", Align::Right),
    ("P99.9", Align::Right),
    ("FAILED", Align::Right),
    ("LEAST", Align::Right),
    ("MOST", Align::Right),
    ("ODD", Align::Right),
    ("NEW", Align::Right),
];

fn cells(name: &str, report: &Report) -> Vec<crate::cli::table::Cell> {
    let maybe = |part: Option<f64>| part.map_or("-".to_owned(), percent);
    vec![
        name.into(),
        ms(report.p50).into(),
        ms(report.p99).into(),
        ms(report.p999).into(),
        percent(report.failed).into(),
        format!("{:.2}", report.least).into(),
        format!("{:.2}", report.most).into(),
        maybe(report.odd).into(),
        maybe(report.new).into(),
    ]
}

fn all() -> Vec<Matter> {
    let of_instances = Scenario::ALL.into_iter().map(Matter::Instances);
    of_instances.chain([Matter::Queue]).collect()
}

fn matter(name: &str) -> Result<Matter, String> {
    if name == QUEUE {
        return Ok(Matter::Queue);
    }
    let known = || Scenario::ALL.map(Scenario::name).join(", ");
    let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    let found = found.map(Matter::Instances);
    found.ok_or_else(|| format!("there is no such scenario; those there are: {}, {QUEUE}", known()))
}

/// The algorithms of these names; all of them if none is named.
fn chosen(names: &[String]) -> Result<Vec<Algorithm>, Failure> {
    if names.is_empty() {
        return Ok(Algorithm::ALL.to_vec());
    }
    let find = |name: &String| {
        let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| {
            let known = Algorithm::ALL.map(Algorithm::name).join(", ");
            Failure::new(format!("there is no algorithm `{name}`"))
                .exit(Exit::Usage)
                .hint(format!("use {known}"))
        })
    };
    names.iter().map(find).collect()
}
