//! The orders: scale, drain, restart, reload, stop; and the wait until they are carried out.
//! What "carried out" means is pure; the herd itself decides everything else.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use model::{InstanceId, ServiceName};
use tokio::time::Instant;

use crate::admin::api::{Accepted, Backoff, ScaleRequest, Service, Status};
use crate::cli::Failure;
use crate::client::{Client, Error};

pub(crate) const SCALE_EXAMPLE: &str =
    "EXAMPLE:\n    herder scale shop 4\n    herder scale shop auto";
pub(crate) const DRAIN_EXAMPLE: &str = "EXAMPLE:\n    herder drain shop.2";
pub(crate) const RESTART_EXAMPLE: &str = "EXAMPLE:\n    herder restart shop --timeout 300";
pub(crate) const RELOAD_EXAMPLE: &str = "EXAMPLE:\n    herder reload";
pub(crate) const STOP_EXAMPLE: &str = "EXAMPLE:\n    herder stop";

/// Between two looks while waiting.
const WAIT_INTERVAL: Duration = Duration::from_millis(200);

/// Clears the rest of the line after returning to its start.
const REWIND: &str = "\r\x1b[K";

/// How many instances, and whether to wait for them.
#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    /// Which service
    service: ServiceName,
    /// How many instances, from the service's min to its max; or `auto`: as many as the demand
    /// needs, again
    count: ScaleTo,
    #[command(flatten)]
    wait: Wait,
}

/// How many instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScaleTo {
    Count(u32),
    Auto,
}

impl std::str::FromStr for ScaleTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(ScaleTo::Auto),
            text => {
                let count = text.parse().map(ScaleTo::Count);
                count.map_err(|error| format!("{error}; write a whole number, or auto"))
            }
        }
    }
}

/// Which instance to replace, and whether to wait for that.
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Which instance, such as shop.2
    instance: InstanceId,
    #[command(flatten)]
    wait: Wait,
}

/// Which service to replace, and whether to wait for that.
#[derive(Debug, clap::Args)]
pub(crate) struct Restart {
    /// Which service
    service: ServiceName,
    #[command(flatten)]
    wait: Wait,
}

/// Whether to wait for the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    wait: Wait,
}

/// Whether and how long to wait until an order is carried out.
#[derive(Debug, clap::Args)]
struct Wait {
    /// Return once the order is taken, not when it is carried out
    #[arg(long)]
    no_wait: bool,
    /// How long to wait; the order stands even when that was too short
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
}

/// What has to come true.
#[derive(Clone, Debug)]
enum Goal {
    /// The service has as many ready instances as wanted, and no others.
    Settled { service: String },
    /// The instance is gone, and the service has as many ready ones as wanted.
    Gone { instance: String, service: String },
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Done(String),
    Waiting(String),
    Failed(String),
}

/// Sets a count, and waits until it is so.
pub(crate) async fn scale(scale: &Scale, client: &Client) -> Result<(), Failure> {
    let path = format!("/v1/services/{}", scale.service);
    let taken: Accepted = match scale.count {
        ScaleTo::Count(count) => {
            client.post(&format!("{path}/scale"), &ScaleRequest { count }).await?
        }
        ScaleTo::Auto => client.post(&format!("{path}/autoscale"), &()).await?,
    };
    let goal = Goal::Settled { service: scale.service.to_string() };
    finish(&scale.wait, client, taken, goal).await
}

/// Replaces one instance, and waits until it is gone.
pub(crate) async fn drain(drain: &Drain, client: &Client) -> Result<(), Failure> {
    let path = format!("/v1/instances/{}/drain", drain.instance);
    let taken: Accepted = client.post(&path, &()).await?;
    let (instance, service) = (drain.instance.to_string(), drain.instance.service.to_string());
    finish(&drain.wait, client, taken, Goal::Gone { instance, service }).await
}

/// Replaces all instances, and waits until the old ones are gone.
pub(crate) async fn restart(restart: &Restart, client: &Client) -> Result<(), Failure> {
    let path = format!("/v1/services/{}/restart", restart.service);
    let taken: Accepted = client.post(&path, &()).await?;
    let goal = Goal::Settled { service: restart.service.to_string() };
    finish(&restart.wait, client, taken, goal).await
}

/// Has the file read again. What follows from it is not waited for: it may concern all services.
pub(crate) async fn reload(client: &Client) -> Result<(), Failure> {
    let taken: Accepted = client.post("/v1/reload", &()).await?;
    Ok(writeln!(std::io::stdout(), "{}", taken.accepted)?)
}

/// Ends Herder, and waits until it no longer answers and its socket is gone.
pub(crate) async fn stop(stop: &Stop, client: &Client) -> Result<(), Failure> {
    let taken: Accepted = client.post("/v1/stop", &()).await?;
    let mut line = Line::start(&taken.accepted)?;
    if stop.wait.no_wait {
        return line.end(None);
    }
    let deadline = stop.wait.deadline();
    loop {
        match client.get::<Status>("/v1/status").await {
            Ok(status) => line.show(&remaining(&status))?,
            // Herder closes the API before the last of its work; its lock goes with the process.
            Err(_) if !lock_of(client.socket()).exists() => {
                return line.end(Some("Herder has ended"));
            }
            Err(Error::Refused(problem)) => line.show(&problem.error)?,
            Err(Error::NotRunning { .. } | Error::Broken { .. }) => {}
        }
        pause(deadline, &mut line).await?;
    }
}

fn lock_of(socket: &Path) -> std::path::PathBuf {
    crate::socket::lock_path(socket)
}

fn remaining(status: &Status) -> String {
    let left: usize = status.services.iter().map(|service| service.instances.len()).sum();
    format!("{left} {} left", if left == 1 { "instance" } else { "instances" })
}

async fn finish(wait: &Wait, client: &Client, taken: Accepted, goal: Goal) -> Result<(), Failure> {
    let mut line = Line::start(&taken.accepted)?;
    if wait.no_wait {
        return line.end(None);
    }
    let deadline = wait.deadline();
    loop {
        let status: Status = client.get("/v1/status").await?;
        match goal.progress(&status) {
            Progress::Done(text) => return line.end(Some(&text)),
            Progress::Waiting(text) => line.show(&text)?,
            Progress::Failed(text) => {
                line.end(None)?;
                return Err(Failure::new(text).hint(
                    "the order stands, and Herder goes on trying; see `herder status` and \
                     `herder journal`",
                ));
            }
        }
        pause(deadline, &mut line).await?;
    }
}

async fn pause(deadline: Instant, line: &mut Line) -> Result<(), Failure> {
    if Instant::now() >= deadline {
        line.break_off()?;
        return Err(Failure::new("not done in time").hint(
            "the order stands; see `herder status`, and wait longer next time with --timeout",
        ));
    }
    tokio::time::sleep(WAIT_INTERVAL).await;
    Ok(())
}

impl Wait {
    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.timeout)
    }
}

impl Goal {
    fn progress(&self, status: &Status) -> Progress {
        let (Goal::Settled { service } | Goal::Gone { service, .. }) = self;
        let Some(service) = status.service(service) else {
            return Progress::Failed(format!("service `{service}` was removed meanwhile"));
        };
        if status.stopping {
            return Progress::Failed("Herder is shutting down".to_owned());
        }
        let there = match self {
            Goal::Settled { .. } => settled(service),
            Goal::Gone { instance, .. } => {
                service.ready >= service.desired
                    && service.instances.iter().all(|other| other.id != *instance)
            }
        };
        // A crash loop is shown until it is forgotten; only one that holds back a start is news.
        let holds = |backoff: &&Backoff| backoff.crash_loop && backoff.retry_in_ms > 0;
        if there {
            return Progress::Done(ready(service));
        }
        if let Some(backoff) = service.backoff.as_ref().filter(holds) {
            let mut text = format!(
                "{}: crash loop, {} failures in a row: {}",
                service.name, backoff.failures, backoff.reason
            );
            for line in &backoff.last_lines {
                text.push_str(&format!("\n  | {line}"));
            }
            return Progress::Failed(text);
        }
        Progress::Waiting(counts(service))
    }
}

/// As many ready instances as wanted, of the newest generation, and no others.
pub(crate) fn settled(service: &Service) -> bool {
    let count = u32::try_from(service.instances.len()).unwrap_or(u32::MAX);
    service.rollout.is_none()
        && service.ready == service.desired
        && count == service.desired
        && service.instances.iter().all(|instance| instance.generation == service.generation)
}

fn ready(service: &Service) -> String {
    let Service { name, ready, desired, .. } = service;
    format!("{name}: {ready} of {desired} instances ready")
}

fn counts(service: &Service) -> String {
    let mut text = ready(service);
    if let Some(rollout) = &service.rollout {
        text.push_str(&format!(", {} of {} replaced", rollout.replaced, rollout.total));
    }
    for phase in ["starting", "unready", "draining"] {
        let count = service.instances.iter().filter(|inst| inst.phase.label() == phase).count();
        if count > 0 {
            text.push_str(&format!(", {count} {phase}"));
        }
    }
    if let Some(backoff) = &service.backoff {
        text.push_str(&format!(", held back: {}", backoff.reason));
    }
    text
}

/// The line of progress: rewritten in place at a terminal, one line per change elsewhere.
struct Line {
    shown: String,
    rewrite: bool,
}

impl Line {
    fn start(taken: &str) -> Result<Self, Failure> {
        writeln!(std::io::stdout(), "{taken}")?;
        Ok(Self { shown: String::new(), rewrite: std::io::stdout().is_terminal() })
    }

    fn show(&mut self, text: &str) -> Result<(), Failure> {
        if text != self.shown {
            let mut out = std::io::stdout();
            match self.rewrite {
                true => write!(out, "{REWIND}{text}")?,
                false => writeln!(out, "{text}")?,
            }
            out.flush()?;
            text.clone_into(&mut self.shown);
        }
        Ok(())
    }

    fn break_off(&mut self) -> Result<(), Failure> {
        if self.rewrite && !self.shown.is_empty() {
            writeln!(std::io::stdout())?;
            self.shown.clear();
        }
        Ok(())
    }

    fn end(mut self, text: Option<&str>) -> Result<(), Failure> {
        if let Some(text) = text {
            self.show(text)?;
        }
        self.break_off()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{Instance, PhaseWord, Rollout};

    fn instance(number: u32, phase: PhaseWord, generation: u64) -> Instance {
        Instance {
            id: format!("shop.{number}"),
            phase,
            phase_age_ms: 0,
            reason: String::new(),
            trouble: None,
            last_probe: None,
            wants_percent: 100,
            generation,
            address: None,
            pid: None,
            usage: None,
            in_flight: 0,
            in_flight_max: None,
            requests: 0,
            failures: 0,
            boot_ms: None,
            in_pool: phase == PhaseWord::Ready,
            share_percent: 100,
            ejection: None,
        }
    }

    /// A service that wants two instances of generation 2.
    fn status(instances: &[(PhaseWord, u64)]) -> Status {
        let instances: Vec<Instance> = (1..)
            .zip(instances)
            .map(|(number, &(phase, generation))| instance(number, phase, generation))
            .collect();
        let ready = instances.iter().filter(|i| i.phase == PhaseWord::Ready).count();
        Status {
            version: String::new(),
            pid: 1,
            at: String::new(),
            uptime_ms: 0,
            file: None,
            stopping: false,
            table_version: 1,
            listeners: vec![],
            services: vec![Service {
                name: "shop".to_owned(),
                desired: 2,
                desired_reason: String::new(),
                ready: u32::try_from(ready).unwrap(),
                min: 1,
                max: 8,
                balance: String::new(),
                probe: "TCP".to_owned(),
                affinity: None,
                scaling: None,
                room: None,
                trouble: None,
                generation: 2,
                traffic: None,
                waiting: 0,
                waiting_oldest_ms: None,
                refused_percent: 0,
                rollout: None,
                backoff: None,
                panic: None,
                instances,
            }],
        }
    }

    #[test]
    fn when_an_order_is_carried_out() {
        use PhaseWord::{Draining, Ready, Starting, Unready};
        let settled = Goal::Settled { service: "shop".to_owned() };
        let check = |goal: &Goal, instances: &[(PhaseWord, u64)], expected: &str| {
            let text = match goal.progress(&status(instances)) {
                Progress::Done(text) => format!("done {text}"),
                Progress::Waiting(text) => format!("waiting {text}"),
                Progress::Failed(text) => format!("failed {text}"),
            };
            assert_eq!(text, expected, "{instances:?}");
        };
        let done = "done shop: 2 of 2 instances ready";
        check(&settled, &[(Ready, 2), (Ready, 2)], done);
        check(&settled, &[], "waiting shop: 0 of 2 instances ready");
        check(&settled, &[(Ready, 2), (Ready, 1)], "waiting shop: 2 of 2 instances ready");
        let expected = "waiting shop: 2 of 2 instances ready, 1 draining";
        check(&settled, &[(Ready, 2), (Ready, 2), (Draining, 1)], expected);
        let expected = "waiting shop: 1 of 2 instances ready, 1 starting, 1 unready";
        check(&settled, &[(Ready, 2), (Starting, 2), (Unready, 1)], expected);
        let expected = "waiting shop: 3 of 2 instances ready";
        check(&settled, &[(Ready, 2), (Ready, 2), (Ready, 2)], expected);

        let gone = |number: u32| Goal::Gone {
            instance: format!("shop.{number}"),
            service: "shop".to_owned(),
        };
        check(&gone(3), &[(Ready, 2), (Ready, 2)], done);
        check(&gone(2), &[(Ready, 2), (Ready, 2)], "waiting shop: 2 of 2 instances ready");
        check(&gone(9), &[(Ready, 2)], "waiting shop: 1 of 2 instances ready");
    }

    #[test]
    fn what_ends_a_wait_early() {
        let settled = Goal::Settled { service: "shop".to_owned() };
        let check = |change: fn(&mut Status), expected: &str| {
            let mut status = status(&[]);
            change(&mut status);
            assert_eq!(settled.progress(&status), Progress::Failed(expected.to_owned()));
        };
        check(|status| status.stopping = true, "Herder is shutting down");
        check(|status| status.services.clear(), "service `shop` was removed meanwhile");
        let crash_loop = |status: &mut Status| {
            status.services[0].backoff = Some(Backoff {
                failures: 5,
                retry_in_ms: 1,
                crash_loop: true,
                reason: "exit code 1".to_owned(),
                last_lines: vec!["no such file".to_owned()],
            });
        };
        check(crash_loop, "shop: crash loop, 5 failures in a row: exit code 1\n  | no such file");
    }

    #[test]
    fn a_rollout_is_waited_for() {
        let settled = Goal::Settled { service: "shop".to_owned() };
        let mut status = status(&[(PhaseWord::Ready, 2), (PhaseWord::Ready, 2)]);
        let reason = "restart shop".to_owned();
        status.services[0].rollout = Some(Rollout { replaced: 1, total: 2, reason });
        let expected = "shop: 2 of 2 instances ready, 1 of 2 replaced".to_owned();
        assert_eq!(settled.progress(&status), Progress::Waiting(expected));
    }
}
