//! Orders that cannot be carried out: refused with what to do instead, and nothing changes.
//! What becomes of good ones is tested elsewhere.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;
use testkit::{Herd, Herder};

use crate::{HERDER, config, told};

#[tokio::test]
async fn orders_about_what_is_not_there_or_out_of_bounds() {
    let herd = Herder::serve(HERDER, &config()).start();
    herd.wait_settled("shop", 1).await;
    let before = unchanging(&herd).await;
    let check = async |order: &[&str], code: i32, said: &[&str]| {
        let answer = herd.command(order).await;
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(code), ""), "{order:?} {answer:?}");
        for part in said {
            assert!(answer.stderr.contains(part), "{order:?} {answer:?}");
        }
    };
    let no_service = ["there is no service `shp`", "services now: shop"];
    check(&["scale", "shp", "2"], 1, &no_service).await;
    check(&["restart", "shp"], 1, &no_service).await;
    check(&["drain", "shop.7"], 1, &["no instance `shop.7`", "instances now: shop.1"]).await;
    check(&["scale", "shop", "4"], 1, &["4 is above max (3)", "ask for at most 3"]).await;
    check(&["scale", "shop", "0"], 1, &["0 is below min (1)", "ask for at least 1"]).await;
    check(&["scale", "shop", "-1"], 2, &["'-1'"]).await;
    check(&["scale", "shop", "many"], 2, &["invalid value 'many'"]).await;
    check(&["scale", "Shop", "2"], 2, &["`Shop` is not a service name"]).await;
    check(&["drain", "shop"], 2, &["`shop` is not an instance: use SERVICE.NUMBER"]).await;
    check(&["herd"], 2, &["unrecognized subcommand 'herd'"]).await;
    assert_eq!(unchanging(&herd).await, before);
    herd.stop().await;
}

#[tokio::test]
async fn a_reload_of_a_broken_file_changes_nothing() {
    let herd = Herder::serve(HERDER, &config()).start();
    herd.wait_settled("shop", 1).await;
    herd.ordered(["scale", "shop", "2"]).await;
    let before = unchanging(&herd).await;
    let check = async |file: &str, said: &str| {
        herd.rewrite(file);
        let answer = herd.command(["reload"]).await;
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""), "{answer:?}");
        assert!(answer.stderr.contains("nothing was changed: "), "{answer:?}");
        assert!(answer.stderr.contains(said), "{answer:?}");
        assert_eq!(unchanging(&herd).await, before, "{said}");
    };
    let unknown = format!("{}balnce = \"random\"\n", config());
    check(&unknown, "herder.toml:6: service.shop.balnce: unknown key; did you mean").await;
    check("[service.shop", "herder.toml:1: ").await;
    check("", "herder.toml").await;
    // What comes first is right, and must not be taken because of that.
    let half = format!("{}[service.cart]\nrun = \"\"\n", config().replace("max = 3", "max = 5"));
    check(&half, "herder.toml:7: service.cart.run: ").await;
    // Right in itself, and found impossible only when it is prepared.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let extra = format!("listener.extra.bind = \"{addr}\"\n{}", config());
    check(&extra, &format!("listener extra: {addr} is already in use")).await;
    fs::remove_file(herd.dir().join("herder.toml")).unwrap();
    let answer = herd.command(["reload"]).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("herder.toml could not be read"), "{answer:?}");

    // The same by signal, where only the log can say so.
    herd.rewrite(&unknown);
    herd.signal(rustix::process::Signal::HUP);
    let text = told(&herd, "service.shop.balnce: unknown key").await;
    assert!(text.contains("not reloaded"), "{text}");
    assert_eq!(unchanging(&herd).await, before);
    herd.rewrite(&config().replace("max = 3", "max = 5"));
    herd.signal(rustix::process::Signal::HUP);
    told(&herd, "reloaded: ").await;
    herd.ordered(["scale", "shop", "5"]).await;
    herd.stop().await;
}

#[tokio::test]
async fn a_reload_where_there_is_no_file() {
    let herd = Herder::run(HERDER).command([HERDER, "__shop"]).start();
    herd.wait_ready("web", 1).await;
    let answer = herd.command(["reload"]).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("runs a command line, not a file"), "{answer:?}");
    assert!(answer.stderr.contains("stop it and run it anew"), "{answer:?}");
    herd.stop().await;
}

#[tokio::test]
async fn orders_where_nobody_runs() {
    for order in [
        &["status"][..],
        &["status", "--json"],
        &["journal"],
        &["scale", "shop", "2"],
        &["drain", "shop.1"],
        &["restart", "shop"],
        &["reload"],
        &["stop"],
    ] {
        let answer = Herder::once(HERDER, order).await;
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(3), ""), "{order:?} {answer:?}");
        assert!(answer.stderr.contains("no running Herder answers at "), "{order:?} {answer:?}");
        assert!(answer.stderr.contains("start one with `herder run`"), "{order:?} {answer:?}");
    }
}

/// All of the status that does not change by itself.
async fn unchanging(herd: &Herd) -> Value {
    let mut status = herd.up().await;
    for passing in ["at", "uptime_ms"] {
        status[passing].take();
    }
    for service in status["services"].as_array_mut().unwrap() {
        for passing in ["traffic", "desired_reason"] {
            service[passing].take();
        }
        service["scaling"]["decision"].take();
        for instance in service["instances"].as_array_mut().unwrap() {
            for passing in ["phase_age_ms", "last_probe"] {
                instance[passing].take();
            }
        }
    }
    status
}
