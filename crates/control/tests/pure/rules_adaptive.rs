//! Limits that follow what answers take, as rules: whom they hold for, and what else bounds them.
//! How a limit is found is tested in `balance`.

use std::time::Duration;

use model::{Adaptive, Limits, Outcome, Service, Time, UNLIMITED};

use crate::desire::{s, shop};
use crate::rig::Rig;

fn adaptive(max: u32) -> Limits {
    let adaptive = Adaptive { is_on: true, min: 2, max, tolerance_percent: 25, remeasure: s(60) };
    Limits { adaptive, ..Limits::unbounded() }
}

/// A window in which the instance has as many requests in flight as it may, each of which takes so
/// long.
fn answer(rig: &Rig, instance: &str, ms: u64) {
    let endpoint = rig.endpoint(instance);
    let in_flight: Vec<_> = std::iter::from_fn(|| endpoint.begin()).take(2000).collect();
    for request in in_flight.iter().cycle().take(50) {
        let outcome = Outcome::Answered(Some(Duration::from_millis(ms)));
        request.observe(outcome, Time::default());
    }
}

fn limits(rig: &Rig) -> [u32; 2] {
    ["shop.1", "shop.2"].map(|instance| rig.endpoint(instance).limit())
}

#[test]
fn each_instance_has_what_its_answers_allow() {
    let service = |limits| Service { limits, ..shop(2, 4) };
    let mut rig = Rig::ready(&[service(adaptive(1000))]);
    assert_eq!(limits(&rig), [4, 4], "hardly any has less room");
    for _ in 0..12 {
        answer(&rig, "shop.1", 10);
        rig.wait(Duration::from_millis(250));
    }
    let [first, second] = limits(&rig);
    assert!(first > 20, "{first}");
    assert_eq!(second, 4, "nobody asked it");
    assert_eq!(rig.instance("shop.1").limit, first);
    answer(&rig, "shop.1", 40);
    rig.wait(Duration::from_millis(250));
    assert!(limits(&rig)[0] < first, "{:?}", limits(&rig));

    let bounded = Limits { in_flight_max: 7, ..adaptive(1000) };
    rig.configure(&[service(bounded)]).unwrap();
    assert_eq!(limits(&rig), [7, 4], "the fixed bound holds too");
    rig.configure(&[service(Limits::unbounded())]).unwrap();
    assert_eq!(limits(&rig), [UNLIMITED; 2]);
    rig.configure(&[service(adaptive(3))]).unwrap();
    assert_eq!(limits(&rig), [3, 3], "it begins anew");
}

#[test]
fn an_instance_on_its_slow_start_has_a_part_of_it() {
    let mut rig =
        Rig::ready(&[Service { limits: adaptive(1000), slow_start: s(10), ..shop(2, 4) }]);
    rig.wait(s(60));
    rig.scale("shop", 3).unwrap();
    rig.boot("shop.3");
    assert_eq!(rig.endpoint("shop.3").limit(), 1, "a tenth of 4, and at least one");
    rig.wait(s(10));
    assert_eq!(rig.endpoint("shop.3").limit(), 4);
}
