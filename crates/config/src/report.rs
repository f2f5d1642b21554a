//! Collects the problems that only show when keys are seen together, and keeps back those that
//! merely follow from one that was already reported.

use crate::check::Findings;
use crate::problem::{At, Problem};
use crate::tree::{Doubt, Places, within};

/// What a configuration is written in, and so what a message calls things.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naming {
    /// Keys of a file.
    Keys,
    /// Flags of a command; the function knows the flag of a key.
    Flags(fn(&str) -> Option<&'static str>),
}

/// Where problems are brought.
pub(crate) struct Report<'a> {
    places: &'a Places,
    found: &'a Findings,
    /// What a syntax error may have swallowed.
    doubt: &'a Doubt,
    naming: Naming,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    /// An empty report on a file whose keys have these places, and of which so much was `found`.
    pub(crate) fn new(
        places: &'a Places,
        found: &'a Findings,
        doubt: &'a Doubt,
        naming: Naming,
    ) -> Self {
        Self { places, found, doubt, naming, problems: Vec::new() }
    }

    /// Reports a problem that lies between `paths`, at the first of them; not when one of them was
    /// found wrong by itself, because then nobody knows.
    pub(crate) fn problem(&mut self, paths: &[&str], message: String, hint: String) {
        let Some(&path) = paths.first() else { return };
        let wrong = |path: &str| {
            let mut bad = self.found.unsound.iter().chain(&self.found.meant);
            bad.any(|bad| within(bad, path) || within(path, bad))
        };
        if !paths.iter().any(|path| wrong(path)) {
            self.push(path, message, hint);
        }
    }

    /// Reports that something is missing at `path`: one of `keys`, of which none is there. Not when
    /// one of them is there after all, and wrong.
    pub(crate) fn missing(&mut self, path: &str, keys: &[&str], message: String, hint: String) {
        let mut bad = self.found.unsound.iter().chain(&self.found.meant);
        let there = bad.any(|bad| bad == path || keys.iter().any(|&key| within(bad, key)));
        if !self.doubt.any() && !there {
            self.push(path, message, hint);
        }
    }

    /// Whether a key stands in the file.
    pub(crate) fn is_written(&self, path: &str) -> bool {
        self.places.exact(path).is_some()
    }

    /// Where a key stands, or the table that it would stand in.
    pub(crate) fn place(&self, path: &str) -> At {
        self.places.at(path)
    }

    /// What a message calls a key that stands in the same table: `min`, or `--min`.
    pub(crate) fn name(&self, path: &str) -> String {
        match self.naming {
            Naming::Flags(flag) if flag(path).is_some() => flag(path).unwrap_or_default().into(),
            _ => path.rsplit('.').next().unwrap_or(path).to_owned(),
        }
    }

    /// What a message calls a key that stands elsewhere: `listener.web.bind (line 2)`, or `--bind`.
    pub(crate) fn elsewhere(&self, path: &str) -> String {
        match self.naming {
            Naming::Flags(flag) if flag(path).is_some() => flag(path).unwrap_or_default().into(),
            _ => match self.places.exact(path) {
                Some(at) => format!("{path} (line {})", at.line),
                None => format!("{path} (the default)"),
            },
        }
    }

    fn push(&mut self, path: &str, message: String, hint: String) {
        let at = Some(self.places.at(path));
        self.problems.push(Problem { at, key: path.to_owned(), message, hint });
    }

    /// All problems so far.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
