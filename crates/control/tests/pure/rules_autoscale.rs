//! The number of instances follows demand: what is counted, what is decided, who overrules whom.
//! What a policy makes of samples is tested in `scale`; here it is whether it sees them.

use std::time::Duration;

use control::{Event, Kind, Order};
use model::{
    Autoscale, InFlight, Phase, ScaleMode, ScalePolicy, ScaleSchedule, ScaleTarget, Service, Time,
};
use scale::Minute;

use crate::desire::{s, shop};
use crate::rig::Rig;

/// Follows demand, ten requests in flight at seven of ten for each instance.
fn following(min: u32, max: u32) -> Service {
    let target = ScaleTarget { concurrency: Some(10), ..ScaleTarget::default() };
    let autoscale = Autoscale { policy: ScalePolicy::Target(target), ..Autoscale::fixed() };
    Service { autoscale, ..shop(min, max) }
}

/// So many requests that do not end.
fn begin(rig: &Rig, count: usize) -> Vec<InFlight> {
    let endpoints = rig.endpoints("shop");
    (0..count).map(|nth| endpoints[nth % endpoints.len()].begin().unwrap()).collect()
}

/// The same number of requests goes on for a minute, over all instances that are ready, and whoever
/// is started becomes ready at once.
fn carry_on(rig: &mut Rig, count: usize) -> Vec<InFlight> {
    let mut requests = begin(rig, count);
    for _ in 0..12 {
        rig.wait(s(5));
        let view = rig.service("shop");
        let starting = view.instances.iter().filter(|it| it.phase == Phase::Starting);
        let starting: Vec<String> = starting.map(|it| it.id.to_string()).collect();
        starting.iter().for_each(|id| drop(rig.boot(id)));
        requests.clear();
        requests = begin(rig, count);
    }
    requests
}

fn order(rig: &mut Rig, order: Order) -> Result<Vec<String>, control::Refusal> {
    rig.event(Event::Ordered(order))
}

#[test]
fn what_is_in_flight_starts_instances_within_seconds() {
    let mut rig = Rig::ready(&[following(1, 8)]);
    rig.wait(s(10));
    rig.news();
    let requests = begin(&rig, 40);
    let (after, ordered) = rig.wait_for_order();
    assert!(after <= s(2), "{after:?}");
    assert!(ordered[0].starts_with("start shop.2"), "{ordered:?}");
    let said = rig.said(Kind::Decision);
    assert!(said.last().unwrap().contains(" in flight at 7.00 each: "), "{said:?}");
    drop(requests);
    drop(carry_on(&mut rig, 40));
    let desired = rig.service("shop").desired;
    assert!(desired >= 6, "40 in flight at 7 each, and {desired} desired");
}

#[test]
fn what_is_not_needed_any_more_goes_later_and_step_by_step() {
    let mut rig = Rig::ready(&[following(1, 8)]);
    let requests = carry_on(&mut rig, 50);
    assert_eq!(rig.count("shop", Phase::Ready), 8);
    drop(requests);
    rig.wait(s(25));
    assert_eq!(rig.service("shop").desired, 8, "it may be a lull");
    let mut before = 8;
    for _ in 0..600 {
        rig.wait(s(1));
        let desired = rig.service("shop").desired;
        assert!(desired <= before && before - desired <= 4, "{before} to {desired}");
        before = desired;
        let view = rig.service("shop");
        let leaving = view.instances.iter().filter(|it| it.phase == Phase::Draining);
        let leaving: Vec<String> = leaving.map(|it| it.id.to_string()).collect();
        leaving.iter().for_each(|id| drop(rig.leaves(id)));
    }
    assert_eq!((before, rig.count("shop", Phase::Ready)), (1, 1));
}

#[test]
fn an_operator_overrules_it_until_further_notice() {
    let mut rig = Rig::ready(&[following(1, 8)]);
    rig.scale("shop", 3).unwrap();
    let said = rig.said(Kind::Ordered);
    assert_eq!(said, ["scale shop 3; it stays until `herder scale shop auto`"]);
    let requests = carry_on(&mut rig, 50);
    let view = rig.service("shop");
    assert_eq!((view.desired, view.desired_reason.as_str()), (3, "scale shop 3"));
    let scaling = view.scaling.unwrap();
    assert!(scaling.is_overruled);
    let would_have = scaling.decision.unwrap().1.desired;
    assert!(would_have > 3, "{would_have}");
    order(&mut rig, Order::Autoscale { service: "shop".parse().unwrap() }).unwrap();
    rig.wait(s(2));
    assert!(rig.service("shop").desired > 3);
    assert!(!rig.service("shop").scaling.unwrap().is_overruled);
    drop(requests);
}

#[test]
fn a_recommendation_changes_nothing_and_is_told_once() {
    let mut service = following(1, 8);
    service.autoscale.mode = ScaleMode::Recommend;
    let mut rig = Rig::ready(&[service]);
    rig.wait(s(5));
    rig.news();
    let requests = begin(&rig, 50);
    rig.wait(s(20));
    assert_eq!(rig.service("shop").desired, 1);
    let said = rig.said(Kind::Decision);
    assert!(said.last().unwrap().contains(" would be desired ("), "{said:?}");
    rig.wait(s(20));
    assert_eq!(rig.said(Kind::Decision), [""; 0]);
    drop(requests);
}

#[test]
fn who_sleeps_wakes_up_for_the_first_that_waits() {
    let mut service = following(1, 8);
    service.autoscale.idle_after = Some(s(60));
    let mut rig = Rig::ready(&[service]);
    rig.wait(s(55));
    assert_eq!(rig.service("shop").desired, 1, "not yet");
    rig.wait(s(8));
    assert_eq!(rig.service("shop").desired, 0);
    assert_eq!(rig.phases("shop"), "1 draining");
    rig.leaves("shop.1");
    rig.wait(s(600));
    assert_eq!(rig.phases("shop"), "", "nothing wakes it but a request");
    rig.live("shop").count_waiting(200, 200);
    let (after, ordered) = rig.wait_for_order();
    assert!(after <= Duration::from_millis(200), "{after:?}");
    assert_eq!(ordered[0], "start shop.2");
    rig.live("shop").count_waiting(0, 0);
    rig.wait(s(30));
    assert_eq!(rig.service("shop").desired, 1, "it is awake for a while");
}

#[test]
fn a_request_in_flight_keeps_it_awake() {
    let mut service = following(1, 8);
    service.autoscale.idle_after = Some(s(60));
    let mut rig = Rig::ready(&[service]);
    let tunnel = begin(&rig, 1);
    rig.wait(s(600));
    assert_eq!(rig.service("shop").desired, 1);
    drop(tunnel);
    rig.wait(s(63));
    assert_eq!(rig.service("shop").desired, 0);
}

#[test]
fn a_reload_changes_the_policy_and_keeps_the_number() {
    let mut rig = Rig::ready(&[following(1, 8)]);
    let requests = carry_on(&mut rig, 50);
    assert_eq!(rig.service("shop").desired, 8);
    rig.change("shop", |shop| {
        let target = ScaleTarget { concurrency: Some(100), ..ScaleTarget::default() };
        shop.autoscale.policy = ScalePolicy::Target(target);
    });
    rig.wait(s(30));
    assert_eq!(rig.service("shop").desired, 8, "it has not seen enough to take any away");
    rig.change("shop", |shop| shop.autoscale = Autoscale::fixed());
    let view = rig.service("shop");
    assert_eq!((view.desired, view.desired_reason.as_str()), (1, "min"));
    assert!(view.scaling.is_none());
    drop(requests);
}

#[test]
fn what_follows_nothing_cannot_follow_again() {
    let mut rig = Rig::ready(&[shop(1, 8)]);
    let refused = order(&mut rig, Order::Autoscale { service: "shop".parse().unwrap() });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the number of instances of shop follows nothing: its policy is \"fixed\"; write policy = \
         \"target\" under [service.shop.scale] and reload"
    );
}

#[test]
fn a_new_herder_begins_with_what_the_last_one_had() {
    let check = |service: Service, before: u32, expected: (u32, &str)| {
        let rig = Rig::after(&[("shop", before)], &[service]);
        let view = rig.service("shop");
        assert_eq!((view.desired, view.desired_reason.as_str()), expected);
        assert_eq!(view.instances.len(), expected.0 as usize);
    };
    let reason = "as before Herder ended, 60 s ago";
    check(following(1, 8), 5, (5, reason));
    check(following(1, 4), 5, (4, &format!("{reason}, lowered to max")));
    check(following(3, 8), 0, (3, &format!("{reason}, raised to min")));
    check(shop(1, 8), 5, (1, "min"));
    let mut asleep = following(1, 8);
    asleep.autoscale.idle_after = Some(s(60));
    check(asleep, 0, (0, reason));
    let mut watched = following(1, 8);
    watched.autoscale.mode = ScaleMode::Recommend;
    check(watched, 5, (1, "min"));
}

#[test]
fn what_the_last_one_had_goes_only_as_what_is_not_needed_goes() {
    let mut rig = Rig::after(&[("shop", 8)], &[following(1, 8)]);
    (1..=8).for_each(|number| drop(rig.boot(&format!("shop.{number}"))));
    rig.wait(s(25));
    assert_eq!(rig.service("shop").desired, 8, "clients may still be coming back");
    rig.wait(s(120));
    assert!(rig.service("shop").desired < 8);
}

#[test]
fn what_ran_before_is_no_reason_for_a_service_that_comes_later() {
    let other = Service { name: "other".parse().unwrap(), ..shop(1, 8) };
    let mut rig = Rig::after(&[("shop", 5)], std::slice::from_ref(&other));
    rig.configure(&[other, following(1, 8)]).unwrap();
    assert_eq!(rig.service("shop").desired, 1);
}

#[test]
fn every_service_is_measured_once_a_second() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    let requests = begin(&rig, 6);
    let mut samples = Vec::new();
    for _ in 0..50 {
        rig.now = rig.now + Duration::from_millis(100);
        rig.told(Event::Tick);
        samples.extend(rig.state.sampled().to_vec());
    }
    drop(requests);
    assert!((4..=5).contains(&samples.len()), "{samples:?}");
    let all: f64 = samples.iter().map(|sampled| sampled.sample.arrivals).sum();
    assert!((all - 6.0).abs() < 0.01, "{all}");
    let last = samples.last().unwrap();
    assert_eq!((last.service.as_str(), last.desired, last.ready), ("shop", 2, 2));
    assert!((last.sample.in_flight - 6.0).abs() < 0.01, "{last:?}");
}

#[test]
fn the_calendar_raises_a_fixed_number_as_well_and_gives_it_back() {
    // The clock of the rig begins a quarter of an hour after midnight.
    let schedule =
        ScaleSchedule { cron: "10 * * * *".into(), zone: "UTC".into(), lasts: s(600), count: 3 };
    let autoscale = Autoscale { schedules: vec![schedule], ..Autoscale::fixed() };
    let mut rig = Rig::ready(&[Service { autoscale, ..shop(1, 8) }]);
    let mut changes = Vec::new();
    for _ in 0..720 {
        rig.wait(s(10));
        let view = rig.service("shop");
        let words = view.scaling.and_then(|it| it.calendar).unwrap_or_default();
        if changes.last().is_none_or(|&(_, desired, _)| desired != view.desired) {
            changes.push((view.desired_reason, view.desired, words));
        }
    }
    let numbers: Vec<u32> = changes.iter().map(|change| change.1).collect();
    assert_eq!(numbers, [3, 1, 3, 1, 3], "{changes:?}");
    let (reason, _, words) = changes.iter().find(|change| change.1 == 3).unwrap();
    assert_eq!(reason, "at least 3 by the calendar");
    assert!(words.starts_with("at least 3 until ") && words.ends_with(":20 in UTC (10 * * * *)"));
    let (reason, ..) = changes.iter().rev().find(|change| change.1 == 1).unwrap();
    assert_eq!(reason, "min");
}

#[test]
fn a_configuration_with_a_schedule_that_cannot_be_read_is_refused() {
    let mut rig = Rig::ready(&[shop(1, 8)]);
    let schedule = ScaleSchedule { cron: "now".into(), zone: "UTC".into(), lasts: s(60), count: 3 };
    let autoscale = Autoscale { schedules: vec![schedule], ..Autoscale::fixed() };
    let refused = rig.configure(&[Service { autoscale, ..shop(1, 8) }]);
    let said = refused.unwrap_err().to_string();
    assert!(said.starts_with("the calendar of shop: \"now\" is no cron expression"), "{said}");
}

#[test]
fn a_forecast_that_was_right_for_a_day_orders_what_is_going_to_be_needed() {
    let mut service = following(1, 8);
    service.autoscale.forecasts = true;
    let mut rig = Rig::ready(&[service]);
    // The clock of the rig begins soon after the epoch.
    rig.now = rig.now + s(5 * 86_400);
    drop(carry_on(&mut rig, 10));
    let told = |rig: &mut Rig| rig.service("shop").scaling.unwrap().forecast;
    let before = told(&mut rig).unwrap();
    assert!(before.forecast.trust.is_err() && before.floor == 0, "{before:?}");
    // Four days alike, in which four times as many came as do now.
    let now_ms = rig.service("shop").scaling.unwrap().decision.unwrap().0.as_ms();
    let minute = |number: u64| Minute {
        at: Time::from_ms(now_ms.saturating_sub(number * 60_000)),
        arrivals: 8.0,
    };
    let minutes = (0..4 * 1440).map(minute).collect();
    let shop = "shop".parse().unwrap();
    rig.event(Event::Recalled { service: shop, minutes }).unwrap();
    drop(carry_on(&mut rig, 10));
    drop(carry_on(&mut rig, 10));
    let after = told(&mut rig).unwrap();
    assert!(after.forecast.trust.is_ok() && after.floor > 0, "{after:?}");
    let nobody = "nobody".parse().unwrap();
    rig.event(Event::Recalled { service: nobody, minutes: Vec::new() }).unwrap();
}
