//! Random commands that mean something: few keys, values that are numbers half of the time, and
//! now and then an argument too many or too few.

use std::fmt;

use proptest::prelude::*;

/// A command of one of two clients.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) client: usize,
    words: Vec<String>,
}

impl Step {
    pub(crate) fn new(client: usize, words: &[&str]) -> Self {
        Self { client, words: words.iter().map(|&word| word.to_owned()).collect() }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.words[0].eq_ignore_ascii_case(name)
    }

    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut wire = format!("*{}\r\n", self.words.len());
        for word in &self.words {
            wire += &format!("${}\r\n{word}\r\n", word.len());
        }
        wire.into_bytes()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.client, self.words)
    }
}

/// What commands are made of: `k` is a key, `v` a value, `n` a number, `f` a field, `t` seconds
/// far from now, `p` milliseconds far from now, `x` a pattern; other words are as they are, and
/// `[a|b|]` is one of these or nothing.
const FORMS: &str = "\
GET k; GET k; SET k v; SET k v; SET k v [NX|XX|GET|KEEPTTL|EX t|PX p|EXAT 4102444800|EXAT 1|]
SET k v [NX|XX|] [GET|] [EX t|KEEPTTL|]; SETEX k t v; PSETEX k p v; SETNX k v; GETSET k v; GETDEL k
GETEX k [EX t|PX p|PERSIST|EXAT 4102444800|EXAT 1|PXAT 1|]; APPEND k v; STRLEN k; MGET k k k
MSET k v k v; MSETNX k v k v; INCR k; DECR k; INCRBY k n; DECRBY k n; INCRBYFLOAT k n
INCRBYFLOAT k [0.1|-2.5|1e3|10.25|.5|3.|0.000001|1e-5|abc|7e15]; DEL k; DEL k k; UNLINK k
EXISTS k k k; TOUCH k k; TYPE k; RENAME k k; RENAMENX k k; EXPIRE k t [NX|XX|]; EXPIRE k [-1|0]
PEXPIRE k p [NX|XX|]; EXPIREAT k [4102444800|4102444900|1] [NX|XX|GT|LT|]; PEXPIREAT k 4102444800000
EXPIREAT k n; TTL k; PTTL k; EXPIRETIME k; PEXPIRETIME k; PERSIST k; KEYS x
SCAN 0 COUNT 1000 [MATCH x|] [TYPE string|TYPE hash|TYPE set|]; HSET k f v; HSET k f v f v
HMSET k f v; HSETNX k f v; HGET k f; HMGET k f f f; HGETALL k; HDEL k f; HDEL k f f
HEXISTS k f; HLEN k; HKEYS k
HVALS k; HINCRBY k f n; HSCAN k 0 [MATCH x|]; SADD k f; SADD k f f v; SREM k f f; SMEMBERS k
SISMEMBER k f; SCARD k; SSCAN k 0 [MATCH x|]; MULTI; MULTI; EXEC; EXEC; DISCARD; WATCH k; WATCH k k
UNWATCH; SELECT [0|0|1]; FLUSHDB; PING; ECHO v; CLIENT SETNAME f; CLIENT GETNAME
OBJECTS k; RESET; COMMAND GETKEYS SET k v";

const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "10",
    "3.5",
    "abc",
    "",
    "9223372036854775807",
    "-9223372036854775808",
    " 1",
    "01",
    "1.50",
    "a longer value that would not fit into a small string of Redis at all",
    "x\r\ny",
];
const PATTERNS: &[&str] = &["*", "k*", "?1", "[a-g]*", "k[^1]", "nothing", "*1", "k\\1", "f?", ""];

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let forms: Vec<&'static str> =
        FORMS.split(['\n', ';']).map(str::trim).filter(|form| !form.is_empty()).collect();
    let form = prop::sample::select(forms);
    let choices = prop::collection::vec(any::<prop::sample::Index>(), 32);
    let client = prop_oneof![8 => Just(0_usize), 1 => Just(1)];
    let slip = prop_oneof![30 => Just(0_i8), 1 => Just(1), 1 => Just(-1)];
    (client, form, choices, slip).prop_map(|(client, form, choices, slip)| {
        let mut words = words(form, &choices);
        match slip {
            1 => words.push("1".to_owned()),
            -1 if words.len() > 1 => {
                words.pop();
            }
            _ => {}
        }
        Step { client, words }
    })
}

fn words(form: &str, choices: &[prop::sample::Index]) -> Vec<String> {
    let mut choices = choices.iter();
    let mut next = move |among: usize| choices.next().unwrap().index(among);
    let mut plain = String::new();
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, after) = after.split_once(']').unwrap();
        let options: Vec<&str> = inside.split('|').collect();
        plain += before;
        plain += options[next(options.len())];
        rest = after;
    }
    plain += rest;
    let word = |(at, word): (usize, &str)| match word {
        _ if at == 0 => word.to_owned(),
        "k" => format!("k{}", next(4)),
        "f" => format!("f{}", next(5)),
        "v" => VALUES[next(VALUES.len())].to_owned(),
        "n" => ["1", "-5", "100", "9223372036854775807", "x"][next(5)].to_owned(),
        "t" => ["100000", "200000", "300000"][next(3)].to_owned(),
        "p" => ["100000000", "250000000"][next(2)].to_owned(),
        "x" => PATTERNS[next(PATTERNS.len())].to_owned(),
        _ => word.to_owned(),
    };
    plain.split(' ').filter(|word| !word.is_empty()).enumerate().map(word).collect()
}
