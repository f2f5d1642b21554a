//! What is wrong with a configuration: all of it, in the order of the file.
//! It decides nothing; whoever finds a problem words it.

use std::fmt;
use std::path::Path;

/// A position in the file, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file; none when the configuration came from the flags of `herder run`.
    pub at: Option<At>,
    /// Which key, such as `service.shop.scale.max`, or which flag, such as `--max`. Empty when the
    /// text is not TOML, so that no key can be named.
    pub key: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Everything that is wrong with one configuration: at least one problem, sorted by position.
///
/// Printed one per line, as compilers do:
/// `herder.toml:12: service.shop.scale.max: 2 is less than min (3); raise max or lower min`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The problems of a file, sorted; `list` is not empty.
    pub(crate) fn new(file: &Path, mut list: Vec<Problem>) -> Self {
        list.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
        Self { file: file.display().to_string(), list }
    }

    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Each of them, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(at) = problem.at {
                write!(f, "{}:{}: ", self.file, at.line)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
