//! The JSON Schema as a list of tables and their keys, for tests that go through all of them.
//! It reads the public schema only, as an editor would.

use serde_json::Value;

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Table {
    /// Such as `service.NAME.health`; empty for the top of the file.
    pub(crate) path: String,
    /// What it is for.
    pub(crate) text: String,
    /// Its keys, but for those that can only be tables of their own.
    pub(crate) keys: Vec<Key>,
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: String,
    /// What may be written, with the range.
    pub(crate) takes: String,
    /// The range of the first form that has one, as TOML.
    pub(crate) range: Option<(String, String)>,
    /// As TOML; none when absence means something of its own.
    pub(crate) default: Option<String>,
    /// What it does.
    pub(crate) text: String,
}

/// All tables, the top of the file first.
pub(crate) fn tables() -> Vec<Table> {
    let root = config::schema();
    let mut tables = Vec::new();
    table(&root, "", &vec![&root], &mut tables);
    tables
}

/// A value of the schema as TOML.
pub(crate) fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// One form of a value: the schemas that make it, outermost first.
type Form<'a> = Vec<&'a Value>;

fn forms<'a>(root: &'a Value, form: Form<'a>) -> Vec<Form<'a>> {
    let last = form[form.len() - 1];
    let with = |next: &'a Value| [form.clone(), vec![next]].concat();
    if let Some(reference) = last["$ref"].as_str() {
        return forms(root, with(root.pointer(&reference[1..]).unwrap()));
    }
    match last["anyOf"].as_array().or(last["oneOf"].as_array()) {
        Some(all) => all.iter().flat_map(|one| forms(root, with(one))).collect(),
        None => vec![form],
    }
}

fn get<'a>(form: &Form<'a>, keyword: &str) -> Option<&'a Value> {
    form.iter().rev().find_map(|schema| schema.get(keyword))
}

fn is_table(form: &Form<'_>) -> bool {
    get(form, "properties").is_some()
}

fn table<'a>(root: &'a Value, path: &str, form: &Form<'a>, tables: &mut Vec<Table>) {
    let text = get(form, "description").unwrap().as_str().unwrap().to_owned();
    let mut keys = Vec::new();
    let mut inner = Vec::new();
    for (name, schema) in get(form, "properties").unwrap().as_object().unwrap() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let all = forms(root, vec![schema]);
        if !all.iter().all(|form| is_table(form) || names(root, form).is_some()) {
            keys.push(key(name, schema, &all));
        }
        inner.extend(all.into_iter().flat_map(|form| tables_in(root, &below, form)));
    }
    tables.push(Table { path: path.to_owned(), text, keys });
    for (path, form) in inner {
        if tables.iter().all(|table| table.path != path) {
            table(root, &path, &form, tables);
        }
    }
}

/// The tables that a form holds: itself, one per name, or the elements of an array.
fn tables_in<'a>(root: &'a Value, path: &str, form: Form<'a>) -> Vec<(String, Form<'a>)> {
    if is_table(&form) {
        return vec![(path.to_owned(), form)];
    }
    if let Some(named) = names(root, &form) {
        return vec![(format!("{path}.NAME"), named)];
    }
    let items = get(&form, "items").into_iter().flat_map(|items| forms(root, vec![items]));
    items.filter(is_table).map(|form| (path.to_owned(), form)).collect()
}

/// The table under each name, when the form is a table of names.
fn names<'a>(root: &'a Value, form: &Form<'a>) -> Option<Form<'a>> {
    let named = get(form, "additionalProperties").filter(|schema| schema.is_object())?;
    forms(root, vec![named]).into_iter().find(is_table)
}

fn key(name: &str, schema: &Value, all: &[Form<'_>]) -> Key {
    let mut takes: Vec<String> = Vec::new();
    for form in all {
        let one = what(form);
        // A size may be an integer too; that is said once for all sizes.
        let size = takes.iter().any(|other| other.starts_with("size"));
        let known = takes.contains(&one) || (size && one.starts_with("whole number"));
        if !known {
            takes.push(one);
        }
    }
    Key {
        name: name.to_owned(),
        takes: takes.join(", or "),
        range: all.iter().find_map(range),
        default: schema.get("default").map(toml),
        text: schema["description"].as_str().unwrap().to_owned(),
    }
}

fn what(form: &Form<'_>) -> String {
    if let Some(word) = get(form, "const") {
        return format!("`{}`", toml(word));
    }
    let plain = match get(form, "type").and_then(Value::as_str).unwrap() {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "an array",
        "boolean" => "true or false",
        _ => "a table",
    };
    let what = get(form, "x-what").and_then(Value::as_str).unwrap_or(plain);
    let what = what.trim_start_matches("an ").trim_start_matches("a ");
    match range(form) {
        Some((least, most)) => format!("{what}, `{least}` to `{most}`"),
        None => what.to_owned(),
    }
}

fn range(form: &Form<'_>) -> Option<(String, String)> {
    let bounds = |least, most| Some((toml(get(form, least)?), toml(get(form, most)?)));
    bounds("x-minimum", "x-maximum").or_else(|| bounds("minimum", "maximum"))
}
