//! What Herder says to whoever started it, on standard error behind `herder | `.
//! The log is another thing: it has levels, fields and a format of its own.

use std::io::Write as _;

use crate::cli::Paint;

/// Whether anything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Yes, as text for a person.
    Person(Paint),
    /// No, as in the demo, which says everything itself.
    Silent,
}

impl Voice {
    /// Says a text, every line of it behind the prefix.
    pub(crate) fn say(self, text: &str) {
        let Self::Person(paint) = self else { return };
        let prefix = paint.bold("herder | ");
        let mut lines = String::new();
        for line in text.lines() {
            lines.push_str(&format!("{prefix}{line}\n"));
        }
        // Nobody reads it; that is no reason to end the herd.
        std::io::stderr().write_all(lines.as_bytes()).ok();
    }
}
