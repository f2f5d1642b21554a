//! `herder explain`: why a service has so many instances, or why an instance is where it is, on one
//! screen. It only arranges what status and journal tell; rendering is pure.

use std::io::Write as _;

use model::{InstanceId, ServiceName};

use crate::admin::api::{
    Instance, JournalEntry, JournalPage, Scaling, ScalingDecision, Service, Status, Usage,
};
use crate::cli::status::{age, ejected, size};
use crate::cli::table::{Align, Table};
use crate::cli::{Failure, Paint};
use crate::client::Client;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder explain shop
    herder explain shop.2 --json";

/// Journal entries that are shown of one subject.
const ENTRIES_SHOWN: usize = 10;
/// Journal entries that are asked for: all that a journal keeps at most.
const ENTRIES_ASKED: usize = 100_000;

/// What to explain.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// A service, such as shop, or an instance, such as shop.2
    what: Subject,
    /// Print what the admin API says of it, and its entries in the journal
    #[arg(long)]
    json: bool,
}

/// Whom a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Service(ServiceName),
    Instance(InstanceId),
}

impl std::str::FromStr for Subject {
    type Err = model::NameError;

    fn from_str(text: &str) -> Result<Self, model::NameError> {
        match text.contains('.') {
            true => text.parse().map(Subject::Instance),
            false => text.parse().map(Subject::Service),
        }
    }
}

/// Asks, and prints.
pub(crate) async fn show(explain: &Explain, client: &Client) -> Result<(), Failure> {
    let status: Status = client.get("/v1/status").await?;
    let page: JournalPage = client.get(&format!("/v1/journal?last={ENTRIES_ASKED}")).await?;
    let name = match &explain.what {
        Subject::Service(name) => name,
        Subject::Instance(id) => &id.service,
    };
    let service = status.service(name.as_str()).ok_or_else(|| {
        let names: Vec<&str> = status.services.iter().map(|it| it.name.as_str()).collect();
        Failure::new(format!("there is no service `{name}`"))
            .hint(format!("the services: {}", names.join(", ")))
    })?;
    let text = match &explain.what {
        Subject::Service(_) => {
            let entries = about(&page.entries, |entry| {
                entry.service.as_deref() == Some(&service.name)
                    && matches!(
                        entry.kind.as_str(),
                        "decision" | "ordered" | "backoff" | "panic" | "admission"
                    )
            });
            match explain.json {
                true => json(&serde_json::json!({ "service": service, "journal": entries })),
                false => of_service(service, &entries, Paint::stdout()),
            }
        }
        Subject::Instance(id) => {
            let id = id.to_string();
            let entries =
                about(&page.entries, |entry| entry.instance.as_deref() == Some(id.as_str()));
            let instance = service.instances.iter().find(|instance| instance.id == id);
            if instance.is_none() && entries.is_empty() {
                let ids: Vec<&str> = service.instances.iter().map(|it| it.id.as_str()).collect();
                return Err(Failure::new(format!(
                    "there is no instance `{id}`, and the journal knows nothing of it any more"
                ))
                .hint(format!(
                    "instances of {} now: {}",
                    service.name,
                    ids.join(", ")
                )));
            }
            match explain.json {
                true => json(&serde_json::json!({ "instance": instance, "journal": entries })),
                false => of_instance(&id, instance, &entries, Paint::stdout()),
            }
        }
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// The last entries of which this holds, oldest first.
fn about(entries: &[JournalEntry], is_meant: impl Fn(&JournalEntry) -> bool) -> Vec<&JournalEntry> {
    let meant: Vec<&JournalEntry> = entries.iter().filter(|entry| is_meant(entry)).collect();
    meant[meant.len().saturating_sub(ENTRIES_SHOWN)..].to_vec()
}

fn of_service(service: &Service, entries: &[&JournalEntry], paint: Paint) -> String {
    let mut text = format!(
        "{}: {} desired, {} ready, from {} to {}\n{}\n",
        service.name,
        service.desired,
        service.ready,
        service.min,
        service.max,
        paint.dim(&service.desired_reason),
    );
    if let Some(scaling) = &service.scaling {
        text.push_str(&of_scaling(service, scaling, paint));
    } else {
        text.push_str("\nIts number of instances follows nothing: it is what was configured or ");
        text.push_str("ordered.\n");
    }
    if let Some(room) = &service.room {
        text.push_str(&format!("Room: {room}.\n"));
    }
    text.push_str(&lately(entries, paint));
    text
}

/// What the autoscaler sees, what limits it, and what would change the number.
pub(crate) fn of_scaling(service: &Service, scaling: &Scaling, paint: Paint) -> String {
    let mut text = format!("\npolicy {}", scaling.policy);
    if scaling.mode == "recommend" {
        text.push_str(", which only recommends");
    }
    if scaling.overruled {
        let back = format!("herder scale {} auto", service.name);
        text.push_str(&format!(", overruled by an operator until `{back}`"));
    }
    if let Some(start_up) = scaling.start_up_ms {
        text.push_str(&format!("; a start takes {}", seconds(start_up)));
    }
    if let Some(idle_after) = scaling.idle_after_ms {
        text.push_str(&format!("; sleeps after {} without demand", age(idle_after)));
    }
    text.push('\n');
    if let Some(trouble) = &service.trouble {
        text.push_str(&format!("{}\n", paint.yellow(trouble)));
    }
    if let Some(calendar) = &scaling.calendar {
        text.push_str(&format!("calendar: {calendar}\n"));
    }
    if let Some(forecast) = &scaling.forecast {
        text.push_str(&format!("forecast: {}\n", forecast.text));
    }
    let Some(decision) = &scaling.decision else {
        text.push_str("It has not decided yet: it needs a second of data.\n");
        return text;
    };
    if !decision.signals.is_empty() {
        text.push('\n');
        text.push_str(&signals(decision).render(paint));
    }
    if !decision.limits.is_empty() {
        text.push('\n');
        text.push_str(&limits(decision).render(paint));
    }
    text.push('\n');
    text.push_str(&what_would_change_it(scaling, decision, service));
    text
}

fn signals(decision: &ScalingDecision) -> Table {
    let mut table = Table::new(&[
        ("SIGNAL", Align::Left),
        ("NOW", Align::Right),
        ("PER INSTANCE", Align::Right),
        ("INSTANCES", Align::Right),
    ]);
    let none = || "-".to_owned();
    for signal in &decision.signals {
        table.row(vec![
            (&signal.signal).into(),
            signal.value.map_or_else(none, number).into(),
            signal.per_instance.map_or_else(none, number).into(),
            signal.instances.map_or_else(none, number).into(),
        ]);
    }
    table
}

fn limits(decision: &ScalingDecision) -> Table {
    let mut table = Table::new(&[
        ("LIMITED BY", Align::Left),
        ("FROM", Align::Right),
        ("TO", Align::Right),
        ("WHY", Align::Left),
    ]);
    for limit in &decision.limits {
        table.row(vec![
            (&limit.by).into(),
            limit.from.into(),
            limit.to.into(),
            (&limit.text).into(),
        ]);
    }
    table
}

/// Where the strongest signal would change the number, and what would not let it.
fn what_would_change_it(
    scaling: &Scaling,
    decision: &ScalingDecision,
    service: &Service,
) -> String {
    if scaling.policy == "fixed" {
        return "It is min, but for what the calendar says.\n".to_owned();
    }
    let Some(turn) = &decision.turn else {
        return "Without data about the demand the number stays as it is.\n".to_owned();
    };
    // A step changes it by as many as it says.
    let is_step = scaling.policy == "step";
    let [one_more, one_fewer] = if is_step { ["More", "Fewer"] } else { ["One more", "One fewer"] };
    let (desired, name) = (decision.desired, &turn.signal);
    let more = match turn.more_above.map(number) {
        _ if desired >= service.max => format!("No more: max is {}.", service.max),
        Some(figure) if is_step => format!("{one_more} as soon as {name} is {figure}."),
        Some(figure) => format!("{one_more} as soon as {name} is above {figure}."),
        None => "No more: no step adds any.".to_owned(),
    };
    let floored = decision.limits.last().filter(|it| ["calendar", "forecast"].contains(&&*it.by));
    let fewer = match turn.fewer_below.map(number) {
        _ if floored.is_some() => format!("No fewer: {}.", floored.map_or("", |it| &it.text)),
        _ if desired <= service.min => format!("No fewer: min is {}.", service.min),
        Some(figure) => format!("{one_fewer} once {name} stays below {figure}."),
        None => "No fewer: no step takes any away.".to_owned(),
    };
    format!("{more}\n{fewer}\n")
}

fn of_instance(
    id: &str,
    instance: Option<&Instance>,
    entries: &[&JournalEntry],
    paint: Paint,
) -> String {
    let Some(it) = instance else {
        return format!("{id} is gone\n{}", lately(entries, paint));
    };
    let mut text = format!("{id}: {} for {}\n", it.phase.label(), age(it.phase_age_ms));
    text.push_str(&format!("{}\n\n", paint.dim(&it.reason)));
    let pool = if it.in_pool { "requests are sent to it" } else { "no requests are sent to it" };
    text.push_str(&format!("pool      {pool}"));
    if it.share_percent < 100 {
        text.push_str(&format!(", {} % of its part", it.share_percent));
    }
    text.push('\n');
    match it.wants_percent {
        100 => {}
        0 => text.push_str("asks for  no more requests\n"),
        percent => text.push_str(&format!("asks for  {percent} % of its part\n")),
    }
    if let Some(ejection) = &it.ejection {
        text.push_str(&format!("ejection  {}", ejected(ejection)));
        text.push_str(&format!("; {} lately\n", times(ejection.times)));
    }
    if let Some(trouble) = &it.trouble {
        text.push_str(&format!("probe     {trouble}\n"));
    }
    if let Some(boot) = it.boot_ms {
        text.push_str(&format!("start     took {}\n", seconds(boot)));
    }
    if let (Some(pid), Some(usage)) = (it.pid, &it.usage) {
        text.push_str(&format!("uses      {}\n", uses(pid, usage)));
    }
    text.push_str(&format!(
        "requests  {} in flight, {} so far, {} failed through its fault\n",
        it.in_flight, it.requests, it.failures
    ));
    text.push_str(&lately(entries, paint));
    text
}

/// Such as `87 % of a core, 67M of memory, in 2 processes (pid 4711)`.
fn uses(pid: u32, usage: &Usage) -> String {
    let cpu = usage.cpu_percent.map_or_else(String::new, |used| format!("{used} % of a core, "));
    let memory = size(usage.memory_bytes);
    let processes = match usage.processes {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    format!("{cpu}{memory} of memory, in {processes} (pid {pid})")
}

fn lately(entries: &[&JournalEntry], paint: Paint) -> String {
    let lines = entries.iter().map(|entry| format!("{}  {}\n", paint.dim(&entry.at), entry.text));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\nlately\n{lines}") }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms}ms") } else { format!("{:.1}s", ms as f64 / 1e3) }
}

/// Three digits are enough for a person.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaling(policy: &str, more_above: Option<f64>, fewer_below: Option<f64>) -> Scaling {
        let scaling = serde_json::json!({
            "policy": policy, "mode": "act", "overruled": false, "starting": 0,
            "decision": {
                "age_ms": 200, "was": 3, "desired": 3, "signals": [], "limits": [],
                "turn": {
                    "signal": "arrivals", "more_above": more_above, "fewer_below": fewer_below,
                },
            },
        });
        serde_json::from_value(scaling).unwrap()
    }

    fn service(min: u32, max: u32) -> Service {
        let service = serde_json::json!({
            "name": "shop", "desired": 3, "desired_reason": "", "ready": 3, "min": min, "max": max,
            "balance": "least-latency", "generation": 1, "instances": [],
        });
        serde_json::from_value(service).unwrap()
    }

    #[test]
    fn it_says_what_would_have_to_change() {
        let check = |scaling: &Scaling, min, max, expected: &str| {
            let decision = scaling.decision.as_ref().unwrap();
            assert_eq!(what_would_change_it(scaling, decision, &service(min, max)), expected);
        };
        let target = scaling("target", Some(216.0), Some(144.0));
        check(
            &target,
            1,
            8,
            "One more as soon as arrivals is above 216.\n\
             One fewer once arrivals stays below 144.\n",
        );
        check(&target, 3, 3, "No more: max is 3.\nNo fewer: min is 3.\n");
        let steps = scaling("step", Some(8.0), Some(2.0));
        check(
            &steps,
            1,
            8,
            "More as soon as arrivals is 8.00.\nFewer once arrivals stays below 2.00.\n",
        );
        let none = "No more: no step adds any.\nNo fewer: no step takes any away.\n";
        check(&scaling("step", None, None), 1, 8, none);
        let mut blind = target;
        blind.decision.as_mut().unwrap().turn = None;
        check(&blind, 1, 8, "Without data about the demand the number stays as it is.\n");
    }

    #[test]
    fn subjects_are_services_or_instances() {
        let read = |text: &str| text.parse::<Subject>().ok();
        assert_eq!(read("shop"), Some(Subject::Service("shop".parse().unwrap())));
        assert_eq!(read("shop.2"), Some(Subject::Instance("shop.2".parse().unwrap())));
        assert_eq!(read("shop."), None);
        assert_eq!(read("Shop"), None);
    }
}
