//! Whether a single value has the form its rule asks for, and how to write it if not.
//! It sees one value at a time and does not know where it stands.

use serde_json::Value;
use toml::de::DeValue;

use crate::rule::Rule;
use crate::schema::number::{DURATION_FORMAT, SIZE_FORMAT};
use crate::schema::text::FORMS;
use crate::tree::join;
use crate::units;

/// The characters of a text that a message shows.
const SHOWN_MAX: usize = 60;

/// What is wrong with an integer, as message and hint; none when nothing is. `read` is none when
/// TOML cannot hold it, `written` is how it stands in the file.
pub(crate) fn integer(
    rule: &Rule<'_>,
    read: Option<i64>,
    written: &str,
) -> Option<(String, String)> {
    let bound = |keyword: &str| rule.get(keyword)?.as_number()?.as_i128();
    let (min, max) = (bound("minimum")?, bound("maximum")?);
    let negative = written.starts_with('-');
    let wrong = match read.map(i128::from) {
        Some(number) if number < min => "small",
        Some(number) if number <= max => return None,
        _ if negative => "small",
        _ => "large",
    };
    Some((format!("{written} is too {wrong}"), format!("use {min} to {max}")))
}

/// What is wrong with a number that may have digits after the point, as message and hint. `read`
/// and `written` are as above.
pub(crate) fn decimal(
    rule: &Rule<'_>,
    read: Option<f64>,
    written: &str,
) -> Option<(String, String)> {
    let bound = |keyword: &str| rule.get(keyword)?.as_f64();
    let (min, max) = (bound("minimum")?, bound("maximum")?);
    let wrong = match read {
        Some(number) if number.is_nan() => "is not a number",
        Some(number) if number < min => "is too small",
        Some(number) if number <= max && units::thousandths(number).is_some() => return None,
        Some(number) if number <= max => "has more than three digits after the point",
        None if written.starts_with('-') => "is too small",
        _ => "is too large",
    };
    Some((format!("{written} {wrong}"), format!("use {min} to {max}")))
}

/// What is wrong with a text, as message and hint.
pub(crate) fn text(rule: &Rule<'_>, text: &str) -> Option<(String, String)> {
    if text.contains('\0') {
        let hint = "remove it: no program can be given one".to_owned();
        return Some(("contains a zero byte".to_owned(), hint));
    }
    match rule.text("format") {
        Some(DURATION_FORMAT) => duration(rule, text),
        Some(SIZE_FORMAT) => size(rule, text),
        Some(format) => form(format, text),
        None => None,
    }
}

/// What is wrong with a text that has a form of its own.
pub(crate) fn form(format: &str, text: &str) -> Option<(String, String)> {
    let form = FORMS.iter().find(|form| form.format == format)?;
    (form.check)(text).err().map(|wrong| (wrong.message, wrong.hint))
}

/// A value as a message shows it, with its type.
pub(crate) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let short: String = text.chars().take(SHOWN_MAX).collect();
            format!("the text {short:?}")
        }
        DeValue::Integer(integer) => format!("the number {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(boolean) => format!("`{boolean}`"),
        DeValue::Datetime(datetime) => format!("the date {datetime}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// How to write the value instead, as close to what was found as can be.
pub(crate) fn instead(path: &str, key: &str, all: &[Rule<'_>], found: &DeValue<'_>) -> String {
    let of = |kind: &str| all.iter().find(|rule| rule.kind() == kind);
    let write = |value: &str| {
        if key.is_empty() { format!("write {value}") } else { format!("write {key} = {value}") }
    };
    let duration = all.iter().find(|rule| rule.text("format") == Some(DURATION_FORMAT));
    match (found, duration, of("integer"), of("string"), of("object")) {
        (DeValue::Integer(seconds), Some(rule), ..) => {
            let text = format!("{seconds}s");
            let fits = units::duration_ms(&text).is_some() && self::duration(rule, &text).is_none();
            if fits { write(&format!("{text:?}")) } else { format!("write {}", example(key, all)) }
        }
        (DeValue::String(text), _, Some(rule), ..)
            if text.parse().is_ok_and(|number| integer(rule, Some(number), text).is_none()) =>
        {
            write(text)
        }
        (DeValue::String(text), _, _, None, _) if of("array").is_some() => {
            write(&format!("[{}]", toml_string(text)))
        }
        (DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_), _, _, Some(rule), _)
            if rule.get("format").is_none() && rule.words().is_empty() =>
        {
            let bare = shown(found).replace('`', "");
            write(&format!("{:?}", bare.strip_prefix("the number ").unwrap_or(&bare)))
        }
        (.., None, Some(table))
            if table.others().is_some_and(|named| named["$ref"].is_string()) =>
        {
            format!("write [{path}.NAME], with a name of your choice, and the keys below it")
        }
        (.., None, Some(_)) if all.len() == 1 && of("object").is_some_and(no_example) => {
            format!("write [{path}], and the keys below it")
        }
        _ => format!("write {}", example(key, all)),
    }
}

/// `key = value` with the example or the default of the schema.
pub(crate) fn example(key: &str, all: &[Rule<'_>]) -> String {
    let value = all.iter().find_map(|rule| {
        let examples = rule.outer("examples").and_then(|examples| examples.get(0));
        examples.or(rule.outer("default")).cloned()
    });
    let value = value.unwrap_or_else(|| "...".into());
    if key.is_empty() { toml_text(&value) } else { format!("{key} = {}", toml_text(&value)) }
}

fn no_example(rule: &Rule<'_>) -> bool {
    rule.outer("examples").is_none()
}

/// A value of the schema as TOML writes it, on one line.
pub(crate) fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{} = {}", join("", key), toml_text(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => toml_string(text),
        scalar => scalar.to_string(),
    }
}

/// A text in double quotes. JSON's escapes are TOML's, which also wants the delete character
/// escaped.
pub(crate) fn toml_string(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

fn duration(rule: &Rule<'_>, text: &str) -> Option<(String, String)> {
    let (min, max) = (rule.text("x-minimum")?, rule.text("x-maximum")?);
    let wrong = match units::duration_ms(text) {
        None => {
            let hint = "write whole numbers with the units h, m, s and ms, such as \"2s\", \
                        \"500ms\" or \"1m30s\"";
            return Some((format!("{text:?} is not a duration"), hint.to_owned()));
        }
        Some(ms) if ms < units::duration_ms(min)? => "short",
        Some(ms) if ms > units::duration_ms(max)? => "long",
        Some(_) => return None,
    };
    Some((format!("{text:?} is too {wrong}"), format!("use {min:?} to {max:?}")))
}

fn size(rule: &Rule<'_>, text: &str) -> Option<(String, String)> {
    let (min, max) = (rule.text("x-minimum")?, rule.text("x-maximum")?);
    let wrong = match units::size_bytes(text) {
        None => {
            let hint = "write a whole number with B, KiB, MiB, GiB or TiB, such as \"16KiB\", or \
                        the bytes as a number";
            return Some((format!("{text:?} is not a size"), hint.to_owned()));
        }
        Some(bytes) if bytes < units::size_bytes(min)? => "small",
        Some(bytes) if bytes > units::size_bytes(max)? => "large",
        Some(_) => return None,
    };
    Some((format!("{text:?} is too {wrong}"), format!("use {min:?} to {max:?}")))
}
