//! The table that is published: what is in it, in which order, and when there is a new one.
//! Which endpoint of a pool gets a request is the business of `balance`.

use std::sync::Arc;

use control::{Event, Kind};
use model::{Algorithm, Destination, HostPattern, Redirect, RouteRule, Scale};

use crate::desire::{command, desired, service, shop};
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
    let got: Vec<_> = rig.table.routes.iter().map(|r| (r.host.clone(), &*r.path, r.to)).collect();
    let exact = || HostPattern::Exact("a.example.com".into());
    let expected = [
        (exact(), "/a", Destination::Pool(1)),
        (exact(), "/", Destination::Pool(1)),
        (HostPattern::Suffix(".example.com".into()), "/", Destination::Pool(0)),
        (HostPattern::Any, "/a/b", Destination::Pool(0)),
        (HostPattern::Any, "/", Destination::Pool(0)),
    ];
    assert_eq!(got, expected);
}

#[test]
fn redirects_stand_among_the_routes_and_a_reload_changes_them() {
    let rule = |path: &str| RouteRule { host: None, path: path.into() };
    let mut rig = Rig::ready(&[shop(1, 1)]);
    let mut configure = |redirects: &[Redirect]| {
        let mut desired = desired(&[shop(1, 1)]);
        let by_name = |one: &Redirect| (one.name.clone(), Arc::new(one.clone()));
        desired.redirects = redirects.iter().map(by_name).collect();
        let version = rig.table.version;
        assert_eq!(rig.event(Event::Configured(desired)).unwrap(), [""; 0]);
        let routes = rig.table.routes.iter().map(|route| (route.path.to_string(), route.to));
        let names = rig.table.redirects.iter().map(|redirect| redirect.name.to_string());
        let is_new = rig.table.version > version;
        (is_new, routes.collect::<Vec<_>>(), names.collect::<Vec<_>>())
    };
    let route = |path: &str, to| (path.to_owned(), to);
    let shop = || route("/shop", Destination::Pool(0));
    let a = Redirect { routes: vec![rule("/"), rule("/shop/a")], ..Redirect::unrouted("a") };
    let b = Redirect { routes: vec![rule("/bb")], ..Redirect::unrouted("b") };
    let to = Destination::Redirect;
    assert_eq!(configure(&[]), (false, vec![shop()], vec![]));
    let routes = vec![route("/shop/a", to(0)), shop(), route("/bb", to(1)), route("/", to(0))];
    let both = [a.clone(), b.clone()];
    assert_eq!(configure(&both), (true, routes.clone(), vec!["a".into(), "b".into()]));
    assert_eq!(configure(&both), (false, routes, vec!["a".into(), "b".into()]));
    let routes = vec![shop(), route("/bb", to(0))];
    assert_eq!(configure(&[b]), (true, routes, vec!["b".into()]));
    assert_eq!(configure(&[]), (true, vec![shop()], vec![]));
    let entries = rig.said(Kind::Configured);
    assert!(entries.iter().any(|text| text.contains("redirects changed")), "{entries:?}");
}

#[test]
fn rules_are_published_and_restart_nothing() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    let version = rig.table.version;
    assert_eq!(rig.change("shop", |shop| shop.rules = Some(Box::default())), [""; 0]);
    assert_eq!(rig.table.version, version + 1);
    assert!(rig.table.pools[0].service.rules.is_some());
    assert_eq!(rig.pool("shop"), [1, 2]);
    let entries = rig.said(Kind::Configured);
    assert!(entries.iter().any(|text| text.contains("shop changed (rules)")), "{entries:?}");
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
fn endpoints_and_counters_survive_every_rebuild() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    let live = |rig: &Rig| Arc::clone(&rig.table.pools[0].live);
    let (before, endpoints) = (live(&rig), rig.endpoints("shop"));
    let version = rig.table.version;
    rig.change("shop", |shop| shop.balance = Algorithm::LeastRequest);
    assert_eq!(rig.table.version, version + 1);
    assert!(Arc::ptr_eq(&before, &live(&rig)));
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
