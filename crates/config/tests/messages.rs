//! Every message that a broken file gets, word for word: `messages.txt` holds the files and what
//! is said about them. It is a table to read; how a message comes about is not its concern.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;

/// One row: a title after `# `, the lines of a file, and each line of the answer after `> `.
struct Row<'a> {
    title: &'a str,
    file: String,
    answer: String,
}

const TABLE: &str = include_str!("messages.txt");

fn rows() -> Vec<Row<'static>> {
    let row = |block: &'static str| {
        let (title, rest) = block.split_once('\n').unwrap();
        let mut row = Row { title, file: String::new(), answer: String::new() };
        for line in rest.lines() {
            match line.strip_prefix("> ") {
                Some(answer) => writeln!(row.answer, "{answer}").unwrap(),
                None => writeln!(row.file, "{line}").unwrap(),
            }
        }
        row
    };
    TABLE.trim_end().split("\n\n").map(row).collect()
}

fn answer(file: &str) -> String {
    match config::parse(file, Path::new("herder.toml")) {
        Ok(_) => "accepted\n".to_owned(),
        Err(problems) => format!("{problems}\n"),
    }
}

#[test]
fn messages_are_worded_as_in_the_table() {
    let rows = rows();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let mut fresh = String::new();
    let mut wrong = String::new();
    for Row { title, file, answer: expected } in &rows {
        assert!(title.starts_with("# "), "a row begins with its title, not with {title:?}");
        let said = answer(file);
        if said != *expected {
            write!(wrong, "{title}\n{file}--- expected\n{expected}--- said\n{said}\n").unwrap();
        }
        let quoted: String = said.lines().map(|line| format!("> {line}\n")).collect();
        write!(fresh, "{title}\n{file}{quoted}\n").unwrap();
    }
    if std::env::var_os("HERDER_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages.txt");
        std::fs::write(path, fresh.trim_end().to_owned() + "\n").unwrap();
    } else {
        assert!(wrong.is_empty(), "{wrong}\nHERDER_BLESS=1 writes what is said into the table");
    }
}

/// Every line of an answer names the file and a line of it, and says what to do.
#[test]
fn messages_have_a_place_and_a_hint() {
    for Row { title, file, .. } in rows() {
        let Err(problems) = config::parse(&file, Path::new("herder.toml")) else { continue };
        let lines = file.lines().count().max(1);
        for problem in problems.iter() {
            let at = problem.at.unwrap();
            assert!((1..=lines).contains(&at.line) && at.column >= 1, "{title}: {at:?}");
            assert!(!problem.message.is_empty() && !problem.hint.is_empty(), "{title}");
        }
        let sorted = problems.iter().map(|problem| problem.at);
        assert!(sorted.is_sorted(), "{title}");
        assert_eq!(problems.to_string().lines().count(), problems.len(), "{title}: one line each");
    }
}
