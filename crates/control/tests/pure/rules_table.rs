//! The table that is published: what is in it, in which order, and when there is a new one.
//! Which endpoint of a pool gets a request is the business of `balance`.

use std::sync::Arc;

use model::{Algorithm, HostPattern, RouteRule, Scale, Selector};

use crate::desire::{command, service, shop};
use crate::rig::Rig;

#[test]
fn the_most_specific_route_comes_first() {
    let rule = |host: Option<&str>, path: &str| RouteRule {
        host: host.map(Into::into),
        path: path.into(),
    };
    let mut one = shop(1, 1);
    one.routes = vec![rule(None, "/"), rule(Some("*.example.com"), "/"), rule(None, "/a/b")];
    let mut two = service("web", command("a"), Scale { min: 1, max: 1 });
    two.routes = vec![rule(Some("a.example.com"), "/"), rule(Some("a.example.com"), "/a")];
    let rig = Rig::with(&[one, two]);
    let got: Vec<_> = rig.table.routes.iter().map(|r| (r.host.clone(), &*r.path, r.pool)).collect();
    let exact = || HostPattern::Exact("a.example.com".into());
    let expected = [
        (exact(), "/a", 1),
        (exact(), "/", 1),
        (HostPattern::Suffix(".example.com".into()), "/", 0),
        (HostPattern::Any, "/a/b", 0),
        (HostPattern::Any, "/", 0),
    ];
    assert_eq!(got, expected);
}

#[test]
fn a_service_without_ready_instances_has_an_empty_pool_and_one_without_routes_has_none() {
    let mut hidden = service("hidden", command("a"), Scale { min: 1, max: 1 });
    hidden.routes.clear();
    let mut rig = Rig::with(&[shop(1, 1), hidden]);
    assert_eq!((rig.table.version, rig.table.pools.len(), rig.pool("shop").len()), (1, 1, 0));
    assert_eq!(rig.boot("hidden.1"), [""; 0]);
    assert_eq!(rig.table.version, 1);
    rig.boot("shop.1");
    assert_eq!((rig.table.version, rig.pool("shop")), (2, vec![1]));
}

#[test]
fn endpoints_and_turns_survive_every_rebuild() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    let turn = |rig: &Rig| match &rig.table.pools[0].selector {
        Selector::RoundRobin { turn, .. } | Selector::LeastRequest { turn } => Arc::clone(turn),
        Selector::Random { .. } => panic!("a turn"),
    };
    let (before, endpoints) = (turn(&rig), rig.endpoints("shop"));
    let version = rig.table.version;
    rig.change("shop", |shop| shop.balance = Algorithm::LeastRequest);
    assert_eq!(rig.table.version, version + 1);
    assert!(Arc::ptr_eq(&before, &turn(&rig)));
    let same = endpoints.iter().zip(rig.endpoints("shop")).all(|(a, b)| Arc::ptr_eq(a, &b));
    assert!(same && endpoints.len() == 2);
}

#[test]
fn instances_stand_in_the_order_of_their_numbers() {
    let mut rig = Rig::with(&[shop(3, 3)]);
    for instance in ["shop.3", "shop.1", "shop.2"] {
        rig.boot(instance);
    }
    assert_eq!(rig.pool("shop"), [1, 2, 3]);
    let mut keys: Vec<u64> = rig.endpoints("shop").iter().map(|it| it.key).collect();
    assert_eq!(keys, [2, 3, 1], "a key is given when an instance has started");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3);
}
