//! What a decision costs, by policy and number of instances, in nanoseconds on this machine.
//! It judges nothing; `cargo run --release -p scale --example tick_cost` prints a table.

use std::hint::black_box;
use std::time::{Duration, Instant};

use model::{
    Autoscale, Hpa, Kpa, Phase, ScaleMetric, ScalePolicy, ScaleStep, ScaleTarget, Step, StepChange,
    Time,
};
use scale::{Bounds, Look, Member, Memory, Sample, Window, decide};

/// A tick decides for so many.
const SERVICES: usize = 1000;
/// Seconds, each of which has a tick.
const TICKS: u64 = 60;

fn main() {
    println!("{:<10}{:>10}{:>10}{:>10}", "POLICY", 3, 30, 300);
    for (name, policy) in policies() {
        let autoscale = Autoscale { policy, ..Autoscale::fixed() };
        let costs = [3, 30, 300].map(|count| cost_ns(&autoscale, count));
        let costs = costs.map(|cost| format!("{cost:>10.0}"));
        println!("{name:<10}{}", costs.concat());
    }
    println!("a decision, in the mean of {TICKS} ticks over {SERVICES} services; a tick over them");
    println!("costs so many microseconds. Those that do not decide each second are cheap between.");
}

fn policies() -> Vec<(&'static str, ScalePolicy)> {
    let requests = (ScaleMetric::Concurrency, 7000);
    let target = ScaleTarget {
        utilisation_percent: 70,
        concurrency: Some(10),
        cpu_percent: Some(80),
        memory_percent: Some(80),
        requests_per_s: Some(100),
        latency: Some(Duration::from_secs(1)),
        latency_percent: 95,
        prometheus: None,
        tolerance_up_percent: 0,
        tolerance_down_percent: 10,
        up_percent_max: 100,
        up_count_max: 4,
        up_period: Duration::from_secs(15),
        starting_percent_max: 50,
        down_window: Duration::from_secs(120),
        down_half_life: Duration::from_secs(120),
        backlog_drain: Duration::from_secs(10),
    };
    let hpa = Hpa::as_in_kubernetes(vec![requests, (ScaleMetric::CpuPercent, 80_000)]);
    let each_second = Hpa { sync_period: Duration::from_secs(1), ..hpa.clone() };
    let step = |from: u64, to: u64, change: i32| Step {
        from_permille: from * 1000,
        to_permille: to * 1000,
        change: StepChange::Count(change),
    };
    let step = ScaleStep {
        metric: ScaleMetric::Concurrency,
        window: Duration::from_secs(60),
        cooldown: Duration::from_secs(60),
        steps: vec![step(0, 3, -1), step(7, 10, 1), step(10, 1000, 3)],
    };
    vec![
        ("fixed", ScalePolicy::Fixed),
        ("target", ScalePolicy::Target(target)),
        ("hpa", ScalePolicy::Hpa(hpa)),
        ("hpa, 1 s", ScalePolicy::Hpa(each_second)),
        ("kpa", ScalePolicy::Kpa(Kpa::as_in_knative(ScaleMetric::Concurrency))),
        ("step", ScalePolicy::Step(step)),
    ]
}

/// One service of the thousand.
struct Service {
    memory: Memory,
    window: Window,
}

fn cost_ns(autoscale: &Autoscale, count: u32) -> f64 {
    let began_at = Time::from_ms(1_000_000);
    let member = Member {
        phase: Phase::Ready,
        ordered_at: began_at,
        since: began_at,
        in_flight: 5,
        cpu: Some(0.5),
        memory: Some(0.5),
    };
    let members = vec![member; count as usize];
    let mut services: Vec<Service> = (0..SERVICES)
        .map(|_| Service {
            memory: Memory::new(autoscale, count, began_at),
            window: Window::of(autoscale),
        })
        .collect();
    // Full windows first: those are what costs.
    let mut took = Duration::ZERO;
    for s in 0..300 + TICKS {
        let now = began_at + Duration::from_secs(s);
        let all = f64::from(count) * (5.0 + (s % 7) as f64 / 2.0);
        let sample = Sample {
            at: now,
            arrivals: all,
            completions: all,
            in_flight: all,
            cpu: Some(0.5),
            memory: Some(0.5),
            ..Sample::default()
        };
        services.iter_mut().for_each(|service| service.window.push(sample));
        if s < 300 {
            continue;
        }
        let tick = Instant::now();
        for Service { memory, window } in &mut services {
            let bounds =
                Bounds { min: 1, max: 1000, room: None, share: None, calendar: 0, forecast: 0 };
            let look = Look {
                now,
                window,
                members: &members,
                start_up: Some(Duration::from_secs(2)),
                is_rolling_out: false,
                is_failing_to_start: false,
                bounds,
            };
            black_box(decide(autoscale, memory, black_box(&look)));
        }
        took += tick.elapsed();
    }
    took.as_secs_f64() * 1e9 / (SERVICES as f64 * TICKS as f64)
}
