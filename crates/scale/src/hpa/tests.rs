//! Figures of which the number of Kubernetes is known: from its documents, by hand from its source.
//! The rules that hold for every policy are tested in the crate's `tests`, not here.

use model::{Autoscale, HpaChange, Phase, ScaleMetric, ScalePolicy};

use super::*;
use crate::{Bounds, Member, Sample, Window, decide};

/// A service under an autoscaler, long after its instances were started.
struct World {
    autoscale: Autoscale,
    memory: crate::Memory,
    window: Window,
    members: Vec<Member>,
    now: Time,
    bounds: Bounds,
}

const AN_HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// One with so many instances, which are ready.
    fn new(hpa: Hpa, count: u32) -> Self {
        let now = Time::from_ms(0) + AN_HOUR;
        let autoscale = Autoscale { policy: ScalePolicy::Hpa(hpa), ..Autoscale::fixed() };
        let memory = crate::Memory::new(&autoscale, count, now);
        let window = Window::of(&autoscale);
        let bounds =
            Bounds { min: 1, max: 1000, room: None, share: None, calendar: 0, forecast: 0 };
        let mut world = Self { autoscale, memory, window, members: Vec::new(), now, bounds };
        world.members = vec![world.member(Phase::Ready, 3600, 3600, None); count as usize];
        world
    }

    /// One that was ordered so many seconds ago, and came into its phase so many seconds ago.
    fn member(&self, phase: Phase, age_s: u64, since_s: u64, used: Option<f64>) -> Member {
        let ago = |s: u64| Time::from_ms(self.now.as_ms() - s * 1000);
        let (ordered_at, since) = (ago(age_s), ago(since_s));
        Member { phase, ordered_at, since, in_flight: 0, cpu: used, memory: used }
    }

    /// The next decision after so many seconds with so many requests in flight.
    fn after(&mut self, s: u64, in_flight: f64) -> Decision {
        let at = self.now + Duration::from_secs(s);
        self.window.push(Sample { at, in_flight, ..Sample::default() });
        self.blind_after(s)
    }

    /// The next decision after so many seconds of which nothing is known.
    fn blind_after(&mut self, s: u64) -> Decision {
        self.now = self.now + Duration::from_secs(s);
        let look = Look {
            now: self.now,
            window: &self.window,
            members: &self.members,
            start_up: None,
            is_rolling_out: false,
            is_failing_to_start: false,
            bounds: self.bounds,
        };
        decide(&self.autoscale, &mut self.memory, &look)
    }

    /// A decision with each instance using so much.
    fn with_each(&mut self, used: f64) -> Decision {
        for member in &mut self.members {
            (member.cpu, member.memory) = (Some(used), Some(used));
        }
        self.after(15, 0.0)
    }

    /// The numbers of so many sync periods, wanting so many all the time.
    fn numbers(&mut self, period_s: u64, wanted: f64, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.after(period_s, wanted).desired).collect()
    }
}

fn hpa(metric: ScaleMetric, target: u64) -> Hpa {
    Hpa::as_in_kubernetes(vec![(metric, target * 1000)])
}

/// Whose metric asks for as many instances as there are requests in flight.
fn by_wish() -> Hpa {
    hpa(ScaleMetric::Concurrency, 1)
}

fn at_once(mut hpa: Hpa) -> Hpa {
    hpa.down.stabilization_window = Duration::ZERO;
    hpa
}

fn change(amount: HpaAmount, period_s: u64) -> HpaChange {
    HpaChange { amount, period: Duration::from_secs(period_s) }
}

#[test]
fn answers_a_ratio_as_kubernetes_does() {
    let check = |current: u32, ratio: f64, expected: u32| {
        let mut world = World::new(at_once(hpa(ScaleMetric::CpuPercent, 100)), current);
        assert_eq!(world.with_each(ratio).desired, expected, "{current} at {ratio} by CPU");
        let mut world = World::new(at_once(hpa(ScaleMetric::Concurrency, 10)), current);
        let in_flight = ratio * 10.0 * f64::from(current);
        assert_eq!(
            world.after(15, in_flight).desired,
            expected,
            "{current} at {ratio} by requests"
        );
    };
    check(50, 1.2, 60);
    check(10, 1.05, 10);
    // What is a tenth more is a little more than a tenth in the arithmetic of machines.
    check(10, 1.1, 11);
    check(10, 0.9, 10);
    check(10, 0.89, 9);
    check(1, 0.5, 1);
    check(3, 0.5, 2);
    check(10, 2.0, 20);
}

#[test]
fn grows_by_its_default_policies() {
    assert_eq!(World::new(by_wish(), 1).numbers(15, 100.0, 6), [5, 10, 20, 40, 80, 100]);
}

#[test]
fn shrinks_by_the_policies_of_the_documentation() {
    let mut hpa = at_once(by_wish());
    hpa.down.policies = vec![change(HpaAmount::Count(4), 60), change(HpaAmount::Percent(10), 60)];
    let numbers = World::new(hpa.clone(), 80).numbers(60, 10.0, 8);
    assert_eq!(numbers, [72, 64, 57, 51, 45, 40, 36, 32]);
    hpa.down.select = HpaSelect::Min;
    assert_eq!(World::new(hpa.clone(), 80).numbers(60, 10.0, 3), [76, 72, 68]);
    hpa.down.select = HpaSelect::Disabled;
    assert_eq!(World::new(hpa, 80).numbers(60, 10.0, 3), [80, 80, 80]);
}

#[test]
fn a_policy_counts_what_changed_within_its_period() {
    let mut hpa = by_wish();
    hpa.up.policies = vec![change(HpaAmount::Count(4), 60)];
    let numbers = World::new(hpa.clone(), 10).numbers(15, 100.0, 10);
    assert_eq!(numbers, [14, 14, 14, 14, 18, 18, 18, 18, 22, 22]);
    // Percents are of what there was when the period began.
    hpa.up.policies = vec![change(HpaAmount::Percent(50), 30)];
    assert_eq!(World::new(hpa.clone(), 10).numbers(15, 100.0, 4), [15, 15, 23, 23]);
    // Both directions count: 10, less 4 that were added, plus none that went.
    hpa.up.policies = vec![change(HpaAmount::Count(4), 60)];
    let mut world = World::new(at_once(hpa), 10);
    assert_eq!(world.after(15, 100.0).desired, 14);
    assert_eq!(world.after(15, 7.0).desired, 7);
    // 7, less 4 added, plus 7 removed, and 4 more.
    assert_eq!(world.after(15, 100.0).desired, 14);
    assert_eq!(world.after(15, 100.0).desired, 14);
}

#[test]
fn stabilises_each_direction_over_its_window() {
    let mut world = World::new(by_wish(), 10);
    assert_eq!(world.after(15, 4.0).desired, 10);
    assert_eq!(world.after(15, 6.0).limited_by(), Some(LimitedBy::Window));
    // The first number counts as asked for when the autoscaler began, 300 s ago now.
    let numbers = world.numbers(15, 2.0, 18);
    assert_eq!(numbers[..17], [10; 17]);
    assert_eq!(numbers[17], 6);
    assert_eq!(world.after(15, 2.0).desired, 6);
    assert_eq!(world.after(15, 2.0).desired, 2);

    let mut hpa = by_wish();
    hpa.up.stabilization_window = Duration::from_secs(60);
    let mut world = World::new(hpa, 3);
    assert_eq!(world.numbers(15, 9.0, 3), [3, 3, 3]);
    // Once nothing lower is within a minute; of what is, the least.
    assert_eq!(world.after(15, 5.0).desired, 5);
    assert_eq!(world.after(15, 9.0).desired, 5);
}

#[test]
fn decides_once_in_a_sync_period() {
    let mut world = World::new(by_wish(), 1);
    assert_eq!(world.after(1, 100.0).desired, 5);
    let next = world.after(1, 100.0);
    assert_eq!((next.was, next.desired), (5, 5));
    assert_eq!(next.limited_by(), Some(LimitedBy::Rate), "what it said holds, and why");
    assert_eq!(world.after(13, 100.0).desired, 5);
    assert_eq!(world.after(1, 100.0).desired, 10);
    world.memory.set(7);
    assert_eq!(world.after(14, 100.0).desired, 7, "an operator's number stays until the next time");
    // From 7, of which it has added none in the last 15 s.
    assert_eq!(world.after(1, 100.0).desired, 14);
}

#[test]
fn what_is_not_obeyed_has_not_changed_anything() {
    let mut world = World::new(by_wish(), 4);
    for second in 0..60 {
        assert_eq!(world.after(1, 100.0).desired, 8, "second {second}");
        world.memory.was_unheeded(4);
    }
}

#[test]
fn what_was_held_is_not_made_up_for_before_the_next_sync() {
    let mut world = World::new(at_once(by_wish()), 10);
    assert_eq!(world.after(1, 10.0).desired, 10);
    assert_eq!(world.after(5, 4.0).desired, 10);
    let held = world.blind_after(10);
    assert_eq!((held.desired, held.limited_by()), (10, Some(LimitedBy::Missing)));
    assert_eq!(world.after(1, 4.0).desired, 10);
    assert_eq!(world.after(14, 4.0).desired, 4);
}

#[test]
fn applies_min_and_max_as_kubernetes_does() {
    let mut world = World::new(by_wish(), 10);
    world.bounds.max = 12;
    let decision = world.after(15, 100.0);
    assert_eq!((decision.desired, decision.limited_by()), (12, Some(LimitedBy::Max)));
    // Too many or too few: at once, whatever the metrics and policies say.
    world.bounds.max = 3;
    assert_eq!(world.after(15, 100.0).desired, 3);
    world.bounds = Bounds { min: 40, max: 50, room: None, share: None, calendar: 0, forecast: 0 };
    assert_eq!(world.after(15, 1.0).desired, 40);
}

#[test]
fn counts_instances_as_kubernetes_groups_pods() {
    let check = |metric, members: &[(Phase, u64, u64, Option<f64>)], expected: u32, why: &str| {
        let mut world = World::new(at_once(hpa(metric, 50)), u32::try_from(members.len()).unwrap());
        // The decision is 15 s from now.
        world.now = world.now + Duration::from_secs(15);
        world.members = members
            .iter()
            .map(|&(phase, age_s, since_s, used)| world.member(phase, age_s, since_s, used))
            .collect();
        world.now = Time::from_ms(world.now.as_ms() - 15_000);
        assert_eq!(world.after(15, 0.0).desired, expected, "{metric:?}: {why}");
    };
    let ready = |used| (Phase::Ready, 3600, 3600, used);
    let starting = |used| (Phase::Starting, 20, 20, used);
    let (cpu, memory) = (ScaleMetric::CpuPercent, ScaleMetric::MemoryPercent);
    let half = Some(0.5);

    check(
        cpu,
        &[ready(Some(1.0)), ready(Some(0.8))],
        4,
        "90 of 50 per cent, times two, rounded up",
    );
    check(cpu, &[ready(Some(0.6)); 2], 3, "60 of 50 per cent, times two, rounded up");
    let young = [ready(Some(0.6)), ready(Some(0.6)), starting(None), starting(None)];
    check(cpu, &young, 4, "what starts uses nothing yet: 30 per cent would be fewer, so none");
    let young = [ready(Some(1.0)), ready(Some(1.0)), starting(None)];
    check(cpu, &young, 4, "66 of 50 per cent, times three, rounded up");
    let missing = [ready(Some(0.1)), ready(Some(0.1)), ready(Some(0.1)), ready(None)];
    check(cpu, &missing, 3, "down, what is missing uses all: 32 of 50 per cent, times four");
    let missing = [ready(Some(1.0)), ready(Some(1.0)), ready(None), ready(None)];
    check(cpu, &missing, 4, "up, what is missing uses nothing: 50 of 50 per cent");
    let missing = [ready(Some(0.7)), ready(Some(0.7)), ready(Some(0.7)), ready(None)];
    check(cpu, &missing, 4, "which is 52 of 50 per cent, and tolerated");
    check(cpu, &[ready(half), ready(half), ready(None)], 3, "as many as there are, of those known");
    check(cpu, &[ready(None), starting(half)], 2, "nothing is known");

    let just_ready = (Phase::Ready, 60, 14, Some(1.0));
    check(cpu, &[ready(half), just_ready], 2, "no whole measurement since it is ready");
    check(cpu, &[ready(half), (Phase::Ready, 60, 15, Some(1.0))], 3, "75 of 50 per cent");
    check(
        cpu,
        &[ready(half), (Phase::Ready, 300, 1, Some(1.0))],
        3,
        "its first 5 minutes are over",
    );
    let unready = |age_s, since_s| (Phase::Unready, age_s, since_s, Some(1.0));
    check(cpu, &[ready(half), unready(299, 100)], 2, "unready within its first 5 minutes");
    check(cpu, &[ready(half), unready(400, 100)], 3, "later it counts: it was ready once");
    check(cpu, &[ready(half), unready(400, 371)], 2, "or only in its first 30 s, which is never");
    check(cpu, &[ready(half), unready(400, 370)], 3, "or in its 31st");
    check(cpu, &[ready(half), (Phase::Starting, 900, 900, Some(1.0))], 2, "it was never ready");
    check(memory, &[ready(half), (Phase::Starting, 9, 9, Some(1.0))], 3, "of memory all counts");
    let draining = (Phase::Draining, 3600, 3600, Some(1.0));
    check(memory, &[ready(half), ready(half), draining], 3, "one that goes is nothing to it");
}

#[test]
fn of_several_metrics_the_largest_counts_and_all_must_agree_to_fewer() {
    let two = |first, second| {
        let mut hpa = at_once(hpa(first, 1));
        hpa.metrics.push((second, 50_000));
        World::new(hpa, 10)
    };
    let (requests, cpu) = (ScaleMetric::Concurrency, ScaleMetric::CpuPercent);
    let mut world = two(requests, cpu);
    world.members.iter_mut().for_each(|member| member.cpu = Some(0.3));
    let decision = world.after(15, 3.0);
    assert_eq!(decision.desired, 6);
    assert_eq!(
        decision.asked.iter().map(|asked| asked.wants).collect::<Vec<_>>(),
        [Some(3.0), Some(6.0)]
    );
    let mut world = two(requests, cpu);
    let decision = world.after(15, 3.0);
    assert_eq!((decision.desired, decision.limited_by()), (10, Some(LimitedBy::Missing)));
    assert_eq!(world.after(15, 12.0).desired, 12, "more is more, whatever is missing");
}

#[test]
fn compares_how_long_requests_wait() {
    let mut world = World::new(hpa(ScaleMetric::QueueTimeMs, 100), 4);
    let mut wait = |ms: u64| {
        world.now = world.now + Duration::from_secs(15);
        let queue_time = Some(Duration::from_millis(ms));
        world.window.push(Sample { at: world.now, queue_time, ..Sample::default() });
        world.now = world.now + Duration::from_millis(1);
        let look = Look {
            now: world.now,
            window: &world.window,
            members: &world.members,
            start_up: None,
            is_rolling_out: false,
            is_failing_to_start: false,
            bounds: world.bounds,
        };
        decide(&world.autoscale, &mut world.memory, &look).desired
    };
    assert_eq!(wait(105), 4);
    assert_eq!(wait(130), 6);
}

#[test]
fn tolerates_by_direction() {
    let mut hpa = at_once(hpa(ScaleMetric::CpuPercent, 100));
    (hpa.up.tolerance_permille, hpa.down.tolerance_permille) = (0, 500);
    assert_eq!(World::new(hpa.clone(), 10).with_each(1.01).desired, 11);
    assert_eq!(World::new(hpa.clone(), 10).with_each(0.5).desired, 10);
    // Whole percents are compared: this is one of one.
    let mut exact = hpa.clone();
    exact.metrics = vec![(ScaleMetric::CpuPercent, 70_000)];
    assert_eq!(World::new(exact, 10).with_each(0.709).desired, 10);
    let decision = World::new(hpa, 10).with_each(0.49);
    assert_eq!((decision.desired, decision.limits), (5, Vec::new()));
}

/// The figures by which Kubernetes tests its calculator; instances use thousandths of all.
#[test]
fn agrees_with_what_kubernetes_expects_of_itself() {
    use Phase::{Draining, Ready, Starting};
    type Uses<'a> = &'a [(Phase, Option<u32>)];
    let check = |metric, target, current: u32, uses: Uses<'_>, expected: u32| {
        let mut world = World::new(at_once(hpa(metric, target)), current);
        let member = |&(phase, used): &(Phase, Option<u32>)| {
            let age_s = if phase == Starting { 60 } else { 3600 };
            world.member(phase, age_s, age_s, used.map(|used| f64::from(used) / 1000.0))
        };
        world.members = uses.iter().map(member).collect();
        let desired = world.after(15, 0.0).desired;
        assert_eq!(desired, expected, "{metric:?} {uses:?} of {target} per cent");
    };
    let (cpu, memory) = (ScaleMetric::CpuPercent, ScaleMetric::MemoryPercent);
    let ready = |used| (Ready, Some(used));
    let young = |used| (Starting, Some(used));
    let gone = (Draining, None);
    let unknown = (Ready, None);

    check(cpu, 30, 3, &[ready(300), ready(500), ready(700)], 5);
    check(cpu, 30, 3, &[young(300), ready(500), ready(700)], 4);
    check(cpu, 30, 3, &[ready(400), young(500), young(700)], 3);
    check(cpu, 30, 2, &[ready(500), ready(700), gone, gone], 4);
    // Of another metric than the processor, what starts counts like the rest.
    check(memory, 15, 3, &[ready(500), ready(100), young(300)], 6);
    check(memory, 15, 3, &[young(500), ready(150), young(300)], 7);
    let five = [100, 300, 500, 250, 250];
    check(cpu, 50, 5, &five.map(ready), 3);
    let [a, b, c, d, e] = five;
    check(cpu, 50, 5, &[ready(a), ready(b), ready(c), young(d), young(e)], 2);
    let waiting = (Starting, None);
    check(cpu, 50, 5, &[ready(100), waiting, waiting, waiting, waiting], 1);
    check(cpu, 100, 3, &[ready(1010), ready(1030), ready(1020)], 3);
    check(cpu, 100, 4, &[ready(400), ready(95), unknown, unknown], 3);
    check(cpu, 100, 2, &[ready(1000), unknown], 2);
    check(cpu, 100, 2, &[ready(1900), unknown], 2);
    check(cpu, 100, 2, &[ready(600), unknown], 2);
    check(cpu, 50, 3, &[young(100), ready(450), unknown], 3);
    check(cpu, 50, 3, &[young(100), ready(2000), unknown], 4);
    check(cpu, 50, 4, &[young(100), ready(100), ready(100), unknown], 3);
    // While they are replaced there is one more than desired, and nothing known of it.
    check(cpu, 50, 2, &[ready(100), ready(100), unknown], 2);

    let check = |target_permille, current: u32, all: f64, expected: u32| {
        let hpa = Hpa::as_in_kubernetes(vec![(ScaleMetric::Concurrency, target_permille)]);
        let desired = World::new(at_once(hpa), current).after(15, all).desired;
        assert_eq!(desired, expected, "{all} at {target_permille} thousandths each");
    };
    check(2150, 3, 8.6, 4);
    check(5000, 3, 20.0, 4);
    check(2000, 5, 6.0, 3);
    check(2867, 5, 8.6, 3);
    check(5000, 4, 20.166, 4);
    check(2900, 3, 8.6, 3);
}
