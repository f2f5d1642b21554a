//! The house rules as tests: arrows, purity, sizes, words, and documents that name real code.
//! They grep text, so a macro can fool them; what they cannot see is for review.
#![allow(clippy::unwrap_used)]

#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/verdict.rs"]
mod verdict;
#[path = "tidy/workspace.rs"]
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;
use verdict::{Exception, Finding, settle};

/// Which workspace crates each crate may use. This table is the architecture: a change of it is a
/// change of the design. Any crate may use `testkit` for its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("http1", &[]),
    ("proxy_protocol", &[]),
    ("model", &["http1"]),
    ("balance", &["model"]),
    ("scale", &["model"]),
    ("config", &["model", "http1", "scale"]),
    ("telemetry", &["model"]),
    ("proxy", &["model", "http1", "proxy_protocol", "balance", "telemetry"]),
    ("control", &["model", "proxy_protocol", "balance", "scale", "telemetry"]),
    ("state", &[]),
    (
        "herder",
        &["model", "http1", "balance", "scale", "config", "telemetry", "proxy", "control", "state"],
    ),
    ("testkit", &[]),
];

/// Crates without clock, chance, I/O and globals of their own.
const PURE_CRATES: &[&str] = &["model", "http1", "proxy_protocol", "balance", "scale"];

/// Files of `control` that are pure: these, and all that begin with `state` or `plan`.
const PURE_IN_CONTROL: &[&str] = &["action.rs", "event.rs", "journal.rs", "table.rs", "view.rs"];

/// Files of `state` that are not pure: its edge.
const EDGE_OF_STATE: &[&str] = &["disk", "serve"];

/// The only files with a wire format, as beginnings of paths.
const SERIALISED: &[&str] = &[
    "crates/config/src/schema.rs",
    "crates/config/src/schema/",
    "crates/herder/src/admin.rs",
    "crates/herder/src/admin/",
];

/// Where a rule is not good enough. An entry that is no longer needed fails the test.
const EXCEPTIONS: &[Exception] = &[];

#[test]
fn crates_use_only_those_behind_their_arrow() {
    let manifests = manifests();
    let mut found: Vec<Finding> =
        manifests.iter().flat_map(|(name, text)| workspace::arrows(name, text, ARROWS)).collect();
    for (name, _) in ARROWS {
        if !manifests.iter().any(|(there, _)| there == name) {
            found.push(Finding::new(name, 0, "has a row in the table of arrows, and no crate"));
        }
    }
    verdict("arrows", &found);
}

#[test]
fn pure_files_stay_pure() {
    over("purity", |source| if is_pure(&source.path) { rules::impure(source) } else { Vec::new() });
}

#[test]
fn files_are_short() {
    over("file-lines", |source| rules::long_files(source, rules::FILE_LINES));
    over("file-lines-hard", |source| rules::long_files(source, rules::FILE_LINES_HARD));
}

#[test]
fn functions_are_short() {
    over("function-lines", rules::long_functions);
}

#[test]
fn lines_are_narrow() {
    over("columns", rules::wide_lines);
}

#[test]
fn parameters_are_not_bool() {
    over_product("bool-parameter", rules::bool_parameters);
}

#[test]
fn every_file_says_what_it_is_for() {
    over("purpose", rules::unsaid_purpose);
}

#[test]
fn nothing_banned_is_used() {
    over("banned", rules::banned);
}

#[test]
fn only_the_edge_is_serialised() {
    over("serde", |source| {
        let edge = SERIALISED.iter().any(|start| source.path.starts_with(start));
        if edge { Vec::new() } else { rules::serialised(source) }
    });
}

#[test]
fn names_follow_the_lexicon() {
    over_product("names", rules::misnamed);
}

#[test]
fn modules_have_no_mod_rs() {
    over("mod-rs", |source| {
        let old = source.path.ends_with("/mod.rs");
        let text = "write `foo.rs` beside `foo/`";
        old.then(|| Finding::new(&source.path, 0, text)).into_iter().collect()
    });
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let mut found: Vec<Finding> =
        manifests().iter().flat_map(|(n, text)| workspace::lints_of_its_own(n, text)).collect();
    if !read("Cargo.toml").contains("\nunsafe_code = \"forbid\"\n") {
        found.push(Finding::new(
            "Cargo.toml",
            0,
            "the workspace's lints do not forbid unsafe code",
        ));
    }
    for library in sources().iter().filter(|source| source.path.ends_with("/src/lib.rs")) {
        if !library.code.contains("#![forbid(unsafe_code)]") {
            found.push(Finding::new(&library.path, 1, "write `#![forbid(unsafe_code)]`"));
        }
    }
    verdict("unsafe", &found);
}

#[test]
fn every_dependency_has_a_reason() {
    verdict("dependency-reason", &workspace::unreasoned(&read("Cargo.toml")));
}

#[test]
fn documents_name_real_code() {
    let place = "ARCHITECTURE.md";
    verdict("walks", &workspace::stale_walks(place, &read(place), &sources()));
}

#[test]
fn every_exception_is_of_a_rule_that_is_checked_and_says_why() {
    let code = &Source::new("tidy.rs", include_str!("tidy.rs")).raw;
    for Exception { rule, place, reason } in EXCEPTIONS {
        let checked = ["over", "over_product", "verdict"];
        let named = checked.iter().any(|by| code.contains(&format!("{by}(\"{rule}\"")));
        assert!(named, "{place}: no rule is called `{rule}`");
        assert!(reason.len() > 20, "{place}: the exception from `{rule}` does not say why");
    }
}

/// Checks `rule` over all sources.
fn over(rule: &str, check: impl Fn(&Source) -> Vec<Finding>) {
    let found: Vec<Finding> = sources().iter().flat_map(check).collect();
    verdict(rule, &found);
}

/// Checks `rule` over all sources but those of the test kit.
fn over_product(rule: &str, check: impl Fn(&Source) -> Vec<Finding>) {
    over(
        rule,
        |source| {
            if source.path.starts_with("crates/testkit/") { Vec::new() } else { check(source) }
        },
    );
}

fn verdict(rule: &str, found: &[Finding]) {
    if let Err(complaint) = settle(rule, found, EXCEPTIONS) {
        panic!("{complaint}");
    }
}

fn is_pure(path: &str) -> bool {
    let in_crate = PURE_CRATES.iter().any(|name| path.starts_with(&format!("crates/{name}/src/")));
    let in_control = path.strip_prefix("crates/control/src/").is_some_and(|file| {
        PURE_IN_CONTROL.contains(&file) || file.starts_with("state") || file.starts_with("plan")
    });
    let in_state = path
        .strip_prefix("crates/state/src/")
        .is_some_and(|file| !EDGE_OF_STATE.iter().any(|edge| file.starts_with(edge)));
    in_crate || in_control || in_state
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn sources() -> Vec<Source> {
    source::all(&root())
}

/// Name and manifest of each crate.
fn manifests() -> Vec<(String, String)> {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let names = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), read(&format!("crates/{name}/Cargo.toml")))).collect()
}
