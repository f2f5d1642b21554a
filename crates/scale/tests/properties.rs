//! What holds for decisions whatever comes, by policy: where one is left out, a comment says why.
//! `PROPTEST_CASES=10000 cargo test --release -p scale --test properties` tries harder.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use model::{Autoscale, HpaAmount, ScaleMetric, ScalePolicy, Time};
use proptest::prelude::*;
use scale::{Bounds, Decision};

use made::autoscale;
use world::{Load, Tick, World};

#[path = "properties/made.rs"]
mod made;
#[path = "properties/odd.rs"]
mod odd;
#[path = "properties/world.rs"]
mod world;

/// Few where time is short; as many as `PROPTEST_CASES` says where it is not.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let few = std::env::var_os("PROPTEST_CASES").is_none();
    ProptestConfig { cases: if few { 64 } else { default.cases }, ..default }
}

/// A multiple of every period, so that what is counted in whole ticks begins with one.
fn begin() -> Time {
    Time::from_ms(1_800_000_000)
}

fn numbers(ticks: &[Tick]) -> Vec<u32> {
    ticks.iter().map(|tick| tick.decision.desired).collect()
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let room = proptest::option::of(0..60_u32);
    let floor = 0..60_u32;
    (0..20_u32, 0..40_u32, room, floor.clone(), floor).prop_map(|(min, more, room, a, b)| Bounds {
        min,
        max: min + more,
        room,
        share: None,
        calendar: a,
        forecast: b,
    })
}

/// How long a number stays that was reached.
fn stays_for(autoscale: &Autoscale, start_up: Duration) -> Duration {
    match &autoscale.policy {
        ScalePolicy::Fixed => Duration::MAX,
        ScalePolicy::Target(policy) => policy.down_window.max(start_up.mul_f64(1.5)),
        ScalePolicy::Hpa(policy) => policy.down.stabilization_window,
        // It counts whole ticks, and that of the number itself is one of them.
        ScalePolicy::Kpa(policy) => policy.scale_down_delay.saturating_sub(policy.tick),
        ScalePolicy::Step(policy) => policy.cooldown,
    }
}

/// How long nothing goes after a restart.
fn spared_for(autoscale: &Autoscale, start_up: Duration) -> Duration {
    match &autoscale.policy {
        ScalePolicy::Kpa(policy) => policy.stable_window,
        ScalePolicy::Step(policy) => policy.window,
        _ => stays_for(autoscale, start_up),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn stays_within_its_bounds(
        autoscale in prop_oneof![made::policy(), odd::policy()],
        loads in proptest::collection::vec(odd::load(), 1..60),
        bounds in bounds(),
        count in 0..80_u32,
    ) {
        let mut world = World::new(&autoscale, count, begin());
        world.bounds = bounds;
        for tick in world.run(&loads) {
            let desired = tick.decision.desired;
            prop_assert!(desired <= bounds.max, "{desired} of at most {}", bounds.max);
            let least = bounds.min.min(bounds.room.unwrap_or(u32::MAX));
            prop_assert!(desired >= least, "{desired} of at least {least}");
        }
    }

    /// It is a total function, and what it says adds up.
    #[test]
    fn decides_whatever_it_is_given(
        autoscale in odd::policy(),
        loads in proptest::collection::vec(odd::load(), 1..40),
        count in prop_oneof![Just(u32::MAX), Just(0), 0..50_u32],
        now in prop_oneof![Just(0), Just(u64::MAX - 20_000), any::<u64>()],
    ) {
        let mut world = World::new(&autoscale, count.min(50), Time::from_ms(now));
        world.memory.set(count);
        world.bounds.max = u32::MAX;
        for tick in world.run(&loads) {
            let Decision { was, desired, limits, .. } = tick.decision;
            let mut at = limits.first().map_or(desired, |limit| limit.from);
            for limit in &limits {
                prop_assert_eq!(limit.from, at);
                prop_assert!(limit.to != limit.from);
                at = limit.to;
            }
            prop_assert_eq!(at, desired, "from {}", was);
        }
    }

    /// Not for steps: two of them can lead to and fro forever. Nor for Kubernetes' policy by the
    /// processor: it compares whole percents and leaves young instances out, so that without a
    /// tolerance it comes back for what it rounded and left out.
    #[test]
    fn settles_at_a_fixed_load(
        autoscale in made::aiming().prop_map(|mut autoscale| {
            if let ScalePolicy::Hpa(hpa) = &mut autoscale.policy {
                let is_whole = |metric| {
                    matches!(metric, ScaleMetric::CpuPercent | ScaleMetric::MemoryPercent)
                };
                hpa.metrics.retain(|&(metric, _)| !is_whole(metric));
                hpa.metrics.push((ScaleMetric::Concurrency, 5000));
            }
            autoscale
        }),
        requests in 0..300_u32,
        count in 1..30_u32,
    ) {
        let mut world = World::new(&autoscale, count, begin());
        let load = Load::Of(f64::from(requests));
        // A hundredth more each half a minute takes its time, but not for ever.
        let mut is_settled = false;
        for _ in 0..100 {
            let numbers = numbers(&world.run(&[load; 200]));
            let stays = numbers.iter().all(|&number| number == numbers[0]);
            prop_assert!(stays || !is_settled, "{numbers:?}");
            if is_settled {
                return Ok(());
            }
            is_settled = stays;
        }
        prop_assert!(false, "it never settles");
    }

    /// Not for steps, which are what their author makes of them. Kubernetes' policy does what is
    /// said here only when as many are ready as are desired, so they are.
    #[test]
    fn more_load_never_makes_fewer(
        autoscale in made::aiming(),
        loads in made::loads(),
        requests in 0..600_u32,
        percent in 100..1000_u32,
    ) {
        let mut world = World::new(&autoscale, 5, begin());
        world.start_up = Duration::ZERO;
        world.run(&loads);
        let (mut less, mut more) = (world.clone(), world);
        let was = less.memory.desired();
        let requests = f64::from(requests);
        for second in 0..20 {
            let with_less = less.tick(Load::Of(requests)).decision;
            let with_more = more.tick(Load::Of(requests * f64::from(percent) / 100.0)).decision;
            prop_assert!(
                with_more.desired >= with_less.desired,
                "second {second}: {with_more:?} for more, {with_less:?}"
            );
            if with_more.desired != was || with_less.desired != was {
                break;
            }
        }
    }

    #[test]
    fn what_was_reached_stays_for_the_window(
        autoscale in made::policy(),
        loads in made::loads(),
    ) {
        let mut world = World::new(&autoscale, 3, begin());
        let window = stays_for(&autoscale, world.start_up);
        let ticks = world.run(&loads);
        for (n, rise) in ticks.iter().enumerate() {
            let reached = rise.decision.desired;
            if reached <= rise.decision.was {
                continue;
            }
            let later = ticks[n..].iter().take_while(|tick| tick.now.since(rise.now) < window);
            for tick in later {
                let after = tick.now.since(rise.now);
                prop_assert!(tick.decision.desired >= reached, "{after:?} after {reached}");
            }
        }
    }

    /// Of several policies only one need hold, so there is one.
    #[test]
    fn kubernetes_changes_by_its_policy_in_any_period(
        mut hpa in made::hpa(),
        up in made::change(),
        down in made::change(),
        loads in made::loads(),
    ) {
        (hpa.up.policies, hpa.down.policies) = (vec![up], vec![down]);
        let mut world = World::new(&autoscale(ScalePolicy::Hpa(hpa)), 10, begin());
        let ticks = world.run(&loads);
        let before = |n: usize, period: Duration| {
            let s = usize::try_from(period.as_secs()).unwrap();
            f64::from(if n >= s { ticks[n - s].decision.desired } else { 10 })
        };
        for (n, tick) in ticks.iter().enumerate() {
            let Decision { was, desired, .. } = tick.decision;
            if desired > was {
                let begin = before(n, up.period);
                let most = match up.amount {
                    HpaAmount::Count(count) => begin + f64::from(count),
                    HpaAmount::Percent(percent) => {
                        (begin * (1.0 + f64::from(percent) / 100.0)).ceil()
                    }
                };
                prop_assert!(f64::from(desired) <= most, "second {n}: {desired} from {begin}");
            } else if desired < was {
                let begin = before(n, down.period);
                let least = match down.amount {
                    HpaAmount::Count(count) => begin - f64::from(count),
                    HpaAmount::Percent(percent) => {
                        (begin * (1.0 - f64::from(percent) / 100.0)).trunc()
                    }
                };
                prop_assert!(f64::from(desired) >= least, "second {n}: {desired} from {begin}");
            }
        }
    }

    #[test]
    fn herder_grows_by_its_rate_in_any_period(target in made::target(), loads in made::loads()) {
        let mut world = World::new(&autoscale(ScalePolicy::Target(target.clone())), 10, begin());
        let ticks = world.run(&loads);
        for (n, tick) in ticks.iter().enumerate() {
            let period = ticks[..n].iter().rev();
            let period = period.take_while(|t| tick.now.since(t.now) < target.up_period);
            let least = period.map(|t| t.decision.desired).chain([tick.decision.was]).min();
            let least = u64::from(least.unwrap());
            let by_percent = (least * u64::from(target.up_percent_max + 100)).div_ceil(100);
            let most = by_percent.max(least + u64::from(target.up_count_max));
            let most = most.max(u64::from(tick.decision.was));
            let desired = u64::from(tick.decision.desired);
            prop_assert!(desired <= most, "second {n}: {desired} from {least}");
        }
    }

    #[test]
    fn knative_changes_by_its_rates_in_any_tick(kpa in made::kpa(), loads in made::loads()) {
        let mut world = World::new(&autoscale(ScalePolicy::Kpa(kpa.clone())), 10, begin());
        for tick in world.run(&loads) {
            let Decision { was, desired, .. } = tick.decision;
            let ready = f64::from(tick.ready.max(1));
            // As it multiplies: 1.12 times 50 is a little more than 56, so 57.
            let most = (kpa.scale_up_rate_max_permille as f64 / 1000.0 * ready).ceil();
            let most = most.max(f64::from(was.max(kpa.activation_scale)));
            let least = (ready / (kpa.scale_down_rate_max_permille as f64 / 1000.0)).floor();
            prop_assert!(f64::from(desired) <= most, "{desired} of {ready} and {was}");
            prop_assert!(f64::from(desired) >= least.min(f64::from(was)), "{desired} of {ready}");
        }
    }

    #[test]
    fn nothing_known_takes_nothing_away(
        autoscale in made::policy(),
        is_sampled in proptest::collection::vec(any::<bool>(), 1..200),
        count in 1..50_u32,
    ) {
        let mut world = World::new(&autoscale, count, begin());
        for is_sampled in is_sampled {
            let load = if is_sampled { Load::Odd([f64::NAN; 4]) } else { Load::Unknown };
            let Decision { was, desired, .. } = world.tick(load).decision;
            prop_assert!(desired >= was, "{desired} from {was}");
        }
    }

    /// A sample may come three seconds late; until then what is known counts.
    #[test]
    fn a_blackout_takes_nothing_away(autoscale in made::policy(), loads in made::loads()) {
        let mut world = World::new(&autoscale, 10, begin());
        for tick in world.run(&loads) {
            let Decision { was, desired, .. } = tick.decision;
            let is_blind = tick.blind >= Duration::from_secs(3);
            prop_assert!(!is_blind || desired >= was, "{desired} from {was}");
        }
    }

    /// Instances of which nothing is known turn no growth into shrinking, and no shrinking into
    /// growth. Only Kubernetes' policy looks at each.
    #[test]
    fn missing_instances_never_turn_the_direction(
        uses in proptest::collection::vec((0.0..=1.0_f64, any::<bool>()), 1..30),
        target in 10_000..100_000_u64,
    ) {
        let hpa = model::Hpa::as_in_kubernetes(vec![(ScaleMetric::CpuPercent, target)]);
        let mut hpa = hpa;
        hpa.down.stabilization_window = Duration::ZERO;
        let count = u32::try_from(uses.len()).unwrap();
        let of = |all_known: bool| {
            let mut world = World::new(&autoscale(ScalePolicy::Hpa(hpa.clone())), count, begin());
            for (member, &(used, is_known)) in world.members.iter_mut().zip(&uses) {
                member.cpu = (all_known || is_known).then_some(used);
            }
            world.window.push(scale::Sample { at: world.now, ..scale::Sample::default() });
            world.decide().desired.cmp(&count)
        };
        let (known, missing) = (of(true), of(false));
        prop_assert!(missing == known || missing.is_eq() || known.is_eq(), "{known:?} {missing:?}");
    }

    #[test]
    fn order_means_nothing(
        metrics in Just(()).prop_flat_map(|()| (made::hpa(), made::step())),
        shuffled in any::<prop::sample::Index>(),
        loads in made::loads(),
    ) {
        let (hpa, step) = metrics;
        let mut other = hpa.clone();
        let by = shuffled.index(hpa.metrics.len());
        other.metrics.rotate_left(by);
        other.up.policies.reverse();
        other.down.policies.reverse();
        let run = |policy| numbers(&World::new(&autoscale(policy), 5, begin()).run(&loads));
        prop_assert_eq!(run(ScalePolicy::Hpa(hpa)), run(ScalePolicy::Hpa(other)));
        let mut other = step.clone();
        other.steps.reverse();
        prop_assert_eq!(run(ScalePolicy::Step(step)), run(ScalePolicy::Step(other)));
    }

    #[test]
    fn the_time_of_day_means_nothing(
        autoscale in made::policy(),
        loads in made::loads(),
        hours in 0..100_000_u64,
    ) {
        let later = begin() + Duration::from_secs(3600 * hours);
        let here = numbers(&World::new(&autoscale, 5, begin()).run(&loads));
        let there = numbers(&World::new(&autoscale, 5, later).run(&loads));
        prop_assert_eq!(here, there);
    }

    /// Kubernetes has its window for that and nothing else; Knative panics unless it is one.
    #[test]
    fn a_restart_takes_nothing_away(
        autoscale in made::policy(),
        loads in made::loads(),
        then in made::loads(),
    ) {
        let mut world = World::new(&autoscale, 5, begin());
        world.run(&loads);
        let kept = world.memory.desired();
        let (restarted_at, spared) = (world.now, spared_for(&autoscale, world.start_up));
        world.restart();
        for tick in world.run(&then) {
            let after = tick.now.since(restarted_at);
            let desired = tick.decision.desired;
            prop_assert!(after >= spared || desired >= kept, "{desired} of {kept}, {after:?}");
        }
    }

    #[test]
    fn without_load_it_comes_back_to_its_min(
        autoscale in made::policy(),
        loads in made::loads(),
        min in 1..5_u32,
    ) {
        let mut world = World::new(&autoscale, 5, begin());
        world.bounds.min = min;
        // An operator's number stays: that is what a fixed one is for.
        let is_fixed = autoscale.policy == ScalePolicy::Fixed;
        let expected = if is_fixed { 5 } else { min };
        world.run(&loads);
        // What is looked back on is forgotten.
        world.run(&[Load::Of(0.0); 100]);
        let mut left = 20_000;
        while world.memory.desired() != expected && left > 0 {
            world.tick(Load::Of(0.0));
            left -= 1;
        }
        prop_assert_eq!(world.memory.desired(), expected);
        let numbers = numbers(&world.run(&[Load::Of(0.0); 100]));
        prop_assert!(numbers.iter().all(|&number| number == expected));
    }

    /// Not for Knative's, which tolerates nothing; steps change as often as their cooldown lets.
    #[test]
    fn what_is_tolerated_changes_nothing(
        autoscale in prop_oneof![
            made::target().prop_map(|mut target| {
                // It looks at the last minute, so what comes back within it is one load.
                target.down_window = Duration::from_secs(60);
                autoscale(ScalePolicy::Target(target))
            }),
            made::hpa().prop_map(|mut hpa| {
                // It counts whole percents, of which one may be more than is tolerated.
                hpa.metrics = vec![(ScaleMetric::Concurrency, 5000)];
                hpa.up.tolerance_permille = 100;
                hpa.down.stabilization_window = Duration::from_secs(60);
                autoscale(ScalePolicy::Hpa(hpa))
            }),
        ],
        requests in 1..300_u32,
        period_s in 2..30_usize,
    ) {
        let mut world = World::new(&autoscale, 5, begin());
        let load = |n: usize| {
            let sign = if n % period_s < period_s / 2 { 1.0 } else { -1.0 };
            Load::Of(f64::from(requests) * (1.0 + sign * 0.04))
        };
        let loads: Vec<Load> = (0..6100).map(load).collect();
        world.run(&loads[..2500]);
        let numbers = numbers(&world.run(&loads[2500..]));
        let changes = numbers.windows(2).filter(|two| two[0] != two[1]).count();
        prop_assert!(changes <= 1, "{changes} changes in an hour");
    }

    #[test]
    fn a_step_waits_for_its_cooldown(step in made::step(), loads in made::loads()) {
        let cooldown = step.cooldown;
        let ticks = World::new(&autoscale(ScalePolicy::Step(step)), 5, begin()).run(&loads);
        let changes = ticks.iter().filter(|tick| tick.decision.desired != tick.decision.was);
        let at: Vec<Time> = changes.map(|tick| tick.now).collect();
        prop_assert!(at.windows(2).all(|two| two[1].since(two[0]) >= cooldown), "{at:?}");
    }
}
