//! Crashes, starts that fail, boots that hang: what is held back, for how long, and what is not.
//! The arithmetic of the holds is tested beside the code.

use std::time::Duration;

use control::Kind;
use model::Phase;

use crate::desire::{s, shop};
use crate::rig::Rig;

/// Whether a wait was about so many seconds: a fifth of jitter either way.
fn about(waited: Duration, seconds: f64) -> bool {
    let ratio = waited.as_secs_f64() / seconds;
    (0.79..=1.21).contains(&ratio)
}

#[test]
fn a_killed_instance_is_replaced_after_the_first_backoff() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    rig.wait(s(300));
    rig.news();
    assert_eq!(rig.exits("shop.2", 137), ["forget shop.2"]);
    assert_eq!(rig.phases("shop"), "1 ready, 3 ready");
    let (waited, ordered) = rig.wait_for_order();
    assert_eq!(ordered, ["start shop.4"]);
    assert!(about(waited, 1.0), "{waited:?}");
    let said = rig.said(Kind::Backoff);
    assert!(said[0].ends_with("after 1 failure; shop.2 ended: exit code 137"), "{said:?}");
}

/// The herd must not starve: whoever is killed has become ready, and others are ready still.
#[test]
fn a_herd_that_loses_one_a_second_gets_each_replacement_promptly() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    let mut lost_at = std::collections::VecDeque::new();
    for _ in 0..60 {
        let victim = rig.service("shop").instances.into_iter().find(|it| it.phase == Phase::Ready);
        let victim = victim.expect("somebody is ready all the time").id;
        // A worker may notice before the driver does.
        rig.unreachable(&victim.to_string());
        let mut ordered = rig.exits(&victim.to_string(), 137);
        lost_at.push_back(rig.now);
        for _ in 0..10 {
            ordered.extend(rig.wait(Duration::from_millis(100)));
            for order in ordered.drain(..).filter(|order| order.starts_with("start")) {
                let waited = rig.now.since(lost_at.pop_front().expect("one start for each loss"));
                assert!(waited <= Duration::from_millis(1_300), "{waited:?}");
                rig.boot(order.trim_start_matches("start "));
            }
        }
    }
    assert!(lost_at.len() <= 2);
    assert!(!rig.said(Kind::Backoff).iter().any(|text| text.contains("crash loop")));
}

#[test]
fn a_service_that_ends_soon_after_it_was_ready_waits_ever_longer() {
    let mut rig = Rig::ready(&[shop(1, 1)]);
    let mut instance = "shop.1".to_owned();
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        rig.wait(Duration::from_millis(500));
        rig.exits(&instance, 1);
        let (waited, ordered) = rig.wait_for_order();
        assert!(about(waited, seconds), "{waited:?} instead of {seconds} s");
        instance = ordered[0].trim_start_matches("start ").to_owned();
        rig.boot(&instance);
    }
}

/// Three instances that fail together are one attempt that failed, not three.
#[test]
fn a_herd_that_ends_soon_after_it_was_ready_waits_ever_longer() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    let mut herd: Vec<String> = (1..=3).map(|n| format!("shop.{n}")).collect();
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        for instance in &herd {
            rig.wait(Duration::from_millis(20));
            rig.exits(instance, 1);
        }
        let (waited, ordered) = rig.wait_for_order();
        assert!(about(waited, seconds), "{waited:?} instead of {seconds} s");
        herd = ordered.iter().map(|it| it.trim_start_matches("start ").to_owned()).collect();
        assert_eq!(herd.len(), 3, "{ordered:?}");
        for instance in &herd {
            rig.boot(instance);
        }
    }
    let backoff = rig.service("shop").backoff.expect("a crash loop is shown");
    assert!(backoff.crash_loop && backoff.failures == 8, "{backoff:?}");
}

#[test]
fn a_crash_loop_is_called_one_with_the_last_lines() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    for n in 1..=5 {
        assert!(!rig.service("shop").backoff.is_some_and(|it| it.crash_loop), "at {n}");
        rig.exits(&format!("shop.{n}"), 1);
        if n < 5 {
            rig.wait_for_order();
        }
    }
    let backoff = rig.service("shop").backoff.unwrap();
    assert_eq!((backoff.failures, backoff.crash_loop), (5, true));
    assert_eq!(backoff.last_lines, ["last words of shop.5"]);
    let said = rig.said(Kind::Backoff).pop().unwrap();
    assert!(said.starts_with("shop is in a crash loop: 5 failures, next start in 1"), "{said}");
    assert!(said.ends_with("its last lines: `last words of shop.5`"), "{said}");
}

#[test]
fn a_start_that_fails_counts_with_its_reason() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    rig.news();
    assert_eq!(rig.start_fails("shop.1", "./shop: not found; check `run`"), [""; 0]);
    assert_eq!(rig.phases("shop"), "");
    let gone = "shop.1 gone: could not start: ./shop: not found; check `run`";
    assert_eq!(rig.said(Kind::Phase), [gone]);
    let (waited, ordered) = rig.wait_for_order();
    assert!(about(waited, 1.0) && ordered == ["start shop.2"], "{waited:?} {ordered:?}");
}

#[test]
fn a_boot_that_hangs_is_given_up_at_its_deadline() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    rig.started("shop.1");
    rig.fails("shop.1", 20);
    let (after, ordered) = rig.wait_for_order();
    assert_eq!((after, ordered.join(", ")), (s(60), "terminate shop.1, forget shop.1".to_owned()));
    let why = "not ready within 60 s; its last failed probe: GET /healthz answered 500";
    assert_eq!(rig.instance("shop.1").reason, why);
    let (waited, ordered) = rig.wait_for_order();
    assert!(about(waited, 1.0) && ordered == ["start shop.2"], "{waited:?} {ordered:?}");
    rig.exits("shop.1", 0);
    let backoff = rig.service("shop").backoff;
    assert!(backoff.is_none_or(|it| it.failures == 1), "it counts once");
}

#[test]
fn failures_are_forgotten_once_all_were_ready_for_long_enough() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    for n in 1..=3 {
        rig.exits(&format!("shop.{n}"), 1);
        rig.wait_for_order();
    }
    rig.boot("shop.4");
    rig.wait(s(59));
    rig.news();
    rig.wait(s(1));
    let said = rig.said(Kind::Backoff);
    assert_eq!(said, ["shop: 3 failures forgotten, all instances ready for 60 s"]);
    rig.exits("shop.4", 1);
    let (waited, _) = rig.wait_for_order();
    assert!(about(waited, 1.0), "{waited:?}");
}

/// Two that have been ready for ages say nothing about a third that never boots.
#[test]
fn one_that_never_boots_is_not_forgiven_because_others_are_ready() {
    let mut rig = Rig::ready(&[shop(2, 3)]);
    rig.wait(s(600));
    rig.scale("shop", 3).unwrap();
    let mut waits = Vec::new();
    for n in 3..=11 {
        rig.exits(&format!("shop.{n}"), 1);
        waits.push(rig.wait_for_order().0);
    }
    assert!(about(waits[7], 60.0) && about(waits[8], 60.0), "{waits:?}");
}

#[test]
fn a_hold_touches_no_instance_that_runs_and_holds_back_every_start() {
    let mut rig = Rig::ready(&[shop(2, 8)]);
    rig.exits("shop.1", 1);
    assert_eq!(rig.scale("shop", 5).unwrap(), [""; 0]);
    assert_eq!(rig.pool("shop"), [2]);
    let (_, ordered) = rig.wait_for_order();
    assert_eq!(ordered.len(), 4);
}

#[test]
fn a_taken_port_is_retried_at_once_a_few_times() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    for n in 1..=5 {
        assert_eq!(rig.loses_port(&format!("shop.{n}")), [format!("start shop.{}", n + 1)]);
    }
    assert_eq!(rig.loses_port("shop.6"), [""; 0], "then it counts as a failure");
    let (waited, _) = rig.wait_for_order();
    assert!(about(waited, 1.0), "{waited:?}");
    rig.boot("shop.7");
    rig.exits("shop.7", 1);
    rig.wait_for_order();
    assert_eq!(rig.loses_port("shop.8"), ["start shop.9"], "a port that was free ends the row");
}

#[test]
fn every_start_gets_a_number_of_its_own() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    for n in 1..=20 {
        assert_eq!(rig.phases("shop"), format!("{n} starting"));
        rig.loses_port(&format!("shop.{n}"));
        if rig.phases("shop").is_empty() {
            rig.wait_for_order();
        }
    }
}
