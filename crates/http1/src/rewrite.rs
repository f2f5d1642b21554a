//! Paths on their way to an instance: a prefix taken off, a pattern replaced, a prefix put on.
//! The query is never looked at, nothing is decoded, and what comes out is a target that the parser
//! would accept, or there is none.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

use crate::bytes::is_target;

/// Bytes of a prefix, of a pattern, and of what replaces it.
const TEXT_BYTES_MAX: usize = 1024;
/// Memory that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What becomes of a path, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Without a slash at its end; empty takes nothing off.
    strip_prefix: Box<str>,
    pattern: Option<Pattern>,
    /// Without a slash at its end; empty puts nothing on.
    add_prefix: Box<str>,
}

/// A regular expression and what takes the place of its first match.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    with: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// What a group of the pattern has matched; nothing if it took no part.
    Group(usize),
}

/// A path that was rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten<'a> {
    prefix: &'a [u8],
    path: Cow<'a, [u8]>,
    /// With its question mark.
    query: &'a [u8],
    /// What was taken off the front.
    stripped: &'a [u8],
}

/// The path became none, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATarget;

/// Why a rewrite cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteError {
    /// The prefix is too long.
    PrefixTooLong,
    /// A pattern, or what replaces it, is too long.
    TooLong,
    /// The pattern is none, for this reason.
    Pattern(String),
    /// What replaces it has a byte that no path has, or that would begin a query.
    With(char),
    /// What replaces it has a `$` that leads nowhere.
    Dollar,
    /// What replaces it names a group that the pattern has not.
    Group(String),
}

impl Rewrite {
    /// A rewrite of these parts; the prefixes are empty, or begin with a slash and end with none.
    ///
    /// # Errors
    /// [`RewriteError::PrefixTooLong`].
    pub fn new(
        strip_prefix: &str,
        pattern: Option<Pattern>,
        add_prefix: &str,
    ) -> Result<Self, RewriteError> {
        let is_prefix = |text: &str| {
            text.is_empty()
                || (text.starts_with('/') && !text.ends_with('/') && is_path(text.as_bytes()))
        };
        debug_assert!(is_prefix(strip_prefix) && is_prefix(add_prefix));
        if strip_prefix.len().max(add_prefix.len()) > TEXT_BYTES_MAX {
            return Err(RewriteError::PrefixTooLong);
        }
        Ok(Self { strip_prefix: strip_prefix.into(), pattern, add_prefix: add_prefix.into() })
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.strip_prefix.is_empty() && self.pattern.is_none() && self.add_prefix.is_empty()
    }

    /// What becomes of a path with its query. `*`, which is no path, stays.
    ///
    /// # Errors
    /// [`NotATarget`] if the path does not begin with a slash any more, or the whole is longer
    /// than `target_bytes_max`.
    pub fn apply<'a>(
        &'a self,
        target: &'a [u8],
        target_bytes_max: usize,
    ) -> Result<Rewritten<'a>, NotATarget> {
        let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at(end);
        let mut rewritten =
            Rewritten { prefix: b"", path: Cow::Borrowed(path), query, stripped: b"" };
        if path == b"*" {
            return Ok(rewritten);
        }
        if let Some(below) = below(self.strip_prefix.as_bytes(), path) {
            rewritten.stripped = self.strip_prefix.as_bytes();
            rewritten.path = Cow::Borrowed(if below.is_empty() { b"/" } else { below });
        }
        if let Some(pattern) = &self.pattern
            && let Some(replaced) = pattern.replace(&rewritten.path, target_bytes_max)
        {
            rewritten.path = Cow::Owned(replaced);
        }
        rewritten.prefix = self.add_prefix.as_bytes();
        let bytes = rewritten.prefix.len() + rewritten.path.len() + query.len();
        if rewritten.path.first() != Some(&b'/') || bytes > target_bytes_max {
            return Err(NotATarget);
        }
        Ok(rewritten)
    }
}

impl<'a> Rewritten<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix);
        out.extend_from_slice(&self.path);
        out.extend_from_slice(self.query);
    }

    pub(crate) fn stripped(&self) -> &'a [u8] {
        self.stripped
    }
}

impl Pattern {
    /// Compiles a pattern. In `with`, `$1` or `${1}` stands for what the first group matched, `$0`
    /// for the whole match, `${name}` for a named group, and `$$` for a dollar.
    ///
    /// # Errors
    /// The first thing that is wrong with either.
    pub fn new(pattern: &str, with: &str) -> Result<Self, RewriteError> {
        if pattern.len().max(with.len()) > TEXT_BYTES_MAX {
            return Err(RewriteError::TooLong);
        }
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        let regex = compiled.map_err(|error| RewriteError::Pattern(reason(&error)))?;
        let with = parts(&regex, with)?;
        Ok(Self { regex, with })
    }

    /// The path with its first match replaced; none without a match. It stops growing when it is
    /// too long.
    fn replace(&self, path: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        let captures = self.regex.captures(path)?;
        let whole = captures.get(0)?;
        let mut out = path[..whole.start()].to_vec();
        for part in &self.with {
            out.extend_from_slice(match part {
                Part::Text(text) => text.as_bytes(),
                Part::Group(group) => captures.get(*group).map_or(b"", |found| found.as_bytes()),
            });
            if out.len() > bytes_max {
                break;
            }
        }
        out.extend_from_slice(&path[whole.end()..]);
        Some(out)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.with == other.with
    }
}

impl Eq for Pattern {}

/// What is left of a path behind a prefix of whole segments.
fn below<'a>(prefix: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let below = path.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
    (below.is_empty() || below.starts_with(b"/")).then_some(below)
}

fn is_path(text: &[u8]) -> bool {
    is_target(text) && !text.contains(&b'?')
}

/// Reads what takes the place of a match.
fn parts(regex: &Regex, with: &str) -> Result<Box<[Part]>, RewriteError> {
    if let Some(bad) = with.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#')) {
        return Err(RewriteError::With(bad));
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = with;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(behind) = after.strip_prefix('$') {
            plain.push('$');
            rest = behind;
            continue;
        }
        let (name, behind) = match after.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or(RewriteError::Dollar)?,
            None => {
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                after.split_at(after.bytes().take_while(is_digit).count())
            }
        };
        if name.is_empty() {
            return Err(RewriteError::Dollar);
        }
        let group = group(regex, name).ok_or_else(|| RewriteError::Group(name.to_owned()))?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain).into()));
        }
        parts.push(Part::Group(group));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain.into()));
    }
    Ok(parts.into())
}

fn group(regex: &Regex, name: &str) -> Option<usize> {
    let number = match name.parse::<usize>() {
        Ok(number) => number,
        Err(_) => regex.capture_names().position(|known| known == Some(name))?,
    };
    (number < regex.captures_len()).then_some(number)
}

/// Why a pattern is none, on one line: what the crate says ends in it.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!("compiled, it takes more than {PATTERN_BYTES_MAX} bytes")
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}
