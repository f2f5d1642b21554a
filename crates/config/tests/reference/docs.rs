//! docs/configuration.md says what the schema says: every table, every key, its default, its range
//! and its description. The prose around the tables is only checked for examples that are accepted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::tables::{Table, tables};

/// Stands before a generated table, with the path of the table in the file.
const BEGIN: &str = "<!-- keys: ";
/// Stands after it.
const END: &str = "<!-- end -->\n";

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md")
}

/// The generated part of one section.
fn rendered(table: &Table) -> String {
    let mut text = format!("{}\n\n", table.text.replace('\n', " "));
    if table.keys.is_empty() {
        return text;
    }
    text.push_str("| key | takes | default | what it does |\n|---|---|---|---|\n");
    for key in &table.keys {
        let default = key.default.as_ref().map_or("–".to_owned(), |value| format!("`{value}`"));
        let what = key.text.replace('\n', " ");
        writeln!(text, "| `{}` | {} | {default} | {what} |", key.name, key.takes).unwrap();
    }
    text + "\n"
}

#[test]
fn the_tables_are_those_of_the_schema() {
    let document = std::fs::read_to_string(place()).unwrap();
    let tables = tables();
    let mut fresh = String::new();
    let mut seen = BTreeSet::new();
    let mut parts = document.split(BEGIN);
    fresh.push_str(parts.next().unwrap());
    for part in parts {
        let (path, rest) = part.split_once(" -->\n").unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let path = path.trim_matches('"');
        let table = tables.iter().find(|table| table.path == path);
        let table = table.unwrap_or_else(|| panic!("the schema has no table `{path}`"));
        assert!(seen.insert(path), "`{path}` is documented twice");
        write!(fresh, "{BEGIN}\"{path}\" -->\n\n{}{END}{after}", rendered(table)).unwrap();
    }
    for Table { path, .. } in &tables {
        assert!(seen.contains(path.as_str()), "`{path}` is not documented");
    }
    if std::env::var_os("HERDER_BLESS").is_some() {
        std::fs::write(place(), fresh).unwrap();
    } else if let Some((old, new)) = document.lines().zip(fresh.lines()).find(|(a, b)| a != b) {
        panic!("the document says\n{old}\nand the schema\n{new}\nHERDER_BLESS=1 writes the tables");
    } else {
        assert_eq!(document.len(), fresh.len(), "HERDER_BLESS=1 writes the tables");
    }
}

#[test]
fn every_example_is_accepted() {
    let document = std::fs::read_to_string(place()).unwrap();
    let examples: Vec<&str> =
        document.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(examples.len() >= 10, "{} examples", examples.len());
    for example in examples {
        let complete = example.contains("run = ") || example.contains("static = ");
        let begin = if complete { "" } else { "[service.shop]\nrun = \"node server.js\"\n" };
        // A part about the top of the file has to stay there.
        let text = if example.contains("[service.shop.") || example.starts_with('[') {
            format!("{begin}{example}")
        } else {
            format!("{example}{begin}")
        };
        if let Err(problems) = config::parse(&text, Path::new("configuration.md")) {
            panic!("{problems}\n{text}");
        }
    }
}

/// A reader meets each table once more in the file than the schema needs: as an example.
#[test]
fn every_table_has_an_example_of_each_key() {
    let document = std::fs::read_to_string(place()).unwrap();
    for table in tables() {
        let begin = format!("{BEGIN}\"{}\" -->", table.path);
        let section = document.split_once(&begin).unwrap().1;
        let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        let examples: String = section.split("```toml\n").skip(1).collect();
        for key in &table.keys {
            let shown = [format!("{} = ", key.name), format!("{}]", key.name)];
            assert!(
                shown.iter().any(|shown| examples.contains(shown)),
                "no example of `{}` under `{}`",
                key.name,
                table.path
            );
        }
    }
}
