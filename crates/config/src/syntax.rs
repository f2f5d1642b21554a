//! Reads TOML and words what is wrong with it, in our terms and once per mistake.
//! What a broken line may have meant is never guessed: it is put in doubt.

use toml::Spanned;
use toml::de::{DeTable, Error};

use crate::problem::Problem;
use crate::tree::{Doubt, Lines, Places};

/// How much of what follows a syntax error cannot be trusted.
enum Reach {
    /// Its own line.
    Line,
    /// Until the next `[table]`.
    Table,
    /// Until the end of the file.
    Rest,
}

/// What a reader makes of a text.
pub(crate) struct Syntax<'a> {
    /// All that could be read, the doubtful included.
    pub table: Spanned<DeTable<'a>>,
    /// Where each key stands.
    pub places: Places,
    /// At most one per line, and `PROBLEMS_MAX` and one in all.
    pub problems: Vec<Problem>,
    /// What not to judge.
    pub doubt: Doubt,
}

/// Syntax errors that are reported. Beyond it the file is something else than TOML: the rest is
/// summed up in one problem.
const PROBLEMS_MAX: usize = 50;

/// The characters of a broken value that a message shows.
const SHOWN_MAX: usize = 40;

/// The reader's messages that need no more than other words: how they begin, message, hint.
const WORDING: [(&str, &str, &str); 17] = [
    ("string values must be quoted", "there is no value after the `=`", "write one"),
    ("invalid value", "there is no value after the `=`", "write one"),
    (
        "invalid basic string, expected `\"`",
        "the text is not closed",
        "add the quote where it ends",
    ),
    (
        "invalid literal string, expected `'`",
        "the text is not closed",
        "add the quote where it ends",
    ),
    ("invalid basic string", "the text contains a control character", "write it as \\u00XX"),
    ("invalid literal string", "the text contains a control character", "write it as \"\\u00XX\""),
    ("invalid multi-line", "the text here is not closed", "add three quotes where it ends"),
    ("key with no value", "there is a key without a value", "write `key = value`"),
    ("missing value for key", "there is a key without a value", "write `key = value`"),
    (
        "unexpected key or value",
        "there is something after the value",
        "write one `key = value` per line, without comma or semicolon",
    ),
    (
        "missing escaped value",
        "a backslash in double quotes begins an escape, and this is none",
        "write `\\\\`, or put the text in single quotes",
    ),
    ("unexpected leading zero", "the number begins with 0", "leave the 0 out"),
    ("extra comma", "there is a comma too many", "remove it"),
    ("unquoted keys cannot be empty", "there is no name", "write one"),
    ("invalid key-value pair", "this is not a key with a value", "write `key = value`"),
    (
        "cannot extend value",
        "the key before the dot already has a value",
        "write it as a table or as a value, not as both",
    ),
    ("missing comma", "there is no comma between two values", "add one"),
];

/// Reads as much as can be read.
pub(crate) fn read<'a>(text: &'a str, lines: &Lines<'_>) -> Syntax<'a> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(start);
    let places = Places::of(table.get_ref(), lines);
    let mut problems: Vec<Problem> = Vec::new();
    let mut doubt = Doubt::default();
    if let Some((what, bracket, trouble)) = unclosed(&errors) {
        let at = places.key_before(lines.at(trouble));
        doubt.add(at.line..=lines.count());
        let message = format!("the {what} here is not closed");
        let hint = format!("add `{bracket}` where it ends");
        problems.push(Problem { at: Some(at), key: String::new(), message, hint });
    }
    for error in &errors {
        let at = lines.at(start(error));
        if doubt.covers(at.line) {
            continue;
        }
        if problems.len() == PROBLEMS_MAX {
            doubt.add(at.line..=lines.count());
            let message = "this and more below is not TOML".to_owned();
            let hint = "look whether this is the right file".to_owned();
            problems.push(Problem { at: Some(at), key: String::new(), message, hint });
            break;
        }
        let (message, hint, reach) = word(error, text, lines.line(at.line));
        let (at, last) = match reach {
            Reach::Line => (at, at.line),
            Reach::Table => (at, next_header(lines, at.line) - 1),
            Reach::Rest => (places.key_before(at), lines.count()),
        };
        doubt.add(at.line..=last);
        problems.push(Problem { at: Some(at), key: String::new(), message, hint });
    }
    Syntax { table, places, problems, doubt }
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// Whether something is left open to the end of the file: what, by what it would be closed, and
/// where the first trouble with it shows. All that follows is trouble of the same kind.
fn unclosed(errors: &[Error]) -> Option<(&'static str, char, usize)> {
    let open = errors.iter().find_map(|error| match error.message().split(',').next()? {
        "unclosed array" => Some(("array", ']', ["array", "array"])),
        "unclosed inline table" => Some(("table", '}', ["inline table", "key-value pairs"])),
        _ => None,
    });
    let (what, bracket, signs) = open?;
    let first = errors.iter().find(|error| signs.iter().any(|sign| error.message().contains(sign)));
    Some((what, bracket, first.map_or(0, start)))
}

/// Message, hint and reach of an error, from the reader's message and the text it points at.
fn word(error: &Error, text: &str, line: &str) -> (String, String, Reach) {
    let raw = error.span().and_then(|span| text.get(span)).unwrap_or("");
    let shown: String = raw.chars().take(SHOWN_MAX).collect();
    let reason = error.message().split(", expected").next().unwrap_or("").trim();
    let header = line.trim_start().starts_with('[');
    let (message, hint) = match reason {
        "string values must be quoted" | "invalid value" if !raw.is_empty() => {
            let bare = shown.trim_matches(['“', '”', '‘', '’', '„', '«', '»', '\'', '"']);
            let hint = format!("text stands in straight double quotes: {bare:?}");
            (format!("`{shown}` is not a value"), hint)
        }
        "duplicate key" if header => {
            (format!("the table `{}` is written twice", line.trim()), "join the two".to_owned())
        }
        "duplicate key" => {
            let message = format!("`{shown}` is written twice in the same table");
            (message, "keep one of the two".to_owned())
        }
        "unclosed table" | "unclosed array table" => {
            let hint = format!("write `{}]`", line.trim_end().trim_end_matches(']'));
            return ("the name of the table is not closed".to_owned(), hint, Reach::Table);
        }
        "invalid unquoted key" if raw == ":" => {
            ("`:` does not belong here".to_owned(), "write `key = value`".to_owned())
        }
        _ => {
            let said = error.message();
            let known = WORDING.iter().find(|(begin, ..)| said.starts_with(begin));
            let fixed = known.map(|&(_, message, hint)| (message.to_owned(), hint.to_owned()));
            fixed.unwrap_or_else(|| {
                let hint = "write numbers plain, and text in double quotes";
                (format!("this is not TOML: {reason}"), hint.to_owned())
            })
        }
    };
    let rest = reason.starts_with("invalid multi-line");
    (message, hint, if rest { Reach::Rest } else { Reach::Line })
}

/// The line of the next table after a line, or one past the last line.
fn next_header(lines: &Lines<'_>, after: usize) -> usize {
    (after + 1..=lines.count())
        .find(|&number| lines.line(number).starts_with('['))
        .unwrap_or(lines.count() + 1)
}
