//! `herder schema` and `herder check`: two judges of a file, who must not disagree.
//! What each key means, `config` tests.

use std::fs;

use serde_json::Value;
use testkit::{Herder, json_schema::problems, places};

use crate::HERDER;

/// Documents whose TOML is to be right, each block as a file of its own, or as a part of one.
const DOCUMENTS: &[&str] = &["README.md", "docs/configuration.md", "docs/operations.md"];

#[tokio::test]
async fn the_schema_takes_every_example_that_the_documents_give() {
    let schema = schema().await;
    let mut count = 0;
    for document in DOCUMENTS {
        for example in examples(document) {
            let value: Value = toml::from_str(&example).unwrap();
            let found = problems(&schema, &schema, &value);
            assert!(found.is_empty(), "{document}: {found:#?}\n{example}");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} examples in {DOCUMENTS:?}");
}

/// Whole files, such as those of the README, are right for `check` too.
#[tokio::test]
async fn check_takes_the_examples_of_the_readme() {
    let examples = examples("README.md");
    assert!(!examples.is_empty());
    for example in examples {
        let (code, text) = check(&example).await;
        assert_eq!((code, text.contains("herder.toml is right: ")), (Some(0), true), "{text}");
    }
}

#[tokio::test]
async fn schema_and_check_refuse_the_same() {
    let schema = schema().await;
    for (file, part) in [
        ("[service.shop]\nrun = \"x\"\nhelth = \"/\"", "helth"),
        ("[service.shop]\nrun = \"x\"\nbalance = \"fair\"", "balance"),
        ("[service.shop]\nrun = \"x\"\ndrain = \"30\"", "drain"),
        ("[service.shop]\nrun = \"x\"\nscale = { min = 0 }", "min"),
        ("[service.shop]\nrun = 7", "run"),
        ("[service.Shop]\nrun = \"x\"", "Shop"),
        ("[service.shop]\nstatic = []", "static"),
        ("[service.shop]\nrun = \"x\"\nhealth = { path = \"healthz\" }", "path"),
        ("[listener.web]\nbind = \"localhost\"\n[service.shop]\nrun = \"x\"", "bind"),
        ("[admin]\nbnd = \"off\"\n[service.shop]\nrun = \"x\"", "bnd"),
    ] {
        let value: Value = toml::from_str(file).unwrap();
        let found = problems(&schema, &schema, &value).join("\n");
        assert!(found.contains(part), "the schema takes {file:?}: {found}");
        let (code, text) = check(file).await;
        assert_eq!(code, Some(78), "check takes {file:?}");
        assert!(text.contains(part), "{file:?}: {text}");
    }
}

async fn schema() -> Value {
    let answer = Herder::once(HERDER, ["schema"]).await;
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    let schema: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    schema
}

/// The exit code of `herder check`, and all that it wrote.
async fn check(file: &str) -> (Option<i32>, String) {
    let there = Herder::serve(HERDER, file);
    let path = there.dir().join("herder.toml");
    let answer = Herder::once(HERDER, ["check", "-c", path.to_str().unwrap()]).await;
    (answer.code, answer.stdout + &answer.stderr)
}

/// The blocks of TOML in a document.
fn examples(document: &str) -> Vec<String> {
    let text = fs::read_to_string(places::root().join(document)).unwrap();
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}
