//! `herder state serve` as a process: what is kept when it ends well, when it is killed, and when
//! memory runs out. What it answers to each command is for the tests of the `state` crate.
#![allow(clippy::unwrap_used)]

#[path = "state/store.rs"]
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use store::{Connection, Store, unix};
use testkit::PATIENCE;

/// How often the store is killed when nobody says how often.
const KILLS: usize = 10;
/// Those who write while it is killed.
const WRITERS: usize = 4;

#[test]
fn what_was_written_is_there_after_an_end_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::start(dir.path(), &[]);
    let mut client = store.connect();
    client.asks(&["SET", "sess:1", "cart"], "+OK\r\n");
    client.asks(&["SET", "sess:2", "short", "PXAT", "4102444800000"], "+OK\r\n");
    client.asks(&["HSET", "user", "name", "ann", "age", "41"], ":2\r\n");
    client.asks(&["HDEL", "user", "age"], ":1\r\n");
    client.asks(&["SADD", "tags", "a", "b"], ":2\r\n");
    client.asks(&["RENAME", "tags", "labels"], "+OK\r\n");
    client.asks(&["SET", "gone", "x"], "+OK\r\n");
    client.asks(&["DEL", "gone"], ":1\r\n");
    client.asks(&["SELECT", "1"], "+OK\r\n");
    client.asks(&["SET", "cached", "page"], "+OK\r\n");
    store.end();

    let store = Store::start(dir.path(), &[]);
    let mut client = store.connect();
    client.asks(&["DBSIZE"], ":4\r\n");
    client.asks(&["GET", "sess:1"], "$4\r\ncart\r\n");
    client.asks(&["PEXPIRETIME", "sess:2"], ":4102444800000\r\n");
    client.asks(&["HGETALL", "user"], "*2\r\n$4\r\nname\r\n$3\r\nann\r\n");
    client.asks(&["SISMEMBER", "labels", "b"], ":1\r\n");
    client.asks(&["SELECT", "1"], "+OK\r\n");
    // The cache is not kept.
    client.asks(&["DBSIZE"], ":0\r\n");
    client.asks(&["SELECT", "0"], "+OK\r\n");
    client.asks(&["FLUSHDB"], "+OK\r\n");
    store.end();

    let store = Store::start(dir.path(), &[]);
    store.connect().asks(&["DBSIZE"], ":0\r\n");
}

/// `HERDER_STATE_KILLS=100` kills it so often.
#[test]
fn no_write_that_was_answered_is_lost_when_it_is_killed() {
    let kills = std::env::var("HERDER_STATE_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut written = [0_usize; WRITERS];
    for kill in 0..kills {
        let store = Store::start(dir.path(), &["--durability", "always"]);
        let mut client = store.connect();
        for (writer, &count) in written.iter().enumerate() {
            // Each wrote 0, 1, 2, …: the last that was answered, and the one before.
            for number in count.saturating_sub(2)..count {
                let key = format!("{writer}:{number}");
                let value = client.ask(&["GET", &key]);
                assert_eq!(value, b"$4\r\nkept\r\n", "kill {kill}: {key} of {count} is lost");
            }
            let fields = client.ask(&["HLEN", &format!("hash:{writer}")]);
            let fields: usize =
                String::from_utf8(fields[1..].to_vec()).unwrap().trim().parse().unwrap();
            assert!(fields >= count, "kill {kill}: {fields} fields of {count}");
        }
        let answered = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = written
            .into_iter()
            .enumerate()
            .map(|(writer, from)| {
                let (mut client, answered) = (store.connect(), Arc::clone(&answered));
                std::thread::spawn(move || write(&mut client, writer, from, &answered))
            })
            .collect();
        let end = Instant::now() + PATIENCE;
        while answered.load(Ordering::Relaxed) < 40 * WRITERS {
            let is_going_on = writers.iter().any(|writer| !writer.is_finished());
            assert!(is_going_on, "kill {kill}: all writers have ended before the store");
            assert!(Instant::now() < end, "kill {kill}: writes are not answered");
            std::thread::yield_now();
        }
        store.kill();
        for (writer, thread) in writers.into_iter().enumerate() {
            written[writer] = thread.join().unwrap();
        }
    }
}

/// Writes until the store is gone; gives how many writes were answered.
fn write(client: &mut Connection, writer: usize, from: usize, answered: &AtomicUsize) -> usize {
    for number in from.. {
        let key = format!("{writer}:{number}");
        let field = number.to_string();
        let hash = format!("hash:{writer}");
        let wrote = client.try_ask(&["SET", &key, "kept"]).is_ok_and(|answer| answer == b"+OK\r\n")
            && client.try_ask(&["HSET", &hash, &field, ""]).is_ok_and(|answer| answer[0] == b':');
        if !wrote {
            return number;
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("it is killed before")
}

#[test]
fn memory_stays_within_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::start(dir.path(), &["--memory-max", "2MiB", "--cache-max", "1MiB"]);
    let mut client = store.connect();
    let value = "x".repeat(10_000);
    let refused = (0..1000).find_map(|number| {
        let answer = client.ask(&["SET", &format!("key:{number}"), &value]);
        (answer != b"+OK\r\n").then_some((number, answer))
    });
    let (number, answer) = refused.unwrap();
    assert!((100..220).contains(&number), "refused at {number}");
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_eq!(String::from_utf8(answer).unwrap(), oom);
    assert_eq!(client.ask(&["GET", "key:0"]).len(), value.len() + "$10000\r\n\r\n".len());
    client.asks(&["DEL", "key:0", "key:1"], ":2\r\n");
    client.asks(&["SET", "again", &value], "+OK\r\n");

    client.asks(&["SELECT", "1"], "+OK\r\n");
    for number in 0..1000 {
        client.asks(&["SET", &format!("page:{number}"), &value], "+OK\r\n");
    }
    client.asks(&["EXISTS", "page:999"], ":1\r\n");
    let text = String::from_utf8(client.ask(&["INFO", "herder"])).unwrap();
    let field = |name: &str| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().parse().unwrap()
    };
    assert!(field("sessions_bytes") <= field("sessions_bytes_max"), "{text}");
    assert!(field("cache_bytes") <= field("cache_bytes_max"), "{text}");
    assert!(field("cache_bytes") > field("cache_bytes_max") / 2, "{text}");
}

#[test]
fn clients_have_to_say_who_they_are_and_are_remembered_as_writers() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    let secret = secret.to_str().unwrap();
    let flags = ["--secret", secret, "--durability", "always"];
    let store = Store::start(&dir.path().join("state"), &flags);
    let mut client = store.connect();
    client.asks(&["GET", "a"], "-NOAUTH Authentication required.\r\n");
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    client.asks(&["AUTH", "shop-3", "guess"], wrong);
    let password = store::password("shop-3", secret);
    client.asks(&["AUTH", "shop-3", &password], "+OK\r\n");
    client.asks(&["SET", "a", "1"], "+OK\r\n");
    client.asks(&["HERDER", "WRITER", "a"], "$6\r\nshop-3\r\n");
    store.kill();

    let store = Store::start(&dir.path().join("state"), &flags);
    let mut client = store.connect();
    client.asks(&["AUTH", "shop-4", &store::password("shop-4", secret)], "+OK\r\n");
    client.asks(&["HERDER", "WRITER", "a"], "$6\r\nshop-3\r\n");
    client.asks(&["EXPIRE", "a", "100"], ":1\r\n");
    client.asks(&["HERDER", "WRITER", "a"], "$6\r\nshop-4\r\n");
}

#[test]
fn a_listening_socket_can_be_handed_over_and_a_second_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handed.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let store = Store::inherit(&dir.path().join("state"), listener.try_clone().unwrap().into());
    unix(&path).asks(&["SET", "a", "1"], "+OK\r\n");
    let refused = store::refused(&dir.path().join("state"));
    assert!(refused.contains("another store has it open"), "{refused}");
    store.end();
    // Nobody is there now, and whoever comes waits.
    let mut waiting = unix(&path);
    waiting.send(&["GET", "a"]);
    let _store = Store::inherit(&dir.path().join("state"), listener.into());
    assert_eq!(waiting.read().unwrap(), b"$1\r\n1\r\n");
}

#[test]
fn others_than_this_machine_are_not_let_in_without_a_secret() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:6379"] {
        let refused = store::refused_on(listen);
        assert!(refused.contains("can be reached from other machines"), "{refused}");
        assert!(refused.contains("--secret FILE"), "{refused}");
    }
}

#[test]
fn more_clients_than_there_are_files_for_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::with_files(dir.path(), 100);
    let mut clients: Vec<Connection> = Vec::new();
    let told = (0..100).find_map(|_| {
        let mut client = store.connect();
        // Whoever is turned away may be gone before it has asked.
        let answer = client.try_ask(&["PING"]).ok().filter(|answer| answer == b"+PONG\r\n");
        clients.push(client);
        answer.is_none().then(|| clients.len() - 1)
    });
    assert_eq!(told, Some(100 - 64));
    clients.clear();
    let end = Instant::now() + PATIENCE;
    while store.connect().try_ask(&["PING"]).ok().as_deref() != Some(b"+PONG\r\n") {
        assert!(Instant::now() < end, "places are not given again");
    }
}

#[test]
fn a_request_of_http_is_not_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::start(dir.path(), &[]);
    for first in ["POST / HTTP/1.1", "Host: 127.0.0.1:6379"] {
        let mut browser = store.connect();
        browser.send_line(&format!("{first}\r\nSET stolen 1"));
        assert!(browser.read().is_err(), "{first}");
    }
    store.connect().asks(&["EXISTS", "stolen"], ":0\r\n");
}
