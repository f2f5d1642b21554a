//! What must hold of any text: it is a configuration or a list of problems with sound places, and
//! the same TOML in other words means the same. What a configuration means is asked elsewhere.

use std::path::Path;

use config::{Problems, Resolved};

/// Panics if something does not hold.
pub(crate) fn check(text: &str) {
    let got = parse(text);
    if let Err(problems) = &got {
        judge(text, problems);
    }
    // A reader that gives up at the first mistake.
    let Ok(table) = text.parse::<toml::Table>() else {
        assert!(got.is_err(), "no TOML, and yet taken:\n{text}");
        return;
    };
    let rendered = toml::to_string(&table).expect("what was read can be written");
    match (got, parse(&rendered)) {
        (Ok(got), Ok(again)) => assert_eq!(got, again, "{text}\n--- as\n{rendered}"),
        (Err(_), Err(problems)) => judge(&rendered, &problems),
        (Ok(_), Err(problems)) => panic!("{problems}\n{text}\n--- as\n{rendered}"),
        (Err(problems), Ok(_)) => panic!("{problems}\n{text}\n--- as\n{rendered}"),
    }
}

fn parse(text: &str) -> Result<Resolved, Problems> {
    config::parse(text, Path::new("herder.toml"))
}

fn judge(text: &str, problems: &Problems) {
    let lines = text.split('\n').count();
    assert!(problems.len() > 0 && problems.iter().len() == problems.len());
    for problem in problems.iter() {
        let at = problem.at.expect("a problem of a file has a place");
        assert!((1..=lines).contains(&at.line), "{problem} at {at:?}");
        assert!(!problem.message.contains("defect"), "{problem}\n{text}");
    }
}
