//! The checker checked: for each rule a sample that keeps it and one that does not.
//! It reads no file of the workspace.

use crate::rules;
use crate::source::Source;
use crate::verdict::{Exception, Finding, settle};
use crate::workspace;

/// `rule` finds something in each line of `bad` and in none of `good`.
fn check(rule: impl Fn(&Source) -> Vec<Finding>, good: &[&str], bad: &[&str]) {
    let found = |text: &str| rule(&Source::new("crates/x/src/y.rs", text));
    for text in good {
        assert_eq!(found(text), [], "{text}");
    }
    for text in bad {
        assert_ne!(found(text), [], "{text}");
    }
}

#[test]
fn literals_and_comments_are_told_from_code() {
    let check = |raw: &str, code: &str, notes: &str| {
        let source = Source::new("x.rs", raw);
        assert_eq!((source.code.as_str(), source.notes.as_str()), (code, notes), "{raw}");
    };
    check("a // b\nc", "a     \nc", "a // b\nc");
    check("a /* b /* c */ d */ e", "a                   e", "a /* b /* c */ d */ e");
    check(r#"f("a\"//{")g"#, "f(        )g", "f(        )g");
    check(r##"f(r#"a"{"#)g"##, "f(        )g", "f(        )g");
    check(r"f('{', b'\'', 'a)g", "f(   ,      , 'a)g", "f(   ,      , 'a)g");
    check("r#fn, robb\"x\"", "r#fn, robb   ", "r#fn, robb   ");
    check("é\"é\"// é", "é       ", "é   // é");
}

#[test]
fn functions_are_found_with_their_lengths() {
    let source =
        Source::new("x.rs", "fn a();\ntype F = fn(u8);\nfn b<T>(x: [u8; 2]) -> T\n{\n{}\n}\n");
    let functions = source.functions();
    assert_eq!(functions.len(), 1);
    assert_eq!((functions[0].name.as_str(), functions[0].line, functions[0].lines), ("b", 3, 3));
}

#[test]
fn tests_do_not_count_as_production() {
    let text = "a\n#[cfg(test)]\nmod tests {\n    // {\n\n    fn b() {}\n}\nc\n";
    assert_eq!(Source::new("crates/x/src/y.rs", text).production_lines(), 2);
    assert_eq!(Source::new("crates/x/src/y.rs", "#[cfg(test)]\nmod t;\n").production_lines(), 0);
    assert_eq!(Source::new("crates/x/tests/y.rs", text).production_lines(), 0);
}

#[test]
fn size_rules_can_fail() {
    let function = |lines: usize| format!("fn a() {{{}}}", "\n".repeat(lines - 1));
    let (fits, long) = (function(70), function(71));
    check(rules::long_functions, &[&fits], &[&long]);
    check(|source| rules::long_files(source, 2), &["a\nb"], &["a\nb\nc"]);
    let (fits, wide) = ("é".repeat(100), "é".repeat(101));
    check(rules::wide_lines, &[&fits], &[&wide]);
}

#[test]
fn purpose_rule_can_fail() {
    let bad = ["", "fn a() {}", "//!\n//! A.", "//! no full stop\nfn a() {}", "\n//! A.", "// A."];
    check(rules::unsaid_purpose, &["//! A.", "//! A\n//! b.\n\nfn c() {}"], &bad);
}

#[test]
fn ban_rules_can_fail() {
    let good = ["f(\"TODO dbg!\");", "// let _ = a();", "let _guard = a();", "let TODOS = 1;"];
    let bad = [
        "// TODO: b",
        "dbg!(a)",
        "let _ = a();",
        "std::thread::sleep(d)",
        "#[ignore]",
        "f() // XXX",
    ];
    check(rules::banned, &good, &bad);
    let good = [
        "Duration",
        "// tokio",
        "fn f(rng: &mut fastrand::Rng)",
        "#[cfg(test)]\nmod t { use tokio; }",
    ];
    let bad =
        ["use tokio::x;", "Instant::now()", "std::fs::read", "fastrand::u32(..)", "use std::{fs};"];
    check(rules::impure, &good, &bad);
    let good = ["#[derive(Clone)]", "fn a<T: DeserializeOwned>()"];
    check(
        rules::serialised,
        &good,
        &["#[derive(Clone,\n Serialize)]", "#[derive(serde::Deserialize)]"],
    );
    let bad = ["fn a(b: bool) {}", "fn a(\n  b: bool,\n) {}"];
    check(rules::bool_parameters, &["fn a() -> bool {}", "struct A { b: bool }"], &bad);
}

#[test]
fn name_rule_can_fail() {
    let good = [
        "let client = 1;",
        "f(\"upstream\")",
        "use anyhow::Context;",
        "struct Database;",
        "fn info() {}",
    ];
    let bad = [
        "let upstreams = 1;",
        "struct MyBackend;",
        "struct RouteInfo;",
        "mod util;",
        "DOWNSTREAM_MAX",
    ];
    check(rules::misnamed, &good, &bad);
}

#[test]
fn arrow_rule_can_fail() {
    let arrows: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("testkit", &[])];
    let check = |name: &str, manifest: &str, count: usize| {
        let found = workspace::arrows(name, manifest, arrows);
        assert_eq!(found.len(), count, "{manifest}: {found:?}");
    };
    check("b", "[dependencies]\na.workspace = true\nserde = { workspace = true }\n", 0);
    check("b", "[dev-dependencies]\ntestkit.workspace = true\n", 0);
    check("b", "[dependencies]\ntestkit.workspace = true\n", 1);
    check("a", "[dependencies]\nb.workspace = true\n", 1);
    check("a", "[dev-dependencies]\nb.workspace = true\n", 1);
    check("a", "[dependencies]\nserde = \"1\"\n", 1);
    check("c", "", 1);
}

#[test]
fn manifest_rules_can_fail() {
    let unreasoned = |lines: &str| {
        workspace::unreasoned(&format!("[workspace.dependencies]\n# All.\n{lines}\n[x]\na = 1\n"))
            .len()
    };
    assert_eq!(unreasoned("a = { path = \"a\" }\nb = \"1\" # because"), 0);
    assert_eq!(unreasoned("b = \"1\"\nc = { version = \"1\" } #"), 2);
    assert_eq!(workspace::lints_of_its_own("a", "[lints]\nworkspace = true\n").len(), 0);
    assert_eq!(workspace::lints_of_its_own("a", "[package]\nworkspace = true\n").len(), 1);
}

#[test]
fn walk_rule_can_fail() {
    let sources =
        [Source::new("crates/proxy/src/serve.rs", "pub struct Lane;\nfn exchange() {}\n")];
    let stale = |text: &str| workspace::stale_walks("A.md", text, &sources).len();
    let fresh = "`serve.rs::exchange`, `proxy/src/serve.rs :: Lane::exchange` and serve.rs.";
    assert_eq!(stale(fresh), 0);
    assert_eq!(stale("crates/proxy/src/serve.rs"), 0);
    assert_eq!(stale("docs.rs.example, `.rs` and serve.rst"), 1);
    assert_eq!(stale("`serve.rs::answer` and `server.rs` and `control/src/serve.rs`"), 3);
}

#[test]
fn exceptions_are_needed_or_fail() {
    let found = [Finding::new("a.rs", 1, "too long")];
    let exception = |place| [Exception { rule: "size", place, reason: "a sample" }];
    assert!(settle("size", &[], &[]).is_ok());
    assert!(settle("size", &found, &[]).is_err());
    assert!(settle("size", &found, &exception("a.rs")).is_ok());
    assert!(
        settle("size", &found, &exception("b.rs")).unwrap_err().contains("remove its exception")
    );
    assert!(settle("other", &found, &exception("a.rs")).is_err());
}
