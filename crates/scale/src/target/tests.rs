//! What the policy does with one thing at a time; what it is worth all in all, `simulate` judges.
//! A made-up second is whole: as many are answered as come, each in the time it takes.

use std::time::Duration;

use model::{Autoscale, Phase, PrometheusQuery, ScalePolicy, ScaleTarget, Time};

use crate::{Bounds, Decision, LimitedBy, Look, Member, Memory, Sample, Signal, Window, decide};

/// A service whose instances answer whatever comes, in a time that is given.
struct Service {
    autoscale: Autoscale,
    memory: Memory,
    window: Window,
    now: Time,
    ready: u32,
    service_s: f64,
    cpu: Option<f64>,
    queued: f64,
    latency: Option<Duration>,
    prometheus: Option<f64>,
}

impl Service {
    fn new(policy: ScaleTarget, ready: u32) -> Self {
        let policy = ScalePolicy::Target(policy);
        let autoscale = Autoscale { policy, ..Autoscale::fixed() };
        let now = Time::from_ms(1_000_000);
        Self {
            memory: Memory::new(&autoscale, ready, now),
            window: Window::of(&autoscale),
            autoscale,
            now,
            ready,
            service_s: 0.4,
            cpu: None,
            queued: 0.0,
            latency: None,
            prometheus: None,
        }
    }

    fn told() -> ScaleTarget {
        ScaleTarget { concurrency: Some(8), ..ScaleTarget::default() }
    }

    /// One second in which so many come and, if the instances manage, are answered.
    fn second(&mut self, arrivals: f64, answered: f64) -> Decision {
        self.now = self.now + Duration::from_secs(1);
        self.window.push(Sample {
            at: self.now,
            arrivals,
            completions: answered,
            in_flight: answered * self.service_s,
            queued: self.queued,
            queue_time: None,
            latency: self.latency,
            cpu: self.cpu,
            memory: None,
            prometheus: self.prometheus,
        });
        let member = Member {
            phase: Phase::Ready,
            ordered_at: Time::default(),
            since: Time::default(),
            in_flight: u32::from(arrivals > 0.0),
            cpu: self.cpu,
            memory: None,
        };
        let members = vec![member; usize::try_from(self.ready).unwrap()];
        let look = Look {
            now: self.now,
            window: &self.window,
            members: &members,
            start_up: Some(Duration::from_secs(2)),
            is_rolling_out: false,
            is_failing_to_start: false,
            bounds: Bounds { min: 1, max: 100, room: None, share: None, calendar: 0, forecast: 0 },
        };
        decide(&self.autoscale, &mut self.memory, &look)
    }

    /// As many seconds; what was ordered is there in the next one.
    fn seconds(&mut self, count: u32, arrivals: f64) -> Decision {
        let mut decision = self.second(arrivals, arrivals);
        for _ in 1..count {
            self.ready = decision.desired;
            decision = self.second(arrivals, arrivals);
        }
        self.ready = decision.desired;
        decision
    }

    fn limited_by(decision: &Decision, by: LimitedBy) -> bool {
        decision.limits.iter().any(|limit| limit.by == by)
    }
}

/// 28 a second are two instances; 280 are twenty, of which 90 % is what two seconds are sure of.
#[test]
fn a_step_of_ten_times_is_ordered_within_two_seconds() {
    for start in [1.0, 28.0, 100.0] {
        let mut service = Service::new(Service::told(), 2);
        let was = service.seconds(120, start).desired;
        service.second(start * 10.0, start * 10.0);
        let decision = service.second(start * 10.0, start * 10.0);
        let needed = start * 10.0 * 0.4 / 5.6;
        assert!(f64::from(decision.desired) >= needed * 0.75, "{start}: {was} {decision:?}");
    }
}

/// A second with a third more is noise, a minute with a third more is demand.
#[test]
fn one_busy_second_orders_nothing() {
    let mut service = Service::new(Service::told(), 8);
    let was = service.seconds(120, 100.0).desired;
    assert_eq!(service.second(135.0, 135.0).desired, was);
    assert_eq!(service.seconds(30, 100.0).desired, was);
    assert!(service.seconds(60, 135.0).desired > was);
}

/// From 10 to 20 instances within a minute, with 30 s for a start: what is ordered is more than
/// what is needed now.
#[test]
fn a_slope_is_followed_to_the_end_of_a_start() {
    let mut service = Service::new(Service::told(), 10);
    service.seconds(60, 140.0);
    let mut last = service.seconds(1, 140.0);
    for second in 0..60 {
        let rate = 140.0 + 2.0 * f64::from(second);
        last = service.seconds(1, rate);
    }
    let arrivals = last.asked.iter().find(|asked| asked.signal == Signal::Arrivals).unwrap();
    // It is 258 at the end, and 262 two seconds later; the mean of the minute is 199.
    let value = arrivals.value.unwrap();
    assert!((250.0..270.0).contains(&value), "{value}");
}

fn learned(service: &mut Service) -> f64 {
    service.seconds(120, 100.0);
    let decision = service.second(100.0, 100.0);
    let asked = decision.asked.iter().find(|asked| asked.signal == Signal::InFlight).unwrap();
    asked.target / 0.7
}

/// 100 requests of 0.4 s are 40 in flight at 5 instances.
#[test]
fn what_an_instance_bears_is_learned() {
    let fixed = ScaleTarget {
        down_window: Duration::from_secs(3600),
        up_count_max: 0,
        up_percent_max: 0,
        ..ScaleTarget::default()
    };
    // Nothing is known.
    let mut service = Service::new(fixed.clone(), 5);
    assert!((learned(&mut service) - 10.0).abs() < 0.01);
    // Half of the processor is used by 8: it bears 16.
    let mut held = Service::new(fixed, 5);
    held.cpu = Some(0.5);
    assert!((learned(&mut held) - 16.0).abs() < 0.5);
    // Others wait in front while each has 8: it is given no more, whatever the processor says.
    held.queued = 50.0;
    assert!((learned(&mut held) - 8.0).abs() < 0.5);
}

/// What an instance answers does not grow any more while four times as many are in flight.
#[test]
fn where_throughput_ends_is_a_limit_without_any_other_figure() {
    let fixed = ScaleTarget {
        down_window: Duration::from_secs(3600),
        up_count_max: 0,
        up_percent_max: 0,
        ..ScaleTarget::default()
    };
    let mut service = Service::new(fixed, 5);
    service.seconds(60, 100.0);
    service.service_s = 1.6;
    for _ in 0..120 {
        service.second(100.0, 100.0);
    }
    // What was seen at best is forgotten slowly.
    let bears = learned(&mut service);
    assert!((7.5..10.0).contains(&bears), "{bears}");
}

/// Requests take five times as long, the processor has less to do.
#[test]
fn a_brown_out_is_capped_until_more_instances_prove_that_they_help() {
    let slow = |cpu| {
        let mut service = Service::new(Service::told(), 10);
        service.cpu = Some(0.6);
        service.seconds(300, 140.0);
        (service.service_s, service.cpu) = (2.0, Some(cpu));
        service
    };
    // Ten instances have 80 places: 40 are answered a second, and it stays at that.
    let mut service = slow(0.15);
    service.queued = 100.0;
    let mut decision = service.second(140.0, 40.0);
    for _ in 0..150 {
        service.ready = decision.desired;
        decision = service.second(140.0, 40.0);
    }
    assert!(Service::limited_by(&decision, LimitedBy::Brownout), "{decision:?}");
    assert!((10..=30).contains(&decision.desired), "{decision:?}");
    // Nothing is answered any more, as when all of them wait for one lock.
    let capped = decision.desired;
    for _ in 0..30 {
        service.ready = decision.desired;
        decision = service.second(140.0, 0.0);
    }
    assert_eq!(decision.desired, capped, "{decision:?}");
    // Each has its places, and answers as many as they give: more of them do help.
    let mut service = slow(0.15);
    for _ in 0..240 {
        let answered = f64::from(service.ready) * 4.0;
        service.ready = service.second(140.0, answered.min(140.0)).desired;
    }
    assert!(service.ready >= 30, "{}", service.ready);
    // Nobody waits for a place: as many as are needed are known, and nothing has to be proved.
    let mut service = slow(0.15);
    for _ in 0..60 {
        service.ready = service.second(35.0, 35.0).desired;
    }
    let decision = service.second(35.0, 35.0);
    assert!(!Service::limited_by(&decision, LimitedBy::Brownout), "{decision:?}");
    // The processor is what they wait for.
    let mut service = slow(0.95);
    let decision = service.seconds(30, 40.0);
    assert!(!Service::limited_by(&decision, LimitedBy::Brownout), "{decision:?}");
}

/// Demand that comes back every 80 s is waited for after the second time.
#[test]
fn a_wrong_guess_makes_it_wait_longer() {
    let mut service = Service::new(Service::told(), 10);
    service.seconds(60, 140.0);
    let mut lowest = Vec::new();
    for _ in 0..8 {
        lowest.push((0..80).map(|_| service.seconds(1, 28.0).desired).min().unwrap());
        service.seconds(40, 140.0);
    }
    assert!(lowest[0] <= 5, "{lowest:?}");
    assert!(lowest[5..].iter().all(|&lowest| lowest >= 9), "{lowest:?}");
}

/// The objective is missed by far. Where requests wait for each other more instances help, where
/// they take as long by themselves nothing does.
#[test]
fn a_latency_objective_limits_the_utilisation() {
    let objective = ScaleTarget { latency: Some(Duration::from_secs(1)), ..Service::told() };
    let run = |latency_s| {
        let mut service = Service::new(objective.clone(), 10);
        service.latency = Some(Duration::from_secs(latency_s));
        service.seconds(300, 140.0).desired
    };
    let (met, waits) = (run(0), run(5));
    assert!(waits > met && waits <= met * 2 + 1, "{met} {waits}");
    let mut service = Service::new(objective.clone(), 10);
    (service.service_s, service.latency) = (2.0, Some(Duration::from_secs(3)));
    let slow = service.seconds(300, 28.0).desired;
    assert_eq!(slow, 10, "28 requests of 2 s are 56 in flight, of 5.6 each");
}

/// 500 of which each instance is there for 100, beside next to no requests.
#[test]
fn what_a_prometheus_says_counts_and_what_it_does_not_say_takes_nothing_away() {
    let query = PrometheusQuery {
        authority: "127.0.0.1:9090".into(),
        prefix: "".into(),
        query: "sum(jobs)".into(),
        target_permille: 100_000,
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(5),
    };
    let policy = ScaleTarget { prometheus: Some(Box::new(query)), ..Service::told() };
    let mut service = Service::new(policy, 1);
    service.prometheus = Some(500.0);
    assert_eq!(service.seconds(60, 1.0).desired, 5);
    service.prometheus = None;
    let decision = service.seconds(600, 1.0);
    assert_eq!(decision.desired, 5);
    assert_eq!(decision.limited_by(), Some(LimitedBy::Missing));
    service.prometheus = Some(0.0);
    assert_eq!(service.seconds(300, 1.0).desired, 1);
    // Nothing is asked of Herder, and something is to be done all the same.
    service.autoscale.idle_after = Some(Duration::from_secs(30));
    service.prometheus = Some(1.0);
    assert_eq!(service.seconds(120, 0.0).desired, 1);
    service.prometheus = None;
    assert_eq!(service.seconds(120, 0.0).desired, 1);
    service.prometheus = Some(0.0);
    assert_eq!(service.seconds(120, 0.0).desired, 0);
    service.prometheus = Some(300.0);
    assert_eq!(service.seconds(10, 0.0).desired, 3);
}

/// Nine tenths of the processor are used where seven are to be: five more of twenty.
#[test]
fn the_largest_signal_counts_upward_and_all_have_to_agree_downward() {
    let policy = ScaleTarget { cpu_percent: Some(70), ..Service::told() };
    let mut service = Service::new(policy, 20);
    service.cpu = Some(0.9);
    let decision = service.second(28.0, 28.0);
    assert_eq!(decision.desired, 26);
    let mut service = Service::new(ScaleTarget { cpu_percent: Some(70), ..Service::told() }, 20);
    service.cpu = Some(0.68);
    assert_eq!(service.seconds(600, 28.0).desired, 20, "requests alone need two");
    service.cpu = None;
    assert_eq!(service.seconds(600, 28.0).desired, 20);
    service.cpu = Some(0.01);
    assert_eq!(service.seconds(600, 28.0).desired, 2);
}
