//! `herder status`: services and instances as two tables, as JSON, once or again and again.
//! It only shows what the admin API tells; rendering is pure.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::admin::api::{self, Backoff, Ejection, Instance, LastProbe, PhaseWord, Scaling};
use crate::cli::table::{Align, Cell, Colour, Table};
use crate::cli::{Failure, Paint};
use crate::client::Client;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder status --watch
    herder status --json | jq '.services[].ready'";

/// Between two looks of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Lines of a crash loop that are shown; all that are kept are in the JSON.
const LAST_LINES_SHOWN: usize = 5;

/// Homes the cursor and clears what is below it.
const CLEAR: &str = "\x1b[H\x1b[J";

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Print the answer of the admin API as it is
    #[arg(long)]
    json: bool,
    /// Show it again every second, until Ctrl-C
    #[arg(long, short)]
    watch: bool,
}

/// Asks, and prints.
pub(crate) async fn show(status: &Status, client: &Client) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let clear = if status.watch && out.is_terminal() { CLEAR } else { "" };
    loop {
        let text = if status.json {
            let answer: serde_json::Value = client.get("/v1/status").await?;
            format!("{answer:#}\n")
        } else {
            render(&client.get("/v1/status").await?, Paint::stdout())
        };
        out.write_all(format!("{clear}{text}").as_bytes())?;
        out.flush()?;
        if !status.watch {
            return Ok(());
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// The status as a person reads it. The tables fit 80 columns unless names are very long.
fn render(status: &api::Status, paint: Paint) -> String {
    let mut text = heading(status, paint);
    text.push('\n');
    text.push_str(&services(status).render(paint));
    let instances = instances(status);
    if let Some(instances) = instances {
        text.push('\n');
        text.push_str(&instances.render(paint));
    }
    text
}

fn heading(status: &api::Status, paint: Paint) -> String {
    let mut text =
        format!("herder {}, pid {}, up {}", status.version, status.pid, age(status.uptime_ms));
    if let Some(file) = &status.file {
        text.push_str(&format!(", {file}"));
    }
    if status.stopping {
        text.push_str(&paint.yellow(", shutting down"));
    }
    text.push('\n');
    for listener in &status.listeners {
        text.push_str(&format!("{} {}\n", listener.name, listener.place()));
    }
    text
}

fn services(status: &api::Status) -> Table {
    let mut table = Table::new(&[
        ("SERVICE", Align::Left),
        ("READY", Align::Right),
        ("DESIRED", Align::Right),
        ("MIN", Align::Right),
        ("MAX", Align::Right),
        ("BALANCE", Align::Left),
        ("REQ/S", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
    ]);
    let none = || "-".to_owned();
    for service in &status.services {
        let traffic = service.traffic.as_ref();
        let colour: Colour = match service.ready {
            0 if service.desired > 0 => Paint::red,
            ready if ready < service.desired => Paint::yellow,
            _ => Paint::green,
        };
        table.row(vec![
            (&service.name).into(),
            Cell::painted(service.ready, colour),
            service.desired.into(),
            service.min.into(),
            service.max.into(),
            (&service.balance).into(),
            traffic.map_or_else(none, |now| format!("{:.0}", now.requests_per_second)).into(),
            traffic.and_then(|now| now.p50_ms).map_or_else(none, latency).into(),
            traffic.and_then(|now| now.p99_ms).map_or_else(none, latency).into(),
        ]);
        let (desired, reason) = (service.desired, &service.desired_reason);
        table.note(Cell::painted(format!("{desired} desired: {reason}"), Paint::dim));
        table.note(Cell::painted(format!("probe: {}", service.probe), Paint::dim));
        if let Some(affinity) = &service.affinity {
            table.note(Cell::painted(format!("affinity, a crutch: {affinity}"), Paint::yellow));
        }
        let unheeded = service.scaling.as_ref().and_then(unheeded);
        for note in unheeded.iter().chain(&service.trouble) {
            table.note(Cell::painted(note, Paint::yellow));
        }
        if let Some(errors) = traffic.map(|now| now.errors_5xx_per_second).filter(|&e| e > 0.0) {
            let note = format!("{errors:.1} requests a second are answered with 5xx");
            table.note(Cell::painted(note, Paint::red));
        }
        if let Some(tries) = traffic.and_then(further_tries) {
            table.note(Cell::painted(tries, Paint::yellow));
        }
        if service.waiting > 0 {
            let oldest = latency(service.waiting_oldest_ms.unwrap_or(0) as f64);
            let note = format!("{} requests wait, the oldest for {oldest}", service.waiting);
            table.note(Cell::painted(note, Paint::yellow));
        }
        if let Some(refused) = refused(service) {
            table.note(Cell::painted(refused, Paint::red));
        }
        if let Some(rollout) = &service.rollout {
            let (replaced, total, reason) = (rollout.replaced, rollout.total, &rollout.reason);
            let note = format!("rollout: {replaced} of {total} replaced ({reason})");
            table.note(Cell::painted(note, Paint::yellow));
        }
        if let Some(panic) = &service.panic {
            table.note(Cell::painted(format!("panic: {panic}"), Paint::red));
        }
        if let Some(backoff) = &service.backoff {
            note_backoff(&mut table, backoff);
        }
    }
    table
}

/// What the autoscaler would do, while nobody heeds it.
fn unheeded(scaling: &Scaling) -> Option<String> {
    let desired = scaling.decision.as_ref()?.desired;
    match (scaling.overruled, scaling.mode.as_str()) {
        (true, _) => Some(format!("the autoscaler would have {desired}; an operator ordered")),
        (false, "recommend") => Some(format!("the autoscaler recommends {desired}")),
        _ => None,
    }
}

/// How many are refused at the door, if any are.
fn refused(service: &api::Service) -> Option<String> {
    let percent = service.refused_percent;
    let text = || format!("admission: {percent} % of the requests are refused, too many fail");
    (percent > 0).then(text)
}

/// What is sent more than once, and what the budget kept from it.
fn further_tries(traffic: &api::Traffic) -> Option<String> {
    let all = [
        (traffic.retries_per_second, "retries"),
        (traffic.hedges_per_second, "hedges"),
        (traffic.retries_denied_per_second, "failures passed on for want of budget"),
    ];
    let some = all.iter().filter(|(rate, _)| *rate > 0.0);
    let parts: Vec<String> = some.map(|(rate, what)| format!("{rate:.1} {what}")).collect();
    (!parts.is_empty()).then(|| format!("a second: {}", parts.join(", ")))
}

fn note_backoff(table: &mut Table, backoff: &Backoff) {
    let (what, colour): (_, Colour) = match backoff.crash_loop {
        true => ("crash loop", Paint::red),
        false => ("back-off", Paint::yellow),
    };
    let failures = match backoff.failures {
        1 => "1 failure".to_owned(),
        failures => format!("{failures} failures in a row"),
    };
    let next = match backoff.retry_in_ms {
        0 => "next start now".to_owned(),
        // Rounded up, so that it never says "in 0s".
        wait => format!("next start in {}", age(wait.next_multiple_of(1000))),
    };
    table.note(Cell::painted(format!("{what}: {failures}, {next}: {}", backoff.reason), colour));
    let skipped = backoff.last_lines.len().saturating_sub(LAST_LINES_SHOWN);
    for line in &backoff.last_lines[skipped..] {
        table.note(Cell::painted(format!("  | {line}"), Paint::dim));
    }
}

fn instances(status: &api::Status) -> Option<Table> {
    let mut table = Table::new(&[
        ("INSTANCE", Align::Left),
        ("PHASE", Align::Left),
        ("SINCE", Align::Right),
        ("ADDRESS", Align::Left),
        ("PID", Align::Right),
        ("CPU", Align::Right),
        ("MEM", Align::Right),
        ("NOW", Align::Right),
        ("REQS", Align::Right),
        ("FAIL", Align::Right),
    ]);
    let none = || "-".to_owned();
    let mut instances = status.services.iter().flat_map(|service| &service.instances).peekable();
    instances.peek()?;
    for instance in instances {
        let (colour, failed): (Colour, Colour) = (
            phase_colour(instance.phase),
            if instance.failures > 0 { Paint::red } else { Paint::dim },
        );
        table.row(vec![
            (&instance.id).into(),
            Cell::painted(instance.phase.label(), colour),
            age(instance.phase_age_ms).into(),
            instance.address.as_deref().unwrap_or("-").into(),
            instance.pid.map_or_else(none, |pid| pid.to_string()).into(),
            instance.usage.and_then(|usage| usage.cpu_percent).map_or_else(none, percent).into(),
            instance.usage.map_or_else(none, |usage| size(usage.memory_bytes)).into(),
            now(instance).into(),
            short(instance.requests).into(),
            Cell::painted(short(instance.failures), failed),
        ]);
        // Why an instance is ready is no news, and would double the table.
        if instance.phase != PhaseWord::Ready {
            table.note(Cell::painted(&instance.reason, Paint::dim));
        }
        if let Some(trouble) = trouble(instance) {
            table.note(Cell::painted(format!("last probe: {trouble}"), Paint::yellow));
        }
        if instance.wants_percent == 0 {
            table.note(Cell::painted("wants no more requests", Paint::yellow));
        }
        if let Some(ejection) = &instance.ejection {
            table.note(Cell::painted(ejected(ejection), Paint::yellow));
        } else if instance.share_percent < 100 {
            let note = format!("gets {} % of its part", instance.share_percent);
            table.note(Cell::painted(note, Paint::dim));
        }
    }
    Some(table)
}

/// What is in flight, and of how many that may be.
fn now(instance: &Instance) -> String {
    match instance.in_flight_max {
        Some(most) => format!("{}/{most}", instance.in_flight),
        None => instance.in_flight.to_string(),
    }
}

/// What its last failed probe found, while that keeps it out of the pool or is the last there was.
fn trouble(instance: &Instance) -> Option<&str> {
    let last = instance.last_probe.as_ref().and_then(failure);
    last.filter(|_| instance.phase != PhaseWord::Draining).or(instance.trouble.as_deref())
}

fn failure(probe: &LastProbe) -> Option<&str> {
    probe.failure.as_deref()
}

/// What an ejection is about, and when it may end.
pub(crate) fn ejected(ejection: &Ejection) -> String {
    let why = &ejection.reason;
    match ejection.trial_in_ms {
        // Rounded up, so that it never says "in 0s".
        Some(wait) => format!("ejected, tried in {}: {why}", age(wait.next_multiple_of(1000))),
        None => format!("on trial, its next request decides: {why}"),
    }
}

fn phase_colour(phase: PhaseWord) -> Colour {
    match phase {
        PhaseWord::Ready => Paint::green,
        PhaseWord::Starting | PhaseWord::Draining => Paint::yellow,
        PhaseWord::Unready | PhaseWord::Gone => Paint::red,
    }
}

/// Three digits that matter at most: `0.42ms`, `4.2ms`, `42ms`, `4.2s`.
fn latency(ms: f64) -> String {
    match ms {
        ..1.0 => format!("{ms:.2}ms"),
        ..10.0 => format!("{ms:.1}ms"),
        ..1000.0 => format!("{ms:.0}ms"),
        _ => format!("{:.1}s", ms / 1000.0),
    }
}

fn percent(percent: u32) -> String {
    format!("{percent}%")
}

/// Three digits that matter at most, in powers of 1024: `512K`, `64M`, `1.2G`.
pub(crate) fn size(bytes: u64) -> String {
    scaled(bytes as f64 / 1024.0, 1024.0, &["K", "M", "G", "T"])
}

/// A number, of which three digits matter if it is large: `12345`, `123k`, `1.2M`.
fn short(count: u64) -> String {
    match count {
        ..100_000 => count.to_string(),
        _ => scaled(count as f64 / 1000.0, 1000.0, &["k", "M", "G", "T"]),
    }
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be rounded up to a thousand takes the next unit as well.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = usize::from(value < 9.95 && unit > 0);
    format!("{value:.digits$}{}", units[unit])
}

/// A duration in the two largest units that say something: `4s`, `3m12s`, `2h5m`, `4d2h`.
pub(crate) fn age(ms: u64) -> String {
    let s = ms / 1000;
    let (d, h, m, s) = (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m{s}s"),
        (0, _, _) => format!("{h}h{m}m"),
        _ => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{Listener, Rollout, Service, Traffic, Usage};

    fn instance(number: u32, phase: PhaseWord) -> Instance {
        Instance {
            id: format!("shop.{number}"),
            phase,
            phase_age_ms: 72_000,
            reason: "2 probes passed".to_owned(),
            trouble: None,
            last_probe: None,
            wants_percent: 100,
            generation: 1,
            address: Some("127.0.0.1:20001".to_owned()),
            pid: Some(4_194_304),
            usage: Some(Usage {
                cpu_ms: 12_345,
                cpu_percent: Some(87),
                memory_bytes: 67 << 20,
                processes: 1,
            }),
            in_flight: 12,
            in_flight_max: None,
            requests: 12_345_678,
            failures: 0,
            boot_ms: Some(300),
            in_pool: phase == PhaseWord::Ready,
            share_percent: 100,
            ejection: None,
        }
    }

    fn ejection() -> Ejection {
        Ejection {
            reason: "5 failures in a row".to_owned(),
            times: 1,
            age_ms: 2_000,
            trial_in_ms: Some(7_500),
        }
    }

    fn listener(name: &str, port: u16, tcp: Option<&str>) -> Listener {
        let address = format!("127.0.0.1:{port}");
        Listener { name: name.to_owned(), address, tcp: tcp.map(str::to_owned) }
    }

    /// Ready, and out of the pool for more than one reason.
    fn out() -> Instance {
        let failure = Some("TCP: no connection within 1s".to_owned());
        Instance {
            ejection: Some(ejection()),
            wants_percent: 0,
            last_probe: Some(LastProbe { age_ms: 120, failure }),
            ..instance(1, PhaseWord::Ready)
        }
    }

    fn status() -> api::Status {
        let starting = Instance {
            reason: "min is 2".to_owned(),
            trouble: Some("GET /healthz answered 500, and that is a long story".to_owned()),
            address: None,
            pid: None,
            usage: None,
            in_flight: 0,
            requests: 0,
            ..instance(3, PhaseWord::Starting)
        };
        api::Status {
            version: "0.1.0".to_owned(),
            pid: 4711,
            at: "2026-11-23T04:05:06.789Z".to_owned(),
            uptime_ms: 192_000,
            file: Some("herder.toml".to_owned()),
            stopping: false,
            table_version: 7,
            listeners: vec![listener("db", 5432, Some("postgres")), listener("web", 8080, None)],
            services: vec![Service {
                name: "shop".to_owned(),
                desired: 3,
                desired_reason: "scale shop 3".to_owned(),
                ready: 2,
                min: 2,
                max: 8,
                balance: "round-robin".to_owned(),
                probe: "GET /healthz".to_owned(),
                affinity: Some("clients stay with an instance by the cookie c".to_owned()),
                scaling: None,
                room: None,
                trouble: None,
                generation: 2,
                traffic: Some(Traffic {
                    requests_per_second: 1234.5,
                    errors_5xx_per_second: 0.25,
                    retries_per_second: 12.5,
                    retries_denied_per_second: 0.5,
                    hedges_per_second: 0.0,
                    p50_ms: Some(0.42),
                    p99_ms: Some(12.3),
                }),
                panic: Some("only 1 of 3 that answer are available".to_owned()),
                waiting: 3,
                waiting_oldest_ms: Some(120),
                refused_percent: 40,
                rollout: Some(Rollout { replaced: 1, total: 3, reason: "restart shop".to_owned() }),
                backoff: Some(Backoff {
                    failures: 5,
                    retry_in_ms: 12_000,
                    crash_loop: true,
                    reason: "exit code 1".to_owned(),
                    last_lines: (1..=6).map(|n| format!("line {n}")).collect(),
                }),
                instances: vec![
                    out(),
                    Instance { failures: 3, ..instance(2, PhaseWord::Draining) },
                    starting,
                ],
            }],
        }
    }

    #[test]
    fn the_whole_screen() {
        let expected = "\
herder 0.1.0, pid 4711, up 3m12s, herder.toml
db tcp://127.0.0.1:5432, carried to postgres
web http://127.0.0.1:8080

SERVICE  READY  DESIRED  MIN  MAX  BALANCE      REQ/S     P50   P99
shop         2        3    2    8  round-robin   1234  0.42ms  12ms
  3 desired: scale shop 3
  probe: GET /healthz
  affinity, a crutch: clients stay with an instance by the cookie c
  0.2 requests a second are answered with 5xx
  a second: 12.5 retries, 0.5 failures passed on for want of budget
  3 requests wait, the oldest for 120ms
  admission: 40 % of the requests are refused, too many fail
  rollout: 1 of 3 replaced (restart shop)
  panic: only 1 of 3 that answer are available
  crash loop: 5 failures in a row, next start in 12s: exit code 1
    | line 2
    | line 3
    | line 4
    | line 5
    | line 6

INSTANCE  PHASE     SINCE  ADDRESS              PID  CPU  MEM  NOW  REQS  FAIL
shop.1    ready     1m12s  127.0.0.1:20001  4194304  87%  67M   12   12M     0
  last probe: TCP: no connection within 1s
  wants no more requests
  ejected, tried in 8s: 5 failures in a row
shop.2    draining  1m12s  127.0.0.1:20001  4194304  87%  67M   12   12M     3
  2 probes passed
shop.3    starting  1m12s  -                      -    -    -    0     0     0
  min is 2
  last probe: GET /healthz answered 500, and that is a long story
";
        assert_eq!(render(&status(), Paint::Plain), expected);
    }

    #[test]
    fn it_fits_80_columns_and_colours_take_no_room() {
        let plain = render(&status(), Paint::Plain);
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
        let coloured = render(&status(), Paint::Coloured);
        let mut bare = String::new();
        for part in coloured.split('\x1b') {
            bare.push_str(
                part.strip_prefix('[')
                    .map_or(part, |rest| rest.split_once('m').map_or(rest, |(_, text)| text)),
            );
        }
        assert_eq!(bare, plain);
    }

    #[test]
    fn latencies() {
        let check = |ms, expected| assert_eq!(latency(ms), expected);
        check(0.004, "0.00ms");
        check(0.42, "0.42ms");
        check(4.25, "4.2ms");
        check(42.4, "42ms");
        check(4250.0, "4.2s");
    }

    #[test]
    fn sizes_and_numbers() {
        let check = |bytes, expected| assert_eq!(size(bytes), expected);
        check(0, "0K");
        check(5 << 10, "5K");
        check(999 << 10, "999K");
        check(1023 << 10, "1.0M");
        check(64 << 20, "64M");
        check(1_288_490_189, "1.2G");
        check(20 << 40, "20T");
        let check = |count, expected| assert_eq!(short(count), expected);
        check(99_999, "99999");
        check(123_456, "123k");
        check(999_999, "1.0M");
        check(12_345_678, "12M");
    }

    #[test]
    fn ages() {
        let check = |s: u64, expected| assert_eq!(age(s * 1000 + 999), expected);
        check(0, "0s");
        check(59, "59s");
        check(60, "1m0s");
        check(3_599, "59m59s");
        check(3_600, "1h0m");
        check(86_399, "23h59m");
        check(90_000, "1d1h");
    }
}
