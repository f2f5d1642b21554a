//! The text as a tree of values, with the place of every key and the lines that nobody can trust
//! because their syntax is broken. It does not know which keys there should be.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use crate::problem::At;
use crate::value;

/// Where the lines of a text begin.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

/// The place of every key and element of a file, by its path.
#[derive(Debug, Default)]
pub(crate) struct Places {
    by_path: BTreeMap<String, At>,
}

/// Lines whose meaning a syntax error has put in doubt: what they say is not judged.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    ranges: Vec<RangeInclusive<usize>>,
}

/// The path of `key` in the table at `path`; quoted where TOML wants it quoted.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if bare { key.to_owned() } else { value::toml_string(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of element `index` in the array at `path`, counted from 0.
pub(crate) fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Whether `path` is `other`, or something inside it.
pub(crate) fn within(path: &str, other: &str) -> bool {
    path.strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The position of a byte; one past the end counts as the end.
    pub(crate) fn at(&self, offset: usize) -> At {
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        At { line, column: column + 1 }
    }

    /// A line without its end, by its number from 1.
    pub(crate) fn line(&self, number: usize) -> &'a str {
        let start = self.starts[number - 1];
        self.text[start..].lines().next().unwrap_or("")
    }

    /// How many there are; at least 1.
    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }
}

impl Places {
    /// Walks a whole tree.
    pub(crate) fn of(table: &DeTable<'_>, lines: &Lines<'_>) -> Self {
        let mut places = Self::default();
        places.table("", table, lines);
        places
    }

    /// The place of a path, or of the nearest table around it that stands in the file, or the
    /// beginning.
    pub(crate) fn at(&self, path: &str) -> At {
        let mut path = path;
        loop {
            if let Some(&at) = self.by_path.get(path) {
                return at;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return At { line: 1, column: 1 },
            }
        }
    }

    /// The place of a path that stands in the file.
    pub(crate) fn exact(&self, path: &str) -> Option<At> {
        self.by_path.get(path).copied()
    }

    /// The place of the last key that begins before a position; the position itself without one.
    pub(crate) fn key_before(&self, at: At) -> At {
        let keys = self.by_path.iter().filter(|&(path, &key)| !path.ends_with(']') && key < at);
        keys.map(|(_, &key)| key).max().unwrap_or(at)
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, lines: &Lines<'_>) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.by_path.insert(path.clone(), lines.at(key.span().start));
            self.value(&path, value, lines);
        }
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(path, table, lines),
            DeValue::Array(array) => {
                for (index, item) in array.iter().enumerate() {
                    let path = element(path, index);
                    self.by_path.insert(path.clone(), lines.at(item.span().start));
                    self.value(&path, item, lines);
                }
            }
            _ => {}
        }
    }
}

/// The tree as JSON, without what `sound` refuses by its path, for the schema's types to read.
pub(crate) fn json(table: &DeTable<'_>, sound: &dyn Fn(&str) -> bool) -> Value {
    json_table("", table, sound)
}

fn json_table(path: &str, table: &DeTable<'_>, sound: &dyn Fn(&str) -> bool) -> Value {
    let entries = table.iter().filter_map(|(key, value)| {
        let path = join(path, key.get_ref());
        let value = sound(&path).then(|| json_value(&path, value.get_ref(), sound))?;
        Some((key.get_ref().to_string(), value))
    });
    Value::Object(entries.collect())
}

fn json_value(path: &str, value: &DeValue<'_>, sound: &dyn Fn(&str) -> bool) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => number(integer).map_or(Value::Null, Value::from),
        // What is not finite is null there.
        DeValue::Float(float) => decimal(float).map_or(Value::Null, Value::from),
        DeValue::Datetime(_) => Value::Null,
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Array(array) => {
            array.iter().map(|item| json_value(path, item.get_ref(), sound)).collect()
        }
        DeValue::Table(table) => json_table(path, table, sound),
    }
}

/// The value of an integer, if it is one that TOML promises to keep.
pub(crate) fn number(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value of a number with a point.
pub(crate) fn decimal(float: &DeFloat<'_>) -> Option<f64> {
    float.as_str().parse().ok()
}

impl Doubt {
    /// Puts lines in doubt.
    pub(crate) fn add(&mut self, lines: RangeInclusive<usize>) {
        self.ranges.push(lines);
    }

    /// Whether a line is in doubt.
    pub(crate) fn covers(&self, line: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&line))
    }

    /// Whether anything is in doubt, so that what seems to be missing may not be.
    pub(crate) fn any(&self) -> bool {
        !self.ranges.is_empty()
    }
}
