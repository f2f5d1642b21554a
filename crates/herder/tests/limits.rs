//! Limits, the queue and rates, from the file to the client, through the real `herder serve`.
//! The discipline of the queue in detail is for `balance`, its races for `proxy`.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::places::example;
use testkit::{Herd, Herder, HttpOrigin, PATIENCE, RawClient, Reply, proc, wait_until};
use tokio::task::JoinSet;

const HERDER: &str = env!("CARGO_BIN_EXE_herder");

/// A herd of these addresses with these keys of the service.
async fn serving(origins: &[&HttpOrigin], keys: &str) -> Herd {
    let addrs: Vec<String> =
        origins.iter().map(|one| format!("{:?}", one.addr().to_string())).collect();
    let config = format!(
        "listener.web.bind = '127.0.0.1:0'\n[service.shop]\nstatic = [{}]\nroute = '/'\n{keys}\n",
        addrs.join(", ")
    );
    let herd = Herder::serve(HERDER, &config).start();
    herd.wait_ready("shop", u64::try_from(origins.len()).unwrap()).await;
    herd
}

/// An origin that takes its time, and the targets that it was asked for, in order.
async fn slow(delay: Duration) -> (HttpOrigin, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let targets = Arc::clone(&asked);
    let origin = HttpOrigin::start("slow", move |ask| {
        targets.lock().unwrap().push(ask.request.target.clone());
        Reply::bytes("ok").delay(delay)
    });
    (origin.await, asked)
}

/// Sends a request on a connection of its own and does not wait for the answer.
async fn asking(herd: &Herd, target: &str, fields: &str) -> RawClient {
    let mut client = RawClient::connect(herd.addr().await).await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).await.unwrap();
    client
}

/// The same until it waits as the last of `waiting`.
async fn queueing(herd: &Herd, target: &str, fields: &str, waiting: u64) -> RawClient {
    let client = asking(herd, target, fields).await;
    waits(herd, waiting).await;
    client
}

async fn waits(herd: &Herd, count: u64) {
    let line = format!("herder_requests_waiting{{service=\"shop\"}} {count}\n");
    wait_until(PATIENCE, &line, async || {
        herd.admin("/metrics").await.is_some_and(|page| page.text().contains(&line))
    })
    .await;
}

/// The most that any instance had in flight whenever somebody looked, until all tasks are done.
async fn most_in_flight(herd: &Herd, tasks: &mut JoinSet<()>) -> u64 {
    let mut most = 0;
    while !tasks.is_empty() {
        let instances = herd.instances("shop").await;
        most = instances.iter().map(|instance| instance.in_flight).max().unwrap_or(0).max(most);
        while let Some(joined) = tasks.try_join_next() {
            joined.unwrap();
        }
    }
    most
}

#[tokio::test]
async fn what_is_beyond_the_limit_waits_in_order_and_status_shows_it() {
    let (origin, asked) = slow(Duration::from_millis(1500)).await;
    let herd = serving(&[&origin], "limits.in_flight_max = 2\nqueue.target = 'off'").await;
    let mut clients = vec![asking(&herd, "/a", "").await, asking(&herd, "/b", "").await];
    wait_until(PATIENCE, "two at the instance", async || origin.requests() == 2).await;
    for (waiting, target) in (1..).zip(["/c", "/d", "/e", "/f"]) {
        clients.push(queueing(&herd, target, "", waiting).await);
    }
    wait_until(PATIENCE, "the queue in the status", async || {
        herd.command(["status"]).await.stdout.contains(" requests wait, the oldest for ")
    })
    .await;
    for client in &mut clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    let mut asked = asked.lock().unwrap().clone();
    asked[..2].sort();
    // Two places become free at about the same time, and two workers send what takes them.
    asked[2..4].sort();
    asked[4..].sort();
    assert_eq!(asked, ["/a", "/b", "/c", "/d", "/e", "/f"]);
    waits(&herd, 0).await;
    herd.stop().await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back_and_a_higher_class_goes_first() {
    let (origin, asked) = slow(Duration::from_millis(1000)).await;
    let keys = "limits.service_in_flight_max = 1\n\
                queue = { max = 2, priority_header = 'X-Priority', priority_from = 'anyone' }";
    let herd = serving(&[&origin], keys).await;
    let mut first = asking(&herd, "/first", "").await;
    wait_until(PATIENCE, "one at the instance", async || origin.requests() == 1).await;
    let mut low = queueing(&herd, "/low", "X-Priority: low\r\n", 1).await;
    let mut normal = queueing(&herd, "/normal", "", 2).await;
    let refusal = asking(&herd, "/late", "").await.response().await.unwrap();
    let refused = low.response().await.unwrap();
    assert_eq!((refused.status, refused.fields.get("retry-after")), (503, Some("1")));
    assert_eq!(refused.fields.get("herder-error"), Some("too_many_waiting"));
    assert_eq!(refusal.status, 200, "it took the place of a lower class");
    for client in [&mut first, &mut normal] {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    assert_eq!(*asked.lock().unwrap(), ["/first", "/normal", "/late"]);

    let mut first = asking(&herd, "/first", "").await;
    wait_until(PATIENCE, "another at the instance", async || origin.requests() == 4).await;
    let mut normal = queueing(&herd, "/normal", "", 1).await;
    let mut high = queueing(&herd, "/high", "X-Priority: 2\r\n", 2).await;
    let refusal = asking(&herd, "/late", "").await.response().await.unwrap();
    assert_eq!((refusal.status, refusal.fields.get("retry-after")), (503, Some("1")));
    assert_eq!(refusal.fields.get("herder-error"), Some("too_many_waiting"));
    for client in [&mut first, &mut high, &mut normal] {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    assert_eq!(asked.lock().unwrap()[3..], ["/first", "/high", "/normal"]);
    herd.stop().await;
}

#[tokio::test]
async fn who_comes_too_often_is_told_when_to_come_again() {
    let origin = HttpOrigin::start("a", |_| Reply::bytes("ok")).await;
    let keys = "rate_limit = [{ key = 'header:X-Api-Key', rate = '2/h', burst = 2 },\n\
                { key = 'client', rate = '3600/h', burst = 6 }]";
    let herd = serving(&[&origin], keys).await;
    let mut client = RawClient::connect(herd.addr().await).await;
    let mut ask = async |key: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {key}\r\n\r\n");
        client.send(head).await.unwrap();
        let answer = client.response().await.unwrap();
        let after = answer.fields.get("retry-after").map(|after| after.parse::<u32>().unwrap());
        (answer.status, answer.fields.get("herder-error").map(str::to_owned), after)
    };
    for key in ["a", "b", "a", "b"] {
        assert_eq!(ask(key).await, (200, None, None));
    }
    let (status, error, after) = ask("a").await;
    assert_eq!((status, error.as_deref()), (429, Some("rate_limited")));
    assert!((1790..=1800).contains(&after.unwrap()), "{after:?}");
    for key in ["c", "d"] {
        assert_eq!(ask(key).await.0, 200, "another key");
    }
    let (status, _, after) = ask("e").await;
    assert_eq!((status, after), (429, Some(1)), "the same client");
    assert_eq!(origin.requests(), 6);
    let page = herd.admin("/metrics").await.unwrap();
    let counted = "herder_errors_total{service=\"shop\",error=\"rate_limited\"} 2\n";
    assert!(page.text().contains(counted));
    herd.stop().await;
}

#[tokio::test]
async fn those_who_wait_outlast_a_restart_and_an_outage_and_no_instance_has_too_many() {
    let config = format!(
        "listener.web.bind = '127.0.0.1:0'\n[service.shop]\n\
         run = ['python3', '{}']\nhealth = '/healthz'\nroute = '/'\n\
         scale = {{ min = 2, policy = 'fixed' }}\n\
         limits.in_flight_max = 2\nqueue = {{ target = 'off', timeout = '1m' }}\n\
         restart.backoff_min = '10ms'\n",
        example("python/plain.py").display()
    );
    let herd = Herder::serve(HERDER, &config).start();
    herd.wait_settled("shop", 2).await;
    let addr = herd.addr().await;
    let start = |clients: u32, each: u32| {
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            tasks.spawn(async move {
                let mut client = RawClient::connect(addr).await.patience(Duration::from_secs(60));
                for _ in 0..each {
                    let answer = client.get("/work?ms=50").await.unwrap();
                    assert_eq!(answer.status, 200, "{answer}");
                }
            });
        }
        tasks
    };
    let mut tasks = start(20, 10);
    let restarted = herd.ordered(["restart", "shop"]);
    let (most, _) = tokio::join!(most_in_flight(&herd, &mut tasks), restarted);
    assert!((1..=2).contains(&most), "{most}");

    herd.wait_settled("shop", 2).await;
    for instance in herd.instances("shop").await {
        proc::kill(instance.pid.unwrap());
    }
    wait_until(PATIENCE, "nobody to be ready", async || {
        herd.instances("shop").await.iter().all(|instance| instance.phase != "ready")
    })
    .await;
    let mut tasks = start(30, 2);
    let most = most_in_flight(&herd, &mut tasks).await;
    assert!((1..=2).contains(&most), "{most}");
    herd.stop().await;
}
