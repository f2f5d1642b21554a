//! Rust source as the house rules see it: text with comments and literals told apart from code.
//! It does not understand Rust beyond that, and a macro can fool it.

use std::fs;
use std::path::{Path, PathBuf};

/// Stands in [`Source::production`] for the text of a line that belongs to a test.
const TESTED: char = '\u{1}';

/// One file. `code` and `notes` have the lines and columns of `raw`, with blanks where the
/// other kinds of text were.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace, with forward slashes.
    pub(crate) path: String,
    /// As written.
    pub(crate) raw: String,
    /// Without comments and without the contents of string and character literals.
    pub(crate) code: String,
    /// Without the contents of literals, comments kept.
    pub(crate) notes: String,
    /// `code` without the items under `#[cfg(test)]`, whose lines hold a [`TESTED`] each; empty
    /// when the whole file is a test.
    pub(crate) production: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name, without path.
    pub(crate) name: String,
    /// The line of its `fn`, from 1.
    pub(crate) line: usize,
    /// Lines from the opening to the closing brace, both counted.
    pub(crate) lines: usize,
    /// From the name to the opening brace.
    pub(crate) signature: String,
}

impl Source {
    /// Reads `raw` as the file `path`; a path under a `tests` or `benches` folder is a test.
    pub(crate) fn new(path: &str, raw: &str) -> Self {
        let (code, notes) = views(raw);
        let test = path.contains("/tests/") || path.contains("/benches/");
        let production = if test { String::new() } else { without_tests(&code) };
        Self { path: path.into(), raw: raw.into(), code, notes, production }
    }

    /// Lines that are neither in a test file nor in an item under `#[cfg(test)]`; blank lines and
    /// comments count.
    pub(crate) fn production_lines(&self) -> usize {
        self.production.lines().filter(|line| !line.contains(TESTED)).count()
    }

    /// The functions of the file, tests included, in order of their `fn`.
    pub(crate) fn functions(&self) -> Vec<Function> {
        words(&self.code)
            .filter(|(_, word)| *word == "fn")
            .filter_map(|(at, _)| {
                let after = &self.code[at + 2..];
                let name: String = after.trim_start().chars().take_while(|c| is_word(*c)).collect();
                let open = at + 2 + body(after)?;
                let close = open + matching(&self.code[open..])?;
                Some(Function {
                    name: (!name.is_empty()).then_some(name)?,
                    line: line_of(&self.code, at),
                    lines: self.code[open..close].lines().count(),
                    signature: self.code[at + 2..open].to_owned(),
                })
            })
            .collect()
    }
}

/// Every Rust file under `crates`, with the files that are modules under `#[cfg(test)]` taken for
/// the tests they are.
pub(crate) fn all(root: &Path) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root.join("crates"), &mut paths);
    paths.sort();
    let mut sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let raw = fs::read_to_string(path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            Source::new(&name, &raw)
        })
        .collect();
    let tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        if tests.iter().any(|test| stem == test || source.path.starts_with(&format!("{test}/"))) {
            source.production.clear();
        }
    }
    sources
}

/// The words of `text` (identifiers, keywords, numbers) with their byte positions.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts = text.char_indices().scan(' ', |before, (at, c)| {
        let starts = is_word(c) && !is_word(*before);
        *before = c;
        Some((at, starts))
    });
    starts.filter(|(_, starts)| *starts).map(|(at, _)| {
        let end = text[at..].find(|c| !is_word(c)).map_or(text.len(), |len| at + len);
        (at, &text[at..end])
    })
}

/// The line, from 1, of the byte position `at`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Paths without `.rs` of the modules that `source` declares with `#[cfg(test)] mod name;`.
fn test_modules(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let root = ["/lib", "/main"].iter().find_map(|name| stem.strip_suffix(name));
    let folder = root.unwrap_or(stem);
    let marked = source.code.split("#[cfg(test)]").skip(1);
    let declared = marked.filter_map(|after| {
        let name = after.trim_start().strip_prefix("mod ")?;
        Some(name.split_once(';')?.0.trim()).filter(|name| name.chars().all(is_word))
    });
    declared.map(|name| format!("{folder}/{name}")).collect()
}

/// `code` with the items under `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(at) = kept.find("#[cfg(test)]") {
        let end = kept[at..].find(['{', ';']).map_or(kept.len(), |open| {
            let open = at + open;
            matching(&kept[open..]).map_or(open + 1, |len| open + len)
        });
        let lines = kept[at..end].matches('\n').count();
        let mark = TESTED.to_string();
        kept.replace_range(at..end, &format!("{mark}{}", format!("\n{mark}").repeat(lines)));
    }
    kept
}

fn blanked(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// Where the body of a function begins in the text behind its `fn`; nothing when it has none.
fn body(after: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in after.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

/// The length of the text from an opening brace to behind its closing one.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return (c == '}').then_some(at + 1);
        }
    }
    None
}

/// `raw` as code alone, and as code with comments.
fn views(raw: &str) -> (String, String) {
    let (mut code, mut notes) = (String::new(), String::new());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let (kind, len) = token(rest, code.chars().last().unwrap_or(' '));
        let (text, after) = rest.split_at(len.max(c.len_utf8()));
        code.push_str(&if kind == Kind::Code { text.to_owned() } else { blanked(text) });
        notes.push_str(&if kind == Kind::Literal { blanked(text) } else { text.to_owned() });
        rest = after;
    }
    (code, notes)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// The kind and the length of what `rest` begins with; `before` is the character in front of it.
fn token(rest: &str, before: char) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    let literal = match rest.as_bytes()[0] {
        b'"' => quoted(rest, '"'),
        b'r' | b'b' | b'c' if !is_word(before) => prefixed(rest),
        b'\'' => character(rest),
        _ => None,
    };
    literal.map_or((Kind::Code, 0), |len| (Kind::Literal, len))
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let (step, change) = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a literal in quotes with escapes.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// The length of a literal like `b"…"`, `r#"…"#`, `br"…"` or `b'…'`.
fn prefixed(rest: &str) -> Option<usize> {
    let letters = rest.find(|c| !matches!(c, 'r' | 'b' | 'c'))?;
    let raw = rest[..letters].contains('r');
    let after = &rest[letters..];
    if !raw {
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        return Some(letters + quoted(after, quote)?);
    }
    let hashes = after.find(|c| c != '#')?;
    let inside = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(letters + hashes + 1 + inside.find(&close)? + close.len())
}

/// The length of a character literal; nothing when the quote begins a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut inside = rest.chars().skip(1);
    let (first, second) = (inside.next()?, inside.next()?);
    (first == '\\' || second == '\'').then(|| quoted(rest, '\'')).flatten()
}
