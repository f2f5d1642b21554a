//! Whether a JSON value is what a JSON Schema of 2020-12 says, as far as Herder's documents use it.
//! A keyword that it does not know is a panic, never a silent pass.

use regex::Regex;
use serde_json::Value;

/// Keywords that say nothing about whether a value is right.
const NOTES: &[&str] =
    &["$defs", "$schema", "default", "description", "examples", "format", "title"];

/// What is wrong with `value`, one line each; nothing when it is as `schema` says. References are
/// looked up in `root`, of which `schema` is a part.
///
/// # Panics
///
/// When the schema is malformed, or uses a keyword that is not known here.
pub fn problems(root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(root, schema, value, &mut Place { path: String::new(), found: &mut found });
    found
}

struct Place<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl Place<'_> {
    fn complain(&mut self, why: &str) {
        self.found.push(format!("{}: {why}", self.path));
    }

    fn within(&mut self, name: &str) -> Place<'_> {
        Place { path: format!("{}/{name}", self.path), found: self.found }
    }
}

fn check(root: &Value, schema: &Value, value: &Value, place: &mut Place<'_>) {
    let keywords = match schema {
        Value::Bool(true) => return,
        Value::Bool(false) => return place.complain("must not be there"),
        Value::Object(keywords) => keywords,
        other => panic!("not a schema: {other}"),
    };
    for (keyword, say) in keywords {
        match keyword.as_str() {
            "$ref" => check(root, resolve(root, say), value, place),
            "type" => types(say, value, place),
            "const" if value != say => place.complain(&format!("{value} is not {say}")),
            "enum" if !list(say).contains(value) => {
                place.complain(&format!("{value} is none of {say}"));
            }
            "const" | "enum" => {}
            "anyOf" | "oneOf" => alternatives(root, keyword, list(say), value, place),
            "properties"
            | "additionalProperties"
            | "propertyNames"
            | "required"
            | "maxProperties" => object(root, keyword, schema, value, place),
            "items" | "minItems" | "maxItems" => array(root, keyword, say, value, place),
            "minimum" | "maximum" => number(keyword, say, value, place),
            "minLength" | "pattern" => text(keyword, say, value, place),
            note if NOTES.contains(&note) || note.starts_with("x-") => {}
            unknown => panic!("the keyword {unknown} is not known: {schema}"),
        }
    }
}

fn resolve<'a>(root: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
    let found = pointer.and_then(|pointer| root.pointer(pointer));
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn types(say: &Value, value: &Value, place: &mut Place<'_>) {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => panic!("no type: {name}"),
    };
    let fits = say.as_array().map_or_else(|| is(say), |names| names.iter().any(is));
    if !fits {
        place.complain(&format!("{value} is not of type {say}"));
    }
}

fn alternatives(
    root: &Value,
    keyword: &str,
    schemas: &[Value],
    value: &Value,
    place: &mut Place<'_>,
) {
    let attempts: Vec<_> = schemas.iter().map(|schema| problems(root, schema, value)).collect();
    let fitting = attempts.iter().filter(|found| found.is_empty()).count();
    if fitting == 0 || (keyword == "oneOf" && fitting > 1) {
        place.complain(&format!("{value}: {fitting} of {keyword} fit: {attempts:?}"));
    }
}

fn object(root: &Value, keyword: &str, schema: &Value, value: &Value, place: &mut Place<'_>) {
    let (Some(object), say) = (value.as_object(), &schema[keyword]) else { return };
    let known = |name: &String| schema["properties"].get(name).is_some();
    match keyword {
        "properties" => {
            for (name, schema) in say.as_object().expect("properties are an object") {
                if let Some(value) = object.get(name) {
                    check(root, schema, value, &mut place.within(name));
                }
            }
        }
        "additionalProperties" => {
            for (name, value) in object.iter().filter(|(name, _)| !known(name)) {
                check(root, say, value, &mut place.within(name));
            }
        }
        "propertyNames" => {
            for name in object.keys() {
                check(root, say, &Value::from(name.as_str()), &mut place.within(name));
            }
        }
        "required" => {
            for name in list(say).iter().filter_map(Value::as_str) {
                if !object.contains_key(name) {
                    place.complain(&format!("{name} is missing"));
                }
            }
        }
        _ => bound(object.len(), Limit::Most, say, place),
    }
}

fn array(root: &Value, keyword: &str, say: &Value, value: &Value, place: &mut Place<'_>) {
    let Some(array) = value.as_array() else { return };
    match keyword {
        "minItems" => bound(array.len(), Limit::Least, say, place),
        "maxItems" => bound(array.len(), Limit::Most, say, place),
        _ => {
            for (at, value) in array.iter().enumerate() {
                check(root, say, value, &mut place.within(&at.to_string()));
            }
        }
    }
}

fn number(keyword: &str, say: &Value, value: &Value, place: &mut Place<'_>) {
    let (Some(value), Some(say)) = (value.as_f64(), say.as_f64()) else { return };
    if (keyword == "minimum" && value < say) || (keyword == "maximum" && value > say) {
        place.complain(&format!("{value} is beyond the {keyword} {say}"));
    }
}

fn text(keyword: &str, say: &Value, value: &Value, place: &mut Place<'_>) {
    let Some(text) = value.as_str() else { return };
    match keyword {
        "pattern" => {
            let pattern = say.as_str().expect("a pattern is text");
            let regex = Regex::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            if !regex.is_match(text) {
                place.complain(&format!("{text:?} is not like {pattern}"));
            }
        }
        _ => bound(text.chars().count(), Limit::Least, say, place),
    }
}

#[derive(Clone, Copy)]
enum Limit {
    Least,
    Most,
}

fn bound(count: usize, limit: Limit, say: &Value, place: &mut Place<'_>) {
    let say = say.as_u64().and_then(|say| usize::try_from(say).ok()).expect("a limit is a count");
    match limit {
        Limit::Least if count < say => place.complain(&format!("{count}, and at least {say}")),
        Limit::Most if count > say => place.complain(&format!("{count}, and at most {say}")),
        _ => {}
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, value: &Value, expected: &[&str]) {
        assert_eq!(problems(schema, schema, value), expected, "{value}");
    }

    #[test]
    fn objects() {
        let schema = json!({
            "$defs": { "Name": { "type": "string", "pattern": "^[a-z]+$" } },
            "type": "object",
            "description": "a note",
            "properties": { "n": { "type": ["integer", "null"], "minimum": 1, "maximum": 3 } },
            "additionalProperties": { "$ref": "#/$defs/Name" },
            "propertyNames": { "minLength": 1 },
            "required": ["n"],
            "maxProperties": 2,
        });
        check(&schema, &json!({ "n": 2, "a": "b" }), &[]);
        check(&schema, &json!({ "n": null }), &[]);
        check(&schema, &json!([]), &[": [] is not of type \"object\""]);
        check(&schema, &json!({}), &[": n is missing"]);
        check(&schema, &json!({ "n": 4 }), &["/n: 4 is beyond the maximum 3"]);
        check(&schema, &json!({ "n": 0 }), &["/n: 0 is beyond the minimum 1"]);
        check(&schema, &json!({ "n": 1, "a": "B" }), &["/a: \"B\" is not like ^[a-z]+$"]);
        check(&schema, &json!({ "n": 1, "": "b" }), &["/: 0, and at least 1"]);
        check(&schema, &json!({ "n": 1, "a": "b", "c": "d" }), &[": 3, and at most 2"]);
        check(
            &json!({ "additionalProperties": false }),
            &json!({ "a": 1 }),
            &["/a: must not be there"],
        );
    }

    #[test]
    fn arrays_and_alternatives() {
        let schema = json!({ "items": { "const": 1 }, "minItems": 1, "maxItems": 2 });
        check(&schema, &json!([1]), &[]);
        check(&schema, &json!([]), &[": 0, and at least 1"]);
        check(&schema, &json!([1, 2, 1]), &["/1: 2 is not 1", ": 3, and at most 2"]);
        check(&json!({ "enum": ["a", "b"] }), &json!("c"), &[": \"c\" is none of [\"a\",\"b\"]"]);
        let schema = json!({ "oneOf": [{ "type": "string" }, { "const": "a" }] });
        check(&schema, &json!("b"), &[]);
        assert_eq!(problems(&schema, &schema, &json!("a")).len(), 1);
        assert_eq!(problems(&schema, &schema, &json!(1)).len(), 1);
        let schema = json!({ "anyOf": [{ "type": "string" }, { "const": "a" }] });
        check(&schema, &json!("a"), &[]);
    }

    #[test]
    #[should_panic(expected = "the keyword not is not known")]
    fn unknown_keywords_are_no_pass() {
        problems(&json!({}), &json!({ "not": {} }), &json!(1));
    }
}
