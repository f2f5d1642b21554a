//! Starting, ready, unready: what probes and workers report, and what follows.
//! How an instance ends is told elsewhere.

use std::time::Duration;

use control::{Event, Kind, ProbeOutcome};
use model::{Phase, Report};

use crate::desire::{s, shop};
use crate::rig::{Rig, id};

#[test]
fn an_instance_is_started_watched_and_ready_after_its_probes() {
    let mut rig = Rig::with(&[]);
    let ordered = rig.configure(&[shop(2, 4)]).unwrap();
    assert_eq!(ordered, ["start shop.1", "start shop.2"]);
    assert_eq!(rig.started("shop.1"), ["watch shop.1"]);
    assert_eq!(rig.phases("shop"), "1 starting, 2 starting");
    rig.wait(Duration::from_millis(240));
    rig.passes("shop.1", 1);
    assert_eq!(rig.pool("shop"), [0; 0]);
    rig.news();
    rig.passes("shop.1", 1);
    assert_eq!(rig.said(Kind::Phase), ["shop.1 ready: passed 2 probes after 240 ms"]);
    assert_eq!(rig.pool("shop"), [1]);
    assert_eq!(rig.instance("shop.1").boot, Some(Duration::from_millis(240)));
}

#[test]
fn a_failed_probe_starts_the_count_anew() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    rig.started("shop.1");
    for _ in 0..5 {
        rig.passes("shop.1", 1);
        rig.fails("shop.1", 1);
    }
    assert_eq!(rig.phases("shop"), "1 starting");
    rig.passes("shop.1", 2);
    for _ in 0..5 {
        rig.fails("shop.1", 2);
        rig.passes("shop.1", 1);
    }
    assert_eq!(rig.phases("shop"), "1 ready");
}

#[test]
fn failed_probes_take_it_out_and_passed_ones_let_it_in() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    assert_eq!(rig.pool("shop"), [1, 2]);
    rig.news();
    rig.fails("shop.1", 3);
    assert_eq!((rig.phases("shop").as_str(), rig.pool("shop")), ("1 unready, 2 ready", vec![2]));
    let why = "shop.1 unready: failed 3 probes, the last: GET /healthz answered 500";
    assert_eq!(rig.said(Kind::Phase), [why]);
    assert!(rig.instance("shop.1").trouble.is_some());
    rig.wait(s(4));
    rig.passes("shop.1", 2);
    assert_eq!(rig.pool("shop"), [1, 2]);
    assert_eq!(rig.said(Kind::Phase), ["shop.1 ready: passed 2 probes again after 4 s"]);
    assert_eq!(rig.instance("shop.1").trouble, None);
}

#[test]
fn an_unready_instance_counts_as_desired_at_first() {
    let mut rig = Rig::ready(&[shop(2, 4)]);
    assert_eq!(rig.fails("shop.1", 3), [""; 0]);
    assert_eq!(rig.wait(s(59)), [""; 0]);
}

#[test]
fn one_that_stays_unready_is_replaced_by_a_new_one_first() {
    let mut rig = Rig::ready(&[shop(2, 4)]);
    rig.fails("shop.1", 3);
    let (after, ordered) = rig.wait_for_order();
    assert_eq!((after, ordered), (s(60), vec!["start shop.3".to_owned()]));
    assert_eq!(rig.boot("shop.3"), ["drain shop.1", "forget shop.1"]);
    assert_eq!(rig.instance("shop.1").reason, "replaced, unready for 60 s");
}

/// When everything is unready because of something that all of them need, nobody is given up, and
/// all are back as soon as it is.
#[test]
fn none_is_given_up_before_a_new_one_shows_that_it_helps() {
    let mut rig = Rig::ready(&[shop(3, 8)]);
    for instance in ["shop.1", "shop.2", "shop.3"] {
        rig.fails(instance, 3);
    }
    let ordered = rig.wait(s(600));
    assert!(ordered.iter().all(|order| !order.starts_with("drain")), "{ordered:?}");
    assert_eq!(rig.count("shop", Phase::Unready), 3);
    for instance in ["shop.1", "shop.2", "shop.3"] {
        rig.passes(instance, 2);
    }
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    assert_eq!(rig.count("shop", Phase::Starting), 0);
}

#[test]
fn unreachable_takes_it_out_at_once_and_says_so_once() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    rig.news();
    assert_eq!(rig.unreachable("shop.2"), ["hasten shop.2"]);
    assert_eq!(rig.pool("shop"), [1]);
    for _ in 0..100 {
        assert_eq!(rig.unreachable("shop.2"), [""; 0]);
    }
    assert_eq!(rig.news().len(), 1);
    rig.passes("shop.2", 2);
    assert_eq!(rig.pool("shop"), [1, 2]);
}

#[test]
fn reports_about_those_who_are_not_there_change_nothing() {
    let mut rig = Rig::ready(&[shop(1, 1)]);
    rig.news();
    let pass = || ProbeOutcome::Pass;
    for event in [
        Event::Probed { id: id("shop.9"), outcome: pass() },
        Event::Probed { id: id("other.1"), outcome: pass() },
        Event::Reported { id: id("shop.9"), report: Report::Unreachable },
        Event::Quiet { id: id("shop.9") },
        Event::Quiet { id: id("shop.1") },
    ] {
        assert_eq!(rig.event(event).unwrap(), [""; 0]);
    }
    assert_eq!((rig.news(), rig.pool("shop")), (vec![], vec![1]));
}

#[test]
fn nothing_is_ready_before_it_has_started() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    rig.passes("shop.1", 5);
    assert_eq!(rig.phases("shop"), "1 starting");
}

#[test]
fn a_changed_probe_is_watched_anew_and_replaces_nothing() {
    let mut rig = Rig::ready(&[shop(1, 1)]);
    let ordered = rig.change("shop", |shop| shop.health.interval = s(5));
    assert_eq!(ordered, ["forget shop.1", "watch shop.1"]);
    assert_eq!(rig.phases("shop"), "1 ready");
}
