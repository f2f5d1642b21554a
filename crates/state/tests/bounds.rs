//! What a store does at its bounds, without sockets: each is held before it is passed, not after.
#![allow(clippy::unwrap_used)]

use state::{After, Options, Parser, Reply, Store, Trust};

const MIB: usize = 1024 * 1024;
/// As far as the store lets its journal grow.
const JOURNAL_BYTES_MAX: usize = 64 * MIB;
const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

struct Client {
    store: Store,
    out: Reply,
    after: After,
}

impl Client {
    fn of(options: Options) -> Self {
        let mut store = Store::new(options, fastrand::Rng::with_seed(7), 0);
        store.connect(0, "unix:0".to_owned(), "unix:0".to_owned());
        Self { store, out: Reply::default(), after: After::Continue }
    }

    fn ask(&mut self, words: &[&str]) -> String {
        let mut wire = format!("*{}\r\n", words.len());
        for word in words {
            wire += &format!("${}\r\n{word}\r\n", word.len());
        }
        let (mut parser, before) = (Parser::default(), self.out.len());
        assert_eq!(parser.next(wire.as_bytes(), Trust::Known), Ok(Some(wire.len())));
        self.after = self.store.execute(0, parser.args(wire.as_bytes()), &mut self.out);
        String::from_utf8_lossy(self.out.bytes().get(before..).unwrap_or_default()).into_owned()
    }

    #[track_caller]
    fn asks(&mut self, words: &[&str], expected: &str) {
        assert_eq!(self.ask(words), expected, "{}", words[0]);
    }
}

fn kept() -> Options {
    Options { is_kept: true, ..Options::unbounded() }
}

#[test]
fn what_speaks_http_is_let_go_without_an_answer() {
    for first in ["POST", "post", "Host:", "HOST:"] {
        let mut client = Client::of(Options::unbounded());
        client.asks(&[first, "/", "HTTP/1.1"], "");
        assert_eq!(client.after, After::Close, "{first}");
        assert_eq!(client.store.take_http().as_deref(), Some("unix:0"), "{first}");
    }
    let mut client = Client::of(Options::unbounded());
    assert!(client.ask(&["HOST"]).starts_with("-ERR unknown command"));
    assert_eq!(client.after, After::Continue);
}

#[test]
fn writers_are_refused_as_soon_as_the_journal_is_full() {
    let mut client = Client::of(kept());
    let value = "x".repeat(8 * MIB);
    client.asks(&["SET", "a", &value], "+OK\r\n");
    client.asks(&["MULTI"], "+OK\r\n");
    for _ in 0..100 {
        client.asks(&["EXPIRE", "a", "1000"], "+QUEUED\r\n");
    }
    let answers = client.ask(&["EXEC"]);
    let behind = "-MISCONF Errors writing to the AOF file: the disk does not keep up\r\n";
    assert!(answers.starts_with("*100\r\n:1\r\n") && answers.ends_with(behind), "{answers}");
    assert!(client.store.journal_bytes() < JOURNAL_BYTES_MAX + 9 * MIB);
    client.asks(&["EXPIRE", "a", "1000"], behind);
    client.asks(&["STRLEN", "a"], &format!(":{}\r\n", value.len()));
    client.store.take_journal();
    client.asks(&["DEL", "a"], ":1\r\n");
}

#[test]
fn sessions_are_not_flushed_from_the_cache_while_the_disk_refuses() {
    let mut client = Client::of(kept());
    client.asks(&["SET", "a", "1"], "+OK\r\n");
    client.store.set_disk(Some("full".to_owned()));
    client.asks(&["SELECT", "1"], "+OK\r\n");
    let refused = "-MISCONF Errors writing to the AOF file: full\r\n";
    client.asks(&["FLUSHALL"], refused);
    client.asks(&["FLUSHDB"], "+OK\r\n");
    client.asks(&["SELECT", "0"], "+OK\r\n");
    client.asks(&["EXISTS", "a"], ":1\r\n");
}

#[test]
fn an_answer_is_bounded_while_it_is_written() {
    let mut client = Client::of(Options::unbounded());
    client.out = Reply::bounded(MIB);
    let value = "x".repeat(MIB / 4);
    client.asks(&["SET", "a", &value], "+OK\r\n");
    client.asks(&["MULTI"], "+OK\r\n");
    for _ in 0..5 {
        client.asks(&["GET", "a"], "+QUEUED\r\n");
    }
    assert_eq!(client.after, After::Continue);
    client.ask(&["EXEC"]);
    assert_eq!(client.after, After::Close);
    assert!(client.out.is_overfull() && client.out.is_empty());
    // Nor does it begin anew.
    client.asks(&["PING"], "");

    for words in [&["MGET", "a", "a", "a", "a", "a"][..], &["KEYS", "*"]] {
        client.out = Reply::bounded(MIB);
        client.asks(&["SET", &value, "long"], "+OK\r\n");
        client.out = Reply::bounded(MIB / 4);
        client.ask(words);
        assert_eq!(client.after, After::Close, "{}", words[0]);
    }
}

#[test]
fn what_is_larger_than_the_cache_does_not_empty_it() {
    let options = Options { cache_bytes_max: MIB, ..Options::unbounded() };
    let mut client = Client::of(options);
    client.asks(&["SELECT", "1"], "+OK\r\n");
    client.asks(&["SET", "a", "1"], "+OK\r\n");
    client.asks(&["SET", "b", &"x".repeat(2 * MIB)], OOM);
    client.asks(&["EXISTS", "a"], ":1\r\n");
}

#[test]
fn a_string_that_grows_takes_little_more_than_it_holds() {
    let options = Options { sessions_bytes_max: 4 * MIB, ..Options::unbounded() };
    let mut client = Client::of(options);
    let value = "x".repeat(MIB);
    client.asks(&["SET", "a", &value], "+OK\r\n");
    client.asks(&["APPEND", "a", &value], &format!(":{}\r\n", 2 * MIB));
    client.asks(&["APPEND", "a", "x"], &format!(":{}\r\n", 2 * MIB + 1));
    let weight = client.ask(&["MEMORY", "USAGE", "a"]);
    let weight: usize = weight[1..].trim().parse().unwrap();
    assert!((2 * MIB..3 * MIB).contains(&weight), "{weight}");
    client.asks(&["APPEND", "a", &value], &format!(":{}\r\n", 3 * MIB + 1));
    client.asks(&["APPEND", "a", &value], OOM);
}

#[test]
fn many_small_items_do_not_pass_the_bound_of_memory() {
    let names: Vec<String> = (0..10_000).map(|number| format!("{number}")).collect();
    for command in ["SADD", "MSET"] {
        let options = Options { sessions_bytes_max: MIB / 4, ..Options::unbounded() };
        let mut client = Client::of(options);
        let mut words = if command == "SADD" { vec!["SADD", "a"] } else { vec!["MSET"] };
        words.extend(names.iter().map(String::as_str));
        client.asks(&words, OOM);
        client.asks(&["DBSIZE"], ":0\r\n");
    }
}

#[test]
fn watched_keys_are_bounded_in_bytes_and_counted_once() {
    let mut client = Client::of(Options::unbounded());
    let key = "x".repeat(40 * MIB);
    client.asks(&["WATCH", &key], "+OK\r\n");
    client.asks(&["WATCH", &key], "-ERR too many keys are watched\r\n");
    client.asks(&["UNWATCH"], "+OK\r\n");
    client.asks(&["WATCH", &key], "+OK\r\n");
    client.asks(&["UNWATCH"], "+OK\r\n");
    for _ in 0..100_001 {
        client.asks(&["WATCH", "a"], "+OK\r\n");
    }
}

#[test]
fn the_last_time_there_is_is_a_time() {
    let mut client = Client::of(Options::unbounded());
    let last = i64::MAX.to_string();
    client.asks(&["SET", "a", "1"], "+OK\r\n");
    client.asks(&["PEXPIREAT", "a", &last], ":1\r\n");
    client.asks(&["PEXPIRETIME", "a"], &format!(":{}\r\n", i64::MAX - 1));
    client.asks(&["EXPIRETIME", "a"], ":9223372036854775\r\n");
    client.asks(&["TTL", "a"], ":9223372036854775\r\n");
    client.asks(&["SET", "b", "1", "PXAT", &last], "+OK\r\n");
    client.asks(&["PERSIST", "b"], ":1\r\n");
}
