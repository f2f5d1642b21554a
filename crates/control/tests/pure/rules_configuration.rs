//! Reloads: what is new, gone or changed, and what is left alone.
//! What replaces instances is told with the rollouts.

use control::Kind;
use model::Scale;

use crate::desire::{command, s, service, shop};
use crate::rig::Rig;

#[test]
fn the_same_configuration_twice_plans_nothing() {
    let mut rig = Rig::ready(&[shop(2, 4)]);
    rig.news();
    let version = rig.table.version;
    assert_eq!(rig.configure(&[shop(2, 4)]).unwrap(), [""; 0]);
    let news = rig.news();
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].text, "configuration taken: nothing changed");
    assert_eq!(rig.table.version, version);
}

#[test]
fn what_changed_is_told() {
    let mut rig = Rig::ready(&[shop(2, 4), service("old", command("a"), Scale { min: 1, max: 1 })]);
    rig.news();
    let mut changed = shop(2, 4);
    changed.health.healthy = 1;
    changed.drain.timeout_drain = s(1);
    let new = service("new", command("a"), Scale { min: 1, max: 1 });
    rig.configure(&[changed, new]).unwrap();
    let news = rig.news();
    let taken = "configuration taken: new added; shop changed (health, drain); old removed";
    assert_eq!(news[0].text, taken);
}

#[test]
fn an_operators_count_survives_a_reload_that_leaves_it_room() {
    let check = |(min, max): (u32, u32), desired: u32, reason: &str| {
        let mut rig = Rig::ready(&[shop(2, 8)]);
        rig.scale("shop", 5).unwrap();
        rig.news();
        rig.change("shop", |shop| shop.scale = Scale { min, max });
        let view = rig.service("shop");
        assert_eq!((view.desired, view.desired_reason.as_str()), (desired, reason));
        let decided = rig.said(Kind::Decision).len();
        assert_eq!(decided, usize::from(desired != 5), "an entry exactly when it changes");
    };
    check((1, 9), 5, "scale shop 5");
    check((5, 5), 5, "scale shop 5");
    check((1, 3), 3, "scale shop 5, lowered to max");
    check((7, 9), 7, "scale shop 5, raised to min");
}

#[test]
fn without_an_operator_the_count_follows_min() {
    let mut rig = Rig::ready(&[shop(2, 8)]);
    let ordered = rig.change("shop", |shop| shop.scale.min = 3);
    assert_eq!(ordered, ["start shop.3"]);
    let ordered = rig.change("shop", |shop| shop.scale.min = 1);
    assert_eq!(ordered[..2], ["terminate shop.3", "drain shop.2"]);
    assert_eq!(rig.service("shop").desired_reason, "min");
}

#[test]
fn a_removed_service_drains_and_is_not_seen_any_more() {
    let mut rig = Rig::ready(&[shop(2, 4)]);
    let ordered = rig.configure(&[]).unwrap();
    assert_eq!(ordered[..2], ["drain shop.2", "drain shop.1"]);
    assert!(rig.table.routes.is_empty() && rig.table.pools.is_empty());
    let view = rig.service("shop");
    assert_eq!((view.desired, view.desired_reason.as_str()), (0, "removed from the configuration"));
    assert!(rig.scale("shop", 2).is_err());
    rig.leaves("shop.1");
    rig.leaves("shop.2");
    assert!(rig.state.view(rig.now).services.is_empty());
}

#[test]
fn a_service_that_comes_back_has_its_slot_and_new_numbers() {
    let other = service("aaa", command("a"), Scale { min: 1, max: 1 });
    let mut rig = Rig::ready(&[shop(2, 4)]);
    let slot = rig.service("shop").slot;
    rig.scale("shop", 4).unwrap();
    rig.configure(std::slice::from_ref(&other)).unwrap();
    assert_ne!(rig.service("aaa").slot, slot);
    let ordered = rig.configure(&[other, shop(2, 4)]).unwrap();
    assert_eq!(ordered, ["start shop.5", "start shop.6"]);
    assert_eq!((rig.service("shop").slot, rig.service("shop").desired), (slot, 2));
}

#[test]
fn a_reload_does_not_shorten_a_backoff_unless_it_changes_what_fails() {
    let mut rig = Rig::with(&[shop(1, 1)]);
    rig.exits("shop.1", 1);
    assert_eq!(rig.change("shop", |shop| shop.retry.retries_max = 9), [""; 0]);
    assert!(rig.service("shop").backoff.is_some());
    let ordered = rig.change("shop", |shop| shop.source = command("./mended"));
    assert_eq!(ordered, ["start shop.2"]);
}
