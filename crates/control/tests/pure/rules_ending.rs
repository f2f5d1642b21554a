//! The way out: out of the pool, requests finish, SIGTERM, SIGKILL; and the shutdown of all.
//! Why an instance has to go is told elsewhere.

use control::{Event, Exit, ExitStatus, Kind};

use crate::desire::{s, shop};
use crate::rig::{Rig, id};

/// Two ready instances, of which `shop.2` was just told to go.
fn draining() -> Rig {
    let mut rig = Rig::ready(&[shop(1, 2)]);
    rig.scale("shop", 2).unwrap();
    rig.boot("shop.2");
    assert_eq!(rig.scale("shop", 1).unwrap(), ["drain shop.2", "forget shop.2"]);
    rig.news();
    rig
}

#[test]
fn a_quiet_instance_is_terminated_and_gone() {
    let mut rig = draining();
    assert_eq!(rig.pool("shop"), [1]);
    assert_eq!(rig.instance("shop.2").reason, "only 1 desired (scale shop 1)");
    assert_eq!(rig.quiet("shop.2"), ["terminate shop.2"]);
    rig.wait(s(1));
    assert_eq!(rig.exits("shop.2", 0), [""; 0]);
    let why = "shop.2 gone: exit code 0, 1 s after SIGTERM; only 1 desired (scale shop 1)";
    assert_eq!(rig.said(Kind::Phase), [why]);
    assert_eq!(rig.phases("shop"), "1 ready");
    assert_eq!(rig.service("shop").backoff.map(|it| it.failures), None);
}

#[test]
fn requests_that_do_not_finish_are_waited_for_until_the_drain_deadline() {
    let mut rig = Rig::ready(&[shop(1, 2)]);
    rig.scale("shop", 2).unwrap();
    rig.boot("shop.2");
    let _busy = rig.endpoints("shop")[0].begin();
    let guards: Vec<_> = (0..2).map(|_| rig.endpoints("shop")[1].begin().unwrap()).collect();
    rig.scale("shop", 1).unwrap();
    rig.news();
    let drained = if rig.phases("shop").starts_with("1 draining") { "shop.1" } else { "shop.2" };
    assert_eq!(drained, "shop.1", "the one with fewer requests goes");
    assert_eq!(guards.len(), 2);
    let (after, ordered) = rig.wait_for_order();
    assert_eq!((after, ordered), (s(30), vec!["terminate shop.1".to_owned()]));
    let why = "shop.1: 1 request did not finish within 30 s; it ends all the same";
    assert_eq!(rig.said(Kind::Failure), [why]);
}

#[test]
fn draining_never_becomes_ready_again() {
    let mut rig = draining();
    rig.passes("shop.2", 10);
    rig.unreachable("shop.2");
    assert_eq!(rig.said(Kind::Phase), [""; 0]);
    assert_eq!((rig.phases("shop").as_str(), rig.pool("shop")), ("1 ready, 2 draining", vec![1]));
}

#[test]
fn sigkill_follows_sigterm_and_is_repeated_a_few_times() {
    let mut rig = draining();
    rig.quiet("shop.2");
    let mut kills = Vec::new();
    for _ in 0..5 {
        let (after, ordered) = rig.wait_for_order();
        assert_eq!(ordered, ["kill shop.2"]);
        kills.push(after.as_secs());
    }
    assert_eq!(kills, [10, 5, 5, 5, 5]);
    assert_eq!(rig.wait(s(3600)), [""; 0]);
    let said = rig.said(Kind::Failure);
    assert_eq!(said.len(), 5);
    assert!(said[0].contains("did not end within 10 s of SIGTERM"), "{said:?}");
    assert!(said[4].contains("5th and last time"), "{said:?}");
    assert_eq!(rig.phases("shop"), "1 ready, 2 draining");
    rig.exits("shop.2", 9);
    assert_eq!(rig.phases("shop"), "1 ready");
}

#[test]
fn what_ends_by_itself_while_draining_is_no_failure() {
    let mut rig = draining();
    assert_eq!(rig.exits("shop.2", 1), [""; 0]);
    assert_eq!(rig.said(Kind::Backoff), [""; 0]);
}

#[test]
fn what_never_was_ready_is_told_to_end_at_once() {
    let mut rig = Rig::with(&[shop(1, 3)]);
    rig.boot("shop.1");
    rig.scale("shop", 3).unwrap();
    rig.started("shop.3");
    let ordered = rig.scale("shop", 1).unwrap();
    assert_eq!(ordered, ["terminate shop.3", "terminate shop.2", "forget shop.3"]);
    assert_eq!(rig.started("shop.2"), [""; 0], "what started too late is not watched");
    rig.passes("shop.3", 5);
    assert_eq!(rig.phases("shop"), "1 ready, 2 draining, 3 draining");
}

#[test]
fn a_start_that_fails_after_it_was_called_off_is_no_failure() {
    let mut rig = Rig::with(&[shop(1, 3)]);
    rig.boot("shop.1");
    rig.scale("shop", 2).unwrap();
    rig.scale("shop", 1).unwrap();
    rig.start_fails("shop.2", "fork: out of memory");
    assert_eq!(rig.said(Kind::Backoff), [""; 0]);
    assert_eq!(rig.phases("shop"), "1 ready");
}

#[test]
fn scaling_down_takes_the_least_useful_first() {
    let mut rig = Rig::ready(&[shop(1, 8)]);
    rig.scale("shop", 6).unwrap();
    for n in 2..=4 {
        rig.boot(&format!("shop.{n}"));
    }
    rig.fails("shop.2", 3);
    let busy = rig.endpoints("shop").into_iter().find(|it| it.id.number == 4).unwrap();
    let _request = busy.begin().unwrap();
    let ordered = rig.scale("shop", 1).unwrap();
    let told: Vec<&str> = ordered
        .iter()
        .filter(|order| order.starts_with("drain") || order.starts_with("terminate"))
        .map(String::as_str)
        .collect();
    let expected =
        ["terminate shop.6", "terminate shop.5", "drain shop.2", "drain shop.3", "drain shop.1"];
    assert_eq!(told, expected);
    assert_eq!(rig.pool("shop"), [4]);
}

#[test]
fn a_shutdown_drains_all_and_is_finished_when_they_are_gone() {
    let mut rig = Rig::ready(&[shop(2, 3)]);
    rig.scale("shop", 3).unwrap();
    let ordered = rig.shut_down().unwrap();
    let expected =
        ["terminate shop.3", "drain shop.2", "drain shop.1", "forget shop.1", "forget shop.2"];
    assert_eq!(ordered, expected);
    assert_eq!(rig.shut_down().unwrap(), [""; 0]);
    assert_eq!(rig.pool("shop"), [0; 0]);
    assert_eq!(rig.table.routes.len(), 1, "requests are still answered, with 503");
    for instance in ["shop.1", "shop.2"] {
        rig.quiet(instance);
        assert!(!rig.state.finished());
        rig.exits(instance, 0);
    }
    assert!(!rig.state.finished());
    rig.exits("shop.3", 0);
    assert!(rig.state.finished());
}

#[test]
fn during_a_shutdown_nothing_is_taken_and_nothing_starts() {
    let mut rig = Rig::ready(&[shop(2, 3)]);
    rig.shut_down().unwrap();
    assert!(rig.scale("shop", 3).is_err());
    assert!(rig.restart("shop").is_err());
    assert!(rig.drain("shop.1").is_err());
    assert!(rig.configure(&[shop(1, 1)]).is_err());
    assert_eq!(rig.said(Kind::Refused).len(), 4);
    assert_eq!(rig.exits("shop.1", 1), [""; 0]);
    assert_eq!((rig.service("shop").desired, rig.wait(s(20))), (0, vec![]));
}

#[test]
fn what_nobody_owns_is_killed_until_it_ends() {
    let mut rig = Rig::ready(&[shop(1, 1)]);
    rig.news();
    assert_eq!(rig.started("shop.7"), ["kill shop.7"]);
    assert_eq!(rig.said(Kind::Defect).len(), 1);
    assert_eq!(rig.wait(s(6)), ["kill shop.7"]);
    let exit = Exit { status: ExitStatus::Signal(9), last_lines: vec![], port_taken: false };
    rig.event(Event::Exited { id: id("shop.7"), exit }).unwrap();
    assert_eq!(rig.wait(s(60)), [""; 0]);
}

#[test]
fn reports_that_cannot_be_are_noted_as_defects() {
    let mut rig = Rig::ready(&[shop(1, 1)]);
    let mut check = |what: &str, tell: &dyn Fn(&mut Rig) -> Vec<String>| {
        rig.news();
        assert_eq!(tell(&mut rig), [""; 0], "{what}");
        assert_eq!(rig.said(Kind::Defect).len(), 1, "{what}");
        assert_eq!(rig.phases("shop"), "1 ready", "{what}");
    };
    check("started twice", &|rig| rig.started("shop.1"));
    check("failed to start what runs", &|rig| rig.start_fails("shop.1", "no"));
    check("failed to start nobody", &|rig| rig.start_fails("shop.9", "no"));
    check("ended and nobody knew it", &|rig| rig.exits("shop.9", 0));
}
