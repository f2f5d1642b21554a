//! The house rules over sources: each takes text and returns what breaks it.
//! No rule reads a file or knows an exception; both are the caller's.

use crate::source::{Source, line_of, words};
use crate::verdict::Finding;

/// Lines of production code that a file may have, and the most that an exception may allow.
pub(crate) const FILE_LINES: usize = 400;
/// The most production lines that a file may have, exception or not.
pub(crate) const FILE_LINES_HARD: usize = 500;
/// Lines from the brace that opens a function to the one that closes it.
pub(crate) const FUNCTION_LINES: usize = 70;
/// Characters in a line.
pub(crate) const COLUMNS: usize = 100;

/// Words that no file may hold outside string literals.
const BANNED_NOTES: &[&str] = &["TODO", "FIXME", "XXX"];

/// Code that no file may hold, with what to do instead.
const BANNED_CODE: &[(&str, &str)] = &[
    ("dbg!", "remove it, or log a fact with tracing"),
    ("unbounded_channel", "every queue has a named limit"),
    ("mpsc::channel()", "every queue has a named limit: sync_channel"),
    ("let _ = ", "handle the result, or say in a match why it does not matter"),
    ("thread::sleep", "wait for a condition with a deadline"),
    ("#[ignore", "a test that does not run is not one"),
];

/// Code that a pure file may not hold outside its tests.
const BANNED_IN_PURE: &[&str] = &[
    "tokio",
    "tracing::",
    "std::{",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "thread_local!",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "::now()",
    "Rng::new()",
    "static mut",
    "LazyLock",
    "OnceLock",
    "println!",
];

/// Synonyms that the lexicon forbids, with the word to use.
const SYNONYMS: &[(&str, &str)] = &[
    ("upstream", "endpoint or instance"),
    ("backend", "service, driver or instance"),
    ("downstream", "client"),
    ("frontend", "listener"),
    ("entrypoint", "listener"),
    ("vhost", "route"),
    ("heartbeat", "probe"),
];

/// Ends of type and module names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "manager", "handler", "helper", "helpers", "util", "utils", "common", "context", "data", "info",
];

/// Files of production code are at most `limit` lines long.
pub(crate) fn long_files(source: &Source, limit: usize) -> Vec<Finding> {
    let lines = source.production_lines();
    let text = format!("{lines} lines of production code, more than {limit}: make it two files");
    (lines > limit).then(|| Finding::new(&source.path, 0, text)).into_iter().collect()
}

/// Functions, tests included, are at most [`FUNCTION_LINES`] long.
pub(crate) fn long_functions(source: &Source) -> Vec<Finding> {
    let functions = source.functions();
    let long = functions.iter().filter(|function| function.lines > FUNCTION_LINES);
    long.map(|function| {
        let place = format!("{}::{}", source.path, function.name);
        let text = format!("{} lines, more than {FUNCTION_LINES}", function.lines);
        Finding::new(&place, function.line, text)
    })
    .collect()
}

/// No function of production code takes a `bool`.
pub(crate) fn bool_parameters(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for function in Source::new("", &source.production).functions() {
        let parameters = function.signature.split("->").next().unwrap_or_default();
        if [": bool,", ": bool)", ": bool\n"].iter().any(|form| parameters.contains(form)) {
            let place = format!("{}::{}", source.path, function.name);
            let text = "a `bool` parameter: say which with an enum, or make two functions";
            found.push(Finding::new(&place, function.line, text));
        }
    }
    found
}

/// Lines are at most [`COLUMNS`] wide.
pub(crate) fn wide_lines(source: &Source) -> Vec<Finding> {
    let lines = source.raw.lines().enumerate();
    let wide = lines.filter(|(_, line)| line.chars().count() > COLUMNS);
    wide.map(|(at, _)| Finding::new(&source.path, at + 1, format!("more than {COLUMNS} columns")))
        .collect()
}

/// The first line says what the file is for, in sentences.
pub(crate) fn unsaid_purpose(source: &Source) -> Vec<Finding> {
    let doc = source.raw.lines().take_while(|line| line.starts_with("//!"));
    let kept = doc.last().is_some_and(|last| last.ends_with(['.', '`', '|', ')']));
    let said = source.raw.starts_with("//! ") && kept;
    let text = "begin with `//!`: what the file is for, and what it must not do.";
    (!said).then(|| Finding::new(&source.path, 1, text)).into_iter().collect()
}

/// What is banned everywhere.
pub(crate) fn banned(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for word in BANNED_NOTES {
        let hits = words(&source.notes).filter(|(_, found)| found == word);
        found.extend(hits.map(|(at, _)| {
            let line = line_of(&source.notes, at);
            Finding::new(&source.path, line, format!("`{word}`: do it, or file it"))
        }));
    }
    for (code, instead) in BANNED_CODE {
        found.extend(source.code.match_indices(code).map(|(at, _)| {
            let line = line_of(&source.code, at);
            Finding::new(&source.path, line, format!("`{code}`: {instead}"))
        }));
    }
    found
}

/// What a pure file may not use: clocks, chance of its own, I/O, threads and globals.
pub(crate) fn impure(source: &Source) -> Vec<Finding> {
    let code = &source.production;
    let named = BANNED_IN_PURE
        .iter()
        .flat_map(|name| code.match_indices(name).map(move |(at, _)| (at, (*name).to_owned())));
    let global_chance = code.match_indices("fastrand::").filter_map(|(at, name)| {
        let next = code[at + name.len()..].chars().next()?;
        next.is_lowercase().then(|| (at, "fastrand's global generator".to_owned()))
    });
    named
        .chain(global_chance)
        .map(|(at, name)| {
            let text = format!(
                "{name} in a pure file: time and chance are arguments, and I/O is the shell's"
            );
            Finding::new(&source.path, line_of(code, at), text)
        })
        .collect()
}

/// Only the edge can be serialised.
pub(crate) fn serialised(source: &Source) -> Vec<Finding> {
    let derives = source.code.match_indices("derive(").filter_map(|(at, _)| {
        let list = source.code[at..].split(')').next()?;
        list.contains("erialize").then(|| line_of(&source.code, at))
    });
    derives
        .map(|line| {
            let text = "serde derive: only the config schema and the admin API have a wire format";
            Finding::new(&source.path, line, text)
        })
        .collect()
}

/// No identifier of production code holds a forbidden synonym, and no type or module has an empty
/// name.
pub(crate) fn misnamed(source: &Source) -> Vec<Finding> {
    let code = &source.production;
    let mut found = Vec::new();
    let mut before = "";
    for (at, word) in words(code) {
        let parts = parts(word);
        let mut complain = |text| {
            let place = format!("{}::{word}", source.path);
            found.push(Finding::new(&place, line_of(code, at), text));
        };
        for (synonym, instead) in SYNONYMS {
            if parts.iter().any(|part| part.trim_end_matches('s') == *synonym) {
                complain(format!("say {instead}, not {synonym}"));
            }
        }
        let declared = ["struct", "enum", "trait", "type", "mod"].contains(&before);
        let last = parts.last().map_or("", String::as_str);
        if declared && EMPTY_NAMES.contains(&last) {
            complain(format!("`{last}` says nothing: name what it is"));
        }
        before = word;
    }
    found
}

/// The words that an identifier is made of, in lower case.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = '_';
    for c in identifier.chars() {
        if c == '_' || (c.is_uppercase() && before.is_lowercase()) {
            parts.push(String::new());
        }
        if c != '_' {
            parts.last_mut().expect("starts with one").extend(c.to_lowercase());
        }
        before = c;
    }
    parts.retain(|part| !part.is_empty());
    parts
}
