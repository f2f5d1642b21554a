//! The JSON Schema of herder.toml, made from the types that parse it.
//! It adds nothing to them; it only removes what JSON can say and TOML cannot.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::schema::Config;

/// The JSON Schema (draft 2020-12) of the file. Ranges of durations and sizes, which JSON Schema
/// has no keyword for, stand under `x-minimum` and `x-maximum`.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut document = Value::from(settings.into_generator().into_root_schema_for::<Config>());
    tidy(&mut document);
    if let Value::Object(root) = &mut document {
        root.insert("title".to_owned(), "herder.toml".into());
    }
    document
}

/// The file as the schema's types, from what the checker found sound.
///
/// # Errors
/// What serde says, when the checker let something through: a defect.
pub(crate) fn config(sound: Value) -> Result<Config, String> {
    serde_json::from_value(sound).map_err(|error| error.to_string())
}

/// TOML has no null, and a default of a whole table says only again what its keys say.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            without_null(object);
            if object.get("default").is_some_and(|default| default.is_null() || default.is_object())
            {
                object.remove("default");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(array) => array.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Takes the alternative "null" out, and the list of alternatives when one is left.
fn without_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(alternatives)) = object.get_mut("anyOf") else {
        return;
    };
    alternatives.retain(|alternative| alternative["type"] != "null");
    if let [Value::Object(only)] = alternatives.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}
