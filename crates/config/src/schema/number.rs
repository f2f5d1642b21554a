//! The numbers of the file as types: each carries its default and its range, so that neither can
//! be forgotten in the schema. They do not know what they count.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::units;

/// The form of a duration in the schema's `format`.
pub(crate) const DURATION_FORMAT: &str = "herder-duration";
/// The form of a size in the schema's `format`.
pub(crate) const SIZE_FORMAT: &str = "herder-size";
/// The word for "no bound", where a key allows it.
pub(crate) const UNLIMITED: &str = "unlimited";
/// The word for "not at all", where a key allows it.
pub(crate) const OFF: &str = "off";

/// A whole number, in the file a TOML integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count<const DEFAULT: u64, const MIN: u64, const MAX: u64>(u64);

/// A duration in milliseconds, in the file text such as `"2s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period<const DEFAULT: u64, const MIN: u64, const MAX: u64>(u64);

/// A size in bytes, in the file text such as `"16KiB"` or an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size<const DEFAULT: u64, const MIN: u64, const MAX: u64>(u64);

/// A number with up to three digits after the point, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<const DEFAULT: u64, const MIN: u64, const MAX: u64>(u64);

/// A whole number that may be negative, in the file a TOML integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change<const MIN: i32, const MAX: i32>(i32);

/// A number, or the word `"unlimited"`, which is kept as `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrUnlimited<T>(T);

/// A number, or the word `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrOff<T>(Option<T>);

/// What `OrUnlimited` and `OrOff` need of a number.
pub(crate) trait Number: Copy {
    fn from_raw(raw: u64) -> Self;
    fn raw(self) -> u64;
    /// Reads what stands in the file; the error is for a defect, the checker spoke before.
    fn from_json(value: &Value) -> Result<Self, String>;
    fn to_json(self) -> Value;
    fn alternatives() -> Vec<Value>;
}

impl<const D: u64, const MIN: u64, const MAX: u64> Count<D, MIN, MAX> {
    /// The number as whatever the model wants.
    pub(crate) fn get<T: TryFrom<u64>>(self) -> T {
        T::try_from(self.0).ok().expect("the range of a key fits the type of the model's field")
    }
}

impl<const D: u64, const MIN: u64, const MAX: u64> Period<D, MIN, MAX> {
    /// The duration.
    pub(crate) fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl<const D: u64, const MIN: u64, const MAX: u64> Size<D, MIN, MAX> {
    /// The bytes as whatever the model wants.
    pub(crate) fn get<T: TryFrom<u64>>(self) -> T {
        T::try_from(self.0).ok().expect("the range of a key fits the type of the model's field")
    }
}

impl<const D: u64, const MIN: u64, const MAX: u64> Decimal<D, MIN, MAX> {
    /// The thousandths as whatever the model wants.
    pub(crate) fn permille<T: TryFrom<u64>>(self) -> T {
        T::try_from(self.0).ok().expect("the range of a key fits the type of the model's field")
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let raw = value.as_f64().and_then(units::thousandths);
        ranged(raw, MIN, MAX, value).map(Self)
    }

    fn to_json(self) -> Value {
        of_thousandths(self.0)
    }

    fn alternatives() -> Vec<Value> {
        let (min, max) = (of_thousandths(MIN), of_thousandths(MAX));
        vec![json_schema!({ "type": "number", "minimum": min, "maximum": max }).into()]
    }
}

impl<const MIN: i32, const MAX: i32> Change<MIN, MAX> {
    /// The number.
    pub(crate) fn get(self) -> i32 {
        self.0
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let raw = value.as_i64().and_then(|raw| i32::try_from(raw).ok());
        let ranged = raw.filter(|raw| (MIN..=MAX).contains(raw));
        ranged.map(Self).ok_or_else(|| format!("{value} is out of range"))
    }

    fn to_json(self) -> Value {
        self.0.into()
    }

    fn alternatives() -> Vec<Value> {
        vec![json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX }).into()]
    }
}

fn of_thousandths(raw: u64) -> Value {
    if raw.is_multiple_of(1000) { (raw / 1000).into() } else { (raw as f64 / 1000.0).into() }
}

impl<T: Number> OrUnlimited<T> {
    /// The number; `u64::MAX` for no bound.
    pub(crate) fn get(self) -> u64 {
        self.0.raw()
    }
}

impl<T> OrOff<T> {
    /// The number; none when it is off.
    pub(crate) fn get(self) -> Option<T> {
        self.0
    }
}

impl<const D: u64, const MIN: u64, const MAX: u64> OrUnlimited<Period<D, MIN, MAX>> {
    /// The duration; none for no bound.
    pub(crate) fn limit(self) -> Option<Duration> {
        (self.0.raw() != u64::MAX).then(|| self.0.get())
    }
}

/// A value within its range, or what is wrong with it; the checker said it better before.
fn ranged(raw: Option<u64>, min: u64, max: u64, value: &Value) -> Result<u64, String> {
    raw.filter(|raw| (min..=max).contains(raw)).ok_or_else(|| format!("{value} is out of range"))
}

impl<const D: u64, const MIN: u64, const MAX: u64> Number for Count<D, MIN, MAX> {
    fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    fn raw(self) -> u64 {
        self.0
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        ranged(value.as_u64(), MIN, MAX, value).map(Self)
    }

    fn to_json(self) -> Value {
        self.0.into()
    }

    fn alternatives() -> Vec<Value> {
        vec![json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX }).into()]
    }
}

impl<const D: u64, const MIN: u64, const MAX: u64> Number for Period<D, MIN, MAX> {
    fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    fn raw(self) -> u64 {
        self.0
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        ranged(value.as_str().and_then(units::duration_ms), MIN, MAX, value).map(Self)
    }

    fn to_json(self) -> Value {
        units::duration_text(self.0).into()
    }

    fn alternatives() -> Vec<Value> {
        let schema = json_schema!({
            "type": "string",
            "format": DURATION_FORMAT,
            "x-what": "a duration",
            "pattern": units::DURATION_PATTERN,
            "minLength": 2,
            "x-minimum": units::duration_text(MIN),
            "x-maximum": units::duration_text(MAX),
        });
        vec![schema.into()]
    }
}

impl<const D: u64, const MIN: u64, const MAX: u64> Number for Size<D, MIN, MAX> {
    fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    fn raw(self) -> u64 {
        self.0
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let raw = match value {
            Value::String(text) => units::size_bytes(text),
            other => other.as_u64(),
        };
        ranged(raw, MIN, MAX, value).map(Self)
    }

    fn to_json(self) -> Value {
        units::size_text(self.0).into()
    }

    fn alternatives() -> Vec<Value> {
        let text = json_schema!({
            "type": "string",
            "format": SIZE_FORMAT,
            "x-what": "a size",
            "pattern": units::SIZE_PATTERN,
            "x-minimum": units::size_text(MIN),
            "x-maximum": units::size_text(MAX),
        });
        let integer = json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX });
        vec![text.into(), integer.into()]
    }
}

impl<T: Number> Number for OrUnlimited<T> {
    fn from_raw(raw: u64) -> Self {
        Self(T::from_raw(raw))
    }

    fn raw(self) -> u64 {
        self.0.raw()
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(UNLIMITED) => Ok(Self(T::from_raw(u64::MAX))),
            _ => T::from_json(value).map(Self),
        }
    }

    fn to_json(self) -> Value {
        if self.raw() == u64::MAX { UNLIMITED.into() } else { self.0.to_json() }
    }

    fn alternatives() -> Vec<Value> {
        let mut all = T::alternatives();
        all.push(json_schema!({ "type": "string", "const": UNLIMITED }).into());
        all
    }
}

impl<T: Number> OrOff<T> {
    fn from_json(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(OFF) => Ok(Self(None)),
            _ => T::from_json(value).map(Some).map(Self),
        }
    }

    fn to_json(self) -> Value {
        self.0.map_or_else(|| OFF.into(), Number::to_json)
    }

    fn alternatives() -> Vec<Value> {
        let mut all = T::alternatives();
        all.push(json_schema!({ "type": "string", "const": OFF }).into());
        all
    }
}

/// One schema that accepts each of the alternatives.
fn any_of(mut alternatives: Vec<Value>) -> Schema {
    match alternatives.pop() {
        Some(Value::Object(only)) if alternatives.is_empty() => only.into(),
        last => {
            alternatives.extend(last);
            json_schema!({ "anyOf": alternatives })
        }
    }
}

/// The traits that all numbers have alike, once per type instead of four times by hand.
macro_rules! number {
    ([$($generics:tt)*] $type:ty, $default:expr) => {
        impl<$($generics)*> Default for $type {
            fn default() -> Self {
                $default
            }
        }

        impl<$($generics)*> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.to_json().serialize(serializer)
            }
        }

        impl<'de, $($generics)*> Deserialize<'de> for $type {
            fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
                Self::from_json(&Value::deserialize(deserializer)?).map_err(De::Error::custom)
            }
        }

        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                any_of(Self::alternatives())
            }
        }
    };
}

number!([const D: u64, const MIN: u64, const MAX: u64] Count<D, MIN, MAX>, Self(D));
number!([const D: u64, const MIN: u64, const MAX: u64] Period<D, MIN, MAX>, Self(D));
number!([const D: u64, const MIN: u64, const MAX: u64] Size<D, MIN, MAX>, Self(D));
number!([const D: u64, const MIN: u64, const MAX: u64] Decimal<D, MIN, MAX>, Self(D));
number!([const MIN: i32, const MAX: i32] Change<MIN, MAX>, Self(0));
number!([T: Number + Default] OrUnlimited<T>, Self(T::default()));
number!([T: Number + Default] OrOff<T>, Self(Some(T::default())));
