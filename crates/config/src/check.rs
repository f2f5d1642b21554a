//! Walks the tree of a file along the JSON Schema and reports every key and every value that the
//! schema refuses. What two keys have to do with each other is not looked at here.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::rule::{Rule, list, rules};
use crate::suggest::{self, Level};
use crate::tree::{Doubt, Places, decimal, element, join, number};
use crate::value;

/// What the walk brings back.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// The paths whose values cannot be used; an array with one bad element as a whole.
    pub unsound: BTreeSet<String>,
    /// The paths that an unknown key was probably about: not missing, and nobody knows their value.
    pub meant: BTreeSet<String>,
}

/// Checks a whole file.
pub(crate) fn check(
    table: &DeTable<'_>,
    schema: &Value,
    places: &Places,
    doubt: &Doubt,
) -> Findings {
    let mut walk =
        Walk { root: schema, places, doubt, levels: Vec::new(), found: Findings::default() };
    for rule in rules(schema, schema) {
        walk.table(&Spot::default(), &rule, table);
    }
    walk.found
}

struct Walk<'a> {
    root: &'a Value,
    places: &'a Places,
    doubt: &'a Doubt,
    levels: Vec<Level<'a>>,
    found: Findings,
}

/// Where the walk is.
#[derive(Clone, Debug, Default)]
struct Spot {
    /// As the file has it.
    path: String,
    /// With `*` for names and without indices.
    kind: String,
    /// The key alone; empty for an element of an array.
    key: String,
    /// The path that becomes unsound with this one: that of the outermost array around it.
    array: Option<String>,
}

impl Spot {
    fn key(&self, key: &str, kind: &str) -> Self {
        Self {
            path: join(&self.path, key),
            kind: if self.kind.is_empty() { kind.into() } else { format!("{}.{kind}", self.kind) },
            key: key.to_owned(),
            array: self.array.clone(),
        }
    }

    fn element(&self, index: usize) -> Self {
        Self {
            path: element(&self.path, index),
            kind: self.kind.clone(),
            key: String::new(),
            array: Some(self.array.clone().unwrap_or_else(|| self.path.clone())),
        }
    }
}

impl<'a> Walk<'a> {
    fn problem(&mut self, spot: &Spot, message: String, hint: String) {
        self.found.unsound.insert(spot.array.clone().unwrap_or_else(|| spot.path.clone()));
        let at = self.places.at(&spot.path);
        if !self.doubt.covers(at.line) {
            self.found.problems.push(Problem {
                at: Some(at),
                key: spot.path.clone(),
                message,
                hint,
            });
        }
    }

    fn value(&mut self, spot: &Spot, schema: &'a Value, value: &Spanned<DeValue<'_>>) {
        if self.doubt.covers(self.places.at(&spot.path).line) {
            self.found.unsound.insert(spot.array.clone().unwrap_or_else(|| spot.path.clone()));
        }
        let all = rules(self.root, schema);
        let fitting: Vec<&Rule<'_>> =
            all.iter().filter(|rule| rule.fits(value.get_ref())).collect();
        let Some(&rule) = fitting.first() else {
            return self.wrong_type(spot, &all, value.get_ref());
        };
        match value.get_ref() {
            DeValue::Table(table) => self.table(spot, rule, table),
            DeValue::Array(items) => self.array(spot, rule, items),
            DeValue::Integer(integer) => {
                let written = integer.to_string();
                let wrong = match rule.kind() {
                    "number" => {
                        let read = number(integer).map(|number| number as f64);
                        value::decimal(rule, read, &written)
                    }
                    _ => value::integer(rule, number(integer), &written),
                };
                let words = all.iter().flat_map(Rule::words);
                self.refused(spot, wrong.map(|wrong| or_words(wrong, words)));
            }
            DeValue::String(text) => self.text(spot, &all, &fitting, text),
            DeValue::Float(float) => {
                self.refused(spot, value::decimal(rule, decimal(float), &float.to_string()));
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    fn wrong_type(&mut self, spot: &Spot, all: &[Rule<'_>], found: &DeValue<'_>) {
        let what = list(all.iter().map(Rule::what), "or");
        let message = format!("expected {what}, found {}", value::shown(found));
        self.problem(spot, message, value::instead(&spot.path, &spot.key, all, found));
    }

    fn refused(&mut self, spot: &Spot, wrong: Option<(String, String)>) {
        if let Some((message, hint)) = wrong {
            self.problem(spot, message, hint);
        }
    }

    fn text(&mut self, spot: &Spot, all: &[Rule<'a>], fitting: &[&Rule<'a>], text: &str) {
        let words: Vec<&str> = fitting.iter().flat_map(|rule| rule.words()).collect();
        if words.contains(&text) {
            return;
        }
        if let Some(open) = fitting.iter().find(|rule| rule.words().is_empty()) {
            let wrong = value::text(open, text);
            self.refused(spot, wrong.map(|wrong| or_words(wrong, words.into_iter())));
        } else if all.iter().any(|rule| rule.kind() == "integer") {
            self.wrong_type(spot, all, &DeValue::String(text.into()));
        } else {
            let hint = suggest::word(&spot.kind, text, &words);
            self.problem(spot, format!("there is no {text:?}"), hint);
        }
    }

    fn array(&mut self, spot: &Spot, rule: &Rule<'a>, items: &[Spanned<DeValue<'_>>]) {
        let count = items.len() as u64;
        if let Some(least) = rule.number("minItems").filter(|&least| count < least) {
            let hint = format!("write at least {least} element");
            self.problem(spot, "is empty".to_owned(), hint);
        }
        if let Some(most) = rule.number("maxItems").filter(|&most| count > most) {
            let hint = format!("use at most {most}");
            self.problem(spot, format!("{count} elements are too many"), hint);
        }
        let Some(schema) = rule.get("items") else {
            return;
        };
        for (index, item) in items.iter().enumerate() {
            self.value(&spot.element(index), schema, item);
        }
    }

    fn table(&mut self, spot: &Spot, rule: &Rule<'a>, table: &DeTable<'_>) {
        let level = Level { path: spot.path.clone(), kind: spot.kind.clone(), rule: rule.clone() };
        self.levels.push(level);
        let count = table.len() as u64;
        if let Some(most) = rule.number("maxProperties").filter(|&most| count > most) {
            let hint = format!("use at most {most}");
            self.problem(spot, format!("{count} entries are too many"), hint);
        }
        for (key, value) in table {
            let key = key.get_ref().as_ref();
            if let Some(schema) = rule.property(key) {
                self.value(&spot.key(key, key), schema, value);
            } else if let Some(schema) = rule.others() {
                let inner = spot.key(key, "*");
                if !self.misplaced(&inner, schema, value) {
                    self.name(&inner, rule, key);
                    self.value(&inner, schema, value);
                }
            } else {
                self.unknown(spot, key);
            }
        }
        self.missing(spot, rule, table);
        self.levels.pop();
    }

    /// A name that somebody chose: of a service, a listener or a variable.
    fn name(&mut self, spot: &Spot, rule: &Rule<'_>, name: &str) {
        let wrong = rule
            .get("propertyNames")
            .and_then(|names| value::form(names["format"].as_str()?, name));
        self.refused(spot, wrong);
    }

    /// `[service]` with `run` below it, where `[service.NAME]` was meant.
    fn misplaced(&mut self, spot: &Spot, named: &'a Value, value: &Spanned<DeValue<'_>>) -> bool {
        let forms = rules(self.root, named);
        let key = forms.iter().any(|rule| rule.property(&spot.key).is_some());
        let misplaced = key && !forms.iter().any(|rule| rule.fits(value.get_ref()));
        if misplaced {
            let table = spot.path.strip_suffix(&spot.key).unwrap_or_default();
            let hint = format!("move it to [{table}NAME], with a name of your choice");
            self.problem(spot, format!("there is no name before `{}`", spot.key), hint);
        }
        misplaced
    }

    fn unknown(&mut self, spot: &Spot, key: &str) {
        let advice = suggest::key(self.root, &self.levels, key);
        if let Some(meant) = &advice.meant {
            self.found.meant.insert(join(&spot.path, meant));
        }
        self.problem(&spot.key(key, key), "unknown key".to_owned(), advice.hint);
    }

    fn missing(&mut self, spot: &Spot, rule: &Rule<'_>, table: &DeTable<'_>) {
        let required = rule.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            let meant = self.found.meant.contains(&join(&spot.path, key));
            if !meant && !table.contains_key(key) {
                let example = rule.property(key).map(|schema| rules(self.root, schema));
                let written = example.map(|all| value::example(key, &all)).unwrap_or_default();
                self.problem(spot, format!("has no `{key}`"), format!("add {written}"));
            }
        }
    }
}

/// What is wrong, with the words that would be right too.
fn or_words<'a>(
    (message, hint): (String, String),
    words: impl Iterator<Item = &'a str>,
) -> (String, String) {
    (message, words.fold(hint, |hint, word| format!("{hint}, or {word:?}")))
}
