//! The JSON Schema as the checker asks it: one rule per form that a value may have.
//! It interprets the keywords that our own schema uses, and no others.

use serde_json::Value;
use toml::de::DeValue;

/// One form that a value may have: the schemas that say so, from the key's own to the innermost
/// alternative.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'a> {
    layers: Vec<&'a Value>,
}

/// The rules of all forms that `schema` allows; `root` is where its references lead.
pub(crate) fn rules<'a>(root: &'a Value, schema: &'a Value) -> Vec<Rule<'a>> {
    let mut found = Vec::new();
    expand(root, vec![schema], &mut found);
    found
}

fn expand<'a>(root: &'a Value, layers: Vec<&'a Value>, found: &mut Vec<Rule<'a>>) {
    let Some(&innermost) = layers.last() else {
        return;
    };
    let deeper = |next: &'a Value| [layers.as_slice(), &[next]].concat();
    let referred = innermost["$ref"].as_str().and_then(|at| root.pointer(at.strip_prefix('#')?));
    if let Some(target) = referred {
        return expand(root, deeper(target), found);
    }
    let alternatives = innermost["anyOf"].as_array().or(innermost["oneOf"].as_array());
    match alternatives {
        Some(all) => all.iter().for_each(|one| expand(root, deeper(one), found)),
        None => found.push(Rule { layers }),
    }
}

impl<'a> Rule<'a> {
    /// A keyword; the innermost layer that has it wins.
    pub(crate) fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.layers.iter().rev().find_map(|layer| layer.get(keyword))
    }

    /// A keyword that describes the key; the outermost layer that has it wins.
    pub(crate) fn outer(&self, keyword: &str) -> Option<&'a Value> {
        self.layers.iter().find_map(|layer| layer.get(keyword))
    }

    /// A keyword that is a number.
    pub(crate) fn number(&self, keyword: &str) -> Option<u64> {
        self.get(keyword)?.as_u64()
    }

    /// A keyword that is text.
    pub(crate) fn text(&self, keyword: &str) -> Option<&'a str> {
        self.get(keyword)?.as_str()
    }

    /// The type it is for.
    pub(crate) fn kind(&self) -> &'a str {
        self.text("type").unwrap_or("")
    }

    /// Whether it is for values of this type.
    pub(crate) fn fits(&self, value: &DeValue<'_>) -> bool {
        let kind = match value {
            DeValue::String(_) => "string",
            DeValue::Integer(_) => "integer",
            DeValue::Float(_) => "number",
            DeValue::Boolean(_) => "boolean",
            DeValue::Datetime(_) => "datetime",
            DeValue::Array(_) => "array",
            DeValue::Table(_) => "object",
        };
        self.kind() == kind || (self.kind() == "number" && kind == "integer")
    }

    /// The only texts it allows; empty when it allows more than a list could say.
    pub(crate) fn words(&self) -> Vec<&'a str> {
        let listed = self.get("enum").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        listed.chain(self.text("const")).collect()
    }

    /// The schema of a key, when the rule is for a table that names it.
    pub(crate) fn property(&self, key: &str) -> Option<&'a Value> {
        self.get("properties")?.get(key)
    }

    /// The keys that it names.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let named = self.get("properties").and_then(Value::as_object);
        named.into_iter().flatten().map(|(key, schema)| (key.as_str(), schema))
    }

    /// The schema of all other keys, when there may be others: a table of names.
    pub(crate) fn others(&self) -> Option<&'a Value> {
        self.get("additionalProperties").filter(|schema| schema.is_object())
    }

    /// What it is for, as a message says it.
    pub(crate) fn what(&self) -> String {
        let words = self.words();
        if !words.is_empty() {
            return list(words.iter().map(|word| format!("{word:?}")), "or");
        }
        let plain = match self.kind() {
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "array" => "an array",
            "boolean" => "true or false",
            _ => "a table",
        };
        self.text("x-what").unwrap_or(plain).to_owned()
    }
}

/// `a`, `a or b`, `a, b or c`; each once.
pub(crate) fn list(items: impl IntoIterator<Item = String>, last_word: &str) -> String {
    let mut unique: Vec<String> = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    let last = unique.pop().unwrap_or_default();
    if unique.is_empty() { last } else { format!("{} {last_word} {last}", unique.join(", ")) }
}
