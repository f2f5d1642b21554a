//! Colours for a person at a terminal, and nothing for a file, a pipe or `NO_COLOR`.
//! It only wraps text; what a colour means is decided where it is used.

use std::io::IsTerminal;

/// Whether to colour, decided once per stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Text as it is.
    Plain,
    /// Text with ANSI colours.
    Coloured,
}

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    /// For good news.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what is under way.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// For bad news.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// For what matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// For headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn of(stream: &impl IsTerminal) -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = var("TERM").is_none_or(|term| term == "dumb");
        if stream.is_terminal() && !dumb && var("NO_COLOR").is_none() {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}
