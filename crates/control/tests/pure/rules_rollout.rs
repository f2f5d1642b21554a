//! Replacing instances: a new one first, one at a time, held when the new ones fail.
//! Processes only; addresses are compared one by one elsewhere.

use control::Kind;
use model::Phase;

use crate::desire::{command, s, shop};
use crate::rig::Rig;

/// Carries out a rollout and returns the least number that was ready meanwhile.
fn roll(rig: &mut Rig, mut ordered: Vec<String>) -> usize {
    let mut least = rig.count("shop", Phase::Ready);
    while let Some(order) = ordered.pop() {
        let more = match order.split_once(' ').unwrap() {
            ("start", instance) => rig.boot(instance),
            ("drain", instance) => rig.leaves(instance),
            ("terminate", instance) => rig.exits(instance, 0),
            _ => vec![],
        };
        ordered.extend(more);
        least = least.min(rig.count("shop", Phase::Ready));
    }
    least
}

#[test]
fn a_restart_replaces_one_after_the_other_and_starts_first() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    rig.news();
    let ordered = rig.restart("shop").unwrap();
    assert_eq!(ordered, ["start shop.4"]);
    let rollout = rig.service("shop").rollout.unwrap();
    assert_eq!((rollout.replaced, rollout.total, rollout.reason.as_str()), (0, 3, "restart shop"));
    assert_eq!(rig.boot("shop.4"), ["drain shop.3", "start shop.5", "forget shop.3"]);
    assert_eq!(rig.pool("shop"), [1, 2, 4]);
    assert_eq!(rig.service("shop").rollout.unwrap().replaced, 1);
    assert_eq!(rig.boot("shop.5"), ["drain shop.2", "start shop.6", "forget shop.2"]);
    assert_eq!(rig.boot("shop.6"), ["drain shop.1", "forget shop.1"]);
    assert_eq!(rig.pool("shop"), [4, 5, 6]);
    let said = rig.said(Kind::Rollout);
    assert_eq!(
        said,
        ["shop: replacing 3 instances (restart shop)", "shop: 3 instances replaced in 0 ms"]
    );
    assert!(rig.service("shop").rollout.is_none());
}

#[test]
fn what_an_instance_is_decides_whether_it_is_replaced() {
    let check = |what: &str, change: fn(&mut model::Service), replaced: bool| {
        let mut rig = Rig::ready(&[shop(2, 4)]);
        let ordered = rig.change("shop", change);
        assert_eq!(ordered.iter().any(|it| it == "start shop.3"), replaced, "{what}: {ordered:?}");
        assert_eq!(rig.service("shop").generation, if replaced { 2 } else { 1 }, "{what}");
        assert_eq!(rig.table.pools[0].service.drain, rig.table.pools[0].service.drain);
        assert_eq!(rig.pool("shop"), [1, 2], "{what}");
        if replaced {
            assert_eq!(roll(&mut rig, ordered), 2, "{what}");
            assert_eq!(rig.pool("shop"), [3, 4], "{what}");
        }
    };
    check("command", |it| it.source = command("./other"), true);
    check("environment", |it| set(it, |c| drop(c.env.insert("A".into(), "1".into()))), true);
    check("directory", |it| set(it, |c| c.dir = Some("/srv".into())), true);
    check("health", |it| it.health.unhealthy = 9, false);
    check("drain", |it| it.drain.timeout_drain = s(5), false);
    check("restart", |it| it.restart.crash_loop = 9, false);
    check("balance", |it| it.balance = model::Algorithm::Random, false);
    check("http", |it| it.retry.retries_max = 9, false);
    check("routes", |it| it.routes[0].path = "/new".into(), false);
    check("max", |it| it.scale.max = 9, false);
}

fn set(service: &mut model::Service, change: fn(&mut model::Command)) {
    match &mut service.source {
        model::Source::Command(command) => change(command),
        model::Source::Static(_) => panic!("a command"),
    }
}

#[test]
fn when_the_new_ones_fail_the_old_ones_keep_serving() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    rig.change("shop", |shop| shop.source = command("./broken"));
    rig.news();
    for n in 4..=9 {
        rig.exits(&format!("shop.{n}"), 1);
        assert_eq!(rig.pool("shop"), [1, 2, 3]);
        rig.wait_for_order();
    }
    let said = rig.said(Kind::Rollout);
    assert_eq!(said.len(), 6);
    assert!(said[0].contains("rollout held, 3 older instances left in place"), "{said:?}");
    assert!(rig.service("shop").backoff.unwrap().crash_loop);
    // The one who mends it wants to see it tried now.
    assert_eq!(
        rig.change("shop", |shop| shop.source = command("./mended")),
        ["terminate shop.10", "start shop.11"]
    );
}

#[test]
fn one_that_is_started_in_vain_is_replaced_at_once() {
    let mut rig = Rig::with(&[shop(2, 2)]);
    let ordered = rig.restart("shop").unwrap();
    let expected = ["terminate shop.1", "terminate shop.2", "start shop.3", "start shop.4"];
    assert_eq!(ordered, expected);
}

#[test]
fn unready_old_ones_go_before_ready_ones() {
    let mut rig = Rig::ready(&[shop(3, 3)]);
    rig.fails("shop.1", 3);
    rig.restart("shop").unwrap();
    assert_eq!(rig.boot("shop.4")[0], "drain shop.1");
    assert_eq!(rig.pool("shop"), [2, 3, 4]);
}

#[test]
fn scaling_down_during_a_rollout_takes_the_old_ones_first() {
    let mut rig = Rig::ready(&[shop(1, 8)]);
    rig.scale("shop", 4).unwrap();
    for n in 2..=4 {
        rig.boot(&format!("shop.{n}"));
    }
    rig.restart("shop").unwrap();
    rig.boot("shop.5");
    rig.boot("shop.6");
    assert_eq!(rig.pool("shop"), [1, 2, 5, 6]);
    rig.scale("shop", 1).unwrap();
    assert_eq!(rig.pool("shop"), [5]);
}

#[test]
fn scaling_goes_on_during_a_rollout() {
    let check = |to: u32| {
        let mut rig = Rig::ready(&[shop(1, 8)]);
        rig.scale("shop", 4).unwrap();
        for n in 2..=4 {
            rig.boot(&format!("shop.{n}"));
        }
        let mut ordered = rig.restart("shop").unwrap();
        ordered.extend(rig.scale("shop", to).unwrap());
        assert!(rig.count("shop", Phase::Ready) >= to.min(4) as usize);
        assert!(roll(&mut rig, ordered) >= to.min(4) as usize, "to {to}");
        let service = rig.service("shop");
        assert_eq!(service.instances.len(), to as usize, "to {to}");
        assert!(service.instances.iter().all(|it| it.generation == 2), "to {to}");
        assert!(service.rollout.is_none(), "to {to}");
    };
    (1..=8).for_each(check);
}

#[test]
fn a_second_restart_replaces_those_of_the_first_too() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    rig.restart("shop").unwrap();
    rig.boot("shop.3");
    let mut ordered = rig.restart("shop").unwrap();
    assert_eq!(ordered, ["terminate shop.4", "start shop.5"]);
    ordered.push("drain shop.2".into());
    assert_eq!(roll(&mut rig, ordered), 2);
    assert!(rig.service("shop").instances.iter().all(|it| it.generation == 3));
}
