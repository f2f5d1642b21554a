//! Whatever the text is, the answer is a configuration or a list of problems with sound places.
//! Which of the two is decided elsewhere. With `HERDER_SEEDS` it writes what it tries by name into
//! that folder too, for the fuzzer to begin with.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use check::check;
use config::RunArgs;
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "fuzzed/check.rs"]
mod check;

/// Uses most of what the format has.
const VALID: &str = r#"workers = 4
[listener.web]
bind = "0.0.0.0:8080"
head_max = "32KiB"
[service.shop]
run = ["node", "server.js"]
route = [{ host = "shop.example.com", path = "/a" }, "/b"]
health = { path = "/healthz", interval = "2s" }
env = { A = "b", "C" = 'd' }
balance = "random"
drain = "30s"
[service.shop.scale]
min = 2
max = 20
[service.old]
static = ["10.0.0.5:80", { address = "10.0.0.6:80", weight = 2 }]
route = []
[admin]
bind = "127.0.0.1:7070"
[log.access]
format = "json"
"#;

/// Pieces that mean something to a parser, for texts that get further than noise does.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'",
    "\"\"\"",
    "\n",
    "#",
    "service",
    "shop",
    "run",
    "static",
    "route",
    "health",
    "scale",
    "min",
    "=3",
    "= \"x\"",
    "listener",
    "NAME",
    "*",
    "\\u0000",
    "\u{0}",
    "é",
    "-",
    "1979-05-27",
    "1e400",
    "true",
    "0x",
    "_",
    " ",
    "\r",
    "\u{7f}",
];

#[test]
fn the_valid_file_is_valid() {
    config::parse(VALID, Path::new("herder.toml")).unwrap();
}

/// The files of the manual and of the messages, good and bad.
#[test]
fn files_that_were_written_are_seeds() {
    let manual = include_str!("../../../docs/configuration.md");
    let fenced = manual.split("\n```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let messages = include_str!("messages.txt").split("\n\n");
    let files: Vec<&str> = [VALID].into_iter().chain(fenced).chain(messages).collect();
    assert!(files.len() > 50, "{} files", files.len());
    files.iter().for_each(|text| check(text));
    let Some(folder) = env::var_os("HERDER_SEEDS") else { return };
    let folder = Path::new(&folder).join("config");
    fs::create_dir_all(&folder).unwrap();
    for (at, text) in files.iter().enumerate() {
        fs::write(folder.join(format!("seed-{at}")), text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn on_any_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn on_pieces(pieces in vec(proptest::sample::select(PIECES), 0..40)) {
        check(&pieces.concat());
    }

    /// A valid file with some characters replaced, left out or put in.
    #[test]
    fn on_a_valid_file_with_slips(
        slips in vec((0..VALID.len(), 0..3, proptest::sample::select(PIECES)), 1..6)
    ) {
        let mut text = VALID.to_owned();
        for (at, kind, piece) in slips {
            let at = at.min(text.len());
            if !text.is_char_boundary(at) {
                continue;
            }
            let end = (at + 1..=text.len()).find(|&end| text.is_char_boundary(end)).unwrap_or(at);
            match kind {
                0 => text.replace_range(at..end, piece),
                1 => text.replace_range(at..end, ""),
                _ => text.insert_str(at, piece),
            }
        }
        check(&text);
    }

    /// A valid file with one value or key replaced by another: all wrong types in all places.
    #[test]
    fn on_a_valid_file_with_a_value_replaced(
        line in 0..VALID.lines().count(),
        value in proptest::sample::select(&[
            "3", "-1", "2.5", "true", "\"\"", "\"x\"", "[]", "[[]]", "[3]", "{}", "{ a = 1 }",
            "{ min = {} }", "1979-05-27", "99999999999999999999", "[{ host = 3 }]", "nan",
        ][..]),
    ) {
        let lines = VALID.lines().enumerate().map(|(number, text)| match text.split_once(" = ") {
            Some((key, _)) if number == line => format!("{key} = {value}\n"),
            _ => format!("{text}\n"),
        });
        check(&lines.collect::<String>());
    }

    /// Flags are written down as a file; whatever they hold, that file can be read.
    #[test]
    fn on_any_flags(
        texts in vec(proptest::option::of(any::<String>()), 8),
        min: Option<u32>,
        max: Option<u32>,
        env in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3),
        argv: Vec<String>,
    ) {
        let text = |index: usize| texts[index].clone();
        let args = RunArgs {
            name: text(0),
            bind: text(1),
            min,
            max,
            health: text(2),
            balance: text(3),
            ports: text(4),
            admin_bind: text(5),
            admin_socket: text(6),
            drain: text(7),
            env,
            argv,
        };
        if let Err(problems) = args.resolve() {
            for problem in problems.iter() {
                let flag = problem.key.starts_with("--") || problem.key == "COMMAND";
                prop_assert!(flag && problem.at.is_none(), "{problem}");
                prop_assert!(!problem.message.contains("defect"), "{problem}");
                prop_assert!(!problem.message.contains("not TOML"), "{problem}");
            }
        }
    }
}
