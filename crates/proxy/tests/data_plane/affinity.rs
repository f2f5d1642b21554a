//! Clients that stay with an instance: which cookie they get, and when it counts.
//! How a token is made is tested in `balance`.

use http1::{Direction, FieldRule, FieldRules};
use model::{Affinity, Cookie, Rules, SameSite, Secret, SigningKey};
use testkit::{HttpOrigin, RawClient, Reply, ScriptedOrigin, Step};

use crate::plane::{Plane, Setup};

fn affinity(key: &[u8]) -> Affinity {
    let cookie = Cookie {
        name: "home".into(),
        path: "/".into(),
        max_age: None,
        same_site: SameSite::Lax,
        is_secure: false,
    };
    Affinity { cookie, secret: Secret::OfThisRun, key: Some(SigningKey::new(key)) }
}

fn setup() -> Setup {
    Setup { affinity: Some(affinity(b"key")), ..Setup::default() }
}

/// Who answered, and the cookie that was set.
async fn ask(client: &mut RawClient, cookies: &str) -> (String, Option<String>) {
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{cookies}\r\n")).await.unwrap();
    let response = client.response().await.unwrap();
    assert_eq!(response.status, 200, "{response}");
    let set = response.fields.all("set-cookie");
    let ours: Vec<&&str> = set.iter().filter(|line| line.starts_with("home=")).collect();
    assert!(ours.len() <= 1, "{response}");
    let value = ours.first().map(|line| {
        let (cookie, attributes) = line.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
        cookie.to_owned()
    });
    (response.fields.get("x-instance").unwrap().to_owned(), value)
}

async fn given(client: &mut RawClient) -> (String, String) {
    let (instance, cookie) = ask(client, "").await;
    (instance, cookie.expect("who brings none gets one"))
}

async fn counted(plane: &Plane, new: f64, moved: f64) {
    for (reason, count) in [("new", new), ("moved", moved)] {
        let series =
            format!("herder_affinity_cookies_total{{service=\"shop\",reason=\"{reason}\"}}");
        plane.metric_becomes(&series, count).await;
    }
}

#[tokio::test]
async fn a_client_stays_where_it_was_and_only_who_does_not_say_so_is_told() {
    let [a, b, c] =
        [HttpOrigin::echo("a").await, HttpOrigin::echo("b").await, HttpOrigin::echo("c").await];
    let plane = setup().serving([a.addr(), b.addr(), c.addr()]);
    let mut client = plane.client().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (instance, cookie) = given(&mut client).await;
        for others in ["", "x=1; ", "home=old; "] {
            let brought = format!("Cookie: {others}{cookie}; y=2\r\n");
            assert_eq!(ask(&mut client, &brought).await, (instance.clone(), None));
        }
        seen.push((instance, cookie));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "they take turns, and each has a token of its own: {seen:?}");
    counted(&plane, 3.0, 0.0).await;
}

#[tokio::test]
async fn what_nobody_gave_a_client_is_replaced() {
    let [a, b] = [HttpOrigin::echo("a").await, HttpOrigin::echo("b").await];
    let addrs = [a.addr(), b.addr()];
    let elsewhere = Setup { affinity: Some(affinity(b"another")), ..Setup::default() };
    let (_, foreign) = given(&mut elsewhere.serving(addrs).client().await).await;
    let plane = setup().serving(addrs);
    let mut client = plane.client().await;
    let (_, cookie) = given(&mut client).await;
    let (last, flipped) = (&cookie[cookie.len() - 1..], &cookie[..cookie.len() - 1]);
    let changed = format!("{flipped}{}", if last == "A" { "Q" } else { "A" });
    let wrong =
        [&*foreign, &*changed, flipped, &format!("{cookie}A"), "home=", "home", "home=127.0.0.1"];
    for wrong in wrong {
        let (_, set) = ask(&mut client, &format!("Cookie: {wrong}\r\n")).await;
        assert!(set.is_some_and(|set| set != wrong), "{wrong}");
    }
    counted(&plane, 8.0, 0.0).await;
}

#[tokio::test]
async fn who_cannot_stay_goes_elsewhere_and_stays_there() {
    let [a, b] = [HttpOrigin::echo("a").await, HttpOrigin::echo("b").await];
    let plane = setup().start();
    let endpoints = [plane.endpoint(a.addr()), plane.endpoint(b.addr())];
    plane.publish(&endpoints);
    let mut client = plane.client().await;
    let (instance, cookie) = given(&mut client).await;
    let at = usize::from(instance == "b");
    let other = ["b", "a"][at];
    let brought = format!("Cookie: {cookie}\r\n");

    endpoints[at].set_limit(1);
    let busy = endpoints[at].begin().unwrap();
    let (moved, new) = ask(&mut client, &brought).await;
    assert_eq!((&*moved, new.is_some()), (other, true), "it was full");
    drop(busy);
    assert_eq!(ask(&mut client, &brought).await, (instance.clone(), None));

    plane.publish(&endpoints[1 - at..2 - at]);
    let (moved, new) = ask(&mut client, &brought).await;
    assert_eq!((&*moved, new.is_some()), (other, true), "it is not in the pool");
    plane.publish(&endpoints);
    assert_eq!(ask(&mut client, &brought).await, (instance, None));

    endpoints[at].close();
    let (moved, new) = ask(&mut client, &brought).await;
    assert_eq!((&*moved, new.is_some()), (other, true), "it is told to go");
    counted(&plane, 2.0, 2.0).await;
}

#[tokio::test]
async fn after_a_retry_the_cookie_names_who_answered() {
    let bad = HttpOrigin::start("bad", |ask| match ask.request.target.as_str() {
        "/fit" => Reply::bytes("fit"),
        _ => Reply::echo().cut(0),
    });
    let (bad, good) = (bad.await, HttpOrigin::echo("good").await);
    let plane = setup().serving([bad.addr(), good.addr()]);
    let mut client = plane.client().await;
    let mut at_bad = None;
    for _ in 0..2 {
        let response = client.get("/fit").await.unwrap();
        let (cookie, _) = response.fields.get("set-cookie").unwrap().split_once(';').unwrap();
        if response.fields.get("x-instance") == Some("bad") {
            at_bad = Some(cookie.to_owned());
        }
    }
    let brought = format!("Cookie: {}\r\n", at_bad.unwrap());
    let (instance, new) = ask(&mut client, &brought).await;
    assert_eq!(instance, "good");
    let stays = format!("Cookie: {}\r\n", new.unwrap());
    assert_eq!(ask(&mut client, &stays).await, ("good".to_owned(), None));
}

#[tokio::test]
async fn no_rule_takes_it_off_and_a_tunnel_begins_with_it() {
    let remove = FieldRules::new(Direction::Response, &[FieldRule::Remove("Set-Cookie")]).unwrap();
    let rules = Some(Box::new(Rules { response: remove, ..Rules::default() }));
    let origin = HttpOrigin::start("a", |_| Reply::echo().field("Set-Cookie", "own=1")).await;
    let plane = Setup { rules, ..setup() }.serving([origin.addr()]);
    let response = plane.client().await.get("/").await.unwrap();
    let set = response.fields.all("set-cookie");
    assert!(matches!(set[..], [one] if one.starts_with("home=")), "{set:?}");

    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                  Upgrade: websocket\r\nSet-Cookie: own=1\r\n\r\n";
    let script = [vec![Step::ReadHead, Step::send(switch), Step::ReadToEnd]];
    let origin = ScriptedOrigin::start(script).await;
    let plane = setup().serving([origin.addr()]);
    let mut client = plane.client().await;
    let wish = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(wish).await.unwrap();
    let switched = client.response_to_head().await.unwrap();
    assert_eq!(switched.status, 101);
    let set = switched.fields.all("set-cookie");
    assert!(matches!(set[..], ["own=1", ours] if ours.starts_with("home=")), "{set:?}");
    client.finish().await.unwrap();
    origin.ended().await;
}
