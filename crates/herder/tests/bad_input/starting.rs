//! Starts that cannot go well. Most end at once; a service that does not come up ends `herder run`,
//! where somebody watches, and not `herder serve`, where what it lacks may come back.

use std::net::TcpListener;
use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use testkit::{Herd, Herder, PATIENCE, RawClient, proc, wait_until};
use tokio::net::TcpStream;

use crate::{HERDER, config, ends, told};

fn run() -> Herder {
    Herder::run(HERDER).flags(["--name", "shop"])
}

fn shop() -> Herder {
    run().flags(["--health", "/healthz"]).command([HERDER, "__shop"])
}

#[tokio::test]
async fn a_command_that_does_not_exist() {
    let herd = run().command(["no-such-program"]).start();
    let said = ["there is no program `no-such-program` in PATH", "check how it is spelled"];
    ends(herd, 1, &said).await;
    let herd = run().command(["./no-such-program"]).start();
    ends(herd, 1, &["there is no program `./no-such-program` here", "check the path"]).await;
}

#[tokio::test]
async fn a_command_that_may_not_be_run() {
    let herder = run().flags(["--min", "1"]).command(["./service"]);
    let file = herder.dir().join("service");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let herd = herder.start();
    told(&herd, "cannot run `./service`: permission denied; make it executable with `chmod +x")
        .await;
    fs::remove_file(file).unwrap();
    herd.signal(Signal::TERM);
    ends(herd, 0, &[]).await;
}

/// Nothing was ever ready: `run` gives up with what the instance wrote last.
#[tokio::test]
async fn a_command_that_exits_at_once_ends_run() {
    let herd = run().command(["sh", "-c", "echo no such module >&2; exit 3"]).start();
    herd.output().line("shop.1 | no such module").await;
    herd.output().line("shop: next start in").await;
    let said = [
        "shop is in a crash loop: 5 failures, next start in",
        "herder: shop: gave up after 5 failed starts and no instance that was ever ready",
        "the last lines it wrote:",
        "  | no such module",
        "run the command by itself to see what it lacks",
    ];
    ends(herd, 1, &said).await;
}

#[tokio::test]
async fn a_command_that_exits_at_once_does_not_end_serve() {
    let restart = "restart = { backoff_min = \"20ms\", backoff_max = \"100ms\", crash_loop = 3 }\n";
    let broken = config().replace("\"__shop\"", "\"--no-such-flag\"") + restart;
    let herd = Herder::serve(HERDER, &broken).start();
    let line = herd.output().line("shop is in a crash loop: 3 failures, next start in").await;
    assert!(line.contains("exit code 2"), "{line}");
    let status = herd.ordered(["status"]).await;
    assert!(status.contains("crash loop: "), "{status}");
    assert!(status.contains("  | error: unexpected argument '--no-such-flag'"), "{status}");
    let restart = herd.command(["restart", "shop"]).await;
    assert_eq!(restart.code, Some(1), "{restart:?}");
    assert!(restart.stderr.contains("shop: crash loop"), "{restart:?}");

    // Once it is mended, it comes up, and nobody has to restart Herder.
    herd.rewrite(&config());
    herd.ordered(["reload"]).await;
    herd.wait_settled("shop", 1).await;
    herd.stop().await;
}

#[tokio::test]
async fn a_listener_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let herder = Herder::serve(HERDER, &config().replace("127.0.0.1:0", &addr.to_string()));
    let said = format!("listener web: {addr} is already in use; stop what uses it (`ss -ltnp");
    ends(herder.start(), 1, &[&said]).await;
}

#[tokio::test]
async fn the_admin_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let file = format!("{}[admin]\nbind = \"{addr}\"\n", config());
    let herder = Herder::serve(HERDER, &file).without_admin();
    let first = format!("the admin address {addr} cannot be used: Address already in use");
    ends(herder.start(), 1, &[&first, "another Herder may have it", "--admin off"]).await;
}

#[tokio::test]
async fn a_file_with_five_mistakes() {
    let file = "\
        listener.web.bind = \"127.0.0.1\"\n\
        [service.shop]\n\
        run = \"node server.js\"\n\
        helth = \"/healthz\"\n\
        balance = \"round\"\n\
        drain = \"30\"\n\
        scale = { min = 4, max = 2 }\n";
    let said = [
        "herder.toml has 5 problems:",
        "herder.toml:1: listener.web.bind: \"127.0.0.1\" is not an address; add a port",
        "herder.toml:4: service.shop.helth: unknown key; did you mean `health`?",
        "herder.toml:5: service.shop.balance: there is no \"round\"; write \"least-latency\"",
        "herder.toml:6: service.shop.drain: \"30\" is not a duration; write whole numbers with",
        "herder.toml:7: service.shop.scale.max: 2 is less than min (4); raise max or lower min",
    ];
    let herd = Herder::serve(HERDER, file).start();
    ends(herd, 78, &said).await;
    let there = Herder::serve(HERDER, file);
    let path = there.dir().join("herder.toml");
    let answer = Herder::once(HERDER, ["check", "-c", path.to_str().unwrap()]).await;
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(78), ""), "{answer:?}");
    let lines: Vec<_> = answer.stderr.lines().collect();
    assert_eq!(lines.len(), said.len(), "{answer:?}");
    assert!(lines.iter().zip(said).all(|(line, said)| line.contains(said)), "{answer:?}");
}

#[tokio::test]
async fn flags_with_several_mistakes() {
    let herd = shop().flags(["--min", "3", "--max", "2", "--balance", "fair"]).start();
    let said = [
        "--max: 2 is less than --min (3); raise --max or",
        "--balance: there is no \"fair\"",
        "run --help",
    ];
    ends(herd, 2, &said).await;
}

#[tokio::test]
async fn a_service_without_instances() {
    for (keys, said) in [
        ("", "service.shop: has nothing to run; add run = \"COMMAND\", or static = "),
        ("run = \"\"", "service.shop.run: "),
        ("static = []", "service.shop.static: "),
        ("run = \"x\"\nscale = { min = 0 }", "service.shop.scale.min: "),
    ] {
        let herd = Herder::serve(HERDER, &format!("[service.shop]\n{keys}\n")).start();
        ends(herd, 78, &[said]).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read() {
    let herder = Herder::serve(HERDER, "");
    let file = herder.dir().join("herder.toml");
    fs::remove_file(&file).unwrap();
    let herd = herder.start();
    let said = ["herder.toml could not be read: No such file or directory", "with -c"];
    ends(herd, 78, &said).await;
    let herder = Herder::serve(HERDER, "");
    let file = herder.dir().join("herder.toml");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    ends(herder.start(), 78, &["herder.toml could not be read: Is a directory"]).await;
}

/// Long before the boot deadline it is said what the probe gets.
#[tokio::test]
async fn a_health_path_that_never_passes() {
    let herd = run().flags(["--health", "/no-such-page"]).command([HERDER, "__shop"]).start();
    let said = "shop.1: not ready after 5 s, last probe: GET /no-such-page answered 404";
    herd.output().line(said).await;
    let status = herd.ordered(["status"]).await;
    assert!(status.contains("last probe: GET /no-such-page answered 404"), "{status}");
    herd.signal(Signal::INT);
    ends(herd, 0, &[]).await;
}

#[tokio::test]
async fn a_socket_that_another_herder_has() {
    let first = shop().start();
    first.wait_ready("shop", 1).await;
    let second = shop().socket(first.socket()).start();
    let taken =
        format!("another Herder (pid {}) has the socket {}", first.pid(), first.socket().display());
    ends(second, 1, &[&taken, "give this one a socket of its own with --socket PATH"]).await;
    first.wait_settled("shop", 2).await;
    first.stop().await;
}

#[tokio::test]
async fn a_socket_in_a_place_that_cannot_be() {
    let herd = shop().socket("/proc/herder.sock").start();
    ends(herd, 1, &["/proc/herder.sock", "--socket PATH"]).await;
}

/// Too few to start at all: whatever comes first says it, and nothing is left of the rest.
#[tokio::test]
async fn hardly_any_file_descriptors() {
    for count in [4, 6, 8, 12, 16, 20, 24, 28] {
        let herd = shop().shell(&format!("ulimit -n {count}")).start();
        ends(herd, 1, &["`ulimit -n`"]).await;
    }
    let herd = shop().shell("ulimit -n 24").start();
    ends(herd, 1, &["only 24 files and connections may be open at once", "raise `ulimit -n`"])
        .await;
}

/// Enough to start, and then more clients come than there are descriptors: they never get all of
/// them, so Herder still answers, no instance is blamed, and when they leave, all is as before.
#[tokio::test]
async fn clients_that_use_up_the_file_descriptors() {
    let herd = shop().shell("ulimit -n 64").start();
    let line = told(&herd, "listener web: at most 1 connections at once, not 20000").await;
    assert!(line.contains("ulimit -Hn"), "{line}");
    told(&herd, "only 64 files and connections may be open at once").await;
    herd.wait_ready("shop", 2).await;
    let addr = herd.addr().await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(addr).await.unwrap());
    }
    assert_eq!(herd.command(["status"]).await.code, Some(0), "Herder answers all the same");
    drop(crowd);
    wait_until(PATIENCE, "descriptors to be free", async || proc::open_files(herd.pid()) < 50)
        .await;
    let mut client = RawClient::connect(addr).await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    let restarted = |herd: &Herd| herd.output().text().contains("shop.3");
    assert!(!restarted(&herd), "an instance was blamed: {}", herd.output().text());
    herd.stop().await;
}
