//! Services that fail too many requests: who is refused at the door, and what that is called.
//! How many are refused is tested in `balance`.

use std::time::Duration;

use model::{Admission, PriorityFrom, PriorityHeader};
use testkit::{HttpOrigin, RawClient, Reply};

use crate::plane::{Plane, Setup};

fn setup() -> Setup {
    let admission = Admission {
        is_on: true,
        success_percent: 50,
        window: Duration::from_secs(3600),
        rate_min: 0,
        refused_percent_max: 90,
    };
    Setup { admission, ..Setup::default() }
}

async fn ask(client: &mut RawClient, fields: &str) -> (u16, Option<String>) {
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).await.unwrap();
    let answer = client.response().await.unwrap();
    if answer.status == 503 {
        assert_eq!(answer.fields.get("retry-after"), Some("1"));
    }
    (answer.status, answer.fields.get("herder-error").map(str::to_owned))
}

async fn refused(plane: &Plane) -> f64 {
    plane.metric(r#"herder_errors_total{service="shop",error="not_admitted"}"#)
}

#[tokio::test]
async fn a_service_that_fails_is_spared_and_one_that_answers_is_not() {
    let bad = HttpOrigin::start("bad", |_| Reply::bytes("no").status(500)).await;
    let plane = setup().serving([bad.addr()]);
    let mut client = plane.client().await;
    let mut seen = Vec::new();
    for _ in 0..300 {
        seen.push(ask(&mut client, "").await);
    }
    let not_admitted = (503, Some("not_admitted".to_owned()));
    assert!(seen.iter().all(|one| *one == not_admitted || *one == (500, None)), "{seen:?}");
    let count = seen.iter().filter(|one| **one == not_admitted).count();
    assert!((200..300).contains(&count), "nine of ten: {count}");
    assert_eq!(bad.requests(), 300 - count as u64);
    assert!((refused(&plane).await - count as f64).abs() < f64::EPSILON);

    // What a client does wrong, or is told to do less of, is no failure of the service.
    for status in [404, 429] {
        let well = HttpOrigin::start("well", move |_| Reply::bytes("").status(status)).await;
        let plane = setup().serving([well.addr()]);
        let mut client = plane.client().await;
        for _ in 0..50 {
            assert_eq!(ask(&mut client, "").await.0, status);
        }
    }
}

#[tokio::test]
async fn the_lowest_class_is_refused_first() {
    let origin = HttpOrigin::start("a", |ask| match ask.request.fields.get("x-fail") {
        Some(_) => Reply::bytes("no").status(500),
        None => Reply::bytes("ok"),
    });
    let origin = origin.await;
    let mut setup = setup();
    setup.queue.priority =
        Some(PriorityHeader { name: "x-priority".into(), from: PriorityFrom::Anyone });
    let plane = setup.serving([origin.addr()]);
    let mut client = plane.client().await;
    for nth in 0..200 {
        let class = if nth % 2 == 0 { "X-Priority: low\r\n" } else { "" };
        assert_eq!(ask(&mut client, class).await.0, 200);
    }
    let (mut low, mut normal) = (0, 0);
    for _ in 0..400 {
        low += u32::from(ask(&mut client, "X-Priority: low\r\nX-Fail: 1\r\n").await.0 == 503);
        normal += u32::from(ask(&mut client, "").await.0 == 503);
    }
    assert_eq!(normal, 0);
    assert_eq!(low, 0, "600 of 1,000 ended well");
    for _ in 0..800 {
        low += u32::from(ask(&mut client, "X-Priority: low\r\nX-Fail: 1\r\n").await.0 == 503);
        normal += u32::from(ask(&mut client, "X-Fail: 1\r\n").await.0 == 503);
    }
    assert!(low > 100 && normal < low / 2, "{low} {normal}");
}
